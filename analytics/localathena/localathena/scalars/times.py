"""Texts as timestamps, by a form: date_parse (MySQL's specifiers) and parse_datetime (Joda's letters)."""

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


@lru_cache(maxsize=64)
def _joda_pieces(form: str) -> tuple[list[Piece], str]:
    pieces: list[Piece] = []
    before = ""
    found = list(_JODA_PIECE.finditer(form))
    for piece, following in zip(found, [*found[1:], None], strict=True):
        letters, letter = piece[2], piece[3]
        if not letters:
            before += piece[4] or (piece[1] or "").replace("''", "'") or "'"
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


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "date_parse": (date_parse, "varchar, varchar -> timestamp"),
    "parse_datetime": (parse_datetime, "varchar, varchar -> timestamp"),
}
