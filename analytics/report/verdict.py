"""What the week's numbers mean, and what to do about it. Pure.

A difference is worth attention when it is both large and sure; one of the two is worth a note, at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.report import drift
from analytics.report.numbers import SURE_P, Folder, Input, Numbers, Shift
from analytics.text import folder, mostly, p_value, percent, plural, seconds, short, weekdays

FAILED_SHARE = 0.005
"""More than 1 image in 200 that we failed: something is wrong with us, not with an image."""
REJECTED_POINTS = 0.02
BELOW_POINTS = 0.05
CLASS_POINTS = 0.10
PRECISION_POINTS = 0.02
"""Smaller differences of a share are not worth anyone's time, however sure they are."""
STEADY_IMAGES = 20
"""Fewer in a week, and none in the next may be chance."""
SLOWER = 2.0
SLOW_MS = 2_000.0
"""Twice as slow as before, and slow enough to be felt."""
_Z_SURE = 3.290527
"""A normal variable lies further out than so many standard deviations with a probability of `SURE_P`."""
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One thing that the week's numbers say."""

    attention: bool
    """False: a note."""
    what: str
    action: str


@dataclass(frozen=True)
class Verdict:
    """Whether the week needs somebody, in a sentence, and why."""

    ok: bool
    sentence: str
    findings: list[Finding]


def judge(numbers: Numbers, today: date) -> Verdict:
    """Return what the numbers mean; what needs attention comes first."""
    found = [
        *_empty(numbers, today),
        *_partial(numbers, today),
        *_missing(numbers),
        *_failed(numbers),
        *_unclassified(numbers),
        *_rejected(numbers),
        *_folders(numbers, today),
        *_classes(numbers),
        *_confidence(numbers),
        *_below_threshold(numbers),
        *_calibration(numbers),
        *(finding for input_ in numbers.inputs for finding in _input(input_)),
        *_latency(numbers),
        *_models(numbers),
        *_thresholds(numbers),
    ]
    findings = sorted(found, key=lambda finding: not finding.attention)
    urgent = [finding for finding in findings if finding.attention]
    return Verdict(ok=not urgent, sentence=_sentence(numbers, urgent, today), findings=findings)


def _sentence(numbers: Numbers, urgent: list[Finding], today: date) -> str:
    tally, so_far = numbers.summary.tally, "" if numbers.week.over(today) else " so far"
    if not tally.images:
        return f"No image is on record for {numbers.week}{so_far}."
    images = plural(tally.images, "image")
    if urgent:
        things = "One thing needs" if len(urgent) == 1 else f"{len(urgent)} things need"
        return f"{things} attention among this week's {images}{so_far}."
    nothing = "nothing changed that matters" if numbers.baseline else "nothing is amiss"
    return f"All is well{so_far}: {images}, {percent(tally.accepted / tally.images)} accepted, and {nothing}."


def _empty(numbers: Numbers, today: date) -> list[Finding]:
    past = [day for day in numbers.days if day.in_week and day.dt < today]
    first = min((day.dt for day in numbers.days if day.tally.images), default=today)
    gaps = [day for day in past if not day.tally.images and day.dt > first]
    if numbers.summary.tally.images:
        if not gaps:
            return []
        return [
            Finding(False, f"No images on {weekdays([day.dt for day in gaps])}.", "Fine if nobody sent any.")
        ]
    if not past:
        return [Finding(False, "No day of this week is over yet.", "Ask again later.")]
    before = f" {numbers.compare} had {numbers.baseline.tally.images:,}." if numbers.baseline else ""
    return [
        Finding(
            True,
            f"Nothing was recorded from {past[0].dt} to {past[-1].dt}.{before}",
            "Drop an image and see whether it arrives; if it does not, look at the rule's dead-letter queue.",
        )
    ]


def _partial(numbers: Numbers, today: date) -> list[Finding]:
    """Say so where counts of a part of a week would stand beside those of a whole one."""
    if not numbers.baseline or not numbers.summary.tally.images:
        return []
    if not numbers.week.over(today):
        what = f"The week is not over, and stands beside the whole of {numbers.compare}."
        return [Finding(False, what, "Compare shares, not counts.")]
    days, days_before = (
        sum(day.tally.images > 0 for day in numbers.days if day.dt in (week.days if week else ()))
        for week in (numbers.week, numbers.compare)
    )
    if not 0 < days_before < days:
        return []
    what = f"{numbers.compare} has images on {plural(days_before, 'day')} only, this week on {days}."
    return [Finding(False, what, "Compare shares, not counts.")]


