"""What the week's numbers mean, and what to do about it. Pure.

A difference needs attention when it is both large and significant; one of the two is worth a note, at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.report import drift
from analytics.report.numbers import SIGNIFICANT_P, Folder, Input, Numbers, Shift
from analytics.text import folder, mostly, p_value, percent, plural, seconds, short, weekdays
from ingest.stats import wilson_interval
from workflow.outcome import Outcome

FAILED_SHARE = 0.005
"""More than 1 failed image in 200: something is wrong with Scones or the endpoint, not with an image."""
REJECTED_POINTS = 0.02
BELOW_POINTS = 0.05
UNLIKE_POINTS = 0.02
CLASS_POINTS = 0.10
PRECISION_POINTS = 0.02
"""Smaller differences of a share are not reported, however significant they are."""
STEADY_IMAGES = 20
"""A folder with fewer images in a week may have none in the next by chance."""
ENOUGH_LABELS = 20
"""With fewer labels of accepted images, the model is not to be recalibrated."""
SLOWER = 2.0
SLOW_MS = 2_000.0
"""Report a latency that is at least `SLOWER` times the previous one and at least `SLOW_MS`."""
_Z_SIGNIFICANT = 3.290527
"""Standard deviations beyond which a normal variable lies with probability `SIGNIFICANT_P`."""
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One statement about the week, and what to do about it."""

    attention: bool
    """False: a note."""
    what: str
    action: str


@dataclass(frozen=True)
class Verdict:
    """Whether the week needs attention, in a sentence, and the findings behind it."""

    ok: bool
    sentence: str
    findings: list[Finding]


