"""Waits of tests: long enough for a busy machine, and over as soon as the condition holds."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 600.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until a condition holds; return its value.

    Raises:
        AssertionError: it does not hold within PATIENCE_S; names `what` was waited for.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(0.1)
    return found
