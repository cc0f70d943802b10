"""Athena on DuckDB, over a folder of Parquet files."""

import glob
import json
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localathena.errors import QueryFailed, QueryRefused
from localathena.files import FILE_SIZE, FILE_TIME, TableFiles, table_names
from localathena.process import Duck, DuckError
from localathena.results import frame_of
from localathena.scalars.failures import FAILURE
from localathena.tables import Parameter, Table, Tables, Translation
from localathena.types import MIXED, Column, quoted, text

if TYPE_CHECKING:
    import pandas as pd

_MOST_CELLS = 20_000_000
"""Most values of a result held in memory. As Python objects they take some GB."""
_ROWS_AT_ONCE = 2_000


@dataclass(frozen=True)
class QueryResult:
    """What a statement returned and what it took."""

    frame: "pd.DataFrame"
    scanned_bytes: int
    """What DuckDB read of the Parquet files."""
    elapsed_ms: float


class LocalAthena:
    """Athena on DuckDB. Each subfolder of a folder is a table, `FOLDER/TABLE/dt=YYYY-MM-DD/*.parquet`."""

    def __init__(
        self,
        folder: Path,
        views: Mapping[str, str] = {},
        *,
        schemas: Mapping[str, Mapping[str, str]] = {},
        database: str | None = None,
        location: str | None = None,
        glue: Mapping[str, Mapping[str, Any]] = {},
        threads: int = 2,
        memory_bytes: int = 2_000_000_000,
        timeout_s: float = 600.0,
    ) -> None:
        """Open a folder, with views, each an Athena SELECT over the tables and views before it.

        A view is translated with the first statement that names it. That is refused if the view cannot be.
        A table of `schemas` exists without a file too, and older files may lack some of its columns; each has
        Trino's type by its name, but for `dt`.
        Any other table has the schema of its first file. With a `database`, tables can be qualified with that
        one only; else with any. With a `location`, as `s3://bucket`, `"$path"` shows files as if the folder
        were there. `glue` has tables and views as Glue's GetTable returns them, for their comments, their
        properties and SHOW CREATE TABLE. A statement that is not through after `timeout_s`, or that needs
        more than `memory_bytes`, is stopped.

        Raises:
            ValueError: the folder's name has a backslash, which DuckDB takes for a slash.
        """
        folder = folder.resolve()
        if "\\" in str(folder):
            raise ValueError(f"{folder}: a folder with a backslash in its name is not supported. Rename it.")
        self._database = database
        self._timeout_s = timeout_s
        scratch = Path(tempfile.mkdtemp(prefix="athena-")).resolve()
        self._clean_up = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        self._memory_bytes = memory_bytes
        self._duck = Duck(threads=threads, memory_bytes=memory_bytes, timeout_s=timeout_s)
        self._files = [
            TableFiles(name, folder, scratch, schemas.get(name), location=location, glue=glue.get(name))
            for name in sorted({*schemas, *table_names(folder)})
        ]
        self._definitions = {files.name: files.definition() for files in self._files}
        """Table or view → the statement that defines it in DuckDB: tables come first, which views read."""
        self._defined: dict[str, str] = {}
        """Those that DuckDB has executed."""
        tables = {files.name: files.table for files in self._files}
        made: dict[str, Callable[[], Table]] = {}
        for name, sql in views.items():
            before = Tables(tables, made)
            made[name] = cache(partial(_view, name, sql, before, database, glue.get(name), self._definitions))
        self._tables = Tables(tables, made)
        # DuckDB looks for the pattern of a table's files, as it is written, below these.
        allowed = ", ".join(text(str(each)) for each in (folder, glob.escape(str(folder)), scratch))
        self._settings = [
            f"SET {setting}"
            for setting in (
                "enable_progress_bar=false",
                "disabled_optimizers='window_self_join'",  # its copy of a scan reads every partition
                "enable_external_file_cache=false",  # or a second run would report zero bytes read
                "enable_profiling='no_output'",
                f"temp_directory={text(str(scratch / 'spill'))}",
                f"allowed_directories=[{allowed}]",
                "enable_external_access=false",
                "autoinstall_known_extensions=false",
                "autoload_known_extensions=false",
                "lock_configuration=true",
            )
        ]

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> QueryResult:
        """Run one read-only statement; each `?` in it stands for one parameter: a text, or `tables.Sql`.

        Raises:
            QueryRefused: the statement is not supported, or may mean something else in DuckDB.
            QueryFailed: it failed while running.
        """
        started = time.perf_counter()
        columns, rows = self.rows(sql, parameters)
        elapsed_ms = (time.perf_counter() - started) * 1000
        return QueryResult(frame_of(columns, rows), self.scanned_bytes(), elapsed_ms)

    def scanned_bytes(self) -> int:
        """Return what DuckDB read of the Parquet files for the last statement."""
        profile = json.loads(self._duck.profile())
        return int(profile.get("io", {}).get("total_bytes_read", 0))

    def rows(
        self, sql: str, parameters: Sequence[Parameter] = ()
    ) -> tuple[Sequence[Column], list[tuple[Any, ...]]]:
        """Run one read-only statement, and return its columns and its rows with DuckDB's values.

        Raises:
            QueryRefused, QueryFailed: as `query` does.
        """
        translation = self._translated(sql, parameters)
        rows = self._fetched(translation)
        timestamps = [
            position for position, column in enumerate(translation.columns) if column.type.is_datetime
        ]
        if any(isinstance(row[position], str) for row in rows for position in timestamps):
            raise QueryFailed(
                "A date or timestamp is before the year 1 or after the year 9999, which is not supported."
            )
        return translation.columns, rows

    def stream(self, sql: str, parameters: Sequence[Parameter] = ()) -> Iterator[tuple[Any, ...]]:
        """Run one read-only statement, and yield its rows with DuckDB's values, some thousands at a time.

        Raises:
            QueryRefused, QueryFailed: as `query` does.
        """
        translation = self._translated(sql, parameters)
        with self._reasons(translation):
            self._execute(translation.sql)
            rows = self._duck.fetch(_ROWS_AT_ONCE)
        while rows:
            yield from rows
            with self._reasons(translation):
                rows = self._duck.fetch(_ROWS_AT_ONCE)

    def load(self) -> None:
        """Start DuckDB: it is loaded while the caller does something else before its first statement."""
        if not self._duck.is_running:
            self._start(ahead=True)

    def close(self) -> None:
        """Release the memory and delete what was spilled to disk."""
        self._duck.end()
        self._clean_up()

    def _translated(self, sql: str, parameters: Sequence[Parameter]) -> Translation:
        from localathena.translate import translate  # sqlglot: not before the first statement

        translation = translate(sql, self._tables, parameters, self._database)
        if any(column.type.zone == MIXED for column in translation.columns):
            raise QueryRefused(
                "A column has timestamps of several time zones, which is not supported in a result: write "
                "AT TIME ZONE 'UTC' after it."
            )
        return translation

    def _fetched(self, translation: Translation) -> list[tuple[Any, ...]]:
        most_rows = _MOST_CELLS // len(translation.columns)
        rows: list[tuple[Any, ...]] = []
        with self._reasons(translation):
            self._execute(translation.sql)
            while len(rows) <= most_rows and (
                more := self._duck.fetch(_ROWS_AT_ONCE, self._duck.ends_at - time.monotonic())
            ):
                rows += more
                if self._duck.fetched_bytes > self._memory_bytes / 4:  # as Python objects they take more
                    raise QueryFailed(
                        f"The result has more than {self._memory_bytes / 4e9:g} GB: "
                        "select fewer rows or columns."
                    )
        if len(rows) > most_rows:
            raise QueryFailed(
                f"The result has more than {most_rows:,} rows: aggregate them, or write LIMIT {most_rows}."
            )
        return rows

    @contextmanager
    def _reasons(self, translation: Translation) -> Iterator[None]:
        """Raise DuckDB's errors as `QueryFailed`."""
        try:
            yield
        except DuckError as error:
            if error.kind == "Timeout":
                why = f"The query took longer than {self._timeout_s:g} s. Ask for fewer days or fewer rows."
            elif error.kind in ("OutOfMemoryException", "Died") or "MemoryError" in str(error):
                why = (
                    f"The query needs more than {self._duck.buffers_bytes / 1e9:g} GB of memory. "
                    "Ask for fewer days, or for shorter texts and lists."
                )
            else:
                why = _reason(str(error), translation.names)
            raise QueryFailed(why) from error

    def _execute(self, sql: str) -> None:
        has_sizes = FILE_SIZE in sql or FILE_TIME in sql
        for files in self._files:
            files.has_sizes = has_sizes
        try:
            self._look_for_files()
            self._duck.execute(sql)
            return
        except DuckError as error:
            is_short_file = error.kind == "InvalidInputException" and "union_by_name" in str(error)
            # A mirror may have taken a file away after DuckDB had listed it.
            if not is_short_file and error.kind != "IOException":
                raise
        if is_short_file:
            # A file lacks a column that was added later. To know that, DuckDB has to open all files.
            for files in self._files:
                files.may_differ = True
        self._look_for_files()
        self._duck.execute(sql)

    def _look_for_files(self) -> None:
        """Start DuckDB if it does not run, and define what is new or whose files have come or gone."""
        for files in self._files:
            self._definitions[files.name] = files.definition()
        if not self._duck.is_running:
            self._start()
        for name, definition in self._definitions.items():
            if self._defined.get(name) != definition:
                self._duck.execute(definition)
        self._defined = dict(self._definitions)

    def _start(self, *, ahead: bool = False) -> None:
        # Without the definitions: they look for files, and whoever starts DuckDB ahead may move these.
        first = [files.first for files in self._files]
        self._duck.start(["SET TimeZone='UTC'", *first, *self._settings], ahead=ahead)
        self._defined.clear()


