"""The embedded AWS's Athena, over its S3: our translation of Athena's SQL, and our views.

ministack hands SQL to DuckDB as it stands, where `approx_percentile` is unknown and 1 / 2 is a half.
What this needs of ours is loaded with the first query: pandas, pyarrow and DuckDB are 150 MB.
"""

import asyncio
import json
import math
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ministack.core.responses import get_account_id
from ministack.services import glue, s3

_parameters: ContextVar[list[str]] = ContextVar("parameters", default=[])  # noqa: B039 - nobody changes it

Run = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


def answering(others: Run) -> Run:
    """Return what runs a query of ministack's Athena; `others` runs those on a database that is not ours."""

    async def run(sql: str, database: str, catalog: str | None = None) -> dict[str, Any]:
        folder = _folder_of(database)
        if folder is None:
            return await others(sql, database, catalog)
        return await asyncio.to_thread(_answer, sql, database, folder)

    return run


def remembering_parameters(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Return what starts a query and hands on what its `?` stand for, which ministack does not."""

    def wrapped(request: dict[str, Any]) -> Any:
        _parameters.set(request.get("ExecutionParameters", []))
        return start(request)

    return wrapped


def _folder_of(database: str) -> Path | None:
    """Return where the embedded S3 keeps the bucket of a database's results, if it has any."""
    from analytics.table import TABLE

    status, _, body = glue._get_table({"DatabaseName": database, "Name": TABLE})
    if status != 200:
        return None
    location = json.loads(body)["Table"]["StorageDescriptor"]["Location"]
    return Path(s3.DATA_DIR, get_account_id(), urlparse(location).netloc)


def _answer(sql: str, database: str, folder: Path) -> dict[str, Any]:
    from analytics.athena import LocalAthena
    from analytics.queries import views

    athena = LocalAthena(folder, views(), database=database)
    try:
        frame = athena.query(sql, list(map(_unquoted, _parameters.get()))).frame
    finally:
        athena.close()
    lists = [frame[column].astype(object).tolist() for column in frame.columns]
    return {
        "columns": [str(column) for column in frame.columns],
        "column_types": [_type_of(values) for values in lists],
        "rows": [[_cell(value) for value in row] for row in zip(*lists, strict=True)],
    }


def _unquoted(parameter: str) -> str:
    """Return the text of a parameter, which Athena wants as SQL; ours takes texts alone."""
    if len(parameter) < 2 or not parameter.startswith("'") or not parameter.endswith("'"):
        raise ValueError(f"the embedded Athena takes texts as parameters, not {parameter}")
    return parameter[1:-1].replace("''", "'")


def _type_of(values: list[Any]) -> str:
    """Return Athena's name of a column's type, as far as its values tell."""
    first = next((value for value in values if not _is_null(value)), None)
    for type_, name in _TYPES.items():
        if isinstance(first, type_):
            return "timestamp with time zone" if getattr(first, "tzinfo", None) else name
    return "varchar"


_TYPES: dict[type, str] = {
    bool: "boolean",  # before int, as datetime before date: the one is the other too
    int: "bigint",
    float: "double",
    datetime: "timestamp",
    date: "date",
    timedelta: "interval day to second",
    list: "array",
    dict: "map",
    bytes: "varbinary",
}


def _cell(value: Any) -> str | None:
    return None if _is_null(value) else text(value)


def _is_null(value: Any) -> bool:
    not_a_number = isinstance(value, float) and math.isnan(value)
    return value is None or not_a_number or type(value).__name__ in ("NaTType", "NAType")


def text(value: Any) -> str:
    """Return a value as Athena writes it into its answers."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case datetime():
            zone = f" {value.tzname()}" if value.tzinfo else ""
            return value.replace(tzinfo=None).isoformat(" ", "milliseconds") + zone
        case timedelta():
            seconds = round(abs(value).total_seconds(), 3)
            days, rest = divmod(seconds, 86_400)
            hours, rest = divmod(rest, 3600)
            minutes, rest = divmod(rest, 60)
            sign = "-" if value < timedelta(0) else ""
            return f"{sign}{days:.0f} {hours:02.0f}:{minutes:02.0f}:{rest:06.3f}"
        case list():
            return f"[{', '.join(map(text, value))}]"
        case dict():
            return "{" + ", ".join(f"{text(key)}={text(item)}" for key, item in value.items()) + "}"
        case bytes():
            return value.hex(" ")
    return str(value)
