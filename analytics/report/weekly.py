"""Answers to the queries → the numbers of one week. Pure: frames in, dataclasses out."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

import pandas as pd

from analytics.report import drift
from analytics.report.challenger import QUESTIONS as QUESTIONS_OF_CHALLENGER
from analytics.report.challenger import comparison
from analytics.report.cost import Endpoint, Load, weekly_cost
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import (
    QUESTIONS_OF_LABELS,
    Cell,
    ClassPrecision,
    ClassShare,
    Completeness,
    Day,
    Folder,
    HistogramBin,
    Input,
    Latency,
    Measured,
    Model,
    Numbers,
    Percentiles,
    Reason,
    Shift,
    Statement,
    SummaryRow,
    Tally,
    ThresholdChange,
    Uncertain,
    Unlike,
    UnlikeFolder,
    WeekSummary,
    WhatIf,
)
from analytics.report.prices import Prices
from analytics.report.usual import departures, volume
from analytics.review.certificate import TARGET
from analytics.review.estimates import Share
from analytics.review.measured import (
    Labelled,
    agreement,
    certificate_of,
    debiased_calibration_error,
    ranking,
    true_shares,
    weighted_share,
    weights,
)
from analytics.review.sample import Frame
from ingest.stats import Bin, Interval, expected_calibration_error, wilson_interval
from workflow.outcome import Outcome

HISTORY_WEEKS = 4
"""Number of earlier weeks that define what is usual."""

Frames = Mapping[str, pd.DataFrame]
Row = Mapping[Hashable, Any]
Key = TypeVar("Key")


def weekly_numbers(
    week: IsoWeek,
    compare: IsoWeek | None,
    frames: Frames,
    *,
    cell_minutes: int,
    cells_per_unit: int,
    uploaded: int | None,
    just_uploaded: int,
    last_day: date,
    statements: Sequence[Statement],
    unanswered: Mapping[str, str],
    endpoint: Endpoint | None,
    prices: Prices,
) -> Numbers:
    """Return the numbers of `week`, whose days are over until `last_day`.

    `frames` holds the answer to each saved query by its name; one that groups by week may hold both weeks.
    The answer to a question in `unanswered` is empty.
    """
    history = _summaries(frames["weekly_summary"], week)
    summary = history[-1]
    compared = {
        entry.week: entry for entry in (*history, *_summaries(frames["weekly_summary"], compare or week))
    }
    baseline = compared[str(compare)] if compare else None
    latencies = [_latency(row) for row in _of(frames["latency"], week)]
    of_week = next((latency for latency in latencies if latency.dt is None), None)
    of_baseline = [_latency(row) for row in _of(frames["latency"], compare)]
    classes, class_shift = _class_balance(frames["class_balance_by_week"], week, compare)
    confidence, confidence_shift = _confidence(frames["confidence_histogram"], week, compare)
    days = _days(frames["volume_by_day"], week)
    tallies = {day.dt: day.tally for day in days}
    completeness = _completeness(frames, week, summary.tally.images, uploaded, just_uploaded)
    labels_known = unanswered.keys().isdisjoint(QUESTIONS_OF_LABELS)
    means = next((row for row in _of(frames["latency"], week) if _missing(row["dt"])), {})
    return Numbers(
        week=week,
        compare=compare,
        summary=summary,
        baseline=baseline if baseline and baseline.tally.images else None,
        history=history,
        days=days,
        hours=_hours(frames["volume_by_hour"], week),
        classes=classes,
        class_shift=class_shift,
        departures=departures(week, _by_measure(frames["shares_by_day"]), tallies),
        volume=volume(week, tallies, last_day),
        threshold_changes=_threshold_changes(frames),
        folders=_folders(frames["outcomes_by_folder"], week, compare),
        confidence=confidence,
        confidence_shift=confidence_shift,
        cells=_cells(frames["confidence_over_time"], cell_minutes, cells_per_unit),
        cell_minutes=cell_minutes,
        what_if=[_what_if(row) for row in _rows(frames["coverage_at_thresholds"])],
        measured=_measured(frames) if labels_known else None,
        **_sampled(frames, labels_known),
        inputs=[_input(name, frames, week, compare) for name in _INPUTS],
        rejects=_reasons(frames, "rejects_by_reason"),
        failures=_reasons(frames, "failures_by_reason"),
        latency=of_week,
        latency_by_day=[latency for latency in latencies if latency.dt is not None],
        baseline_latency=next((latency for latency in of_baseline if latency.dt is None), None),
        completeness=completeness,
        models=[_model(row) for row in _rows(frames["models_in_use"])],
        baseline_models=[_model(row) for row in _rows(frames["models_in_use:baseline"])],
        least_certain=[_uncertain(row) for row in _rows(frames["least_certain_images"])],
        unlike=_unlike(frames, week, compare),
        cost=weekly_cost(
            Load(
                completeness.recorded - completeness.imported,
                serialize_ms=_number(means.get("serialize_mean_ms")) or 0.0,
                classify_ms=_number(means.get("classify_mean_ms")) or 0.0,
            ),
            [statement.scanned_bytes for statement in statements],
            endpoint,
            prices,
        ),
        challenger=comparison(frames) if unanswered.keys().isdisjoint(QUESTIONS_OF_CHALLENGER) else None,
        statements=list(statements),
        unanswered=dict(unanswered),
    )


def classified(frames: Frames, week: IsoWeek) -> int:
    """Return how many images of the week have a label."""
    return _tally(_of(frames["weekly_summary"], week)).classified


def _summaries(frame: pd.DataFrame, week: IsoWeek) -> list[WeekSummary]:
    weeks = [week.back(weeks) for weeks in range(HISTORY_WEEKS, -1, -1)]
    return [WeekSummary.of(str(each), map(_summary_row, _of(frame, each))) for each in weeks]


def _summary_row(row: Row) -> SummaryRow:
    return SummaryRow(
        outcome=_text(row["outcome"]),
        images=int(row["images"]),
        uploaded=int(row["uploaded"]),
        mean_confidence=_number(row["mean_confidence"]),
        total_p50_ms=_number(row["total_p50_ms"]),
        total_p95_ms=_number(row["total_p95_ms"]),
    )


def _tally(rows: Iterable[Row]) -> Tally:
    """Pivot the rows of one day, week or folder into images by outcome."""
    images: Counter[str] = Counter()
    for row in rows:
        if (outcome := _text(row["outcome"])) is not None:
            images[outcome] += int(row["images"])
    return Tally.of(images)


def _grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _days(frame: pd.DataFrame, week: IsoWeek) -> list[Day]:
    by_day = _grouped(_rows(frame), lambda row: _date(row["dt"]))
    found = {day: _tally(rows) for day, rows in by_day.items()}
    before = [day for back in range(HISTORY_WEEKS, 0, -1) for day in week.back(back).days]
    nothing = Tally.of({})
    tallies = [found.get(day, nothing) for day in before]
    usual = [(tally[Outcome.NEEDS_REVIEW], tally.classified) for tally in tallies]
    days = []
    for day in [*before, *week.days]:
        tally = found.get(day, nothing)
        in_week = day >= week.monday
        band = drift.control_band(usual, tally.classified) if in_week else None
        below = _share(tally[Outcome.NEEDS_REVIEW], tally.classified)
        days.append(Day(day, tally, below, band, in_week))
    return days


def _hours(frame: pd.DataFrame, week: IsoWeek) -> list[list[int]]:
    hours = [[0] * 24 for _ in range(7)]
    for row in _rows(frame):
        day = (_date(row["dt"]) - week.monday).days
        if 0 <= day < 7:
            hours[day][int(row["hour"])] += int(row["images"])
    return hours


def _class_balance(
    frame: pd.DataFrame, week: IsoWeek, compare: IsoWeek | None
) -> tuple[list[ClassShare], Shift]:
    now = {str(row["label"]): row for row in _of(frame, week)}
    then = {str(row["label"]): row for row in _of(frame, compare)}
    counts = {label: (_count(now, label), _count(then, label)) for label in {**now, **then}}
    images, baseline_images = (sum(column) for column in zip((0, 0), *counts.values(), strict=True))
    ordered = sorted(counts, key=lambda label: (-counts[label][0], -counts[label][1], label))
    classes = [
        ClassShare(
            label=label,
            images=counts[label][0],
            share=_share(counts[label][0], images),
            interval=wilson_interval(counts[label][0], images),
            baseline_images=counts[label][1],
            baseline_share=_share(counts[label][1], baseline_images),
            baseline_interval=wilson_interval(counts[label][1], baseline_images),
            mean_confidence=_number(now[label]["mean_confidence"]) if label in now else None,
        )
        for label in ordered
    ]
    by_name = sorted(classes, key=lambda entry: entry.label)
    current, baseline = ([entry.images for entry in by_name], [entry.baseline_images for entry in by_name])
    return classes, Shift.of(baseline, current, drift.chi_squared(baseline, current))


def _folders(frame: pd.DataFrame, week: IsoWeek, compare: IsoWeek | None) -> list[Folder]:
    now, then = (_grouped(_of(frame, each), lambda row: _text(row["folder"])) for each in (week, compare))
    # A folder that a week does not name had no images, or is among "all others".
    gone = [] if None in now else [name for name in then if name is not None and name not in now]
    tallies = {name: _tally(now.get(name, ())) for name in (*now, *gone)}
    baselines = {
        name: _tally(then.get(name, ())) if name is not None and (name in then or None not in then) else None
        for name in tallies
    }
    asked = {
        name: (_accepted(before), _accepted(tallies[name]))
        for name, before in baselines.items()
        if before and before.not_failed and tallies[name].not_failed
    }
    found = drift.p_values_among_others(list(asked.values()))
    # The folders with a row of their own were chosen from all, some of them for how they fell.
    others = max((int(row["folders"]) for row in now.get(None, ())), default=0)
    tested = len(asked) + others
    p_values = {name: min(tested * p_value, 1.0) for name, p_value in zip(asked, found, strict=True)}
    folders = []
    for name, tally in tallies.items():
        before = baselines[name]
        folders.append(
            Folder(
                folder=name,
                tally=tally,
                accepted_share=_accepted_share(tally),
                interval=wilson_interval(tally[Outcome.ACCEPTED], tally.not_failed),
                mean_confidence=_mean_confidence(now.get(name, ()), tally),
                baseline=before,
                baseline_accepted_share=_accepted_share(before) if before else None,
                p_value=p_values.get(name, 1.0),
            )
        )
    return sorted(folders, key=_worst_first)


def _worst_first(of: Folder) -> tuple[bool, bool, bool, float, int, str]:
    none_came = not of.tally.images
    return of.folder is None, none_came, not of.fallen, of.interval.high, -of.tally.images, of.folder or ""


def _accepted(tally: Tally) -> tuple[int, int]:
    """Return how many images were accepted and how many were not, without failed ones."""
    return tally[Outcome.ACCEPTED], tally.not_failed - tally[Outcome.ACCEPTED]


def _accepted_share(tally: Tally) -> float | None:
    return _share(tally[Outcome.ACCEPTED], tally.not_failed)


def _mean_confidence(rows: Iterable[Row], tally: Tally) -> float | None:
    sums = [_number(row["confidence_sum"]) or 0.0 for row in rows]
    return math.fsum(sums) / tally.classified if tally.classified else None


def _confidence(
    frame: pd.DataFrame, week: IsoWeek, compare: IsoWeek | None
) -> tuple[list[HistogramBin], Shift]:
    current, baseline = (_by_bin(_of(frame, each), range(100)) for each in (week, compare))
    evidence = drift.kolmogorov_smirnov(baseline, current)
    shift = _shift(baseline, current, evidence)
    bins = [
        HistogramBin(i / 100, (i + 2) / 100, sum(current[i : i + 2]), sum(baseline[i : i + 2]))
        for i in range(0, 100, 2)
    ]
    while len(bins) > 10 and not bins[0].images and not bins[0].baseline_images:
        bins = bins[1:]
    return bins, shift


def _shift(baseline: Sequence[int], current: Sequence[int], evidence: drift.Evidence) -> Shift:
    """Measure a shift between bins in groups of the baseline's quantiles."""
    places = drift.quantile_groups(baseline)
    return Shift.of(drift.merged(baseline, places), drift.merged(current, places), evidence)


