"""Watch: drop images, and see what becomes of each, and of whatever else comes in."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from infra.console import frame
from infra.console.system import System
from infra.space import check_space, disk_bytes
from ingest.errors import MAX_BYTES
from ingest.system_files import system_part
from ingest.upload import Upload
from model.serving.connections import Refused, read_body
from workflow.outcome import Outcome

if TYPE_CHECKING:
    from infra.console.feed import Feed

TITLE, PATH = "Watch", "/"

MAX_KEY_BYTES = 1_024
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
_NAME = "upload"
"""Of an object's metadata: the name that the page gave to its upload."""
_UPLOAD = re.compile(r"[0-9a-f-]{36}")
WAITS_AFTER_S = 15
WAITS_AFTER_ON_AWS_S = 90
"""Seconds without an outcome after which an image is said to wait: longer than an idle system takes."""
RATE_S = 10
RATE_ON_AWS_S = 120
"""Seconds over which images a second are counted: longer than outcomes are gathered."""


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""
    watch = _Watch(system)
    return [
        Route(PATH, watch.page),
        Route("/events", watch.events),
        Route("/upload", watch.upload, methods=["PUT"]),
    ]


class _Watch:
    def __init__(self, system: System) -> None:
        self._system = system

    @cached_property
    def _feed(self) -> "Feed":
        from infra.console.feed import Feed  # boto3 and pyarrow: not before somebody watches

        return Feed(self._system)

    async def page(self, request: Request) -> Response:
        """Return the page."""
        stack = self._system.stack
        is_here = stack.endpoint_url is not None
        settings = {
            "outcomes": [
                {"value": each.value, "heading": each.heading, "colour": each.colour} for each in Outcome
            ],
            "waits_after_s": WAITS_AFTER_S if is_here else WAITS_AFTER_ON_AWS_S,
            "max_bytes": MAX_BYTES,
            "rate_s": RATE_S if is_here else RATE_ON_AWS_S,
        }
        prefix = stack.key_pattern.partition("*")[0]
        return frame.page(request, "watch.html.j2", settings=settings, prefix=prefix)

    async def events(self, request: Request) -> Response:
        """Return the stream of events, from `Last-Event-ID` or the parameter `since` on."""
        cursor = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return StreamingResponse(self._feed.events(cursor), media_type="text/event-stream")

    async def upload(self, request: Request) -> Response:
        """Put the body into the bucket under the parameter `key`; return `{"id", "version"}` of it.

        An object of that key gets a new version, as S3 does it. The page names each `upload`. With `again=1`
        it does not know whether that arrived: it is put only if it did not.
        """
        key, name = request.query_params.get("key", ""), request.query_params.get("upload", "")
        # Read all the same: a browser that is answered while it sends takes the connection for broken.
        body = await read_body(request, MAX_BYTES)
        _check_key(key, self._system.stack.key_pattern)
        if not _UPLOAD.fullmatch(name):
            raise Refused(422, "upload", "The upload has no name: reload the page.")
        put = self._put_once if "again" in request.query_params else self._put
        upload = await self._system.in_thread(put, key, name, body)
        return JSONResponse({"id": self._feed.board.uploaded(upload), "version": upload.version_id})

    def _put_once(self, key: str, name: str, body: bytes) -> Upload:
        """Put the body unless the object's current version is of this upload already."""
        from botocore.exceptions import ClientError

        bucket = self._system.stack.incoming_bucket
        try:
            stored = self._system.client("s3").head_object(Bucket=bucket, Key=key)
        except ClientError:  # there is none
            return self._put(key, name, body)
        if stored["Metadata"].get(_NAME) != name:
            return self._put(key, name, body)
        return _upload(bucket, key, stored, stored["ContentLength"], stored["LastModified"])

    def _put(self, key: str, name: str, body: bytes) -> Upload:
        stack = self._system.stack
        if stack.home:
            check_space(Path(stack.home), disk_bytes([len(body)]))
        stored = self._system.client("s3").put_object(
            Bucket=stack.incoming_bucket, Key=key, Body=body, Metadata={_NAME: name}
        )
        return _upload(stack.incoming_bucket, key, stored, len(body), datetime.now(UTC))


def _upload(
    bucket: str, key: str, stored: Mapping[str, Any], size_bytes: int, uploaded_at: datetime
) -> Upload:
    """Return the upload that S3's answer is about."""
    return Upload(
        bucket=bucket,
        key=key,
        version_id=stored.get("VersionId"),
        etag=stored["ETag"].strip('"'),
        sequencer="",
        size_bytes=size_bytes,
        uploaded_at=uploaded_at,
    )


def _check_key(key: str, pattern: str) -> None:
    """Check that an object of this key would be classified.

    Raises:
        Refused: with the reason.
    """
    from infra.operations.listing import matches

    if not key or len(key.encode()) > MAX_KEY_BYTES:
        raise Refused(422, "key", f"A key has 1 to {MAX_KEY_BYTES:,} bytes.")
    if part := system_part(PurePosixPath(key)):
        raise Refused(
            422, "system_file", f"Left out: {part} is of an operating system or of version control."
        )
    if not matches(key, pattern):
        raise Refused(422, "key_pattern", f"Not an image of this stack: its keys are like {pattern}.")
