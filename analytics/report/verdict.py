"""What the week's numbers mean, and what to do about it. Pure.

A difference needs attention when it is both large and significant; one of the two is worth a note, at most.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import takewhile

from analytics.commands import how
from analytics.report import challenger
from analytics.report.numbers import (
    INPUT_P,
    LASTING_P,
    SIGNIFICANT_P,
    UNUSUAL_P,
    Departure,
    Folder,
    Input,
    Numbers,
    SilentDay,
    Tally,
)
from analytics.review import duel
from analytics.review.certificate import State
from analytics.text import SPACE, first_of, folder, mostly, percent, plural, seconds, short, weekdays
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
_Z_SIGNIFICANT = 3.290527
"""Standard deviations beyond which a normal variable lies with probability `SIGNIFICANT_P`."""
_SHARE_POINTS = {"below": BELOW_POINTS, "rejected": REJECTED_POINTS, "unlike": UNLIKE_POINTS}
"""Measure that is a share of the images → the least change that is reported."""
_DOES = {"below": "need review", "rejected": "were rejected", "unlike": "are unlike the model's classes"}
_LOOK = {
    "label": "Look at images of that class: did the images change, or the model's answers?",
    "confidence": "Label some of this week's images and check the calibration.",
    "below": "Look at the least certain images.",
    "unlike": "Look at the most unfamiliar images: does the model lack a class?",
    "rejected": "Ask who uploads them; the latest key of each reason is below.",
    **dict.fromkeys(
        ("brightness", "sharpness", "size_bytes"),
        "Look at the images: is the camera, the location or the time of day new?",
    ),
}
"""Measure → what to do about a change of it."""
_LOOK_AT_FOLDER = "Look at them: did the camera, the location or the sender change?"
_EXPLAINED = "The threshold that changed explains it."
_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """One statement about the week, and what to do about it."""

    attention: bool
    """False: a note."""
    what: str
    action: str
    section: str = ""
    """The card of the page that shows it."""


@dataclass(frozen=True)
class Step:
    """A command that is worth its time, and what it brings."""

    command: str
    gain: str


@dataclass(frozen=True)
class Verdict:
    """Whether the week needs attention, in a sentence, the findings behind it, and what to do next."""

    ok: bool
    sentence: str
    findings: list[Finding]
    steps: list[Step]


def judge(numbers: Numbers, today: date) -> Verdict:
    """Return the verdict; findings that need attention come first."""
    by_section = {
        "volume": [*_empty(numbers, today), *_partial(numbers, today), *_volume(numbers)],
        "completeness": _missing(numbers),
        "failures": _failed(numbers),
        "rejects": [*_unclassified(numbers), *_now_or_lasting(numbers, "rejected", _rejected(numbers))],
        "folders": [*_folders(numbers, today), *_still_blind(numbers)],
        "classes": _now_or_lasting(numbers, "label", _classes(numbers)),
        "confidence": _now_or_lasting(numbers, "confidence", _confidence(numbers)),
        "below": _now_or_lasting(numbers, "below", _below_threshold(numbers)),
        "unlike": _now_or_lasting(numbers, "unlike", _unlike(numbers)),
        "measured": _calibration(numbers),
        "precision-by-class": _class_precision(numbers),
        **{
            input_.slug: _now_or_lasting(numbers, input_.measure, _input(input_, numbers))
            for input_ in numbers.inputs
        },
        "latency": _latency(numbers),
        "what-if": _thresholds(numbers),
        "challenger": _challenger(numbers),
        "behind": [*_unanswered(numbers), *_models(numbers)],
    }
    found = [replace(finding, section=section) for section, found in by_section.items() for finding in found]
    findings = sorted(found, key=lambda finding: not finding.attention)
    urgent = [finding for finding in findings if finding.attention]
    return Verdict(not urgent, _sentence(numbers, urgent, today), findings, _steps(numbers))


def _steps(numbers: Numbers) -> list[Step]:
    """Return what to do next, whatever the findings: each is a command and its gain."""
    failed, to_review = numbers.summary.tally[Outcome.FAILED], numbers.summary.to_review
    certificate = numbers.certificate
    steps = []
    if failed:
        steps.append(Step(how("redrive", APPLY=""), f"{plural(failed, 'image')} may get an answer after all"))
    if to_review:
        what = f"{plural(to_review, 'image')} {'gets' if to_review == 1 else 'get'} a person's decision"
        steps.append(Step(how("review", WEEK=str(numbers.week)), what))
    if certificate and certificate.state is State.OPEN and certificate.to_go:
        what = (
            f"{plural(certificate.to_go, 'label')}, if each shows a correct answer, certify that at least "
            f"{100 * certificate.target:.4g}{SPACE}% of the accepted images are right"
        )
        steps.append(Step(how("certify", WEEK=str(numbers.week)), what))
    compared = numbers.challenger
    if compared and compared.labels.state is duel.State.PROMOTE:
        better, worse = short(compared.challenger_version or ""), short(compared.model_version)
        steps.append(Step(how("promote"), f"{better} decides instead of {worse}"))
    return steps


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


def _not_sent() -> str:
    return f"Ask who uploads them; if images were uploaded, run {how('audit')}."


def _silent(days: Sequence[SilentDay]) -> list[Finding]:
    if not days:
        return []
    images = sum(day.usual_images for day in days)
    what = f"No images on {weekdays([day.dt for day in days])}, usually {plural(round(images), 'image')}."
    return [Finding(True, what, _not_sent())]


def _volume(numbers: Numbers) -> list[Finding]:
    volume = numbers.volume
    if not volume or not volume.images or volume.p_value >= UNUSUAL_P:
        return []
    if volume.images > FEWER * volume.usual_images:
        return []
    share = percent(volume.images / volume.usual_images)
    what = f"Only {plural(volume.images, 'image')}, {share} of the usual {volume.usual_images:,.0f}."
    return [Finding(volume.images <= FAR_FEWER * volume.usual_images, what, _not_sent())]


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
    return [Finding(True, what, f"Find them and send them again: {how('audit')}, then {how('redrive')}.")]


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
    return [Finding(many_failed(tally), what, f"Classify them again: {how('redrive')}.")]


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
    return [Finding(True, what, _LOOK["rejected"])]


def _folders(numbers: Numbers, today: date) -> list[Finding]:
    """Find folders with fewer accepted images than before, and folders without new images."""
    found = []
    fallen = [of for of in numbers.folders if of.fallen]
    if seems_fallen := fallen or [of for of in numbers.folders if of.seems_fallen]:
        worst = seems_fallen[0]
        what = (
            f"{percent(worst.accepted_share)} of the images in {folder(worst.folder)} were accepted, "
            f"{percent(worst.baseline_accepted_share)} before{_and_others(seems_fallen)}."
        )
        if _threshold_moved(numbers, up=True):
            found.append(Finding(False, what, _EXPLAINED))
        elif fallen:
            found.append(Finding(True, what, _LOOK_AT_FOLDER))
        else:
            found.append(Finding(False, what, f"This could be chance. {_LOOK_AT_FOLDER}"))
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


def _still_blind(numbers: Numbers) -> list[Finding]:
    """Find folders that stay fallen: the week before is no measure of them."""
    still = [of for of in numbers.folders if of.weeks_fallen > 1 and not of.fallen]
    if not still:
        return []
    worst = min(still, key=lambda of: of.accepted_share or 0)
    what = (
        f"{_nth_week(worst.weeks_fallen)}: {percent(worst.accepted_share)} of the images in "
        f"{folder(worst.folder)} were accepted, {percent(worst.reference_accepted_share)} in "
        f"{_reference(numbers)}{_and_others(still)}."
    )
    return [Finding(True, what, _LOOK_AT_FOLDER)]


def _now_or_lasting(numbers: Numbers, measure: str, now: list[Finding]) -> list[Finding]:
    """Return what is found about the week itself, unless only something that lasts needs attention."""
    if any(finding.attention for finding in now):
        return now
    return _lasting(numbers, measure) or now


def _lasting(numbers: Numbers, measure: str) -> list[Finding]:
    """Find that a measure has been far from the reference weeks for two weeks or more; later, note it.

    What the images are like, such as their light, changes with the seasons: it is noted only.

    Both weeks must be far, and together they must be beyond chance and the scatter of days. Weeks are counted
    on over earlier pairs that are as far: what was said to last is not said to be new when one week, or a
    reference that moves, came near.
    """
    memory, found = numbers.memory, 0
    for back, together in enumerate(memory.pairs):
        now, before = (memory.weeks[place][measure] for place in (back, back + 1))
        far = _is_far(measure, now) and _is_far(measure, before) and _direction(before, now) >= 0
        if not far or together[measure].shift.p_value >= LASTING_P:
            break
        found += 1
    if not found:
        return []
    now = memory.weeks[0][measure]
    earlier = (pair[measure] for pair in memory.pairs[found:])
    as_far = list(takewhile(lambda pair: _is_far(measure, pair) and _direction(pair, now) >= 0, earlier))
    what = f"{_nth_week(found + len(as_far) + 1)}: {_drifted(numbers, measure, now)}."
    is_input = any(input_.measure == measure for input_ in numbers.inputs)
    return [Finding(found < len(memory.pairs) and not is_input, what, _LOOK[measure])]


def _is_far(measure: str, departure: Departure) -> bool:
    """Return whether a departure is large, by the lines of the week's own findings."""
    if measure in _SHARE_POINTS:
        return abs(departure.share.points) >= _SHARE_POINTS[measure]
    is_far = departure.shift.size == "large"
    return is_far or (measure == "label" and departure.moved >= CLASS_POINTS)


