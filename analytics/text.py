"""Numbers as people read them. Pure."""

import math
import re
from collections.abc import Sequence
from datetime import date
from unicodedata import category

from analytics.report.numbers import Shift

SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""
_NOT_PLAIN = re.compile(r"[^\n -~]")
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Controls, marks of direction, halves of characters, ends of lines: Unicode's names of what has no face."""
_LONG_TIMES = ((60_000, "min"), (3_600_000, "h"), (86_400_000, "days"))


def percent(share: float | None) -> str:
    """Return a share as `71.2 %`; only none is `0.0 %`, and only all is `100.0 %`."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return f"<{SPACE}0.1{SPACE}%"
    return f">{SPACE}99.9{SPACE}%" if 0.9995 <= share < 1 else f"{100 * share:.1f}{SPACE}%"


def seconds(ms: float | None) -> str:
    """Return milliseconds as `840 ms`, `1.4 s`, `12 min`, `7 h` or `6 days`."""
    if ms is None:
        return "–"
    if ms < 999.5:
        return f"{ms:.0f}{SPACE}ms"
    if ms < 120_000:
        return f"{ms / 1_000:.1f}{SPACE}s"
    unit_ms, unit = next((time for time in _LONG_TIMES if ms <= 120 * time[0]), _LONG_TIMES[-1])
    return f"{ms / unit_ms:,.0f}{SPACE}{unit}"


def size(size_bytes: float | None) -> str:
    """Return bytes as `512 B` or `53.5 kB`."""
    if size_bytes is None:
        return "–"
    power = min(int(math.log10(size_bytes * 1.0005) / 3), 4) if size_bytes >= 1 else 0
    return f"{significant(size_bytes / 1_000**power)}{SPACE}{('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def significant(value: float) -> str:
    """Return a number with three digits that count, `0.0123` or `53.5`, and never with an exponent."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:,.{min(max(digits, 0), 5)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def dollars(usd: float) -> str:
    """Return `$1,234.56`; what is less than a cent has more digits."""
    if 0 < usd < 0.000005:
        return f"<{SPACE}$0.00001"
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.5f}"


def visible(text: str) -> str:
    """Return text with a � for each character that has no face; lines stay lines."""
    return _NOT_PLAIN.sub(lambda found: "�" if category(found[0]) in _UNSEEN else found[0], text)


def short(name: str, chars: int = 60) -> str:
    """Return a name that others gave so that it fits into a sentence: on one line, visible, not too long."""
    name = "".join(filter(str.isprintable, " ".join(name.split()))).strip() or "(no name)"
    return name if len(name) <= chars else name[: chars - 1] + "…"


def p_value(p: float) -> str:
    """Return `p = 0.123`, or `p < 0.001`."""
    return f"p{SPACE}<{SPACE}0.001" if p < 0.001 else f"p{SPACE}={SPACE}{p:.3f}"


def plural(count: int, thing: str) -> str:
    """Return `1 image`, `2,000 images`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def mostly(name: str, count: int, total: int) -> str:
    """Say what the most frequent of `total` things is: `corrupt`, `all corrupt`, `mostly corrupt` or less."""
    name = short(name)
    if total == 1:
        return name
    if count == total:
        return f"all {name}"
    return f"mostly {name}" if 2 * count > total else f"{name} among others"


def folder(name: str | None, chars: int = 60) -> str:
    """Return a folder's name with its slash; an empty one is that of keys without, None all the others."""
    return "all others" if name is None else f"{short(visible(name), chars)}/" if name else "(no folder)"


def weekdays(days: Sequence[date]) -> str:
    """Return `Mon, Wed`, or `all seven days`."""
    return "all seven days" if len(days) == 7 else ", ".join(f"{day:%a}" for day in days)


def shift(of: Shift) -> str:
    """Say how large a difference is and how sure, with the numbers."""
    if of.psi is None or of.jensen_shannon is None:
        return "There is nothing to compare with."
    sure = "no accident" if of.sure else "may be chance"
    degrees = of.degrees_of_freedom
    freedom = "" if degrees is None else f" for {plural(degrees, 'degree')} of freedom"
    return (
        f"The difference is {of.size} (PSI {of.psi:.3f}, Jensen-Shannon distance {of.jensen_shannon:.3f}) "
        f"and {sure} ({of.test} {significant(of.statistic)}{freedom}, {p_value(of.p_value)}; "
        f"n = {of.images:,} and {of.baseline_images:,})."
    )
