"""A table's Parquet files, and the view of DuckDB's that reads them."""

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localathena.tables import Table
from localathena.types import BIGINT, VARCHAR, Column, parse, quoted, text, zoned

_PATTERN = "dt=*/[!_.]*.parquet"
"""Pattern of a table's files. Like Athena, it leaves out names that begin with `_` or a dot."""


PATH, FILE_SIZE, FILE_TIME = "$path", "$file_size", "$file_modified_time"
_HIDDEN = (Column(PATH, VARCHAR), Column(FILE_SIZE, BIGINT), Column(FILE_TIME, zoned()))


class TableFiles:
    """The Parquet files of a table, and the view of DuckDB's that reads them."""

    def __init__(
        self,
        name: str,
        folder: Path,
        scratch: Path,
        schema: Mapping[str, str] | None,
        *,
        location: str | None = None,
        glue: Mapping[str, Any] | None = None,
    ) -> None:
        """With a `location`, as `s3://bucket`, files are named as if the folder were there."""
        self.name = name
        self._folder = folder / name
        self._pattern = f"{glob.escape(str(self._folder))}/{_PATTERN}"
        self._root, self._location = folder, location
        if schema is None:
            from localathena.arrow import columns_of  # pyarrow: not where all tables are declared

            schema = columns_of(next(_parquet_files(self._folder)))
        columns = [Column(column.lower(), parse(type_)) for column, type_ in schema.items()]
        self.table = Table(
            name, [*columns, Column("dt", VARCHAR, is_partition=True)], hidden=_HIDDEN, glue=glue
        )
        # DuckDB needs the same `key=value` folders above all its files.
        above = [part for part in folder.parts if "=" in part]
        self._first = scratch.joinpath(*above, name, "dt=0001-01-01", "schema.parquet")
        self._first.parent.mkdir(parents=True, exist_ok=True)
        nulls = ", ".join(f"CAST(NULL AS {each.type.duckdb}) AS {quoted(each.name)}" for each in columns)
        self.first = f"COPY (SELECT {nulls} WHERE false) TO {text(str(self._first))} (FORMAT parquet)"
        """Statement that writes an empty file with all columns. It comes first among the table's files, so
        that no file of a partition which the query does not touch is opened."""
        self.may_differ = False
        """Whether some files may lack columns."""
        self.has_sizes = False
        """Whether the size and the time of each file are asked for, which costs a look at each."""

    def definition(self) -> str:
        """Return the view, which changes when the first file arrives, and when the last one goes."""
        has_files = next(_parquet_files(self._folder), None) is not None
        sources = [glob.escape(str(self._first))]
        if has_files:
            sources.append(self._pattern)
        columns = ", ".join(quoted(column.name) for column in self.table.columns)
        source = (
            f"[{', '.join(map(text, sources))}], hive_partitioning=true, hive_types={{'dt': VARCHAR}}, "
            f"hive_types_autocast=false, filename='$file', union_by_name={self.may_differ}"
        )
        path = '"$file"'
        if self._location is not None:
            path = f"{text(self._location)} || substr({path}, {len(str(self._root)) + 1})"
        select = (
            f"SELECT {columns}, {path} AS {quoted(PATH)}, {self._size_and_time(has_files)} "  # noqa: S608
            f"FROM read_parquet({source})"
        )
        return f"CREATE OR REPLACE VIEW {quoted(self.name)} AS {select}"

    def _size_and_time(self, has_files: bool) -> str:
        names = quoted(FILE_SIZE), quoted(FILE_TIME)
        if not self.has_sizes or not has_files:
            return f"CAST(NULL AS BIGINT) AS {names[0]}, CAST(NULL AS TIMESTAMPTZ) AS {names[1]}"
        files = f"read_blob({text(self._pattern)})"
        size, at = (
            f"(SELECT map_from_entries(list((filename, {part}))) FROM {files})"  # noqa: S608
            for part in ("size", "last_modified")
        )
        return f'{size}["$file"] AS {names[0]}, {at}["$file"] AS {names[1]}'


def table_names(folder: Path) -> list[str]:
    """Return the names of the subfolders that have Parquet files."""
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if next(_parquet_files(path), None) is not None]


def _parquet_files(folder: Path) -> Iterator[Path]:
    return iter(folder.glob(_PATTERN))
