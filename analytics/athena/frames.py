"""Athena's answers as DataFrames, and as rows."""

from collections.abc import Iterator, Sequence
from typing import Any

import localathena.errors
from analytics.athena.client import Answer, AthenaClient
from analytics.athena.engine import QueryRefused, QueryResult, Record
from localathena.results import frame_of, records_of, typed_rows
from localathena.statements import ensure_it_reads


class Athena:
    """The engine on AWS."""

    queries_at_once = 10
    """Half of the smallest quota of running DML queries, so that others can ask, too.
    Source: https://docs.aws.amazon.com/general/latest/gr/athena.html"""

    def __init__(self, client: Any, database: str, workgroup: str, *, timeout_s: float = 600.0) -> None:
        """Take boto3's Athena client. A statement that is not through after `timeout_s` is stopped."""
        self._client = AthenaClient(client, database, workgroup, timeout_s=timeout_s)

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        """Run one read-only statement; see `Engine`."""
        answer = self._run(sql, parameters)
        frame = frame_of(*typed_rows(answer.columns, answer.rows))
        return QueryResult(frame, answer.scanned_bytes, answer.elapsed_ms)

    def records(self, sql: str) -> Sequence[Record]:
        """Run one read-only statement, and return its rows; see `Engine`."""
        answer = self._run(sql)
        return records_of(*typed_rows(answer.columns, answer.rows))

    def close(self) -> None:
        """Stop the statements that other threads wait for; see `AthenaClient`."""
        self._client.close()

    def _run(self, sql: str, parameters: Sequence[str] = ()) -> Answer:
        try:
            ensure_it_reads(sql)
        except localathena.errors.QueryRefused as error:
            raise QueryRefused(str(error)) from error
        return self._client.run(sql, parameters)

    def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one read-only statement, never all of them in memory.

        Raises:
            QueryFailed: as `query` does.
        """
        for columns, rows in self._client.pages(sql):
            yield from map(tuple, typed_rows(columns, rows)[1])
