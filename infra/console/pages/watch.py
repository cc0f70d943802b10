"""Watch: what comes in, and what becomes of it."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infra.console import frame
from infra.console.system import System

TITLE, PATH = "Watch", "/"


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""
    return [Route(PATH, _page)]


async def _page(request: Request) -> Response:
    return frame.page(request, "watch.html.j2")
