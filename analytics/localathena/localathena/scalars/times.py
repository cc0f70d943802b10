"""Texts as timestamps and back, by a form: date_parse has MySQL's specifiers, the others Joda's letters."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

from localathena.scalars.failures import Failed, Refused

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MOST_DIGITS = {"year": 9, "day_of_year": 3, "fraction": 9}

_MYSQL = {
    "b": "month_name", "M": "month_name", "c": "month", "m": "month", "d": "day", "e": "day", "f": "fraction",
    "H": "hour", "k": "hour", "h": "clock_hour", "I": "clock_hour", "l": "clock_hour", "i": "minute",
    "j": "day_of_year", "p": "half", "S": "second", "s": "second", "Y": "year", "y": "two_digits",
}  # fmt: skip
_COMPOUND = {"T": "%H:%i:%S", "r": "%h:%i:%S %p"}
_UNSUPPORTED = frozenset("awWxvuUVXD")
"""Specifiers of weeks and weekdays."""

Piece = tuple[str, int, str]
"""A field's name, its most digits, and what stands before it."""

_JODA = {"y": "year", "Y": "year", "M": "month", "d": "day", "H": "hour", "h": "clock_hour", "m": "minute",
         "s": "second", "D": "day_of_year", "a": "half"}  # fmt: skip


@lru_cache(maxsize=64)
def _mysql_pieces(form: str) -> tuple[list[Piece], str]:
    pieces: list[Piece] = []
    before, at = "", 0
    while at < len(form):
        if form[at] != "%":
            before, at = before + form[at], at + 1
            continue
        letter = form[at + 1 : at + 2]
        at += 2
        if letter in _COMPOUND:
            form = form[:at] + _COMPOUND[letter] + form[at:]
        elif letter in _UNSUPPORTED:
            raise Refused(f"date_parse with %{letter} is not supported")
        elif letter in _MYSQL:
            field = _MYSQL[letter]
            digits = {"year": 4, "two_digits": 2}.get(field, _MOST_DIGITS.get(field, 2))
            pieces.append((field, digits, before))
            before = ""
        else:
            before += letter
    return pieces, before


_JODA_PIECE = re.compile(r"'((?:[^']|'')*)'?|(([A-Za-z])\3*)|(.)", re.DOTALL)


def _plain(piece: "re.Match[str]") -> str:
    """Return what a piece that is not letters stands for: two quotes are one."""
    return "'" if piece[0] == "''" else piece[4] or piece[1].replace("''", "'")


@lru_cache(maxsize=64)
def _joda_pieces(form: str) -> tuple[list[Piece], str]:
    pieces: list[Piece] = []
    before = ""
    found = list(_JODA_PIECE.finditer(form))
    for piece, following in zip(found, [*found[1:], None], strict=True):
        letters, letter = piece[2], piece[3]
        if not letters:
            before += _plain(piece)
            continue
        field = "fraction" if letter == "S" else _JODA.get(letter)
        if field is None or (letter == "a" and len(letters) > 1):
            raise Refused(f"parse_datetime with {letters} is not supported")
        digits = _MOST_DIGITS.get(field, 2)
        if field == "month" and len(letters) > 2:
            field = "month_name"
        elif field == "year":
            if len(letters) == 2:
                field, digits = "two_digits", 2
            elif following is not None and following[2]:
                digits = len(letters)
        elif field == "fraction":
            digits = len(letters)
        pieces.append((field, digits, before))
        before = ""
    return pieces, before


def _names(field: str) -> tuple[str, ...]:
    return ("am", "pm") if field == "half" else _MONTHS


def _read(text: str, pieces: list[Piece], end: str) -> dict[str, int]:
    """Return the fields of a text."""
    bad = Failed(f"Invalid format: {text[:100]!r} is malformed")
    values: dict[str, int] = {}
    at = 0
    for field, digits, before in pieces:
        if text[at : at + len(before)].lower() != before.lower():
            raise bad
        at += len(before)
        if field in ("month_name", "half"):
            lower = text[at:].lower()
            names = [(name, index) for index, name in enumerate(_names(field), 1)]
            if field == "month_name":
                names += [(name[:3], index) for name, index in names]
            matching = [(len(name), index) for name, index in names if lower.startswith(name)]
            if not matching:
                raise bad
            length, value = max(matching)
            values["month" if field == "month_name" else field] = value
            at += length
            continue
        sign = re.compile("[+-]" if field == "year" else "").match(text, at)
        start = sign.end() if sign else at
        found = re.compile(rf"[0-9]{{1,{digits}}}").match(text, start)
        if found is None:
            raise bad
        at = found.end()
        if sign and sign[0] == "-":
            raise Refused(f"The year of {text[:100]!r} is not supported")
        if field == "fraction":
            values[field] = int(found[0].ljust(9, "0")) // 1_000_000
        elif field == "two_digits":
            if len(found[0]) != 2:
                raise Refused(f"A year of one digit in {text[:100]!r} is not supported")
            values["year"] = int(found[0]) + (2000 if int(found[0]) < 70 else 1900)
        else:
            values[field] = int(found[0])
    if text[at:].lower() != end.lower():
        raise bad
    return values


