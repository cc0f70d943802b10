"""Runs Athena's SQL: on Athena, or on DuckDB over a folder of the same Parquet files."""

import glob
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analytics.table import SCHEMA, TABLE
from analytics.translate import QueryRefused, translate

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
        threads: int = 2,
        memory_limit: str = "2GB",
    ) -> None:
        self._folder = folder.resolve()
        self._scratch = tempfile.TemporaryDirectory(prefix="athena-")
        scratch = Path(self._scratch.name).resolve()
        self._connection = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit})
        self._tables: dict[str, _Table] = {}
        for name in sorted({TABLE, *_subfolders(self._folder)}):
            self._tables[name] = _Table(name, self._folder, scratch)
        self._refresh()
        for name, sql in views.items():
            self._connection.execute(f"CREATE VIEW {_identifier(name)} AS {translate(sql)}")
        for setting in (
            "TimeZone='UTC'",
            "enable_external_file_cache=false",  # or a second run would read, and say, zero bytes
            "enable_profiling='no_output'",
            f"temp_directory={_text(str(scratch / 'spill'))}",
            f"allowed_directories=[{_text(str(self._folder))}, {_text(str(scratch))}]",
            "enable_external_access=false",
            "autoinstall_known_extensions=false",
            "autoload_known_extensions=false",
            "lock_configuration=true",
        ):
            self._connection.execute(f"SET {setting}")

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; see `Engine`."""
        translated = translate(sql, parameters)
        self._refresh()
        started = time.perf_counter()
        try:
            cursor = self._connection.execute(translated)
            columns = [(column[0], str(column[1])) for column in cursor.description]
            rows = cursor.fetchall()
        except duckdb.Error as error:
            raise QueryFailed(str(error)) from error
        elapsed_ms = (time.perf_counter() - started) * 1000
        profile = json.loads(self._connection.get_profiling_information("json"))
        scanned_bytes = int(profile.get("io", {}).get("total_bytes_read", 0))
        return QueryResult(_frame(columns, rows), scanned_bytes, elapsed_ms)

    def _refresh(self) -> None:
        for table in self._tables.values():
            definition = table.changed_definition()
            if definition:
                self._connection.execute(definition)


class _Table:
    def __init__(self, name: str, folder: Path, scratch: Path) -> None:
        self._name = name
        self._folder = folder / name
        first = next(iter(_parquet_files(self._folder)), None)
        schema = SCHEMA if name == TABLE or first is None else pq.read_schema(first)
        self._columns = [*schema.names, "dt"]
        # An empty file that names all columns comes first, so that no file of a partition which the query
        # does not touch has to be opened. DuckDB wants the same `key=value` folders above all its files.
        above = [part for part in folder.parts if "=" in part]
        self._first = scratch.joinpath(*above, name, "dt=0001-01-01", "schema.parquet")
        self._first.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.schema(list(schema)).empty_table(), self._first)
        self._has_files: bool | None = None

    def changed_definition(self) -> str | None:
        """Return the view to (re)create, when the first file has come or the last one has gone."""
        has_files = next(iter(_parquet_files(self._folder)), None) is not None
        if has_files == self._has_files:
            return None
        self._has_files = has_files
        files = [str(self._first)]
        if has_files:
            files.append(f"{glob.escape(str(self._folder))}/dt=*/[!_.]*.parquet")
        columns = ", ".join(map(_identifier, [*self._columns, "$path"]))
        source = (
            f"[{', '.join(map(_text, files))}], hive_partitioning=true, hive_types={{'dt': VARCHAR}}, "
            "hive_types_autocast=false, filename='$path'"
        )
        select = f"SELECT {columns} FROM read_parquet({source})"  # noqa: S608 - all of it is quoted
        return f"CREATE OR REPLACE VIEW {_identifier(self._name)} AS {select}"


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if next(iter(_parquet_files(path)), None)]


def _parquet_files(folder: Path) -> Any:
    return folder.glob("dt=*/[!_.]*.parquet")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _frame(columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    series = {index: _series([row[index] for row in rows], type_) for index, (_, type_) in enumerate(columns)}
    frame = pd.DataFrame(series, index=range(len(rows)))
    frame.columns = pd.Index([name for name, _ in columns], dtype=object)
    return frame


def _series(values: list[Any], type_: str) -> pd.Series:
    if type_ in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "UBIGINT"):
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if type_ in ("DOUBLE", "FLOAT") or type_.startswith("DECIMAL"):
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if type_ == "BOOLEAN":
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if type_.startswith("TIMESTAMP WITH"):
        return pd.Series(values, dtype="datetime64[us, UTC]")
    if type_.startswith("TIMESTAMP"):
        return pd.Series(values, dtype="datetime64[us]")
    return pd.Series(values, dtype="object")
