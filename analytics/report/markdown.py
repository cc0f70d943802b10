"""The week in a few lines for chat or mail. Pure, and light enough for a Lambda."""

import re
from collections.abc import Sequence

from analytics.report.numbers import Tally, WeekSummary
from analytics.text import percent, plural, seconds
from workflow.outcome import Outcome

_MARKDOWN = re.compile(r"[\\`*|~\[\]]|<(?=[\w/!?@#])|(?<![^\W_])_|_(?![^\W_])")


def digest_text(
    summary: WeekSummary,
    baseline: WeekSummary | None,
    *,
    measured_precision: float | None = None,
    sentence: str,
    findings: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the digest of a week beside the one it is compared with.

    Each finding is a statement and what to do about it.
    """
    tally = summary.tally
    lines = [f"**Scones, week {summary.week}.** {_plain(sentence)}", ""]
    lines += [f"- {_plain(what)} {action}" for what, action in findings]
    if findings:
        lines.append("")
    for name, title in {"images": "Images", **{each.value: each.heading for each in Outcome}}.items():
        before = f", was {_count(baseline.tally, name)}" if baseline else ""
        lines.append(f"{title}: {_count(tally, name)}{before}  ")
    if summary.expected_precision is not None:
        lines.append(f"Expected precision of accepted images: {percent(summary.expected_precision)}  ")
    if measured_precision is not None:
        lines.append(f"Measured precision of accepted images with a label: {percent(measured_precision)}  ")
    if summary.total_p95_ms is not None:
        lines.append(f"95 % of images were decided within {seconds(summary.total_p95_ms)}  ")
    if summary.to_review:
        lines += [
            "",
            f"{plural(summary.to_review, 'image')} for review: scones review shows those without a label.",
        ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Escape Markdown in names of classes and models: emphasis, links, tags."""
    return _MARKDOWN.sub(r"\\\g<0>", text)


def _count(tally: Tally, name: str) -> str:
    share = f" ({percent(tally[name] / tally.images)})" if tally.images and name != "images" else ""
    return f"{tally[name]:,}{share}"
