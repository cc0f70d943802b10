"""The report's page: one HTML file with the verdict, the tiles and the sections. Pure."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from analytics import text as words
from analytics.html import template
from analytics.report import charts
from analytics.report.numbers import Numbers
from analytics.report.sections import chapters
from analytics.report.verdict import Verdict
from workflow.outcome import Outcome

_SQL_SHOWN_CHARS = 4_000


@dataclass(frozen=True)
class Tile:
    """One number, with its change since the week compared with."""

    title: str
    value: str
    change: str = ""
    tone: str = ""
    """`good`, `bad` or empty."""
    spark: Markup = field(default_factory=Markup)


def render(
    numbers: Numbers, verdict: Verdict, thumbnails: Sequence[bytes | None], generated_at: datetime
) -> str:
    """Return the page. Text from images, keys and people is escaped and printable."""
    unlike = numbers.unlike.images if numbers.unlike else []
    gallery = [
        (image, None if picture is None else base64.b64encode(picture).decode())
        for image, picture in zip((*numbers.least_certain, *unlike), thumbnails, strict=True)
    ]
    page = template("report/page.html.j2").render(
        numbers=numbers,
        verdict=verdict,
        tiles=_tiles(numbers, numbers.week.over(generated_at.date())),
        chapters=chapters(numbers),
        least_certain=gallery[: len(numbers.least_certain)],
        most_unfamiliar=gallery[len(numbers.least_certain) :],
        pictures=any(picture for picture in thumbnails),
        chart_style=Markup(charts.style()),  # noqa: S704 - constants
        outcomes=list(Outcome),
        generated_at=generated_at,
        sql_shown_chars=_SQL_SHOWN_CHARS,
        words=words,
    )
    return words.visible(page)


def _tiles(numbers: Numbers, over: bool) -> list[Tile]:
    now, then, history = numbers.summary, numbers.baseline, numbers.history

    def share_tile(outcome: Outcome) -> Tile:
        share, before = now.tally.share(outcome), then.tally.share(outcome) if then else None
        change, tone = _points(share, before, bad_when_more=outcome is not Outcome.ACCEPTED)
        spark = _spark([week.tally.share(outcome) for week in history])
        return Tile(outcome.heading, words.percent(share), change, tone, spark)

    slower = _times(now.total_p95_ms, then.total_p95_ms if then else None)
    return [
        Tile(
            "Images",
            f"{now.tally.images:,}",
            "" if not then else _relative(now.tally.images, then.tally.images) if over else "so far",
            spark=_spark([float(week.tally.images) for week in history]),
        ),
        *map(share_tile, Outcome),
        _precision(numbers),
        Tile(
            "95 % within",
            words.seconds(now.total_p95_ms),
            *slower,
            _spark([week.total_p95_ms for week in history]),
        ),
        Tile(
            "Cost on AWS",
            words.dollars(numbers.cost.usd),
            numbers.cost.endpoint or "without an endpoint",
        ),
    ]


def _precision(numbers: Numbers) -> Tile:
    """Return the measured precision, or the expected one where nobody has labelled an image."""
    now, then, measured = numbers.summary, numbers.baseline, numbers.measured
    if measured and measured.precision is not None:
        low, high = (words.percent(end) for end in measured.interval)
        expected = f"{words.percent(measured.expected_precision)} expected"
        if numbers.certificate and numbers.certificate.labels:
            expected += f"; at least {words.at_least(numbers.certificate.lower_bound)} for sure"
        return Tile("Measured precision", words.percent(measured.precision), f"{low} – {high}; {expected}")
    change = _points(now.expected_precision, then.expected_precision if then else None, bad_when_more=False)
    spark = _spark([week.expected_precision for week in numbers.history])
    return Tile("Expected precision", words.percent(now.expected_precision), *change, spark)


def _points(now: float | None, then: float | None, bad_when_more: bool) -> tuple[str, str]:
    """Return a share's change in points, and its tone."""
    if now is None or then is None:
        return "", ""
    points = 100 * (now - then)
    if abs(points) < 0.05:
        return "unchanged", ""
    worse = (points > 0) == bad_when_more
    return f"{'▲' if points > 0 else '▼'} {abs(points):.1f} points", "bad" if worse else "good"


def _relative(now: float, then: float) -> str:
    if not then:
        return "unchanged" if now == then else ""
    change = 100 * abs(now - then) / then
    return "unchanged" if change < 0.05 else f"{'▲' if now > then else '▼'} {change:,.1f} %"


def _times(now: float | None, then: float | None) -> tuple[str, str]:
    if now is None or then is None:
        return "", ""
    return _relative(now, then), "" if math.isclose(
        now, then, rel_tol=0.1
    ) else "bad" if now > then else "good"


def _spark(values: Sequence[float | None]) -> Markup:
    return Markup(charts.sparkline(values))  # noqa: S704
