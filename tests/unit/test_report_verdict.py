"""What asks for attention in a week, what is noted, and what is neither."""

from datetime import UTC, datetime
from typing import Any

import pytest

from analytics.report.build import build_report
from analytics.text import percent
from tests.athena import Athena
from tests.builders_table import (
    Week,
    a_failed_row,
    a_rejected_row,
    a_row,
    rows_of,
    weeks_of_rows,
)
from tests.reports import (
    BEFORE,
    NOW,
    VANS,
    WEEK,
    at,
    check_page,
    in_folders,
    known,
    last_week,
    page_text,
    report_of,
    urgent,
)


def test_a_week_like_the_one_before_is_well(tmp_path):
    report = report_of(tmp_path, weeks_of_rows(Week(WEEK.monday, images_a_day=60, failed=0), seed=3))
    assert report.verdict.ok, report.verdict
    assert report.verdict.sentence.startswith("All is well: ")


@pytest.mark.parametrize(
    ("uploaded", "missing", "ok"), [(None, None, True), (3, 0, True), (5, 2, False), (2, -1, True)]
)
def test_uploads_without_an_outcome_are_missed(tmp_path, uploaded, missing, ok):
    report = report_of(tmp_path, [a_row(n) for n in range(3)], compare=None, uploaded=uploaded)
    assert (report.numbers.completeness.missing, report.verdict.ok) == (missing, ok)


@pytest.mark.parametrize(("just_uploaded", "ok"), [(0, False), (1, False), (2, True), (3, True)])
def test_uploads_that_may_be_on_their_way_are_not_missed_yet(tmp_path, just_uploaded, ok):
    rows = [a_row(n) for n in range(3)]
    report = report_of(tmp_path, rows, compare=None, uploaded=5, just_uploaded=just_uploaded)
    assert report.verdict.ok is ok
    assert "2 uploaded images have no recorded outcome." in page_text(report)


@pytest.mark.parametrize(
    ("failed", "said"),
    [(1, None), (3, False), (9, True)],
    ids=["a usual share", "perhaps chance", "surely more"],
)
def test_failures_need_attention_when_their_share_is_surely_high(tmp_path, failed, said):
    rows = [*(a_row(n) for n in range(400)), *(a_failed_row(900 + n) for n in range(failed))]
    found = report_of(tmp_path, rows, compare=None).verdict.findings
    about = [finding.attention for finding in found if " failed (" in finding.what]
    assert about == ([] if said is None else [said])


def test_an_empty_week_says_so(tmp_path):
    report = report_of(tmp_path, [])
    check_page(report)
    assert not report.verdict.ok
    assert "No images were recorded for 2026-W47." in page_text(report)


def test_an_empty_week_after_a_full_one_says_what_was_before(tmp_path):
    report = report_of(tmp_path, rows_of(Week(WEEK.back().monday, images_a_day=5)))
    check_page(report)
    before = known(report.numbers.baseline).tally.images
    assert f"2026-W46 had {before:,}." in page_text(report)


def test_a_week_that_has_just_begun_is_no_alarm(tmp_path):
    monday = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
    report = report_of(tmp_path, last_week(30), now=monday)
    assert report.verdict.ok
    assert report.verdict.sentence == "No images were recorded for 2026-W47 so far."
    assert "to 2026-11-22" not in report.to_text()


def test_of_an_empty_week_only_the_days_that_are_over_are_missed(tmp_path):
    report = report_of(tmp_path, last_week(30), now=datetime(2026, 11, 18, 6, 0, tzinfo=UTC))
    assert urgent(report) == ["Nothing was recorded from 2026-11-16 to 2026-11-17. 2026-W46 had 30."]


def test_a_week_that_is_not_over_is_not_said_to_have_fewer_images(tmp_path):
    rows = [*last_week(30), *(at(n) for n in range(10))]
    report = report_of(tmp_path, rows, now=datetime(2026, 11, 17, 6, 0, tzinfo=UTC))
    text = page_text(report)
    assert report.verdict.sentence.startswith("All is well so far: 10 images, ")
    assert "The week is not over yet, but is compared with all of 2026-W46." in text
    assert "Images 10 so far" in text
    assert "No images on" not in text
    after = build_report(Athena(tmp_path), WEEK, BEFORE, now=NOW)
    assert "Images 10 ▼ 66.7 %" in page_text(after)
    assert "not over" not in page_text(after)


def test_a_week_with_fewer_days_is_no_measure_of_counts(tmp_path):
    rows = [
        *(row for row in last_week(30) if row["uploaded_at"].weekday() > 4),
        *(at(n, n) for n in range(7)),
    ]
    report = report_of(tmp_path, rows)
    assert "2026-W46 has images on only 2 days, this week on 7." in page_text(report)


