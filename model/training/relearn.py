"""Learns from labelled images: a correction of a model's last layer, on features that stay as they are. Pure.

The correction is a logistic regression on top of the present logits, with a penalty that holds it near 0.
Images that show none of the classes are taught to be equally likely of each.
"""

from collections.abc import Callable
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
    """Return the correction whose penalty does best on a part of the images that it is not fitted on."""
    target = _targets(labels, present.shape[1])
    mean, deviation, axes = _components(features)
    x = (features - mean) / deviation @ axes
    base = _logarithm(present)
    part = np.random.default_rng(seed + 1).permutation(np.arange(len(labels)) % 3)

    def loss(penalty: float) -> float:
        total = 0.0
        for i in range(3):
            kept, held = part != i, part == i
            weight, bias = _regress(x[kept], base[kept], target[kept], penalty)
            total -= float((target[held] * _logarithm(softmax(base[held] + x[held] @ weight + bias))).sum())
        return total

    weight, bias = _regress(x, base, target, min(_PENALTIES, key=loss))
    back = (axes @ weight) / deviation[:, None]
    return Correction(back.T, bias - mean @ back)


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


def _regress(x: Floats, base: Floats, target: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Return weight `(d, k)` and bias `(k,)` of a penalised logistic regression with given base logits.

    By Nesterov's accelerated gradient, whose step is set by the largest curvature.
    """
    rows = np.hstack([x, np.ones((len(x), 1))])
    curvature = 0.5 * float(np.linalg.norm(rows, 2)) ** 2 / len(rows) + penalty
    weight = ahead = np.zeros((rows.shape[1], target.shape[1]))
    for step in range(_STEPS):
        slope = rows.T @ (softmax(base + rows @ ahead) - target) / len(rows) + penalty * ahead
        previous, weight = weight, ahead - slope / curvature
        ahead = weight + step / (step + 3) * (weight - previous)
    return weight[:-1], weight[-1]


def _logarithm(probabilities: Floats) -> Floats:
    result: Floats = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), 1e-12))
    return result
