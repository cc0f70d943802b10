"""How often the weekly report needs attention in quiet weeks, and how often it finds a planted change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import repeat

import numpy as np
import pandas as pd

from analytics.report.isoweek import IsoWeek
from analytics.report.prices import read_prices
from analytics.report.verdict import Finding, judge
from analytics.report.weekly import HISTORY_WEEKS, weekly_numbers
from tests.simulate.fleet import CLASSES, FLEETS, QUIET, REALISTIC, Change, Fleet, Stream
from tests.simulate.suite import Check

Images = tuple[date, pd.DataFrame]
CLASSIFIED = ("accepted", "needs_review")
_MEASURES = ("confidence", "brightness", "sharpness", "size_bytes")


@dataclass(frozen=True)
class Planted:
    """A change, and the words of the finding that names it."""

    change: Change
    words: str
    least: float
    """Share of weeks in which it must be found."""
    attention: bool = True


PLANTED = {
    "class +15 points": Planted(Change(class_points=0.15), "mix of classes", 0.95),
    "accepted -6 points": Planted(Change(confidence_logit=-0.37), "need review, usually", 0.7),
    "confidence, far lower": Planted(Change(confidence_logit=-1.5), "confidence has shifted", 0.95),
    "brightness -20": Planted(Change(brightness=-20), "Brightness", 0.65),
    "one of 10 folders blind": Planted(Change(blind_folder=True), "folder-00", 1.0),
    "rejected +3 points": Planted(Change(rejected_points=0.03), "were rejected", 0.9),
    "volume x 0.7": Planted(Change(volume=0.7), "of the usual", 0.9, attention=False),
    "volume x 0.5": Planted(Change(volume=0.5), "of the usual", 0.95),
    "volume x 0.2": Planted(Change(volume=0.2), "of the usual", 0.95),
    "no images on Wednesday": Planted(Change(missing_weekday=2), "No images on Wed", 1.0),
    "threshold .8 to .9 on Thursday": Planted(
        Change(threshold=0.9), "threshold changed on Thursday from 0.8 to 0.9", 1.0, attention=False
    ),
}


def suite(seed: int, runs: int) -> list[Check]:
    """Count false alarms in quiet weeks of each fleet, and the weeks in which a planted change is found."""
    weeks = max(runs // 50, 10)
    quiet = {name: _alarms(fleet, weeks, seed) for name, fleet in FLEETS.items()}
    return [
        *(
            Check(f"quiet weeks that need attention: {name}", share, most=0.05)
            for name, share in quiet.items()
        ),
        Check(
            "quiet weeks that need attention: mean of all fleets", sum(quiet.values()) / len(quiet), most=0.02
        ),
        *(
            Check(f"found in the realistic fleet: {name}", found(REALISTIC, each, weeks, seed), each.least)
            for name, each in PLANTED.items()
        ),
    ]


def _alarms(fleet: Fleet, weeks: int, seed: int) -> float:
    return sum(map(bool, quiet_weeks(fleet, weeks, seed))) / weeks


def quiet_weeks(fleet: Fleet, weeks: int, seed: int) -> Iterator[list[Finding]]:
    """Yield the findings that need attention of each of so many quiet weeks in a row."""
    stream = Stream(fleet, seed).weeks(repeat(QUIET, weeks + HISTORY_WEEKS))
    seen: list[Images] = []
    for images in stream:
        seen = [*seen[-HISTORY_WEEKS:], images]
        if len(seen) > HISTORY_WEEKS:
            yield [finding for finding in findings(seen) if finding.attention]


def found(fleet: Fleet, planted: Planted, runs: int, seed: int) -> float:
    """Return in what share of runs the change of the fifth week is named by a finding of its own."""
    changes = [*repeat(QUIET, HISTORY_WEEKS), planted.change]
    named = 0
    for run in range(runs):
        seen = list(Stream(fleet, seed + run).weeks(iter(changes)))
        named += any(
            planted.words in finding.what and finding.attention >= planted.attention
            for finding in findings(seen)
        )
    return named / runs


def findings(weeks: list[Images]) -> list[Finding]:
    """Return the verdict's findings about the last of some weeks."""
    monday = weeks[-1][0]
    week = IsoWeek.of(monday)
    numbers = weekly_numbers(
        week,
        week.back(),
        _frames(weeks),
        cell_minutes=60,
        cells_per_unit=20,
        uploaded=None,
        just_uploaded=0,
        last_day=week.sunday,
        statements=[],
        unanswered={},
        endpoint=None,
        prices=read_prices(),
    )
    return judge(numbers, week.sunday + timedelta(days=1)).findings


