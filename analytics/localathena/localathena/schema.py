"""information_schema, and the partitions of a table as a table."""

from collections.abc import Mapping

from localathena.listing import values_of
from localathena.tables import Table
from localathena.types import BIGINT, VARCHAR, Column, quoted

CATALOG = "awsdatacatalog"
_NAMES = {
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
    "columns": (
        "table_catalog",
        "table_schema",
        "table_name",
        "column_name",
        "ordinal_position",
        "column_default",
        "is_nullable",
        "data_type",
    ),
}
"""Table of information_schema → its columns, as Trino has them. It does not list its own tables."""


def information_schema(
    name: str, tables: Mapping[str, Table], database: str
) -> tuple[str, list[Column]] | None:
    """Return a table of information_schema as a query, and its columns; None if there is none of the name."""
    if name not in _NAMES:
        return None
    within = (CATALOG, database.lower())
    lines: list[tuple[str | int | None, ...]] = []
    if name == "schemata":
        lines = [within, (CATALOG, "information_schema")]
    for table in tables.values():
        if name == "tables":
            lines.append((*within, table.name, "BASE TABLE" if table.view_sql is None else "VIEW"))
        elif name == "views" and table.view_sql is not None:
            lines.append((*within, table.name, table.view_sql.strip()))
        elif name == "columns":
            lines += [
                (*within, table.name, column.name, place, None, "YES", str(column.type))
                for place, column in enumerate(table.columns, 1)
            ]
    columns = [Column(each, BIGINT if each == "ordinal_position" else VARCHAR) for each in _NAMES[name]]
    listed = ", ".join(quoted(column.name) for column in columns)
    return f"(SELECT * FROM ({values_of(lines, len(columns))}) AS v({listed}))", columns  # noqa: S608


def partitions(name: str, tables: Mapping[str, Table]) -> tuple[str, list[Column]] | None:
    """Return `TABLE$partitions` as a query, and its columns; None if that is not its name.

    Which projected partitions Athena lists there is not documented: there is none for a projected table.
    """
    table = tables.get(name.removesuffix("$partitions")) if name.endswith("$partitions") else None
    if table is None or table.view_sql is not None or table.is_projected:
        return None
    keys = [column for column in table.columns if column.is_partition]
    listed = ", ".join(quoted(key.name) for key in keys)
    sql = f"(SELECT DISTINCT {listed} FROM {quoted(table.name)})"  # noqa: S608
    return sql, [Column(key.name, key.type) for key in keys]
