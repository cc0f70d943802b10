"""Texts as values of other types, by Trino's casts: for the texts that DuckDB's casts read differently."""

import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import cache
from typing import Any

from localathena.scalars.failures import Failed, Refused
from localathena.scalars.json import as_text, kind

_BITS = {"tinyint": 8, "smallint": 16, "integer": 32, "bigint": 64}
_FLOAT = re.compile(
    r"(?P<decimal>[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)[fFdD]?|(?P<hex>[+-]?0[xX][0-9a-fA-F]+\.?[0-9a-fA-F]*[pP][+-]?\d+)"
    r"[fFdD]?|(?P<word>[+-]?(NaN|Infinity))",
    re.ASCII,
)
_DATE = re.compile(r"\s*([+-]?)(\d{1,9})-(\d{1,2})-(\d{1,2})\s*", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?\s*", re.ASCII)
_OFFSET = re.compile(r"(UTC|GMT|UT)?[+-]\d{1,2}(:?\d{2})?|Z|UTC|GMT|UT")
_JAVA_BLANKS = "".join(map(chr, range(33)))


def _no(text: str, target: str) -> Failed:
    return Failed(f"A text cannot be cast to {target}: '{text[:100]}'")


def integer(text: str, target: str) -> int:
    """Return a cast of a text to tinyint, smallint, integer or bigint."""
    if not re.fullmatch(r"[+-]?\d+", text):
        if re.fullmatch(r"[+-]?\d+", text.strip(_JAVA_BLANKS)):
            raise Refused(f"Athena's versions differ on blanks around a number ('{text[:100]}'): use trim()")
        raise _no(text, target)
    return _in_range(int(text), text, target)


def _in_range(value: int, text: str, target: str) -> int:
    limit = 2 ** (_BITS[target] - 1)
    if not -limit <= value < limit:
        raise _no(text, target)
    return value


def double(text: str) -> float:
    """Return a cast of a text to double, as Java reads one."""
    found = _FLOAT.fullmatch(text.strip(_JAVA_BLANKS))
    if found is None:
        raise _no(text, "double")
    if found["hex"]:
        return float.fromhex(found["hex"])
    return float(found["decimal"] or found["word"])


def decimal(text: str, precision: int, scale: int) -> str:
    """Return a cast of a text to a decimal, with as many digits as it has."""
    try:
        if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
            raise InvalidOperation
        exact = Decimal(text)
        if exact and exact.adjusted() > precision + scale:
            raise InvalidOperation
        unit = Decimal(1).scaleb(-scale)
        value = exact.quantize(unit, ROUND_HALF_UP, Context(prec=1000))
        if value and value.adjusted() + 1 > precision - scale:
            raise InvalidOperation
    except InvalidOperation:
        raise _no(text, f"decimal({precision},{scale})") from None
    return f"{value:f}"


def _date(sign: str, year: str, month: str, day: str, text: str, target: str) -> date:
    if sign == "-" or not 1 <= int(year) <= 9999:
        raise Refused(f"The year of '{text[:100]}' is not supported: use years from 1 to 9999")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise _no(text, target) from None


def to_date(text: str) -> date:
    """Return a cast of a text to date."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise _no(text, "date")
    sign, year, month, day = found.groups()
    return _date(sign, year, month, day, text, "date")


@cache
def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def to_timestamp(text: str, precision: int) -> datetime:
    """Return a cast of a text to timestamp, which ignores a time zone after it."""
    found = re.fullmatch(
        r"\s*([+-]?)(\d{4,})-(\d{1,2})-(\d{1,2})(?:\s+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?)?(?:\s*(\S+))?\s*",
        text,
        re.ASCII,
    )
    if found is None:
        raise _no(text, "timestamp")
    sign, year, month, day, hour, minute, second, fraction, zone = found.groups()
    if zone and not (_OFFSET.fullmatch(zone) or zone in _zones()):
        raise _no(text, "timestamp")
    day_of = _date(sign, year, month, day, text, "timestamp")
    if zone and hour is None and _OFFSET.fullmatch(zone) and zone[0] in "+-":
        raise _no(text, "timestamp")
    return _moment(day_of, hour or "0", minute or "0", second or "0", fraction or "", precision, text)


def _moment(
    day: date, hour: str, minute: str, second: str, fraction: str, precision: int, text: str
) -> datetime:
    try:
        moment = datetime.combine(day, time(int(hour), int(minute), int(second)))
    except ValueError:
        raise _no(text, "timestamp") from None
    digits = Decimal(f"0.{fraction or 0}").quantize(Decimal(1).scaleb(-precision), ROUND_HALF_UP)
    try:
        return moment + timedelta(microseconds=int(digits * 1_000_000))
    except OverflowError:
        raise Refused(f"The year of '{text[:100]}' is not supported: use years from 1 to 9999") from None


def to_time(text: str, precision: int) -> time:
    """Return a cast of a text to time."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise _no(text, "time")
    hour, minute, second, fraction = found.groups()
    return _moment(date(2000, 1, 1), hour, minute, second or "0", fraction or "", precision, text).time()


def boolean(text: str) -> bool:
    """Return a cast of a text to boolean."""
    lower = text.lower()
    if lower not in ("t", "f", "true", "false", "1", "0"):
        raise _no(text, "boolean")
    return lower in ("t", "true", "1")


def json_number(text: str, target: str) -> str | None:
    """Return a cast of JSON to a number or boolean, as a text that DuckDB casts."""
    kind_of = kind(text)
    if kind_of in ("object", "array"):
        raise _no(text, target)
    if kind_of == "null":
        return None
    if kind_of in ("true", "false"):
        return kind_of if target == "boolean" else "1" if kind_of == "true" else "0"
    if kind_of == "string":
        string = as_text(text) or ""
        if target in _BITS:
            return str(integer(string, target))
        if target == "boolean":
            return str(boolean(string)).lower()
        if target == "decimal":
            return string
        return repr(double(string))
    if target in _BITS:
        if kind_of == "integer":
            return str(_in_range(int(text), text, target))
        value = float(text)
        if not abs(value) < 2**63:
            raise _no(text, target)
        return str(_in_range(int(abs(value) + 0.5) * (1 if value >= 0 else -1), text, target))
    if target == "boolean":
        if kind_of == "integer":
            _in_range(int(text), text, "bigint")
        return "true" if float(text) else "false"
    return text


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "json_number": (json_number, "varchar, varchar -> varchar"),
    "read_boolean": (boolean, "varchar -> boolean"),
    "read_date": (to_date, "varchar -> date"),
    "read_decimal": (decimal, "varchar, integer, integer -> varchar"),
    "read_double": (lambda text: repr(double(text)), "varchar -> varchar"),
    "read_integer": (integer, "varchar, varchar -> bigint"),
    "read_time": (to_time, "varchar, integer -> time"),
    "read_timestamp": (to_timestamp, "varchar, integer -> timestamp"),
}
