"""Calibration: temperature, thresholds, and every figure of the card, from predictions.

Pure functions on `probabilities` `(n, k) float` and `labels` `(n,) int`; numpy is all they need.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest import stats

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

ECE_BINS = 15
"""Bins of equal width: Guo et al. 2017, "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599"""
THRESHOLDS = np.concatenate([np.arange(500, 1000) / 1000, [0.9995, 0.9999, 1.0]])
"""Candidates for a threshold: numbers that a person can read, write and compare. None is below a half: a
label that is less likely than all others together is never accepted."""
CONFUSED_WITH = 10
"""Other classes in a row of the confusion matrix: whole, a card of a thousand classes would have 23 MB."""
TARGET_PRECISION = 0.99
"""Precision that is asked for where a card names none."""
TEMPERATURES = 0.25, 10.0
"""Range of the search. Without it, predictions without an error would get infinite confidence."""


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in `(low, high]`."""

    low: float
    high: float
    images: int
    confidence: float
    """Mean confidence."""
    accuracy: float


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Return probabilities `(n, k)`; a temperature above 1 lowers confidence, one below 1 raises it."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Return the mean negative log likelihood of the true labels, in nats."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """Return the temperature, within `TEMPERATURES`, that makes the labels most likely given logits `(n, k)`.

    The loss has a single minimum in log T (it is convex in 1/T), so that a golden-section search finds it.
    """
    low, high = np.log(TEMPERATURES)
    ratio = (np.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        return log_loss(softmax(logits, float(np.exp(log_temperature))), labels)

    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return round(float(np.exp((low + high) / 2)), 4)


def reliability(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> list[Bin]:
    """Return the bins of confidence that hold predictions, in ascending order."""
    confidence, correct = _confidence(probabilities), _correct(probabilities, labels)
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            images=int((index == i).sum()),
            confidence=float(confidence[index == i].mean()),
            accuracy=float(correct[index == i].mean()),
        )
        for i in sorted(set(index.tolist()))
    ]


def expected_calibration_error(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> float:
    """Return the mean gap between confidence and accuracy, 0 to 1, weighted by the images in each bin."""
    return stats.expected_calibration_error(
        [
            stats.Bin(b.images, b.confidence * b.images, round(b.accuracy * b.images))
            for b in reliability(probabilities, labels, bins)
        ]
    )


def choose_threshold(confidence: Floats, correct: NDArray[np.bool_], target_precision: float) -> float:
    """Return the lowest of `THRESHOLDS` that reaches the target precision.

    Accepted is `confidence >= threshold`. One error more than was seen is counted,
    (errors + 1) / (accepted + 1), so that the precision holds for new images on average and not just for
    these: the correction of conformal risk control, https://arxiv.org/abs/2208.02814. If no threshold will
    do, 1.0 is returned: nothing but a certainty is accepted.
    """
    for threshold in THRESHOLDS:
        accepted = confidence >= threshold
        errors = int((~correct[accepted]).sum())
        if (errors + 1) / (int(accepted.sum()) + 1) <= 1 - target_precision + 1e-12:
            return float(threshold)
    return 1.0


def choose_thresholds(
    probabilities: Floats, labels: Ints, classes: Sequence[str], target_precision: float
) -> tuple[float, dict[str, float]]:
    """Return the threshold for all predictions, and one for the predictions of each class that needs its own.

    A class whose predictions cannot show that they are as precise as asked for, and do not show the contrary
    either, has none: the threshold for all applies to it. The contrary is shown where, at that threshold,
    even one error less than was seen would be too many; nothing of such a class is accepted.
    """
    confidence, correct = _confidence(probabilities), _correct(probabilities, labels)
    predicted = probabilities.argmax(axis=1)
    overall = choose_threshold(confidence, correct, target_precision)
    per_class = {}
    for i, name in enumerate(classes):
        mine = predicted == i
        own = choose_threshold(confidence[mine], correct[mine], target_precision)
        accepted = mine & (confidence >= overall)
        errors = int((~correct[accepted]).sum())
        if own < 1.0 or errors - 1 > (1 - target_precision) * int(accepted.sum()):
            per_class[name] = own
    return overall, per_class


def accepted(
    probabilities: Floats, classes: Sequence[str], threshold: float, thresholds: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Return which predictions are accepted, `(n,)`, where `threshold` is that of a class without its own."""
    return _accepted(probabilities, np.array([thresholds.get(name, threshold) for name in classes]))


