"""Where the scores come from."""
