"""The percentiles that are counted (`latency`, `weekly_summary`, `drift_inputs`) are those of the rows."""

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.questions.queries import saved_query
from tests.athena import Athena
from tests.builders_table import a_row, write_rows

MONDAY = datetime.fromisoformat("2026-11-16T10:00")
STEPS = ("total", "serialize", "classify")


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def answer(folder: Path, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    write_rows(folder, rows)
    sql = saved_query(name, from_dt=date(2026, 11, 9), to_dt=date(2026, 11, 22))
    frame = Athena(folder).query(sql).frame
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


tenths = st.integers(0, 50).map(lambda tenths: tenths / 10)
timed = st.tuples(st.integers(0, 3), st.integers(0, 40), tenths, tenths)


@given(st.lists(timed, min_size=1, max_size=40))
@settings(max_examples=12)
def test_a_latency_is_one_that_an_image_had(tmp_path_factory: pytest.TempPathFactory, images: Any) -> None:
    rows = []
    seen: dict[str | None, list[dict[str, float]]] = defaultdict(list)
    for number, (day, total_ms, serialize_ms, classify_ms) in enumerate(images):
        at = MONDAY + timedelta(days=day)
        took = {"serialize_ms": serialize_ms, "classify_ms": classify_ms}
        decided_at = at + timedelta(milliseconds=total_ms)
        rows.append(a_row(number, uploaded_at=at, decided_at=decided_at, **took))
        for period in (None, str(at.date())):
            seen[period].append({"total": total_ms, "serialize": serialize_ms, "classify": classify_ms})
    found = {row["dt"] or None: row for row in answer(tmp_path_factory.mktemp("rows"), "latency", rows)}
    assert found.keys() == seen.keys()
    for period, times in seen.items():
        row = found[period]
        assert row["images"] == len(times)
        for step in STEPS:
            values = [each[step] for each in times]
            for share in (50, 95, 99):
                assert row[f"{step}_p{share}_ms"] == percentile(values, share / 100)
        assert row["serialize_mean_ms"] == pytest.approx(sum(t["serialize"] for t in times) / len(times))
        assert row["classify_mean_ms"] == pytest.approx(sum(t["classify"] for t in times) / len(times))


def test_what_was_imported_has_no_latency(tmp_path: Path) -> None:
    imported = a_row(1, uploaded_at=MONDAY, decided_at=MONDAY, serialize_ms=None, classify_ms=None)
    assert answer(tmp_path / "alone", "latency", [imported]) == []
    both = answer(tmp_path / "both", "latency", [imported, a_row(2, uploaded_at=MONDAY)])
    assert [(row["images"], row["total_p50_ms"]) for row in both] == [(1, 850.0)] * 2
    summary = answer(tmp_path / "summary", "weekly_summary", [imported, a_row(2, uploaded_at=MONDAY)])
    assert [(row["images"], row["total_p50_ms"]) for row in summary] == [(2, 850.0)] * 2


outcomes = st.sampled_from(["accepted", "needs_review", "rejected", "failed"])
summed = st.tuples(st.integers(0, 1), outcomes, st.integers(0, 40), st.integers(0, 100), st.booleans())


@given(st.lists(summed, min_size=1, max_size=40))
@settings(max_examples=12)
def test_a_week_s_summary_is_that_of_its_rows(tmp_path_factory: pytest.TempPathFactory, images: Any) -> None:
    rows = []
    weeks: dict[int, list[tuple[str, int, float, bool]]] = defaultdict(list)
    for number, (week, outcome, total_ms, percent, timed) in enumerate(images):
        at = MONDAY - timedelta(weeks=week)
        sure = percent / 100 if outcome in ("accepted", "needs_review") else None
        facts = {"outcome": outcome, "confidence": sure, "classify_ms": 5.0 if timed else None}
        decided_at = at + timedelta(milliseconds=total_ms)
        rows.append(a_row(number, uploaded_at=at, decided_at=decided_at, **facts))
        weeks[week].append((outcome, total_ms, percent / 100, timed))
    found = answer(tmp_path_factory.mktemp("rows"), "weekly_summary", rows)
    groups = {
        (week, outcome): [each for each in of if outcome in (None, each[0])]
        for week, of in weeks.items()
        for outcome in {None, *(each[0] for each in of)}
    }
    assert len(found) == len(groups)
    for row in found:
        outcome = row["outcome"] if isinstance(row["outcome"], str) else None
        week = (MONDAY.date() - pd.Timestamp(row["week"]).date()).days // 7
        of = groups[week, outcome]
        assert row["images"] == row["uploaded"] == len(of)
        decided = [each for each in of if each[0] in ("accepted", "needs_review")]
        sure = [each[2] for each in decided]
        expected = sum(sure) / len(sure) if sure else math.nan
        assert row["mean_confidence"] == pytest.approx(expected, nan_ok=True)
        waited = [each[1] for each in decided if each[3]]
        for share in (50, 95):
            p = percentile(waited, share / 100) if waited else math.nan
            assert row[f"total_p{share}_ms"] == pytest.approx(p, nan_ok=True)


values = st.tuples(st.floats(0, 255), st.floats(0, 1e4), st.integers(1, 10**7), st.integers(0, 1))


@given(st.lists(values, min_size=1, max_size=40))
@settings(max_examples=12)
def test_an_input_s_percentile_is_one_that_an_image_had_nearly(
    tmp_path_factory: pytest.TempPathFactory, images: Any
) -> None:
    rows = []
    weeks: dict[int, list[dict[str, float]]] = defaultdict(list)
    for number, (brightness, sharpness, size_bytes, week) in enumerate(images):
        facts = {"brightness": brightness, "sharpness": sharpness, "size_bytes": size_bytes}
        rows.append(a_row(number, uploaded_at=MONDAY - timedelta(weeks=week), **facts))
        weeks[week].append(facts)
    found = answer(tmp_path_factory.mktemp("rows"), "drift_inputs", rows)
    assert [row["images"] for row in found] == [len(weeks[week]) for week in sorted(weeks, reverse=True)]
    for row, week in zip(found, sorted(weeks, reverse=True), strict=True):
        for name, step in (("brightness", 0.051), ("sharpness", 0.051), ("size_bytes", 16)):
            for share in (5, 50, 95):
                exact = percentile([facts[name] for facts in weeks[week]], share / 100)
                assert row[f"{name}_p{share:02}"] == pytest.approx(exact, abs=step)


def test_an_image_that_was_not_measured_is_left_out_of_its_input(tmp_path: Path) -> None:
    unmeasured = a_row(1, uploaded_at=MONDAY, brightness=None, sharpness=None)
    (row,) = answer(tmp_path, "drift_inputs", [unmeasured, a_row(2, uploaded_at=MONDAY, brightness=50.0)])
    assert (row["images"], row["brightness_p05"], row["brightness_p95"]) == (2, 50.0, 50.0)


labelled = st.tuples(st.integers(0, 1), st.sampled_from(["bicycle", "motorcycle"]), st.floats(0, 1))


@given(st.lists(labelled, min_size=1, max_size=40))
@settings(max_examples=12)
def test_a_confidence_is_one_that_an_image_had_nearly(
    tmp_path_factory: pytest.TempPathFactory, images: Any
) -> None:
    rows = []
    seen: dict[tuple[int, str], list[float]] = defaultdict(list)
    for number, (week, label, confidence) in enumerate(images):
        at = MONDAY + timedelta(weeks=week - 1)
        rows.append(a_row(number, uploaded_at=at, label=label, confidence=confidence))
        seen[week, label].append(confidence)
    found = answer(tmp_path_factory.mktemp("rows"), "confidence_percentiles", rows)
    for row, (_, of) in zip(found, sorted(seen.items()), strict=True):
        assert row["images"] == len(of)
        for percent in (5, 25, 50, 75, 95):
            assert row[f"p{percent:02}"] == pytest.approx(percentile(of, percent / 100), abs=0.000051)


def test_an_image_whose_step_was_not_timed_is_left_out_of_that_step(tmp_path: Path) -> None:
    untimed = [a_row(number, uploaded_at=MONDAY, serialize_ms=None) for number in range(9)]
    rows = answer(tmp_path, "latency", [*untimed, a_row(9, uploaded_at=MONDAY, serialize_ms=7.0)])
    assert [(row["images"], row["serialize_p95_ms"], row["serialize_mean_ms"]) for row in rows] == [
        (10, 7.0, 7.0)
    ] * 2