def _by_measure(frame: pd.DataFrame) -> dict[str, dict[date, dict[str, int]]]:
    """Return the images of each day by class or bin, for each measure; every measure is there."""
    found: dict[str, dict[date, dict[str, int]]] = {
        name: {} for name in ("label", "confidence", *_INPUTS, "unlike")
    }
    for row in _rows(frame):
        measure = str(row["measure"])
        name = (
            _text(row["label"])
            if measure == "label"
            else None
            if _missing(row["bin"])
            else f"{int(row['bin']):03}"
        )
        if name is not None:
            found[measure].setdefault(_date(row["dt"]), {})[name] = int(row["images"])
    return found


def _threshold_changes(frames: Frames) -> list[ThresholdChange]:
    """Return the classes whose threshold changed within the week or was another one in the weeks before."""
    before = _grouped(_rows(frames["thresholds_in_use:baseline"]), lambda row: str(row["label"]))
    found = []
    for label, rows in _grouped(_rows(frames["thresholds_in_use"]), lambda row: str(row["label"])).items():
        ordered = sorted(rows, key=lambda row: _instant(row["first_decided_at"]))
        used = [float(row["threshold"]) for row in ordered]
        if len(used) > 1 and _instant(ordered[-1]["last_decided_at"]) >= _instant(
            ordered[-2]["last_decided_at"]
        ):
            changed_at = _instant(ordered[-1]["first_decided_at"])
            found.append(ThresholdChange(label, used[-2], used[-1], changed_at))
        elif (earlier := [float(row["threshold"]) for row in before.get(label, ())]) and {*earlier} != {
            *used
        }:
            others = [threshold for threshold in (*used[:-1], *earlier) if threshold != used[-1]]
            found.append(ThresholdChange(label, others[-1], used[-1], None))
    return found


