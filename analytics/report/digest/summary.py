"""From Athena's answer to the weekly summary to a digest. Pure, and without pandas: it runs in a Lambda."""

from collections.abc import Mapping, Sequence

from analytics.report.digest.text import digest_text
from analytics.report.isoweek import IsoWeek
from analytics.report.verdict import FAILED_SHARE
from analytics.text import percent, plural

Row = Mapping[str, str | None]
"""A row as Athena's API gives it: everything is text."""

_COUNTS = ("images", "accepted", "needs_review", "rejected", "failed")


def digest_of(rows: Sequence[Row], week: IsoWeek) -> str:
    """Return the digest of a week, from the answer to `weekly_summary.sql` over it and the week before."""
    by_monday = {row["week"]: row for row in rows}
    row = by_monday.get(str(week.monday), {})
    before = by_monday.get(str(week.back().monday))
    tally = _tally(row)
    return digest_text(
        str(week),
        tally,
        _tally(before) if before else None,
        to_review=int(row.get("to_review") or 0),
        expected_precision=_number(row, "expected_precision"),
        total_p95_ms=_number(row, "total_p95_ms"),
        sentence=_sentence(tally),
        findings=_findings(tally),
    )


def _sentence(tally: Mapping[str, int]) -> str:
    if not tally["images"]:
        return "No image is on record."
    return f"{plural(tally['images'], 'image')}, {percent(tally['accepted'] / tally['images'])} accepted."


def _findings(tally: Mapping[str, int]) -> list[tuple[str, str]]:
    if not tally["images"]:
        return [("Nothing was recorded all week.", "Drop an image and see whether it arrives.")]
    if tally["failed"] / tally["images"] > FAILED_SHARE:
        return [(f"We failed {plural(tally['failed'], 'image')}.", "Classify them again: make redrive.")]
    return []


def _tally(row: Row) -> dict[str, int]:
    return {name: int(row.get(name) or 0) for name in _COUNTS}


def _number(row: Row, name: str) -> float | None:
    value = row.get(name)
    return float(value) if value else None
