"""What the report says of labels: precision measured, by class, certified."""

import statistics
from datetime import timedelta
from typing import Any

import pytest

from analytics import commands
from ingest.stats import wilson_interval
from tests.builders_table import (
    a_label,
    a_row,
    write_labels,
)
from tests.reports import WEEK, at, check_page, known, page_text, report_of, urgent


def test_measured_precision_comes_from_labels(tmp_path):
    rows = [a_row(n, confidence=0.9 + n / 1000, outcome="accepted") for n in range(50)]
    rows.append(a_row(50, confidence=0.6, outcome="needs_review"))
    labels = [a_label(row, "bicycle") for row in rows[3:40]]
    labels += [a_label(rows[50], "bicycle"), a_label(a_row(99), "poppy"), a_label(rows[0], None)]
    labels += [a_label(row, "tulip") for row in rows[1:4]]
    later = rows[39]["decided_at"] + timedelta(days=2)
    write_labels(tmp_path, "2026-11-16", labels)
    write_labels(tmp_path, "2026-11-16", [*labels, a_label(rows[3], "tulip", labelled_at=later)], "again")
    report = report_of(tmp_path, rows, compare=None)
    measured = known(report.numbers.measured)
    assert (measured.images, measured.accepted, measured.correct) == (41, 40, 36)
    assert measured.precision == pytest.approx(0.9)
    assert measured.expected_precision == pytest.approx(statistics.fmean(0.9 + n / 1000 for n in range(40)))
    assert [bin_.images for bin_ in measured.bins] == [1, 40]
    assert "People checked 40 accepted images: 90.0 % are right" in page_text(report)


def test_the_class_with_most_mistakes_comes_first_with_what_they_show(tmp_path):
    said = ["bicycle"] * 6 + ["motorcycle"] * 3 + ["poppy"]
    shown = ["bicycle", "poppy", "poppy", "tulip", None, "bicycle", "motorcycle", None, "motorcycle", "poppy"]
    unsure = {5, 8}
    rows = [
        a_row(n, label=label, **({"outcome": "needs_review", "confidence": 0.6} if n in unsure else {}))
        for n, label in enumerate(said)
    ]
    write_labels(tmp_path, "2026-11-16", [a_label(row, true) for row, true in zip(rows, shown, strict=True)])
    report = report_of(tmp_path, [*rows, a_row(99)], compare=None)
    bicycle, motorcycle, poppy = known(report.numbers.measured).classes
    assert (bicycle.label, bicycle.accepted, bicycle.accepted_correct) == ("bicycle", 5, 1)
    assert (bicycle.needs_review, bicycle.needs_review_correct) == (1, 1)
    assert (bicycle.wrong, bicycle.mostly_shows, bicycle.mostly_shows_images) == (4, "poppy", 2)
    assert bicycle.interval == wilson_interval(1, 5)
    assert (motorcycle.wrong, motorcycle.mostly_shows) == (1, None)
    assert (poppy.wrong, poppy.mostly_shows_images) == (0, 0)
    text = page_text(report)
    assert "4 images classified as bicycle are something else: poppy among others." in text
    assert "none of the classes (1)" in text
    check_page(report)


@pytest.mark.parametrize(("wrong", "said"), [(2, False), (18, True)])
def test_one_class_that_is_wrong_more_often_than_expected_needs_attention(tmp_path, wrong, said):
    rows = [a_row(n, label="bicycle" if n < 300 else "poppy", confidence=0.97) for n in range(340)]
    labels = [a_label(row, "tulip" if 300 <= n < 300 + wrong else row["label"]) for n, row in enumerate(rows)]
    write_labels(tmp_path, "2026-11-16", labels)
    found = [what for what in urgent(report_of(tmp_path, rows, compare=None)) if "accepted as poppy" in what]
    assert bool(found) is said


def test_of_mistakes_that_are_equally_frequent_the_first_by_name_is_said(tmp_path):
    unsure: dict[str, Any] = {"outcome": "needs_review", "confidence": 0.6}
    rows = [a_row(1), a_row(2), a_row(3, **unsure), a_row(4), a_row(5)]
    shown = ["tulip", "tulip", "poppy", "poppy", None]
    write_labels(tmp_path, "2026-11-16", [a_label(row, true) for row, true in zip(rows, shown, strict=True)])
    (bicycle,) = known(report_of(tmp_path, rows, compare=None).numbers.measured).classes
    assert (bicycle.mostly_shows, bicycle.mostly_shows_images) == ("poppy", 2)


