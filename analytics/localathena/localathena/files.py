"""A table's Parquet files, and the view of DuckDB's that reads them."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from localathena.tables import Table
from localathena.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    Column,
    Type,
    array,
    decimal,
    map_of,
    quoted,
    row,
    text,
)

_PATTERN = "dt=*/[!_.]*.parquet"
"""Pattern of a table's files. Like Athena, it leaves out names that begin with `_` or a dot."""


class TableFiles:
    """The Parquet files of a table, and the view of DuckDB's that reads them."""

    def __init__(self, name: str, folder: Path, scratch: Path, schema: pa.Schema | None) -> None:
        self.name = name
        self._folder = folder / name
        schema = schema or pq.read_schema(next(_parquet_files(self._folder)))
        columns = [Column(field.name.lower(), _from_arrow(field.type)) for field in schema]
        self.table = Table(
            name, [*columns, Column("dt", VARCHAR, is_partition=True)], hidden=[Column("$path", VARCHAR)]
        )
        # An empty file that has all columns comes first, so that no file of a partition which the query does
        # not touch is opened. DuckDB needs the same `key=value` folders above all its files.
        above = [part for part in folder.parts if "=" in part]
        self._first = scratch.joinpath(*above, name, "dt=0001-01-01", "schema.parquet")
        self._first.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.schema(list(schema)).empty_table(), self._first)
        self.may_differ = False
        """Whether some files may lack columns."""
        self._defined: str | None = None

    def changed_definition(self) -> str | None:
        """Return the view to (re)create: at first, when the first file arrives, when the last one goes."""
        definition = self._definition(next(_parquet_files(self._folder), None) is not None)
        if definition == self._defined:
            return None
        self._defined = definition
        return definition

    def _definition(self, has_files: bool) -> str:
        sources = [str(self._first)]
        if has_files:
            sources.append(f"{self._folder}/{_PATTERN}")
        columns = ", ".join(quoted(column.name) for column in (*self.table.columns, *self.table.hidden))
        source = (
            f"[{', '.join(map(text, sources))}], hive_partitioning=true, hive_types={{'dt': VARCHAR}}, "
            f"hive_types_autocast=false, filename='$path', union_by_name={self.may_differ}"
        )
        select = f"SELECT {columns} FROM read_parquet({source})"  # noqa: S608 - all of it is quoted
        return f"CREATE OR REPLACE VIEW {quoted(self.name)} AS {select}"


def table_names(folder: Path) -> list[str]:
    """Return the names of the subfolders that have Parquet files."""
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if next(_parquet_files(path), None) is not None]


def _parquet_files(folder: Path) -> Iterator[Path]:
    return iter(folder.glob(_PATTERN))


def _from_arrow(type_: pa.DataType) -> Type:
    """Return the Trino type of a Parquet column.

    Raises:
        KeyError: Athena has no such type.
    """
    if pa.types.is_map(type_):
        return map_of(_from_arrow(type_.key_type), _from_arrow(type_.item_type))
    if pa.types.is_list(type_):
        return array(_from_arrow(type_.value_type))
    if pa.types.is_struct(type_):
        return row([_from_arrow(field.type) for field in type_], [field.name.lower() for field in type_])
    if pa.types.is_timestamp(type_):
        return TIMESTAMP
    if pa.types.is_decimal(type_):
        return decimal(type_.precision, type_.scale)
    return {
        pa.string(): VARCHAR,
        pa.large_string(): VARCHAR,
        pa.binary(): VARBINARY,
        pa.bool_(): BOOLEAN,
        pa.int8(): Type("tinyint"),
        pa.int16(): Type("smallint"),
        pa.int32(): INTEGER,
        pa.int64(): BIGINT,
        pa.float32(): Type("real"),
        pa.float64(): DOUBLE,
        pa.date32(): DATE,
    }[type_]
