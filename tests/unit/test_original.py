"""infra.reports.original: a page does without a picture that cannot be had, whatever the reason."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from analytics.capture import BUCKET
from infra.reports import original
from ingest.image import MAX_BYTES


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
    assert original(SimpleNamespace(get_object=pytest.fail), BUCKET, "k", None) is None
