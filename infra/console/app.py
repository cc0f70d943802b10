"""The console's application: the pages of `pages/`, within what `access` lets through."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.console import frame
from infra.console.access import OwnerOnly
from infra.console.pages import PAGES
from infra.console.system import System
from ingest.errors import SconesError
from model.serving.connections import Refused
from model.serving.loopback import Application


def create_app(system: System, token: str) -> Application:
    """Return the ASGI application, which answers only requests that have the token."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        system.close()

    routes = [route for module in PAGES for route in module.routes(system)]
    app = Starlette(
        routes=[*routes, Route("/assets/{name}", frame.asset)],
        lifespan=lifespan,
        exception_handlers={
            HTTPException: _not_there,
            Refused: _refused,
            SconesError: _fault,
            BotoCoreError: _fault,
            ClientError: _fault,
        },
    )
    app.state.system = system
    app.state.navigation = [(module.TITLE, module.PATH) for module in PAGES if module.TITLE]
    return OwnerOnly(app, token)


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return _said(request, error.status_code, error.detail, f"{request.method} {request.url.path}")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101
    return _said(request, error.status, "Not accepted", error.detail)


async def _fault(request: Request, error: Exception) -> Response:
    """Say what AWS, or Scones itself, says of a request that could not be answered."""
    return _said(request, 502, "That did not work", str(error))


def _said(request: Request, status: int, heading: str, detail: str) -> Response:
    """Return an error as a page where a person reads it, else as JSON `{"detail"}`."""
    if "text/html" in request.headers.get("accept", ""):
        return frame.page(request, "fault.html.j2", status, heading=heading, detail=detail)
    return JSONResponse({"detail": detail}, status)
