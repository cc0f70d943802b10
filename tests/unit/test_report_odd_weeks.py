"""A right page whatever the week was like: one image, none, thousands of reasons, hostile names."""

import json
import math
from datetime import datetime
from itertools import groupby
from typing import Any

import pytest

from analytics.lake.schema import partition, to_table
from analytics.report.build import build_report
from analytics.review.thumbnails import small_jpeg
from ingest.stats import wilson_interval
from tests.athena import Athena
from tests.builders import noise, png_bytes
from tests.builders_table import (
    Week,
    a_failed_row,
    a_rejected_row,
    a_row,
    many,
    rows_of,
    write_day,
)
from tests.reports import NOW, WEEK, at, check_page, known, page_text, parsed, report_of

NASTY = "<script>alert('x')</script>&\"'"


@pytest.mark.parametrize("threshold", [0.5, 0.57, 0.58, 0.83, 0.94, 0.99])
def test_a_confidence_that_is_exactly_a_threshold_reaches_it(tmp_path, threshold):
    rows = [a_row(n, confidence=c) for n, c in enumerate((threshold, math.nextafter(threshold, 0) - 1e-9))]
    what_if = report_of(tmp_path, rows).numbers.what_if
    assert next(row.accepted for row in what_if if row.threshold == threshold) == 1


def test_an_imported_image_costs_nothing_and_its_model_may_have_no_name(tmp_path):
    imported = [
        at(n, bucket="data-capture", model_version=None, endpoint=None, classify_ms=None) for n in range(8)
    ]
    report = report_of(tmp_path, [*imported, at(9)], compare=None)
    assert (report.numbers.completeness.imported, report.numbers.cost.images) == (8, 1)
    assert "2 model versions decided this week: (no name), resnet9-2026-11-01." in page_text(report)
    assert "None" not in page_text(report)


def test_what_imported_images_do_not_say_is_no_empty_chart(tmp_path):
    unknown: dict[str, Any] = dict.fromkeys(
        ("classify_ms", "serialize_ms", "brightness", "sharpness", "size_bytes")
    )
    report = report_of(tmp_path, [at(n, bucket="data-capture", **unknown) for n in range(3)], compare=None)
    check_page(report)
    text = page_text(report)
    assert "No image was timed: all were imported." in text
    assert text.count("Not recorded for this week's images.") == 3
    assert "Median –" not in text


def test_thousands_of_reasons_make_a_page_of_bounded_size_and_a_complete_json(tmp_path):
    rows = [a_rejected_row(n, reason=f"{n:04}" + "x" * 900, key="k" * 1_000) for n in range(3_000)]
    report = report_of(tmp_path, [*rows, a_row(4_000)], compare=None)
    check_page(report)
    assert "2,980 more reasons with 2,980 images in report.json." in page_text(report)
    assert len(json.loads(report.to_json())["rejects"]) == 3_000


def test_the_digest_shows_names_as_they_are_and_not_as_markdown(tmp_path):
    reason = "a|b *c* <!channel>\n# [x](http://example.org) willow_tree"
    report = report_of(tmp_path, [a_row(1), a_failed_row(2, reason=reason)], compare=None)
    line = next(line for line in report.to_text().splitlines() if " failed (" in line)
    assert r", a\|b \*c\* \<!channel> # \[x\](http://example.org) willow_tree." in line


def test_thresholds_that_differ_by_class_are_said_to_be_one_in_the_what_if(tmp_path):
    rows = [at(n, label=f"class {n}", threshold=(50 + n) / 100) for n in range(5)]
    text = page_text(report_of(tmp_path, rows, compare=None))
    assert "The chart tries one threshold for all classes; 5 are in force." in text
    assert "The 3 most used of 5 thresholds are drawn." in text


def test_what_is_hardly_sharp_is_in_the_first_bin(tmp_path):
    report = report_of(tmp_path, [at(1, sharpness=0.0), at(2, sharpness=1.2)], compare=None)
    first, *more = report.numbers.inputs[1].bins
    assert (first.low, first.images, more) == (0, 2, [])


def test_one_image_makes_a_right_page(tmp_path):
    report = report_of(tmp_path, [a_row()])
    check_page(report)
    assert report.verdict.ok
    assert "1 image, 100.0 % accepted" in page_text(report)
    assert report.numbers.class_shift.size == "unknown"


@pytest.mark.parametrize("make", [a_rejected_row, a_failed_row])
def test_a_week_without_any_classified_image_makes_a_right_page(tmp_path, make):
    report = report_of(tmp_path, [make(n) for n in range(3)])
    check_page(report)
    assert report.numbers.summary.expected_precision is None


