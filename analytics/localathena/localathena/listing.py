"""SHOW TABLES, SHOW COLUMNS and DESCRIBE."""

import re
from collections.abc import Mapping, Sequence

from localathena import types
from localathena.errors import QueryRefused
from localathena.tables import Table, Translation
from localathena.types import VARCHAR, Column, text

SHOWING = re.compile(r"(SHOW|DESC|DESCRIBE)\b", re.IGNORECASE)
_NAME = r"(?:(?P<database>\w+)\.)?(?P<table>\w+)"
_LISTINGS = {
    "tables": r"SHOW\s+TABLES(?:\s+IN\s+(?P<database>\w+))?(?:\s+(?:LIKE\s+)?'(?P<form>[^']*)')?",
    "columns": rf"SHOW\s+COLUMNS\s+(?:FROM|IN)\s+{_NAME}",
    "types": rf"(?:DESC|DESCRIBE)\s+{_NAME}",
}
_NOT_SHOWN = {
    r"SHOW\s+PARTITIONS": "SELECT DISTINCT dt FROM the table",
    r"SHOW\s+(CREATE|TBLPROPERTIES)|DESC(RIBE)?\s+(FORMATTED|EXTENDED)": "DESCRIBE and the table's name",
    r"SHOW\s+VIEWS": "SHOW TABLES, which has the views too",
    r"SHOW\s+(DATABASES|SCHEMAS|CATALOGS)": "SHOW TABLES: there is one database",
}
"""Statements that are not supported, and what to write instead."""


def listed(tables: Mapping[str, Table], sql: str, database: str | None) -> Translation:
    """Return SHOW TABLES, SHOW COLUMNS or DESCRIBE as VALUES."""
    tried = ((kind, re.fullmatch(form + r"\s*;?", sql, re.IGNORECASE)) for kind, form in _LISTINGS.items())
    kind, found = next(((kind, found) for kind, found in tried if found), ("", None))
    if found is None:
        instead = next((told for form, told in _NOT_SHOWN.items() if re.match(form, sql, re.IGNORECASE)), "")
        raise QueryRefused(
            "Only SHOW TABLES, SHOW COLUMNS FROM and DESCRIBE of a table are supported."
            + (f" Write {instead}." if instead else "")
        )
    asked = found["database"]
    if asked and database and asked.lower() != database.lower():
        raise QueryRefused(f"There is no database {asked}, but {database}.")
    if kind == "tables":
        form = "|".join(map(re.escape, (found["form"] or "*").split("|"))).replace(r"\*", ".*")
        names = [[name] for name in sorted(tables) if re.fullmatch(form, name, re.IGNORECASE)]
        return Translation(_values_of(names, 1), [Column("tab_name", VARCHAR)])
    if found["table"].lower() not in tables:
        raise QueryRefused(
            f"There is no table {found['table']}. The tables are: {', '.join(sorted(tables))}."
        )
    columns = tables[found["table"].lower()].columns
    if kind == "columns":
        return Translation(_values_of([[c.name] for c in columns], 1), [Column("field", VARCHAR)])
    lines = [[column.name, types.in_hive(column.type)] for column in columns]
    return Translation(_values_of(lines, 2), [Column("col_name", VARCHAR), Column("data_type", VARCHAR)])


def _values_of(lines: Sequence[Sequence[str]], width: int) -> str:
    if not lines:
        return f"SELECT {', '.join(['NULL'] * width)} WHERE FALSE"
    return "VALUES " + ", ".join("(" + ", ".join(map(text, line)) + ")" for line in lines)
