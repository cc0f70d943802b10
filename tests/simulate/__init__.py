"""Simulations of what Scones promises: bursts and outages on AWS, and statistics. `make simulate`."""