def acceptance(probabilities: Floats, labels: Ints, threshold: float | Floats) -> dict[str, Any]:
    """Return how many predictions a threshold, or one per class `(k,)`, accepts, and their precision.

    `precision` is None when nothing is accepted. `precision_at_least_95` is its one-sided exact lower bound:
    a model whose precision is lower would do so well in at most 5 % of such data.
    """
    taken = _accepted(probabilities, threshold)
    count = int(taken.sum())
    errors = int((~_correct(probabilities, labels)[taken]).sum())
    return {
        "accepted": count,
        "coverage": _rounded(count / len(labels)),
        "errors": errors,
        "precision": _rounded(1 - errors / count) if count else None,
        "precision_at_least_95": _rounded_down(stats.exact_lower_bound(count - errors, count)),
    }


def cross_fitted_acceptance(
    logits: Floats, labels: Ints, fold: Ints, target_precision: float
) -> dict[str, Any]:
    """Return what a threshold accepts of images that did not choose it.

    Temperature and threshold are fitted on all folds but one and applied to that one, `fold` `(n,) int`.
    """
    accepted = errors = 0
    for i in np.unique(fold):
        held, kept = fold == i, fold != i
        temperature = fit_temperature(logits[kept], labels[kept])
        fitted = softmax(logits[kept], temperature)
        threshold = choose_threshold(_confidence(fitted), _correct(fitted, labels[kept]), target_precision)
        result = acceptance(softmax(logits[held], temperature), labels[held], threshold)
        accepted += result["accepted"]
        errors += result["errors"]
    return {
        "accepted": accepted,
        "coverage": _rounded(accepted / len(labels)),
        "errors": errors,
        "precision": _rounded(1 - errors / accepted) if accepted else None,
        "precision_at_least_95": _rounded_down(stats.exact_lower_bound(accepted - errors, accepted)),
    }