def _missing(numbers: Numbers) -> list[Finding]:
    missing, just_uploaded = numbers.completeness.missing, numbers.completeness.just_uploaded
    if not missing:
        return []
    if missing < 0:
        recorded = plural(-missing, "recorded image")
        what = f"{recorded} {'is' if missing == -1 else 'are'} no longer in the bucket."
        action = "Fine if images were deleted, or expired, after they were classified."
        return [Finding(False, what, action)]
    what = f"{plural(missing, 'uploaded image')} {'has' if missing == 1 else 'have'} no outcome on record."
    if missing <= just_uploaded:
        return [Finding(False, what, "Fine if they have just been uploaded: ask again in a few minutes.")]
    return [Finding(True, what, "Find and send them again: make audit, then make redrive.")]


def _failed(numbers: Numbers) -> list[Finding]:
    tally = numbers.summary.tally
    if not tally.failed:
        return []
    share = tally.failed / tally.images
    most = numbers.failures[0]
    why = mostly(most.reason, most.images, tally.failed)
    what = f"We failed {plural(tally.failed, 'image')} ({percent(share)}): {why}."
    return [Finding(share > FAILED_SHARE, what, "Classify them again: make redrive.")]


def _unclassified(numbers: Numbers) -> list[Finding]:
    """Say so when most images came to nothing, unless that is said already or was so before."""
    tally, before = numbers.summary.tally, numbers.baseline.tally if numbers.baseline else None
    if 2 * tally.classified >= tally.images or tally.failed > FAILED_SHARE * tally.images:
        return []
    if tally.classified and before and 2 * before.classified < before.images:
        return []
    seen = f"{tally.classified:,}" if tally.classified else "none"
    what = f"Of {plural(tally.images, 'image')}, {seen} could be classified."
    return [Finding(True, what, "Look at the reasons below.")]


def _rejected(numbers: Numbers) -> list[Finding]:
    tally, baseline = numbers.summary.tally, numbers.baseline
    if not baseline or not tally.images or not numbers.rejects:
        return []
    now, then = tally.rejected / tally.images, baseline.tally.rejected / baseline.tally.images
    rejected_or_not = [(week.rejected, week.images - week.rejected) for week in (baseline.tally, tally)]
    if now - then < REJECTED_POINTS or drift.chi_squared(*rejected_or_not).p_value >= SURE_P:
        return []
    most = numbers.rejects[0]
    why = mostly(most.reason, most.images, tally.rejected)
    what = f"{percent(now)} of the images were rejected, after {percent(then)}: {why}."
    return [Finding(True, what, "Ask who sends them; the latest key of each reason is below.")]


def _folders(numbers: Numbers, today: date) -> list[Finding]:
    """Say where fewer images are accepted than were, and from where none come any more."""
    found = []
    if fallen := [of for of in numbers.folders if of.fallen]:
        worst = fallen[0]
        what = (
            f"Of the images in {folder(worst.folder)}, {percent(worst.accepted_share)} were accepted, after "
            f"{percent(worst.baseline_accepted_share)}{_and_others(fallen)}."
        )
        look = "Look at them: is it the camera, the place, or who sends them?"
        found.append(Finding(not _thresholds(numbers), what, look))
    before = {of.folder: of.baseline.images for of in numbers.folders if of.baseline and of.baseline.images}
    silent = [of for of in numbers.folders if of.folder in before and not of.tally.images]
    # Folders that are days or orders come and go.
    if numbers.week.over(today) and 2 * len(silent) < len(before):
        silent = [of for of in silent if before[of.folder] >= STEADY_IMAGES]
        if silent:
            most = max(silent, key=lambda of: before[of.folder])
            sent = f"{before[most.folder]:,} in {numbers.compare}{_and_others(silent)}"
            what = f"No images in {folder(most.folder)}, after {sent}."
            found.append(Finding(False, what, "Fine if nobody was to send any."))
    return found


def _and_others(folders: Sequence[Folder]) -> str:
    more = len(folders) - 1
    return f"; the same is so of {plural(more, 'other folder')}" if more else ""