def _cells(frame: pd.DataFrame, minutes: int, per_unit: int) -> list[Cell]:
    return [
        Cell(
            hours=(int(row["time_cell"]) + 0.5) * minutes / 60,
            height=(int(row["confidence_cell"]) + 0.5) / per_unit,
            accepted=row["outcome"] == Outcome.ACCEPTED,
            images=int(row["images"]),
        )
        for row in _rows(frame)
    ]


def _what_if(row: Row) -> WhatIf:
    return WhatIf(
        threshold=float(row["threshold"]),
        accepted=int(row["accepted"]),
        coverage=float(row["coverage"]),
        expected_precision=_number(row["expected_precision"]),
    )


def _measured(frames: Frames) -> Measured | None:
    rows = _rows(frames["measured_precision"])
    if not rows:
        return None
    accepted = [row for row in rows if row["outcome"] == Outcome.ACCEPTED]
    images, correct = (sum(int(row[name]) for row in accepted) for name in ("images", "correct"))
    bins = []
    for number in sorted({int(row["bin"]) for row in rows}):
        of_bin = [row for row in rows if int(row["bin"]) == number]
        bins.append(
            Bin(
                images=sum(int(row["images"]) for row in of_bin),
                confidence_sum=math.fsum(float(row["confidence_sum"]) for row in of_bin),
                correct=sum(int(row["correct"]) for row in of_bin),
            )
        )
    confidence_sum = math.fsum(float(row["confidence_sum"]) for row in accepted)
    labelled = Labelled.rows(frames["labelled_images"])
    drawn = [each for each in labelled if each.is_drawn] or labelled
    debiased, by_chance = debiased_calibration_error(bins)
    all_labels = Measured(
        images=sum(bin_.images for bin_ in bins),
        is_sample=False,
        accepted=images,
        correct=correct,
        precision=_share(correct, images),
        interval=wilson_interval(correct, images),
        effective_labels=float(images),
        expected_precision=_number(drift.expected_precision(confidence_sum, images)),
        calibration_error=_number(expected_calibration_error(bins)),
        calibration_error_by_chance=by_chance,
        calibration_error_debiased=debiased,
        ranking=ranking(drawn, weights(Frame.of(frames["sampling_frame"]), drawn)),
        bins=bins,
        classes=_class_precisions(_rows(frames["confusions"])),
    )
    return _of_sample(all_labels, Frame.of(frames["sampling_frame"]), labelled)


