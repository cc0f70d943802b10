"""A client of Trino's HTTP protocol, which keeps values as Trino's JSON has them."""

import json
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

_PAUSE_S = 0.02


@dataclass(frozen=True)
class Answer:
    """What Trino says to a statement: columns and rows, or an error."""

    columns: list[tuple[str, str]]
    """Name and type of each column."""
    rows: list[list[Any]]
    error: str = ""
    """Name of the error, a colon and its message; empty if there was none."""


def ask(address: str, sql: str, catalog: str, schema: str) -> Answer:
    """Run one statement, and return its result or its error."""
    headers = {
        "X-Trino-User": "judge",
        "X-Trino-Catalog": catalog,
        "X-Trino-Schema": schema,
        "X-Trino-Time-Zone": "UTC",
        "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
    }
    request = urllib.request.Request(f"{address}/v1/statement", sql.encode(), headers)  # noqa: S310
    columns: list[tuple[str, str]] = []
    rows: list[list[Any]] = []
    while True:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            page = json.load(response)
        columns = [(column["name"], column["type"]) for column in page.get("columns", [])] or columns
        rows += page.get("data", [])
        if "error" in page:
            return Answer([], [], f"{page['error']['errorName']}: {page['error']['message']}")
        if "nextUri" not in page:
            return Answer(columns, rows)
        request = urllib.request.Request(page["nextUri"], headers=headers)  # noqa: S310
        if not page.get("data"):
            time.sleep(_PAUSE_S)
