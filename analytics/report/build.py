"""The weekly report: run the saved queries, compute the numbers, write the page, JSON and digest."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.athena.client import Answer
from analytics.athena.engine import Answered, Asked, QueryFailed, QueryRefused, SideBySide
from analytics.questions.queries import Value, saved_query
from analytics.report import challenger
from analytics.report.cost import Endpoint
from analytics.report.isoweek import IsoWeek
from analytics.report.message import MARKDOWN, message
from analytics.report.numbers import Numbers, Statement
from analytics.report.page import render
from analytics.report.prices import Prices, read_prices
from analytics.report.verdict import Verdict, judge
from analytics.report.weekly import HISTORY_WEEKS, MEMORY_WEEKS, Rows, classified, weekly_numbers

Thumbnail = Callable[[str, str, str | None], bytes | None]
"""Bucket, key and version id of an image → a small JPEG of it, or None when it cannot be had."""

LEAST_CERTAIN = 24
MOST_UNFAMILIAR = 16
_EXACT_DOTS = 5_000
"""Most images for which each has a dot of its own."""

_ESSENTIAL = "weekly_summary"
"""Question without whose answer there is no report."""

_OF_THE_QUARTER = ("volume_by_day", "shares_by_day", "outcomes_by_folder")
_OF_BOTH_WEEKS = (
    *("class_balance_by_week", "drift_inputs", "latency", "duplicates_removed", "unlike_by_folder"),
)
_OF_THE_WEEK = (
    *("volume_by_hour", "coverage_at_thresholds", "models_in_use", "thresholds_in_use", "rejects_by_reason"),
    *("failures_by_reason", "completeness", "measured_precision", "confusions"),
    *("labelled_images", "label_agreement", "sampling_frame"),
)


@dataclass(frozen=True)
class WeeklyReport:
    """One week's numbers, the verdict, and pictures of the least certain and the most unfamiliar images."""

    numbers: Numbers
    verdict: Verdict
    thumbnails: list[bytes | None]
    """A small JPEG for each of `numbers.least_certain`, then for each of `numbers.unlike.images`."""
    generated_at: datetime

    def to_html(self) -> str:
        """Return the page: one self-contained file."""
        return render(self.numbers, self.verdict, self.thumbnails, self.generated_at)

    def to_json(self) -> str:
        """Return every number. The same table gives the same text, whenever it is asked."""
        numbers = asdict(self.numbers)
        numbers["week"], compare = str(self.numbers.week), self.numbers.compare
        numbers["compare"] = str(compare) if compare else None
        for statement in numbers["statements"]:
            del statement["elapsed_ms"]
        return json.dumps(
            {
                "verdict": asdict(self.verdict),
                **numbers,
            },
            default=_as_text,
            allow_nan=False,
            indent=1,
        )

    def to_text(self) -> str:
        """Return a digest for chat or mail, in Markdown that is readable as plain text."""
        return message(self.numbers, self.verdict, MARKDOWN)

    def is_kept_out_of(self, folder: Path) -> bool:
        """Tell whether the folder has a report with images, and this one has none."""
        if self.numbers.summary.tally.images:
            return False
        try:
            there = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            return bool(there["summary"]["tally"]["images"])
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def write(self, folder: Path) -> Path:
        """Write `report.html`, `report.json` and `digest.md` into a folder; return the page's path.

        A report without images replaces none with images: then the folder stays as it is.
        """
        page = folder / "report.html"
        if self.is_kept_out_of(folder):
            return page
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(self.to_html(), encoding="utf-8")
        (folder / "report.json").write_text(self.to_json(), encoding="utf-8")
        (folder / "digest.md").write_text(self.to_text(), encoding="utf-8")
        return page


