"""Speed and memory against their budgets: `make bench`."""

import scones

scones.put_on_path()
