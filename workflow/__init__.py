"""From the pixels to a decision."""