def _direction(departure: Departure, other: Departure) -> float:
    """Return whether the share that moved most in one moved the same way in the other: its sign."""
    if not departure.shares or not other.shares:
        return 0.0
    moved = other.most
    return moved.points * next((of.points for of in departure.shares if of.name == moved.name), 0.0)


def _drifted(numbers: Numbers, measure: str, departure: Departure) -> str:
    then = _reference(numbers)
    if measure in _SHARE_POINTS:
        share, usual = percent(departure.share.share), percent(departure.share.usual_share)
        return f"{share} of the images {_DOES[measure]}, {usual} in {then}"
    if measure == "label":
        moved = departure.most
        share, usual = percent(moved.share), percent(moved.usual_share)
        return f"{share} of the classified images are {short(moved.name)}, {usual} in {then}"
    names = {input_.measure: f"{input_.name.lower()} of the images" for input_ in numbers.inputs}
    name = names.get(measure, "model's confidence")
    return f"the {name} is not what it was in {then}"


def _nth_week(weeks: int) -> str:
    return {2: "Second week in a row", 3: "Third week in a row"}.get(weeks, "Fourth week or longer")


def _reference(numbers: Numbers) -> str:
    weeks = numbers.memory.reference
    return f"{weeks[0]} to {weeks[-1]}"


