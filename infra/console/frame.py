"""The frame of every page: its template, navigation, style and scripts."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from analytics import text as words
from infra.installation import PROJECT

_HERE = Path(__file__).parent
_TYPES = {".css": "text/css", ".js": "text/javascript"}


def page(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """Return a page: a template of `pages/` that extends `frame.html.j2`, filled in."""
    state = request.app.state
    filled = (
        _templates()
        .get_template(name)
        .render(
            **values,
            navigation=state.navigation,
            here=request.url.path,
            stack=state.system.stack,
            words=words,
        )
    )
    return HTMLResponse(filled, status)


async def asset(request: Request) -> Response:
    """Return a stylesheet or a script of the console."""
    path = _assets().get(request.path_params["name"])
    if path is None:
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix])


@cache
def _assets() -> dict[str, Path]:
    """Return the files that `/assets/` has, by name."""
    found = [
        path for folder in (_HERE, _HERE / "pages") for path in folder.iterdir() if path.suffix in _TYPES
    ]
    return {path.name: path for path in [*found, PROJECT / "analytics" / "theme.css"]}


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([_HERE, _HERE / "pages"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["exactly"] = json.dumps
    return environment


def _printable(value: Any) -> Any:
    """Replace non-printable characters of what an expression gives, unless it is markup."""
    return words.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
