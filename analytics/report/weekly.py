"""Answers to the queries → the numbers of one week. Pure: rows in, dataclasses out."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from analytics.athena.engine import Record
from analytics.report import drift
from analytics.report.challenger import QUESTIONS as QUESTIONS_OF_CHALLENGER
from analytics.report.challenger import comparison
from analytics.report.cost import Endpoint, Load, weekly_cost
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import (
    FOLDER_POINTS,
    QUESTIONS_OF_LABELS,
    SIGNIFICANT_P,
    Cell,
    Change,
    ClassPrecision,
    ClassShare,
    Completeness,
    Day,
    Folder,
    HistogramBin,
    Input,
    Latency,
    Measured,
    Memory,
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
from analytics.report.usual import Counts, counts_by_measure, departures, volume
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
MEMORY_WEEKS = 12
"""Number of earlier weeks in which the reference lies."""
_REFERENCE_WEEKS, _FEWEST_REFERENCE_WEEKS = 4, 2
LASTING_WEEKS = 4
"""Latest weeks that are compared with the reference."""
_IN_FORCE = 0.05
"""Least share of a week's images that a model with a threshold decides, for it to count as in force."""

Rows = Sequence[Record]
Answers = Mapping[str, Rows]
"""Question → the rows of its answer."""
Key = TypeVar("Key")


