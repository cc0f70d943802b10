"""analytics.report: every number against the rows themselves, and a right page whatever the week was like."""

import itertools
import json
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from itertools import groupby
from typing import Any, TypeVar
from xml.etree import ElementTree

import pytest

from analytics.athena.local import LocalEngine
from analytics.lake.schema import partition, to_table
from analytics.questions.queries import views
from analytics.report.build import WeeklyReport, build_report
from analytics.report.drift import Evidence
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Departure, Shift, UsualShare
from analytics.report.sections import chapters
from analytics.report.verdict import judge
from analytics.review.thumbnails import small_jpeg
from analytics.text import p_value, percent
from infra.operations.write_report import default_week
from ingest.stats import wilson_interval
from tests.athena import Athena
from tests.builders import noise, png_bytes
from tests.builders_table import (
    Week,
    a_failed_row,
    a_label,
    a_rejected_row,
    a_row,
    many,
    rows_of,
    weeks_of_rows,
    write_day,
    write_labels,
    write_rows,
)

WEEK = IsoWeek.parse("2026-W47")
BEFORE = WEEK.back()
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
COORDINATES = ("d", "x", "y", "width", "height", "cx", "cy", "r")
T = TypeVar("T")
NASTY = "<script>alert('x')</script>&\"'"


def report_of(folder, rows, compare=BEFORE, now=NOW, **more) -> WeeklyReport:
    write_rows(folder, rows)
    return build_report(Athena(folder), WEEK, compare, now=now, **more)


def known(value: T | None) -> T:
    assert value is not None
    return value


@pytest.fixture(scope="module")
def rows():
    shifted = {"bicycle": 0.6, "motorcycle": 0.2, "tulip": 0.2}
    return weeks_of_rows(
        Week(WEEK.monday, images_a_day=60, labels=shifted, certainty=8, brightness=80), weeks_before=5
    )


@pytest.fixture(scope="module")
def report(rows, tmp_path_factory):
    return report_of(tmp_path_factory.mktemp("results"), rows)


@pytest.fixture(scope="module")
def once(rows):
    """This week's uploads, each once: copies in the builder's weeks are exact ones."""
    return [
        row
        for row in {row["upload_id"]: row for row in rows}.values()
        if row["uploaded_at"].date() >= WEEK.monday
    ]


@pytest.fixture(scope="module")
def seen(once):
    return [row for row in once if row["outcome"] in ("accepted", "needs_review")]


def test_what_became_of_the_images_is_counted_once(report, once):
    tally, counts = report.numbers.summary.tally, Counter(row["outcome"] for row in once)
    assert tally.images == len(once)
    assert (tally["accepted"], tally["needs_review"]) == (counts["accepted"], counts["needs_review"])
    assert (tally["rejected"], tally["failed"]) == (counts["rejected"], counts["failed"])


def test_days_and_hours_add_up_to_the_week(report, once):
    by_day = Counter(row["uploaded_at"].date() for row in once)
    assert {day.dt: day.tally.images for day in report.numbers.days if day.in_week} == by_day
    by_hour = Counter((row["uploaded_at"].weekday(), row["uploaded_at"].hour) for row in once)
    assert {
        (d, h): n for d, day in enumerate(report.numbers.hours) for h, n in enumerate(day) if n
    } == by_hour


def test_the_history_has_each_of_the_weeks_before(report, rows):
    uploads = {row["upload_id"]: IsoWeek.of(row["uploaded_at"]) for row in rows}
    counts = Counter(map(str, uploads.values()))
    assert [week.week for week in report.numbers.history] == [str(WEEK.back(n)) for n in (4, 3, 2, 1, 0)]
    assert all(week.tally.images == counts[week.week] for week in report.numbers.history)


def test_means_of_confidence_are_those_of_the_rows(report, seen):
    summary = report.numbers.summary
    accepted = [row["confidence"] for row in seen if row["outcome"] == "accepted"]
    assert summary.expected_precision == pytest.approx(statistics.fmean(accepted))
    assert summary.mean_confidence == pytest.approx(statistics.fmean(row["confidence"] for row in seen))


