"""The embedded AWS's Athena, over its S3: our translation of Athena's SQL, and our views.

ministack hands SQL to DuckDB as it stands, where `approx_percentile` is unknown and 1 / 2 is a half.
What this needs of ours is loaded with the first query: pandas, pyarrow and DuckDB are 150 MB.
"""

import asyncio
import json
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ministack.core.responses import get_account_id
from ministack.services import glue, s3

_parameters: ContextVar[list[str]] = ContextVar("parameters", default=[])  # noqa: B039 - nobody changes it


async def run(sql: str, database: str, catalog: str | None = None) -> dict[str, Any]:
    """Run a query of ministack's Athena and return its columns, their types and its rows.

    Raises:
        LookupError: the database has no table of results. ministack would read any file for it.
        localathena.errors.QueryRefused, localathena.errors.QueryFailed: with the reason.
    """
    folder = _folder_of(database)
    if folder is None:
        raise LookupError(f"the database {database} has no results to ask about: name the stack's own")
    return await asyncio.to_thread(_answer, sql, database, folder)


def remembering_parameters(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Return what starts a query and hands on what its `?` stand for, which ministack does not."""

    def wrapped(request: dict[str, Any]) -> Any:
        _parameters.set(request.get("ExecutionParameters", []))
        return start(request)

    return wrapped


def _folder_of(database: str) -> Path | None:
    """Return where the embedded S3 keeps the bucket of a database's results, if it has any."""
    from analytics.lake.schema import TABLE

    status, _, body = glue._get_table({"DatabaseName": database, "Name": TABLE})
    if status != 200:
        return None
    location = json.loads(body)["Table"]["StorageDescriptor"]["Location"]
    return Path(s3.DATA_DIR, get_account_id(), urlparse(location).netloc)


def _answer(sql: str, database: str, folder: Path) -> dict[str, Any]:
    from analytics.lake.schema import SCHEMAS
    from analytics.questions.queries import views
    from localathena.engine import LocalAthena
    from localathena.results import text_of

    athena = LocalAthena(folder, views(), schemas=SCHEMAS, database=database)
    try:
        columns, rows = athena.rows(sql, list(map(_unquoted, _parameters.get())))
    finally:
        athena.close()
    kinds = [column.type for column in columns]
    return {
        "columns": [column.name for column in columns],
        "column_types": [_NAMES.get(kind.name, kind.name) for kind in kinds],
        "rows": [
            [None if cell is None else text_of(cell, kind) for cell, kind in zip(row, kinds, strict=True)]
            for row in rows
        ],
    }


_NAMES = {"real": "float"}
"""Athena's own for some of Trino's types."""


def _unquoted(parameter: str) -> str:
    """Return the text of a parameter, which Athena wants as SQL; ours takes texts alone."""
    if len(parameter) < 2 or not parameter.startswith("'") or not parameter.endswith("'"):
        raise ValueError(f"the embedded Athena takes texts as parameters, not {parameter}")
    return parameter[1:-1].replace("''", "'")