@pytest.mark.parametrize(("rejected", "before", "ok"), [(1, 12, True), (3, 12, True), (12, 12, False)])
def test_more_rejections_need_attention_when_they_are_no_accident(tmp_path, rejected, before, ok):
    rows = [*last_week(1_000), *(at(n, n % 7) for n in range(30 - rejected))]
    rows += [a_rejected_row(200 + n) for n in range(rejected)]
    rows += [a_rejected_row(300 + n, uploaded_at=rows[0]["uploaded_at"]) for n in range(before)]
    report = report_of(tmp_path, rows)
    assert report.verdict.ok is ok
    assert any("of the images were rejected" in what for what in urgent(report)) is not ok


def test_a_week_in_which_nothing_was_classified_is_not_well(tmp_path):
    report = report_of(tmp_path, [a_rejected_row(n) for n in range(5)])
    assert urgent(report) == ["0 of 5 images could be classified."]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (0, ["0 of 10 images could be classified."]),
        (4, ["4 of 10 images could be classified."]),
        (5, []),
    ],
)
def test_a_week_in_which_most_was_rejected_is_not_well_without_another_to_compare_with(tmp_path, seen, said):
    rows = [a_row(n) if n < seen else a_rejected_row(n) for n in range(10)]
    assert urgent(report_of(tmp_path, rows)) == said


def test_a_folder_that_falls_behind_needs_attention_though_the_whole_is_as_it_was(tmp_path):
    fleet = dict.fromkeys(["", *(f"van-{number}" for number in range(1, 13))], 60)
    rows = [
        *in_folders(fleet, dict.fromkeys(fleet, 4), first=1_000, week=BEFORE),
        *in_folders(fleet, {**dict.fromkeys(fleet, 2), "van-2": 28}),
    ]
    report = report_of(tmp_path, rows)
    assert [what.replace("\u00a0", " ") for what in urgent(report)] == [
        "53.3 % of the images in van-2/ were accepted, 93.3 % before."
    ]
    assert [of.folder for of in report.numbers.folders][:3] == ["van-2", "", "van-1"]
    text = page_text(report)
    assert "The accepted share fell clearly since 2026-W46 in van-2/." in text
    assert "van-2/ 60 60 53.3 % 93.3 % 46.7 % 0.0 % " in text
    assert "(no folder) 60 60 96.7 %" in text
    check_page(report)


def test_a_small_folder_behind_fifty_larger_ones_is_found_when_it_falls_behind(tmp_path):
    fleet = {**{f"van-{number:02}": 40 for number in range(52)}, "small": 30}
    rows = [
        *in_folders(fleet, dict.fromkeys(fleet, 3), first=5_000, week=BEFORE),
        *in_folders(fleet, {**dict.fromkeys(fleet, 2), "small": 24}),
    ]
    report = report_of(tmp_path, rows)
    assert report.numbers.folders[0].folder == "small"
    assert any("the images in small/ were accepted" in what for what in urgent(report))


@pytest.mark.parametrize(("weeks_ago", "after"), [(1, 0.95), (3, 0.95), (1, 0.85)])
def test_a_folder_that_falls_below_a_raised_threshold_is_noted(tmp_path, weeks_ago, after):
    """A lower threshold does not explain that fewer images are accepted."""
    since: dict[str, Any] = {"label": "bicycle", "threshold": after}
    weeks_since = [at(5_000 + weeks, week=WEEK.back(weeks), **since) for weeks in range(1, weeks_ago)]
    rows = [
        *(at(n, n % 7, key=f"van-{n % 12}/{n}.jpg", week=BEFORE, threshold=0.9) for n in range(1_000, 1_600)),
        *weeks_since,
        *(
            at(
                n,
                n % 7,
                key=f"van-{n % 12}/{n}.jpg",
                threshold=after,
                outcome="accepted" if n % 12 else "needs_review",
            )
            for n in range(600)
        ),
    ]
    report = report_of(tmp_path, rows)
    found = {finding.what.replace("\u00a0", " "): finding for finding in report.verdict.findings}
    fallen = found["0.0 % of the images in van-0/ were accepted, 100.0 % before."]
    assert fallen.attention is (after < 0.9)
    assert ("threshold" in fallen.action) is (after > 0.9)


def test_where_folders_scatter_so_from_week_to_week_one_that_falls_with_the_rest_is_no_alarm(tmp_path):
    one, other = (
        {f"van-{number}": 5 + 25 * ((number + week) % 2) for number in range(12)} for week in range(2)
    )
    fleet = dict.fromkeys(one, 60)
    rows = [*in_folders(fleet, one, first=1_000, week=BEFORE), *in_folders(fleet, other)]
    report = report_of(tmp_path, rows)
    assert "No folder's accepted share fell clearly since 2026-W46." in page_text(report)


