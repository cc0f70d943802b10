"""Every SQL text of Scones, with its parameters filled in.

A parameter is written `:name`. There are three kinds of texts:

- Saved queries, `*.sql`: over a range of days. They run from the command line and in Athena's console.
- Views, `views/*.sql`. Their parameters are what they take from `Outcome`: see `_FROM_OUTCOME`.
- Internal queries, `internal/*.sql`: what other parts of Scones ask; any of the values below, texts included.
  A parameter with the name of another internal query stands for that query, with the same values.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path

from ingest.errors import SconesError
from workflow.outcome import IMPORTED_BUCKET, UNKNOWN_RANK, Outcome

_FOLDER = Path(__file__).parent
_PARAMETER = re.compile(r":([a-z_]+)")
_COMMENT = re.compile(r"--.*")

Value = date | int | float
"""Value of a saved query's parameter: `from_dt` and `to_dt` are dates, both included."""
InternalValue = Value | datetime | str | Sequence[str]
"""Value of an internal query's parameter. A sequence of texts is for `IN (:name)`; it must not be empty."""

CONSOLE_DAYS = 28
"""How many days before today the saved queries in Athena's console look back."""

_IN_THE_CONSOLE: Mapping[str, str] = {
    "from_dt": f"date_format(date_add('day', -{CONSOLE_DAYS}, current_date), '%Y-%m-%d')",
    "to_dt": "date_format(current_date, '%Y-%m-%d')",
    "limit": "100",
    "minutes": "60",
    "cells_per_unit": "20",
}

_FROM_OUTCOME: Mapping[str, str] = {
    "outcome_rank": f"CASE outcome {' '.join(f'WHEN {each.value!r} THEN {each.rank}' for each in Outcome)} "
    f"ELSE {UNKNOWN_RANK} END",
    "classified_outcomes": ", ".join(repr(each.value) for each in Outcome if each.is_classified),
    "imported_bucket": repr(IMPORTED_BUCKET),
}
"""SQL that says what `workflow.outcome` says, so that a new outcome changes no SQL file."""


class UnknownQuery(SconesError, LookupError):
    """There is no saved query of that name, and which ones there are."""


def saved_queries() -> list[str]:
    """Return the names of all saved queries, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.sql"))


def question(name: str) -> str:
    """Return what a saved query answers: the comment in its first line.

    Raises:
        UnknownQuery: there is none of that name.
    """
    return _text(name).partition("\n")[0].removeprefix("-- ")


def parameters(name: str) -> list[str]:
    """Return the names of a saved query's parameters, in the order of their first use.

    Raises:
        UnknownQuery: there is none of that name.
    """
    return list(dict.fromkeys(_PARAMETER.findall(_COMMENT.sub("", _text(name)))))


def saved_query(name: str, **values: Value) -> str:
    """Return a saved query with its parameters replaced by literals.

    Raises:
        UnknownQuery: there is none of that name.
        TypeError: a parameter is missing, is not one of the query's, or is of no type that fits in.
        ValueError: a number is not finite.
    """
    wanted = parameters(name)
    if wrong := sorted(set(wanted) ^ set(values)):
        raise TypeError(f"The query {name} takes {', '.join(wanted)}; see to {', '.join(wrong)}.")
    return _replace(_text(name), {parameter: _literal(value) for parameter, value in values.items()})


def console_query(name: str) -> str:
    """Return a saved query as it stands in Athena's console: over the last four weeks, until today.

    Raises:
        UnknownQuery: there is none of that name.
    """
    return _replace(_text(name), _IN_THE_CONSOLE)


def week_query(name: str, monday: date, sunday: date) -> str:
    """Return a saved query over one week, with its other parameters as in Athena's console.

    Raises:
        UnknownQuery: there is none of that name.
    """
    days = {"from_dt": _literal(monday), "to_dt": _literal(sunday)}
    return _replace(_text(name), {**_IN_THE_CONSOLE, **days})


def internal_query(name: str, **values: InternalValue) -> str:
    """Return a query of `internal/` with its parameters replaced by literals.

    Raises:
        KeyError: a parameter has no value.
        TypeError: a value is of no type that has a literal.
        ValueError: a number is not finite, or a sequence is empty.
    """
    literals = {parameter: _internal_literal(value) for parameter, value in values.items()}
    return _internal(name, {**_FROM_OUTCOME, **literals})


def _internal(name: str, literals: Mapping[str, str]) -> str:
    folder = _FOLDER / "internal"
    sql = (folder / f"{name}.sql").read_text(encoding="utf-8")
    parts = {
        parameter: _internal(parameter, literals)
        for parameter in _PARAMETER.findall(_COMMENT.sub("", sql))
        if parameter not in literals and (folder / f"{parameter}.sql").exists()
    }
    return _replace(sql, {**literals, **parts})


def views() -> dict[str, str]:
    """Return the SELECT of each view by the view's name, as Athena runs it."""
    paths = sorted((_FOLDER / "views").glob("*.sql"))
    return {path.stem: _replace(path.read_text(encoding="utf-8"), _FROM_OUTCOME) for path in paths}


@cache
def _text(name: str) -> str:
    if name not in saved_queries():  # which also keeps a name from being a path
        raise UnknownQuery(f"There is no query {name!r}. There are: {', '.join(saved_queries())}.")
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _replace(sql: str, literals: Mapping[str, str]) -> str:
    lines = sql.splitlines(keepends=True)
    return "".join(
        line if line.startswith("--") else _PARAMETER.sub(lambda match: literals[match[1]], line)
        for line in lines
    )


def _internal_literal(value: InternalValue) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}'"
        case Sequence():
            if not value:
                raise ValueError("An empty list has no literal.")
            return ", ".join(map(_internal_literal, value))
        case _:
            return _literal(value)


def _literal(value: Value) -> str:
    match value:
        case bool():
            raise TypeError("A parameter is a date or a number, not a truth value.")
        case date():
            return f"'{value:%Y-%m-%d}'"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return f"{value!r}e0" if "e" not in repr(value) else repr(value)
        case float():
            raise ValueError(f"{value} is not a number that SQL knows.")
        case _:
            raise TypeError(f"{value!r} is not a value for a parameter.")
