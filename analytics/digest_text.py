"""The week in a few lines for chat or mail. Pure, and light enough for a Lambda."""

from collections.abc import Mapping, Sequence


def digest_text(
    week: str,
    tally: Mapping[str, int],
    baseline: Mapping[str, int] | None,
    *,
    expected_precision: float | None,
    total_p95_ms: float | None,
    sentence: str,
    findings: Sequence[tuple[str, str]] = (),
) -> str:
    """Return the digest: `tally` and `baseline` hold images, accepted, needs_review, rejected and failed.

    Each finding is what is so, and what to do.
    """
    lines = [f"**Scones, week {week}.** {sentence}", ""]
    lines += [f"- {what} {action}" for what, action in findings]
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
        lines.append(f"Expected precision of what was accepted: {100 * expected_precision:.1f} %  ")
    if total_p95_ms is not None:
        lines.append(f"19 of 20 images were decided within {total_p95_ms / 1000:.1f} s  ")
    return "\n".join(lines) + "\n"


def _count(count: int, images: int, name: str) -> str:
    share = f" ({100 * count / images:.1f} %)" if images and name != "images" else ""
    return f"{count:,}{share}"


def _change(name: str, tally: Mapping[str, int], baseline: Mapping[str, int] | None) -> str:
    return "" if baseline is None else f", was {_count(baseline[name], baseline['images'], name)}"
