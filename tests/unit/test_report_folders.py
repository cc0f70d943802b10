"""The report's folders: a fall is judged by how much the weeks of that folder differ."""

from types import SimpleNamespace
from typing import Any

import pytest

from analytics.report import verdict, weekly
from analytics.report.isoweek import IsoWeek

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