def _frames(weeks: list[Images]) -> dict[str, pd.DataFrame]:
    """Return what the report's queries would answer."""
    everything = pd.concat(
        [images.assign(week=monday, dt=_days(monday, images)) for monday, images in weeks], ignore_index=True
    )
    everything["folder"] = [f"folder-{folder:02}" for folder in everything["folder"]]
    classified = everything[everything["outcome"].isin(CLASSIFIED)]
    this, before = weeks[-1][0], weeks[-2][0]
    compared = everything[everything["week"] >= before]
    binned = classified.assign(
        label=np.array(CLASSES)[classified["label"]],
        confidence_bin=np.minimum((classified["confidence"] * 100).astype(int), 99),
        brightness_bin=(classified["brightness"] // 8).astype(int),
        sharpness_bin=(2 * np.log2(np.maximum(classified["sharpness"], 1))).astype(int),
        size_bytes_bin=(2 * np.log2(classified["size_bytes"])).astype(int),
    )
    of_weeks = binned[binned["week"] >= before]
    return {
        "weekly_summary": _summary(everything),
        "volume_by_day": _count(everything, "dt", "outcome"),
        "volume_by_hour": _empty("dt", "hour", "images"),
        "shares_by_day": pd.concat(_by_day(binned)),
        "class_balance_by_week": of_weeks.groupby(["week", "label"], as_index=False).agg(
            images=("dt", "size"), mean_confidence=("confidence", "mean")
        ),
        "outcomes_by_folder": compared.groupby(["week", "folder", "outcome"], as_index=False)
        .agg(images=("dt", "size"), confidence_sum=("confidence", "sum"))
        .assign(folders=1),
        "confidence_histogram": _count(of_weeks, "week", "confidence_bin").rename(
            columns={"confidence_bin": "bin"}
        ),
        "input_histograms": pd.concat(_histograms(of_weeks)),
        "thresholds_in_use": _thresholds(binned[binned["week"] == this]),
        "thresholds_in_use:baseline": _thresholds(binned[binned["week"] < this]),
        "rejects_by_reason": _reasons(everything, this, "rejected"),
        "rejects_by_reason:baseline": _reasons(everything, before, "rejected"),
        "failures_by_reason": _reasons(everything, this, "failed"),
        "failures_by_reason:baseline": _reasons(everything, before, "failed"),
        **dict.fromkeys(
            ("drift_inputs", "latency", "duplicates_removed", "unlike_by_folder"), _empty("week", "dt")
        ),
        **dict.fromkeys(
            (
                *("confidence_over_time", "coverage_at_thresholds", "measured_precision", "confusions"),
                *("completeness", "models_in_use", "models_in_use:baseline", "least_certain_images"),
                *("most_unfamiliar_images", "labelled_images", "label_agreement", "sampling_frame"),
            ),
            _empty(),
        ),
    }


def _days(monday: date, images: pd.DataFrame) -> list[str]:
    days = [(monday + timedelta(days=day)).isoformat() for day in range(7)]
    return [days[day] for day in images["day"]]


def _empty(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in columns})


def _count(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return frame.groupby(list(columns), as_index=False).agg(images=("day", "size"))


def _summary(everything: pd.DataFrame) -> pd.DataFrame:
    means = everything["confidence"].where(everything["outcome"].isin(CLASSIFIED))
    measured = everything.assign(mean=means)
    by_outcome = measured.groupby(["week", "outcome"], as_index=False)
    whole = measured.groupby("week", as_index=False)
    parts = [
        each.agg(images=("day", "size"), uploaded=("day", "size"), mean_confidence=("mean", "mean"))
        for each in (by_outcome, whole)
    ]
    return pd.concat([parts[0], parts[1].assign(outcome=None)]).assign(total_p50_ms=None, total_p95_ms=None)


def _by_day(binned: pd.DataFrame) -> Iterable[pd.DataFrame]:
    yield _count(binned, "dt", "label").assign(measure="label", bin=None)
    for measure in _MEASURES:
        counted = _count(binned, "dt", f"{measure}_bin").rename(columns={f"{measure}_bin": "bin"})
        yield counted.assign(measure=measure, label=None)


def _histograms(binned: pd.DataFrame) -> Iterable[pd.DataFrame]:
    for measure in _MEASURES[1:]:
        counted = _count(binned, "week", f"{measure}_bin").rename(columns={f"{measure}_bin": "bin"})
        yield counted.assign(input=measure)


def _thresholds(binned: pd.DataFrame) -> pd.DataFrame:
    times = pd.to_datetime(binned["dt"])
    return (
        binned.assign(decided_at=times)
        .groupby(["label", "threshold"], as_index=False)
        .agg(
            images=("day", "size"),
            first_decided_at=("decided_at", "min"),
            last_decided_at=("decided_at", "max"),
        )
    )


def _reasons(everything: pd.DataFrame, monday: date, outcome: str) -> pd.DataFrame:
    images = int(((everything["week"] == monday) & (everything["outcome"] == outcome)).sum())
    row = {"reason": "corrupt", "images": images, "latest_key": "a.png", "latest_detail": None}
    return pd.DataFrame([row] if images else [], columns=list(row))
