"""Pictures of images in the incoming bucket: made anew by the bounded decoder, never the object itself."""

import asyncio
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infra.console.system import System
from ingest.upload import NULL_VERSION

TITLE, PATH = "", "/picture"

SIZES_PX = {"small": 96, "large": 256}
DECODED_AT_ONCE = 2
"""An original may take 200 MB while it is decoded."""


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""
    return [Route(PATH, _Pictures(system).picture)]


class _Pictures:
    def __init__(self, system: System) -> None:
        self._system = system
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    async def picture(self, request: Request) -> Response:
        """Return the picture of one version of one key: `/picture?key=…&version=…&size=small`.

        Without a version id, it is the version that S3 calls `null`.
        """
        asked = request.query_params
        key, size_px = asked.get("key"), SIZES_PX.get(asked.get("size", "small"))
        if not key or not size_px:
            raise HTTPException(400)
        async with self._decoding:
            drawn = await self._system.in_thread(self._drawn, key, asked.get("version"), size_px)
        if drawn is None:
            raise HTTPException(404)
        # A version of an object never changes, but that which S3 calls `null` is overwritten.
        is_fixed = asked.get("version") not in (None, "", NULL_VERSION)
        headers = {"cache-control": "private, max-age=86400"} if is_fixed else None
        return Response(drawn, media_type="image/jpeg", headers=headers)

    def _drawn(self, key: str, version_id: str | None, size_px: int) -> bytes | None:
        from analytics.review.thumbnails import small_jpeg
        from infra.operations.original import original  # boto3: not before somebody looks

        system = self._system
        data = original(system.client("s3"), system.stack.incoming_bucket, key, version_id or None)
        return small_jpeg(data, size_px)
