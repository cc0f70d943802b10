"""From decisions to answers."""
