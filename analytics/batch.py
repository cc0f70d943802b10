"""A batch of the results queue → the Parquet files that it becomes. Pure."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analytics.table import PREFIX, partition, row_from_message, to_table

# All that a message of any shape leads to: a message is not refused by letting a thousand others fail.
_NOT_A_ROW = (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Batch:
    """What is to be written, and what cannot be."""

    files: dict[str, pa.Table]
    """Path in the results bucket → its rows."""
    refused: list[tuple[str, Exception]]
    """Message id, and why the message is no outcome message."""

    @property
    def row_count(self) -> int:
        """Rows in all files."""
        return sum(table.num_rows for table in self.files.values())


def sort_out(records: Iterable[Mapping[str, Any]]) -> Batch:
    """Sort SQS records into one table per day, each row once, and the records that are not rows.

    Of copies of a row, the latest decision stays. Neither that nor the order of rows depends on the order of
    the records, which a redelivery changes.
    """
    days: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    refused: list[tuple[str, Exception]] = []
    for record in records:
        try:
            row = row_from_message(json.loads(record["body"]))
            to_table([row])  # so that a value that fits no column costs its own message only
        except _NOT_A_ROW as error:
            refused.append((record["messageId"], error))
            continue
        copies = days[partition(row)]
        result_id = row["result_id"]
        copies[result_id] = max(copies.get(result_id, row), row, key=_decided)
    files = {
        path_of(day, rows): to_table(row for _, row in sorted(rows.items())) for day, rows in days.items()
    }
    return Batch(files, refused)


def path_of(day: str, result_ids: Iterable[str]) -> str:
    """Name a file by its rows, so that the same rows written again overwrite it."""
    digest = hashlib.sha256("\n".join(sorted(result_ids)).encode()).hexdigest()
    return f"{PREFIX}dt={day}/{digest}.parquet"


def _decided(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # Decisions of the same millisecond are told apart as well, by whatever there is.
    return row["decided_at"], row["outcome"], row["execution_arn"] or ""
