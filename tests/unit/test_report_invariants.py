"""What is true of every week's report, whatever little table it is made from."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics.lake.schema import partition
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Numbers
from analytics.report.sections import chapters
from tests.athena import Athena
from tests.builders_table import (
    a_failed_row,
    a_label,
    a_rejected_row,
    a_row,
    write_labels,
    write_rows,
)

WEEK = IsoWeek.parse("2027-W01")
FIRST = datetime.fromisoformat("2026-12-28T00:00")
"""The Monday of the week before."""

classified = st.fixed_dictionaries(
    {
        "confidence": st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.57, 0.94, 0.9999999, 1.0]),
        "threshold": st.sampled_from([0.0, 0.4, 0.57, 0.9, 0.94, 1.0]),
        "label": st.sampled_from(["bicycle", "tulip", "rose", "a class that is said in many words"]),
        "model_version": st.sampled_from(["one", "another", None]),
        "endpoint": st.sampled_from(["scones", None]),
        "brightness": st.none() | st.floats(0, 255),
        "sharpness": st.none() | st.floats(0, 1e5),
        "classify_ms": st.none() | st.floats(0, 1e5),
        "bucket": st.sampled_from(["scones-incoming", "data-capture"]),
    }
)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(st.integers(0, 40))
    at = FIRST + draw(st.timedeltas(timedelta(0), timedelta(days=14) - timedelta(milliseconds=1)))
    same: dict[str, Any] = {
        "uploaded_at": at,
        "decided_at": at + draw(st.timedeltas(timedelta(seconds=-2), timedelta(days=40))),
        "size_bytes": draw(st.none() | st.integers(0, 10**12)),
    }
    same["upload_id"] = f"{number:02}{partition(same)}"  # all copies of an upload are of one day
    kind = draw(st.sampled_from(["classified"] * 4 + ["rejected", "failed"]))
    if kind == "rejected":
        return a_rejected_row(number, draw(st.sampled_from(["corrupt", "empty"])), **same)
    if kind == "failed":
        return a_failed_row(number, **same)
    said: dict[str, Any] = draw(classified)
    accepted = said["confidence"] >= said["threshold"]
    return a_row(number, **same, **said, outcome="accepted" if accepted else "needs_review")


@given(
    st.lists(rows(), max_size=60),
    st.sampled_from([None, WEEK, WEEK.back(), WEEK.back(9)]),
    st.none() | st.integers(0, 60),
    st.datetimes(FIRST, FIRST + timedelta(days=20)),
)
@settings(max_examples=8, phases=[Phase.generate])  # shrinking a failure would take minutes
def test_parts_add_up_and_no_number_is_nonsense(tmp_path_factory, table, compare, uploaded, now):
    folder = tmp_path_factory.mktemp("results")
    write_rows(folder, table)
    for row in table[::3]:
        label = a_label(row, "tulip" if len(table) % 2 else row["label"])
        write_labels(folder, partition(row), [label], file=f"part-{row['upload_id']}")
    report = build_report(Athena(folder), WEEK, compare, uploaded=uploaded, now=now.replace(tzinfo=UTC))
    _check_sums(report.numbers)
    _check_shares(report.numbers)
    _check_sections(report.numbers)
    _check_texts(report)
    assert report.verdict.ok is not any(finding.attention for finding in report.verdict.findings)


def _check_sums(numbers: Numbers) -> None:
    tally, complete = numbers.summary.tally, numbers.completeness
    days = [day.tally for day in numbers.days if day.in_week]
    assert tally.images == tally.classified + tally["rejected"] + tally["failed"]
    assert sum(day.images for day in days) == tally.images
    assert sum(day["needs_review"] for day in days) == tally["needs_review"]
    assert sum(map(sum, numbers.hours)) == tally.images
    for parts in (numbers.classes, numbers.confidence, numbers.cells, numbers.models):
        assert sum(part.images for part in parts) == tally.classified
    before = numbers.baseline.tally.classified if numbers.baseline else 0
    for bins in (numbers.classes, numbers.confidence):
        assert sum(bin_.baseline_images for bin_ in bins) == before
    if numbers.summary.tally.images:
        by_folder = [(of.tally.images, of.tally["accepted"], of.tally["rejected"]) for of in numbers.folders]
        assert [sum(column) for column in zip(*by_folder, strict=True)] == [
            tally.images,
            tally["accepted"],
            tally["rejected"],
        ]
    assert sum(reason.images for reason in numbers.rejects) == tally["rejected"]
    assert sum(reason.images for reason in numbers.failures) == tally["failed"]
    assert sum(day.images for day in numbers.latency_by_day) == (
        numbers.latency.images if numbers.latency else 0
    )
    for input_ in numbers.inputs:
        assert sum(bin_.images for bin_ in input_.bins) == input_.shift.images <= tally.classified
        assert input_.shift.images == 0 or input_.p05 <= input_.p50 <= input_.p95  # type: ignore[operator]
    assert complete.recorded == tally.images == complete.rows_stored - complete.duplicates_removed
    assert complete.imported + complete.late <= complete.recorded
    assert numbers.cost.images == complete.recorded - complete.imported
    if numbers.measured:
        assert sum(bin_.images for bin_ in numbers.measured.bins) == numbers.measured.images
        assert (
            numbers.measured.correct
            <= numbers.measured.accepted
            <= numbers.measured.images
            <= tally.classified
        )


def _check_shares(numbers: Numbers) -> None:
    for entry in numbers.classes:
        for share, interval in (
            (entry.share, entry.interval),
            (entry.baseline_share, entry.baseline_interval),
        ):
            assert share is None or 0 <= interval.low <= share <= interval.high <= 1
    for of in numbers.folders:
        assert of.accepted_share is None or of.interval.low <= of.accepted_share <= of.interval.high
        assert 0 <= of.p_value <= 1
    for day in numbers.days:
        assert day.below_share is None or 0 <= day.below_share <= 1
        assert day.usual is None or 0 <= day.usual.low <= day.usual.high <= 1
    coverages = [row.coverage for row in numbers.what_if]
    assert coverages == sorted(coverages, reverse=True)
    assert all(0 <= coverage <= 1 for coverage in coverages)
    for row in numbers.what_if:
        assert (row.expected_precision is None) is (row.accepted == 0)
        assert row.expected_precision is None or row.threshold - 1e-9 <= row.expected_precision <= 1
    shifts = [numbers.class_shift, numbers.confidence_shift, *(input_.shift for input_ in numbers.inputs)]
    for shift in shifts:
        assert 0 <= shift.p_value <= 1
        assert (shift.psi is None) is not (shift.images and shift.baseline_images)
        assert shift.psi is None or shift.psi >= 0
        assert shift.jensen_shannon is None or 0 <= shift.jensen_shannon <= 1


def _check_sections(numbers: Numbers) -> None:
    for chapter in chapters(numbers):
        for section in chapter.sections:
            assert section.takeaway.endswith(".")
            assert section.table or not section.chart
            if section.table:
                assert section.table.rows
                assert {len(row) for row in section.table.rows} == {len(section.table.head)}


_NONSENSE = re.compile(
    r"\b(nan|inf|NaT|None|null|Infinity)\b|(?<![\w.–-])-0\b|\d[eE][+-]?\d\d|"
    r"\b1 (?:\w+ )?(?:images|uploads|days|reasons|versions|degrees|things|queries|classes)\b|"
    r"\b(?!1\b)[\d,]+ (?:image|upload|day|reason|degree)\b",
    re.ASCII,
)


def _check_texts(report: WeeklyReport) -> None:
    page, numbers = report.to_html(), report.to_json()
    assert len(page.encode()) < 500_000
    shown = re.sub(r"<(style|pre|h1)\b.*?</\1>", " ", page, flags=re.DOTALL)
    sentences = [html.unescape(piece) for piece in re.findall(r">([^<]+)<", shown)]
    for sentence in [*sentences, *report.to_text().splitlines()]:
        said = sentence.replace("\u00a0", " ")
        assert not _NONSENSE.search(said), said
    json.loads(numbers, parse_constant=_no_json)
    for name, value in re.findall(r' (d|x|y|width|height|cx|cy|r|points)="([^"]*)"', page):
        assert not re.search(r"nan|inf|e-?\d", value), (name, value)


def _no_json(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON.")
