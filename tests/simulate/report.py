"""How often the weekly report needs attention in quiet weeks, and how often it finds a planted change."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import chain, repeat
from typing import Any

import numpy as np
import pandas as pd

from analytics.athena.engine import Record
from analytics.report.isoweek import IsoWeek
from analytics.report.prices import read_prices
from analytics.report.verdict import Finding, judge
from analytics.report.weekly import HISTORY_WEEKS, MEMORY_WEEKS, weekly_numbers
from tests.simulate.fleet import CLASSES, FLEETS, QUIET, REALISTIC, Change, Fleet, Stream
from tests.simulate.label_answers import label_answers
from tests.simulate.suite import Check

Answers = dict[str, list[Record]]
Week = tuple[IsoWeek, Answers]
CLASSIFIED = ("accepted", "needs_review")
OUTCOMES = (*CLASSIFIED, "rejected", "failed")
_OF_THE_WEEK = (
    *("thresholds_in_use", "models_in_use", "rejects_by_reason", "failures_by_reason"),
    *("measured_precision", "confusions", "labelled_images", "sampling_frame"),
)
_NOT_SIMULATED = (
    *("volume_by_hour", "drift_inputs", "latency", "duplicates_removed", "unlike_by_folder", "completeness"),
    *("confidence_over_time", "coverage_at_thresholds", "label_agreement"),
    *("least_certain_images", "most_unfamiliar_images"),
    *("challenger_agreement", "challenger_examples", "challenger_labels"),
)


@dataclass(frozen=True)
class Planted:
    """A change, and the words of the finding that names it."""

    changes: tuple[Change, ...]
    """Of the weeks that are judged, one after the other."""
    words: str
    least: float
    """Share of runs in which a week must be found."""
    attention: bool = True
    fleet: Fleet = REALISTIC


_DRIFT = range(1, 11)
_BLIND = Change(blind_folder=True)
PLANTED = {
    "class +15 points": Planted((Change(class_points=0.15),), "mix of classes", 0.95),
    "accepted -6 points": Planted((Change(confidence_logit=-0.37),), "need review, usually", 0.7),
    "confidence, far lower": Planted((Change(confidence_logit=-1.5),), "confidence has shifted", 0.95),
    "brightness -20": Planted((Change(brightness=-20),), "Brightness", 0.65),
    "one of 10 folders blind": Planted((_BLIND,), "folder-00", 1.0),
    "it stays blind: third week": Planted((_BLIND, _BLIND, _BLIND), "Third week in a row", 0.95),
    "one of 60 folders blind, 10,000 images": Planted(
        (_BLIND,), "folder-00", 0.9, fleet=replace(REALISTIC, images_a_week=10_000, folders=60)
    ),
    "class +2 points a week for ten weeks": Planted(
        tuple(Change(class_points=0.02 * week) for week in _DRIFT), "of the classified images are", 0.9
    ),
    "brightness -4 a week for ten weeks": Planted(
        tuple(Change(brightness=-4.0 * week) for week in _DRIFT),
        "rightness of the images is not",
        0.9,
        attention=False,
    ),
    "rejected +3 points": Planted((Change(rejected_points=0.03),), "were rejected", 0.9),
    "volume x 0.7": Planted((Change(volume=0.7),), "of the usual", 0.9, attention=False),
    "volume x 0.5": Planted((Change(volume=0.5),), "of the usual", 0.95),
    "volume x 0.2": Planted((Change(volume=0.2),), "of the usual", 0.95),
    "no images on Wednesday": Planted((Change(missing_weekday=2),), "No images on Wed", 1.0),
    "one class of five -25 points of precision, 1,000 labels": Planted(
        (Change(labels=1_000, class_precision_points=0.25),), "labelled images accepted as poppy", 0.9
    ),
    "threshold .8 to .9 on Thursday": Planted(
        (Change(threshold=0.9),), "threshold changed on Thursday from 0.8 to 0.9", 1.0, attention=False
    ),
}


def suite(seed: int, runs: int) -> list[Check]:
    """Count false alarms in quiet weeks of each fleet, and the runs in which a planted change is found."""
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
            Check(f"found: {name}", share, PLANTED[name].least)
            for fleet in dict.fromkeys(each.fleet for each in PLANTED.values())
            for name, share in found(
                fleet, {name: each for name, each in PLANTED.items() if each.fleet == fleet}, weeks, seed
            ).items()
        ),
    ]


def _alarms(fleet: Fleet, weeks: int, seed: int) -> float:
    return sum(map(bool, quiet_weeks(fleet, weeks, seed))) / weeks


def quiet_weeks(fleet: Fleet, weeks: int, seed: int) -> Iterator[list[Finding]]:
    """Yield the findings that need attention of each of so many quiet weeks in a row."""
    stream = Stream(fleet, seed)
    for findings in _judged(_answered(stream, repeat(QUIET, weeks + MEMORY_WEEKS)), MEMORY_WEEKS):
        yield [finding for finding in findings if finding.attention]


def found(fleet: Fleet, planted: Mapping[str, Planted], runs: int, seed: int) -> dict[str, float]:
    """Return in what share of runs a finding of its own names each change of a fleet."""
    named = dict.fromkeys(planted, 0)
    for run in range(runs):
        stream = Stream(fleet, seed + run)
        before = [*_answered(stream, repeat(QUIET, MEMORY_WEEKS))]
        for name, each in planted.items():
            after = _answered(deepcopy(stream), iter(each.changes))
            named[name] += any(
                each.words in finding.what and finding.attention >= each.attention
                for findings in _judged(chain(before, after), MEMORY_WEEKS)
                for finding in findings
            )
    return {name: count / runs for name, count in named.items()}


def _answered(stream: Stream, changes: Iterator[Change]) -> Iterator[Week]:
    for change in changes:
        for monday, images in stream.weeks(iter([change])):
            labels = label_answers(images, change.labels, change.class_precision_points, stream.seed)
            yield IsoWeek.of(monday), {**_of_week(monday, images), **labels}


def _judged(weeks: Iterable[Week], unseen: int) -> Iterator[list[Finding]]:
    """Yield the findings of each week after the first `unseen` ones."""
    seen: deque[Week] = deque(maxlen=MEMORY_WEEKS + 1)
    for number, week in enumerate(weeks):
        seen.append(week)
        if number >= unseen:
            yield _findings(seen)


def _findings(weeks: Sequence[Week]) -> list[Finding]:
    """Return the verdict's findings about the last of some weeks."""
    week, this = weeks[-1]
    answers: Answers = {name: [row for _, of_week in weeks for row in of_week[name]] for name in this}
    earlier = list(weeks)[-1 - HISTORY_WEEKS : -1]
    for name in _OF_THE_WEEK:
        answers[name] = this[name]
        answers[f"{name}:baseline"] = weeks[-2][1][name]
    answers["thresholds_in_use:baseline"] = _merged(earlier, "thresholds_in_use", ("label", "threshold"))
    answers["models_in_use:memory"] = _merged(weeks, "models_in_use", ("model_version", "threshold"))
    numbers = weekly_numbers(
        week,
        week.back(),
        {**{name: [] for name in _NOT_SIMULATED}, **answers},
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


def _merged(weeks: Iterable[Week], name: str, by: tuple[str, str]) -> list[Record]:
    """Return the rows of some weeks as the query answers them for all of these weeks together."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for _, of_week in weeks:
        for row in of_week[name]:
            merged = found.setdefault(tuple(row[column] for column in by), dict(row, images=0))
            merged["images"] += row["images"]
            merged["last_decided_at"] = row["last_decided_at"]
    return list(found.values())


def _of_week(monday: date, images: pd.DataFrame) -> Answers:
    """Return what the report's queries would answer about one week."""
    week: dict[str, Any] = {"week": monday}
    days = [monday + timedelta(days=day) for day in range(7)]
    all_outcomes = images["outcome"].to_numpy()
    is_classified = np.isin(all_outcomes, CLASSIFIED)
    day, folder, label, confidence, threshold = (
        images[name].to_numpy() for name in ("day", "folder", "label", "confidence", "threshold")
    )
    seen = {"day": day[is_classified], "label": label[is_classified], "at": threshold[is_classified]}
    bins = {
        "confidence": np.minimum((confidence * 100).astype(int), 99),
        "brightness": (images["brightness"].to_numpy() // 8).astype(int),
        "sharpness": (2 * np.log2(np.maximum(images["sharpness"].to_numpy(), 1))).astype(int),
        "size_bytes": (2 * np.log2(images["size_bytes"].to_numpy())).astype(int),
    }
    bins = {name: values[is_classified] for name, values in bins.items()}
    sure = confidence[is_classified]
    number = {name: place for place, name in enumerate(OUTCOMES)}
    outcome = np.array([number[each] for each in all_outcomes])
    by_outcome = [(OUTCOMES[each], count, float(mean)) for each, count, mean in _grouped(confidence, outcome)]
    return {
        "weekly_summary": [
            {
                **week,
                "outcome": name,
                "images": count,
                "uploaded": count,
                "mean_confidence": mean if name is None or name in CLASSIFIED else None,
                "total_p50_ms": None,
                "total_p95_ms": None,
            }
            for name, count, mean in (*by_outcome, (None, len(images), float(sure.mean())))
        ],
        "volume_by_day": [
            {"dt": days[of_day], "outcome": OUTCOMES[each], "images": count}
            for of_day, each, count in _counted(day, outcome)
        ],
        "shares_by_day": [
            *(
                {"dt": days[of_day], "measure": "label", "label": CLASSES[each], "bin": None, "images": count}
                for of_day, each, count in _counted(seen["day"], seen["label"])
            ),
            *(
                {"dt": days[of_day], "measure": name, "label": None, "bin": each, "images": count}
                for name, values in bins.items()
                for of_day, each, count in _counted(seen["day"], values)
            ),
        ],
        "class_balance_by_week": [
            {**week, "label": CLASSES[each], "images": count, "mean_confidence": float(mean)}
            for each, count, mean in _grouped(sure, seen["label"])
        ],
        "outcomes_by_folder": [
            {
                **week,
                "folder": f"folder-{of_folder:02}",
                "outcome": OUTCOMES[each],
                "images": count,
                "confidence_sum": None,
                "folders": 1,
            }
            for of_folder, each, count in _counted(folder, outcome)
        ],
        "thresholds_in_use": [
            {"label": CLASSES[each], **row}
            for each in range(len(CLASSES))
            for row in _in_use(monday, seen["day"][seen["label"] == each], seen["at"][seen["label"] == each])
        ],
        "models_in_use": [
            {"model_version": "m", "endpoint": "e", **row} for row in _in_use(monday, seen["day"], seen["at"])
        ],
        **{
            f"{name}_by_reason": [
                {"reason": "corrupt", "images": count, "latest_key": "a.png", "latest_detail": None}
            ]
            if (count := int((outcome == number[each]).sum()))
            else []
            for name, each in (("rejects", "rejected"), ("failures", "failed"))
        },
    }


def _counted(*columns: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Yield each combination of whole numbers, and how often it is there."""
    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    counts = np.bincount(np.ravel_multi_index(columns, sizes), minlength=1)
    there = np.flatnonzero(counts)
    places = [axis.tolist() for axis in np.unravel_index(there, sizes)]
    yield from zip(*places, counts[there].tolist(), strict=True)


def _grouped(values: np.ndarray, by: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Yield each group, how many values it has, and their mean."""
    for group, count in _counted(by):
        yield group, count, values[by == group].mean()


def _in_use(monday: date, day: np.ndarray, threshold: np.ndarray) -> Iterator[dict[str, Any]]:
    start = datetime.combine(monday, time())
    for value in np.unique(threshold):
        days = day[threshold == value]
        yield {
            "threshold": float(value),
            "images": len(days),
            "first_decided_at": start + timedelta(days=int(days.min())),
            "last_decided_at": start + timedelta(days=int(days.max())),
        }
