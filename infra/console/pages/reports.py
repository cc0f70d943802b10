"""Reports: the weekly reports that were written, on this machine and into the results bucket."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from analytics.commands import how
from infra.console import frame
from infra.console.system import System
from infra.installation import state_folder

TITLE, PATH = "Reports", "/reports"

FOLDER = "report"
"""Folder of the state folder, with a folder for each week."""
PAGE = "report.html"

PAGE_MAX_BYTES = 64_000_000
_WEEK = re.compile(r"\d{4}-W\d{2}")
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Policy of a report, which has its style within, and no script: as in its own head, and of no origin."""


@dataclass(frozen=True)
class Written:
    """A report."""

    week: str
    is_in_bucket: bool
    at: datetime
    """UTC."""


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""

    async def reports(request: Request) -> Response:
        """List the reports, the latest week first."""
        found = await system.in_thread(lambda: [*_in_bucket(system), *_here()])
        found.sort(key=lambda each: (each.week, each.at), reverse=True)
        return frame.page(request, "reports.html.j2", reports=found, command=how("report"))

    async def here(request: Request) -> Response:
        """Return a report of this machine."""
        path = _folder() / _week_of(request) / PAGE
        page = await system.in_thread(_read, path)
        return _as_report(page)

    async def in_bucket(request: Request) -> Response:
        """Return a report of the results bucket."""
        page = await system.in_thread(_fetched, system, _week_of(request))
        return _as_report(page)

    return [
        Route(PATH, reports),
        Route(f"{PATH}/here/{{week}}", here),
        Route(f"{PATH}/in-bucket/{{week}}", in_bucket),
    ]


def _folder() -> Path:
    return state_folder() / FOLDER


def _here() -> list[Written]:
    return [
        Written(path.parent.name, False, datetime.fromtimestamp(path.stat().st_mtime, UTC))
        for path in _folder().glob(f"*/{PAGE}")
        if _WEEK.fullmatch(path.parent.name)
    ]


def _in_bucket(system: System) -> list[Written]:
    from analytics.report.digest.aws import REPORTS_PREFIX  # boto3: not before somebody looks

    pages = system.client("s3").get_paginator("list_objects_v2")
    found = [
        (each["Key"].removeprefix(REPORTS_PREFIX).partition("/"), each["LastModified"])
        for page in pages.paginate(Bucket=system.stack.results_bucket, Prefix=REPORTS_PREFIX)
        for each in page.get("Contents", ())
    ]
    return [
        Written(week, True, at.astimezone(UTC))
        for (week, _, name), at in found
        if name == PAGE and _WEEK.fullmatch(week)
    ]


def _week_of(request: Request) -> str:
    """Return the week in the address, which is no path."""
    week: str = request.path_params["week"]
    if not _WEEK.fullmatch(week):
        raise HTTPException(404)
    return week


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise HTTPException(404) from error


def _fetched(system: System, week: str) -> bytes:
    from analytics.report.digest.aws import REPORTS_PREFIX

    s3, key = system.client("s3"), f"{REPORTS_PREFIX}{week}/{PAGE}"
    try:
        stored = s3.get_object(Bucket=system.stack.results_bucket, Key=key)
    except s3.exceptions.NoSuchKey as error:
        raise HTTPException(404) from error
    with stored["Body"] as body:
        page: bytes = body.read(PAGE_MAX_BYTES)
    return page


def _as_report(page: bytes) -> Response:
    return HTMLResponse(page, headers={"content-security-policy": _POLICY})
