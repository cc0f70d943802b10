"""The edge to AWS: objects, in few steps; S3's errors in our words; how many images wait."""

import http
import logging
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import boto3
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.hooks import first_non_none_response

from ingest.errors import MAX_BYTES, RejectedImage, too_large
from ingest.session import use_lean_session
from ingest.signature import signed_headers
from ingest.upload import NULL_VERSION, Upload
from ingest.waiting import WaitingQueue, depth

logger = logging.getLogger(__name__)

MODEL_INPUTS_PREFIX = "model-inputs/"
"""Prefix of images for the model in the results bucket, which expire: see the template."""

_GONE = {"NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed"}
"""Error codes for a missing object. `MethodNotAllowed` means that the version is a delete marker."""

_DENIED = {
    "AccessDenied",
    "KMS.AccessDeniedException",
    "KMS.DisabledException",
    "KMS.InvalidStateException",
    "KMS.KMSInvalidStateException",
    "KMS.NotFoundException",
}
"""Error codes of a refusal. S3 passes on errors of the object's KMS key, with the prefix `KMS.`."""


class AccessDenied(ClientError):  # type: ignore[misc]
    """S3 or the object's KMS key refuses access: the image ends as `failed` until the access is granted."""

    MSG_TEMPLATE = (
        "{error_code}: {error_message}{retry_info} (let the function's role read the object and decrypt with "
        "its KMS key, or enable the key; then run make redrive)"
    )


def read_object(path: str, s3: "boto3.client | None" = None) -> bytes:
    """Return the content of `bucket/key`, by a client of its own or a given one."""
    bucket, _, key = path.partition("/")
    config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})
    with (s3 or boto3.client("s3", config=config)).get_object(Bucket=bucket, Key=key)["Body"] as body:
        content: bytes = body.read()
    return content


def signed(
    client: "boto3.client", method: str, url: str, headers: Mapping[str, str], body: bytes = b""
) -> AWSPreparedRequest:
    """Return a request with the signature of a client's credentials.

    The answer's body is read later, but for a PUT: it has none, and its connection is used again.

    Raises:
        AttributeError: this release of botocore does not have what this needs.
    """
    signature = signed_headers(
        method,
        url,
        headers,
        body,
        credentials=client._request_signer._credentials.get_frozen_credentials(),
        region=client.meta.region_name,
        service=client.meta.service_model.signing_name,
        at=datetime.now(UTC),
    )
    length = {} if method == "GET" else {"Content-Length": str(len(body))}
    return AWSPreparedRequest(
        method, url, HeadersDict({**headers, **signature, **length}), body, method != "PUT"
    )


class Shortcut:
    """Reads and writes objects with botocore's credentials and connections alone, in half of the time."""

    def __init__(self, s3: "boto3.client") -> None:
        """Take a client."""
        self._s3 = s3
        self._urls: dict[str, str] = {}
        event = "provide-client-params.s3.GetObject"
        s3.meta.events.register(event, _as_the_client, unique_id="scones-as-the-client")
        use_lean_session(s3)

    def get(self, upload: Upload) -> bytes | None:
        """Return the object, or None where S3 answers anything but the whole object: the client knows why.

        Lambda's runtime may have a newer botocore than the tests, without the attributes that are not public.
        That is None, too.

        Raises:
            RejectedImage: `too_large`, of which nothing is read.
        """
        try:
            response = self._answer_to(upload)
            with closing(response.raw):
                size_bytes = int(response.headers.get("Content-Length", -1))
                if response.status_code == 200:
                    _refuse_beyond_limit(size_bytes)
                data: bytes = response.content
        except RejectedImage:
            raise
        except Exception:
            return None
        return data if response.status_code == 200 and len(data) == size_bytes else None

    def put(self, bucket: str, key: str, body: bytes) -> dict[str, Any] | None:
        """Store an object and return its `ETag` and its `VersionId`, if it has one, as the client does.

        None: S3 did not store it, and the client tries again, or knows why. S3 checks the body by the SHA-256
        that is signed.
        """
        try:
            response = self._answer("PutObject", signed(self._s3, "PUT", self._url_of(bucket, key), {}, body))
            if response.status_code != http.HTTPStatus.OK:
                return None
            stored = {"ETag": response.headers["ETag"]}
            if version_id := response.headers.get("x-amz-version-id"):
                stored["VersionId"] = version_id
        except Exception:
            return None
        return stored

    def _answer_to(self, upload: Upload) -> Any:
        selected = _version_of(upload)
        url = self._url_of(upload.bucket, upload.key)
        if version_id := selected.get("VersionId"):
            url = f"{url}?versionId={quote(version_id, safe='~')}"
        headers = {"If-Match": selected["IfMatch"]} if "IfMatch" in selected else {}
        return self._answer("GetObject", signed(self._s3, "GET", url, headers))

    def _answer(self, operation: str, request: AWSPreparedRequest) -> Any:
        # Where moto answers in place of S3.
        responses = self._s3.meta.events.emit(f"before-send.s3.{operation}", request=request)
        return first_non_none_response(responses) or self._s3._endpoint.http_session.send(request)

    def _url_of(self, bucket: str, key: str) -> str:
        """Return the URL of an object, wherever the client finds its bucket."""
        if bucket not in self._urls:
            signed = self._s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "-"})
            self._urls[bucket] = signed.partition("?")[0].removesuffix("-")
        return f"{self._urls[bucket]}{quote(key, safe='/~')}"


