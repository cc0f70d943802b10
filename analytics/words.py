"""Numbers as people read them. Pure."""

import math

from analytics.numbers import Shift

SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""


def percent(share: float | None) -> str:
    """Return a share as `71.2 %`."""
    return "–" if share is None else f"{100 * share:.1f}{SPACE}%"


def seconds(ms: float | None) -> str:
    """Return milliseconds as `840 ms`, `1.4 s` or `12 min`."""
    if ms is None:
        return "–"
    if ms < 1_000:
        return f"{ms:.0f}{SPACE}ms"
    return f"{ms / 1_000:.1f}{SPACE}s" if ms < 120_000 else f"{ms / 60_000:,.0f}{SPACE}min"


def size(size_bytes: float | None) -> str:
    """Return bytes as `512 B` or `53.5 kB`."""
    if size_bytes is None:
        return "–"
    power = min(int(math.log10(size_bytes) / 3 + 1e-9), 4) if size_bytes >= 1 else 0
    return f"{size_bytes / 1_000**power:.3g}{SPACE}{('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def dollars(usd: float) -> str:
    """Return `$1,234.56`; what is less than a cent has more digits."""
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.5f}"


def p_value(p: float) -> str:
    """Return `p = 0.123`, or `p < 0.001`."""
    return f"p{SPACE}<{SPACE}0.001" if p < 0.001 else f"p{SPACE}={SPACE}{p:.3f}"


def plural(count: int, thing: str) -> str:
    """Return `1 image`, `2,000 images`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def shift(of: Shift) -> str:
    """Say how large a difference is and how sure, with the numbers."""
    if of.psi is None or of.jensen_shannon is None:
        return "There is nothing to compare with."
    sure = "no accident" if of.sure else "may be chance"
    return (
        f"The difference is {of.size} (PSI {of.psi:.3f}, Jensen-Shannon {of.jensen_shannon:.3f}) "
        f"and {sure} ({of.test} {of.statistic:.3g}, {p_value(of.p_value)}; "
        f"n = {of.images:,} and {of.baseline_images:,})."
    )
