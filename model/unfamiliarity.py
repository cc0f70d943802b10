"""Unfamiliarity: how unlike its classes a model finds an image, 0 to 1, and how well it tells foreign images.

A model that is taught with foreign images has a logit for each kind of them beside those of its classes. The
score of an image is how much more the kinds claim it than the classes do. A scale turns the score into the
unfamiliarity: a threshold t costs a share 1 - t of the known images that would be accepted.

Pure functions; numpy is all they need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.calibrate import Floats, Ints

THRESHOLD = 0.95
"""An image above it is reviewed, whatever its confidence: 5 % of the accepted known images are."""
_LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98])
"""Unfamiliarities whose scores are quantiles of the accepted known images."""
_TOP_SHARE = 0.95
"""Share of the foreign images whose unfamiliarity is below 1, so that it still ranks them."""
_NEAREST_SHARE = 0.25
"""Share of the kinds that count as near: those of which confidence alone accepts most."""


@dataclass(frozen=True)
class Scale:
    """A rising line through points, that turns scores into unfamiliarity."""

    scores: tuple[float, ...]
    """At least two, each larger than the one before."""
    levels: tuple[float, ...]
    """From 0 to 1, one for each score."""

    @classmethod
    def fit(cls, accepted: Floats, foreign: Floats) -> "Scale":
        """Return the scale from the scores of accepted known images and of foreign images."""
        scores = np.quantile(accepted, _LEVELS, method="higher")
        top = max(float(np.quantile(foreign, _TOP_SHARE)), float(scores[-1]))
        rising = np.maximum.accumulate([*scores, top]) + 1e-3 * np.arange(len(scores) + 1)
        return cls(tuple(np.round(rising, 4).tolist()), (*_LEVELS.tolist(), 1.0))

    def __call__(self, scores: Floats) -> Floats:
        """Return the unfamiliarity `(n,)` of scores `(n,)`."""
        result: Floats = np.interp(scores, self.scores, self.levels)
        return result


def score(logits: Floats, class_count: int) -> Floats:
    """Return the score `(n,)` of logits `(n, classes + kinds)`; the higher, the less familiar."""
    return _log_sum_exp(logits[:, class_count:]) - _log_sum_exp(logits[:, :class_count])


def auroc(known: Floats, foreign: Floats) -> float:
    """Return the chance that a foreign image scores above a known one, 0 to 1; equal scores count half."""
    ordered = np.sort(known)
    below = np.searchsorted(ordered, foreign, "left") + np.searchsorted(ordered, foreign, "right")
    return float(below.mean() / 2 / len(known))


def figures(
    known: Floats,
    known_accepted: NDArray[np.bool_],
    known_right: NDArray[np.bool_],
    foreign: Floats,
    foreign_accepted: NDArray[np.bool_],
    kinds: Ints,
    names: Sequence[str],
    threshold: float = THRESHOLD,
) -> dict[str, Any]:
    """Return how well unfamiliarity tells foreign images, ready for JSON.

    Args:
        known: unfamiliarity `(n,)` of images of the classes.
        known_accepted: whether their confidence alone would accept them, `(n,)`.
        known_right: whether their predicted class is the true one, `(n,)`.
        foreign: unfamiliarity `(m,)` of foreign images, of kinds that the model was not taught.
        foreign_accepted: whether their confidence alone would accept them, `(m,)`.
        kinds: what they show, `(m,)`, indices into `names`.
        names: of the kinds.
        threshold: above it an image is not accepted.
    """
    alone = {kind: float(foreign_accepted[kinds == kind].mean()) for kind in np.unique(kinds).tolist()}
    by_nearness = sorted(alone, key=lambda kind: (-alone[kind], names[kind]))
    near = by_nearness[: max(1, round(len(by_nearness) * _NEAREST_SHARE))]

    def group(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        accepted = foreign_accepted[chosen] & (foreign[chosen] <= threshold)
        return {
            "images": int(chosen.sum()),
            "auroc": round(auroc(known, foreign[chosen]), 4),
            "accepted_by_confidence_alone": round(float(foreign_accepted[chosen].mean()), 4),
            "accepted": round(float(accepted.mean()), 4),
        }

    is_near = np.isin(kinds, near)
    kept = known_accepted & (known <= threshold)
    return {
        "threshold": threshold,
        "known": {
            "images": len(known),
            "accepted_by_confidence_alone": int(known_accepted.sum()),
            "accepted": int(kept.sum()),
            "errors": int((kept & ~known_right).sum()),
        },
        **group(np.full(len(foreign), True)),
        "near": {"kinds": [names[kind] for kind in near], **group(is_near)},
        "far": group(~is_near),
        "by_kind": {names[kind]: group(kinds == kind) for kind in by_nearness},
    }


def _log_sum_exp(logits: Floats) -> Floats:
    highest = logits.max(axis=1, keepdims=True)
    result: Floats = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return result
