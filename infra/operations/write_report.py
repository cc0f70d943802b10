"""The weekly report of a stack: the engine's answers, and what only the bucket's listing says."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from analytics.athena.engine import Engine
from analytics.questions.queries import saved_query
from analytics.reconciliation import IN_FLIGHT
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.prices import Prices
from analytics.review.thumbnails import small_jpeg
from infra.operations.endpoint_cost import endpoint_of
from infra.operations.listing import listed_of, matches
from infra.operations.original import original
from infra.stack import Stack
from ingest.upload import Upload
from ingest.waiting import depth

LISTED_MOST = 100_000
"""Most object versions that a report on AWS lists: 100 requests. S3 lists by name, so that counting a week
means listing every version ever stored. Beyond that, an inventory counts them."""

WAITS_AT_MOST = timedelta(days=3)
"""Longest time that an image waits for the endpoint: then its message goes to a dead-letter queue."""


def this_week() -> IsoWeek:
    """Return the current week (UTC)."""
    return IsoWeek.of(datetime.now(UTC).date())


def default_week(answers: Engine, today: date) -> IsoWeek:
    """Return the last complete week; the current one where nothing was recorded in the five weeks before it.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    this = IsoWeek.of(today)
    days = saved_query("volume_by_day", from_dt=this.back(5).monday, to_dt=this.back().sunday)
    return this.back() if answers.query(days).records() else this


def report_of(
    stack: Stack,
    answers: Engine,
    week: IsoWeek,
    compare: IsoWeek | None,
    inventory_url: str | None = None,
    prices: Prices | None = None,
) -> WeeklyReport:
    """Build a week's report, with the count of what was uploaded and pictures of the least certain images.

    Args:
        stack: whose week.
        answers: its engine.
        week: the week.
        compare: another week; None for none.
        inventory_url: an S3 Inventory's `manifest.json`, to be read instead of listing the bucket.
        prices: None for those of Scones.
    """
    s3 = stack.client("s3")

    def picture(bucket: str, key: str, version_id: str | None) -> bytes | None:
        return small_jpeg(original(s3, bucket, key, version_id))

    most = None if stack.endpoint_url or inventory_url else LISTED_MOST
    uploads = listed_of(s3, stack, inventory_url=inventory_url)
    uploaded, just_uploaded = uploaded_in(week, uploads, most, stack.key_pattern)
    if may_wait(week, datetime.now(UTC).date()):
        just_uploaded += depth(stack.client("sqs"), stack.waiting_images_url)
    return build_report(
        answers,
        week,
        compare,
        uploaded=uploaded,
        just_uploaded=just_uploaded,
        thumbnail=picture,
        endpoint=endpoint_of(stack),
        prices=prices,
    )


def may_wait(week: IsoWeek, today: date) -> bool:
    """Tell whether an image that was uploaded in the week can still wait for the endpoint."""
    return week.sunday >= today - WAITS_AT_MOST


def uploaded_in(
    week: IsoWeek, uploads: Iterable[Upload], most: int | None = None, key_pattern: str = "*"
) -> tuple[int | None, int]:
    """Count the uploads of a week, and those of them that may still be in flight.

    Where more than `most` are listed, of any week and whether they match or not, the count is None.
    """
    uploaded = just_uploaded = 0
    young = datetime.now(UTC) - IN_FLIGHT
    for number, upload in enumerate(uploads):
        if number == most:
            return None, 0
        if IsoWeek.of(upload.uploaded_at.date()) == week and matches(upload.key, key_pattern):
            uploaded += 1
            just_uploaded += upload.uploaded_at > young
    return uploaded, just_uploaded
