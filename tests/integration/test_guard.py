"""Who may talk to the embedded AWS: requests as browsers and strangers send them are refused."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.retries.standard import TransientRetryableChecker

from infra.laptop.guard import guarded

PORT = 27_447
URL = f"http://127.0.0.1:{PORT}"
OWNER = Credentials("SCONESABCDEFGHIJKLMN", "the secret of this system")
BODY = b'{"FunctionName": "evil"}'


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OWNER.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OWNER.secret_key)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer what was sent, as ministack does: for every page to read."""
    body = (await receive())["body"]
    headers = [
        (b"Access-Control-Allow-Origin", b"*"),
        (b"access-control-allow-headers", b"*"),
        (b"etag", b"e"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def request(
    method: str = "POST",
    url: str = f"{URL}/2015-03-31/functions",
    body: bytes = BODY,
    service: str = "lambda",
    credentials: Credentials = OWNER,
    signer: Any = SigV4Auth,
    **headers: str,
) -> AWSRequest:
    """Return a request, signed."""
    signed = AWSRequest(method, url, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    signer(credentials, service, "us-east-1").add_auth(signed)
    return signed


def send(sent: AWSRequest, *chunks: bytes, **changed: str | None) -> tuple[int, dict[bytes, bytes], bytes]:
    """Send a request through the guard, with some headers changed; return status, headers and body."""
    prepared = sent.prepare()
    parts = urlsplit(prepared.url)
    headers = {"host": parts.netloc, **{name.lower(): value for name, value in prepared.headers.items()}}
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    scope = {
        "type": "http",
        "scheme": "http",
        "method": prepared.method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in headers.items()
            if value is not None
        ],
        "server": ("127.0.0.1", PORT),
    }
    body = list(chunks) or [prepared.body or b""]
    received = [
        {"type": "http.request", "body": part, "more_body": bool(body[i + 1 :])}
        for i, part in enumerate(body)
    ]
    answered: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def reply(message: Any) -> None:
        answered.append(message)

    asyncio.run(guarded(application)(scope, receive, reply))
    start, end = answered
    return start["status"], dict(start["headers"]), end["body"]


def test_a_signed_request_passes_with_its_body_and_without_cors() -> None:
    assert send(request(), BODY[:5], BODY[5:]) == (200, {b"etag": b"e"}, BODY)


@pytest.mark.parametrize(
    "url", [f"{URL}/b/a%20key%2Bwith%2F..%2Fsigns%C3%BC.png", f"{URL}/b?versions=&prefix=a%20b%2B"]
)
def test_keys_and_queries_are_signed_as_s3_s_clients_do(url: str) -> None:
    assert send(request("GET", url, b"", "s3", signer=S3SigV4Auth))[0] == 200


@pytest.mark.parametrize("host", ["localhost", "[::1]", "bucket.localhost"])
def test_the_loopback_s_names_are_this_host(host: str) -> None:
    assert send(request(url=f"http://{host}:{PORT}/"))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil.example:{PORT}",
        f"localhost.evil.example:{PORT}",
        f"127.0.0.1:{PORT}@evil.example",
        f"evillocalhost:{PORT}",
        "",
        None,
    ],
)
def test_another_host_is_refused_though_the_signature_is_right(host: str | None) -> None:
    sent = request(url=f"http://{host}/" if host else f"{URL}/")
    status, headers, body = send(sent, host=host)
    assert status == 403
    assert body.startswith(b"Host must be 127.0.0.1:27447")
    assert not [name for name in headers if name.lower().startswith(b"access-control")]


@pytest.mark.parametrize(
    "header",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": URL},
        {"origin": ""},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "same-origin"},
    ],
)
@pytest.mark.parametrize("path", ["/2015-03-31/functions", "/_ministack/health"])
def test_what_a_web_page_sends_is_refused_though_the_signature_is_right(
    header: dict[str, str], path: str
) -> None:
    status, headers, body = send(request(url=URL + path, content_type="text/plain"), **header)
    assert (status, body[:34]) == (403, b"Requests of web pages are refused:")
    assert headers.keys() == {b"content-type", b"content-length"}


def test_what_is_typed_into_a_browser_is_no_page_s() -> None:
    presigned = request("GET", f"{URL}/b/k.png", b"", "s3", signer=presigner(60))
    assert send(presigned, sec_fetch_site="none")[0] == 200


def test_a_preflight_is_refused() -> None:
    preflight = AWSRequest("OPTIONS", f"{URL}/", {"origin": "http://evil.example"})
    assert send(preflight)[0] == 403


def test_without_a_signature_there_is_health_alone() -> None:
    assert send(AWSRequest("GET", f"{URL}/_ministack/health"))[0] == 200
    for path in (
        "/",
        "/_ministack/reset",
        "/_ministack/config",
        "/health/",
        "//_ministack/health",
        "/bucket/key",
        "/_ministack/health",
    ):
        assert send(AWSRequest("POST", URL + path, data=b"x"))[0] == 403, path


@pytest.mark.parametrize("access_key", ["test", "000000000000", "", OWNER.access_key, "AKIAIOSFODNN7EXAMPLE"])
@pytest.mark.parametrize("secret", ["test", "another"])
def test_no_access_key_goes_without_the_secret(access_key: str, secret: str) -> None:
    status, _, body = send(request(credentials=Credentials(access_key, secret)))
    assert status == 403
    assert b"access_key_id and secret_access_key of stack.json" in body


