"""What the week's numbers mean, and what to do about it. Pure.

A difference is worth attention when it is both large and sure; one of the two is worth a note, at most.
"""

from dataclasses import dataclass
from datetime import date

from analytics.numbers import Input, Numbers, Shift
from analytics.words import p_value, percent, plural, seconds

FAILED_SHARE = 0.005
"""More than 1 image in 200 that we failed: something is wrong with us, not with an image."""
REJECTED_POINTS = 0.02
BELOW_POINTS = 0.05
CLASS_POINTS = 0.10
PRECISION_POINTS = 0.02
"""Smaller differences of a share are not worth anyone's time, however sure they are."""
SLOWER = 2.0
SLOW_MS = 2_000.0
"""Twice as slow as before, and slow enough to be felt."""
_FEW_IMAGES = 30


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
        *_missing(numbers),
        *_failed(numbers),
        *_rejected(numbers),
        *_classes(numbers),
        *_confidence(numbers),
        *_below_threshold(numbers),
        *_calibration(numbers),
        *(finding for input_ in numbers.inputs for finding in _input(input_)),
        *_latency(numbers),
        *_models(numbers),
    ]
    findings = sorted(found, key=lambda finding: not finding.attention)
    urgent = [finding for finding in findings if finding.attention]
    return Verdict(ok=not urgent, sentence=_sentence(numbers, urgent), findings=findings)


def _sentence(numbers: Numbers, urgent: list[Finding]) -> str:
    tally = numbers.summary.tally
    if not tally.images:
        return f"No image is on record for {numbers.week}."
    images = plural(tally.images, "image")
    if urgent:
        things = "One thing needs" if len(urgent) == 1 else f"{len(urgent)} things need"
        return f"{things} attention among this week's {images}."
    nothing = "nothing changed that matters" if numbers.baseline else "nothing is amiss"
    return f"All is well: {images}, {percent(tally.accepted / tally.images)} accepted, and {nothing}."


def _empty(numbers: Numbers, today: date) -> list[Finding]:
    if numbers.summary.tally.images:
        gaps = [day.dt for day in numbers.days if day.in_week and day.dt <= today and not day.tally.images]
        if not gaps:
            return []
        names = ", ".join(f"{day:%a}" for day in gaps)
        return [Finding(False, f"No images on {names}.", "Fine if nobody sent any.")]
    before = f" The week before had {numbers.baseline.tally.images:,}." if numbers.baseline else ""
    return [
        Finding(
            True,
            f"Nothing was recorded from {numbers.week.monday} to {numbers.week.sunday}.{before}",
            "Drop an image and see whether it arrives; if it does not, look at the rule's dead-letter queue.",
        )
    ]


def _missing(numbers: Numbers) -> list[Finding]:
    missing = numbers.completeness.missing
    if not missing:
        return []
    if missing < 0:
        what = f"{-missing:,} recorded images are no longer in the bucket."
        return [Finding(False, what, "Fine if they were deleted, or expired, after they were classified.")]
    what = f"{plural(missing, 'uploaded image')} {'has' if missing == 1 else 'have'} no outcome on record."
    return [Finding(True, what, "Find and send them again: make audit, then make redrive.")]


def _failed(numbers: Numbers) -> list[Finding]:
    tally = numbers.summary.tally
    if not tally.failed:
        return []
    share = tally.failed / tally.images
    most = numbers.failures[0].reason if numbers.failures else "unknown"
    what = f"We failed {plural(tally.failed, 'image')} ({percent(share)}), mostly {most}."
    return [Finding(share > FAILED_SHARE, what, "Classify them again: make redrive.")]


def _rejected(numbers: Numbers) -> list[Finding]:
    tally, baseline = numbers.summary.tally, numbers.baseline
    if not baseline or not tally.images:
        return []
    now, then = tally.rejected / tally.images, baseline.tally.rejected / baseline.tally.images
    if now - then < REJECTED_POINTS or tally.images < _FEW_IMAGES or not numbers.rejects:
        return []
    most = numbers.rejects[0].reason
    what = f"{percent(now)} of the images were rejected, after {percent(then)}; mostly {most}."
    return [Finding(True, what, "Ask who sends them; the latest key of each reason is below.")]


def _classes(numbers: Numbers) -> list[Finding]:
    shift = numbers.class_shift
    if shift.size == "unknown" or not shift.sure:
        return []
    moved = max(numbers.classes, key=lambda entry: abs((entry.share or 0) - (entry.baseline_share or 0)))
    points = abs((moved.share or 0) - (moved.baseline_share or 0))
    if shift.size == "small" and points < CLASS_POINTS / 2:
        return []
    what = (
        f"The mix of classes has shifted ({_measure(shift)}): {moved.label} went from "
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
    names = ", ".join(f"{day.dt:%a}" for day in unusual)
    far = False
    for day in unusual:
        if day.usual is not None and day.below_share is not None:
            middle = (day.usual.low + day.usual.high) / 2
            far |= day.below_share - middle >= BELOW_POINTS
    what = f"The share below the threshold was outside its usual band on {names}."
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
    versions = sorted({str(model.model_version) for model in numbers.models})
    if len(versions) < 2:
        return []
    what = f"{len(versions)} model versions decided this week: {', '.join(versions)}."
    return [Finding(False, what, "Numbers mix them; compare weeks before and after the change.")]


def _measure(shift: Shift) -> str:
    return f"PSI {shift.psi:.2f}, {p_value(shift.p_value)}"