def _view(
    name: str,
    sql: str,
    before: Tables,
    database: str | None,
    glue: Mapping[str, Any] | None,
    definitions: dict[str, str],
) -> Table:
    """Translate a view, and put its definition among the others."""
    from localathena.translate import translate

    try:
        translation = translate(sql, before, (), database)
    except QueryRefused as error:
        raise QueryRefused(f"The view {name}: {error}") from error
    names = ", ".join(quoted(column.name) for column in translation.columns)
    definitions[name] = f"CREATE OR REPLACE VIEW {quoted(name)}({names}) AS {translation.sql}"
    return Table(name, translation.columns, view_sql=sql, glue=glue)


def _reason(error: str, names: Mapping[str, str]) -> str:
    """Return DuckDB's reason, without the translated statement and its generated names."""
    said = error.split("\n\nLINE ")[0].strip()
    failure = re.search(f"['\"]{FAILURE}+(.*?)['\"](?: to |, expected|$)", said)
    failure = failure or re.search(f"ValueError: {FAILURE}+(.*)", said, re.DOTALL)
    if failure:
        return failure[1]
    for form, reason in _REASONS.items():
        if found := re.search(form, said):
            column = names.get(found[1], found[1]) if found.groups() else ""
            return reason.format(column)
    return "The local Athena cannot run this statement, though Athena may: write it in simpler parts."


