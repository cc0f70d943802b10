"""The local Athena over the tables of Scones, with the errors that both engines have."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import localathena.errors
from analytics.athena.engine import QueryFailed, QueryRefused, QueryResult, Record
from analytics.lake.columns import TABLES
from localathena.engine import LocalAthena
from localathena.results import records_of


class LocalEngine:
    """The engine of the laptop: DuckDB over a folder like the results bucket."""

    def __init__(
        self, folder: Path, views: Mapping[str, str] = {}, *, database: str | None = None, threads: int = 2
    ) -> None:
        """Open a folder, with views; see `LocalAthena`.

        Raises:
            ValueError: the folder's name has a backslash.
        """
        self._athena = LocalAthena(folder, views, schemas=TABLES, database=database, threads=threads)

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; see `Engine`."""
        with _own_errors():
            answer = self._athena.query(sql, parameters)
        return QueryResult(answer.frame, answer.scanned_bytes, answer.elapsed_ms)

    def records(self, sql: str) -> Sequence[Record]:
        """Run one read-only statement, and return its rows; see `Engine`."""
        with _own_errors():
            return records_of(*self._athena.rows(sql))

    def stream(self, sql: str, parameters: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one read-only statement, never all of them in memory.

        Raises:
            QueryRefused, QueryFailed: as `query` does.
        """
        with _own_errors():
            yield from self._athena.stream(sql, parameters)

    def load(self) -> None:
        """Let DuckDB be loaded while the caller does something else before its first statement."""
        self._athena.load()

    def close(self) -> None:
        """Release the memory and delete what was spilled to disk."""
        self._athena.close()


@contextmanager
def _own_errors() -> Iterator[None]:
    """Raise the local Athena's errors as those of `analytics.athena.engine`."""
    try:
        yield
    except localathena.errors.QueryRefused as error:
        raise QueryRefused(str(error)) from error
    except localathena.errors.QueryFailed as error:
        raise QueryFailed(str(error)) from error