@pytest.mark.parametrize(("images", "unsure"), [(3, 2), (60, 9)])
def test_a_folder_with_few_images_or_a_little_worse_is_no_alarm(tmp_path, images, unsure):
    rows = [
        *in_folders(VANS, {}, first=1_000, week=BEFORE),
        *in_folders({**VANS, "van-2": images}, {"van-2": unsure}),
    ]
    report = report_of(tmp_path, rows)
    assert not any("van-2/" in what for what in urgent(report))
    assert "No folder's accepted share fell clearly since 2026-W46." in page_text(report)


def test_a_folder_that_has_gone_silent_is_noted_once_the_week_is_over(tmp_path):
    stay = {**VANS, "van-4": 5}
    rows = [
        *in_folders({**stay, "van-5": 19, "van-6": 20, "van-7": 400}, {}, first=1_000, week=BEFORE),
        *in_folders(stay, {}),
    ]
    report = report_of(tmp_path, rows)
    said = "No images in van-7/, 400 in 2026-W46; the same applies to 1 other folder."
    assert report.verdict.ok
    assert said in [finding.what for finding in report.verdict.findings]
    sunday = datetime(2026, 11, 22, 20, tzinfo=UTC)
    before = build_report(Athena(tmp_path), WEEK, BEFORE, now=sunday)
    assert "No images in" not in before.to_text()


def test_folders_that_are_days_or_orders_are_no_places(tmp_path):
    rows = [
        *in_folders({f"order-{n}": 1 for n in range(200)}, {}, first=1_000, week=BEFORE),
        *in_folders({f"order-{n}": 1 for n in range(200, 340)}, {}),
    ]
    report = report_of(tmp_path, rows)
    assert [(of.folder, of.tally.images) for of in report.numbers.folders][-1] == (None, 90)
    assert "By folder" not in page_text(report)
    assert "No images in" not in report.to_text()


def test_with_one_folder_alone_nothing_is_said_by_folder(tmp_path):
    report = report_of(tmp_path, in_folders({"2026": 40}, {}))
    assert "By folder" not in page_text(report)


def test_one_image_of_a_new_class_is_no_alarm(tmp_path):
    rows = [*last_week(4_000), *(at(n, n % 7) for n in range(19)), at(19, label="rose")]
    report = report_of(tmp_path, rows)
    assert (report.numbers.class_shift.size, report.numbers.class_shift.test) == ("large", "Fisher")
    assert report.verdict.ok
    many_ = [*rows, *(at(200 + n, n % 7, label="rose") for n in range(20))]
    assert not report_of(tmp_path / "many", many_).verdict.ok


def test_one_unsure_image_on_a_quiet_day_is_no_alarm(tmp_path):
    unsure: dict[str, Any] = {"confidence": 0.5, "outcome": "needs_review"}
    rows = [
        *last_week(49),
        at(49, week=BEFORE, **unsure),
        *(at(n, 1) for n in range(60, 63)),
        at(64, 1, **unsure),
    ]
    report = report_of(tmp_path, rows)
    assert report.verdict.ok
    assert not any(day.unusual for day in report.numbers.days)


def test_a_change_of_the_model_or_of_the_threshold_between_the_weeks_is_said(tmp_path):
    changed: dict[str, Any] = {"model_version": "a new one", "threshold": 0.8}
    text = page_text(report_of(tmp_path, [*last_week(30), *(at(n, n % 7, **changed) for n in range(30))]))
    assert "The model changed from resnet9-2026-11-01 to a new one." in text
    assert "The threshold changed since the weeks before from 0.94 to 0.8." in text
    same = page_text(report_of(tmp_path / "same", [*last_week(30), *(at(n, n % 7) for n in range(30))]))
    assert "The model changed" not in same
    assert "threshold changed" not in same


@pytest.mark.parametrize(("unlike", "is_found"), [(0, False), (4, False), (40, True)])
def test_a_rise_of_images_unlike_the_classes_asks_for_attention(tmp_path, unlike, is_found):
    strange = {"outcome": "needs_review", "reason": "unlike_training", "unfamiliarity": 0.99}
    earlier = datetime(2026, 11, 10, 9)  # noqa: DTZ001
    rows = [
        *(a_row(n, key=f"van/{n}.png", **strange) for n in range(unlike)),
        *(a_row(n, key=f"bike/{n}.png", unfamiliarity=0.3) for n in range(unlike, 200)),
        *(a_row(n, key=f"van/{n}.png", uploaded_at=earlier, unfamiliarity=0.2) for n in range(200, 400)),
    ]
    found = [each for each in report_of(tmp_path, rows).verdict.findings if "unlike" in each.what]
    assert bool(found) == is_found
    if found:
        assert found[0].attention
        assert f"{percent(0.2)} of them, usually {percent(0.0)}; most are in van/." in found[0].what


def test_days_before_the_first_image_are_no_gap(tmp_path):
    rows = [a_row(n, uploaded_at=datetime.fromisoformat("2026-11-18T10:00")) for n in range(3)]
    assert "No images on Thu, Fri, Sat, Sun." in page_text(report_of(tmp_path, rows, compare=None))
