"""Athena and SNS for the digest, by boto3 alone."""

import time
from typing import Any

import boto3

_POLL_S = 1.0
_UNFINISHED = ("QUEUED", "RUNNING")


class SummaryFailed(Exception):
    """Athena did not answer, and why."""


class DigestEdge:
    """Where the digest's numbers come from, and where it goes."""

    def __init__(self, athena: Any, sns: Any, *, database: str, workgroup: str, topic_arn: str) -> None:
        self._athena = athena
        self._sns = sns
        self._database = database
        self._workgroup = workgroup
        self._topic_arn = topic_arn

    @classmethod
    def connect(cls, **names: str) -> "DigestEdge":
        """Return it with clients of its own; `names` are the database, the workgroup and the topic."""
        return cls(boto3.client("athena"), boto3.client("sns"), **names)

    def ask(self, sql: str, timeout_s: float) -> list[dict[str, str | None]]:
        """Return the rows of a short answer, as text by column.

        Raises:
            SummaryFailed: the query failed, or was not through in time; then it is stopped.
        """
        execution_id = self._athena.start_query_execution(
            QueryString=sql, QueryExecutionContext={"Database": self._database}, WorkGroup=self._workgroup
        )["QueryExecutionId"]
        deadline = time.monotonic() + timeout_s
        while (status := self._status(execution_id))["State"] in _UNFINISHED:
            if time.monotonic() > deadline:
                self._athena.stop_query_execution(QueryExecutionId=execution_id)
                raise SummaryFailed(f"Query {execution_id} was not through after {timeout_s:.0f} s.")
            time.sleep(_POLL_S)
        if status["State"] != "SUCCEEDED":
            reason = status.get("StateChangeReason", "no reason given")
            raise SummaryFailed(f"Query {execution_id} ended as {status['State']}: {reason}")
        found = self._athena.get_query_results(QueryExecutionId=execution_id)["ResultSet"]["Rows"]
        header, *rows = [[cell.get("VarCharValue") for cell in row["Data"]] for row in found]
        return [dict(zip(header, row, strict=True)) for row in rows]

    def publish(self, subject: str, text: str) -> None:
        """Send a digest to the topic's subscribers."""
        self._sns.publish(TopicArn=self._topic_arn, Subject=subject, Message=text)

    def _status(self, execution_id: str) -> dict[str, Any]:
        answer = self._athena.get_query_execution(QueryExecutionId=execution_id)
        status: dict[str, Any] = answer["QueryExecution"]["Status"]
        return status