def risk_coverage(probabilities: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """Return coverage and risk, each `(n,)`, when the 1, 2, … n most confident predictions are accepted."""
    order = np.argsort(-_confidence(probabilities), kind="stable")
    errors = np.cumsum(~_correct(probabilities, labels)[order])
    counts = np.arange(1, len(labels) + 1)
    return counts / len(labels), errors / counts


def guaranteed_threshold(
    confidence: Floats, correct: NDArray[np.bool_], target_precision: float, sure: float = 0.95
) -> float | None:
    """Return the lowest threshold whose precision is at least the target, as sure as asked for; None without
    one.

    Thresholds are tested from the highest that accepts enough images downwards, each at the whole level,
    until one fails (fixed sequence testing). Labels choose where it ends, and not where it begins, so that
    the whole procedure keeps the level: Angelopoulos et al., "Learn then test",
    https://arxiv.org/abs/2110.01052.
    """
    least = stats.labels_needed(target_precision, 0, sure)
    found = None
    for threshold in THRESHOLDS[::-1]:
        accepted = confidence >= threshold
        images, errors = int(accepted.sum()), int((~correct[accepted]).sum())
        if images < least:
            continue
        if stats.binomial_tail(errors, images, 1 - target_precision) > 1 - sure:
            break
        found = float(threshold)
    return found


def auroc_of_errors(confidence: Floats, correct: NDArray[np.bool_]) -> float | None:
    """Return how often a right prediction has a higher confidence than a wrong one; None without both kinds.

    It is the area under the ROC curve. Ties count half.
    """
    right, wrong = np.sort(confidence[correct]), confidence[~correct]
    if not len(right) or not len(wrong):
        return None
    below, not_above = np.searchsorted(right, wrong, "left"), np.searchsorted(right, wrong, "right")
    return float(1 - (below + not_above).sum() / (2 * len(right) * len(wrong)))


def calibration_error_by_chance(probabilities: Floats, labels: Ints, bins: int = ECE_BINS) -> float:
    """Return the calibration error that a perfectly calibrated model shows on average with as many images."""
    found = reliability(probabilities, labels, bins)
    chance = sum(b.images * stats.expected_gap_by_chance(b.images, b.confidence) for b in found)
    return float(chance / len(labels))


def figures(
    probabilities: Floats,
    labels: Ints,
    classes: Sequence[str],
    threshold: float,
    thresholds: Mapping[str, float],
    target_precision: float,
) -> dict[str, Any]:
    """Return every figure about predictions that the card and `make evaluate` show, ready for JSON.

    `threshold` is that of every class that has none of its own in `thresholds`. `guaranteed` is what a
    threshold accepts that carries a guarantee of the target precision, with 95 % confidence; None without
    one. `confusion` has, for the images of each class, how many were predicted as it and as each of the
    `CONFUSED_WITH` others that are predicted most often.
    """
    confidence, correct = _confidence(probabilities), _correct(probabilities, labels)
    guaranteed = guaranteed_threshold(confidence, correct, target_precision)
    ece = expected_calibration_error(probabilities, labels)
    by_chance = calibration_error_by_chance(probabilities, labels)
    auroc = auroc_of_errors(confidence, correct)
    predicted = probabilities.argmax(axis=1)
    right = int((predicted == labels).sum())
    low, high = stats.wilson_interval(right, len(labels))
    counts = np.bincount(labels, minlength=len(classes))
    confusion = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(confusion, (labels, predicted), 1)
    levels = sorted({0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, threshold})
    per_class = np.array([thresholds.get(name, threshold) for name in classes])
    return {
        "images": len(labels),
        "accuracy": _rounded(right / len(labels)),
        "accuracy_interval_95": [_rounded(low), _rounded(high)],
        "majority_baseline": _rounded(float(counts.max()) / len(labels)),
        "recall": {
            name: _rounded(float(confusion[i, i]) / float(counts[i])) if counts[i] else None
            for i, name in enumerate(classes)
        },
        "confusion": {name: _most(confusion[i], i, classes) for i, name in enumerate(classes)},
        "errors": len(labels) - right,
        "auroc_of_errors": None if auroc is None else _rounded(auroc),
        "risk_coverage_area": _rounded(float(risk_coverage(probabilities, labels)[1].mean())),
        "ece": _rounded(ece),
        "ece_by_chance": _rounded(by_chance),
        "ece_debiased": _rounded(max(ece - by_chance, 0.0)),
        "log_loss": _rounded(log_loss(probabilities, labels)),
        "at_threshold": {"threshold": threshold, **acceptance(probabilities, labels, threshold)},
        "at_class_thresholds": acceptance(probabilities, labels, per_class),
        "guaranteed": None
        if guaranteed is None
        else {
            "target_precision": target_precision,
            "threshold": guaranteed,
            **acceptance(probabilities, labels, guaranteed),
        },
        "by_threshold": [
            {"threshold": level, **acceptance(probabilities, labels, level)} for level in levels
        ],
    }


def _most(row: Ints, own: int, classes: Sequence[str]) -> dict[str, int]:
    others = [int(i) for i in np.argsort(-row, kind="stable") if i != own]
    return {classes[i]: int(row[i]) for i in sorted([own, *others[:CONFUSED_WITH]])}


def _accepted(probabilities: Floats, threshold: float | Floats) -> NDArray[np.bool_]:
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), probabilities.shape[1:])
    result: NDArray[np.bool_] = _confidence(probabilities) >= limits[probabilities.argmax(axis=1)]
    return result


def _confidence(probabilities: Floats) -> Floats:
    result: Floats = probabilities.max(axis=1)
    return result


def _correct(probabilities: Floats, labels: Ints) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = probabilities.argmax(axis=1) == labels
    return result


def _rounded(value: float) -> float:
    return round(value, 4)


def _rounded_down(value: float) -> float:
    """Round a lower bound so that it does not claim too much."""
    return math.floor(value * 10_000) / 10_000