def _of_sample(measured: Measured, frame: Frame, labelled: Sequence[Labelled]) -> Measured:
    """Return what the random sample of accepted images says, if there is one."""
    drawn = [each for each in labelled if each.is_drawn and each.outcome == Outcome.ACCEPTED]
    weighted = list(zip(drawn, weights(frame, drawn), strict=True))
    whole = _precision(weighted)
    if whole is None:
        return measured
    classes = []
    for of in measured.classes:
        mine = [each for each in weighted if each[0].label == of.label]
        share = _precision(mine)
        classes.append(
            replace(
                of,
                accepted=len(mine),
                accepted_correct=sum(each.is_right for each, _ in mine),
                precision=share.share if share else None,
                interval=share.interval if share else Interval(0.0, 1.0),
                effective_labels=share.effective_labels if share else 0.0,
            )
        )
    confidence = math.fsum(each.confidence * weight for each, weight in weighted)
    return replace(
        measured,
        is_sample=True,
        accepted=len(drawn),
        correct=sum(each.is_right for each in drawn),
        precision=whole.share,
        interval=whole.interval,
        effective_labels=whole.effective_labels,
        expected_precision=confidence / math.fsum(weight for _, weight in weighted),
        classes=classes,
    )


def _precision(weighted: Sequence[tuple[Labelled, float]]) -> Share | None:
    drawn, counts = [each for each, _ in weighted], [weight for _, weight in weighted]
    return weighted_share(drawn, counts, lambda each: each.is_right)


