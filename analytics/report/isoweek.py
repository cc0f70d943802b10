"""Weeks as ISO 8601 counts them: Monday to Sunday in UTC; week 1 has the year's first Thursday."""

import re
from dataclasses import dataclass
from datetime import date, timedelta

_FIRST_YEAR, _LAST_YEAR = 1970, 9998
"""Years whose first and last weeks, and the weeks beside them, have dates of four digits."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, order=True)
class IsoWeek:
    """One week, as in `2026-W47`."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> "IsoWeek":
        """Read `2026-W47`.

        Raises:
            ValueError: it is not written so, that year has no such week, or it is out of range.
        """
        match = re.fullmatch(r"(\d{4})-W(\d{2})", text.strip().upper(), re.ASCII)
        if match is None:
            raise ValueError(f"{text!r} is not a week. Write it as year and week, like 2026-W47.")
        week = cls(int(match[1]), int(match[2]))
        if not _FIRST_YEAR <= week.year <= _LAST_YEAR:
            years = f"from {_FIRST_YEAR} to {_LAST_YEAR}"
            raise ValueError(f"{week} is out of reach: take a year {years}, as in 2026-W47.")
        try:
            week.monday  # noqa: B018 - raises when there is no such week
        except ValueError:
            raise ValueError(f"{match[1]} has no week {match[2]}.") from None
        return week

    @classmethod
    def of(cls, day: date) -> "IsoWeek":
        """Return the week that a day is in."""
        year, number, _ = day.isocalendar()
        return cls(year, number)

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def sunday(self) -> date:
        """Its last day."""
        return date.fromisocalendar(self.year, self.number, 7)

    @property
    def days(self) -> list[date]:
        """All seven."""
        return [self.monday + timedelta(days=day) for day in range(7)]

    def over(self, today: date) -> bool:
        """Return whether all of its days are past."""
        return self.sunday < today

    def back(self, weeks: int = 1) -> "IsoWeek":
        """Return the week so many weeks before."""
        return IsoWeek.of(self.monday - timedelta(weeks=weeks))

    def title(self) -> str:
        """Return its days for people: `16–22 November 2026`."""
        first, last = self.monday, self.sunday
        if first.month == last.month:
            return f"{first.day}–{last.day} {_MONTHS[last.month - 1]} {last.year}"
        year = "" if first.year == last.year else f" {first.year}"
        start, end = _MONTHS[first.month - 1], _MONTHS[last.month - 1]
        return f"{first.day} {start}{year} – {last.day} {end} {last.year}"

    def __str__(self) -> str:
        return f"{self.year:04}-W{self.number:02}"
