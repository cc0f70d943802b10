"""The embedded AWS's Athena, over its S3: the local Athena's translation of SQL, and Scones' views.

ministack passes SQL to DuckDB unchanged, where `approx_percentile` does not exist and 1 / 2 is 0.5. The local
Athena is loaded with the first query: pandas, pyarrow and DuckDB take 150 MB.
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

_parameters: ContextVar[list[str]] = ContextVar("parameters", default=[])  # noqa: B039 - never changed


async def run(sql: str, database: str, catalog: str | None = None) -> dict[str, Any]:
    """Run a query of ministack's Athena and return its columns, their types and its rows.

    Raises:
        LookupError: the database has no table of results. ministack would read any file.
        localathena.errors.QueryRefused, localathena.errors.QueryFailed: with the reason.
    """
    folder = _folder_of(database)
    if folder is None:
        raise LookupError(f"the database {database} has no results to ask about: name the stack's own")
    return await asyncio.to_thread(_answer, sql, database, folder)


def remembering_parameters(start: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Return ministack's start of a query, extended to pass on the values of its `?` placeholders."""

    def wrapped(request: dict[str, Any]) -> Any:
        _parameters.set(request.get("ExecutionParameters", []))
        return start(request)

    return wrapped


def _folder_of(database: str) -> Path | None:
    """Return the folder of the embedded S3 with the results of a database, if there is one."""
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
"""Trino's type → Athena's name for it, where they differ."""


def _unquoted(parameter: str) -> str:
    """Return the text of a parameter, which Athena expects as SQL. Only texts are supported."""
    if len(parameter) < 2 or not parameter.startswith("'") or not parameter.endswith("'"):
        raise ValueError(f"the embedded Athena takes texts as parameters, not {parameter}")
    return parameter[1:-1].replace("''", "'")
