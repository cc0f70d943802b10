"""ingest.signature: botocore would sign the same request with the same signature."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.signature import signed_headers

AT = datetime(2026, 11, 30, 7, 0, 1, 250_000, tzinfo=UTC)
KINDS = {"s3": auth.S3SigV4Auth, "sagemaker": auth.SigV4Auth}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def both(
    service: str,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    token: str | None = None,
    region: str = "eu-west-3",
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of a request that is signed here, and of one that botocore signs."""
    keys = ReadOnlyCredentials("AKIAEXAMPLE", "secret", token, "account")
    own = headers | signed_headers(
        method, url, headers, body, credentials=keys, region=region, service=service, at=AT
    )
    request = AWSRequest(method, url, headers, body)
    with patch.object(auth, "get_current_datetime", return_value=AT.replace(tzinfo=None)):
        KINDS[service](Credentials("AKIAEXAMPLE", "secret", token), service, region).add_auth(request)
    return own, dict(request.headers.items())


@settings(max_examples=40, deadline=None)
@given(key=TEXT, version=TEXT, token=st.sampled_from([None, "a token"]))
def test_a_request_for_an_object_is_signed_as_botocore_does(
    key: str, version: str, token: str | None
) -> None:
    url = f"http://127.0.0.1:4566/bucket/{quote(key, safe='/~')}?versionId={quote(version, safe='~')}"
    own, theirs = both("s3", "GET", url, {"If-Match": '"etag"'}, b"", token)
    assert own == theirs


@pytest.mark.parametrize(
    "url", ["http://b.s3.eu-west-3.amazonaws.com/a", "http://a:80/b", "https://a:443/b", "http://a:443/b"]
)
def test_an_object_is_sent_with_the_hash_of_its_bytes(url: str) -> None:
    own, theirs = both("s3", "PUT", url, {}, b"image")
    assert own == theirs


@pytest.mark.parametrize("path", ["/endpoints/scones/invocations", "/a%20b/c~d", ""])
def test_a_question_to_an_endpoint_is_signed_as_botocore_does(path: str) -> None:
    headers = {"Content-Type": "image/png", "Accept": "a, b;q=.5", "X-Amzn-SageMaker-Inference-Id": "x"}
    own, theirs = both("sagemaker", "POST", f"https://runtime.example{path}", headers, b"image", "a token")
    assert own == theirs


def test_another_key_is_made_for_each_secret_day_region_and_service() -> None:
    url, body = "https://runtime.example/a", b""
    made = {
        signed_headers("POST", url, {}, body, credentials=keys, region=region, service=service, at=at)[
            "Authorization"
        ].rpartition("=")[2]
        for keys in (ReadOnlyCredentials("a", secret, None, None) for secret in ("one", "two"))
        for region in ("eu-west-3", "us-east-1")
        for service in KINDS
        for at in (AT, AT.replace(day=29))
    }
    assert len(made) == 16
