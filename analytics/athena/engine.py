"""What runs Athena's SQL: the interface of both engines, their result and their errors."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ingest.errors import SconesError

if TYPE_CHECKING:  # the digest Lambda has no pandas
    import pandas as pd


Record = Mapping[str, Any]
"""One row: column → a value of Python's own types; NULL is None."""


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

    def records(self) -> list[Record]:
        """Return the rows."""
        values = self.frame.astype(object)
        rows = values.where(self.frame.notna(), None).to_dict("records")
        return [{str(name): _own(value) for name, value in row.items()} for row in rows]


def _own(value: Any) -> Any:
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


class Engine(Protocol):
    """Whatever runs a statement in Athena's dialect."""

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; each `?` in it stands for the text of one parameter.

        Raises:
            QueryRefused: the statement is not one that this engine runs.
            QueryFailed: it failed while running.
        """
        ...

    def records(self, sql: str) -> Sequence[Record]:
        """Run one read-only statement, and return its rows, without loading pandas.

        Raises:
            QueryRefused, QueryFailed: as `query` does.
        """
        ...


class Answered(Protocol):
    """What the report needs of an answer; the digest's Lambda has no DataFrames."""

    @property
    def scanned_bytes(self) -> int:
        """See `QueryResult`."""
        ...

    @property
    def elapsed_ms(self) -> float:
        """See `QueryResult`."""
        ...

    def records(self) -> list[Record]:
        """Return the rows."""
        ...


_Answer = TypeVar("_Answer", covariant=True)


class Asked(Protocol[_Answer]):
    """Whatever answers a statement, in whatever form."""

    def query(self, sql: str, parameters: Sequence[str] = ()) -> _Answer:
        """Run one statement; see `Engine`."""
        ...


class SideBySide(Generic[_Answer]):
    """An engine that runs several statements at once when it is made, and keeps their answers.

    A statement takes Athena some seconds, most of which it waits. An engine says in `queries_at_once` how
    many it takes; one that does not is asked one after the other.
    """

    def __init__(self, engine: Asked[_Answer], statements: Iterable[str]) -> None:
        """Run the first statement, then the others at once.

        Raises:
            QueryRefused, QueryFailed: the first one could not be answered; the others were not run.
        """
        self._engine = engine
        self._answers: dict[str, Future[_Answer]] = {}
        at_once = getattr(engine, "queries_at_once", 1)
        if at_once > 1:
            first, *others = dict.fromkeys(statements)
            answer: Future[_Answer] = Future()
            answer.set_result(engine.query(first))
            with ThreadPoolExecutor(at_once) as pool:
                self._answers = {first: answer, **{sql: pool.submit(engine.query, sql) for sql in others}}

    def query(self, sql: str, parameters: Sequence[str] = ()) -> _Answer:
        """Return the answer; see `Engine`."""
        if sql in self._answers and not parameters:
            return self._answers[sql].result()
        return self._engine.query(sql, parameters)
