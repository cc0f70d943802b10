"""Reconciliation of the incoming bucket with the table: one record per upload, never all in memory.

The listing is written beside the mirror of the results as one more table, `uploaded`, and SQL joins the two
on disk. They are matched by key and version: an upload's time in a listing is not that of its event, and
around midnight it has another date.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from analytics.athena.local import LocalEngine
from analytics.questions.queries import internal_query, views
from ingest.upload import Upload
from workflow.outcome import Outcome

IN_FLIGHT = timedelta(minutes=15)
"""Age from which an upload without an outcome is missing. An event may take a minute, the state machine up to
five more, and Record may gather outcomes as long."""

_LISTING = Path("uploaded") / "dt=all" / "listing.parquet"
_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("uploaded_at", pa.timestamp("ms"), nullable=False),
    ]
)
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Account:
    """One upload and its outcome."""

    upload: Upload
    """With the time of its rows, if it has any, so that a further row is on the same day."""
    is_listed: bool
    """Whether that version is still in the bucket."""
    outcome: Outcome | None
    """The current outcome; None if there is no row."""
    outcomes: int
    """Number of current rows. More than one means that the upload is counted twice."""

    def is_missing(self, now: datetime, in_flight: timedelta) -> bool:
        """Tell whether it should have an outcome by now, and has none."""
        return self.outcome is None and now - self.upload.uploaded_at > in_flight


@dataclass
class Audit:
    """Totals: `uploaded` is the sum of `by_outcome`, `in_flight`, `waiting` and `missing`."""

    uploaded: int = 0
    by_outcome: Counter[Outcome] = field(default_factory=Counter)
    in_flight: int = 0
    waiting: int = 0
    """Uploads that wait for the endpoint, as far as they are not in flight: see `let_wait`."""
    missing: int = 0
    doubled: int = 0
    """Uploads that are counted twice."""
    deleted_since: int = 0
    """Recorded uploads that are no longer in the bucket. They are not part of `uploaded`."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is lost, and nothing counted twice."""
        return not (self.missing or self.doubled)

    def let_wait(self, messages: int) -> None:
        """Count as many uploads as waiting as there are messages in the queue of images that wait.

        SQS counts messages and does not list them: while images wait, one that is missing may be among them.
        """
        self.waiting = min(self.missing, messages)
        self.missing -= self.waiting

    def add(self, account: Account, now: datetime, in_flight: timedelta) -> str | None:
        """Count an account; return its fault, if it has one: `missing` or `doubled`."""
        wrong = None
        if account.outcomes > 1:
            self.doubled += 1
            wrong = "doubled"
        if not account.is_listed:
            self.deleted_since += 1
            return wrong
        self.uploaded += 1
        if account.outcome is not None:
            self.by_outcome[account.outcome] += 1
        elif account.is_missing(now, in_flight):
            self.missing += 1
            wrong = "missing"
        else:
            self.in_flight += 1
        return wrong


def accounts(folder: Path, bucket: str, listing: Iterable[Upload], prefix: str = "") -> Iterator[Account]:
    """Yield an account of each upload that is listed or recorded, in no order.

    Args:
        folder: the mirror of the results.
        bucket: the incoming bucket that was listed.
        listing: every object version under the prefix.
        prefix: the prefix of the keys.

    Raises:
        QueryFailed: the files cannot be read.
    """
    table = folder / _LISTING.parts[0]
    try:
        _write_listing(folder / _LISTING, listing)
        with closing(LocalEngine(folder, views())) as engine:
            for row in engine.stream(internal_query("accounts", bucket=bucket, prefix=prefix)):
                yield _account(bucket, row)
    finally:
        shutil.rmtree(table, ignore_errors=True)


def _write_listing(path: Path, uploads: Iterable[Upload]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = iter(uploads)
    with parquet.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist([_row(upload) for upload in some], _SCHEMA))


def _row(upload: Upload) -> dict[str, object]:
    return {
        "key": upload.key,
        "version_id": upload.version_id,
        "etag": upload.etag,
        "size_bytes": upload.size_bytes,
        "uploaded_at": upload.uploaded_at.replace(tzinfo=None),
    }


def _account(bucket: str, row: tuple[Any, ...]) -> Account:
    key, version_id, etag, size_bytes, uploaded_at, is_listed, outcome, outcomes = row
    upload = Upload(
        bucket=bucket,
        key=key,
        version_id=version_id,
        etag=etag or "",
        sequencer="",
        size_bytes=size_bytes or 0,
        uploaded_at=uploaded_at.replace(tzinfo=UTC),
    )
    return Account(upload, is_listed, Outcome(outcome) if outcome else None, outcomes)
