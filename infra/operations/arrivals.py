"""The rows of a drop on this machine, read from the table's files as they come.

A question starts the local Athena in a process of its own, which takes a third of a second of CPU time: as
much as a dozen images. Here each file of the table is read once, while it is new.
"""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from analytics.lake.aws import ResultsBucket
from infra.operations.tail import NewFiles
from workflow.outcome import rank_of

_COLUMNS = ["key", "version_id", "etag", "uploaded_at", "decided_at", "outcome", "result_id", "execution_arn"]


class Found(NamedTuple):
    """Rows of one upload."""

    stored: int
    """Number of rows since the given time."""
    outcome: str | None
    """Of the current row. None where that was not seen yet: Athena may list the files of the view earlier."""
    latency_ms: int | None
    """From the upload to that outcome. S3 says when an upload was in whole seconds."""


class Arrivals:
    """Rows of uploads under a prefix: what the questions `dropped_count` and `dropped_rows` answer."""

    def __init__(
        self,
        bucket: ResultsBucket,
        *,
        from_dt: date,
        to_dt: date,
        uploaded_since: datetime,
        decided_since: datetime,
        prefix: str,
        written_since: datetime | None = None,
    ) -> None:
        """Take the table's bucket, and the parameters of the questions.

        With `written_since`, files that were written before cannot have such a row, and are not read.
        """
        self._files = NewFiles(bucket, written_since)
        self._from_dt, self._to_dt = from_dt, to_dt
        self._uploaded_since, self._decided_since, self._prefix = uploaded_since, decided_since, prefix
        self._rows: dict[tuple[str, str], dict[tuple[Any, ...], tuple[str, datetime]]] = defaultdict(dict)

    def count(self) -> int:
        """Read the new files; return the number of rows that were decided since the given time."""
        for table in self._files.tables(self._from_dt, self._to_dt, _COLUMNS):
            for row in table.to_pylist():
                self._add(row)
        return sum(each.stored for each in self.found().values())

    def found(self) -> dict[tuple[str, str], Found]:
        """Return these rows by key and version."""
        found = {}
        for identity, rows in self._rows.items():
            stored = sum(decided_at >= self._decided_since for decided_at, *_ in rows)
            if stored:
                current = max(rows, key=lambda row: (-rank_of(rows[row][0]), row[0]))
                outcome, uploaded_at = rows[current]
                latency_ms = (current[0] - uploaded_at) // timedelta(milliseconds=1)
                found[identity] = Found(stored, outcome, latency_ms)
        return found

    def _add(self, row: dict[str, Any]) -> None:
        if row["uploaded_at"] >= self._uploaded_since and row["key"].startswith(self._prefix):
            # A compaction writes the same row again.
            same = row["decided_at"], row["result_id"], row["execution_arn"]
            self._rows[row["key"], row["version_id"] or row["etag"]][same] = (
                row["outcome"],
                row["uploaded_at"],
            )
