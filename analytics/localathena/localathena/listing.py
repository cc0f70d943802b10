"""SHOW and DESCRIBE in Athena's forms, and EXPLAIN (TYPE VALIDATE)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from localathena import types
from localathena.errors import QueryRefused
from localathena.tables import Table, Translation
from localathena.types import BOOLEAN, VARCHAR, Column, text

_QUOTED = r"(?:`{0}`|\"{0}\"|{0})"
_DATABASE = _QUOTED.format(r"\w+")
_NAME = (
    rf"(?:(?P<catalog>{_DATABASE})\.(?={_DATABASE}\.))?(?:(?P<database>{_DATABASE})\.)?(?P<table>{_DATABASE})"
)
_IN = rf"(?:FROM|IN)\s+(?P<database>{_DATABASE})"
_LIKE = r"(?:\s+(?:LIKE\s+)?'(?P<form>[^']*)')?"
_FORMS = {
    "databases": rf"SHOW\s+(?:DATABASES|SCHEMAS){_LIKE}",
    "tables": rf"SHOW\s+TABLES(?:\s+{_IN})?{_LIKE}",
    "views": rf"SHOW\s+VIEWS(?:\s+{_IN})?{_LIKE}",
    "columns": rf"SHOW\s+COLUMNS\s+(?:FROM|IN)\s+{_NAME}",
    "columns of": rf"SHOW\s+COLUMNS\s+(?:FROM|IN)\s+(?P<table>{_DATABASE})\s+{_IN}",
    "partitions": rf"SHOW\s+PARTITIONS\s+{_NAME}",
    "properties": rf"SHOW\s+TBLPROPERTIES\s+{_NAME}(?:\s*\(\s*'(?P<property>[^']*)'\s*\))?",
    "table": rf"SHOW\s+CREATE\s+TABLE\s+{_NAME}",
    "view": rf"SHOW\s+CREATE\s+VIEW\s+{_NAME}",
    "types": rf"(?:DESC|DESCRIBE)\s+{_NAME}",
}
_NOT_SHOWN = {
    r"SHOW\s+FUNCTIONS": "Athena lists its functions, of which some are not supported here",
    r"SHOW\s+CATALOGS": "there is one catalog, AwsDataCatalog",
    r"DESC(RIBE)?\s+(FORMATTED|EXTENDED)": "write DESCRIBE without FORMATTED or EXTENDED",
}
"""Statements that are not supported, and why or what to write instead."""


def listed(tables: Mapping[str, Table], sql: str, database: str | None) -> Translation:
    """Return what SHOW or DESCRIBE lists, as a SELECT."""
    tried = ((kind, re.fullmatch(form + r"\s*;?", sql, re.IGNORECASE)) for kind, form in _FORMS.items())
    kind, found = next(((kind, found) for kind, found in tried if found), ("", None))
    if found is None:
        why = next((told for form, told in _NOT_SHOWN.items() if re.match(form, sql, re.IGNORECASE)), "")
        raise QueryRefused(
            "This form of SHOW or DESCRIBE is not supported"
            + (f": {why}." if why else ". Supported are SHOW DATABASES, TABLES, VIEWS, COLUMNS, PARTITIONS, ")
            + ("" if why else "TBLPROPERTIES, CREATE TABLE and CREATE VIEW, and DESCRIBE of a table.")
        )
    named = {name: part.strip('`"') for name, part in found.groupdict().items() if part is not None}
    asked = named.get("database")
    if asked and database and asked.lower() != database.lower():
        raise QueryRefused(f"There is no database {asked}, but {database}.")
    if kind == "databases":
        return _values([[database or "default"]], ["database_name"], named.get("form"))
    if kind in ("tables", "views"):
        names = [[name] for name in sorted(tables) if kind == "tables" or tables[name].view_sql is not None]
        return _values(names, ["tab_name" if kind == "tables" else "views"], named.get("form"))
    table = tables.get(named["table"].lower())
    if table is None:
        raise QueryRefused(
            f"There is no table {named['table']}. The tables are: {', '.join(sorted(tables))}."
        )
    if kind == "properties":
        return _properties(table, named.get("property"))
    return _OF_A_TABLE[kind](table, database or "default")


def validated() -> Translation:
    """Return what EXPLAIN (TYPE VALIDATE) says to a statement that has a translation."""
    return Translation("SELECT true", [Column("Valid", BOOLEAN)])


def _columns(table: Table, _: str) -> Translation:
    return _values([[column.name] for column in table.columns], ["field"])


def _described(table: Table, _: str) -> Translation:
    comments = {column["Name"]: column.get("Comment", "") for column in _glue_columns(table)}
    lines = [[c.name, types.in_hive(c.type), comments.get(c.name, "")] for c in table.columns]
    partitions = [line for line, column in zip(lines, table.columns, strict=True) if column.is_partition]
    if partitions and table.view_sql is None:
        head = [["", "", ""], ["# Partition Information", "", ""], ["# col_name", "data_type", "comment"]]
        lines = [*lines, *head, ["", "", ""], *partitions]
    return _values(lines, ["col_name", "data_type", "comment"])


def _partitions(table: Table, _: str) -> Translation:
    if table.view_sql is not None:
        raise QueryRefused(f"{table.name} is a view, which has no partitions.")
    if table.is_projected:  # Athena lists what is in Glue, where projected partitions are not
        return _values([], ["partition"])
    key = next(column for column in table.columns if column.is_partition).name
    sql = f"SELECT DISTINCT '{key}=' || {types.quoted(key)} FROM {types.quoted(table.name)} ORDER BY 1"  # noqa: S608
    return Translation(sql, [Column("partition", VARCHAR)])


def _properties(table: Table, name: str | None) -> Translation:
    found = _in_glue(table, "SHOW TBLPROPERTIES").get("Parameters", {})
    if name is not None and name not in found:
        raise QueryRefused(f"The table {table.name} has no property {name}.")
    shown = sorted(found.items()) if name is None else [(name, found[name])]
    return _values(shown, ["prpt_name", "prpt_value"])


def _created_view(table: Table, database: str) -> Translation:
    if table.view_sql is None:
        raise QueryRefused(f"{table.name} is a table: write SHOW CREATE TABLE {table.name}.")
    return _values([[f"CREATE VIEW {database}.{table.name} AS\n{table.view_sql.strip()}"]], ["Create View"])


def _created_table(table: Table, _: str) -> Translation:
    if table.view_sql is not None:
        raise QueryRefused(f"{table.name} is a view: write SHOW CREATE VIEW {table.name}.")
    found = _in_glue(table, "SHOW CREATE TABLE")
    storage, keys = found["StorageDescriptor"], found.get("PartitionKeys", [])
    lines = [
        f"CREATE EXTERNAL TABLE `{table.name}`(",
        *_defined(storage["Columns"]),
        *(["PARTITIONED BY ( ", *_defined(keys)] if keys else []),
        "ROW FORMAT SERDE ",
        f"  {text(storage['SerdeInfo']['SerializationLibrary'])} ",
        "STORED AS INPUTFORMAT ",
        f"  {text(storage['InputFormat'])} ",
        "OUTPUTFORMAT ",
        f"  {text(storage['OutputFormat'])}",
        "LOCATION",
        f"  {text(storage['Location'])}",
        "TBLPROPERTIES (",
        *_separated(
            f"  {text(name)}={text(value)}"
            for name, value in sorted(found.get("Parameters", {}).items())
            if name != "EXTERNAL"
        ),
    ]
    return _values([[line] for line in lines], ["createtab_stmt"])


_OF_A_TABLE: Mapping[str, Callable[[Table, str], Translation]] = {
    "columns": _columns,
    "columns of": _columns,
    "types": _described,
    "partitions": _partitions,
    "table": _created_table,
    "view": _created_view,
}


def _defined(columns: Sequence[Mapping[str, str]]) -> list[str]:
    return _separated(
        f"  `{column['Name']}` {column['Type']}"
        + (f" COMMENT {text(column['Comment'])}" if column.get("Comment") else "")
        for column in columns
    )


def _separated(parts: Any) -> list[str]:
    """Return the lines of a list, a comma after each but the last, which closes it."""
    lines = list(parts)
    return [*(f"{line}, " for line in lines[:-1]), *(f"{line})" for line in lines[-1:])]


def _in_glue(table: Table, statement: str) -> Mapping[str, Any]:
    if table.glue is None:
        raise QueryRefused(
            f"{statement} needs what Glue knows about {table.name}, which is not known here: "
            "ask over Athena's API."
        )
    return table.glue


def _glue_columns(table: Table) -> list[Mapping[str, str]]:
    found = table.glue or {}
    return [*found.get("StorageDescriptor", {}).get("Columns", []), *found.get("PartitionKeys", [])]


def _values(lines: Sequence[Sequence[str]], names: Sequence[str], form: str | None = None) -> Translation:
    """Return lines of texts as VALUES; with a form, those whose first text has it: `a*|b`."""
    if form is not None:
        pattern = "|".join(map(re.escape, form.split("|"))).replace(r"\*", ".*")
        lines = [line for line in lines if re.fullmatch(pattern, line[0], re.IGNORECASE)]
    return Translation(values_of(lines, len(names)), [Column(name, VARCHAR) for name in names])


def values_of(lines: Sequence[Sequence[str | int | None]], width: int) -> str:
    """Return lines as VALUES of DuckDB's, also none."""
    if not lines:
        return f"SELECT {', '.join(['NULL'] * width)} WHERE FALSE"
    return "VALUES " + ", ".join("(" + ", ".join(map(_literal, line)) + ")" for line in lines)


def _literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return text(value) if isinstance(value, str) else f"CAST({value} AS BIGINT)"
