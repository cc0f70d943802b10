"""Simulations of what the statistics of Scones promise, with thousands of made-up weeks: `make simulate`."""
