"""A report does without a picture that cannot be had; what was uploaded is counted by week."""

import io
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from analytics.report.isoweek import IsoWeek
from infra.operations.write_report import _uploaded, original
from ingest.image import MAX_BYTES
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


def test_uploads_are_counted_by_their_week_in_utc_and_young_ones_apart() -> None:
    now, seattle = datetime.now(UTC), timezone(timedelta(hours=-8))
    long_ago = [
        datetime(2025, 11, 16, 23, 59, tzinfo=UTC),
        datetime(2025, 11, 17, tzinfo=UTC),
        datetime(2025, 11, 23, 15, 59, tzinfo=seattle),
        datetime(2025, 11, 23, 16, 1, tzinfo=seattle),
    ]
    pages = [{"Versions": [{"LastModified": at} for at in times]} for times in (long_ago, [now])]
    listing = SimpleNamespace(paginate=lambda Bucket: [*pages, {}])
    s3 = SimpleNamespace(get_paginator=lambda name: listing)
    assert _uploaded(s3, "b", IsoWeek.parse("2025-W47")) == (2, 0)
    assert _uploaded(s3, "b", IsoWeek.of(now.date())) == (1, 1)