def judge(numbers: Numbers, today: date) -> Verdict:
    """Return the verdict; findings that need attention come first."""
    found = [
        *_empty(numbers, today),
        *_partial(numbers, today),
        *_unanswered(numbers),
        *_missing(numbers),
        *_failed(numbers),
        *_unclassified(numbers),
        *_rejected(numbers),
        *_folders(numbers, today),
        *_classes(numbers),
        *_confidence(numbers),
        *_below_threshold(numbers),
        *_unlike(numbers),
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
        return f"No images were recorded for {numbers.week}{so_far}."
    images = plural(tally.images, "image")
    if urgent:
        things = "One thing needs" if len(urgent) == 1 else f"{len(urgent)} things need"
        return f"{things} attention among this week's {images}{so_far}."
    nothing = "no significant change" if numbers.baseline else "no findings"
    return f"All is well{so_far}: {images}, {percent(tally.share(Outcome.ACCEPTED))} accepted, {nothing}."


def _unanswered(numbers: Numbers) -> list[Finding]:
    return [
        Finding(True, f"The question {question} was not answered.", "Its section says why.")
        for question in numbers.unanswered
    ]


def _empty(numbers: Numbers, today: date) -> list[Finding]:
    past = [day for day in numbers.days if day.in_week and day.dt < today]
    first = min((day.dt for day in numbers.days if day.tally.images), default=today)
    gaps = [day for day in past if not day.tally.images and day.dt > first]
    if numbers.summary.tally.images:
        if not gaps:
            return []
        return [
            Finding(
                False,
                f"No images on {weekdays([day.dt for day in gaps])}.",
                "Fine if nobody uploaded any.",
            )
        ]
    if not past:
        return [Finding(False, "No day of this week is over yet.", "Run the report again later.")]
    before = f" {numbers.compare} had {numbers.baseline.tally.images:,}." if numbers.baseline else ""
    return [
        Finding(
            True,
            f"Nothing was recorded from {past[0].dt} to {past[-1].dt}.{before}",
            "Upload an image and check that it is recorded; if not, check the rule's dead-letter queue.",
        )
    ]


def _partial(numbers: Numbers, today: date) -> list[Finding]:
    """Note when counts of a partial week are compared with those of a whole one."""
    if not numbers.baseline or not numbers.summary.tally.images:
        return []
    if not numbers.week.over(today):
        what = f"The week is not over yet, but is compared with all of {numbers.compare}."
        return [Finding(False, what, "Compare shares, not counts.")]
    days, days_before = (
        sum(day.tally.images > 0 for day in numbers.days if day.dt in (week.days if week else ()))
        for week in (numbers.week, numbers.compare)
    )
    if not 0 < days_before < days:
        return []
    what = f"{numbers.compare} has images on only {plural(days_before, 'day')}, this week on {days}."
    return [Finding(False, what, "Compare shares, not counts.")]


def _missing(numbers: Numbers) -> list[Finding]:
    missing, just_uploaded = numbers.completeness.missing, numbers.completeness.just_uploaded
    if not missing:
        return []
    if missing < 0:
        recorded = plural(-missing, "recorded image")
        what = f"{recorded} {'is' if missing == -1 else 'are'} no longer in the bucket."
        action = "Fine if images were deleted or expired after they were classified."
        return [Finding(False, what, action)]
    what = f"{plural(missing, 'uploaded image')} {'has' if missing == 1 else 'have'} no recorded outcome."
    if missing <= just_uploaded:
        return [
            Finding(
                False,
                what,
                "Fine if they were uploaded just now: run the report again later.",
            )
        ]
    return [Finding(True, what, "Find them and send them again: scones audit, then scones redrive.")]


def _failed(numbers: Numbers) -> list[Finding]:
    tally = numbers.summary.tally
    failed, share = tally[Outcome.FAILED], tally.share(Outcome.FAILED)
    if not failed or share is None:
        return []
    what = f"{plural(failed, 'image')} failed ({percent(share)})"
    if numbers.failures:
        most = numbers.failures[0]
        what += f", {mostly(most.reason, most.images, failed)}"
    what += "."
    return [Finding(share > FAILED_SHARE, what, "Classify them again: scones redrive.")]


def _unclassified(numbers: Numbers) -> list[Finding]:
    """Find that most images were not classified, unless the failures say so or the week before was alike."""
    tally, before = numbers.summary.tally, numbers.baseline.tally if numbers.baseline else None
    if 2 * tally.classified >= tally.images or tally[Outcome.FAILED] > FAILED_SHARE * tally.images:
        return []
    if tally.classified and before and 2 * before.classified < before.images:
        return []
    what = f"{tally.classified:,} of {plural(tally.images, 'image')} could be classified."
    return [Finding(True, what, "Look at the reasons below.")]


def _rejected(numbers: Numbers) -> list[Finding]:
    tally, baseline = numbers.summary.tally, numbers.baseline
    if not baseline or not tally.images or not numbers.rejects:
        return []
    weeks = (baseline.tally, tally)
    then, now = (week[Outcome.REJECTED] / week.images for week in weeks)
    rejected_or_not = [(week[Outcome.REJECTED], week.images - week[Outcome.REJECTED]) for week in weeks]
    if now - then < REJECTED_POINTS or drift.chi_squared(*rejected_or_not).p_value >= SIGNIFICANT_P:
        return []
    most = numbers.rejects[0]
    why = mostly(most.reason, most.images, tally[Outcome.REJECTED])
    what = f"{percent(now)} of the images were rejected, {percent(then)} before: {why}."
    return [Finding(True, what, "Ask who uploads them; the latest key of each reason is below.")]


def _folders(numbers: Numbers, today: date) -> list[Finding]:
    """Find folders with fewer accepted images than before, and folders without new images."""
    found = []
    if fallen := [of for of in numbers.folders if of.fallen]:
        worst = fallen[0]
        what = (
            f"{percent(worst.accepted_share)} of the images in {folder(worst.folder)} were accepted, "
            f"{percent(worst.baseline_accepted_share)} before{_and_others(fallen)}."
        )
        look = "Look at them: did the camera, the location or the sender change?"
        found.append(Finding(not _thresholds(numbers), what, look))
    before = {of.folder: of.baseline.images for of in numbers.folders if of.baseline and of.baseline.images}
    silent = [of for of in numbers.folders if of.folder in before and not of.tally.images]
    # Folders that are days or orders come and go.
    if numbers.week.over(today) and 2 * len(silent) < len(before):
        silent = [of for of in silent if before[of.folder] >= STEADY_IMAGES]
        if silent:
            most = max(silent, key=lambda of: before[of.folder])
            sent = f"{before[most.folder]:,} in {numbers.compare}{_and_others(silent)}"
            what = f"No images in {folder(most.folder)}, {sent}."
            found.append(Finding(False, what, "Fine if nobody was meant to upload any."))
    return found


def _and_others(folders: Sequence[Folder]) -> str:
    more = len(folders) - 1
    return f"; the same applies to {plural(more, 'other folder')}" if more else ""


def _classes(numbers: Numbers) -> list[Finding]:
    shift = numbers.class_shift
    if shift.size == "unknown" or not shift.significant:
        return []
    moved = max(numbers.classes, key=lambda entry: abs((entry.share or 0) - (entry.baseline_share or 0)))
    points = abs((moved.share or 0) - (moved.baseline_share or 0))
    if shift.size == "small" and points < CLASS_POINTS / 2:
        return []
    what = (
        f"The mix of classes has shifted ({_measure(shift)}): {short(moved.label)} went from "
        f"{percent(moved.baseline_share)} to {percent(moved.share)}."
    )
    action = "Look at images of that class: did the images change, or the model's answers?"
    return [Finding(shift.size == "large" or points >= CLASS_POINTS, what, action)]


def _confidence(numbers: Numbers) -> list[Finding]:
    shift, now, then = numbers.confidence_shift, numbers.summary, numbers.baseline
    if not then or shift.size in ("unknown", "small") or not shift.significant:
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
    usual = sum(tally[Outcome.NEEDS_REVIEW] for tally in before) / sum(tally.classified for tally in before)
    far = any((day.below_share or 0) - usual >= BELOW_POINTS for day in unusual)
    days = weekdays([day.dt for day in unusual])
    what = f"The share for review was outside its usual band on {days}."
    return [Finding(far, what, "Look at the least certain images of those days.")]


def _unlike(numbers: Numbers) -> list[Finding]:
    unlike = numbers.unlike
    if not unlike or unlike.baseline_share is None or unlike.p_value >= SIGNIFICANT_P:
        return []
    if unlike.share - unlike.baseline_share < UNLIKE_POINTS:
        return []
    most = unlike.folders[0]
    what = (
        f"More images are unlike the model's classes: {percent(unlike.share)} of them, after "
        f"{percent(unlike.baseline_share)}; most are in {folder(most.folder)}."
    )
    return [Finding(True, what, "Look at the most unfamiliar images: does the model lack a class?")]


def _calibration(numbers: Numbers) -> list[Finding]:
    measured = numbers.measured
    if not measured or measured.precision is None or measured.expected_precision is None:
        return []
    low, high = measured.interval
    gap = measured.expected_precision - measured.precision
    if low <= measured.expected_precision <= high or abs(gap) < PRECISION_POINTS:
        return []
    what = (
        f"{measured.correct:,} of {plural(measured.accepted, 'accepted image')} with a label "
        f"{'is' if measured.correct == 1 else 'are'} correct ({percent(measured.precision)}); "
        f"{percent(measured.expected_precision)} was expected from their confidence."
    )
    low, high = wilson_interval(measured.correct, measured.accepted, _Z_SIGNIFICANT)
    if low <= measured.expected_precision <= high or measured.accepted < ENOUGH_LABELS:
        return [Finding(False, what, "This may be chance: label more images.")]
    return [Finding(True, what, "Recalibrate the model and choose the threshold again.")]


def _input(input_: Input) -> list[Finding]:
    shift = input_.shift
    if shift.size in ("unknown", "small") or not shift.significant:
        return []
    what = f"{input_.name} of the images has shifted ({_measure(shift)})."
    return [
        Finding(
            shift.size == "large",
            what,
            "Look at the images: is the camera, the location or the time of day new?",
        )
    ]


def _latency(numbers: Numbers) -> list[Finding]:
    now, then = numbers.summary.total_p95_ms, numbers.baseline.total_p95_ms if numbers.baseline else None
    if now is None or then is None or now < SLOW_MS or now < SLOWER * then:
        return []
    what = f"95 % of images took up to {seconds(now)}, {seconds(then)} before."
    return [Finding(False, what, "Retries and throttling show in the functions' metrics.")]


def _models(numbers: Numbers) -> list[Finding]:
    now, then = (
        list(dict.fromkeys(short(model.model_version or "") for model in models))
        for models in (numbers.models, numbers.baseline_models)
    )
    if len(now) > 1:
        what = f"{len(now)} model versions decided this week: {_listed(now)}."
        return [Finding(False, what, "The numbers mix them; compare weeks before and after the change.")]
    if not now or not then or now == then:
        return []
    what = f"The model version changed: {_listed(now)}, in {numbers.compare} {_listed(then)}."
    return [Finding(False, what, "Other changes may follow from that.")]


def _thresholds(numbers: Numbers) -> list[Finding]:
    """Note that all thresholds changed; those of single classes may come and go."""
    now, then = (
        sorted({model.threshold for model in models if model.threshold is not None})
        for models in (numbers.models, numbers.baseline_models)
    )
    if not now or not then or set(now) & set(then):
        return []
    said, before = (_listed([f"{threshold:g}" for threshold in thresholds]) for thresholds in (now, then))
    what = f"The threshold changed: {said}, in {numbers.compare} {before}."
    return [Finding(False, what, "Shares of images for review are not comparable.")]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _measure(shift: Shift) -> str:
    return f"PSI {shift.psi:.2f}, {p_value(shift.p_value)}"
