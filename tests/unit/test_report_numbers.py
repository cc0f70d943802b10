"""Every number of report.json, counted once more from the Parquet files: by pandas, numpy and scipy alone."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats

from analytics.lake.schema import partition
from analytics.report.build import build_report
from analytics.report.cost import Load, Serverless, weekly_cost
from analytics.report.isoweek import IsoWeek
from analytics.report.prices import read_prices
from tests.athena import Athena
from tests.builders_table import Week, a_failed_row, a_label, a_row, rows_of, write_labels, write_rows
from workflow.outcome import Outcome

MONDAY = date(2026, 12, 28)
"""Of 2026-W53, which ends in another year."""
THRESHOLDS = {"bicycle": 0.85, "poppy": 0.7}
UPLOADED = 500
CLASSIFIED = ("accepted", "needs_review")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six weeks with everything odd in them that happens."""
    folder = tmp_path_factory.mktemp("results")
    usual: dict[str, Any] = {"images_a_day": 50, "rejected": 0.03, "failed": 0.01}
    rows: list[dict[str, Any]] = []
    for weeks in range(5, 0, -1):
        rows += rows_of(Week(MONDAY - timedelta(weeks=weeks), **usual), first_number=len(rows))
    # Tulips are gone, roses are new, it is darker, more is rejected, and nothing comes on Wednesday.
    labels = {"bicycle": 0.5, "motorcycle": 0.2, "poppy": 0.1, "willow_tree": 0.17, "rose": 0.03}
    last = Week(MONDAY, **{**usual, "rejected": 0.06}, labels=labels, brightness=100)
    rows += [row for row in rows_of(last, first_number=len(rows)) if row["uploaded_at"].weekday() != 2]
    for number, row in enumerate(rows):
        if row["outcome"] in CLASSIFIED:  # days scatter by more than chance
            surer = 0.85 if row["uploaded_at"].weekday() in (1, 4) else 1.0
            _decide(row, row["confidence"] * surer, THRESHOLDS.get(row["label"], 0.8))
        if number % 37 == 0:
            row["size_bytes"] = None
        if number % 41 == 0:
            row["brightness"] = row["sharpness"] = None
        if number % 97 == 0:  # an hour late, a minute less or a minute more
            row["decided_at"] = row["uploaded_at"] + timedelta(minutes=59 + number % 3)
    seen = [row for row in rows if row["outcome"] in CLASSIFIED]
    more = [*rows[::50], *_decided_anew(seen[::30]), *_failed_before_or_after(seen[5::60]), *_imported()]
    write_rows(folder, rows)
    write_rows(folder, more, file="part-1")
    write_rows(folder, more[::3], file="part-2")
    _label(folder, [*seen[::5], next(row for row in reversed(rows) if row["outcome"] == "rejected")])
    return folder


@pytest.fixture(scope="module")
def stored(folder: Path) -> pd.DataFrame:
    return _read(folder, "predictions")


@pytest.fixture(scope="module")
def labels(folder: Path) -> pd.DataFrame:
    return _read(folder, "labels")


def _decide(row: dict[str, Any], confidence: float, threshold: float) -> None:
    outcome = "accepted" if confidence >= threshold else "needs_review"
    row.update(confidence=confidence, threshold=threshold, outcome=outcome)


def _decided_anew(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        again = {**row, "model_version": "resnet9-new", "decided_at": row["decided_at"] + timedelta(days=3)}
        _decide(again, round(0.4 + number % 60 / 100, 2), row["threshold"])
        yield {**again, "result_id": row["result_id"][::-1]}


def _failed_before_or_after(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows):
        later = timedelta(hours=2) if number % 2 else -timedelta(milliseconds=100)
        same = {name: row[name] for name in ("upload_id", "key", "uploaded_at")}
        yield a_failed_row(0, **same, decided_at=row["decided_at"] + later)


def _imported() -> Iterator[dict[str, Any]]:
    """Half of them from an endpoint that nobody knows the name of, a third of them with an image."""
    for number in range(120):
        row = a_row(
            10_000_000 + number,
            uploaded_at=datetime(2026, 12, 21) + timedelta(hours=2.7 * number),  # noqa: DTZ001
            decided_at=datetime(2027, 1, 3, 20),  # noqa: DTZ001
            **dict.fromkeys(("version_id", "serialize_ms", "classify_ms", "image_format")),
            **({} if number % 3 else {"brightness": 90.0, "sharpness": 0.4}),
            **dict.fromkeys(("model_version", "endpoint"), "old" if number % 2 else None),
            bucket="data-capture",
            key=f"endpoint-{number}/part-{number}.jsonl" if number % 4 else f"part-{number}.jsonl",
            label="motorcycle",
            size_bytes=500 * number,
        )
        _decide(row, round(0.3 + 37 * number % 70 / 100, 2), 0.8)
        yield row


def _label(folder: Path, rows: list[dict[str, Any]]) -> None:
    labels: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows):
        said = None if number % 19 == 0 else row["label"] if number % 11 else "tulip"
        labels.setdefault(partition(row), []).append(a_label(row, said or None))
        if number % 13 == 0:
            later = row["decided_at"] + timedelta(days=2)
            labels[partition(row)].append(a_label(row, "poppy", labelled_at=later))
    for dt, of_day in labels.items():
        write_labels(folder, dt, of_day)


