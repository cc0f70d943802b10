"""Learns from labelled images: a correction of a model's last layer, on features that stay as they are. Pure.

The correction is a logistic regression on top of the present logits, with a penalty that holds it near 0.
Images that show none of the classes are taught to be equally likely of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.stats import binomial_tail
from model.calibrate import Floats, Ints, softmax

NONE = -1
"""Label of an image that shows none of the classes."""
SURE = 0.95
FOLDS = 5
LEAST_LABELS = 20
"""With fewer labels there is nothing to compare."""

_PENALTIES = (0.003, 0.03, 0.3)
_COMPONENTS = 128
_STEPS = 150
_FLAT = 0.001
"""Length of the gradient below which the weights hardly change any more."""
_REMEMBERED = 8
"""Steps that tell the curvature."""
_LEAST_DESCENT = 1e-4
_LEAST_PART = 1e-3
"""A step is halved until it descends by a little of what its slope promises, or is so short."""


@dataclass(frozen=True)
class Correction:
    """What is added to the logits (divided by the temperature): `features @ weight.T + bias`."""

    weight: Floats
    """`(k, d)`."""
    bias: Floats
    """`(k,)`."""

    def probabilities(self, features: Floats, present: Floats) -> Floats:
        """Return corrected probabilities `(n, k)` from features `(n, d)` and the present probabilities."""
        return softmax(_logarithm(present) + features @ self.weight.T + self.bias)


@dataclass(frozen=True)
class Comparison:
    """The corrected model beside the present one, on images that the correction did not learn from."""

    labels: int
    right: int
    right_before: int
    wins: int
    """Images that only the corrected model gets right."""
    losses: int
    """Images that only the present model gets right."""
    p_value: float
    """Probability of as many wins if the corrected model is not better: an exact paired test (McNemar)."""

    @property
    def is_better(self) -> bool:
        """Whether the corrected model is better for certain."""
        return self.p_value <= 1 - SURE

    @property
    def missing_labels(self) -> int | None:
        """About how many more labels would show it at these rates; None if it does not look better."""
        if self.is_better or self.wins <= self.losses:
            return None
        labels = self.labels
        while labels < 100 * self.labels:
            labels += max(1, labels // 50)
            scale = labels / self.labels
            wins, losses = round(self.wins * scale), round(self.losses * scale)
            if binomial_tail(losses, wins + losses, 0.5) <= 1 - SURE:
                return labels - self.labels
        return None


def learn(
    features: Floats,
    present: Floats,
    labels: Ints,
    accepts: Callable[[Floats], NDArray[np.bool_]],
    seed: int = 0,
) -> tuple[Correction, Floats, Comparison]:
    """Return a correction, its out-of-fold probabilities `(n, k)`, and how it compares.

    Args:
        features: `(n, d)`.
        present: probabilities `(n, k)` of the present model.
        labels: `(n,)`, indices of classes, or `NONE`.
        accepts: which of the probabilities `(n, k)` are accepted, `(n,)`. An image of none of the classes is
            right where it is not accepted.
        seed: of the folds.
    """
    fold = np.random.default_rng(seed).permutation(np.arange(len(labels)) % FOLDS)
    out_of_fold = np.empty_like(present)
    for i in range(FOLDS):
        kept, held = fold != i, fold == i
        found = _fitted(features[kept], present[kept], labels[kept], seed)
        out_of_fold[held] = found.probabilities(features[held], present[held])
    right, before = (_is_right(scores, labels, accepts(scores)) for scores in (out_of_fold, present))
    wins, losses = int((right & ~before).sum()), int((before & ~right).sum())
    p_value = binomial_tail(losses, wins + losses, 0.5) if wins + losses else 1.0
    comparison = Comparison(len(labels), int(right.sum()), int(before.sum()), wins, losses, p_value)
    return _fitted(features, present, labels, seed), out_of_fold, comparison


def _is_right(probabilities: Floats, labels: Ints, accepted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = np.where(labels != NONE, probabilities.argmax(axis=1) == labels, ~accepted)
    return right


def _fitted(features: Floats, present: Floats, labels: Ints, seed: int) -> Correction:
    """Return the correction whose penalty does best on a part of the images that it is not fitted on.

    Classes without a label keep their logits: the effort grows with the labels, and not with the classes.
    """
    taught = np.unique(labels[labels != NONE])
    mean, deviation, axes = _components(features)
    components = (features - mean) / deviation @ axes
    rows = np.hstack([components, np.ones((len(components), 1))]).astype(np.float32)
    base = _logarithm(_others_as_one(present, taught)).astype(np.float32)
    target = _others_as_one(_targets(labels, present.shape[1]), taught).astype(np.float32)
    part = np.random.default_rng(seed + 1).permutation(np.arange(len(labels)) % 3)

    def loss(penalty: float) -> float:
        total = 0.0
        for i in range(3):
            kept, held = part != i, part == i
            weight = _regress(rows[kept], base[kept], target[kept], penalty)
            total -= float((target[held] * _logarithm(softmax(base[held] + rows[held] @ weight))).sum())
        return total

    found = _regress(rows, base, target, min(_PENALTIES, key=loss)).astype(np.float64)
    correction = Correction(np.zeros((present.shape[1], features.shape[1])), np.zeros(present.shape[1]))
    correction.weight[taught] = (axes @ found[:-1, :-1] / deviation[:, None]).T
    correction.bias[taught] = found[-1, :-1] - correction.weight[taught] @ mean
    return correction


def _others_as_one(probabilities: Floats, taught: Ints) -> Floats:
    """Return the columns of the taught classes, and last the sum of all others, `(n, m + 1)`."""
    others = np.delete(probabilities, taught, axis=1).sum(axis=1, keepdims=True)
    result: Floats = np.hstack([probabilities[:, taught], others])
    return result


def _targets(labels: Ints, class_count: int) -> Floats:
    target = np.full((len(labels), class_count), 1 / class_count)
    target[labels != NONE] = np.eye(class_count)[labels[labels != NONE]]
    return target


def _components(features: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, deviation and main axes `(d, c)` of features: more axes than images tell nothing."""
    mean = features.mean(axis=0)
    deviation = features.std(axis=0) + 1e-3 * (features.std() + 1e-12)
    _, _, axes = np.linalg.svd((features - mean) / deviation, full_matrices=False)
    return mean, deviation, axes[: min(_COMPONENTS, len(features) // 2)].T


def _regress(rows: Floats, base: Floats, target: Floats, penalty: float) -> Floats:
    """Return the weight `(d, m + 1)` of a penalised logistic regression on `rows` with given base logits.

    The last column, of all other classes together, stays 0. By L-BFGS, in the precision of the arguments:
    Nocedal & Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5.
    """
    weight = np.zeros((rows.shape[1], target.shape[1]), rows.dtype)
    loss, slope = _loss(rows, base, target, penalty, weight)
    curvature = 0.5 * float(np.linalg.norm(rows, 2)) ** 2 / len(rows) + penalty
    past: list[tuple[Floats, Floats, float]] = []
    for _ in range(_STEPS):
        if float(np.linalg.norm(slope)) <= _FLAT:
            break
        step = -_direction(slope, past, 1 / curvature)
        part, descent = 1.0, float(np.vdot(slope, step))
        while True:
            new_loss, new_slope = _loss(rows, base, target, penalty, weight + part * step)
            if new_loss <= loss + _LEAST_DESCENT * part * descent or part < _LEAST_PART:
                break
            part /= 2
        moved, bent = part * step, new_slope - slope
        if (product := float(np.vdot(moved, bent))) > 0:
            past = [*past[1 - _REMEMBERED :], (moved, bent, 1 / product)]
        weight, loss, slope = weight + moved, new_loss, new_slope
    return weight


def _loss(rows: Floats, base: Floats, target: Floats, penalty: float, weight: Floats) -> tuple[float, Floats]:
    """Return the mean cross-entropy with its penalty, and its gradient, `(d, m + 1)`."""
    scores = base + rows @ weight
    scores -= scores.max(axis=1, keepdims=True)
    fit = float((target * scores).sum())
    powers = np.exp(scores, out=scores)
    totals = powers.sum(axis=1, keepdims=True)
    loss = (float(np.log(totals).sum()) - fit) / len(rows) + penalty / 2 * float((weight**2).sum())
    slope = rows.T @ (powers / totals - target) / len(rows) + penalty * weight
    slope[:, -1] = 0
    return loss, slope


def _direction(slope: Floats, past: Sequence[tuple[Floats, Floats, float]], scale: float) -> Floats:
    """Return the slope times an estimate of the inverse curvature, from the last steps."""
    direction = slope.copy()
    shares = []
    for moved, bent, factor in reversed(past):
        shares.append(factor * np.vdot(moved, direction))
        direction -= shares[-1] * bent
    if past:
        moved, bent, factor = past[-1]
        scale = 1 / (factor * float(np.vdot(bent, bent)))
    direction *= scale
    for (moved, bent, factor), share in zip(past, reversed(shares), strict=True):
        direction += moved * (share - factor * np.vdot(bent, direction))
    return direction


def _logarithm(probabilities: Floats) -> Floats:
    result: Floats = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12))
    return result
