"""Numbers and names as people read them. Pure."""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import islice
from unicodedata import category

SPACE = "\u00a0"
"""Keeps a number and its unit on one line."""
_NOT_PLAIN = re.compile(r"[^\n -~]")
_NON_PRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories of non-printable characters: controls, direction marks, surrogates, line ends."""
_LONG_TIMES = ((60_000, "min"), (3_600_000, "h"), (86_400_000, "days"))


def percent(share: float | None) -> str:
    """Return a share as `71.2 %`. `0.0 %` means none and `100.0 %` means all."""
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
    """Return a number with three significant digits, `0.0123` or `53.5`, without an exponent."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{value:,.{min(max(digits, 0), 5)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def dollars(usd: float) -> str:
    """Return `$1,234.56`; less than a cent has more digits."""
    if 0 < usd < 0.000005:
        return f"<{SPACE}$0.00001"
    return f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.5f}"


def visible(text: str) -> str:
    """Replace each non-printable character with �; line feeds stay."""
    return _NOT_PLAIN.sub(lambda found: "�" if category(found[0]) in _NON_PRINTABLE else found[0], text)


def short(name: str, chars: int = 60) -> str:
    """Return an untrusted name on one line, what cannot be seen marked, and cut to `chars` characters."""
    name = "".join(filter(str.isprintable, visible(" ".join(name.split())))) or "(no name)"
    return name if len(name) <= chars else name[: chars - 1] + "…"


def p_value(p: float) -> str:
    """Return `p = 0.123`, or `p < 0.001`."""
    return f"p{SPACE}<{SPACE}0.001" if p < 0.001 else f"p{SPACE}={SPACE}{p:.3f}"


def change_in_points(now: float | None, then: float | None) -> str:
    """Return how a share has changed: `▲ 1.2 points`, `unchanged`, or nothing where one is unknown."""
    if now is None or then is None:
        return ""
    points = 100 * (now - then)
    return "unchanged" if abs(points) < 0.05 else f"{'▲' if points > 0 else '▼'} {abs(points):.1f} points"


def relative_change(now: float, then: float) -> str:
    """Return how a number has changed: `▲ 3.1 %`, `unchanged`, or nothing where it was 0."""
    if not then:
        return "unchanged" if now == then else ""
    change = 100 * abs(now - then) / then
    return "unchanged" if change < 0.05 else f"{'▲' if now > then else '▼'} {change:,.1f} %"


def at_least(share: float) -> str:
    """Return a lower bound as a percentage, rounded down: rounded up it would claim too much."""
    return f"{math.floor(1_000 * share + 1e-9) / 10:.1f}{SPACE}%"


def plural(count: int, thing: str) -> str:
    """Return `1 image`, `2,000 images`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def first_of(names: Iterable[object], most: int = 5) -> str:
    """Return the first names as `a, b, c`, and a sign where there are more."""
    first = [str(name) for name in islice(names, most + 1)]
    return ", ".join(first[:most]) + (", …" if len(first) > most else "")


def mostly(name: str, count: int, total: int) -> str:
    """Describe the most frequent of `total` things: `corrupt`, `all corrupt`, `mostly corrupt` or less."""
    name = short(name)
    if total == 1:
        return name
    if count == total:
        return f"all {name}"
    return f"mostly {name}" if 2 * count > total else f"{name} among others"


def folder(name: str | None, chars: int = 60) -> str:
    """Return a folder's name with its slash; empty is for keys without a folder, None for all others."""
    return "all others" if name is None else f"{short(visible(name), chars)}/" if name else "(no folder)"


def weekdays(days: Sequence[date]) -> str:
    """Return `Mon, Wed`, or `all seven days`."""
    return "all seven days" if len(days) == 7 else ", ".join(f"{day:%a}" for day in days)