@pytest.mark.parametrize(("week", "compare"), [(0, 1), (1, 4), (0, None)])
def test_every_number_of_the_report_is_what_pandas_counts(folder, stored, labels, week, compare):
    monday, before = (None if back is None else MONDAY - timedelta(weeks=back) for back in (week, compare))
    assert monday
    report = build_report(
        Athena(folder),
        IsoWeek.of(monday),
        IsoWeek.of(before) if before else None,
        uploaded=UPLOADED,
        now=datetime(2027, 1, 4, 6, tzinfo=UTC),
        endpoint=Serverless(2048),
    )
    found = json.loads(report.to_json())
    assert found.pop("verdict")["ok"] is report.verdict.ok
    scanned = [statement["scanned_bytes"] for statement in found.pop("statements")]
    assert found.pop("unanswered") == {}
    # These have tests of their own, with an oracle or a simulation.
    for name in ("certificate", "agreement", "true_shares", "challenger"):
        found.pop(name)
    for name in ("ranking", "calibration_error_by_chance", "calibration_error_debiased"):
        found["measured"].pop(name)
    for models in ("models", "baseline_models"):  # among equals, NULLs have no place of their own
        found[models].sort(key=str)
    expected = numbers(stored, labels, monday, before, scanned)
    assert list(differences(found, expected)) == []
    assert tiles_on(report.to_html()) == tiles(expected)


def tiles_on(page: str) -> list[tuple[str, ...]]:
    """What the tiles say: a name, a value and how it has changed."""
    found = re.findall(r'<li class="tile">(.*?)</li>', page, re.DOTALL)
    return [
        tuple(text.replace("\u00a0", " ") for text in re.findall(r"<span[^>]*>([^<]*)</span>", tile))
        for tile in found
    ]


def tiles(expected: dict[str, Any]) -> list[tuple[str, ...]]:
    now, then, cost, measured = (expected[name] for name in ("summary", "baseline", "cost", "measured"))

    def share(week: dict[str, Any], of: str) -> float:
        return float(week["tally"][of] / week["tally"]["images"])

    def points(name: str, here: float, before: float | None) -> tuple[str, ...]:
        change = 0 if before is None else round(100 * (here - before), 1)
        said = f"{'▲' if change > 0 else '▼'} {abs(change):.1f} points" if change else "unchanged"
        return name, f"{100 * here:.1f} %", "" if before is None else said

    def relative(of: float, before: float | None) -> str:
        change = 0 if before is None else of / before - 1
        return "" if before is None else f"{'▲' if change > 0 else '▼'} {abs(change):.1%}".replace("%", " %")

    names = {outcome.value: outcome.heading for outcome in Outcome}
    precision = points(
        "Precision, the model's own estimate",
        now["expected_precision"],
        then["expected_precision"] if then else None,
    )
    if measured:
        low, value, high = (
            f"{100 * share:.1f} %"
            for share in (measured["interval"][0], measured["precision"], measured["interval"][1])
        )
        promised = f"the model expected {100 * measured['expected_precision']:.1f} %"
        precision = ("Measured precision", value, f"{low} – {high}; {promised}")
    images, took_ms = now["tally"]["images"], now["total_p95_ms"]
    return [
        ("Images", f"{images}", relative(images, then["tally"]["images"] if then else None)),
        *(points(name, share(now, of), share(then, of) if then else None) for of, name in names.items()),
        precision,
        (
            "Decided within (95 % of images)",
            f"{took_ms:.0f} ms" if took_ms < 1_000 else f"{took_ms / 1_000:.1f} s",
            relative(took_ms, then["total_p95_ms"] if then else None),
        ),
        ("Cost on AWS", f"${cost['usd']:.2f}", "serverless, 2 GB"),
    ]


def differences(found: Any, expected: Any, where: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        for name, value in found.items():
            yield from differences(value, expected[name], f"{where}.{name}")
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for place, (a, b) in enumerate(zip(found, expected, strict=True)):
            yield from differences(a, b, f"{where}[{place}]")
    elif isinstance(found, float) and isinstance(expected, float):
        if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9):
            yield f"{where}: {found!r} in the report, {expected!r} by pandas"
    elif found != expected:
        yield f"{where}: {found!r} in the report, {expected!r} by pandas"


