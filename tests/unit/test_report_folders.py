"""The report's folders: a fall is judged by how much the weeks of that folder differ."""

import pytest

from analytics.report import weekly
from analytics.report.isoweek import IsoWeek

WEEK = IsoWeek.parse("2026-W47")
IMAGES = 200


def fallen(accepted_before, accepted_now):
    """Return which folders fell; accepted_before has one number a week for each, the latest last."""
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
    folders = weekly._folders(rows, WEEK, WEEK.back(), quarter, [])
    return {of.folder for of in folders if of.fallen}


@pytest.mark.parametrize(("weeks", "found"), [(12, {"steady"}), (6, {"steady", "unsteady"})])
def test_a_folder_fell_when_its_own_weeks_say_so_and_there_are_enough_of_them(weeks, found):
    before = {
        **{f"other-{number}": [180, 178, 181] * (weeks // 3) for number in range(6)},
        "steady": [182, 180] * (weeks // 2),
        "unsteady": [130, 190] * (weeks // 2),
    }
    now = {folder: accepted[0] for folder, accepted in before.items()} | {"steady": 120, "unsteady": 120}
    assert fallen(before, now) == found
