"""A batch of the results queue → Parquet files. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pyarrow as pa

from analytics.lake.columns import PREFIX
from analytics.lake.schema import partition, row_from_message, to_table
from ingest.upload import Upload
from workflow.outcome import IMPORTED_BUCKET, Outcome, messages_of

# Every error that an invalid message can cause: it must not make a thousand others fail.
_NOT_A_ROW = (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Batch:
    """Files to write, and messages that are invalid."""

    files: dict[str, pa.Table]
    """Path in the results bucket → its rows."""
    refused: list[tuple[str, Exception]]
    """Message id, and why the message is invalid."""

    @property
    def row_count(self) -> int:
        """Rows in all files."""
        return sum(table.num_rows for table in self.files.values())

    @property
    def classified(self) -> Iterator[Upload]:
        """The uploads that a model classified; an imported one is no object in S3."""
        columns = ["bucket", "key", "version_id", "etag", "size_bytes", "uploaded_at", "outcome"]
        for table in self.files.values():
            for row in table.select(columns).to_pylist():
                is_seen = Outcome(row.pop("outcome")).is_classified
                if is_seen and row["bucket"] != IMPORTED_BUCKET:
                    uploaded_at = row.pop("uploaded_at").replace(tzinfo=UTC)
                    yield Upload(**row, sequencer="", uploaded_at=uploaded_at)


def sort_out(records: Iterable[Mapping[str, Any]]) -> Batch:
    """Sort SQS records into one table per day, each decision once, and into invalid records.

    The order of rows does not depend on the order of the records, which a redelivery changes. All decisions
    on an upload are kept: readers choose the current one, and the time of the first.
    """
    rows: list[tuple[str, dict[str, Any]]] = []
    refused: list[tuple[str, Exception]] = []
    for record in records:
        try:
            messages = messages_of(record["body"])
            # All or none of a message's rows: a refused message stays complete.
            rows += [(record["messageId"], row) for row in [row_from_message(each) for each in messages]]
        except _NOT_A_ROW as error:
            refused.append((record["messageId"], error))
    misfits = dict(_misfits(rows))
    days: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for message_id, row in rows:
        if message_id not in misfits:
            days[partition(row)][_decision(row)] = row
    files = {
        path_of(day, decisions): to_table(row for _, row in sorted(decisions.items()))
        for day, decisions in days.items()
    }
    return Batch(files, [*refused, *misfits.items()])


def path_of(day: str, decisions: Iterable[str]) -> str:
    """Name a file by its decisions, so that only the same decisions overwrite it.

    Result ids are not enough: a rejection and a later failure of the same upload have the same one.
    """
    digest = hashlib.sha256("\n".join(sorted(decisions)).encode()).hexdigest()
    return f"{PREFIX}dt={day}/{digest}.parquet"


def _misfits(rows: list[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, Exception]]:
    """Find rows with a value that does not fit its column: each costs its own message only."""
    if _error([row for _, row in rows]):  # all at once is a hundred times faster than one by one
        for message_id, row in rows:
            if error := _error([row]):
                yield message_id, error


def _error(rows: list[dict[str, Any]]) -> Exception | None:
    try:
        to_table(rows)
    except _NOT_A_ROW as error:
        return error
    return None


def _decision(row: Mapping[str, Any]) -> str:
    return f"{row['result_id']} {row['outcome']} {row['decided_at']} {row['execution_arn']}"