def numbers(
    stored: pd.DataFrame, labels: pd.DataFrame, monday: date, before: date | None, scanned: list[int]
) -> dict[str, Any]:
    # What the model said counts before a rejection, that before a failure; the latest of equals.
    worst_last = stored.outcome.map({"rejected": 1, "failed": 2}).fillna(0)
    ordered = stored.assign(place=worst_last).sort_values(
        ["place", "decided_at"], ascending=[True, False], kind="stable"
    )
    since = ordered.groupby(["upload_id", "place"]).decided_at.transform("min")
    once = ordered.assign(since=since).drop_duplicates("upload_id")
    week, compared = once[once.monday == monday], once[once.monday == before]
    seen, seen_before = _classified(week), _classified(compared)
    mondays = [monday - timedelta(weeks=back) for back in range(4, -1, -1)]
    classes = _classes(seen, seen_before)
    by_name = sorted(classes, key=lambda entry: entry["label"])
    then, now = ([entry[of] for entry in by_name] for of in ("baseline_images", "images"))
    low = np.arange(100) / 100
    steps_then, steps_now = (
        [
            int(((s.confidence >= a) & (s.confidence < b)).sum())
            for a, b in zip(low, [*low[1:], 2], strict=True)
        ]
        for s in (seen_before, seen)
    )
    return {
        "week": _iso(monday),
        "compare": before and _iso(before),
        "summary": _summary(monday, week),
        "baseline": _summary(before, compared) if before and len(compared) else None,
        "history": [_summary(each, once[once.monday == each]) for each in mondays],
        "days": _days(once, mondays),
        "hours": [
            [int(((week.day == day) & (week.uploaded_at.dt.hour == hour)).sum()) for hour in range(24)]
            for day in _seven(monday)
        ],
        "classes": classes,
        "class_shift": _shift(then, now, _chi_squared(then, now)),
        "departures": _departures(once[once.monday.isin([*_quarter(once, monday), monday])], mondays),
        "memory": {"reference": [], "weeks": [], "pairs": []},  # the table begins four weeks before
        "volume": _volume(once, mondays),
        "threshold_changes": _threshold_changes(seen, seen_before),
        "changes": _changes(_classified(once[once.monday <= monday])),
        "folders": _folders(week, compared, once[once.monday.isin([*_quarter(once, monday), before])]),
        "confidence": _halved(steps_now, steps_then),
        "confidence_shift": _shift(*_merged(steps_then, steps_now), _smirnov(steps_then, steps_now)),
        "cells": _cells(seen, monday),
        "cell_minutes": 1,
        "what_if": [_what_if(seen, percent / 100) for percent in range(50, 100)],
        "measured": _measured(seen, labels),
        "inputs": _inputs(seen, seen_before),
        "rejects": _reasons(week, compared, "rejected"),
        "failures": _reasons(week, compared, "failed"),
        "latency": _latency(seen, None),
        "latency_by_day": [
            of_day
            for day in _seven(monday)
            if (of_day := _latency(seen[seen.day == day], str(day))) is not None
        ],
        "baseline_latency": _latency(seen_before, None),
        "completeness": {
            "recorded": len(week),
            "uploaded": UPLOADED,
            "just_uploaded": 0,
            "missing": UPLOADED - int((week.bucket != "data-capture").sum()),
            "imported": int((week.bucket == "data-capture").sum()),
            "late": int(((_took_ms(week) > 3_600_000) & (week.bucket != "data-capture")).sum()),
            "last_decided_at": week.decided_at.max().isoformat(),
            "rows_stored": int((stored.monday == monday).sum()),
            "duplicates_removed": int((stored.monday == monday).sum()) - len(week),
        },
        "models": _models(seen),
        "baseline_models": _models(seen_before),
        "least_certain": [
            {
                "version_id": None if pd.isna(row.version_id) else row.version_id,
                "uploaded_at": row.uploaded_at.isoformat(),
                **{
                    name: getattr(row, name) for name in ("bucket", "key", "label", "confidence", "threshold")
                },
                "unfamiliarity": None,
            }
            for row in seen.sort_values(["confidence", "upload_id"]).head(24).itertuples()
        ],
        "unlike": None,
        "cost": _cost(week[week.bucket != "data-capture"], seen, scanned),
    }


def _read(folder: Path, table: str) -> pd.DataFrame:
    parts = []
    for path in sorted((folder / table).glob("dt=*/*.parquet")):
        day = date.fromisoformat(path.parent.name.removeprefix("dt="))
        frame = pq.ParquetFile(path).read().to_pandas()
        parts.append(frame.assign(day=day, monday=day - timedelta(days=day.weekday())))
    return pd.concat(parts, ignore_index=True)


def _classified(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame.outcome.isin(CLASSIFIED)]


def _iso(monday: date) -> str:
    return f"{monday:%G-W%V}"


def _seven(monday: date) -> list[date]:
    return [monday + timedelta(days=day) for day in range(7)]


def _mean(values: pd.Series) -> float | None:
    return float(values.mean()) if len(values.dropna()) else None


def _rank(values: pd.Series, percent: float) -> float | None:
    """The value that so many of a hundred do not exceed."""
    known = values.dropna().astype(float)
    return float(np.percentile(known, percent, method="inverted_cdf")) if len(known) else None


def _took_ms(frame: pd.DataFrame) -> pd.Series:
    """To the first decision that was as good as the one that counts."""
    return (frame.since - frame.uploaded_at) / pd.Timedelta(milliseconds=1)


def _tally(frame: pd.DataFrame) -> dict[str, int]:
    return {"images": len(frame), **{each.value: int((frame.outcome == each).sum()) for each in Outcome}}


