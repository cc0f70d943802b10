"""The audit of a stack: reconciles the incoming bucket with the table, and counts waiting messages."""

import json
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.athena.frames import Athena
from analytics.lake.aws import ResultsBucket
from analytics.lake.mirror import mirror
from analytics.reconciliation import (
    IN_FLIGHT,
    Account,
    Audit,
    Reconciliation,
    Settled,
    listing_key,
    reconciled,
    write_listing,
)
from infra.installation import state_folder
from infra.operations.listing import listed_of, matches
from infra.stack import Stack
from ingest.aws import MODEL_INPUTS_PREFIX
from ingest.upload import Upload
from ingest.waiting import depth

_OVERDUE = timedelta(days=3)
"""S3 rounds the day after which the prefix expires up to midnight, and deletes within another day."""


@dataclass(frozen=True)
class Queues:
    """Numbers of messages that wait, as SQS estimates them."""

    results: int
    """Outcomes on their way into the table."""
    waiting: int
    """Images that wait for the endpoint. They are decided as soon as it answers."""
    undelivered: int
    """Events that could not start an execution."""
    unrecorded: int
    """Outcomes that could not be written."""


@dataclass(frozen=True)
class ModelInputs:
    """Images in S3 that were too large for the state between two steps."""

    images: int
    overdue: int
    """Those that are older than their prefix keeps them."""


@dataclass(frozen=True)
class Audited:
    """What an audit found."""

    totals: Audit
    queues: Queues
    model_inputs: ModelInputs
    listed_in: dict[str, Path]
    """File that lists the `missing` and the `doubled` uploads, one JSON object a line. Among the missing are
    those that wait."""


def audit(
    stack: Stack,
    prefix: str = "",
    inventory_url: str | None = None,
    in_flight: timedelta = IN_FLIGHT,
    folder: Path | None = None,
) -> Audited:
    """Compare every object version under a prefix with the table, and list what is missing or doubled."""
    folder = folder or state_folder() / "audit"
    folder.mkdir(parents=True, exist_ok=True)
    found = {wrong: folder / f"{wrong}.jsonl" for wrong in ("missing", "doubled")}
    totals = Audit()
    now = datetime.now(UTC)
    with (
        found["missing"].open("w", encoding="utf-8") as missing,
        found["doubled"].open("w", encoding="utf-8") as doubled,
    ):
        files = {"missing": missing, "doubled": doubled}
        with reconciled_of(stack, prefix, inventory_url) as reconciliation:
            for account in reconciliation.summarized():
                if isinstance(account, Settled):
                    totals.add_settled(account)
                elif wrong := totals.add(account, now, in_flight):
                    files[wrong].write(_line(account))
    waiting = queues(stack)
    totals.let_wait(waiting.waiting)
    return Audited(totals, waiting, model_inputs(stack, now), found)


@contextmanager
def reconciled_of(
    stack: Stack, prefix: str = "", inventory_url: str | None = None
) -> Iterator[Reconciliation]:
    """Compare every upload under a prefix with the table: on AWS in Athena, on the laptop over a mirror.

    Args:
        stack: whose bucket and table to compare.
        prefix: of the keys.
        inventory_url: an S3 Inventory's `manifest.json`, to be read instead of listing the bucket.
    """
    s3, bucket = stack.client("s3"), stack.incoming_bucket
    listing = (
        upload
        for upload in listed_of(s3, stack, prefix, inventory_url)
        if matches(upload.key, stack.key_pattern)
    )
    if stack.endpoint_url is None:
        with reconciled_in_athena(stack, listing, prefix) as reconciliation:
            yield reconciliation
        return
    folder = state_folder() / "mirror" / stack.results_bucket
    mirror(ResultsBucket(s3, stack.results_bucket), folder)
    with reconciled(folder, bucket, listing, prefix) as reconciliation:
        yield reconciliation


@contextmanager
def reconciled_in_athena(
    stack: Stack, uploads: Iterable[Upload], prefix: str = ""
) -> Iterator[Reconciliation]:
    """Put a listing beside the results, where Athena joins the two, and delete it in the end."""
    s3, athena = stack.client("s3"), Athena(stack.client("athena"), stack.database, stack.workgroup)
    listing = uuid.uuid4().hex
    key = listing_key(listing)
    try:
        with tempfile.TemporaryDirectory(prefix="listing-") as folder:
            path = Path(folder) / "listing.parquet"
            write_listing(path, uploads)
            s3.upload_file(str(path), stack.results_bucket, key)
        yield Reconciliation(athena.stream, stack.incoming_bucket, prefix, listing)
    finally:
        s3.delete_object(Bucket=stack.results_bucket, Key=key)


def queues(stack: Stack) -> Queues:
    """Return how many messages wait in each queue."""
    sqs = stack.client("sqs")
    return Queues(
        results=depth(sqs, stack.results_queue_url),
        waiting=depth(sqs, stack.waiting_images_url),
        undelivered=depth(sqs, stack.undelivered_events_url),
        unrecorded=depth(sqs, stack.unrecorded_outcomes_url),
    )


def model_inputs(stack: Stack, now: datetime) -> ModelInputs:
    """Return how many large images are between two steps, or were and have not been deleted yet."""
    pages = stack.client("s3").get_paginator("list_objects_v2")
    ages = [
        now - item["LastModified"]
        for page in pages.paginate(Bucket=stack.results_bucket, Prefix=MODEL_INPUTS_PREFIX)
        for item in page.get("Contents", ())
    ]
    return ModelInputs(len(ages), sum(age > _OVERDUE for age in ages))


def _line(account: Account) -> str:
    upload = account.upload
    said = {
        "key": upload.key,
        "version_id": upload.version_id,
        "size_bytes": upload.size_bytes,
        "uploaded_at": upload.uploaded_at.isoformat(),
        "outcomes": account.outcomes,
    }
    return json.dumps(said) + "\n"