_RANGES = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "clock_hour": (1, 12), "minute": (0, 59),
           "second": (0, 59), "day_of_year": (1, 366)}  # fmt: skip


def _moment(text: str, values: dict[str, int]) -> datetime:
    for field, (least, most) in _RANGES.items():
        if field in values and not least <= values[field] <= most:
            raise Failed(
                f"Cannot parse {text[:100]!r}: {values[field]} for {field} must be from {least} to {most}"
            )
    has_date = values.keys() & {"month", "day", "day_of_year"}
    year = values.get("year", 2000 if has_date else 1970)
    if not 1 <= year <= 9999:
        raise Refused(f"The year of {text[:100]!r} is not supported: use years from 1 to 9999")
    if ("clock_hour" in values and "hour" in values) or (
        "day_of_year" in values and values.keys() & {"month", "day"}
    ):
        raise Refused("A form that names a field twice is not supported")
    hour = values.get("hour", values.get("clock_hour", 0) % 12)
    if "half" in values:
        hour = hour % 12 + (12 if values["half"] == 2 else 0)
    try:
        day = datetime.combine(date(year, values.get("month", 1), values.get("day", 1)), time())
        day += timedelta(days=values.get("day_of_year", 1) - 1)
    except (ValueError, OverflowError):
        raise Failed(f"Cannot parse {text[:100]!r}: there is no such day") from None
    if day.year != year:
        raise Failed(f"Cannot parse {text[:100]!r}: Value 366 for dayOfYear must be in the range [1,365]")
    milliseconds = values.get("fraction", 0)
    return day.replace(
        hour=hour,
        minute=values.get("minute", 0),
        second=values.get("second", 0),
        microsecond=milliseconds * 1000,
    )


def date_parse(text: str, form: str) -> datetime:
    """Return `date_parse`."""
    return _moment(text, _read(text, *_mysql_pieces(form)))


def parse_datetime(text: str, form: str) -> datetime:
    """Return `parse_datetime` of a text without a time zone, in UTC."""
    return _moment(text, _read(text, *_joda_pieces(form)))


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBERS: Mapping[str, Callable[[datetime], int]] = {
    "y": lambda at: at.year,
    "Y": lambda at: at.year,
    "x": lambda at: at.isocalendar().year,
    "C": lambda at: at.year // 100,
    "w": lambda at: at.isocalendar().week,
    "e": lambda at: at.isoweekday(),
    "D": lambda at: at.timetuple().tm_yday,
    "M": lambda at: at.month,
    "d": lambda at: at.day,
    "H": lambda at: at.hour,
    "k": lambda at: at.hour or 24,
    "K": lambda at: at.hour % 12,
    "h": lambda at: at.hour % 12 or 12,
    "m": lambda at: at.minute,
    "s": lambda at: at.second,
}
"""Joda's letters that are written as numbers. Source: https://www.joda.org/joda-time/key_format.html"""


@lru_cache(maxsize=64)
def _joda_writers(form: str) -> list[Callable[[datetime], str]]:
    if not form:
        raise Failed("Invalid pattern specification: the form is empty")
    return [_writer(found) for found in _JODA_PIECE.finditer(form)]


def _writer(found: "re.Match[str]") -> Callable[[datetime], str]:
    letters, letter = found[2] or "", found[3]
    count = len(letters)
    if not letters:
        plain = _plain(found)
        return lambda at: plain
    if letter in "zZ":
        raise Refused(f"format_datetime with {letters} is not supported: write to_iso8601(x)")
    if letter == "E":
        return lambda at: _DAYS[at.weekday()][: None if count > 3 else 3]
    if letter == "M" and count > 2:
        return lambda at: _MONTHS[at.month - 1].title()[: None if count > 3 else 3]
    if letter == "S":
        return lambda at: f"{at.microsecond // 1000:03}".ljust(count, "0")[:count]
    if letter == "a":
        return lambda at: "AM" if at.hour < 12 else "PM"
    if letter == "G":
        return lambda at: "AD"
    if letter not in _NUMBERS:
        raise Failed(f"Illegal pattern component: {letters}")
    number = _NUMBERS[letter]
    if letter in "yYx" and count == 2:
        return lambda at: f"{number(at) % 100:02}"
    return lambda at: f"{number(at):0{count}}"


def format_datetime(at: datetime, form: str) -> str:
    """Return `format_datetime` of a local timestamp."""
    return "".join(write(at) for write in _joda_writers(form))


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "date_parse": (date_parse, "varchar, varchar -> timestamp"),
    "format_datetime": (format_datetime, "timestamp, varchar -> varchar"),
    "parse_datetime": (parse_datetime, "varchar, varchar -> timestamp"),
}
