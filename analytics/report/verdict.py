"""What the week's numbers mean, and what to do about it. Pure.

A difference needs attention when it is both large and significant; one of the two is worth a note, at most.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics.report.numbers import (
    SIGNIFICANT_P,
    UNUSUAL_P,
    Departure,
    Folder,
    Input,
    Numbers,
    SilentDay,
    Tally,
)
from analytics.text import folder, mostly, p_value, percent, plural, seconds, short, weekdays
from ingest.stats import binomial_tail, exact_interval
from workflow.outcome import Outcome

FAILED_SHARE = 0.005
"""More than 1 failed image in 200: something is wrong with Scones or the endpoint, not with an image."""
REJECTED_POINTS = 0.02
BELOW_POINTS = 0.04
UNLIKE_POINTS = 0.02
CLASS_POINTS = 0.10
PRECISION_POINTS = 0.02
CLASS_PRECISION_POINTS = 0.05
"""Smaller differences of a share are not reported, however significant they are."""
FEWER, FAR_FEWER = 0.8, 0.6
"""A week with at most this part of its usual images is noted, or needs attention."""
STEADY_IMAGES = 20
"""A folder with fewer images in a week may have none in the next by chance."""
ENOUGH_LABELS = 20
"""With fewer labels of accepted images, the model is not to be recalibrated."""
SLOWER = 2.0
SLOW_MS = 2_000.0
"""Report a latency that is at least `SLOWER` times the previous one and at least `SLOW_MS`."""
_NAMED = 3
_NOT_SENT = "Ask who uploads them; if images were uploaded, run scones audit."


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
        *_volume(numbers),
        *_failed(numbers),
        *_unclassified(numbers),
        *_rejected(numbers),
        *_folders(numbers, today),
        *_classes(numbers),
        *_confidence(numbers),
        *_below_threshold(numbers),
        *_unlike(numbers),
        *_calibration(numbers),
        *_class_precision(numbers),
        *_inputs(numbers),
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
        Finding(
            True,
            f"The question {question} was not answered.",
            "Run the report again; report.json holds the error.",
        )
        for question in numbers.unanswered
    ]


def _empty(numbers: Numbers, today: date) -> list[Finding]:
    past = [day for day in numbers.days if day.in_week and day.dt < today]
    first = min((day.dt for day in numbers.days if day.tally.images), default=today)
    gaps = [day.dt for day in past if not day.tally.images and day.dt > first]
    if numbers.summary.tally.images:
        silent = [
            day for day in (numbers.volume.silent if numbers.volume else ()) if day.p_value < SIGNIFICANT_P
        ]
        missed = [day.dt for day in silent]
        return [
            *_silent(silent),
            *(
                [Finding(False, f"No images on {weekdays(quiet)}.", "Fine if nobody uploaded any.")]
                if (quiet := [day for day in gaps if day not in missed])
                else []
            ),
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


def _silent(days: Sequence[SilentDay]) -> list[Finding]:
    if not days:
        return []
    images = sum(day.usual_images for day in days)
    what = f"No images on {weekdays([day.dt for day in days])}, usually {plural(round(images), 'image')}."
    return [Finding(True, what, _NOT_SENT)]


def _volume(numbers: Numbers) -> list[Finding]:
    volume = numbers.volume
    if not volume or not volume.images or volume.p_value >= UNUSUAL_P:
        return []
    if volume.images > FEWER * volume.usual_images:
        return []
    share = percent(volume.images / volume.usual_images)
    what = f"Only {plural(volume.images, 'image')}, {share} of the usual {volume.usual_images:,.0f}."
    return [Finding(volume.images <= FAR_FEWER * volume.usual_images, what, _NOT_SENT)]


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
    """Find failures when their share is high; a few are only counted in their section."""
    tally = numbers.summary.tally
    failed, share = tally[Outcome.FAILED], tally.share(Outcome.FAILED)
    if not share or share <= FAILED_SHARE:
        return []
    what = f"{plural(failed, 'image')} failed ({percent(share)})"
    if numbers.failures:
        most = numbers.failures[0]
        what += f", {mostly(most.reason, most.images, failed)}"
    what += "."
    return [Finding(many_failed(tally), what, "Classify them again: scones redrive.")]


def many_failed(tally: Tally) -> bool:
    """Return whether more than `FAILED_SHARE` failed, beyond chance."""
    failed = tally[Outcome.FAILED]
    return (
        failed > FAILED_SHARE * tally.images
        and binomial_tail(tally.images - failed, tally.images, 1 - FAILED_SHARE) < UNUSUAL_P
    )


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
    tally, rejected = numbers.summary.tally, numbers.departures["rejected"]
    if not numbers.rejects or rejected.share.points < REJECTED_POINTS or not rejected.significant:
        return []
    most = numbers.rejects[0]
    why = mostly(most.reason, most.images, tally[Outcome.REJECTED])
    share = rejected.share
    what = f"{percent(share.share)} of the images were rejected, usually {percent(share.usual_share)}: {why}."
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
        found.append(Finding(not _threshold_moved(numbers, up=True), what, look))
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
    classes = numbers.departures["label"]
    if classes.shift.size == "unknown" or not classes.significant:
        return []
    moved = classes.most
    points = abs(moved.points)
    if classes.shift.size == "small" and points < CLASS_POINTS / 2:
        return []
    what = (
        f"The mix of classes has shifted: {percent(moved.share)} of the classified images are "
        f"{short(moved.name)}, usually {percent(moved.usual_share)}."
    )
    action = "Look at images of that class: did the images change, or the model's answers?"
    return [Finding(classes.shift.size == "large" or points >= CLASS_POINTS, what, action)]


def _confidence(numbers: Numbers) -> list[Finding]:
    confidence, now = numbers.departures["confidence"], numbers.summary.mean_confidence
    if confidence.shift.size in ("unknown", "small") or not confidence.significant:
        return []
    usual = _usual_mean_confidence(numbers)
    what = f"The model's confidence has shifted: its mean is {percent(now)}, usually {percent(usual)}."
    action = "Label some of this week's images and check the calibration."
    return [Finding(confidence.shift.size == "large", what, action)]


def _usual_mean_confidence(numbers: Numbers) -> float | None:
    weeks = [week for week in numbers.history[:-1] if week.mean_confidence is not None]
    images = sum(week.tally.classified for week in weeks)
    return (
        math.fsum((week.mean_confidence or 0) * week.tally.classified for week in weeks) / images
        if images
        else None
    )


def _below_threshold(numbers: Numbers) -> list[Finding]:
    below = numbers.departures["below"].share
    if abs(below.points) >= BELOW_POINTS and numbers.departures["below"].significant:
        usual = percent(below.usual_share)
        what = f"{percent(below.share)} of the classified images need review, usually {usual}."
        look = "Look at the least certain images." if below.points > 0 else "Label some accepted images."
        return [Finding(not _threshold_moved(numbers, up=below.points > 0), what, look)]
    unusual = [day for day in numbers.days if day.unusual]
    if not unusual:
        return []
    far = any(
        day.far and (day.below_share or 0) - (below.usual_share or 0) >= BELOW_POINTS for day in unusual
    )
    days = weekdays([day.dt for day in unusual])
    what = f"The share for review was outside its usual band on {days}."
    return [
        Finding(
            far and not _threshold_moved(numbers, up=True),
            what,
            "Look at the least certain images from those days.",
        )
    ]


def _threshold_moved(numbers: Numbers, *, up: bool) -> bool:
    """Return whether a threshold moved in the direction that explains a change."""
    return any(change.raised is up for change in numbers.threshold_changes)


def _unlike(numbers: Numbers) -> list[Finding]:
    unlike = numbers.unlike
    share = numbers.departures["unlike"].share
    if not unlike or share.points < UNLIKE_POINTS or not numbers.departures["unlike"].significant:
        return []
    most = unlike.folders[0]
    what = (
        f"More images are unlike the model's classes: {percent(share.share)} of them, usually "
        f"{percent(share.usual_share)}; most are in {folder(most.folder)}."
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
        f"{'is' if measured.correct == 1 else 'are'} correct ({percent(measured.precision)}"
        f"{', weighted' if measured.is_sample else ''}); "
        f"{percent(measured.expected_precision)} was expected from their confidence."
    )
    labels = measured.effective_labels
    low, high = exact_interval(measured.precision * labels, labels, 1 - SIGNIFICANT_P)
    if low <= measured.expected_precision <= high or measured.accepted < ENOUGH_LABELS:
        return [Finding(False, what, "This may be chance: label more images.")]
    return [Finding(True, what, "Recalibrate the model and choose the threshold again.")]


def _class_precision(numbers: Numbers) -> list[Finding]:
    """Find the classes whose accepted images are surely wrong more often than confidence promised."""
    measured = numbers.measured
    if not measured or not measured.expected_precision:
        return []
    expected = measured.expected_precision
    worse = [
        of
        for of in measured.classes
        if of.accepted >= ENOUGH_LABELS
        and of.precision is not None
        and of.precision <= expected - CLASS_PRECISION_POINTS
        and binomial_tail(of.precision * of.effective_labels, of.effective_labels, expected)
        < SIGNIFICANT_P / len(measured.classes)
    ]
    if not worse:
        return []
    worst = min(worse, key=lambda of: of.precision or 0)
    more = f"; the same applies to {len(worse) - 1} more" if len(worse) > 1 else ""
    right = percent(worst.precision) + (" (weighted)" if measured.is_sample else "")
    what = (
        f"Of {worst.accepted:,} labelled images accepted as {short(worst.label)}, {right} are right; "
        f"{percent(expected)} was expected{more}."
    )
    return [Finding(True, what, "Look at what they show, and raise the threshold of that class.")]


def _inputs(numbers: Numbers) -> list[Finding]:
    return [
        finding for input_ in numbers.inputs for finding in _input(input_, numbers.departures[input_.measure])
    ]


def _input(input_: Input, departure: Departure) -> list[Finding]:
    shift = departure.shift
    if shift.size in ("unknown", "small") or not departure.significant:
        return []
    what = f"{input_.name} of the images is not as usual (PSI {shift.psi:.2f}, {p_value(shift.p_value)})."
    look = "Look at the images: is the camera, the location or the time of day new?"
    return [Finding(shift.size == "large", what, look)]


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
    changes = numbers.threshold_changes
    if not changes:
        return []
    first = changes[0]
    same = all((each.before, each.after) == (first.before, first.after) for each in changes)
    everywhere = same and len(changes) == sum(1 for entry in numbers.classes if entry.images)
    others = len(changes) - 1
    of = "" if everywhere else f" of {short(first.label)}"
    more = "" if everywhere or not others else f", and {others} more"
    when = f" on {first.changed_at:%A}" if first.changed_at else " since the weeks before"
    what = f"The threshold{of} changed{when} from {first.before:g} to {first.after:g}{more}."
    return [Finding(False, what, "Shares of images for review before and after it are not comparable.")]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
