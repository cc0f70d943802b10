"""A report does without a picture that cannot be had; what was uploaded is counted by week."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from analytics.report.isoweek import IsoWeek
from infra.operations.listing import listed
from infra.operations.original import original
from infra.operations.write_report import may_wait, uploaded_in
from ingest.errors import MAX_BYTES
from ingest.upload import Upload
from workflow.outcome import IMPORTED_BUCKET


def a_bucket(body: Any, size_bytes: int = 5) -> Any:
    def get_object(**which: str) -> dict[str, Any]:
        if isinstance(body, Exception):
            raise body
        return {"Body": body, "ContentLength": size_bytes}

    return SimpleNamespace(get_object=get_object)


def breaks_off(*_: int) -> bytes:
    raise ReadTimeoutError(endpoint_url="s3")


def test_an_original_is_read() -> None:
    assert original(a_bucket(io.BytesIO(b"image")), "b", "k", "v") == b"image"


@pytest.mark.parametrize(
    "body",
    [
        ClientError({"Error": {"Code": "NoSuchVersion"}}, "GetObject"),
        EndpointConnectionError(endpoint_url="s3"),
        SimpleNamespace(read=breaks_off),
    ],
)
def test_what_cannot_be_read_is_no_picture(body: Any) -> None:
    assert original(a_bucket(body), "b", "k", "v") is None


def test_what_is_too_large_or_was_imported_is_not_asked_for() -> None:
    assert original(a_bucket(SimpleNamespace(read=pytest.fail), MAX_BYTES + 1), "b", "k", None) is None
    assert original(SimpleNamespace(get_object=pytest.fail), IMPORTED_BUCKET, "k", None) is None


def listing(*pages: list[datetime]) -> Iterator[Upload]:
    """Yield what a listing of the bucket yields, page by page."""
    version = {"Key": "k", "VersionId": "v", "ETag": '"e"', "Size": 5}
    answers = [{"Versions": [{**version, "LastModified": at} for at in times]} for times in pages]
    paginator = SimpleNamespace(paginate=lambda Bucket, Prefix: [*answers, {}])
    return listed(SimpleNamespace(get_paginator=lambda name: paginator), "b")


def test_uploads_are_counted_by_their_week_in_utc_and_young_ones_apart() -> None:
    now, seattle = datetime.now(UTC), timezone(timedelta(hours=-8))
    long_ago = [
        datetime(2025, 11, 16, 23, 59, tzinfo=UTC),
        datetime(2025, 11, 17, tzinfo=UTC),
        datetime(2025, 11, 23, 15, 59, tzinfo=seattle),
        datetime(2025, 11, 23, 16, 1, tzinfo=seattle),
    ]
    assert uploaded_in(IsoWeek.parse("2025-W47"), listing(long_ago, [now])) == (2, 0)
    assert uploaded_in(IsoWeek.of(now.date()), listing(long_ago, [now])) == (1, 1)


def test_images_that_wait_today_are_those_of_a_week_that_ended_three_days_ago_at_most() -> None:
    week = IsoWeek.parse("2026-W47")  # its Sunday is November 22
    assert may_wait(week, date(2026, 11, 18))
    assert may_wait(week, date(2026, 11, 25))
    assert not may_wait(week, date(2026, 11, 26))