def test_one_class_makes_a_right_page(tmp_path):
    rows = [
        row for week in (WEEK.back(), WEEK) for row in rows_of(Week(week.monday, 20, labels={"bicycle": 1.0}))
    ]
    report = report_of(tmp_path, rows)
    check_page(report)
    assert report.numbers.class_shift.psi == 0
    assert report.numbers.class_shift.p_value == 1


def test_missing_days_are_empty_days(tmp_path):
    rows = [row for row in rows_of(Week(WEEK.monday, 20)) if row["uploaded_at"].weekday() not in (1, 2)]
    report = report_of(tmp_path, rows, compare=None)
    check_page(report)
    assert [day.tally.images for day in report.numbers.days if day.in_week][1:3] == [0, 0]
    assert "No images on Tue, Wed." in page_text(report)


def test_labels_keys_and_reasons_are_shown_as_they_are(tmp_path):
    rows = [
        a_row(1, key=NASTY, label=NASTY, model_version=NASTY, endpoint=NASTY),
        a_rejected_row(2, reason=NASTY, key=NASTY),
        a_failed_row(3, reason=NASTY, key=NASTY),
    ]
    report = report_of(tmp_path, rows, compare=None, thumbnail=lambda *_: small_jpeg(png_bytes()))
    check_page(report)
    assert "<script" not in report.to_html()
    text = "".join(parsed(report).text)
    assert text.count(NASTY) >= 8


def test_a_long_tail_of_classes_is_in_the_table(tmp_path):
    rows = [a_row(n, label=f"class {n:03}" * 8) for n in range(100)]
    report = report_of(tmp_path, rows, compare=None)
    check_page(report)
    assert "class 099class" in page_text(report)


def test_pictures_are_small_sound_and_square(tmp_path):
    pictures = {"good.png": png_bytes(noise(400, 300)), "broken.png": b"\x89PNG not really", "gone.png": None}
    rows = [a_row(n, key=key) for n, key in enumerate(pictures)]
    report = report_of(
        tmp_path, rows, compare=None, thumbnail=lambda bucket, key, version: small_jpeg(pictures[key])
    )
    check_page(report)
    assert sorted(picture is not None for picture in report.thumbnails) == [False, False, True]
    assert sum(len(picture or b"") for picture in report.thumbnails) < 8_000
    assert report.to_html().count("data:image/jpeg;base64,") == 1


def test_images_unlike_the_classes_are_counted_by_week_and_folder_and_shown(tmp_path):
    unlike = {"outcome": "needs_review", "reason": "unlike_training", "unfamiliarity": 0.99}
    earlier = datetime(2026, 11, 10, 9)  # noqa: DTZ001
    rows = [
        *(a_row(n, key=f"van/{n}.png", unfamiliarity=0.3) for n in range(30)),
        *(a_row(n, key=f"van/{n}.png", **unlike) for n in range(30, 40)),
        *(a_row(n, key=f"bike/{n}.png", unfamiliarity=0.3) for n in range(40, 60)),
        *(a_row(n, key=f"old/{n}.png") for n in range(60, 70)),
        *(a_row(n, key=f"van/{n}.png", uploaded_at=earlier, unfamiliarity=0.2) for n in range(70, 110)),
    ]
    report = report_of(tmp_path, rows, thumbnail=lambda *_: small_jpeg(png_bytes()))
    check_page(report)
    found = known(report.numbers.unlike)
    assert (found.scored, found.unlike, found.baseline_scored, found.baseline_unlike) == (60, 10, 40, 0)
    assert found.interval == wilson_interval(10, 60)
    assert [(of.folder, of.scored, of.unlike, of.baseline_share) for of in found.folders] == [
        ("van", 40, 10, 0.0),
        ("bike", 20, 0, None),
    ]
    assert [image.unfamiliarity for image in found.images] == [0.99] * 10
    text = page_text(report)
    assert "10 of 60 images" in text
    assert "Most unfamiliar images" in text
    accepted_at_half = next(each for each in report.numbers.what_if if each.threshold == 0.5)
    assert accepted_at_half.accepted == 60


def test_an_endpoint_without_unfamiliarity_has_no_section_about_it(tmp_path):
    report = report_of(tmp_path, [a_row(n) for n in range(20)])
    assert report.numbers.unlike is None
    assert "Unlike the classes" not in page_text(report)


def test_very_many_images_make_a_page_of_bounded_size(tmp_path):
    rows = sorted(rows_of(Week(WEEK.monday, images_a_day=300), seed=2), key=partition)
    for dt, of_day in groupby(rows, key=partition):
        write_day(tmp_path, dt, many(to_table(of_day), copies=100), file="rows-current-0abc-0")
    report = build_report(Athena(tmp_path), WEEK, None, now=NOW)
    check_page(report)
    assert report.numbers.summary.tally.images == 100 * len(rows)
    assert sum(cell.images for cell in report.numbers.cells) == report.numbers.summary.tally.classified