def test_class_shares_are_those_of_the_rows_the_most_frequent_first(report, seen):
    counts = Counter(row["label"] for row in seen)
    now = [(entry.label, entry.images) for entry in report.numbers.classes if entry.images]
    assert now == sorted(counts.items(), key=lambda item: -item[1])
    assert sum(entry.share or 0 for entry in report.numbers.classes) == pytest.approx(1)
    assert all(
        entry.interval.low <= (entry.share or 0) <= entry.interval.high for entry in report.numbers.classes
    )
    gone = {entry.label for entry in report.numbers.classes if not entry.images}
    assert gone == {"poppy", "willow_tree"}


def test_each_threshold_accepts_what_reaches_it(report, seen):
    confidences = [row["confidence"] for row in seen]
    for row in report.numbers.what_if:
        reached = [confidence for confidence in confidences if confidence >= row.threshold]
        assert row.accepted == len(reached)
        assert row.coverage == pytest.approx(len(reached) / len(confidences))
        if reached:
            assert row.expected_precision == pytest.approx(statistics.fmean(reached))


@pytest.mark.parametrize("threshold", [0.5, 0.57, 0.58, 0.83, 0.94, 0.99])
def test_a_confidence_that_is_exactly_a_threshold_reaches_it(tmp_path, threshold):
    rows = [a_row(n, confidence=c) for n, c in enumerate((threshold, math.nextafter(threshold, 0) - 1e-9))]
    what_if = report_of(tmp_path, rows).numbers.what_if
    assert next(row.accepted for row in what_if if row.threshold == threshold) == 1


def test_the_histogram_and_the_dots_hold_every_classified_image(report, seen):
    assert sum(bin_.images for bin_ in report.numbers.confidence) == len(seen)
    for bin_ in report.numbers.confidence:
        here = [row for row in seen if bin_.low <= row["confidence"] < bin_.high]
        assert bin_.images == len(here)
    assert sum(cell.images for cell in report.numbers.cells) == len(seen)
    below = sum(cell.images for cell in report.numbers.cells if not cell.accepted)
    assert below == report.numbers.summary.tally["needs_review"]


def test_few_images_have_a_dot_each_at_their_time_and_confidence(report, seen):
    places = sorted((cell.hours, cell.height) for cell in report.numbers.cells for _ in range(cell.images))
    monday = datetime.combine(WEEK.monday, datetime.min.time())
    expected = sorted(
        ((row["uploaded_at"] - monday).total_seconds() / 3600, -math.log(1.005 - row["confidence"]))
        for row in seen
    )
    assert max(abs(a[0] - b[0]) for a, b in zip(places, expected, strict=True)) < 1 / 60
    heights = zip(sorted(p[1] for p in places), sorted(p[1] for p in expected), strict=True)
    assert max(abs(a - b) for a, b in heights) < 1 / 200


def test_inputs_are_binned_completely_and_their_shift_is_seen(report, seen):
    brightness, sharpness, size = report.numbers.inputs
    for input_, column in ((brightness, "brightness"), (sharpness, "sharpness"), (size, "size_bytes")):
        assert sum(bin_.images for bin_ in input_.bins) == len(seen)
        median = statistics.median(row[column] for row in seen)
        assert input_.p50 == pytest.approx(median, rel=0.05)
    for bin_ in brightness.bins:
        assert bin_.images == sum(bin_.low <= row["brightness"] < bin_.high for row in seen)
    assert (brightness.shift.size, sharpness.shift.size, size.shift.size) == ("large", "small", "small")


def test_reasons_are_counted_with_the_latest_key_of_each(report, once):
    rejected = defaultdict(list)
    for row in once:
        if row["outcome"] == "rejected":
            rejected[row["reason"]].append(row)
    assert {reason.reason: reason.images for reason in report.numbers.rejects} == {
        reason: len(rows) for reason, rows in rejected.items()
    }
    for reason in report.numbers.rejects:
        assert reason.latest_key == max(rejected[reason.reason], key=lambda row: row["decided_at"])["key"]


