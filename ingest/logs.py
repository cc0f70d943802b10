"""Logger of the Lambdas that every image passes. 1 kB for each of a million images costs $0.50."""

from typing import Any

from aws_lambda_powertools import Logger

_SAID_BY_THE_LOG_GROUP = frozenset({"function_name", "function_memory_size", "function_arn"})


class StepLogger(Logger):
    """Leaves out what every line of a log group has in common: each Lambda has a group of its own."""

    def append_keys(self, **additional_keys: Any) -> None:
        """Add keys to the lines that follow."""
        kept = {name: key for name, key in additional_keys.items() if name not in _SAID_BY_THE_LOG_GROUP}
        super().append_keys(**kept)
