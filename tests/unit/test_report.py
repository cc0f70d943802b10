"""analytics.report: every number against the rows themselves, and the page that shows them."""

import json
import math
import re
import statistics
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from analytics.athena.local import LocalEngine
from analytics.questions.queries import views
from analytics.report.build import build_report
from analytics.report.drift import Evidence
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Departure, Shift, UsualShare
from analytics.report.sections import chapters
from analytics.report.verdict import judge
from analytics.report.weekly import MEMORY_WEEKS
from analytics.text import p_value
from infra.operations.write_report import default_week
from tests.athena import Athena
from tests.builders_table import (
    Week,
    a_failed_row,
    a_row,
    weeks_of_rows,
    write_rows,
)
from tests.reports import BEFORE, NOW, WEEK, check_page, known, page_text, report_of


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


def test_without_labels_the_page_says_that_it_cannot_know(report):
    assert report.numbers.measured is None
    assert "No image of this week has been checked by a person." in page_text(report)


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


def test_a_week_that_is_compared_from_long_ago_has_its_confidences_and_inputs(tmp_path, once):
    weeks = MEMORY_WEEKS + 2
    moved = ("uploaded_at", "decided_at")
    then = [{**row, **{name: row[name] - timedelta(weeks=weeks) for name in moved}} for row in once]
    numbers = report_of(tmp_path, [*once, *then], compare=WEEK.back(weeks)).numbers
    for bins in (numbers.confidence, *(each.bins for each in numbers.inputs)):
        assert sum(bin_.images for bin_ in bins)
        assert [bin_.baseline_images for bin_ in bins] == [bin_.images for bin_ in bins]


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