def _classes(numbers: Numbers) -> list[Finding]:
    shift = numbers.class_shift
    if shift.size == "unknown" or not shift.sure:
        return []
    moved = max(numbers.classes, key=lambda entry: abs((entry.share or 0) - (entry.baseline_share or 0)))
    points = abs((moved.share or 0) - (moved.baseline_share or 0))
    if shift.size == "small" and points < CLASS_POINTS / 2:
        return []
    what = (
        f"The mix of classes has shifted ({_measure(shift)}): {short(moved.label)} went from "
        f"{percent(moved.baseline_share)} to {percent(moved.share)}."
    )
    action = "Look at images of that class: has the world changed, or what the model sees in it?"
    return [Finding(shift.size == "large" or points >= CLASS_POINTS, what, action)]


def _confidence(numbers: Numbers) -> list[Finding]:
    shift, now, then = numbers.confidence_shift, numbers.summary, numbers.baseline
    if not then or shift.size in ("unknown", "small") or not shift.sure:
        return []
    what = (
        f"The model's confidence has shifted ({_measure(shift)}): its mean went from "
        f"{percent(then.mean_confidence)} to {percent(now.mean_confidence)}."
    )
    return [
        Finding(shift.size == "large", what, "Label some of this week's images and check the calibration.")
    ]


def _below_threshold(numbers: Numbers) -> list[Finding]:
    unusual = [day for day in numbers.days if day.unusual]
    if not unusual:
        return []
    before = [day.tally for day in numbers.days if not day.in_week]
    usual = sum(tally.needs_review for tally in before) / sum(tally.classified for tally in before)
    far = any((day.below_share or 0) - usual >= BELOW_POINTS for day in unusual)
    days = weekdays([day.dt for day in unusual])
    what = f"The share below the threshold was outside its usual band on {days}."
    return [Finding(far, what, "Look at the least certain images of then.")]


def _calibration(numbers: Numbers) -> list[Finding]:
    measured = numbers.measured
    if not measured or measured.precision is None or measured.expected_precision is None:
        return []
    low, high = measured.interval
    gap = measured.expected_precision - measured.precision
    if low <= measured.expected_precision <= high or abs(gap) < PRECISION_POINTS:
        return []
    what = (
        f"Of the accepted images with a label, {percent(measured.precision)} were right, where confidence "
        f"promised {percent(measured.expected_precision)}."
    )
    low, high = drift.wilson_interval(measured.correct, measured.accepted, _Z_SURE)
    if low <= measured.expected_precision <= high:
        return [Finding(False, what, "That may be chance: label more.")]
    return [Finding(True, what, "Calibrate the model anew, and choose the threshold again.")]


def _input(input_: Input) -> list[Finding]:
    shift = input_.shift
    if shift.size in ("unknown", "small") or not shift.sure:
        return []
    what = f"{input_.name} of the images has shifted ({_measure(shift)})."
    return [Finding(shift.size == "large", what, "Look at the images: a new camera, place or time of day?")]


def _latency(numbers: Numbers) -> list[Finding]:
    now, then = numbers.summary.total_p95_ms, numbers.baseline.total_p95_ms if numbers.baseline else None
    if now is None or then is None or now < SLOW_MS or now < SLOWER * then:
        return []
    what = f"19 of 20 images took up to {seconds(now)}, after {seconds(then)}."
    return [Finding(False, what, "Retries and throttling show in the functions' metrics.")]


def _models(numbers: Numbers) -> list[Finding]:
    now, then = (
        list(dict.fromkeys(short(model.model_version or "") for model in models))
        for models in (numbers.models, numbers.baseline_models)
    )
    if len(now) > 1:
        what = f"{len(now)} model versions decided this week: {_listed(now)}."
        return [Finding(False, what, "Numbers mix them; compare weeks before and after the change.")]
    if not now or not then or now == then:
        return []
    what = f"Another model decided: {_listed(now)}, where it was {_listed(then)} in {numbers.compare}."
    return [Finding(False, what, "What else has changed may come from that.")]


def _thresholds(numbers: Numbers) -> list[Finding]:
    """Say so when none is what it was; classes that have their own come and go."""
    now, then = (
        sorted({model.threshold for model in models if model.threshold is not None})
        for models in (numbers.models, numbers.baseline_models)
    )
    if not now or not then or set(now) & set(then):
        return []
    said, before = (_listed([f"{threshold:g}" for threshold in thresholds]) for thresholds in (now, then))
    what = f"The threshold is another: {said}, where it was {before} in {numbers.compare}."
    return [Finding(False, what, "Shares for review do not compare.")]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _measure(shift: Shift) -> str:
    return f"PSI {shift.psi:.2f}, {p_value(shift.p_value)}"
