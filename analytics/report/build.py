"""The weekly report: run the saved queries, compute the numbers, write the page, JSON and digest."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from analytics.athena.engine import Engine, QueryFailed, QueryRefused, QueryResult, SideBySide
from analytics.questions.queries import Value, saved_query
from analytics.report import challenger
from analytics.report.cost import Endpoint
from analytics.report.isoweek import IsoWeek
from analytics.report.markdown import digest_text
from analytics.report.numbers import Numbers, Statement
from analytics.report.page import render
from analytics.report.prices import Prices, read_prices
from analytics.report.verdict import Verdict, judge
from analytics.report.weekly import HISTORY_WEEKS, classified, weekly_numbers
from analytics.review.thumbnails import small_jpeg

Thumbnail = Callable[[str, str, str | None], bytes | None]
"""Bucket, key and version id of an image → the bytes of its file, or None when it cannot be had."""

LEAST_CERTAIN = 24
MOST_UNFAMILIAR = 16
_EXACT_DOTS = 5_000
"""Most images for which each has a dot of its own."""

_ESSENTIAL = "weekly_summary"
"""Question without whose answer there is no report."""

_OF_ALL_WEEKS = ("volume_by_day", "weekly_summary", "shares_by_day")
_OF_BOTH_WEEKS = (
    *("class_balance_by_week", "outcomes_by_folder", "confidence_histogram", "input_histograms"),
    *("drift_inputs", "latency", "duplicates_removed", "unlike_by_folder"),
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
        """Return every number."""
        numbers = asdict(self.numbers)
        numbers["week"], compare = str(self.numbers.week), self.numbers.compare
        numbers["compare"] = str(compare) if compare else None
        return json.dumps(
            {
                "generated_at": f"{self.generated_at:%Y-%m-%dT%H:%M:%SZ}",
                "verdict": asdict(self.verdict),
                **numbers,
            },
            default=_as_text,
            allow_nan=False,
            indent=1,
        )

    def to_text(self) -> str:
        """Return a digest for chat or mail, in Markdown that is readable as plain text."""
        numbers = self.numbers
        return digest_text(
            numbers.summary,
            numbers.baseline,
            measured_precision=numbers.measured.precision if numbers.measured else None,
            sentence=self.verdict.sentence,
            findings=[(finding.what, finding.action) for finding in self.verdict.findings],
        )

    def write(self, folder: Path) -> Path:
        """Write `report.html`, `report.json` and `digest.md` into a folder; return the page's path."""
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / "report.html"
        page.write_text(self.to_html(), encoding="utf-8")
        (folder / "report.json").write_text(self.to_json(), encoding="utf-8")
        (folder / "digest.md").write_text(self.to_text(), encoding="utf-8")
        return page


def build_report(
    engine: Engine,
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
    _gather(_Asked(planned), week, compare)
    asked = _Asked(SideBySide(engine, planned.statements))
    frames = _gather(asked, week, compare)
    minutes, per_unit = (1, 200) if classified(frames, week) <= _EXACT_DOTS else (60, 20)
    frames["confidence_over_time"] = asked.ask(
        "confidence_over_time", week, week, minutes=minutes, cells_per_unit=per_unit
    )
    numbers = weekly_numbers(
        week,
        compare,
        frames,
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
        small_jpeg(thumbnail(image.bucket, image.key, image.version_id)) if thumbnail else None
        for image in (*numbers.least_certain, *(numbers.unlike.images if numbers.unlike else ()))
    ]
    return WeeklyReport(numbers, judge(numbers, now.date()), pictures, now)


class _Planned:
    """Takes the place of an engine to find out what will be asked, whatever the answers are."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        self.statements.append(sql)
        return QueryResult(pd.DataFrame(), 0, 0.0)


class _Asked:
    """An engine, and the statements that it ran."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.statements: list[Statement] = []
        self.unanswered: dict[str, str] = {}
        """Question → why it failed."""

    def ask(self, name: str, first: IsoWeek, last: IsoWeek, **values: Value) -> pd.DataFrame:
        sql = saved_query(name, from_dt=first.monday, to_dt=last.sunday, **values)
        try:
            result = self._engine.query(sql)
        except (QueryRefused, QueryFailed) as error:
            if name == _ESSENTIAL:
                raise
            self.unanswered[name] = str(error)
            return pd.DataFrame()
        self.statements.append(Statement(name, sql, result.scanned_bytes, result.elapsed_ms))
        return result.frame


def _gather(asked: _Asked, week: IsoWeek, compare: IsoWeek | None) -> dict[str, pd.DataFrame]:
    oldest = week.back(HISTORY_WEEKS)
    frames = {name: asked.ask(name, oldest, week) for name in _OF_ALL_WEEKS}
    if compare and not oldest <= compare <= week:
        frames["weekly_summary"] = pd.concat(
            [frames["weekly_summary"], asked.ask("weekly_summary", compare, compare)]
        )
    for name in _OF_BOTH_WEEKS:
        if compare == week.back():
            frames[name] = asked.ask(name, compare, week)
        else:
            weeks = [week] if compare in (None, week) else [compare, week]
            frames[name] = pd.concat([asked.ask(name, each, each) for each in weeks if each])
    for name in _OF_THE_WEEK:
        frames[name] = asked.ask(name, week, week)
    frames["least_certain_images"] = asked.ask("least_certain_images", week, week, limit=LEAST_CERTAIN)
    frames["most_unfamiliar_images"] = asked.ask("most_unfamiliar_images", week, week, limit=MOST_UNFAMILIAR)
    frames["challenger_agreement"] = asked.ask("challenger_agreement", week, week)
    frames["challenger_examples"] = asked.ask("challenger_examples", week, week, limit=challenger.EXAMPLES)
    compared_since = week.back(challenger.COMPARED_WEEKS - 1)
    frames["challenger_labels"] = asked.ask("challenger_labels", compared_since, week)
    frames["thresholds_in_use:baseline"] = asked.ask("thresholds_in_use", oldest, week.back())
    for name in ("rejects_by_reason", "failures_by_reason", "models_in_use"):
        before = asked.ask(name, compare, compare) if compare else frames[name].head(0)
        frames[f"{name}:baseline"] = before
    return frames


def _as_text(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be written into the report's JSON.")