def test_the_account_s_number_is_a_key_with_the_same_secret_as_lambdas_have_it() -> None:
    assert send(request(credentials=Credentials("000000000000", OWNER.secret_key)))[0] == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"x_amz_date": "another second"},
        {"x_amz_content_sha256": "UNSIGNED-PAYLOAD"},
        {"content_type": "other"},
    ],
)
def test_what_was_signed_cannot_be_changed(changed: dict[str, str]) -> None:
    sent = request("PUT", f"{URL}/b/k.png", b"image", "s3", signer=S3SigV4Auth, content_type="image/png")
    assert send(sent)[0] == 200
    if "x_amz_date" in changed:
        changed = {"x_amz_date": f"{datetime.now(UTC) - timedelta(minutes=1):%Y%m%dT%H%M%SZ}"}
    assert send(sent, **changed)[0] == 403
    assert send(sent, b"other")[0] == 403


def test_a_body_is_signed_also_where_no_header_has_its_hash() -> None:
    assert send(request())[0] == 200
    assert send(request(), BODY + b" ")[0] == 403


def test_a_second_credential_in_the_header_is_refused() -> None:
    sent = request(credentials=OWNER)
    authorization = sent.headers["Authorization"]
    twice = authorization.replace(
        "Credential=", "Credential=test/20261129/us-east-1/lambda/aws4_request, Credential="
    )
    assert send(sent, authorization=twice)[0] == 403


def presigner(expires_s: int) -> Any:
    return partial(S3SigV4QueryAuth, expires=expires_s)


def test_a_presigned_url_is_good_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{URL}/b/k%20with%20spaces.png"
    assert send(request("GET", url, b"", "s3", signer=presigner(60)))[0] == 200
    assert send(request("PUT", url, b"", "s3", signer=presigner(60)), b"any body")[0] == 200
    assert send(request("GET", url, b"", "s3", Credentials(OWNER.access_key, "x"), presigner(60)))[0] == 403
    longer = request("GET", url, b"", "s3", signer=presigner(60))
    longer.url = longer.url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    assert send(longer)[0] == 403
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda remove_tzinfo=True: an_hour_ago.replace(tzinfo=None)
    )
    assert send(request("GET", url, b"", "s3", signer=presigner(60)))[0] == 403


def test_what_was_signed_before_the_clock_was_set_is_refused_so_that_clients_sign_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)])
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda remove_tzinfo=True: next(times).replace(tzinfo=None)
    )
    for _ in range(2):
        status, _, body = send(request())
        assert status in TransientRetryableChecker._TRANSIENT_STATUS_CODES
        assert b"too old, or of the future" in body
    times = iter([datetime.now(UTC) - timedelta(hours=1)])
    assert send(request(credentials=Credentials(OWNER.access_key, "wrong")))[0] == 403


def test_a_presigned_url_of_version_2_is_good_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = partial(HmacV1QueryAuth, expires=60)
    url = f"{URL}/b/k%20with%20spaces.png"

    def presigned(credentials: Credentials) -> AWSRequest:
        sent = AWSRequest("GET", url)
        signer(credentials).add_auth(sent)
        return sent

    assert send(presigned(OWNER))[0] == 200
    for key, secret in (
        (OWNER.access_key, "x"),
        ("test", "test"),
        ("", OWNER.secret_key),
        ("000000000000", "test"),
    ):
        assert send(presigned(Credentials(key, secret)))[0] == 403
    changed = presigned(OWNER)
    changed.url = changed.url.replace("/b/k", "/b/other")
    assert send(changed)[0] == 403
    changed = presigned(OWNER)
    changed.method = "PUT"
    assert send(changed)[0] == 403
    in_a_while = time.time() + 61
    sent = presigned(OWNER)
    monkeypatch.setattr("time.time", lambda: in_a_while)
    assert send(sent)[0] == 403


def test_an_unsigned_payload_is_the_client_s_choice_and_other_marks_are_not() -> None:
    for mark, status in (
        ("UNSIGNED-PAYLOAD", 200),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", 200),
        ("NOTHING", 403),
    ):
        sent = AWSRequest("PUT", f"{URL}/b/k", {"X-Amz-Content-SHA256": mark}, b"image")
        SigV4Auth(OWNER, "s3", "us-east-1").add_auth(sent)
        assert send(sent)[0] == status, mark


def test_a_websocket_is_closed() -> None:
    closed: list[Any] = []

    async def reply(message: Any) -> None:
        closed.append(message)

    asyncio.run(guarded(application)({"type": "websocket"}, reply, reply))  # type: ignore[arg-type]
    assert [message["type"] for message in closed] == ["websocket.close"]


@pytest.mark.parametrize(
    ("sent", "changed"),
    [
        (request(), {"authorization": None}),
        (request(credentials=Credentials("SCONESABCDEFGHIJKLM0", OWNER.secret_key)), {}),
        (request("PUT", service="s3", signer=S3SigV4Auth), {"authorization": None}),
        (
            request(
                "PUT", service="s3", credentials=Credentials(OWNER.access_key, "wrong"), signer=S3SigV4Auth
            ),
            {},
        ),
        (request("PUT", service="s3", credentials=Credentials("x", "wrong"), signer=presigner(60)), {}),
    ],
)
def test_a_request_that_is_refused_is_refused_before_its_body_is_read(
    sent: AWSRequest, changed: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(_: Any) -> bytes:
        raise AssertionError("the body was read")

    monkeypatch.setattr("infra.laptop.guard._read", read)
    assert send(sent, **changed)[0] == 403
