"""Ask: SQL in Athena's dialect, and the saved questions; the answer as a table or as CSV."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from infra.console import frame
from infra.console.system import OF_QUESTIONS, System
from ingest.errors import SconesError
from model.serving.connections import Refused, read_body

if TYPE_CHECKING:
    from analytics.athena.engine import QueryResult

TITLE, PATH = "Ask", "/ask"

ROWS_MOST = 500
"""Most rows of the table on the page; the CSV has all."""
CELL_MOST_CHARS = 1_000
SQL_MAX_BYTES = 262_144
"""Longest statement that Athena takes. Source: https://docs.aws.amazon.com/athena/latest/ug/service-limits.html"""


def routes(system: System) -> Sequence[BaseRoute]:
    """Return the page's routes."""
    ask = _Ask(system)
    return [Route(PATH, ask.page), Route(PATH, ask.answer, methods=["POST"])]


class _Ask:
    def __init__(self, system: System) -> None:
        self._system = system
        self._last: tuple[str, QueryResult] | None = None
        """The last statement and its answer: its CSV costs no second query."""

    async def page(self, request: Request) -> Response:
        """Return the page, without an answer."""
        return self._page(request, "")

    async def answer(self, request: Request) -> Response:
        """Answer `sql`, or the question `saved` of the `week`; as a file with `format=csv`."""
        body = await read_body(request, 4 * SQL_MAX_BYTES)  # percent signs take three bytes
        try:
            said = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=10, keep_blank_values=True)
        except ValueError as error:
            raise Refused(422, "not_a_form", "the body is not a form of this page") from error
        form = {name: values[0] for name, values in said.items()}
        sql, week = form.get("sql", "").replace("\r\n", "\n"), form.get("week", "").strip()
        try:
            if name := form.get("saved"):
                sql = _saved(name, week)
            is_file = form.get("format") == "csv"
            result = await self._answered(sql, may_be_known=is_file)
        except SconesError as error:
            return self._page(request, sql, week, error=str(error))
        if is_file:
            from infra.operations.answer_files import ENCODERS

            data = await self._system.in_thread(ENCODERS["csv"], result.frame)
            name = f"answer-{datetime.now(UTC):%Y%m%d-%H%M%S}.csv"
            headers = {"content-disposition": f'attachment; filename="{name}"'}
            return Response(data, media_type="text/csv", headers=headers)
        return self._page(request, sql, week, result=result)

    async def _answered(self, sql: str, *, may_be_known: bool) -> "QueryResult":
        if may_be_known and self._last and self._last[0] == sql:
            return self._last[1]
        self._last = None  # two large answers may not fit
        result = await self._system.in_thread(self._asked, sql)
        self._last = sql, result
        return result

    def _asked(self, sql: str) -> "QueryResult":
        with self._system.engine(OF_QUESTIONS) as engine:
            return engine.query(sql)

    def _page(
        self,
        request: Request,
        sql: str,
        week: str = "",
        *,
        result: "QueryResult | None" = None,
        error: str | None = None,
    ) -> Response:
        from analytics.questions.queries import question, saved_queries
        from analytics.report.cost import query_usd

        is_on_aws = self._system.stack.endpoint_url is None
        page = frame.page(
            request,
            "ask.html.j2",
            422 if error else 200,
            sql=sql.replace("\t", "  "),
            week=week,
            error=error,
            result=result,
            table=_table(result) if result else None,
            usd=query_usd(result.scanned_bytes) if result and is_on_aws else None,
            saved=[(name, question(name)) for name in saved_queries()],
        )
        # With `no-referrer`, a browser sends a form of the page with the Origin `null`, which is refused.
        page.headers["referrer-policy"] = "same-origin"
        return page


def _saved(name: str, week: str) -> str:
    """Return a saved question's SQL.

    Raises:
        SconesError: there is none of that name, or the week is none.
    """
    from analytics.questions.queries import console_query, week_query
    from analytics.report.isoweek import IsoWeek

    if not week:
        return console_query(name)
    try:
        chosen = IsoWeek.parse(week)
    except ValueError as error:
        raise SconesError(str(error)) from error
    return week_query(name, chosen.monday, chosen.sunday)


def _table(result: "QueryResult") -> tuple[list[tuple[str, bool]], list[list[str]]]:
    """Return the columns, with whether they are numbers, and the first rows as texts."""
    import pandas as pd

    from infra.operations.answer_files import text_of

    columns = [
        (str(column), pd.api.types.is_numeric_dtype(type_)) for column, type_ in result.frame.dtypes.items()
    ]
    rows = [
        [_short(text_of(value)) for value in row]
        for row in result.frame.head(ROWS_MOST).itertuples(index=False)
    ]
    return columns, rows


def _short(text: str) -> str:
    return text if len(text) <= CELL_MOST_CHARS else f"{text[:CELL_MOST_CHARS]}…"