def _sampled(frames: Frames, labels_known: bool) -> dict[str, Any]:
    """Return what follows from the sample alone, by the names in `Numbers`."""
    if not labels_known:
        return {"certificate": None, "agreement": None, "true_shares": []}
    frame, labelled = Frame.of(frames["sampling_frame"]), Labelled.rows(frames["labelled_images"])
    drawn = [each for each in labelled if each.is_drawn]
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for row in _rows(frames["label_agreement"]):
        pairs[_text(row["first_label"]), _text(row["second_label"])] += int(row["images"])
    return {
        "certificate": certificate_of(frame, labelled, TARGET) if frame.count(Outcome.ACCEPTED) else None,
        "agreement": agreement(pairs),
        "true_shares": true_shares(frame, drawn, weights(frame, drawn))
        if any(each.outcome == Outcome.ACCEPTED for each in drawn)
        else [],
    }


def _class_precisions(confusions: Sequence[Row]) -> list[ClassPrecision]:
    """Return one for each class; each confusion is a label, what people said, an outcome and how many."""
    found = []
    for label in {str(row["label"]) for row in confusions}:
        said, right, wrong = Counter[str](), Counter[str](), Counter[str | None]()
        for row in confusions:
            if row["label"] != label:
                continue
            images, true_label = int(row["images"]), _text(row["true_label"])
            said[row["outcome"]] += images
            if true_label == label:
                right[row["outcome"]] += images
            else:
                wrong[true_label] += images
        # Ties are broken by name; none of the classes comes last.
        by_name = sorted(wrong.items(), key=lambda shown: (shown[0] is None, shown[0] or ""))
        mostly_shows, mostly_shows_images = max(by_name, key=lambda shown: shown[1], default=(None, 0))
        found.append(
            ClassPrecision(
                label=label,
                accepted=said[Outcome.ACCEPTED],
                accepted_correct=right[Outcome.ACCEPTED],
                interval=wilson_interval(right[Outcome.ACCEPTED], said[Outcome.ACCEPTED]),
                precision=_share(right[Outcome.ACCEPTED], said[Outcome.ACCEPTED]),
                effective_labels=float(said[Outcome.ACCEPTED]),
                needs_review=said[Outcome.NEEDS_REVIEW],
                needs_review_correct=right[Outcome.NEEDS_REVIEW],
                wrong=wrong.total(),
                mostly_shows=mostly_shows,
                mostly_shows_images=mostly_shows_images,
            )
        )
    return sorted(found, key=lambda of: (-of.wrong, of.label))


