"""The rows of a drop on this machine, read from the table's files as they come.

A question starts the local Athena in a process of its own, which takes a third of a second of CPU time: as
much as a dozen images. Here each file of the table is read once, while it is new.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from analytics.lake.aws import ResultsBucket
from analytics.questions.queries import InternalValue
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


@dataclass(frozen=True)
class Bounds:
    """Where rows of a drop can be. Times without a zone are UTC."""

    from_dt: date
    to_dt: date
    uploaded_since: datetime
    decided_since: datetime
    prefix: str
    written_since: datetime | None = None
    """Files of the table that were written before have no such row. None: unknown."""

    @property
    def parameters(self) -> dict[str, InternalValue]:
        """Of the questions `dropped_count` and `dropped_rows`."""
        return {name: value for name, value in vars(self).items() if name != "written_since"}


class Arrivals:
    """Rows of uploads under a prefix: what the questions `dropped_count` and `dropped_rows` answer."""

    def __init__(self, bucket: ResultsBucket, bounds: Callable[[], Bounds]) -> None:
        """Take the table's bucket, and what bounds each look at it."""
        self._files = NewFiles(bucket)
        self._ask_bounds = bounds
        self._bounds = bounds()
        self._rows: dict[tuple[str, str], dict[tuple[Any, ...], tuple[str, datetime]]] = defaultdict(dict)

    def count(self) -> int:
        """Read the new files; return the number of rows that were decided since the given time."""
        self._bounds = bounds = self._ask_bounds()
        for table in self._files.tables(bounds.from_dt, bounds.to_dt, _COLUMNS, bounds.written_since):
            for row in table.to_pylist():
                self._add(row)
        since = bounds.decided_since
        return sum(decided_at >= since for rows in self._rows.values() for decided_at, *_ in rows)

    def found(self) -> dict[tuple[str, str], Found]:
        """Return these rows by key and version."""
        found = {}
        for identity, rows in self._rows.items():
            stored = sum(decided_at >= self._bounds.decided_since for decided_at, *_ in rows)
            if stored:
                current = max(rows, key=lambda row: (-rank_of(rows[row][0]), row[0]))
                outcome, uploaded_at = rows[current]
                latency_ms = (current[0] - uploaded_at) // timedelta(milliseconds=1)
                found[identity] = Found(stored, outcome, latency_ms)
        return found

    def _add(self, row: dict[str, Any]) -> None:
        if row["uploaded_at"] >= self._bounds.uploaded_since and row["key"].startswith(self._bounds.prefix):
            # A compaction writes the same row again.
            same = row["decided_at"], row["result_id"], row["execution_arn"]
            self._rows[row["key"], row["version_id"] or row["etag"]][same] = (
                row["outcome"],
                row["uploaded_at"],
            )
