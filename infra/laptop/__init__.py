"""The embedded AWS and the processes that keep it running."""
