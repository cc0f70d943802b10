"""What runs Athena's SQL: the interface of both engines, their result and their errors."""

from collections.abc import Sequence
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
