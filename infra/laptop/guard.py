"""Passes on to the embedded AWS what its owner sends: requests of web pages and unsigned ones are refused.

ministack answers whoever reaches its port, and tells browsers that every page may read its answers. Whoever
may create a Lambda runs code as the user. Here a request is first looked at by `model.serving.loopback`. Then
its signature must be by the credentials of this system, or by those that its STS gave to a role. It may be of
version 4, in the header or in the query, or of version 2 in the query: so the AWS CLI presigns URLs. The
functions that compare signatures are ministack's own, which uses them only with AUTH=true, and there not for
the account's own key.

A request is refused before its body is read, so that a stranger cannot fill the memory. Where the signature
covers the body itself, the access key, which is secret as well, is checked first.
"""

import hashlib
import http
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_evaluator, router, sigv4
from ministack.core.responses import _account_from_sts_session, get_account_id

from model.serving.loopback import Application, LoopbackOnly, Message, Receive, Send, answer

WITHOUT_SIGNATURE = "GET", "/_ministack/health"
"""Method and path of what tells whether the embedded AWS is up, and nothing else."""

_SIGN = "Sign it with access_key_id and secret_access_key of stack.json."
_CODE = "InvalidSignature"
"""Not a code of AWS: for those, ministack replaces the message."""
_EXPIRED = "The signature is too old, or of the future."
_NOT_HASHED = frozenset({sigv4.UNSIGNED_PAYLOAD, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
_CHUNKS_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    raw_path: str
    """As it was sent, percent-encoded."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]


class Denied(Exception):
    """A request without a valid signature. The text says why."""

    status = http.HTTPStatus.FORBIDDEN


class Outdated(Denied):
    """The owner's signature of another time: the clock was set, or the laptop slept, while it was on its way.

    AWS's clients sign anew and try again after 503, and not after 403.
    """

    status = http.HTTPStatus.SERVICE_UNAVAILABLE


def guarded(application: Application) -> Application:
    """Return an ASGI application that passes on only what the owner of the system sends."""
    return LoopbackOnly(SignedOnly(application))


class SignedOnly:
    """Wraps an ASGI application: answers 403 to requests without a valid signature."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) == WITHOUT_SIGNATURE:
            await self._application(scope, receive, send)
            return
        request = _request(scope)
        try:
            check_body = check(request)
            body = await _read(receive)
            if body is None:
                return
            check_body(body)
        except Denied as denied:
            await answer(send, *_denial(request, denied))
            return
        await self._application(scope, _again(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """Return the body; None if the client is gone."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what hands on the body that was read, and then whatever else comes."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def wrapped() -> Message:
        return messages.pop() if messages else await receive()

    return wrapped


def _request(scope: Message) -> _Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(value)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
    return _Request(scope["method"], scope["path"], scope["raw_path"].decode("latin-1"), query, headers)


def check(request: _Request) -> Callable[[bytes], None]:
    """Check the signature of a request, and return what checks its body.

    Raises:
        Denied: it is not valid; what is returned raises the same.
    """
    authorization = request.headers.get("authorization", "")
    if not authorization and "AWSAccessKeyId" in request.query:
        _check_version_2(request)
        return lambda _: None
    is_presigned = not authorization and "X-Amz-Algorithm" in request.query
    if is_presigned:
        algorithm, signature = request.query["X-Amz-Algorithm"][0], sigv4.parse_query_signature(request.query)
    else:
        algorithm, signature = (
            authorization.partition(" ")[0],
            sigv4.parse_header_signature(request.headers),
        )
    if algorithm != "AWS4-HMAC-SHA256" or isinstance(signature, tuple):
        raise Denied("The request is not signed.")
    if "host" not in signature.signed_headers.split(";"):
        raise Denied("The signature leaves out Host.")
    # The signer must be the one whom ministack takes for the caller.
    if not signature.access_key_id or signature.access_key_id != router.extract_access_key_id(
        dict(request.headers), dict(request.query)
    ):
        raise Denied("The request names two access keys, or none.")
    credential = _credential(request, signature.access_key_id, is_presigned=is_presigned)
    if credential is None:
        raise Denied("The access key is not known.")
    is_expired = _is_expired(request, signature, is_presigned=is_presigned)
    if is_expired and is_presigned:
        raise Denied(_EXPIRED)

    def compare(body: bytes) -> None:
        if sigv4.header_signature_failure(
            signature,
            credential.secret_access_key,
            request.method,
            request.raw_path,
            request.query,
            request.headers,
            body,
            presigned=is_presigned,
        ):
            raise Denied("The signature does not match.")
        if is_expired:
            raise Outdated(_EXPIRED)

    said = request.headers.get("x-amz-content-sha256", "")
    if not is_presigned and (not said or said.startswith(_CHUNKS_SIGNED)):
        return compare
    compare(b"")
    return (lambda _: None) if is_presigned or said in _NOT_HASHED else partial(_compare_hash, said)


def _compare_hash(said: str, body: bytes) -> None:
    if not _SHA256.fullmatch(said) or hashlib.sha256(body).hexdigest() != said:
        raise Denied("The body is not what was signed.")


def _check_version_2(request: _Request) -> None:
    """Check a URL of S3 that was presigned by version 2.

    Raises:
        Denied: it is not valid.
    """
    access_key_id = request.query["AWSAccessKeyId"][0]
    if not access_key_id or not {"Signature", "Expires"} <= request.query.keys():
        raise Denied("The request is not signed.")
    bucket = app._extract_s3_vhost_bucket(request.headers["host"])
    signed = iam_evaluator.SignedRequest(
        access_key_id,
        request.method,
        request.raw_path,
        dict(request.query),
        dict(request.headers),
        sigv2=True,
        auth_path=f"/{bucket}{request.raw_path}" if bucket else request.raw_path,
    )
    if isinstance(iam_evaluator._sigv2_check(signed, get_account_id()), iam_evaluator.AuthError):
        raise Denied("The signature does not match.")


def _credential(request: _Request, access_key_id: str, *, is_presigned: bool) -> Any:
    if is_presigned:
        token = request.query.get("X-Amz-Security-Token", [""])[0]
    else:
        token = request.headers.get("x-amz-security-token", "")
    account_id = _account_from_sts_session(access_key_id)
    found = iam_evaluator.resolve_credential(access_key_id, account_id, token)
    return None if isinstance(found, iam_evaluator.CredentialResolutionError) else found


def _is_expired(request: _Request, signature: sigv4.HeaderSignature, *, is_presigned: bool) -> bool:
    if not is_presigned:
        return sigv4.request_time_failure(signature) is not None
    try:
        seconds = int(request.query["X-Amz-Expires"][0])
        return bool(sigv4.presigned_request_is_expired(signature.amz_date, seconds))
    except (KeyError, ValueError):
        return True


def _denial(request: _Request, why: Denied) -> tuple[int, dict[str, str], bytes]:
    """Return a response that the service's clients understand."""
    headers = dict(request.headers)
    service = router.detect_service(request.method, request.path, headers, dict(request.query))
    error = iam_evaluator.AuthError(_CODE, f"{why} {_SIGN}")
    _, answered, body = app._credential_failure(service, "", str(uuid.uuid4()), error, headers)
    return why.status, answered, body
