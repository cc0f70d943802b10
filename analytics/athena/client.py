"""The client of Athena on AWS: start a statement, wait for it, fetch its rows. Without pandas."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from analytics.athena.engine import QueryFailed, Record

_POLL_FIRST_S = 0.2
_POLL_MOST_S = 5.0
_READERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    **dict.fromkeys(("float", "real", "double", "decimal"), float),
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}
"""Type, as Athena's API names it → its values of their texts. Of all others the text is the value."""
_FINISHED = ("SUCCEEDED", "FAILED", "CANCELLED")


Page = tuple[list[tuple[str, str]], list[list[str | None]]]
"""Name and type of each column, and rows: every value is a text, or None for NULL."""


@dataclass(frozen=True)
class Answer:
    """What Athena returned: every value is a text, or None for NULL."""

    columns: Sequence[tuple[str, str]]
    """Name and type of each column."""
    rows: Sequence[Sequence[str | None]]
    scanned_bytes: int
    elapsed_ms: float

    def records(self) -> list[Record]:
        """Return the rows with values of their columns' types."""
        readers = [(name, _READERS.get(type_.partition("(")[0], str)) for name, type_ in self.columns]
        return [
            {
                name: None if text is None else read(text)
                for (name, read), text in zip(readers, row, strict=True)
            }
            for row in self.rows
        ]


class AthenaClient:
    """A workgroup of Athena, asked about one database."""

    def __init__(self, client: Any, database: str, workgroup: str, *, timeout_s: float = 600.0) -> None:
        """Take boto3's Athena client. A statement that is not through after `timeout_s` is stopped."""
        self._client = client
        self._database = database
        self._workgroup = workgroup
        self._timeout_s = timeout_s
        self._is_closed = False

    def close(self) -> None:
        """Stop the statements that other threads wait for, within some seconds: they get QueryFailed."""
        self._is_closed = True

    def run(self, sql: str, parameters: Sequence[str] = (), *, timeout_s: float | None = None) -> Answer:
        """Run one statement; each `?` in it stands for the text of one parameter.

        Raises:
            QueryFailed: Athena refused the statement, it failed, or it was not through in time.
        """
        execution_id, execution = self._run(sql, parameters, timeout_s)
        pages = list(self._pages(execution_id, execution))
        statistics = execution.get("Statistics", {})
        return Answer(
            pages[-1][0],
            [row for _, rows in pages for row in rows],
            int(statistics.get("DataScannedInBytes", 0)),
            float(statistics.get("TotalExecutionTimeInMillis", 0)),
        )

    def pages(self, sql: str) -> Iterator[Page]:
        """Run one statement, and yield its rows as Athena returns them, 1,000 at a time.

        Raises:
            QueryFailed: as `run` does.
        """
        yield from self._pages(*self._run(sql, (), None))

    def _run(
        self, sql: str, parameters: Sequence[str], timeout_s: float | None
    ) -> tuple[str, dict[str, Any]]:
        execution_id = self._start(sql, parameters)
        try:
            execution = self._wait(execution_id, self._timeout_s if timeout_s is None else timeout_s)
        except BaseException:  # Ctrl-C and the deadline too: the statement would go on to cost
            self._client.stop_query_execution(QueryExecutionId=execution_id)
            raise
        status = execution["Status"]
        if status["State"] != "SUCCEEDED":
            reason = status.get("StateChangeReason") or f"Athena says {status['State']} and gives no reason"
            raise QueryFailed(f"{reason} (query {execution_id})")
        return execution_id, execution

    def _start(self, sql: str, parameters: Sequence[str]) -> str:
        request = {
            "QueryString": sql,
            "QueryExecutionContext": {"Database": self._database},
            "WorkGroup": self._workgroup,
        }
        if parameters:
            request["ExecutionParameters"] = [_sql_text(parameter) for parameter in parameters]
        try:
            return str(self._client.start_query_execution(**request)["QueryExecutionId"])
        except self._client.exceptions.InvalidRequestException as error:
            raise QueryFailed(str(error)) from error

    def _wait(self, execution_id: str, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        pause_s = _POLL_FIRST_S
        while True:
            answer = self._client.get_query_execution(QueryExecutionId=execution_id)
            execution: dict[str, Any] = answer["QueryExecution"]
            if execution["Status"]["State"] in _FINISHED:
                return execution
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise QueryFailed(
                    f"Athena did not answer within {timeout_s:g} s; query {execution_id} is stopped. "
                    "Ask for fewer days, or allow more time."
                )
            time.sleep(min(pause_s, left_s))
            if self._is_closed:
                raise QueryFailed(f"nobody waits for it any longer; query {execution_id} is stopped")
            pause_s = min(2 * pause_s, _POLL_MOST_S)

    def _pages(self, execution_id: str, execution: dict[str, Any]) -> Iterator[Page]:
        has_header = execution.get("StatementType") == "DML"
        pages = self._client.get_paginator("get_query_results").paginate(QueryExecutionId=execution_id)
        for page in pages:
            found = page["ResultSet"]
            columns = [(info["Name"], info["Type"]) for info in found["ResultSetMetadata"]["ColumnInfo"]]
            rows = [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["Rows"]]
            yield columns, rows[1:] if has_header else rows
            has_header = False


def _sql_text(value: str) -> str:
    """Return a text as an SQL literal: Athena takes parameters as SQL."""
    return "'" + value.replace("'", "''") + "'"