def test_latencies_are_about_those_of_the_rows(report, seen):
    took_ms = [(row["decided_at"] - row["uploaded_at"]) / timedelta(milliseconds=1) for row in seen]
    percentiles = statistics.quantiles(took_ms, n=100)
    assert report.numbers.latency.images == len(seen)
    assert report.numbers.latency.total.p50 == pytest.approx(percentiles[49], rel=0.03)
    assert report.numbers.latency.total.p95 == pytest.approx(percentiles[94], rel=0.05)
    assert len(report.numbers.latency_by_day) == 7


def test_the_least_certain_images_come_in_order(report, seen):
    lowest = sorted(row["confidence"] for row in seen)[:24]
    assert [image.confidence for image in report.numbers.least_certain] == lowest


def test_copies_are_counted_as_copies(report, rows, once):
    stored = sum(row["uploaded_at"].date() >= WEEK.monday for row in rows)
    complete = report.numbers.completeness
    assert (complete.rows_stored, complete.duplicates_removed) == (stored, stored - len(once))


def test_the_cards_say_what_is_clear_by_the_scatter_of_days_and_the_table_has_the_test(report):
    cards = {each.slug: each for chapter in chapters(report.numbers) for each in chapter.sections}
    slugs = {"label": "classes", "confidence": "confidence", "brightness": "input-brightness"}
    for measure, slug in slugs.items():
        departure = report.numbers.departures[measure]
        is_clear = departure.significant and departure.shift.size != "small"
        assert ("it is statistically clear" in cards[slug].note) is is_clear
        assert "scatter of days" in cards[slug].statistics
        assert p_value(departure.shift.p_value) in cards[slug].statistics


def test_a_mix_that_shifts_by_a_few_points_in_each_of_several_classes_needs_attention(report):
    usual, now = [25, 25, 25, 25], [31, 31, 19, 19]
    shares = [UsualShare(name, a / 100, b / 100) for name, a, b in zip("abcd", now, usual, strict=True)]
    shift = Shift.of(usual, now, Evidence("scatter of days", 9.0, 1e-6, 80))
    classes = Departure(shift, 1e-6, shares)
    numbers = replace(report.numbers, departures={**report.numbers.departures, "label": classes})
    (found,) = [of for of in judge(numbers, NOW.date()).findings if of.section == "classes"]
    assert shift.size == "small"
    assert found.attention
    assert "31.0\u00a0% of the classified images are a, usually 25.0\u00a0%" in found.what


def test_a_shift_of_classes_and_of_brightness_needs_attention(report):
    assert not report.verdict.ok
    urgent = [finding.what for finding in report.verdict.findings if finding.attention]
    assert any("mix of classes" in what and "bicycle" in what for what in urgent)
    assert any("Brightness" in what for what in urgent)
    assert not any("Sharpness" in finding.what for finding in report.verdict.findings)


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
    assert "scones certify --week 2026-W47" in text
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


def test_without_labels_the_page_says_that_it_cannot_know(report):
    assert report.numbers.measured is None
    assert "No image of this week has been checked by a person." in page_text(report)


# The page