def build_report(
    engine: Asked[Answered],
    week: IsoWeek,
    compare: IsoWeek | None,
    *,
    uploaded: int | None = None,
    just_uploaded: int = 0,
    thumbnail: Thumbnail | None = None,
    now: datetime | None = None,
    endpoint: Endpoint | None = None,
    prices: Prices | None = None,
) -> WeeklyReport:
    """Ask the engine about a week, and about another to compare it with.

    `uploaded` is how many of the week's uploads a listing of the bucket counted, and `just_uploaded` how many
    of them are so young that they may still be on their way. Without `uploaded` the report says
    that it is unknown. The cost is that of `endpoint`, if it is known, at `prices` or those of Scones.

    A question that fails costs the sections that need it; they say why.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer the one question that all sections need.
    """
    now = now or datetime.now(UTC)
    planned = _Planned()
    _gather(_Questions(planned), week, compare)
    asked = _Questions(SideBySide(engine, planned.statements))
    answers = _gather(asked, week, compare)
    minutes, per_unit = (1, 200) if classified(answers, week) <= _EXACT_DOTS else (60, 20)
    answers["confidence_over_time"] = asked.ask(
        "confidence_over_time", week, week, minutes=minutes, cells_per_unit=per_unit
    )
    numbers = weekly_numbers(
        week,
        compare,
        answers,
        cell_minutes=minutes,
        cells_per_unit=per_unit,
        uploaded=uploaded,
        just_uploaded=just_uploaded,
        last_day=now.date() - timedelta(days=1),
        statements=asked.statements,
        unanswered=asked.unanswered,
        endpoint=endpoint,
        prices=prices or read_prices(),
    )
    pictures = [
        thumbnail(image.bucket, image.key, image.version_id) if thumbnail else None
        for image in (*numbers.least_certain, *(numbers.unlike.images if numbers.unlike else ()))
    ]
    return WeeklyReport(numbers, judge(numbers, now.date()), pictures, now)


class _Planned:
    """Takes the place of an engine to find out what will be asked, whatever the answers are."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def query(self, sql: str, parameters: Sequence[str] = ()) -> Answer:
        self.statements.append(sql)
        return Answer([], [], 0, 0.0)


class _Questions:
    """An engine, and the statements that it ran."""

    def __init__(self, engine: Asked[Answered]) -> None:
        self._engine = engine
        self.statements: list[Statement] = []
        self.unanswered: dict[str, str] = {}
        """Question → why it failed."""

    def ask(self, name: str, first: IsoWeek, last: IsoWeek, **values: Value) -> Rows:
        sql = saved_query(name, from_dt=first.monday, to_dt=last.sunday, **values)
        try:
            result = self._engine.query(sql)
        except (QueryRefused, QueryFailed) as error:
            if name == _ESSENTIAL:
                raise
            self.unanswered[name] = str(error)
            return []
        self.statements.append(Statement(name, sql, result.scanned_bytes, result.elapsed_ms))
        return result.records()


def _gather(asked: _Questions, week: IsoWeek, compare: IsoWeek | None) -> dict[str, Rows]:
    oldest = week.back(HISTORY_WEEKS)
    quarter = week.back(MEMORY_WEEKS)
    answers = {_ESSENTIAL: asked.ask(_ESSENTIAL, oldest, week)}
    answers |= {name: asked.ask(name, quarter, week) for name in _OF_THE_QUARTER}
    for name, first in ((_ESSENTIAL, oldest), ("outcomes_by_folder", quarter), ("shares_by_day", quarter)):
        if compare and not first <= compare <= week:
            answers[name] = [*answers[name], *asked.ask(name, compare, compare)]
    for name in _OF_BOTH_WEEKS:
        if compare == week.back():
            answers[name] = asked.ask(name, compare, week)
        else:
            weeks = [week] if compare in (None, week) else [compare, week]
            answers[name] = [row for each in weeks if each for row in asked.ask(name, each, each)]
    for name in _OF_THE_WEEK:
        answers[name] = asked.ask(name, week, week)
    answers["least_certain_images"] = asked.ask("least_certain_images", week, week, limit=LEAST_CERTAIN)
    answers["most_unfamiliar_images"] = asked.ask("most_unfamiliar_images", week, week, limit=MOST_UNFAMILIAR)
    answers["challenger_agreement"] = asked.ask("challenger_agreement", week, week)
    answers["challenger_examples"] = asked.ask("challenger_examples", week, week, limit=challenger.EXAMPLES)
    compared_since = week.back(challenger.COMPARED_WEEKS - 1)
    answers["challenger_labels"] = asked.ask("challenger_labels", compared_since, week)
    answers["thresholds_in_use:baseline"] = asked.ask("thresholds_in_use", oldest, week.back())
    answers["models_in_use:memory"] = asked.ask("models_in_use", quarter, week)
    for name in ("rejects_by_reason", "failures_by_reason", "models_in_use"):
        before = asked.ask(name, compare, compare) if compare else []
        answers[f"{name}:baseline"] = before
    return answers


def _as_text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be written into the report's JSON.")
