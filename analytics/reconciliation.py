"""Reconciliation of the incoming bucket with the table: one record per upload, never all in memory.

The listing is one more table, `uploaded`, beside the results or their mirror, and SQL joins the two. They are
matched by key and version: an upload's time in a listing is not that of its event, and around midnight it has
another date.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from analytics.athena.local import LocalEngine
from analytics.lake.columns import LISTING_TABLE
from analytics.questions.queries import internal_query, views
from ingest.upload import Upload
from workflow.outcome import Outcome

IN_FLIGHT = timedelta(minutes=15)
"""Age from which an upload without an outcome is missing. An event may take a minute, the state machine up to
five more, and Record may gather outcomes as long."""

_ROWS_AT_ONCE = 10_000
_IDS_AT_ONCE = 3_000
"""Ids in one statement: Athena takes 262,144 bytes."""
_DAY = timedelta(days=1)


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


@dataclass(frozen=True)
class Settled:
    """How many uploads have one outcome, which is no failure."""

    is_listed: bool
    outcome: Outcome
    uploads: int


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

    def add_settled(self, settled: Settled) -> None:
        """Count uploads that nothing is wrong with."""
        if settled.is_listed:
            self.uploaded += settled.uploads
            self.by_outcome[settled.outcome] += settled.uploads
        else:
            self.deleted_since += settled.uploads

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


@dataclass(frozen=True)
class Reconciliation:
    """A listing of the incoming bucket beside the table."""

    stream: Callable[[str], Iterable[tuple[Any, ...]]]
    """Yields the rows of a statement."""
    bucket: str
    prefix: str
    listing: str
    """Partition of the listing."""

    def accounts(self) -> Iterator[Account]:
        """Yield an account of each upload that is listed or recorded, in no order.

        Raises:
            QueryFailed: the files cannot be read.
        """
        for row in self._rows("accounts"):
            yield _account(self.bucket, row)

    def summarized(self) -> Iterator[Account | Settled]:
        """Yield an account of each upload that failed, has no outcome or is counted twice; count the others.

        Raises:
            QueryFailed: the files cannot be read.
        """
        for *row, uploads in self._rows("summarized_accounts", failed=Outcome.FAILED.value):
            key, is_listed, outcome = row[0], row[5], row[6]
            yield (
                _account(self.bucket, row)
                if key is not None
                else Settled(is_listed, Outcome(outcome), uploads)
            )

    def settled(self, uploads: Iterable[Upload]) -> set[str]:
        """Return the ids of those uploads that have an outcome other than a failure, whether listed or not.

        Raises:
            QueryFailed: the files cannot be read.
        """
        found: set[str] = set()
        rest = iter(uploads)
        while some := list(islice(rest, _IDS_AT_ONCE)):
            days = [upload.uploaded_at.date() for upload in some]
            sql = internal_query(
                "settled_uploads",
                upload_ids=[upload.upload_id for upload in some],
                from_dt=min(days) - _DAY,
                to_dt=max(days) + _DAY,
                failed=Outcome.FAILED.value,
            )
            found |= {upload_id for (upload_id,) in self.stream(sql)}
        return found

    def _rows(self, name: str, **values: str) -> Iterable[tuple[Any, ...]]:
        where = {"bucket": self.bucket, "prefix": self.prefix, "listing": self.listing}
        return self.stream(internal_query(name, **where, **values))


@contextmanager
def reconciled(
    folder: Path, bucket: str, uploads: Iterable[Upload], prefix: str = ""
) -> Iterator[Reconciliation]:
    """Write a listing beside a mirror of the results, and delete it in the end.

    Args:
        folder: the mirror of the results.
        bucket: the incoming bucket that was listed.
        uploads: every object version under the prefix.
        prefix: the prefix of the keys.
    """
    listing = "all"
    try:
        write_listing(folder / listing_key(listing), uploads)
        with closing(LocalEngine(folder, views())) as engine:
            yield Reconciliation(engine.stream, bucket, prefix, listing)
    finally:
        shutil.rmtree(folder / LISTING_TABLE, ignore_errors=True)


def listing_key(listing: str) -> str:
    """Return where a listing is below the results, or below their mirror."""
    return f"{LISTING_TABLE}/dt={listing}/listing.parquet"


def write_listing(path: Path, uploads: Iterable[Upload]) -> None:
    """Write a listing as Parquet, some rows at a time."""
    import pyarrow as pa  # not for those who ask about one image
    import pyarrow.parquet as parquet

    from analytics.lake.schema import LISTING_SCHEMA

    path.parent.mkdir(parents=True, exist_ok=True)
    rest = iter(uploads)
    with parquet.ParquetWriter(path, LISTING_SCHEMA, compression="zstd") as writer:
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            writer.write_table(pa.Table.from_pylist([_row(upload) for upload in some], LISTING_SCHEMA))


def _row(upload: Upload) -> dict[str, object]:
    return {
        "key": upload.key,
        "version_id": upload.version_id,
        "etag": upload.etag,
        "size_bytes": upload.size_bytes,
        "uploaded_at": upload.uploaded_at,
    }


def _account(bucket: str, row: Iterable[Any]) -> Account:
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
