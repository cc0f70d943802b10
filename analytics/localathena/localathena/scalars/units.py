"""Numbers, durations and vectors: functions that DuckDB lacks."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from localathena.scalars.failures import Failed, Refused

_WIDE = Context(prec=120)
_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
_DURATIONS_MS = {
    "ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000,
}  # fmt: skip
_SPANS_S = (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_SUFFIXES = ("", "K", "M", "B", "T", "Q")


def decimal_divide(a: str, b: str, precision: int, scale: int) -> str:
    """Return the quotient of two decimals, rounded half away from zero to a scale."""
    if not Decimal(b):
        raise Failed("Division by zero")
    exact = _WIDE.divide(Decimal(a), Decimal(b))
    value = exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    if value and value.adjusted() + 1 > precision - scale:
        raise Failed("Decimal overflow")
    return f"{value:f}"


def decimal_truncate(text: str, places: int) -> str:
    """Return a decimal cut to so many places; a negative number cuts before the point."""
    value = Decimal(text)
    scale = -int(value.as_tuple().exponent)
    if places >= scale:
        return text
    unit = Decimal(1).scaleb(-max(places, -60))
    return f"{value.quantize(unit, ROUND_DOWN, _WIDE).quantize(Decimal(1).scaleb(-scale), context=_WIDE):f}"


def bit_count(value: int, bits: int) -> int:
    """Return `bit_count`."""
    if not 2 <= bits <= 64:
        raise Failed("Bits specified in bit_count must be between 2 and 64")
    if not -(1 << (bits - 1)) <= value < (1 << (bits - 1)):
        raise Failed(f"Number must be representable with the bits specified: {value} in {bits} bits")
    return (value & ((1 << bits) - 1)).bit_count()


_MOST_COMBINATIONS = 100_000


def combinations(count: int, size: int) -> list[list[int]]:
    """Return the positions, from 1, that make up each of `combinations`: the first position changes first."""
    if size < 0:
        raise Failed(f"combination size must not be negative: {size}")
    if size > 5:
        raise Failed(f"combination size must not exceed 5: {size}")
    if math.comb(count, size) > _MOST_COMBINATIONS:
        raise Failed("combinations exceed max size")
    chosen = itertools.combinations(range(count, 0, -1), size)
    return [list(reversed(positions)) for positions in reversed(list(chosen))]


def shift(value: int, by: int, kind: str, target: str) -> int:
    """Return a whole number shifted to the `left`, to the `right` or, with its sign, `arithmetic`."""
    bits = _BITS[target]
    if by < 0:
        raise Refused("A shift by less than 0 is not supported")
    if kind == "arithmetic":
        return value >> min(by, 63)
    if by >= bits:
        return 0
    unsigned = value & ((1 << bits) - 1)
    moved = (unsigned << by) & ((1 << bits) - 1) if kind == "left" else unsigned >> by
    return moved - (1 << bits) if moved >= (1 << (bits - 1)) else moved


def cosine_similarity(a: Sequence[float | None], b: Sequence[float | None]) -> str | None:
    """Return `cosine_similarity` of two arrays, as a text that DuckDB casts."""
    if len(a) != len(b):
        raise Failed("The arguments must have the same length")
    if None in a or None in b:
        return None
    x, y = ([float(value or 0) for value in side] for side in (a, b))
    sizes = math.sqrt(sum(v * v for v in x)), math.sqrt(sum(v * v for v in y))
    if 0 in sizes:
        raise Failed("Vector magnitude cannot be zero")
    return repr(sum(u * v for u, v in zip(x, y, strict=True)) / (sizes[0] * sizes[1]))


def cosine_of_maps(
    a: Sequence[str], x: Sequence[float | None], b: Sequence[str], y: Sequence[float | None]
) -> str:
    """Return `cosine_similarity` of two maps, given as keys and values; a text that DuckDB casts."""
    if None in x or None in y:
        raise Refused("cosine_similarity of a map with NULL is not supported")
    sides = [{key: float(value or 0) for key, value in zip(*side, strict=True)} for side in ((a, x), (b, y))]
    sizes = math.prod(math.sqrt(sum(v * v for v in side.values())) for side in sides)
    product = sum(value * sides[1].get(key, 0.0) for key, value in sides[0].items())
    return repr(product / sizes) if sizes else "nan"


def format_number(value: float) -> str:
    """Return `format_number`: 1234567 is 1.23M."""
    value = max(min(value, 2.0**63 - 1024), -(2.0**63))
    number, step = abs(value), 0
    while number >= 1000 and step < len(_SUFFIXES) - 1:
        number, step = number / 1000, step + 1
    places = 2 if number < 10 else 1 if number < 100 else 0
    if step == 0:
        places = 0
    exact = Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    text = f"{exact:f}".rstrip("0").rstrip(".") if places else f"{exact:f}"
    return f"{'-' if value < 0 and exact else ''}{text}{_SUFFIXES[step]}"


def human_readable_seconds(value: float) -> str:
    """Return `human_readable_seconds`: 3661 is 1 hour, 1 minute, 1 second."""
    if not math.isfinite(value):
        raise Failed("Invalid argument found: it is not finite")
    rest, parts = abs(math.floor(value + 0.5)), []
    for unit, seconds in _SPANS_S:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return ", ".join(parts) or "0 seconds"


def parse_duration(text: str) -> int:
    """Return `parse_duration`, in milliseconds."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if found is None:
        raise Failed(f"duration is not a valid data duration string: {text[:100]}")
    if found[2] not in _DURATIONS_MS:
        raise Failed(f"Unknown time unit: {found[2]}")
    return int(float(found[1]) * _DURATIONS_MS[found[2]] + 0.5)


def join(texts: Sequence[str | None], separator: str) -> str:
    """Return texts joined, without NULL."""
    return separator.join(text for text in texts if text is not None)


def iso_date(text: str) -> date:
    """Return `from_iso8601_date`: of a day, a week's day or a day of the year."""
    found = re.fullmatch(r"(\d{4})-(\d{3})", text)
    try:
        if found:
            day = date.fromordinal(date(int(found[1]), 1, 1).toordinal() + int(found[2]) - 1)
            if day.year != int(found[1]) or not int(found[2]):
                raise ValueError
            return day
        if not re.fullmatch(r"\d{4}-(\d{2}-\d{2}|W\d{2}-\d)", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise Failed(f"from_iso8601_date cannot parse {text[:100]!r}: write it like 2026-11-24") from None


def local_instant(local: datetime, zone: str) -> datetime:
    """Return the instant, in UTC, of a local time: the first of two; one that does not occur is moved."""
    return local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "bit_count": (bit_count, "bigint, bigint -> bigint"),
    "combinations": (combinations, "bigint, bigint -> bigint[][]"),
    "cosine_similarity": (cosine_similarity, "double[], double[] -> varchar"),
    "cosine_of_maps": (cosine_of_maps, "varchar[], double[], varchar[], double[] -> varchar"),
    "decimal_divide": (decimal_divide, "varchar, varchar, integer, integer -> varchar"),
    "decimal_truncate": (decimal_truncate, "varchar, bigint -> varchar"),
    "format_number": (format_number, "double -> varchar"),
    "human_readable_seconds": (human_readable_seconds, "double -> varchar"),
    "iso_date": (iso_date, "varchar -> date"),
    "join": (join, "varchar[], varchar -> varchar"),
    "local_instant": (local_instant, "timestamp, varchar -> timestamp"),
    "parse_duration": (parse_duration, "varchar -> bigint"),
    "shift": (shift, "bigint, bigint, varchar, varchar -> bigint"),
}