def _summary(monday: date, frame: pd.DataFrame) -> dict[str, Any]:
    seen = _classified(frame)
    took = _took_ms(seen[seen.classify_ms.notna()])
    return {
        "week": _iso(monday),
        "tally": _tally(frame),
        "to_review": int(((frame.outcome == "needs_review") & (frame.bucket != "data-capture")).sum()),
        "expected_precision": _mean(frame[frame.outcome == "accepted"].confidence),
        "mean_confidence": _mean(seen.confidence),
        "total_p50_ms": _rank(took, 50),
        "total_p95_ms": _rank(took, 95),
    }


def _days(once: pd.DataFrame, mondays: list[date]) -> list[dict[str, Any]]:
    days = [day for monday in mondays for day in _seven(monday)]
    seen = _classified(once)
    below = [int((seen[seen.day == day].outcome == "needs_review").sum()) for day in days]
    of = [int((seen.day == day).sum()) for day in days]
    history = [(k, n) for k, n in zip(below[:28], of[:28], strict=True) if n]
    return [
        {
            "dt": str(day),
            "tally": _tally(once[once.day == day]),
            "below_share": k / n if n else None,
            "usual": _band(history, n) if day >= mondays[-1] else None,
            "in_week": day >= mondays[-1],
        }
        for day, k, n in zip(days, below, of, strict=True)
    ]


def _band(history: list[tuple[int, int]], n: int) -> list[float] | None:
    if len(history) < 5 or not n:
        return None
    below, of = np.array(history, float).T
    p = (below.sum() + 0.5) / (of.sum() + 1)
    sigma = math.sqrt(p * (1 - p))
    z = (below / of - p) / (sigma / np.sqrt(of))
    half = 3 * max(1, np.abs(np.diff(z)).mean() / 1.128) * sigma * math.sqrt(1 / n + 1 / of.sum()) + 1 / n
    return [max(p - half, 0.0), min(p + half, 1.0)]


def _classes(seen: pd.DataFrame, before: pd.DataFrame) -> list[dict[str, Any]]:
    def of(label: str, frame: pd.DataFrame) -> tuple[int, float | None, list[float]]:
        images = int((frame.label == label).sum())
        return images, images / len(frame) if len(frame) else None, _wilson(images, len(frame))

    found = []
    for label in {*seen.label, *before.label}:
        (images, share, interval), (images_then, share_then, interval_then) = (
            of(label, seen),
            of(label, before),
        )
        found.append(
            {
                "label": label,
                "images": images,
                "share": share,
                "interval": interval,
                "baseline_images": images_then,
                "baseline_share": share_then,
                "baseline_interval": interval_then,
                "mean_confidence": _mean(seen[seen.label == label].confidence),
            }
        )
    return sorted(found, key=lambda entry: (-entry["images"], -entry["baseline_images"], entry["label"]))


def _folders(week: pd.DataFrame, before: pd.DataFrame, earlier: pd.DataFrame) -> list[dict[str, Any]]:
    """The fifty with most images of each week by name, the rest as one; None: what cannot be known.

    The evidence is of all weeks before.
    """

    def named(frame: pd.DataFrame) -> tuple[dict[str | None, pd.DataFrame], bool]:
        folder = frame.key.map(lambda key: key.split("/")[0] if "/" in key else "")
        by_size = sorted(frame.groupby(folder), key=lambda of: (-len(of[1]), of[0]))
        rest = [of for _, of in by_size[50:]]
        return {**dict(by_size[:50]), **({None: pd.concat(rest)} if rest else {})}, bool(rest)

    def accepted(of: pd.DataFrame | None) -> tuple[int, int]:
        return (
            (0, 0)
            if of is None
            else (int((of.outcome == "accepted").sum()), int((of.outcome != "failed").sum()))
        )

    (now, more_now), (then, more_then) = named(week), named(before)
    usual = dict(list(earlier.groupby(earlier.key.map(lambda key: key.split("/")[0] if "/" in key else ""))))
    more = now[None].key.map(lambda key: key.split("/")[0]).nunique() if more_now else 0
    names = {*now, *({} if more_now else then)} - (set() if more_now else {None})
    both = {name: (now.get(name), then.get(name)) for name in names}
    known = {name for name in names - {None} if name in then or not more_then}
    tables = {
        name: [[k_usual, n_usual - k_usual], [k, n - k]]
        for name, (a, b) in both.items()
        for (k, n), (_, n_then), (k_usual, n_usual) in [(accepted(a), accepted(b), accepted(usual.get(name)))]
        if name in known and n and n_then
    }
    squares = {
        name: scipy.stats.chi2_contingency(table, correction=False).statistic
        if all(map(sum, zip(*table, strict=True)))
        else 0.0
        for name, table in tables.items()
    }

    def p_value(name: str | None) -> float:
        if name not in tables:
            return 1.0
        alike = {of: 1 / (1 / sum(was) + 1 / sum(is_)) for of, (was, is_) in tables.items()}
        beyond_chance = [
            (squares[of] / scipy.stats.chi2.median(1) - 1) / alike[of]
            for of, table in tables.items()
            if of != name and min(map(sum, table)) >= 20
        ]
        scatter = 1 + alike[name] * max(0.0, float(np.median(beyond_chance))) if beyond_chance else 1.0
        among_others = float(scipy.stats.chi2.sf(squares[name] / scatter, 1))
        return min((len(tables) + more) * max(_chi_squared(*tables[name])[2], among_others), 1.0)

    found = []
    for name, (a, b) in both.items():
        (k, n), (k_then, n_then) = accepted(a), accepted(b)
        found.append(
            {
                "folder": name,
                "tally": _tally(week.head(0) if a is None else a),
                "accepted_share": k / n if n else None,
                "interval": _wilson(k, n),
                "mean_confidence": None if a is None else _mean(_classified(a).confidence),
                "baseline": _tally(before.head(0) if b is None else b) if name in known else None,
                "baseline_accepted_share": k_then / n_then if n_then and name in known else None,
                "p_value": p_value(name),
                "reference_accepted_share": None,
                "weeks_fallen": 0,
            }
        )

    def worst_first(of: dict[str, Any]) -> tuple[Any, ...]:
        share, then_share, images = of["accepted_share"], of["baseline_accepted_share"], of["tally"]["images"]
        fell = None not in (share, then_share) and then_share - share >= 0.1 and of["p_value"] < 0.001
        return of["folder"] is None, not images, not fell, of["interval"][1], -images, of["folder"] or ""

    return sorted(found, key=worst_first)