def weekly_numbers(
    week: IsoWeek,
    compare: IsoWeek | None,
    answers: Answers,
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

    `answers` holds the rows of each saved query by its name; one that groups by week may hold both weeks.
    The answer to a question in `unanswered` is empty.
    """
    history = _summaries(answers["weekly_summary"], week)
    summary = history[-1]
    compared = {
        entry.week: entry for entry in (*history, *_summaries(answers["weekly_summary"], compare or week))
    }
    baseline = compared[str(compare)] if compare else None
    latencies = [_latency(row) for row in _of(answers["latency"], week)]
    of_week = next((latency for latency in latencies if latency.dt is None), None)
    of_baseline = [_latency(row) for row in _of(answers["latency"], compare)]
    classes, class_shift = _class_balance(answers["class_balance_by_week"], week, compare)
    by_day = {
        day: _tally(rows)
        for day, rows in _grouped(answers["volume_by_day"], lambda row: _date(row["dt"])).items()
    }
    days = _days(by_day, week)
    by_measure = counts_by_measure(_by_measure(answers["shares_by_day"]), by_day)
    confidence, confidence_shift = _confidence(by_measure["confidence"], week, compare)
    quarter = _same_policy(answers, week, by_day)
    reference = quarter[:-HISTORY_WEEKS][:_REFERENCE_WEEKS]
    if len(reference) < _FEWEST_REFERENCE_WEEKS:
        reference = []
    completeness = _completeness(answers, week, summary.tally.images, uploaded, just_uploaded)
    labels_known = unanswered.keys().isdisjoint(QUESTIONS_OF_LABELS)
    means = next((row for row in _of(answers["latency"], week) if row["dt"] is None), {})
    return Numbers(
        week=week,
        compare=compare,
        summary=summary,
        baseline=baseline if baseline and baseline.tally.images else None,
        history=history,
        days=days,
        hours=_hours(answers["volume_by_hour"], week),
        classes=classes,
        class_shift=class_shift,
        departures=departures(
            by_measure, _days_of(_weeks_before(week, HISTORY_WEEKS)), week.days, _days_of(quarter)
        ),
        memory=_memory(by_measure, reference, week),
        volume=volume(week, {day.dt: day.tally for day in days}, last_day),
        threshold_changes=_threshold_changes(answers),
        changes=_changes(answers["models_in_use:memory"]),
        folders=_folders(answers["outcomes_by_folder"], week, compare, quarter, reference),
        confidence=confidence,
        confidence_shift=confidence_shift,
        cells=_cells(answers["confidence_over_time"], cell_minutes, cells_per_unit),
        cell_minutes=cell_minutes,
        what_if=[_what_if(row) for row in answers["coverage_at_thresholds"]],
        measured=_measured(answers) if labels_known else None,
        **_sampled(answers, labels_known),
        inputs=[_input(name, by_measure[name], answers["drift_inputs"], week, compare) for name in _INPUTS],
        rejects=_reasons(answers, "rejects_by_reason"),
        failures=_reasons(answers, "failures_by_reason"),
        latency=of_week,
        latency_by_day=[latency for latency in latencies if latency.dt is not None],
        baseline_latency=next((latency for latency in of_baseline if latency.dt is None), None),
        completeness=completeness,
        models=[_model(row) for row in answers["models_in_use"]],
        baseline_models=[_model(row) for row in answers["models_in_use:baseline"]],
        least_certain=[_uncertain(row) for row in answers["least_certain_images"]],
        unlike=_unlike(answers, week, compare),
        cost=weekly_cost(
            Load(
                completeness.recorded - completeness.imported,
                serialize_ms=_number(means.get("serialize_mean_ms")) or 0.0,
                classify_ms=_number(means.get("classify_mean_ms")) or 0.0,
            ),
            [statement.scanned_bytes for statement in statements],
            endpoint,
            prices,
            challenger_images=sum(int(row["images"]) for row in answers["challenger_agreement"]),
        ),
        challenger=comparison(answers) if unanswered.keys().isdisjoint(QUESTIONS_OF_CHALLENGER) else None,
        statements=list(statements),
        unanswered=dict(unanswered),
    )


def classified(answers: Answers, week: IsoWeek) -> int:
    """Return how many images of the week have a label."""
    return _tally(_of(answers["weekly_summary"], week)).classified


def _summaries(rows: Rows, week: IsoWeek) -> list[WeekSummary]:
    weeks = [week.back(weeks) for weeks in range(HISTORY_WEEKS, -1, -1)]
    return [WeekSummary.of(str(each), map(_summary_row, _of(rows, each))) for each in weeks]


def _summary_row(row: Record) -> SummaryRow:
    return SummaryRow(
        outcome=_text(row["outcome"]),
        images=int(row["images"]),
        uploaded=int(row["uploaded"]),
        mean_confidence=_number(row["mean_confidence"]),
        total_p50_ms=_number(row["total_p50_ms"]),
        total_p95_ms=_number(row["total_p95_ms"]),
    )


def _tally(rows: Iterable[Record]) -> Tally:
    """Pivot the rows of one day, week or folder into images by outcome."""
    images: Counter[str] = Counter()
    for row in rows:
        if (outcome := _text(row["outcome"])) is not None:
            images[outcome] += int(row["images"])
    return Tally.of(images)


def _grouped(rows: Iterable[Record], key: Callable[[Record], Key]) -> dict[Key, list[Record]]:
    groups: dict[Key, list[Record]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _weeks_before(week: IsoWeek, count: int) -> list[IsoWeek]:
    """Return the weeks before one, the oldest first."""
    return [week.back(back) for back in range(count, 0, -1)]


def _days_of(weeks: Iterable[IsoWeek]) -> list[date]:
    return [day for week in weeks for day in week.days]


def _same_policy(answers: Answers, week: IsoWeek, by_day: Mapping[date, Tally]) -> list[IsoWeek]:
    """Return the weeks before, at most `MEMORY_WEEKS`, since the model and the thresholds in force decide.

    The oldest come first. The latest `HISTORY_WEEKS` are always among them.
    """
    images = sum(int(row["images"]) for row in answers["models_in_use"])
    in_force = {_policy(row) for row in answers["models_in_use"] if int(row["images"]) >= _IN_FORCE * images}
    begun = [
        IsoWeek.of(row["first_decided_at"].date())
        for row in answers["models_in_use:memory"]
        if _policy(row) in in_force
    ]
    before = _weeks_before(week, MEMORY_WEEKS)
    known = [each for each in before if any(by_day[day].images for day in each.days if day in by_day)]
    # What began in the first week of all did not change then; any other week has the old one, too.
    since = max((each for each in begun if known and each > known[0]), default=None)
    older = [
        each for each in known if (since is None or each > since) and each not in before[-HISTORY_WEEKS:]
    ]
    return [*older, *before[-HISTORY_WEEKS:]]


def _changes(rows: Rows) -> list[Change]:
    """Return what began to decide after the first of its kind did; what decided few images is left out."""
    images = sum(int(row["images"]) for row in rows)
    found = []
    for column, name in (("model_version", "model"), ("endpoint", "endpoint"), ("threshold", "threshold")):
        by_value = _grouped((row for row in rows if row[column] is not None), lambda row: row[column])  # noqa: B023 - used at once
        begun = sorted(
            (min(row["first_decided_at"] for row in of_value), f"{name} {value}")
            for value, of_value in by_value.items()
            if sum(int(row["images"]) for row in of_value) >= _IN_FORCE * images
        )
        first = begun[0][0] if begun else None
        found += [Change(at, what) for at, what in begun[1:] if first and at - first >= timedelta(days=1)]
    return sorted(found, key=lambda change: (change.at, change.what))


def _memory(by_measure: Mapping[str, Counts], reference: Sequence[IsoWeek], week: IsoWeek) -> Memory:
    if not reference:
        return Memory([], [], [])
    usual, weeks = _days_of(reference), [week.back(back) for back in range(LASTING_WEEKS)]
    return Memory(
        [str(each) for each in reference],
        [departures(by_measure, usual, each.days, ()) for each in weeks],
        [departures(by_measure, usual, _days_of(pair), ()) for pair in pairwise(weeks)],
    )


def _policy(row: Record) -> tuple[Any, ...]:
    return row["model_version"], row["threshold"]


def _days(found: Mapping[date, Tally], week: IsoWeek) -> list[Day]:
    before = _days_of(_weeks_before(week, HISTORY_WEEKS))
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


def _hours(rows: Rows, week: IsoWeek) -> list[list[int]]:
    hours = [[0] * 24 for _ in range(7)]
    for row in rows:
        day = (_date(row["dt"]) - week.monday).days
        if 0 <= day < 7:
            hours[day][int(row["hour"])] += int(row["images"])
    return hours


def _class_balance(rows: Rows, week: IsoWeek, compare: IsoWeek | None) -> tuple[list[ClassShare], Shift]:
    now = {str(row["label"]): row for row in _of(rows, week)}
    then = {str(row["label"]): row for row in _of(rows, compare)}
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


def _folders(
    rows: Rows,
    week: IsoWeek,
    compare: IsoWeek | None,
    quarter: Sequence[IsoWeek],
    reference: Sequence[IsoWeek],
) -> list[Folder]:
    now, then = (_grouped(_of(rows, each), lambda row: _text(row["folder"])) for each in (week, compare))
    # A folder that a week does not name had no images, or is among "all others".
    gone = [] if None in now else [name for name in then if name is not None and name not in now]
    tallies = {name: _tally(now.get(name, ())) for name in (*now, *gone)}
    baselines = {
        name: _tally(then.get(name, ())) if name is not None and (name in then or None not in then) else None
        for name in tallies
    }
    # The evidence comes from all the weeks before, not from the compared one alone.
    before_week = sorted({*quarter, *([compare] if compare else [])} - {week})
    usual, by_week = _by_folder(rows, before_week), [_by_folder(rows, [each]) for each in before_week]
    asked = {
        name: (_accepted(usual[name]), _accepted(tallies[name]))
        for name, before in baselines.items()
        if before and before.not_failed and tallies[name].not_failed and name in usual
    }
    among_others = drift.p_values_among_others(list(asked.values()))
    among_weeks = [
        drift.p_value_among_weeks([_accepted(of[name]) for of in by_week if name in of], pair[1])
        for name, pair in asked.items()
    ]
    # The folders with a row of their own were chosen from all, some of them for how they fell.
    others = max((int(row["folders"]) for row in now.get(None, ())), default=0)
    tested = len(asked) + others
    p_values = {
        name: min(tested * max(p_value, own), 1.0)
        for name, p_value, own in zip(asked, among_others, among_weeks, strict=True)
    }
    then_by_folder = _by_folder(rows, reference)
    weeks_fallen = _weeks_fallen(rows, week, then_by_folder)
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
                reference_accepted_share=_accepted_share(then_by_folder.get(name, Tally.of({}))),
                weeks_fallen=weeks_fallen[name],
            )
        )
    return sorted(folders, key=_worst_first)


def _by_folder(rows: Rows, weeks: Iterable[IsoWeek]) -> dict[str | None, Tally]:
    """Return the images of some weeks by folder; folders without a row of their own are left out."""
    of_weeks = [row for week in weeks for row in _of(rows, week)]
    by_folder = _grouped(of_weeks, lambda row: _text(row["folder"]))
    return {name: _tally(of_folder) for name, of_folder in by_folder.items() if name is not None}


def _weeks_fallen(rows: Rows, week: IsoWeek, then: Mapping[str | None, Tally]) -> Counter[str | None]:
    """Return for how many weeks in a row, this one included, each folder is fallen against earlier ones."""
    found: Counter[str | None] = Counter()
    for back in range(LASTING_WEEKS):
        now = _by_folder(rows, [week.back(back)])
        both = [name for name in now if name in then and now[name].not_failed and then[name].not_failed]
        p_values = drift.p_values_among_others(
            [(_accepted(then[name]), _accepted(now[name])) for name in both]
        )
        for name, p_value in zip(both, p_values, strict=True):
            fell = (_accepted_share(then[name]) or 0) - (_accepted_share(now[name]) or 0)
            is_fallen = fell >= FOLDER_POINTS and len(both) * p_value < SIGNIFICANT_P
            found[name] += is_fallen and found[name] == back
    return found


def _worst_first(of: Folder) -> tuple[bool, bool, bool, float, int, str]:
    none_came = not of.tally.images
    return of.folder is None, none_came, not of.fallen, of.interval.high, -of.tally.images, of.folder or ""


def _accepted(tally: Tally) -> tuple[int, int]:
    """Return how many images were accepted and how many were not, without failed ones."""
    return tally[Outcome.ACCEPTED], tally.not_failed - tally[Outcome.ACCEPTED]


def _accepted_share(tally: Tally) -> float | None:
    return _share(tally[Outcome.ACCEPTED], tally.not_failed)


def _mean_confidence(rows: Iterable[Record], tally: Tally) -> float | None:
    sums = [_number(row["confidence_sum"]) or 0.0 for row in rows]
    return math.fsum(sums) / tally.classified if tally.classified else None


def _confidence(counts: Counts, week: IsoWeek, compare: IsoWeek | None) -> tuple[list[HistogramBin], Shift]:
    current, baseline = (_by_bin(_of_days(counts, each), range(100)) for each in (week, compare))
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


def _by_measure(rows: Rows) -> dict[str, dict[date, dict[str, int]]]:
    """Return the images of each day by class or bin, for each measure; every measure is there."""
    found: dict[str, dict[date, dict[str, int]]] = {
        name: {} for name in ("label", "confidence", *_INPUTS, "unlike")
    }
    for row in rows:
        measure = str(row["measure"])
        name = (
            _text(row["label"])
            if measure == "label"
            else None
            if row["bin"] is None
            else _bin_name(int(row["bin"]))
        )
        if name is not None:
            found[measure].setdefault(_date(row["dt"]), {})[name] = int(row["images"])
    return found


def _bin_name(bin_: int) -> str:
    """Return a name that sorts as the bins do."""
    return f"{bin_:03}"


def _threshold_changes(answers: Answers) -> list[ThresholdChange]:
    """Return the classes whose threshold changed within the week or was another one in the weeks before."""
    before = _grouped(answers["thresholds_in_use:baseline"], lambda row: str(row["label"]))
    found = []
    for label, rows in _grouped(answers["thresholds_in_use"], lambda row: str(row["label"])).items():
        ordered = sorted(rows, key=lambda row: row["first_decided_at"])
        used = [float(row["threshold"]) for row in ordered]
        if len(used) > 1 and ordered[-1]["last_decided_at"] >= ordered[-2]["last_decided_at"]:
            changed_at = ordered[-1]["first_decided_at"]
            found.append(ThresholdChange(label, used[-2], used[-1], changed_at))
        elif (earlier := [float(row["threshold"]) for row in before.get(label, ())]) and {*earlier} != {
            *used
        }:
            others = [threshold for threshold in (*used[:-1], *earlier) if threshold != used[-1]]
            found.append(ThresholdChange(label, others[-1], used[-1], None))
    return found


def _cells(rows: Rows, minutes: int, per_unit: int) -> list[Cell]:
    return [
        Cell(
            hours=(int(row["time_cell"]) + 0.5) * minutes / 60,
            height=(int(row["confidence_cell"]) + 0.5) / per_unit,
            accepted=row["outcome"] == Outcome.ACCEPTED,
            images=int(row["images"]),
        )
        for row in rows
    ]


def _what_if(row: Record) -> WhatIf:
    return WhatIf(
        threshold=float(row["threshold"]),
        accepted=int(row["accepted"]),
        coverage=float(row["coverage"]),
        expected_precision=_number(row["expected_precision"]),
    )


def _measured(answers: Answers) -> Measured | None:
    rows = answers["measured_precision"]
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
    labelled = Labelled.of(answers["labelled_images"])
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
        ranking=ranking(drawn, weights(Frame.of(answers["sampling_frame"]), drawn)),
        bins=bins,
        classes=_class_precisions(answers["confusions"]),
    )
    return _of_sample(all_labels, Frame.of(answers["sampling_frame"]), labelled)


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


def _sampled(answers: Answers, labels_known: bool) -> dict[str, Any]:
    """Return what follows from the sample alone, by the names in `Numbers`."""
    if not labels_known:
        return {"certificate": None, "agreement": None, "true_shares": []}
    frame, labelled = Frame.of(answers["sampling_frame"]), Labelled.of(answers["labelled_images"])
    drawn = [each for each in labelled if each.is_drawn]
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for row in answers["label_agreement"]:
        pairs[_text(row["first_label"]), _text(row["second_label"])] += int(row["images"])
    return {
        "certificate": certificate_of(frame, labelled, TARGET) if frame.count(Outcome.ACCEPTED) else None,
        "agreement": agreement(pairs),
        "true_shares": true_shares(frame, drawn, weights(frame, drawn))
        if any(each.outcome == Outcome.ACCEPTED for each in drawn)
        else [],
    }


def _class_precisions(confusions: Sequence[Record]) -> list[ClassPrecision]:
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


# Name → what it is called, its unit, and a bin's lower edge: see shares_by_day.sql and input_histograms.sql.
_INPUTS: Mapping[str, tuple[str, str, Callable[[int], float]]] = {
    "brightness": ("Brightness", "of 255", lambda bin_: bin_ * 8.0),
    "sharpness": ("Sharpness", "variance of the Laplacian", _half_octave),
    "size_bytes": ("File size", "bytes", _half_octave),
}


def _input(name: str, counts: Counts, percentile_rows: Rows, week: IsoWeek, compare: IsoWeek | None) -> Input:
    title, unit, edge = _INPUTS[name]
    now, then = _of_days(counts, week), _of_days(counts, compare)
    numbers = [int(bin_) for bin_ in (*now, *then)]
    bins = range(min(numbers), max(numbers) + 1) if numbers else range(0)
    current, baseline = _by_bin(now, bins), _by_bin(then, bins)
    evidence = drift.kolmogorov_smirnov(baseline, current)
    percentiles = next(iter(_of(percentile_rows, week)), {})
    baseline_percentiles = next(iter(_of(percentile_rows, compare)), {})
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


def _reasons(answers: Answers, name: str) -> list[Reason]:
    before = {_text(row["reason"]) or "": int(row["images"]) for row in answers[f"{name}:baseline"]}
    return [
        Reason(
            reason=_text(row["reason"]) or "",
            images=int(row["images"]),
            baseline_images=before.get(_text(row["reason"]) or "", 0),
            latest_key=str(row["latest_key"]),
            latest_detail=_text(row["latest_detail"]),
        )
        for row in answers[name]
    ]


def _latency(row: Record) -> Latency:
    return Latency(
        dt=None if row["dt"] is None else _date(row["dt"]),
        images=int(row["images"]),
        total=_percentiles(row, "total"),
        serialize=_percentiles(row, "serialize"),
        classify=_percentiles(row, "classify"),
    )


def _percentiles(row: Record, of: str) -> Percentiles:
    return Percentiles(*(_number(row[f"{of}_{p}_ms"]) for p in ("p50", "p95", "p99")))


def _completeness(
    answers: Answers, week: IsoWeek, recorded: int, uploaded: int | None, just_uploaded: int
) -> Completeness:
    rows = answers["completeness"]
    imported = sum(int(row["imported"]) for row in rows)
    stored = next(iter(_of(answers["duplicates_removed"], week)), {})
    return Completeness(
        recorded=recorded,
        uploaded=uploaded,
        just_uploaded=just_uploaded,
        missing=None if uploaded is None else uploaded - (recorded - imported),
        imported=imported,
        late=sum(int(row["late"]) for row in rows),
        last_decided_at=max((row["last_decided_at"] for row in rows), default=None),
        rows_stored=int(stored.get("rows_stored", 0)),
        duplicates_removed=int(stored.get("duplicates_removed", 0)),
    )


def _model(row: Record) -> Model:
    return Model(
        model_version=_text(row["model_version"]),
        endpoint=_text(row["endpoint"]),
        threshold=_number(row["threshold"]),
        images=int(row["images"]),
        first_decided_at=row["first_decided_at"],
        last_decided_at=row["last_decided_at"],
    )


def _uncertain(row: Record) -> Uncertain:
    return Uncertain(
        bucket=str(row["bucket"]),
        key=str(row["key"]),
        version_id=_text(row["version_id"]),
        label=str(row["label"]),
        confidence=float(row["confidence"]),
        threshold=_number(row["threshold"]),
        uploaded_at=row["uploaded_at"],
        unfamiliarity=_number(row.get("unfamiliarity")),
    )


def _unlike(answers: Answers, week: IsoWeek, compare: IsoWeek | None) -> Unlike | None:
    now, then = (
        {_text(row["folder"]): (int(row["unlike"]), int(row["images"])) for row in _of(rows, each)}
        for rows, each in ((answers["unlike_by_folder"], week), (answers["unlike_by_folder"], compare))
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
        images=[_uncertain(row) for row in answers["most_unfamiliar_images"]],
    )


def _of(rows: Rows, week: IsoWeek | None) -> list[Record]:
    """Return the rows of one week; without a week, none."""
    return [row for row in rows if week and _date(row["week"]) == week.monday]


def _of_days(counts: Counts, week: IsoWeek | None) -> Counter[str]:
    """Return the images of one week by bin; without a week, none."""
    return sum((Counter(counts.get(day, {})) for day in week.days), Counter[str]()) if week else Counter()


def _by_bin(images: Counter[str], bins: range) -> list[int]:
    return [images[_bin_name(bin_)] for bin_ in bins]


def _count(rows: Mapping[str, Record], label: str) -> int:
    return int(rows[label]["images"]) if label in rows else 0


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _number(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _date(value: Any) -> date:
    """Return a day from an engine's date, timestamp or text."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(value)
