"""Speed and memory against their budgets: `make bench`."""