def _half_octave(bin_: int) -> float:
    """Return a bin's lower edge; values below 1 are in the first bin."""
    return 2 ** (bin_ / 2) if bin_ else 0.0


# Name → what it is called, its unit, and a bin's lower edge: see input_histograms.sql.
_INPUTS: Mapping[str, tuple[str, str, Callable[[int], float]]] = {
    "brightness": ("Brightness", "of 255", lambda bin_: bin_ * 8.0),
    "sharpness": ("Sharpness", "variance of the Laplacian", _half_octave),
    "size_bytes": ("File size", "bytes", _half_octave),
}


def _input(name: str, frames: Frames, week: IsoWeek, compare: IsoWeek | None) -> Input:
    title, unit, edge = _INPUTS[name]
    frame = frames["input_histograms"]
    if not frame.empty:
        frame = frame[(frame["input"] == name) & frame["bin"].notna()]
    now, then = _of(frame, week), _of(frame, compare)
    numbers = [int(row["bin"]) for row in (*now, *then)]
    bins = range(min(numbers), max(numbers) + 1) if numbers else range(0)
    current, baseline = _by_bin(now, bins), _by_bin(then, bins)
    evidence = drift.kolmogorov_smirnov(baseline, current)
    percentiles = next(iter(_of(frames["drift_inputs"], week)), {})
    baseline_percentiles = next(iter(_of(frames["drift_inputs"], compare)), {})
    return Input(
        measure=name,
        name=title,
        unit=unit,
        bins=[
            HistogramBin(edge(bin_), edge(bin_ + 1), images, baseline_images)
            for bin_, images, baseline_images in zip(bins, current, baseline, strict=True)
        ],
        shift=_shift(baseline, current, evidence),
        p05=_number(percentiles.get(f"{name}_p05")),
        p50=_number(percentiles.get(f"{name}_p50")),
        p95=_number(percentiles.get(f"{name}_p95")),
        baseline_p50=_number(baseline_percentiles.get(f"{name}_p50")),
    )


def _reasons(frames: Frames, name: str) -> list[Reason]:
    before = {_text(row["reason"]) or "": int(row["images"]) for row in _rows(frames[f"{name}:baseline"])}
    return [
        Reason(
            reason=_text(row["reason"]) or "",
            images=int(row["images"]),
            baseline_images=before.get(_text(row["reason"]) or "", 0),
            latest_key=str(row["latest_key"]),
            latest_detail=_text(row["latest_detail"]),
        )
        for row in _rows(frames[name])
    ]


def _latency(row: Row) -> Latency:
    return Latency(
        dt=None if _missing(row["dt"]) else _date(row["dt"]),
        images=int(row["images"]),
        total=_percentiles(row, "total"),
        serialize=_percentiles(row, "serialize"),
        classify=_percentiles(row, "classify"),
    )


