"""Labels that are probably wrong, by predictions of images that the model did not learn from.

Source: Northcutt, Jiang, Chuang, "Confident learning", J. Artificial Intelligence Research 70 (2021).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.calibrate import Floats, Ints
from model.data.dataset import Dataset, near_pairs

MOST = 200
"""Most labels, and most pairs of near duplicates, that are listed."""
_SHOWN = 10


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong."""

    image: str
    label: str
    rather: str
    """Class that the predictions name."""
    probability: float
    """Predicted probability of its label."""


@dataclass(frozen=True)
class LabelErrors:
    """What looks wrong in labelled data."""

    suspects: list[Suspect]
    """The most probable ones first."""
    near_duplicates: list[tuple[str, str]]
    """Nearly identical images with different labels: the first ones."""
    pairs: int
    """How many such pairs there are."""

    def lines(self) -> list[str]:
        """Return them for people: the first few."""
        suspects = [
            f"  {each.image}: labelled {each.label}, rather {each.rather} ({each.probability:.3f})"
            for each in self.suspects[:_SHOWN]
        ]
        shown = [f"  {one} and {other}" for one, other in self.near_duplicates[:_SHOWN]]
        return [
            f"{len(self.suspects)} labels are probably wrong{':' if suspects else ''}",
            *suspects,
            *([f"{self.pairs} pairs of nearly the same images have two labels:"] if shown else []),
            *shown,
        ]

    def for_json(self) -> dict[str, Any]:
        """Return them for JSON."""
        return {
            "probably_wrong": [asdict(each) for each in self.suspects],
            "near_duplicates_with_two_labels": [list(pair) for pair in self.near_duplicates],
            "near_duplicate_pairs": self.pairs,
        }


def find(data: Dataset, probabilities: Floats) -> LabelErrors:
    """Return what looks wrong among labelled images.

    Args:
        data: images with their labels.
        probabilities: `(n, k)`, predicted for images that the model did not learn from.
    """
    suspects = [
        Suspect(
            image=data.names[i],
            label=data.classes[data.labels[i]],
            rather=data.classes[_rather(probabilities[i], data.labels[i])],
            probability=round(float(probabilities[i, data.labels[i]]), 4),
        )
        for i in suspicious(probabilities, data.labels)[:MOST]
    ]
    pairs = [(i, j) for i, j in near_pairs(data.pixels) if data.labels[i] != data.labels[j]]
    return LabelErrors(suspects, [(data.names[i], data.names[j]) for i, j in pairs[:MOST]], len(pairs))


def suspicious(probabilities: Floats, labels: Ints) -> Sequence[int]:
    """Return the images whose labels are probably wrong, the most probable ones first.

    An image is one of them if another class is more probable for it than its label, and at least half as
    probable as for the images with that label on average. They are ordered by how much more probable it is.
    (Confident learning asks for the whole average, and so misses a quarter of the planted errors.)
    """
    rows = np.arange(len(labels))
    usual = np.array(
        [
            probabilities[labels == k, k].mean() if (labels == k).any() else np.inf
            for k in range(probabilities.shape[1])
        ]
    )
    others = np.where(probabilities >= usual / 2, probabilities, -np.inf)
    others[rows, labels] = -np.inf
    margin = probabilities[rows, labels] - others.max(axis=1)
    found = np.flatnonzero(margin < 0)
    return [int(i) for i in found[np.argsort(margin[found], kind="stable")]]


def _rather(probabilities: Floats, label: int) -> int:
    others = probabilities.copy()
    others[label] = -np.inf
    return int(others.argmax())
