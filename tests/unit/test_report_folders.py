"""The report's folders: a fall is judged by how much the weeks of that folder differ."""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from analytics.questions.queries import saved_query
from analytics.report import verdict, weekly
from analytics.report.isoweek import IsoWeek
from tests.athena import Athena
from tests.builders_table import a_row, write_rows
from workflow.outcome import Outcome

WEEK = IsoWeek.parse("2026-W47")
IMAGES = 200


def judged(accepted_before, accepted_now):
    """Return the folders; accepted_before has one number a week for each, the latest last."""
    weeks = len(next(iter(accepted_before.values())))
    quarter = [WEEK.back(back) for back in range(weeks, 0, -1)]
    rows = [
        {
            "week": week.monday,
            "folder": folder,
            "outcome": outcome,
            "images": images,
            "confidence_sum": None,
            "folders": 1,
        }
        for folder, before in accepted_before.items()
        for week, accepted in zip([*quarter, WEEK], [*before, accepted_now[folder]], strict=True)
        for outcome, images in (("accepted", accepted), ("needs_review", IMAGES - accepted))
    ]
    return weekly._folders(rows, WEEK, WEEK.back(), quarter, [])


@pytest.mark.parametrize(("weeks", "found"), [(12, {"steady"}), (6, {"steady", "unsteady"})])
def test_a_folder_fell_when_its_own_weeks_say_so_and_there_are_enough_of_them(weeks, found):
    before = {
        **{f"other-{number}": [180, 178, 181] * (weeks // 3) for number in range(6)},
        "steady": [182, 180] * (weeks // 2),
        "unsteady": [130, 190] * (weeks // 2),
    }
    now = {folder: accepted[0] for folder, accepted in before.items()} | {"steady": 120, "unsteady": 120}
    assert {of.folder for of in judged(before, now) if of.fallen} == found


def test_a_folder_whose_own_weeks_leave_some_doubt_is_noted():
    before = {
        **{f"other-{number}": [180, 178, 181] * 4 for number in range(6)},
        "unsteady": [160, 176, 182] * 4,
    }
    folders = judged(before, {folder: accepted[0] for folder, accepted in before.items()} | {"unsteady": 115})
    assert [of.folder for of in folders if of.seems_fallen and not of.fallen] == ["unsteady"]
    numbers: Any = SimpleNamespace(folders=folders, week=WEEK, compare=WEEK.back(), threshold_changes=[])
    (finding,) = verdict._folders(numbers, WEEK.back(-1).monday)
    assert not finding.attention
    assert finding.action.startswith("This could be chance.")


def chosen_by_counting(rows):
    """Return what `outcomes_by_folder` answers: (week, folder, outcome) → images, folders."""
    images: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in rows:
        week = row["uploaded_at"].date() - timedelta(days=row["uploaded_at"].weekday())
        folder, slash, _ = row["key"].partition("/")
        images[week, folder if slash else ""][row["outcome"]] += 1
    weeks = sorted({week for week, _ in images})
    falls: dict[Any, list[tuple[float, str]]] = defaultdict(list)
    for folder in {folder for _, folder in images}:
        accepted_before = before = 0
        for week in weeks:
            of_week = images.get((week, folder), Counter())
            accepted, now = of_week["accepted"], of_week.total() - of_week["failed"]
            if now >= 20 and before >= 20 and (points := accepted_before / before - accepted / now) > 0:
                falls[week].append((-points * math.sqrt(now * before / (now + before)), folder))
            accepted_before, before = accepted_before + accepted, before + now
    fell = {folder for of_week in falls.values() for _, folder in sorted(of_week)[:10]}
    found: dict[Any, list[int]] = {}
    for week in weeks:
        folders = sorted((-of.total(), folder) for (each, folder), of in images.items() if each == week)
        named = {folder for _, folder in folders[:50]} | fell & {folder for _, folder in folders}
        for _, folder in folders:
            for outcome, count in images[week, folder].items():
                key = week, folder if folder in named else None, outcome
                so_far = found.get(key, [0])[0]
                found[key] = [so_far + count, 1 if folder in named else len(folders) - len(named)]
    return found


def test_the_folders_with_rows_of_their_own_are_those_that_a_count_in_python_chooses(tmp_path):
    random = Random(7)
    names = ["", *(f"van-{number}" for number in range(70)), "a'b", "ü%", " "]
    rows = []
    for number in range(6_000):
        back = random.randrange(3)
        folder = random.choice(names) if number % 3 else f"order-{number}"
        worse = 0.6 if back == 0 and folder.endswith("7") else 0.05
        outcome = random.choices(list(Outcome), [1 - worse, worse, 0.05, 0.2])[0].value
        at = datetime.combine(WEEK.back(back).monday, datetime.min.time()) + timedelta(
            days=random.randrange(7)
        )
        key = f"{folder}/{number}.jpg" if folder else f"{number}.jpg"
        rows.append(a_row(number, uploaded_at=at, key=key, outcome=outcome))
    write_rows(tmp_path, rows)
    sql = saved_query("outcomes_by_folder", from_dt=WEEK.back(2).monday, to_dt=WEEK.sunday)
    answered = {
        (row["week"], row["folder"], row["outcome"]): [row["images"], row["folders"]]
        for row in Athena(tmp_path).records(sql)
    }
    expected = chosen_by_counting(rows)
    assert any(folder is None for _, folder, _ in expected)
    assert len({folder for week, folder, _ in expected if week == WEEK.monday}) > 51  # some fell most
    assert answered == expected