class Text(HTMLParser):
    """Collects what a reader sees, and which tags are there."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if (attributes.get("href") or "").startswith("#"):
            self.targets.append(attributes["href"][1:])
        self.targets += (attributes.get("aria-labelledby") or "").split()

    def handle_data(self, data):
        self.text.append(data)


def parsed(report: WeeklyReport) -> Text:
    parser = Text()
    parser.feed(report.to_html())
    return parser


def page_text(report: WeeklyReport) -> str:
    return " ".join(" ".join(parsed(report).text).replace("\u00a0", " ").split())


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]  # noqa: S314


def check_page(report: WeeklyReport) -> None:
    """What is true of every page."""
    html = report.to_html()
    assert len(html.encode()) < 500_000
    page = parsed(report)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)
    assert not page.tags["script"]
    assert page.tags["h1"] == 1
    for svg in svgs(html):
        for element in svg.iter():
            assert not re.search(r"\b(nan|inf)\b", " ".join(element.get(name, "") for name in COORDINATES))
        if svg.get("role") == "img" and svg.get("aria-labelledby"):
            title, described = list(svg)[:2]
            assert (title.text or "").strip()
            assert (described.text or "").strip()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert report.verdict.sentence in " ".join(page.text)
    numbers = json.loads(report.to_json())
    assert numbers["summary"]["tally"]["images"] == report.numbers.summary.tally.images
    assert report.to_text().startswith(f"**Scones, week {WEEK}.**")


def test_the_page_is_sound(report):
    check_page(report)


def test_a_screen_reader_knows_each_table_each_row_and_each_region(report):
    html = report.to_html()
    labels = re.findall(r'role="region" aria-label="([^"]*)"', html)
    assert len(labels) == len(set(labels)) == html.count("<table>") == html.count("</caption>")
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        head, body = table.split("<tbody>")
        assert not re.search(r"<th[^>]*></th>", head)
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        assert rows
        assert all(row.startswith('<th scope="row"') for row in rows)


def test_a_finding_leads_to_its_card_and_the_card_is_marked(report):
    html = report.to_html()
    urgent = {finding.section for finding in report.verdict.findings if finding.attention}
    marked = re.findall(r'<section class="card [^"]*\burges\b[^"]*" id="([^"]*)"', html)
    assert urgent
    assert {*marked} == urgent
    assert all(f'<a href="#{section}">' in html for section in urgent)


def test_each_chart_has_its_numbers_in_a_table(report):
    html = report.to_html()
    cards = re.findall(r'<section class="card.*?</section>', html, re.DOTALL)
    with_chart = [card for card in cards if 'class="chart' in card]
    assert len(with_chart) >= 11
    assert all("<table>" in card for card in with_chart)


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


def at(number: int, day: int = 0, week: IsoWeek = WEEK, **changes):
    """Return a row of a day, 0 for the week's Monday."""
    moment = datetime.combine(week.days[day], datetime.min.time()) + timedelta(hours=9)
    return a_row(number, uploaded_at=moment, **changes)


def last_week(images: int, **changes):
    return [at(100_000 + n, day=n % 7, week=BEFORE, **changes) for n in range(images)]


def urgent(report: WeeklyReport) -> list[str]:
    return [finding.what for finding in report.verdict.findings if finding.attention]


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


def in_folders(images: Mapping[str, int], unsure: Mapping[str, int], first: int = 0, week: IsoWeek = WEEK):
    """Return rows of folders, so many of each below the threshold."""
    numbers = itertools.count(first)
    for folder, count in images.items():
        for place in range(count):
            number = next(numbers)
            key = f"{folder}/{number}.jpg" if folder else f"{number}.jpg"
            is_unsure = place < unsure.get(folder, 0)
            said = {"confidence": 0.6, "outcome": "needs_review"} if is_unsure else {}
            yield at(number, day=number % 7, key=key, week=week, **said)


VANS = {"": 60, "van-1": 60, "van-2": 60, "van-3": 60}


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
    found = {finding.what.replace("\u00a0", " "): finding.attention for finding in report.verdict.findings}
    assert found["0.0 % of the images in van-0/ were accepted, 100.0 % before."] is (after < 0.9)


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
    assert found.action == "This could be chance: scones review --week 2026-W47 --sample 19 settles it."


def test_a_change_of_the_model_or_of_the_threshold_between_the_weeks_is_said(tmp_path):
    changed: dict[str, Any] = {"model_version": "a new one", "threshold": 0.8}
    text = page_text(report_of(tmp_path, [*last_week(30), *(at(n, n % 7, **changed) for n in range(30))]))
    assert "The model changed from resnet9-2026-11-01 to a new one." in text
    assert "The threshold changed since the weeks before from 0.94 to 0.8." in text
    same = page_text(report_of(tmp_path / "same", [*last_week(30), *(at(n, n % 7) for n in range(30))]))
    assert "The model changed" not in same
    assert "threshold changed" not in same


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


