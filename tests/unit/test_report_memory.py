"""What lasts: a change that stays, and one that builds up, against reference weeks months ago."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from analytics.athena.client import Answer
from analytics.athena.engine import Answered
from analytics.questions.queries import question, saved_query
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Memory
from analytics.report.verdict import Finding
from tests.athena import Athena
from tests.builders_table import a_row, write_rows

WEEK = IsoWeek.parse("2026-W47")
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
VANS = ("van-1", "van-2", "van-3", "van-4")
Changed = Callable[[int, str, int], dict[str, Any]]
"""Weeks ago, folder and place among the day's images of the folder → what is other than usual."""


def rows_of_weeks(changed: Changed, weeks: int) -> Iterator[dict[str, Any]]:
    numbers = count()
    for back in range(weeks - 1, -1, -1):
        for day in range(5):
            at = datetime.combine(WEEK.back(back).monday, datetime.min.time()) + timedelta(days=day, hours=9)
            for van in VANS:
                for place in range(12):
                    number = next(numbers)
                    usual = {"label": "bicycle" if place % 3 == 0 else "tulip", "key": f"{van}/{number}.jpg"}
                    yield a_row(number, uploaded_at=at, **{**usual, **changed(back, van, place)})


UNSURE: dict[str, Any] = {"outcome": "needs_review", "confidence": 0.6}


LASTING = (
    *("weekly_summary", "volume_by_day", "shares_by_day", "outcomes_by_folder"),
    *("models_in_use", "thresholds_in_use"),
)


class Lasting:
    """Answers the questions that the reference weeks need; a report has three times as many."""

    def __init__(self, folder: Path) -> None:
        self._engine = Athena(folder)
        self._asked = {question(name) for name in LASTING}

    def query(self, sql: str, parameters: Sequence[str] = ()) -> Answered:
        is_asked = sql.partition("\n")[0].removeprefix("-- ") in self._asked
        return self._engine.query(sql, parameters) if is_asked else Answer([], [], 0, 0.0)


def report_of(folder: Path, changed: Changed, weeks: int = 13) -> WeeklyReport:
    write_rows(folder, rows_of_weeks(changed, weeks))
    return build_report(Lasting(folder), WEEK, WEEK.back(), now=NOW)


def lasting(report: WeeklyReport) -> list[Finding]:
    return [finding for finding in report.verdict.findings if "week" in finding.what.partition(":")[0]]


@pytest.mark.parametrize(
    ("weeks_blind", "said"),
    [
        (1, None),
        (2, "Second week in a row"),
        (3, "Third week in a row"),
        (5, "Fourth week or longer"),
    ],
)
def test_a_folder_that_stays_blind_is_said_week_after_week(tmp_path, weeks_blind, said):
    def blind(back, van, place):
        return UNSURE if van == "van-2" and back < weeks_blind and place else {}

    report = report_of(tmp_path, blind)
    assert report.numbers.memory.reference == ["2026-W35", "2026-W36", "2026-W37", "2026-W38"]
    assert not report.verdict.ok
    found = [finding for finding in report.verdict.findings if finding.section == "folders"]
    assert all(finding.attention for finding in found)
    share = "8.3\u00a0% of the images in van-2/ were accepted, 100.0\u00a0%"
    assert [finding.what for finding in found] == [
        f"{said}: {share} in 2026-W35 to 2026-W38." if said else f"{share} before."
    ]


def test_a_small_folder_that_stays_blind_behind_fifty_larger_ones_keeps_its_row_in_every_week(tmp_path):
    def rows():
        numbers = count()
        for back in (2, 1, 0):
            at = datetime.combine(WEEK.back(back).monday, datetime.min.time())
            for van in range(51):
                for _ in range(21 if van else 20):
                    unsure = UNSURE if back < 2 and van == 0 else {}
                    number = next(numbers)
                    yield a_row(number, uploaded_at=at, key=f"van-{van}/{number}.jpg", **unsure)

    write_rows(tmp_path, rows())
    sql = saved_query("outcomes_by_folder", from_dt=WEEK.back(2).monday, to_dt=WEEK.sunday)
    found = Athena(tmp_path).query(sql).records()
    assert [row["outcome"] for row in found if row["folder"] == "van-0"] == [
        "accepted",
        "needs_review",
        "needs_review",
    ]


def test_a_drift_of_two_points_a_week_is_found_although_no_week_differs_from_the_one_before(tmp_path):
    def drifting(back, van, place):
        share = 1 / 3 + 0.02 * max(7 - back, 0)
        return {"label": "bicycle" if 12 * VANS.index(van) + place < round(48 * share) else "tulip"}

    report = report_of(tmp_path, drifting)
    (found,) = lasting(report)
    assert found.attention
    assert found.section == "classes"
    assert "of the classified images are bicycle" in found.what or "are tulip" in found.what
    assert "2026-W35 to 2026-W38" in found.what


def test_a_change_that_stays_is_a_note_from_the_fourth_week_on(tmp_path):
    report = report_of(
        tmp_path, lambda back, van, place: {"brightness": 4.0 * place + (20 if back < 5 else 100)}
    )
    (found,) = lasting(report)
    assert (found.attention, found.section) == (False, "input-brightness")
    assert found.what.startswith("Fourth week or longer: the brightness of the images is not what it was in")
    assert report.verdict.ok


def test_what_has_lasted_is_not_new_again_when_a_week_came_near_the_reference(tmp_path):
    of_week = {2: 21, 3: 25}

    def bicycles(back, van, place):  # they became more for eight weeks, until four weeks ago
        most = of_week.get(back, 16 + 12 - max(back, 4))
        return {"label": "bicycle" if 12 * VANS.index(van) + place < most else "tulip"}

    (found,) = lasting(report_of(tmp_path, bicycles))
    assert found.what.startswith("Fourth week or longer: 50.0")
    assert found.attention


@pytest.mark.parametrize("weeks", [5, 6])
def test_without_weeks_before_the_usual_ones_there_is_no_reference(tmp_path, weeks):
    report = report_of(tmp_path, lambda *_: {}, weeks=weeks)
    assert report.numbers.memory == Memory([], [], [])
    assert report.verdict.ok


def test_a_new_model_has_a_new_reference(tmp_path):
    def newer(back, van, place):
        return {
            "model_version": "new" if back < 8 else "old",
            "brightness": 4.0 * place + (20 if back < 8 else 100),
        }

    report = report_of(tmp_path, newer)
    assert report.numbers.memory.reference == [
        "2026-W41",
        "2026-W42",
    ]  # the new model began in the week before
    assert lasting(report) == []