def _wilson(successes: int, trials: int) -> list[float]:
    if not trials:
        return [0.0, 1.0]
    found = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return [found.low, found.high]


def _quarter(once: pd.DataFrame, monday: date) -> list[date]:
    """The weeks before, since what decides a twentieth of the week's images does; four of them at least."""
    seen = _classified(once[once.monday <= monday])
    seen = seen.assign(policy=seen.model_version.fillna("") + " " + seen.threshold.astype(str))
    shares = seen[seen.monday == monday].policy.value_counts(normalize=True)
    first = seen.groupby("policy").decided_at.min()[shares[shares >= 0.05].index].dt.date
    weeks = sorted(week for week in set(once.monday) if week < monday)
    changed = [day for day in first if day >= weeks[0] + timedelta(weeks=1)]
    return [
        week for week in weeks if week >= monday - timedelta(weeks=4) or all(day < week for day in changed)
    ]


def _departures(once: pd.DataFrame, mondays: list[date]) -> dict[str, Any]:
    """Each measure by day, this week against the four before it; the evidence is of all weeks before."""
    seen = _classified(once)
    low = np.arange(100) / 100
    bins = {
        "confidence": np.searchsorted(low, seen.confidence, side="right") - 1,
        "brightness": np.floor(seen.brightness / 8),
        "sharpness": np.floor(2 * np.log2(seen.sharpness.clip(1))),
        "size_bytes": np.floor(2 * np.log2(seen.size_bytes.astype(float).clip(1))),
    }
    found = {}
    for name, values in (("label", seen.label), *bins.items()):
        days = pd.crosstab(seen.day[pd.notna(values)], values[pd.notna(values)])
        found[name] = _departure(days, mondays, ordered=name != "label")
    found["unlike"] = {  # no image has an unfamiliarity
        "shift": _shift([0, 0], [0, 0], _chi_squared([0, 0], [0, 0])),
        "by_chance_p": 1.0,
        "shares": [{"name": name, "share": None, "usual_share": None} for name in ("part", "rest")],
    }
    for name, outcome, of in (("below", "needs_review", seen), ("rejected", "rejected", once)):
        part = (of.outcome == outcome).groupby(of.day).sum()
        days = pd.DataFrame({"part": part, "rest": of.groupby("day").size() - part})
        found[name] = _departure(days, mondays, ordered=False)
    return found


def _departure(days: pd.DataFrame, mondays: list[date], *, ordered: bool) -> dict[str, Any]:
    every, now = days[days.index < mondays[-1]], days[days.index >= mondays[-1]]
    then = every[every.index >= mondays[0]]
    a, b = then.sum(), now.sum()
    by_chance = (_smirnov if ordered else _chi_squared)(a.tolist(), b.tolist())[2]
    shares = (
        []
        if ordered
        else [
            {"name": name, "share": b[name] / b.sum(), "usual_share": a[name] / a.sum()}
            for name in days.columns
        ]
    )
    if ordered:
        groups = _tenths(a.tolist())
        then, now, every = (each.T.groupby(groups).sum().T for each in (then, now, every))
        a, b = then.sum(), now.sum()
    test = _between_days(every, now)
    return {"shift": _shift(a.tolist(), b.tolist(), test), "by_chance_p": by_chance, "shares": shares}


