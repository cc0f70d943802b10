"""The report's page: one HTML file with the verdict, the tiles and the sections. Pure."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from analytics import text as words
from analytics.html import template
from analytics.report import charts
from analytics.report.cards.card import KEY_CHARS
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
    urges: bool = False
    """Whether a finding about it needs attention: only effect and evidence colour a tile."""
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
    found = chapters(numbers)
    page = template("report/page.html.j2").render(
        numbers=numbers,
        verdict=verdict,
        tiles=_tiles(numbers, verdict, numbers.week.over(generated_at.date())),
        urgent_sections={finding.section for finding in verdict.findings if finding.attention},
        chapters=found,
        slugs={"behind", *(section.slug for chapter in found for section in chapter.sections)},
        least_certain=gallery[: len(numbers.least_certain)],
        most_unfamiliar=gallery[len(numbers.least_certain) :],
        pictures=any(picture for picture in thumbnails),
        chart_style=Markup(charts.style()),  # noqa: S704 - constants
        patterns=Markup(charts.patterns()),  # noqa: S704 - constants
        outcomes=list(Outcome),
        generated_at=generated_at,
        sql_shown_chars=_SQL_SHOWN_CHARS,
        key_chars=KEY_CHARS,
        words=words,
    )
    return words.visible(page)


def _tiles(numbers: Numbers, verdict: Verdict, over: bool) -> list[Tile]:
    now, then, history = numbers.summary, numbers.baseline, numbers.history
    urgent = {finding.section for finding in verdict.findings if finding.attention}

    def share_tile(outcome: Outcome) -> Tile:
        share, before = now.tally.share(outcome), then.tally.share(outcome) if then else None
        spark = _spark([week.tally.share(outcome) for week in history])
        urges = _SECTIONS[outcome] in urgent
        return Tile(
            outcome.heading, words.percent(share), words.change_in_points(share, before), urges, spark
        )

    took, took_before = now.total_p95_ms, then.total_p95_ms if then else None
    return [
        Tile(
            "Images",
            f"{now.tally.images:,}",
            ""
            if not then
            else words.relative_change(now.tally.images, then.tally.images)
            if over
            else "so far",
            "volume" in urgent,
            _spark([float(week.tally.images) for week in history]),
        ),
        *map(share_tile, Outcome),
        _precision(numbers, "measured" in urgent),
        Tile(
            "Decided within (95 % of images)",
            words.seconds(took),
            "" if took is None or took_before is None else words.relative_change(took, took_before),
            "latency" in urgent,
            _spark([week.total_p95_ms for week in history]),
        ),
        Tile(
            "Cost on AWS",
            words.dollars(numbers.cost.usd),
            numbers.cost.endpoint or "without an endpoint",
        ),
    ]


_SECTIONS = {
    Outcome.ACCEPTED: "folders",
    Outcome.NEEDS_REVIEW: "below",
    Outcome.REJECTED: "rejects",
    Outcome.FAILED: "failures",
}
"""Outcome → the section whose findings colour its tile."""


def _precision(numbers: Numbers, urges: bool) -> Tile:
    """Return the measured precision, or the model's own estimate where nobody has labelled an image."""
    now, then, measured = numbers.summary, numbers.baseline, numbers.measured
    if measured and measured.precision is not None:
        low, high = (words.percent(end) for end in measured.interval)
        expected = f"the model expected {words.percent(measured.expected_precision)}"
        if numbers.certificate and numbers.certificate.bounds:
            expected += f"; at least {words.at_least(numbers.certificate.lower_bound)} for sure"
        return Tile(
            "Measured precision", words.percent(measured.precision), f"{low} – {high}; {expected}", urges
        )
    change = words.change_in_points(now.expected_precision, then.expected_precision if then else None)
    spark = _spark([week.expected_precision for week in numbers.history])
    return Tile(
        "Precision, the model's own estimate", words.percent(now.expected_precision), change, urges, spark
    )


def _spark(values: Sequence[float | None]) -> Markup:
    return Markup(charts.sparkline(values))  # noqa: S704
