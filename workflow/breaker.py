"""A circuit breaker: an endpoint that has just said that it is busy is left alone for a while. Pure.

Each container has its own, so that nothing is shared. While an endpoint is down, a container asks it again
only after each pause. Images wait instead of paying for timeouts.
"""

import time
from collections.abc import Callable

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Breaker:
    """Says when to ask again. The pause doubles with every busy answer in a row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause_s = 0.0
        self._open_until = 0.0

    @property
    def left_s(self) -> float:
        """Seconds for which not to ask; 0 if the endpoint may be asked."""
        return max(0.0, self._open_until - self._clock()) if self._pause_s else 0.0

    @property
    def is_half_open(self) -> bool:
        """Whether the pause is over, and the endpoint has not answered since."""
        return bool(self._pause_s) and not self.left_s

    def answered(self) -> None:
        """Note that the endpoint answered, if only with an error of the model."""
        self._pause_s = 0.0

    def was_busy(self) -> None:
        """Note that it had no capacity or could not be reached.

        Requests that were under way when the pause began are part of the same overload.
        """
        if self.left_s:
            return
        self._pause_s = min(2 * self._pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self._open_until = self._clock() + self._pause_s