_REASONS = {
    "(?:File|end of file) '(.+?)'(?: too small|$)": "{0} is not a Parquet file, or is damaged.",
    "^(?:Error: )?Out of buffer|[Ss]nappy|TProtocolException|[Cc]orrupt": "A Parquet file is damaged.",
    'reading file "(.+?)": failed to cast column': "A column in {0} has another type than the table's.",
    "^IO Error: (?:No files found|Cannot open file .*: No such file)": (
        "Files of a table were deleted: run it again."
    ),
    "^IO Error: (.+)": "Reading or writing files failed: {0}",
    "^Invalid Input Error: Division by zero": "Division by zero; TRY(...) makes it NULL.",
    'column "(.+?)" must appear in the GROUP BY': (
        "The column {0} is neither in GROUP BY nor in an aggregate: add it to GROUP BY, or write "
        "arbitrary({0})."
    ),
    "WHERE clause cannot contain aggregates": (
        "WHERE and ON cannot contain aggregates: write HAVING after GROUP BY."
    ),
    "(WHERE|HAVING|GROUP BY) clause cannot contain window functions": (
        "{0} cannot contain window functions: compute it in a subquery, and write {0} outside."
    ),
    "window function calls cannot be nested|not allowed in window definitions": (
        "A window function cannot contain another one: compute that in a subquery."
    ),
    "GROUP BY clause cannot contain aggregates": "GROUP BY cannot contain aggregates: leave this column out.",
    "(?:Table function|INSERT statement) cannot contain (aggregates|window functions)": (
        "UNNEST and VALUES cannot contain {0}: compute them in a subquery."
    ),
    "GROUPING (?:statement|child)": "grouping() needs columns of GROUP BY.",
    "expression cannot be negative": "The bound of a frame must not be negative.",
    "aggregate functions are not allowed in FILTER|aggregate function calls cannot be nested": (
        "Aggregates cannot be nested: move one into a subquery."
    ),
    "More than one row returned by a subquery": "A query in an expression returned more than one row.",
    "Map keys must be unique": "A map's keys must be unique, and two are equal.",
    "Map keys can not be NULL": "A map's key cannot be NULL.",
    "map key list does not align": "The arrays of a map's keys and of its values must have the same length.",
    "not allowed in(?:side the)? (?:TRY|try)": (
        "TRY around an aggregate or a window function is not supported: write x / nullif(y, 0), or TRY in an "
        "outer query."
    ),
    '"string_agg" must be a constant': "A separator that differs from row to row is not supported here.",
    "ORDER BY non-integer literal": "ORDER BY of a constant is not supported: leave it out.",
    "cannot contain window function calls": (
        "An aggregate cannot contain a window function: compute it in a subquery, and aggregate outside."
    ),
    "Invalid UTF8 Codepoint (.+)": "chr: {0} is not a character.",
    "Invalid input for hex digit: (.+)": "from_hex: {0} is not a hexadecimal digit.",
    "Argument for ntile must be": "ntile needs 1 or more buckets.",
    "n value must be > 0": "The number of values of min or max must be 1 or more.",
    "Failure in decode": "from_utf8 of bytes that are not UTF-8 is not supported.",
    '"precision" argument': "round to NULL places is not supported.",
    "can not contain NULL values": "NULL within an array is not supported in this function.",
    '(?:with|Casting|decimal) value "?(.+?)"? (?:can\'t be cast|to type)': (
        "{0} is out of range for its type. Cast it to a larger type, or to double."
    ),
    'field (?:value out of range|format): "(.*?)"': "The text {0} cannot be cast.",
    "^Out of Range Error|Could not cast value|[Oo]verflow": (
        "Overflow: a number is too large for its type. Cast it to double, or to a decimal of more digits."
    ),
    "Could not convert string ['\"](.*?)['\"] to": "The text {0} cannot be cast.",
}
"""DuckDB's message → the same for the author of Athena SQL."""
