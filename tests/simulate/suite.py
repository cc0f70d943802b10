"""What every simulation is: a claim, what was measured, and whether it holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One promise, with what a simulation measured of it."""

    what: str
    measured: float
    least: float = 0.0
    most: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether the measurement is within the promise."""
        return self.least <= self.measured <= self.most

    def line(self) -> str:
        """Return it for people."""
        asked = f"at least {self.least:g}" if self.least > 0 else f"at most {self.most:g}"
        return f"{'ok' if self.holds else 'MISSED':<7} {self.measured:8.4f}  {asked:<15} {self.what}"


Suite = Callable[[int, int], list[Check]]
"""Seed and number of runs → what was measured."""
Suites = Mapping[str, Suite]
