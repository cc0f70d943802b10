"""From the bucket to the model's door."""
