"""Runs Athena's SQL: on Athena, or on DuckDB over a folder of the same Parquet files."""

import glob
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.table import SCHEMA, TABLE
from analytics.translate import Column, QueryRefused, Table, translate
from analytics.trino_types import VARCHAR, Type, from_arrow, quoted, text
from analytics.trino_values import FAILURE

__all__ = ["Engine", "LocalAthena", "QueryFailed", "QueryRefused", "QueryResult"]


class QueryFailed(Exception):
    """The engine could not finish a statement, and why, in its own words."""


@dataclass(frozen=True)
class QueryResult:
    """What a statement returned and what it took."""

    frame: pd.DataFrame
    scanned_bytes: int
    elapsed_ms: float


class Engine(Protocol):
    """Whatever runs a statement in Athena's dialect."""

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; each `?` in it stands for the text of one parameter.

        Raises:
            QueryRefused: the statement is not one that this engine runs.
            QueryFailed: it failed while running.
        """
        ...


class LocalAthena:
    """Athena on DuckDB: each subfolder of a folder is a table, `FOLDER/TABLE/dt=YYYY-MM-DD/*.parquet`."""

    def __init__(
        self,
        folder: Path,
        views: Mapping[str, str] = {},
        *,
        database: str | None = None,
        threads: int = 2,
        memory_limit: str = "2GB",
    ) -> None:
        """Open a folder, and create the views, each an Athena SELECT over the tables and views before it.

        With a `database`, tables can be qualified with that one only; else with any.

        Raises:
            QueryRefused: a view's SELECT cannot be translated.
        """
        self._database = database
        self._scratch = tempfile.TemporaryDirectory(prefix="athena-", ignore_cleanup_errors=True)
        scratch = Path(self._scratch.name).resolve()
        folder = folder.resolve()
        self._connection = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit})
        self._connection.execute("SET TimeZone='UTC'")
        self._files = [_Files(name, folder, scratch) for name in sorted({TABLE, *_subfolders(folder)})]
        self._tables = {files.name: files.table for files in self._files}
        self._look_for_files()
        for name, sql in views.items():
            self._create_view(name, sql)
        for setting in (
            "enable_external_file_cache=false",  # or a second run would read, and say, zero bytes
            "enable_profiling='no_output'",
            f"temp_directory={text(str(scratch / 'spill'))}",
            f"allowed_directories=[{text(str(folder))}, {text(str(scratch))}]",
            "enable_external_access=false",
            "autoinstall_known_extensions=false",
            "autoload_known_extensions=false",
            "lock_configuration=true",
        ):
            self._connection.execute(f"SET {setting}")

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; see `Engine`."""
        translation = translate(sql, self._tables, parameters, self._database)
        self._look_for_files()
        started = time.perf_counter()
        try:
            rows = self._connection.execute(translation.sql).fetchall()
        except duckdb.Error as error:
            raise QueryFailed(_reason(error)) from error
        elapsed_ms = (time.perf_counter() - started) * 1000
        profile = json.loads(self._connection.get_profiling_information("json"))
        scanned_bytes = int(profile.get("io", {}).get("total_bytes_read", 0))
        return QueryResult(frame_of(translation.columns, rows), scanned_bytes, elapsed_ms)

    def close(self) -> None:
        """Let go of the memory and of what was spilled to disk."""
        self._connection.close()
        self._scratch.cleanup()

    def _create_view(self, name: str, sql: str) -> None:
        try:
            translation = translate(sql, self._tables, (), self._database)
        except QueryRefused as error:
            raise QueryRefused(f"The view {name}: {error}") from error
        names = ", ".join(quoted(column.name) for column in translation.columns)
        self._connection.execute(f"CREATE VIEW {quoted(name)}({names}) AS {translation.sql}")
        self._tables[name] = Table(name, translation.columns)

    def _look_for_files(self) -> None:
        for files in self._files:
            definition = files.changed_definition()
            if definition:
                self._connection.execute(definition)


class _Files:
    """The Parquet files of a table, and the view of DuckDB's that reads them."""

    def __init__(self, name: str, folder: Path, scratch: Path) -> None:
        self.name = name
        self._folder = folder / name
        first = next(_parquet_files(self._folder), None)
        schema = SCHEMA if name == TABLE or first is None else pq.ParquetFile(first).schema_arrow
        columns = [Column(field.name.lower(), from_arrow(field.type)) for field in schema]
        self.table = Table(name, [*columns, Column("dt", VARCHAR)], hidden=[Column("$path", VARCHAR)])
        # An empty file that has all columns comes first, so that no file of a partition which the query does
        # not touch is opened. DuckDB wants the same `key=value` folders above all its files.
        above = [part for part in folder.parts if "=" in part]
        self._first = scratch.joinpath(*above, name, "dt=0001-01-01", "schema.parquet")
        self._first.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.schema(list(schema)).empty_table(), self._first)
        self._has_files: bool | None = None

    def changed_definition(self) -> str | None:
        """Return the view to (re)create, when the first file has come or the last one has gone."""
        has_files = next(_parquet_files(self._folder), None) is not None
        if has_files == self._has_files:
            return None
        self._has_files = has_files
        sources = [str(self._first)]
        if has_files:
            sources.append(f"{glob.escape(str(self._folder))}/{_PATTERN}")
        columns = ", ".join(quoted(column.name) for column in (*self.table.columns, *self.table.hidden))
        source = (
            f"[{', '.join(map(text, sources))}], hive_partitioning=true, hive_types={{'dt': VARCHAR}}, "
            "hive_types_autocast=false, filename='$path'"
        )
        select = f"SELECT {columns} FROM read_parquet({source})"  # noqa: S608 - all of it is quoted
        return f"CREATE OR REPLACE VIEW {quoted(self.name)} AS {select}"


_PATTERN = "dt=*/[!_.]*.parquet"
"""A table's files in its folder; Athena too reads none whose name starts with `_` or a dot."""


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if next(_parquet_files(path), None) is not None]


def _parquet_files(folder: Path) -> Iterator[Path]:
    return iter(folder.glob(_PATTERN))


def _reason(error: duckdb.Error) -> str:
    """Return what went wrong, without the statement that nobody wrote."""
    failure = re.search(f"{FAILURE}(.*?)['\"]", str(error))
    return failure[1] if failure else str(error).split("\n\nLINE ")[0].strip()


def frame_of(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """Return rows as a DataFrame with the types that its users expect.

    Whole numbers are int64, or Int64 where NULL is among them; decimals are float64, as doubles are;
    timestamps are datetime64, with their zone if they have one; dates are `datetime.date`, spans of time
    timedelta64; maps and rows are dicts, arrays lists, texts str. NULL is None, NaN or NaT.
    """
    lists = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    series = {
        index: _series(values, column.type)
        for index, (column, values) in enumerate(zip(columns, lists, strict=True))
    }
    frame = pd.DataFrame(series, index=range(len(rows)))
    frame.columns = pd.Index([column.name for column in columns], dtype=object)
    return frame


def _series(values: Sequence[Any], type_: Type) -> pd.Series:
    if type_.is_integer:
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if type_.is_floating or type_.name == "decimal":
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if type_.name == "boolean":
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if type_.zone:
        return pd.Series(values, dtype=f"datetime64[us, {type_.zone}]")
    if type_.name == "timestamp":
        return pd.Series(values, dtype="datetime64[us]")
    if type_.name == "interval day to second":
        return pd.Series(values, dtype="timedelta64[us]")
    return pd.Series(values, dtype="object")
