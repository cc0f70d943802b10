"""The week in a few lines for chat or mail. Pure, and light enough for a Lambda."""

import re
from collections.abc import Mapping, Sequence

from analytics.text import percent, plural, seconds

_MARKDOWN = re.compile(r"[\\`*|~\[\]]|<(?=[\w/!?@#])|(?<![^\W_])_|_(?![^\W_])")


def digest_text(
    week: str,
    tally: Mapping[str, int],
    baseline: Mapping[str, int] | None,
    *,
    to_review: int,
    expected_precision: float | None,
    total_p95_ms: float | None,
    measured_precision: float | None = None,
    sentence: str,
    findings: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the digest: `tally` and `baseline` hold images, accepted, needs_review, rejected and failed.

    `to_review` of those that need it have a picture to look at. Each finding is what is so, and what to do.
    """
    lines = [f"**Scones, week {week}.** {_plain(sentence)}", ""]
    lines += [f"- {_plain(what)} {action}" for what, action in findings]
    if findings:
        lines.append("")
    names = {
        "images": "Images",
        "accepted": "Accepted",
        "needs_review": "For review",
        "rejected": "Rejected",
        "failed": "Failed",
    }
    for name, title in names.items():
        lines.append(
            f"{title}: {_count(tally[name], tally['images'], name)}{_change(name, tally, baseline)}  "
        )
    if expected_precision is not None:
        lines.append(f"Expected precision of what was accepted: {percent(expected_precision)}  ")
    if measured_precision is not None:
        lines.append(f"Measured precision, of those with a label: {percent(measured_precision)}  ")
    if total_p95_ms is not None:
        lines.append(f"19 of 20 images were decided within {seconds(total_p95_ms)}  ")
    if to_review:
        lines += ["", f"{plural(to_review, 'image')} needed review: make review has those without a label."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Keep what others named a class or a model from being Markdown: emphasis, a link, a tag."""
    return _MARKDOWN.sub(r"\\\g<0>", text)


def _count(count: int, images: int, name: str) -> str:
    share = f" ({percent(count / images)})" if images and name != "images" else ""
    return f"{count:,}{share}"


def _change(name: str, tally: Mapping[str, int], baseline: Mapping[str, int] | None) -> str:
    return "" if baseline is None else f", was {_count(baseline[name], baseline['images'], name)}"