def test_a_blind_sample_measures_with_weights_and_certifies(tmp_path):
    """Motorcycles were drawn ten times as often as bicycles, and are wrong more often."""
    many = [a_row(n, key=f"van-1/{n}.jpg") for n in range(1_000)]
    few = [a_row(n, key=f"van-1/{n}.jpg", label="motorcycle") for n in range(1_000, 1_100)]
    unsure = [
        a_row(n, key="van-1/u.jpg", outcome="needs_review", confidence=0.6) for n in range(2_000, 2_010)
    ]
    for rows in (many, few):
        rows.sort(key=lambda row: row["upload_id"])
    drawn: dict[str, Any] = {"source": "sample", "labelled_by": "Ada"}
    earlier = many[0]["decided_at"]
    labels = [a_label(row, "tulip" if n < 2 else "bicycle", **drawn) for n, row in enumerate(many[:100])]
    labels += [a_label(row, "tulip" if n < 40 else "motorcycle", **drawn) for n, row in enumerate(few)]
    labels += [a_label(row, "motorcycle", source="below_threshold") for row in unsure]
    labels += [a_label(row, "bicycle", source="gallery") for row in many[900:]]
    labels += [
        a_label(row, "bicycle", source="sample", labelled_by="Ben", labelled_at=earlier) for row in many[:20]
    ]
    write_labels(tmp_path, "2026-11-16", labels)
    report = report_of(tmp_path, [*many, *few, *unsure], compare=None)
    measured = known(report.numbers.measured)
    assert (measured.is_sample, measured.accepted, measured.correct) == (True, 200, 158)
    assert measured.precision == pytest.approx((1_000 * 0.98 + 100 * 0.6) / 1_100)
    assert measured.interval.low < 0.945 < measured.interval.high
    assert measured.effective_labels < 200
    assert "Recalibrate" not in report.to_text()  # 79 % of the labels are right, but 94.5 % of the images
    (found,) = (what for what in urgent(report) if "accepted as motorcycle" in what)
    assert "60.0\u00a0% (weighted) are right" in found
    precisions = {of.label: of.precision for of in measured.classes}
    assert precisions == pytest.approx({"bicycle": 0.98, "motorcycle": 0.6})
    certificate = known(report.numbers.certificate)
    assert (certificate.images, certificate.state) == (1_100, "open")
    order = sorted(row["upload_id"] for row in [*many, *few])
    assert certificate.labels == order.index(many[100]["upload_id"])  # the first without a label
    shares = {of.label: of for of in report.numbers.true_shares}
    assert shares["bicycle"].share == pytest.approx(980 / 1_110)
    assert shares["motorcycle"].said == pytest.approx(100 / 1_110)
    assert shares["motorcycle"].share == pytest.approx(70 / 1_110)
    assert shares["bicycle"].interval.low < 980 / 1_110 < shares["bicycle"].interval.high
    agreed = known(report.numbers.agreement)
    assert (agreed.images, agreed.alike) == (20, 0.9)
    assert measured.ranking.errors == 52
    text = page_text(report).replace("\u00a0", " ")
    assert f"Not certified: {certificate.labels} blind labels" in text
    assert "make certify WEEK=2026-W47" in text
    assert "Two people say the same of 90.0 % of 20 images" in text
    assert "True class balance" in text
    check_page(report)


def test_labels_of_unsure_images_alone_measure_no_precision_but_reliability(tmp_path):
    row = a_row(1, confidence=0.6, outcome="needs_review")
    write_labels(tmp_path, "2026-11-16", [a_label(row, "bicycle")])
    report = report_of(tmp_path, [row], compare=None)
    assert known(report.numbers.measured).precision is None
    check_page(report)
    assert "No accepted image of this week has been checked." in page_text(report)
    assert "1 of 1 correct at 0.60" in report.to_html()


@pytest.mark.parametrize(("wrong", "seen"), [(1, None), (7, "note"), (25, "attention")])
def test_measured_precision_alarms_when_it_is_surely_not_what_was_promised(tmp_path, wrong, seen):
    rows = [at(n, n % 7) for n in range(100)]
    for day in WEEK.days:
        labels = [a_label(row, "tulip" if n < wrong else "bicycle") for n, row in enumerate(rows)]
        of_day = [label for label, row in zip(labels, rows, strict=True) if row["uploaded_at"].date() == day]
        write_labels(tmp_path, str(day), of_day)
    report = report_of(tmp_path, rows, compare=None)
    found = [finding for finding in report.verdict.findings if "the model expected" in finding.what]
    assert [finding.attention for finding in found] == ([] if seen is None else [seen == "attention"])


def test_one_wrong_label_is_a_note_with_its_counts(tmp_path):
    row = at(1)
    write_labels(tmp_path, str(row["uploaded_at"].date()), [a_label(row, None)])
    report = report_of(tmp_path, [row, *(at(n) for n in range(2, 30))], compare=None)
    (found,) = [each for each in report.verdict.findings if "the model expected" in each.what]
    assert not found.attention
    assert found.what.startswith("People checked 1 accepted image: 0.0\u00a0% are right; ")
    assert found.action == "This could be chance: make review WEEK=2026-W47 SAMPLE=19 settles it."


@pytest.mark.parametrize(
    ("is_checkout", "next_", "first"),
    [
        (True, "make review WEEK=2026-W47", "make review WEEK=2026-W47 SAMPLE=50"),
        (False, "scones review --week 2026-W47", "scones review --week 2026-W47 --sample 50"),
    ],
)
def test_what_to_do_next_is_typed_as_commands_are_here(tmp_path, monkeypatch, is_checkout, next_, first):
    monkeypatch.setattr(commands, "is_checkout", lambda: is_checkout)
    report = report_of(tmp_path, [a_row(1, outcome="needs_review")], compare=None)
    assert [step.command for step in report.verdict.steps] == [next_]
    assert f"{first} makes a page to check 50" in page_text(report)


def test_measured_precision_takes_the_place_of_what_was_expected(tmp_path):
    rows = [a_row(n, confidence=0.9) for n in range(4)]
    write_labels(tmp_path, "2026-11-16", [a_label(row, "bicycle") for row in rows[:2]])
    report = report_of(tmp_path, rows, compare=None)
    text = page_text(report)
    assert "Measured precision" in text
    assert "the model expected 90.0 %" in text.replace("\u00a0", " ")
    assert "Precision, the model's own estimate" not in text
    assert "Precision, by 2 labels: 100.0 %" in report.to_text().replace("\u00a0", " ")
