"""The rows of the table as they arrive: each of its files is read once.

A row is in the table some time after its decision: a second on a laptop, a minute on AWS, hours after a
fault. A question about rows since a time would miss the late ones, or ask for all of them again and again.
A file is new or not, whatever its rows say, and to list two days of files costs less than a question.
"""

import tempfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from analytics.lake.aws import ResultsBucket
from analytics.lake.columns import PREFIX

POLL_S = 1.0
POLL_ON_AWS_S = 10.0
"""Record gathers outcomes for a minute there, and each question costs what 10 MB cost."""
SINCE = timedelta(days=1)
"""How far back new rows are looked for: longer than a drop takes."""

MOST_ROWS = 10_000
"""Most rows that are taken from one reading: the latest ones."""

_COLUMNS = [
    *("upload_id", "result_id", "execution_arn", "bucket", "key", "version_id", "etag", "size_bytes"),
    *("uploaded_at", "decided_at", "outcome", "label", "confidence", "threshold", "probabilities"),
    *("reason", "detail", "model_version"),
]


class NewFiles:
    """Files of the table that were not there at the last look."""

    def __init__(self, results: ResultsBucket) -> None:
        """Take the table's bucket."""
        self._results = results
        self._read: set[str] = set()

    def tables(
        self, first: date, last: date, columns: list[str], written_since: datetime | None = None
    ) -> Iterator[pa.Table]:
        """Yield what the new files of some days hold, the last one included.

        A file that is not the table's is passed over, and one that was written before the given time.

        Raises:
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refused, or is not there.
        """
        # All days in one request.
        files = self._results.list_files(PREFIX, after=f"{PREFIX}dt={first}/", since=written_since)
        listed = {path for path, _ in files if path < f"{PREFIX}dt={last}/~"}
        self._read &= listed  # a compaction has replaced the others
        with tempfile.TemporaryDirectory(prefix="tail-") as folder:
            new = self._results.download(sorted(listed - self._read), Path(folder))
            for file in new.values():
                try:
                    table = parquet.read_table(file, columns=columns, partitioning=None)
                except pa.ArrowInvalid:
                    continue
                yield table
        # A file that was gone is not marked: what replaced it is in the next listing.
        self._read |= new.keys()


class Tail:
    """What is new in the table, about uploads of the last day."""

    def __init__(self, results: ResultsBucket, incoming_bucket: str) -> None:
        """Take the table's bucket, and the bucket whose images count."""
        self._files = NewFiles(results)
        self._incoming_bucket = incoming_bucket

    def new_rows(self, now: datetime) -> list[dict[str, Any]]:
        """Return rows of files that were not there before; a row may come twice, from two files.

        `probabilities` is a list of pairs. Times have no zone, and are UTC.

        Raises:
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refused, or is not there.
        """
        since = now - SINCE
        tables = self._files.tables(since.date(), (now + timedelta(minutes=5)).date(), _COLUMNS)
        return _latest(self._rows(table, since) for table in tables)

    def _rows(self, table: pa.Table, since: datetime) -> pa.Table:
        """Return the rows of a file that are about uploads since a time."""
        is_new = pc.greater_equal(
            table["uploaded_at"], pa.scalar(since.replace(tzinfo=None), pa.timestamp("ms"))
        )
        return table.filter(pc.and_(is_new, pc.equal(table["bucket"], self._incoming_bucket)))


def _latest(tables: Iterable[pa.Table]) -> list[dict[str, Any]]:
    found = [table for table in tables if table.num_rows]
    if not found:
        return []
    rows = pa.concat_tables(found).sort_by("decided_at")
    latest: list[dict[str, Any]] = rows.slice(max(rows.num_rows - MOST_ROWS, 0)).to_pylist()
    return latest
