"""Image: one image's story, as `scones why` tells it."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infra.console import frame
from infra.console.system import System

if TYPE_CHECKING:
    from infra.operations.story import Seen, Story

TITLE, PATH = "Image", "/image"


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""

    def told(key: str, version_id: str | None) -> "Story":
        from infra.operations.story import tell  # pandas: not before somebody asks
        from infra.operations.why import facts_about

        with system.engine() as engine:
            return tell(facts_about(system.stack, system.client, engine, key, version_id))

    async def image(request: Request) -> Response:
        """Show one image's story: `/image?key=…&version=…`; without a key, ask for one."""
        key = request.query_params.get("key", "")
        story = await system.in_thread(told, key, request.query_params.get("version")) if key else None
        seen = _as_address(story.seen) if story and story.seen else None
        return frame.page(request, "image.html.j2", key=key, story=story, seen=seen)

    return [Route(PATH, image)]


def _as_address(seen: "Seen") -> str | None:
    """Return what the model sees as an address that holds it: a few kilobytes."""
    data = base64.b64encode(seen.file).decode()
    return f"data:{seen.picture_type};base64,{data}" if data else None