def _between_days(then: pd.DataFrame, now: pd.DataFrame) -> tuple[str, float, float, int]:
    """Pearson's statistic over its expected value, both from the covariance matrix of days."""
    then, now = (each[each.sum(axis=1) > 0] for each in (then, now))
    both = pd.concat([then, now])
    root = np.sqrt(both.sum() / both.sum().sum()).to_numpy()
    usual_share, share = ((each.sum() / each.sum().sum()).to_numpy() for each in (then, now))
    gap = (share - usual_share) / root
    days = len(then)
    size = then.sum(axis=1).to_numpy(float)
    residual = (then.to_numpy() / size[:, None] - usual_share) / root
    week = np.array([day.isocalendar()[1] for day in both.index])
    of_week = np.array([size[week[:days] == each].sum() for each in week[:days]])
    weighted = residual * (size / of_week)[:, None]
    weeks = len(set(week[:days]))
    covariance = weighted.T @ weighted
    total, squares = float(np.trace(covariance)), float(np.trace(covariance @ covariance))
    squares = (squares - total**2 / days) * days**2 / ((days - 1) * (days + 2))
    columns = both.shape[1]
    directions = min(max(total**2 / squares, 1.0), columns - 1) if squares > 0 else columns - 1
    day = np.array([each.toordinal() for each in both.index])
    apart = np.abs(day[:, None] - day)
    dots = residual @ residual.T
    next_days = np.argwhere(np.triu(apart[:days, :days] == 1))
    memory = np.mean([dots[a, b] for a, b in next_days]) / np.diag(dots).mean()
    memory = min(max((days * memory + 1) / (days - 3), 0.0), 0.8)
    images = both.sum(axis=1).to_numpy(float)
    is_now = np.arange(len(both)) >= days
    weight = np.where(is_now, images / images[is_now].sum(), -images / images[~is_now].sum())
    alone = weight @ weight
    widened = max((weight @ (memory**apart) @ weight) / alone, 1.0)
    growth = weight @ (apart * memory ** np.maximum(apart - 1, 0)) @ weight / alone / widened
    slope = 2 * memory / (1 - memory**2) + growth * (widened > 1)
    freedom = min(max(days / (1 + slope**2 * (1 - memory**2) / 2), 1), days - 1)
    per_week = {each: images[week == each] for each in sorted(set(week))}
    sizes = {each: of_week.sum() for each, of_week in per_week.items()}
    few_days = {each: ((of_week / of_week.sum()) ** 2).sum() for each, of_week in per_week.items()}
    earlier = sorted(set(week[~is_now]))
    usual, usually_few = (np.mean([of[each] for each in earlier]) for of in (sizes, few_days))
    scale = 0.0
    for side in (sorted(set(week[is_now])), earlier):
        of_side = sum(sizes[each] for each in side)
        for each in side:
            wider = max(1, usual / sizes[each], few_days[each] / usually_few)
            scale += float((sizes[each] / of_side) ** 2 * wider)
    own = images[~is_now] / images[~is_now].sum()
    of_mean = own @ memory ** apart[:days, :days] @ own
    expected = total / weeks * scale * widened / (1 - of_mean)
    chance = (columns - 1) * (1 / images[is_now].sum() + 1 / images[~is_now].sum())
    if expected < chance:
        expected, directions, freedom = chance, columns - 1, days - 1
    statistic = float(gap @ gap / expected)
    return (
        "scatter of days",
        statistic,
        float(scipy.stats.f.sf(statistic, directions, freedom)),
        round(freedom),
    )


def _volume(once: pd.DataFrame, mondays: list[date]) -> dict[str, Any]:
    by_day = once.groupby("day").size()
    table = np.array([[by_day.get(day, 0) for day in _seven(monday)] for monday in mondays], float)
    before, now = table[:-1][np.cumsum(table[:-1].sum(axis=1)) > 0], table[-1]
    usual = before.mean(axis=0)
    variance = before.var(axis=0, ddof=1).sum()
    t = (now.sum() - usual.sum()) / math.sqrt(max(variance, usual.sum()) * (1 + 1 / len(before)))
    scatter = max((variance - usual.sum()) / (usual**2).sum(), 0)
    return {
        "images": int(now.sum()),
        "usual_images": usual.sum(),
        "p_value": 2 * scipy.stats.t.sf(abs(t), 7 * (len(before) - 1)),
        "silent": [
            {
                "dt": str(day),
                "usual_images": mean,
                "p_value": scipy.stats.nbinom.pmf(0, 1 / scatter, 1 / (1 + scatter * mean))
                if scatter
                else math.exp(-mean),
            }
            for day, mean, images in zip(_seven(mondays[-1]), usual, now, strict=True)
            if mean and not images
        ],
    }


def _threshold_changes(seen: pd.DataFrame, before: pd.DataFrame) -> list[dict[str, Any]]:
    """The builder's thresholds never change within a week, nor from week to week."""
    for label, of_label in seen.groupby("label"):
        then = before[before.label == label].threshold
        assert of_label.threshold.nunique() == 1
        assert then.empty or set(then) == set(of_label.threshold)
    return []


def _changes(seen: pd.DataFrame) -> list[dict[str, Any]]:
    """What decided a twentieth of the images at least, and began a day or more after the first that did."""
    found = []
    for column, name in (("model_version", "model"), ("endpoint", "endpoint"), ("threshold", "threshold")):
        first = seen.groupby(column).decided_at.min()[seen[column].value_counts() >= len(seen) / 20]
        later = first[first >= first.min() + timedelta(days=1)]
        found += [{"at": at.isoformat(), "what": f"{name} {value}"} for value, at in later.items()]
    return sorted(found, key=lambda change: (change["at"], change["what"]))


