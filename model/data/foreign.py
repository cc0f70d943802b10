"""Foreign images: photos of none of the classes, from which a model learns what is unlike them.

They are a folder with a subfolder for each kind: what the images show. The figures of a model are measured on
kinds that it was not taught, so that there must be a few.
"""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.data import folder
from model.data.dataset import DataError, Dataset, without_duplicates

LEAST_KINDS = 5
"""One in so many of the kinds is left out, to measure a network on what it was not taught."""


def read(path: Path, known: Dataset, progress: folder.Progress) -> tuple[Dataset, tuple[str, ...]]:
    """Return the foreign images of a folder, whose `classes` are their kinds, and the duplicates left out.

    Copies of known images are left out too, and are not among these.

    Raises:
        DataError: there are too few kinds, a kind has the name of a class, or nothing is readable.
    """
    found = folder.read(path, (), "train", progress, known.form)
    if both := sorted(set(found.classes) & set(known.classes)):
        raise DataError(f"{path} has a folder {both[0]!r}, which is a class of the model: take it out")
    if len(found.classes) < LEAST_KINDS:
        raise DataError(
            f"{path} has {len(found.classes)} folders with images; at least {LEAST_KINDS} are needed. "
            "Sort the images by what they show: a model is measured on what it was not taught"
        )
    hashes = {hashlib.sha256(image.tobytes()).digest() for image in known.pixels}
    new = [hashlib.sha256(image.tobytes()).digest() not in hashes for image in found.pixels]
    return without_duplicates(found if all(new) else found.take(np.flatnonzero(new)))


def fold_of_kinds(foreign: Dataset, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each image, `(n,)`; all images of a kind are in the same one."""
    order = np.random.default_rng(seed).permutation(len(foreign.classes))
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % folds
    return fold[foreign.labels]