def _and_others(folders: Sequence[Folder]) -> str:
    more = len(folders) - 1
    return f"; the same applies to {plural(more, 'other folder')}" if more else ""


def _classes(numbers: Numbers) -> list[Finding]:
    classes = numbers.departures["label"]
    if classes.shift.size == "unknown" or not classes.significant:
        return []
    if classes.shift.size == "small" and classes.moved < CLASS_POINTS / 2:
        return []
    is_large = classes.shift.size == "large" or classes.moved >= CLASS_POINTS
    most = classes.most
    what = (
        f"The mix of classes has shifted: {percent(most.share)} of the classified images are "
        f"{short(most.name)}, usually {percent(most.usual_share)}."
    )
    # All shares move together: a shift that people want to see is far beyond the usual level.
    return [Finding(is_large and classes.shift.p_value < SIGNIFICANT_P, what, _LOOK["label"])]


def _confidence(numbers: Numbers) -> list[Finding]:
    confidence, now = numbers.departures["confidence"], numbers.summary.mean_confidence
    if confidence.shift.size in ("unknown", "small") or not confidence.significant:
        return []
    usual = _usual_mean_confidence(numbers)
    what = f"The model's confidence has shifted: its mean is {percent(now)}, usually {percent(usual)}."
    return [Finding(confidence.shift.size == "large", what, _LOOK["confidence"])]


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
        look = _LOOK["below"] if below.points > 0 else "Label some accepted images."
        if _threshold_moved(numbers, up=below.points > 0):
            return [Finding(False, what, _EXPLAINED)]
        return [Finding(True, what, look)]
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
    return [Finding(True, what, _LOOK["unlike"])]