def _shift(then: list[int], now: list[int], test: tuple[str, float, float, int | None]) -> dict[str, Any]:
    psi = jensen_shannon = None
    if sum(then) and sum(now):
        p, q = (np.maximum(np.array(row) / sum(row), 1e-4) for row in (then, now))
        psi = float(((q - p) * np.log(q / p)).sum())
        jensen_shannon = float(scipy.spatial.distance.jensenshannon(then, now, base=2))
    return {
        "images": sum(now),
        "baseline_images": sum(then),
        "psi": psi,
        "jensen_shannon": jensen_shannon,
        **dict(zip(("test", "statistic", "p_value", "degrees_of_freedom"), test, strict=True)),
    }


def _chi_squared(then: list[int], now: list[int]) -> tuple[str, float, float, int | None]:
    columns = [(a, b) for a, b in zip(then, now, strict=True) if a + b]
    if len(columns) < 2 or not sum(then) or not sum(now):
        return "chi-squared", 0.0, 1.0, 0
    while len(columns) > 2 and scipy.stats.contingency.expected_freq(columns).min() < 5:
        (a, b), (c, d), *columns = sorted(columns, key=sum)
        columns = [(a + c, b + d), *columns]
    if scipy.stats.contingency.expected_freq(columns).min() < 5:
        (a, b), _ = columns
        gap = abs(a / sum(then) - b / sum(now))
        return "Fisher", gap, float(scipy.stats.fisher_exact(columns).pvalue), None
    found = scipy.stats.chi2_contingency(columns, correction=False)
    return "chi-squared", float(found.statistic), float(found.pvalue), found.dof


def _smirnov(then: list[int], now: list[int]) -> tuple[str, float, float, int | None]:
    n, m = sum(then), sum(now)
    if not n or not m:
        return "Kolmogorov-Smirnov", 0.0, 1.0, None
    gap = float(np.abs(np.cumsum(then) / n - np.cumsum(now) / m).max())
    root = math.sqrt(n * m / (n + m))
    p_value = float(scipy.special.kolmogorov((root + 0.12 + 0.11 / root) * gap))
    return "Kolmogorov-Smirnov", gap, p_value, None


def _merged(then: list[int], now: list[int]) -> tuple[list[int], list[int]]:
    groups = _tenths(then)
    if not len(groups):
        return [], []
    was, is_ = (np.bincount(groups, counts).astype(int).tolist() for counts in (then, now))
    return was, is_


def _tenths(then: list[int]) -> np.ndarray:
    """Return each bin's group: bins whose middles are in one tenth; a group has half a tenth at least."""
    upper, images = np.cumsum(then), sum(then)
    tenth = 10 * (2 * upper - then) // max(2 * images, 1)
    starts = [0]
    for place in np.flatnonzero(np.diff(tenth)) + 1:
        if 20 * sum(then[starts[-1] : place]) >= images:
            starts.append(int(place))
    if len(starts) > 1 and 20 * sum(then[starts[-1] :]) < images:
        starts.pop()
    return np.searchsorted(starts, np.arange(len(then)), side="right") - 1


def _halved(now: list[int], then: list[int]) -> list[dict[str, Any]]:
    pairs = [
        {
            "low": i / 100,
            "high": (i + 2) / 100,
            "images": sum(now[i : i + 2]),
            "baseline_images": sum(then[i : i + 2]),
        }
        for i in range(0, 100, 2)
    ]
    first = next(i for i, pair in enumerate(pairs) if pair["images"] + pair["baseline_images"] or i == 40)
    return pairs[first:]


def _cells(seen: pd.DataFrame, monday: date) -> list[dict[str, Any]]:
    cells = pd.DataFrame(
        {
            "minute": (seen.uploaded_at - pd.Timestamp(monday)) // pd.Timedelta(minutes=1),
            "height": np.floor(-200 * np.log(1.005 - seen.confidence)).astype(int),
            "outcome": seen.outcome,
        }
    )
    return [
        {
            "hours": (minute + 0.5) / 60,
            "height": (height + 0.5) / 200,
            "accepted": outcome == "accepted",
            "images": int(images),
        }
        for (minute, height, outcome), images in cells.value_counts(sort=False).sort_index().items()
    ]


def _what_if(seen: pd.DataFrame, threshold: float) -> dict[str, Any]:
    reached = seen[seen.confidence >= threshold]
    return {
        "threshold": threshold,
        "accepted": len(reached),
        "coverage": len(reached) / len(seen),
        "expected_precision": _mean(reached.confidence),
    }


def _measured(seen: pd.DataFrame, labels: pd.DataFrame) -> dict[str, Any] | None:
    latest = labels.sort_values("labelled_at").drop_duplicates("upload_id", keep="last")
    known = seen.merge(latest[["upload_id", "true_label"]], on="upload_id")
    known["right"] = known.label == known.true_label
    accepted = known[known.outcome == "accepted"]
    right = int(accepted.right.sum())
    by_bin = known.groupby(np.floor(known.confidence * 20 + 1e-9).clip(upper=19))
    bins = [[len(of), float(of.confidence.sum()), int(of.right.sum())] for _, of in by_bin]
    return {
        "images": len(known),
        "is_sample": False,
        "accepted": len(accepted),
        "correct": right,
        "precision": right / len(accepted),
        "interval": _wilson(right, len(accepted)),
        "effective_labels": float(len(accepted)),
        "expected_precision": _mean(accepted.confidence),
        "calibration_error": sum(n / len(known) * abs(total / n - ok / n) for n, total, ok in bins),
        "bins": bins,
        "classes": sorted(
            (_of_class(label, of) for label, of in known.groupby("label")),
            key=lambda entry: (-entry["wrong"], entry["label"]),
        ),
    }