def _percentiles(row: Row, of: str) -> Percentiles:
    return Percentiles(*(_number(row[f"{of}_{p}_ms"]) for p in ("p50", "p95", "p99")))


def _completeness(
    frames: Frames, week: IsoWeek, recorded: int, uploaded: int | None, just_uploaded: int
) -> Completeness:
    rows = _rows(frames["completeness"])
    imported = sum(int(row["imported"]) for row in rows)
    stored = next(iter(_of(frames["duplicates_removed"], week)), {})
    return Completeness(
        recorded=recorded,
        uploaded=uploaded,
        just_uploaded=just_uploaded,
        missing=None if uploaded is None else uploaded - (recorded - imported),
        imported=imported,
        late=sum(int(row["late"]) for row in rows),
        last_decided_at=max((_instant(row["last_decided_at"]) for row in rows), default=None),
        rows_stored=int(stored.get("rows_stored", 0)),
        duplicates_removed=int(stored.get("duplicates_removed", 0)),
    )


def _model(row: Row) -> Model:
    return Model(
        model_version=_text(row["model_version"]),
        endpoint=_text(row["endpoint"]),
        threshold=_number(row["threshold"]),
        images=int(row["images"]),
        first_decided_at=_instant(row["first_decided_at"]),
        last_decided_at=_instant(row["last_decided_at"]),
    )


def _uncertain(row: Row) -> Uncertain:
    return Uncertain(
        bucket=str(row["bucket"]),
        key=str(row["key"]),
        version_id=_text(row["version_id"]),
        label=str(row["label"]),
        confidence=float(row["confidence"]),
        threshold=_number(row["threshold"]),
        uploaded_at=_instant(row["uploaded_at"]),
        unfamiliarity=_number(row.get("unfamiliarity")),
    )


def _unlike(frames: Frames, week: IsoWeek, compare: IsoWeek | None) -> Unlike | None:
    now, then = (
        {_text(row["folder"]): (int(row["unlike"]), int(row["images"])) for row in _of(frame, each)}
        for frame, each in ((frames["unlike_by_folder"], week), (frames["unlike_by_folder"], compare))
    )
    if not now:
        return None
    unlike, scored = (sum(column) for column in zip(*now.values(), strict=True))
    baseline_unlike, baseline_scored = (sum(column) for column in zip((0, 0), *then.values(), strict=True))
    return Unlike(
        scored=scored,
        unlike=unlike,
        interval=wilson_interval(unlike, scored),
        baseline_scored=baseline_scored,
        baseline_unlike=baseline_unlike,
        folders=[
            UnlikeFolder(folder, images, count, _share(*then[folder]) if folder in then else None)
            for folder, (count, images) in now.items()
        ],
        images=[_uncertain(row) for row in _rows(frames["most_unfamiliar_images"])],
    )


def _rows(frame: pd.DataFrame) -> list[Row]:
    rows: list[Row] = frame.to_dict("records")
    return rows


def _of(frame: pd.DataFrame, week: IsoWeek | None) -> list[Row]:
    """Return the rows of one week; without a week, none."""
    return [row for row in _rows(frame) if week and _date(row["week"]) == week.monday]


def _by_bin(rows: Iterable[Row], bins: range) -> list[int]:
    found = {int(row["bin"]): int(row["images"]) for row in rows}
    return [found.get(bin_, 0) for bin_ in bins]


def _count(rows: Mapping[str, Row], label: str) -> int:
    return int(rows[label]["images"]) if label in rows else 0


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value))


def _number(value: Any) -> float | None:
    return None if _missing(value) or value is pd.NA else float(value)


def _text(value: Any) -> str | None:
    return None if _missing(value) else str(value)


def _date(value: Any) -> date:
    """Return a day from an engine's date, timestamp or text."""
    day: date = pd.Timestamp(value).date()
    return day


def _instant(value: Any) -> datetime:
    instant: datetime = pd.Timestamp(value).to_pydatetime()
    return instant