class IncomingBucket:
    """Reader of the objects that uploads name."""

    def __init__(self, s3: "boto3.client", shortcut: Shortcut | None = None) -> None:
        self._s3 = s3
        self._shortcut = shortcut

    @classmethod
    def connect(cls) -> "IncomingBucket":
        """Return a reader with its own client, which times out before the Lambda does.

        The client makes the second attempt; the first is the shortcut's.
        """
        config = Config(
            connect_timeout=1, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 1}
        )
        s3 = boto3.client("s3", config=config)
        return cls(s3, Shortcut(s3))

    def read(self, upload: Upload) -> bytes:
        """Return the bytes of exactly the version that was uploaded.

        Raises:
            RejectedImage: `too_large`, `archived`, or `object_gone` where that version no longer exists.
            AccessDenied: S3 or KMS refuses.
        """
        # Check the size that the event names before reading, then S3's ContentLength, which is authoritative.
        _refuse_beyond_limit(upload.size_bytes)
        if self._shortcut and (whole := self._shortcut.get(upload)) is not None:
            return whole
        version = _version_of(upload)
        try:
            response = self._s3.get_object(Bucket=upload.bucket, Key=upload.key, **version)
            _refuse_beyond_limit(response["ContentLength"])
            with response["Body"] as body:
                data: bytes = body.read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _GONE or code in {"404", "412", "PreconditionFailed"}:
                raise RejectedImage(
                    "object_gone", f"s3://{upload.bucket}/{upload.key} was deleted or replaced ({code})"
                ) from error
            if code == "InvalidObjectState":
                raise _archived(upload, error) from error
            if code in _DENIED:
                raise AccessDenied(error.response, error.operation_name) from error
            raise
        return data


class ModelInputs:
    """Images for the model that are too large for the state between two steps. They expire after a day."""

    def __init__(self, s3: "boto3.client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    @classmethod
    def connect(cls, bucket: str) -> "ModelInputs":
        """Return a store with its own client, which times out before the state machine does."""
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1}
        )
        return cls(boto3.client("s3", config=config), bucket)

    def write(self, upload_id: str, file: bytes) -> str:
        """Store an image and return its key: a retry overwrites it with the same one."""
        key = f"{MODEL_INPUTS_PREFIX}{upload_id}"
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=file)
        return key

    def read(self, key: str) -> bytes:
        """Return an image."""
        with self._s3.get_object(Bucket=self._bucket, Key=key)["Body"] as body:
            file: bytes = body.read()
        return file


def connect_waiting_queue(url: str) -> WaitingQueue:
    """Return the queue of images that wait. Its client is made when it counts for the first time."""
    config = Config(
        connect_timeout=0.5, read_timeout=0.5, retries={"mode": "standard", "total_max_attempts": 1}
    )
    connect = cache(partial(boto3.client, "sqs", config=config))

    def count() -> int:
        try:
            return depth(connect(), url)
        except (ClientError, BotoCoreError) as error:
            # Only a hint: the image goes the usual way.
            logger.warning("images that wait are not counted: %s", error)
            return 0

    return WaitingQueue(count)


def _as_the_client(context: dict[str, Any], **_: Any) -> None:
    """Let a presigned URL name the endpoint that the client asks, and not S3's global one.

    The global one does not know the newer regions, and redirects requests for new buckets of the others.
    """
    context.pop("use_global_endpoint", None)


def _version_of(upload: Upload) -> dict[str, str]:
    """Return the parameters that select this upload among others of its key, if the event has them."""
    if upload.version_id:
        return {"VersionId": upload.version_id}
    # The id needs only the permission that the role has. The ETag tells whether another upload replaced it.
    return {"VersionId": NULL_VERSION, "IfMatch": upload.etag} if upload.etag else {}


def _archived(upload: Upload, error: ClientError) -> RejectedImage:
    """Return the rejection of an object in S3 Glacier or in an archive tier of S3 Intelligent-Tiering."""
    stored = error.response["Error"]
    tier = stored.get("AccessTier") or stored.get("StorageClass") or "an archive tier"
    where = f"s3://{upload.bucket}/{upload.key}"
    return RejectedImage(
        "archived", f"{where} is in {tier}: restore it, then run make backfill with its prefix"
    )


def _refuse_beyond_limit(size_bytes: int) -> None:
    if size_bytes > MAX_BYTES:
        raise too_large(size_bytes)