def _calibration(numbers: Numbers) -> list[Finding]:
    measured = numbers.measured
    if not measured or measured.precision is None or measured.expected_precision is None:
        return []
    low, high = measured.interval
    gap = measured.expected_precision - measured.precision
    if low <= measured.expected_precision <= high or abs(gap) < PRECISION_POINTS:
        return []
    what = (
        f"People checked {plural(measured.accepted, 'accepted image')}: {percent(measured.precision)} are "
        f"right{' (weighted)' if measured.is_sample else ''}; the model expected "
        f"{percent(measured.expected_precision)}."
    )
    labels = measured.effective_labels
    low, high = exact_interval(measured.precision * labels, labels, 1 - SIGNIFICANT_P)
    if low <= measured.expected_precision <= high or measured.accepted < ENOUGH_LABELS:
        more = math.ceil(_settling_labels(measured.expected_precision, gap) - labels)
        check = how("review", WEEK=str(numbers.week), SAMPLE=str(max(more, 1)))
        action = f"This could be chance: {check} settles it."
        return [Finding(False, what, action)]
    return [Finding(True, what, "Recalibrate the model and choose the threshold again.")]


def _settling_labels(share: float, gap: float) -> float:
    """Return how many labels tell a share from one that far away, at `SIGNIFICANT_P`."""
    return max(_Z_SIGNIFICANT**2 * share * (1 - share) / gap**2, ENOUGH_LABELS)


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


def _input(input_: Input, numbers: Numbers) -> list[Finding]:
    departure = numbers.departures[input_.measure]
    shift = departure.shift
    if shift.size in ("unknown", "small") or not departure.significant:
        return []
    what = f"{input_.name} of the images is not as usual"
    if numbers.compare and input_.p50 is not None and input_.baseline_p50 is not None:
        now, then = input_.in_words(input_.p50), input_.in_words(input_.baseline_p50)
        what += f": half of them are below {now}, in {numbers.compare} below {then}"
    what += "."
    return [Finding(shift.size == "large" and shift.p_value < INPUT_P, what, _LOOK[input_.measure])]


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
        what = f"{len(now)} model versions decided this week: {first_of(now, _NAMED)}."
        return [
            Finding(False, what, "The numbers combine them; compare full weeks before and after the change.")
        ]
    if not now or not then or now == then:
        return []
    what = f"The model changed from {first_of(then, _NAMED)} to {first_of(now, _NAMED)}."
    return [Finding(False, what, "Other changes may be due to it.")]


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
    return [Finding(False, what, "Review shares before and after it cannot be compared.")]


def _challenger(numbers: Numbers) -> list[Finding]:
    compared = numbers.challenger
    if not compared:
        return []
    if not compared.images:
        see = "No outcome depends on it; the view challenger_answers has the reasons."
        return [Finding(False, f"The challenger {challenger.takeaway(compared)}", see)]
    what = f"Challenger {short(compared.challenger_version or '')}: {challenger.verdict(compared)}"
    action = {
        duel.State.PROMOTE: "The model in use then becomes the challenger, which is the way back.",
        duel.State.KEEP: "End the comparison, or compare another model.",
        duel.State.NOT_YET: f"Labels of images that were drawn at random decide: {how('review')}.",
    }[compared.labels.state]
    return [Finding(False, what, action)]