def _of_class(label: str, known: pd.DataFrame) -> dict[str, Any]:
    accepted, unsure = (known[known.outcome == outcome].right for outcome in CLASSIFIED)
    mistakes = known[~known.right].true_label.value_counts(dropna=False)
    mistakes = mistakes.sort_index(na_position="last").sort_values(ascending=False, kind="stable")
    mostly = None if mistakes.empty or pd.isna(mistakes.index[0]) else mistakes.index[0]
    return {
        "label": label,
        "accepted": len(accepted),
        "accepted_correct": int(accepted.sum()),
        "interval": _wilson(int(accepted.sum()), len(accepted)),
        "precision": float(accepted.mean()) if len(accepted) else None,
        "effective_labels": float(len(accepted)),
        "needs_review": len(unsure),
        "needs_review_correct": int(unsure.sum()),
        "wrong": int(mistakes.sum()),
        "mostly_shows": mostly,
        "mostly_shows_images": int(mistakes.iloc[0]) if len(mistakes) else 0,
    }


def _inputs(seen: pd.DataFrame, before: pd.DataFrame) -> list[dict[str, Any]]:
    octaves = [0.0, *(2 ** (half / 2) for half in range(1, 70))]
    properties = (
        ("brightness", "Brightness", "of 255", [8.0 * step for step in range(33)], lambda v: v.round(1)),
        ("sharpness", "Sharpness", "variance of the Laplacian", octaves, lambda v: v.round(1)),
        ("size_bytes", "File size", "bytes", octaves, lambda v: v // 16 * 16),
    )
    found = []
    for column, name, unit, edges, rounded in properties:
        values, values_then = seen[column].dropna(), before[column].dropna()
        now, then = (np.histogram(v, edges)[0].tolist() for v in (values, values_then))
        used = np.flatnonzero(np.add(now, then))
        span = range(used[0], used[-1] + 1)
        now, then = [now[i] for i in span], [then[i] for i in span]
        bins = [
            {"low": edges[i], "high": edges[i + 1], "images": images, "baseline_images": images_then}
            for i, images, images_then in zip(span, now, then, strict=True)
        ]
        found.append(
            {
                "measure": column,
                "name": name,
                "unit": unit,
                "bins": bins,
                "shift": _shift(*_merged(then, now), _smirnov(then, now)),
                **{f"p{percent:02}": _rank(rounded(values), percent) for percent in (5, 50, 95)},
                "baseline_p50": _rank(rounded(values_then), 50),
            }
        )
    return found


def _reasons(week: pd.DataFrame, compared: pd.DataFrame, outcome: str) -> list[dict[str, Any]]:
    now, then = (frame[frame.outcome == outcome] for frame in (week, compared))
    found = []
    for reason, of_reason in now.groupby("reason"):
        latest = of_reason.sort_values("decided_at").iloc[-1]
        found.append(
            {
                "reason": reason,
                "images": len(of_reason),
                "baseline_images": int((then.reason == reason).sum()),
                "latest_key": latest.key,
                "latest_detail": latest.detail,
            }
        )
    return sorted(found, key=lambda entry: (-entry["images"], entry["reason"]))


def _latency(seen: pd.DataFrame, dt: str | None) -> dict[str, Any] | None:
    timed = seen[seen.classify_ms.notna()]
    times = {"total": _took_ms(timed), "serialize": timed.serialize_ms, "classify": timed.classify_ms}
    percentiles = {
        name: {f"p{percent}": _rank(values, percent) for percent in (50, 95, 99)}
        for name, values in times.items()
    }
    return {"dt": dt, "images": len(timed), **percentiles} if len(timed) else None


def _models(seen: pd.DataFrame) -> list[dict[str, Any]]:
    by_model = seen.groupby(["model_version", "endpoint", "threshold"], dropna=False)
    found = [
        {
            "model_version": None if pd.isna(version) else version,
            "endpoint": None if pd.isna(endpoint) else endpoint,
            "threshold": threshold,
            "images": len(rows),
            "first_decided_at": rows.decided_at.min().isoformat(),
            "last_decided_at": rows.decided_at.max().isoformat(),
        }
        for (version, endpoint, threshold), rows in by_model
    ]
    return sorted(found, key=str)


def _cost(images: pd.DataFrame, seen: pd.DataFrame, scanned: list[int]) -> dict[str, Any]:
    """Of as many images, as fast: what it comes to has tests of its own."""
    serialize_ms, classify_ms = (_mean(seen[of]) or 0 for of in ("serialize_ms", "classify_ms"))
    load = Load(len(images), serialize_ms=serialize_ms, classify_ms=classify_ms)
    cost = asdict(weekly_cost(load, scanned, Serverless(2048), read_prices()))
    return cost | {"prices_as_of": "2026-11-23"}