def test_a_week_is_compared_with_nothing_or_with_any_other(tmp_path, rows):
    report = report_of(tmp_path, rows, compare=None)
    check_page(report)
    assert report.numbers.baseline is None
    assert "Not compared with another week." in page_text(report)
    far = build_report(Athena(tmp_path), WEEK, WEEK.back(5), now=NOW)
    check_page(far)
    assert known(far.numbers.baseline).week == "2026-W42"
    assert far.numbers.class_shift.baseline_images == known(far.numbers.baseline).tally.classified
    itself = build_report(Athena(tmp_path), WEEK, WEEK, now=NOW)
    assert itself.numbers.class_shift.psi == 0


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


def test_the_report_is_written_as_three_files(report, tmp_path):
    page = report.write(tmp_path / "new" / "folder")
    assert sorted(file.name for file in page.parent.iterdir()) == ["digest.md", "report.html", "report.json"]
    assert json.loads((page.parent / "report.json").read_text(encoding="utf-8"))["week"] == "2026-W47"


def test_a_report_without_images_replaces_none_with_images(tmp_path):
    folder = tmp_path / "report"
    empty, full = report_of(tmp_path / "no", []), report_of(tmp_path / "some", [a_row()])
    assert not empty.is_kept_out_of(folder)
    empty.write(folder)
    full.write(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert empty.is_kept_out_of(folder)
    assert empty.write(folder).read_text(encoding="utf-8") == page


@pytest.mark.parametrize(("first", "week"), [("2026-11-24", "2026-W48"), ("2026-11-02", "2026-W47")])
def test_the_week_is_the_last_complete_one_if_there_was_any_before_this_one(tmp_path, first, week):
    write_rows(tmp_path, [a_row(uploaded_at=datetime.fromisoformat(f"{first}T10:00"))])
    assert str(default_week(Athena(tmp_path), date(2026, 11, 25))) == week


def test_the_same_table_gives_the_same_json_byte_for_byte(rows, tmp_path):
    ties = [a_failed_row(n, key=f"{n}.png", uploaded_at=rows[-1]["uploaded_at"]) for n in range(9_000, 9_040)]
    rows = [*rows, *ties]
    write_rows(tmp_path / "one", rows)
    write_rows(tmp_path / "other", rows[::-2])
    write_rows(tmp_path / "other", rows[-2::-2], file="part-1")

    def asked(folder, threads, hour):
        engine = LocalEngine(tmp_path / folder, views(), threads=threads)
        return build_report(engine, WEEK, BEFORE, now=NOW.replace(hour=hour)).to_json()

    first = asked("one", 1, 6)
    assert first == asked("one", 4, 9)
    elsewhere = json.loads(asked("other", 4, 9))  # whose files have other sizes
    whole = json.loads(first)
    for name in ("statements", "cost"):
        whole.pop(name), elsewhere.pop(name)
    assert whole == elsewhere


def test_the_digest_is_short_and_says_what_to_do(report):
    text = report.to_text()
    assert len(text) < 2_000
    assert report.verdict.findings[0].action in text
    assert f"- {report.numbers.summary.tally.images:,} images" in text


def test_days_before_the_first_image_are_no_gap(tmp_path):
    rows = [a_row(n, uploaded_at=datetime.fromisoformat("2026-11-18T10:00")) for n in range(3)]
    assert "No images on Thu, Fri, Sat, Sun." in page_text(report_of(tmp_path, rows, compare=None))


def test_measured_precision_takes_the_place_of_what_was_expected(tmp_path):
    rows = [a_row(n, confidence=0.9) for n in range(4)]
    write_labels(tmp_path, "2026-11-16", [a_label(row, "bicycle") for row in rows[:2]])
    report = report_of(tmp_path, rows, compare=None)
    text = page_text(report)
    assert "Measured precision" in text
    assert "the model expected 90.0 %" in text.replace("\u00a0", " ")
    assert "Precision, the model's own estimate" not in text
    assert "Precision, by 2 labels: 100.0 %" in report.to_text().replace("\u00a0", " ")
