"""What a card consists of, and what several of them say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from analytics import text as words
from analytics.report.numbers import Departure, Numbers, Shift
from workflow.outcome import Outcome

OUTCOMES_LEGEND = [(f"box {outcome.colour}", outcome.heading.lower()) for outcome in Outcome]
BAR = Markup('<span class="unseen">Drawn</span>')
"""Head of a column of bars."""
MAX_ROWS = 100
"""Classes in a table; report.json has all of them."""
FOLDER_CHARS = 40
KEY_CHARS = 120
"""Characters of a key, which may have 1,024; report.json has all of them."""
DRAWN_FOLDERS = 10


@dataclass(frozen=True)
class Table:
    """A table; the columns in `texts` hold text, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    """The first cell of each is its name."""
    texts: Sequence[int] = (0,)
    keys: Sequence[int] = ()
    """Columns of object keys, which may be broken anywhere; words are not."""


@dataclass(frozen=True)
class Section:
    """One card of the page."""

    slug: str
    title: str
    takeaway: str
    span: str = "half"
    """Share of the page's width: `full`, `half` or `third`."""
    chart: str = ""
    """SVG with its text escaped."""
    legend: Sequence[tuple[str, str]] = ()
    """CSS classes of a shape, and its meaning."""
    table: Table | None = None
    table_open: bool = False
    note: str = ""
    statistics: str = ""
    """For those who open the table: the size of the change, and the test of it."""


def since_changed(numbers: Numbers, days: Sequence[date]) -> str:
    """Return what the dotted lines of a chart over some days are."""
    seen = [
        f"{change.what} ({change.at:%a %d %b %H:%M})"
        for change in numbers.changes
        if change.at.date() in days
    ]
    return f" Dotted lines: from here on {words.short(', '.join(seen), 300)}." if seen else ""


def change(departure: Departure, numbers: Numbers) -> str:
    """Return whether a measure has changed, for people."""
    if departure.shift.psi is None:
        return (
            "There is nothing to compare with."
            if numbers.compare is None or not numbers.baseline
            else "There are too few earlier days to know what is usual."
        )
    if departure.shift.size == "small":
        return "No meaningful change from the weeks before."
    sure = "it is statistically clear" if departure.significant else "it could be chance"
    return f"A {departure.shift.size} change from the weeks before; {sure}."


def statistics(shift: Shift, departure: Departure) -> str:
    """Return how far the week is from the compared one, and the test of it against the weeks before."""
    if shift.psi is None or shift.jensen_shannon is None:
        return ""
    effect = (
        f"To the compared week: PSI {shift.psi:.3f}, Jensen-Shannon distance "
        f"{shift.jensen_shannon:.3f}; n = {shift.images:,} and {shift.baseline_images:,}."
    )
    evidence = departure.shift
    if evidence.psi is None:
        return effect
    degrees = evidence.degrees_of_freedom
    freedom = "" if degrees is None else f" for {words.plural(degrees, 'degree')} of freedom"
    return (
        f"{effect} To the four weeks before: PSI {evidence.psi:.3f}; {evidence.test} "
        f"{words.significant(evidence.statistic)}{freedom}, {words.p_value(evidence.p_value)}."
    )


def is_or_are(count: int) -> str:
    """Return the verb of that many things."""
    return "is" if count == 1 else "are"
