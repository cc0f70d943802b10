"""Athena's answer to the weekly summary → the digest. Pure, and without pandas: it runs in a Lambda."""

from collections.abc import Mapping, Sequence

from analytics.report.isoweek import IsoWeek
from analytics.report.markdown import digest_text
from analytics.report.numbers import SummaryRow, Tally, WeekSummary
from analytics.report.verdict import many_failed
from analytics.text import percent, plural
from workflow.outcome import Outcome

Row = Mapping[str, str | None]
"""A row as Athena's API gives it: everything is text."""


def digest_of(rows: Sequence[Row], week: IsoWeek) -> str:
    """Return the digest of a week, from the answer to `weekly_summary.sql` over it and the week before."""
    summary, before = (
        WeekSummary.of(str(each), [_summary_row(row) for row in rows if row["week"] == str(each.monday)])
        for each in (week, week.back())
    )
    return digest_text(
        summary,
        before if before.tally.images else None,
        sentence=_sentence(summary.tally),
        findings=_findings(summary.tally),
    )


def _sentence(tally: Tally) -> str:
    accepted = tally.share(Outcome.ACCEPTED)
    if accepted is None:
        return "No images were recorded."
    return f"{plural(tally.images, 'image')}, {percent(accepted)} accepted."


def _findings(tally: Tally) -> list[tuple[str, str]]:
    if not tally.images:
        return [("Nothing was recorded all week.", "Upload an image and check that its outcome is recorded.")]
    if many_failed(tally):
        return [(f"{plural(tally[Outcome.FAILED], 'image')} failed.", "Classify them again: scones redrive.")]
    return []


def _summary_row(row: Row) -> SummaryRow:
    return SummaryRow(
        outcome=row["outcome"],
        images=int(row["images"] or 0),
        uploaded=int(row["uploaded"] or 0),
        mean_confidence=_number(row["mean_confidence"]),
        total_p50_ms=_number(row["total_p50_ms"]),
        total_p95_ms=_number(row["total_p95_ms"]),
    )


def _number(text: str | None) -> float | None:
    return float(text) if text else None
