"""The weekly report of a stack: the engine's answers, and what only the bucket knows."""

from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from analytics.athena.engine import Engine
from analytics.reconciliation import IN_FLIGHT
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from infra.stack import Stack
from ingest.image import MAX_BYTES
from ingest.upload import NULL_VERSION
from workflow.outcome import IMPORTED_BUCKET


def this_week() -> IsoWeek:
    """Return the week that it is now, in UTC."""
    return IsoWeek.of(datetime.now(UTC).date())


def report_of(stack: Stack, answers: Engine, week: IsoWeek, compare: IsoWeek | None) -> WeeklyReport:
    """Build a week's report, with the count of what was uploaded and pictures of the least certain images."""
    s3 = stack.client("s3")

    def picture(bucket: str, key: str, version_id: str | None) -> bytes | None:
        return original(s3, bucket, key, version_id)

    uploaded, just_uploaded = _uploaded(s3, stack.incoming_bucket, week)
    return build_report(
        answers, week, compare, uploaded=uploaded, just_uploaded=just_uploaded, thumbnail=picture
    )


def _uploaded(s3: Any, bucket: str, week: IsoWeek) -> tuple[int, int]:
    """Count the object versions that came in a week, and of those the ones that may still be on their way."""
    uploaded = just_uploaded = 0
    young = datetime.now(UTC) - IN_FLIGHT
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []):
            at = version["LastModified"].astimezone(UTC)
            if IsoWeek.of(at.date()) == week:
                uploaded += 1
                just_uploaded += at > young
    return uploaded, just_uploaded


def original(s3: Any, bucket: str, key: str, version_id: str | None) -> bytes | None:
    """Return an original, or None if it cannot be had: a page does without its picture."""
    if bucket == IMPORTED_BUCKET:
        return None
    try:
        response = s3.get_object(Bucket=bucket, Key=key, VersionId=version_id or NULL_VERSION)
        data: bytes | None = response["Body"].read() if response["ContentLength"] <= MAX_BYTES else None
    except (BotoCoreError, ClientError):
        return None
    return data
