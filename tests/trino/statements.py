"""Statements that a Trino and the local Athena are both asked: of the facts, of the tests, of the project."""

import importlib
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from infra.installation import PROJECT
from tests.trino import TESTS

_NOT_ANSWERED = (
    *("REFUSED", "FAILING", "MESSAGES", "SYNTAX", "NOT_PLANNED", "NOT_COVERED", "COSTLY"),
    *("LISTED", "WRITTEN"),
)
"""Lists of what the local Athena refuses, of what only Athena has, and of types."""
_STATEMENT = re.compile(r"\s*(--[^\n]*\n\s*)*\(*\s*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)
_ATHENAS = re.compile(r"\s*(--[^\n]*\n\s*)*(SHOW|DESC|DESCRIBE|EXPLAIN)\b", re.IGNORECASE)


def of_the_tests() -> Iterator[str]:
    """Yield the statements that the local Athena's own tests have an answer for."""
    for file in sorted(TESTS.glob("test_*.py")):
        module = importlib.import_module(file.stem)
        for name, cases in vars(module).items():
            if not name.isupper() or not isinstance(cases, list) or name in _NOT_ANSWERED:
                continue
            source = f" FROM {module.ROWS}" if name == "AGGREGATES" else ""
            for case in cases:
                if isinstance(case, tuple) and isinstance(case[0], str) and not _ATHENAS.match(case[0]):
                    sql = case[0].rstrip("; ")  # which Athena takes at the end, and Trino does not
                    yield sql if _STATEMENT.match(sql) else f"SELECT {sql}{source}"


def of_the_project(monday: date, sunday: date) -> Iterator[tuple[str, str]]:
    """Yield a name and a statement: saved questions over three ranges, what commands ask, tables, views."""
    from analytics.lake.columns import TABLES
    from analytics.questions.queries import internal_query, saved_queries, views, week_query

    for name in saved_queries():
        for since, until in ((monday, sunday), (monday, monday), (sunday, sunday + timedelta(days=6))):
            yield f"{name} {since}", week_query(name, since, until)
    for name in (*TABLES, *views()):
        yield name, f"SELECT * FROM {name} WHERE dt BETWEEN '{monday}' AND '{sunday}'"
        yield f"{name}, counted", f"SELECT dt, count(*) FROM {name} WHERE dt > '{monday}' GROUP BY dt"
    days = [str(monday + timedelta(days=number)) for number in range(14)]
    for number in (0, 10_000, 10_161):
        key = f"van-{number % 40:02}/{number:07}.jpg"
        rows = internal_query("rows_about", key=key, version=f"v{number}", days=days, limit=100)
        yield f"columns about {key}", rows
        yield (
            f"rows about {key}",
            rows.replace('"$path"', "result_id"),
        )  # a path is compared by its type alone
    accounts = internal_query("accounts", listing="none", bucket="scones-incoming", prefix="")
    yield "accounts", f"SELECT * FROM ({accounts})"
    paths = f"""SELECT DISTINCT "$path", "$file_size" FROM predictions WHERE dt > '{monday}'"""
    yield "files", paths


def folder_of() -> Path:
    """Return the folder of Trino and its files, which `make clean` removes."""
    return PROJECT / "build" / "trino"
