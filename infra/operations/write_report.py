"""The weekly report of a stack: the engine's answers, and what only the bucket's listing says."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.athena.engine import Engine
from analytics.reconciliation import IN_FLIGHT
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from infra.operations.listing import inventoried, listed, matching
from infra.stack import Stack, depth
from ingest.errors import MAX_BYTES
from ingest.upload import NULL_VERSION, Upload
from workflow.outcome import IMPORTED_BUCKET

LISTED_MOST = 100_000
"""Most object versions that a report on AWS lists: 100 requests. S3 lists by name, so that counting a week
means listing every version ever stored. Beyond that, an inventory counts them."""


def this_week() -> IsoWeek:
    """Return the current week (UTC)."""
    return IsoWeek.of(datetime.now(UTC).date())


def report_of(
    stack: Stack, answers: Engine, week: IsoWeek, compare: IsoWeek | None, inventory_url: str | None = None
) -> WeeklyReport:
    """Build a week's report, with the count of what was uploaded and pictures of the least certain images.

    Args:
        stack: whose week.
        answers: its engine.
        week: the week.
        compare: another week; None for none.
        inventory_url: an S3 Inventory's `manifest.json`, to be read instead of listing the bucket.
    """
    s3 = stack.client("s3")

    def picture(bucket: str, key: str, version_id: str | None) -> bytes | None:
        return original(s3, bucket, key, version_id)

    if inventory_url:
        uploads = inventoried(s3, inventory_url, stack.incoming_bucket)
    else:
        uploads = listed(s3, stack.incoming_bucket)
    most = None if stack.endpoint_url or inventory_url else LISTED_MOST
    uploaded, just_uploaded = uploaded_in(week, matching(uploads, stack.key_pattern), most)
    just_uploaded += depth(stack.client("sqs"), stack.waiting_images_url)
    return build_report(
        answers, week, compare, uploaded=uploaded, just_uploaded=just_uploaded, thumbnail=picture
    )


def uploaded_in(week: IsoWeek, uploads: Iterable[Upload], most: int | None = None) -> tuple[int | None, int]:
    """Count the uploads of a week, and those of them that may still be in flight.

    Where there are more than `most` uploads of all weeks, the count is None: not known.
    """
    uploaded = just_uploaded = 0
    young = datetime.now(UTC) - IN_FLIGHT
    for number, upload in enumerate(uploads):
        if number == most:
            return None, 0
        if IsoWeek.of(upload.uploaded_at.date()) == week:
            uploaded += 1
            just_uploaded += upload.uploaded_at > young
    return uploaded, just_uploaded


def original(s3: Any, bucket: str, key: str, version_id: str | None) -> bytes | None:
    """Return the bytes of an uploaded image, or None if they cannot be read."""
    if bucket == IMPORTED_BUCKET:
        return None
    try:
        response = s3.get_object(Bucket=bucket, Key=key, VersionId=version_id or NULL_VERSION)
        data: bytes | None = response["Body"].read() if response["ContentLength"] <= MAX_BYTES else None
    except (BotoCoreError, ClientError):
        return None
    return data
