"""What runs Athena's SQL: the interface of both engines, their result and their errors."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ingest.errors import SconesError

if TYPE_CHECKING:  # the digest Lambda has no pandas
    import pandas as pd


class QueryRefused(SconesError):
    """The statement is not one that the engine runs."""


class QueryFailed(SconesError):
    """The engine could not finish a statement. The text is the engine's reason."""


@dataclass(frozen=True)
class QueryResult:
    """What a statement returned and what it took."""

    frame: "pd.DataFrame"
    scanned_bytes: int
    """What Athena says it scanned; on the laptop, what DuckDB read of the Parquet files."""
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


class SideBySide:
    """An engine that runs several statements at once when it is made, and keeps their answers.

    A statement takes Athena some seconds, most of which it waits. An engine says in `queries_at_once` how
    many it takes; one that does not is asked one after the other.
    """

    def __init__(self, engine: Engine, statements: Iterable[str]) -> None:
        self._engine = engine
        self._answers: dict[str, Future[QueryResult]] = {}
        at_once = getattr(engine, "queries_at_once", 1)
        if at_once > 1:
            with ThreadPoolExecutor(at_once) as pool:
                self._answers = {sql: pool.submit(engine.query, sql) for sql in dict.fromkeys(statements)}

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Return the answer; see `Engine`."""
        if sql in self._answers and not parameters:
            return self._answers[sql].result()
        return self._engine.query(sql, parameters)
