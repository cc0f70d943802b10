"""Labelled images, the input of training and of evaluation."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ingest.errors import SconesError
from ingest.model_input import ModelInput

DEFAULT_FORM = ModelInput.square(32)
"""Size of the images of CIFAR-100, and of the input of a model for which no other is asked."""

_THUMBNAIL_PX = 8
NEAR_DISTANCE = 6.0
"""Root mean square difference, in grey levels of 255, between 8 × 8 thumbnails of nearly identical images. A
recompressed or slightly resized copy stays below it; another picture of the same thing does not."""
_LISTED = 20
"""Classes whose images are counted one by one."""


class DataError(SconesError):
    """Data that cannot be used, in one sentence for people: what, where, and what to do about it."""


@dataclass(frozen=True)
class Dataset:
    """Images with their labels."""

    pixels: NDArray[np.uint8]
    """`(n, height, width, 3)`, RGB, as a model of this `form` sees the images."""
    labels: NDArray[np.int64]
    """`(n,)`, indices into `classes`."""
    classes: tuple[str, ...]
    names: tuple[str, ...]
    """Origin of each image, for people."""
    unreadable: tuple[str, ...] = ()
    """Files that were left out, each with its reason."""
    notes: tuple[str, ...] = ()
    """Other things that were not read, one sentence each."""
    form: ModelInput = DEFAULT_FORM

    def take(self, indices: NDArray[np.int64]) -> "Dataset":
        """Return these images alone, in this order."""
        return replace(
            self,
            pixels=self.pixels[indices],
            labels=self.labels[indices],
            names=tuple(self.names[i] for i in indices),
        )

    def counts(self) -> dict[str, int]:
        """Return the number of images of each class."""
        numbers = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, numbers, strict=True))

    def sha256(self) -> str:
        """Return a hash of classes, labels and pixels: the same for the same images in any container."""
        digest = hashlib.sha256(json.dumps(self.classes).encode())
        digest.update(self.labels.astype("<i8").tobytes())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        return digest.hexdigest()


def statistics(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and standard deviation of each channel, each `(3,)`."""
    flat = pixels.reshape(-1, 3)
    mean, std = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
    return mean.astype(np.float32), std.astype(np.float32)


def normalised(
    pixels: NDArray[np.uint8], mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`(n, h, w, 3) uint8` → `(n, 3, h, w) float32` around 0."""
    result = ((pixels.astype(np.float32) - mean) / std).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(result)


def check_classes(names: Sequence[str]) -> None:
    """Check the class names before anything is trained.

    Raises:
        DataError: there are fewer than two, one occurs twice, or a stack would not take a name.
    """
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"the class {name!r} is named twice")
        if not name or name != name.strip() or not name.isprintable():
            raise DataError(
                f"the name of the class {name!r} is empty, or has a space at an end or a character that "
                "cannot be seen: rename it"
            )
    if len(names) < 2:
        only = f"only the class {names[0]!r}" if names else "no class"
        raise DataError(f"there is {only}; at least two are needed to tell one from another")


def without_duplicates(dataset: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """Keep one copy of each image, and none that has two labels; also return what was left out, and why."""
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in dataset.pixels]
    labels_of: dict[bytes, set[int]] = {}
    for digest, label in zip(hashes, dataset.labels.tolist(), strict=True):
        labels_of.setdefault(digest, set()).add(label)
    kept: dict[bytes, int] = {}
    dropped: list[str] = []
    for i, digest in enumerate(hashes):
        if len(labels_of[digest]) > 1:
            names = " and ".join(sorted(dataset.classes[label] for label in labels_of[digest]))
            dropped.append(f"{dataset.names[i]}: the same image is labelled {names}")
        elif digest in kept:
            dropped.append(f"{dataset.names[i]}: the same image as {dataset.names[kept[digest]]}")
        else:
            kept[digest] = i
    if not dropped:
        return dataset, ()
    return dataset.take(np.array(list(kept.values()), dtype=np.int64)), tuple(dropped)


def near_pairs(first: NDArray[np.uint8], second: NDArray[np.uint8] | None = None) -> list[tuple[int, int]]:
    """Return the pairs (i in first, j in second) of nearly identical images, mirrored ones included.

    Without a second array, return the pairs within the first, each once, no image with itself.
    """
    within, second = second is None, first if second is None else second
    left, right = _thumbnails(first), _thumbnails(second)
    mirrored = _thumbnails(second[:, :, ::-1])
    limit = NEAR_DISTANCE**2 * left.shape[1]
    pairs = []
    for i, thumbnail in enumerate(left):
        start = i + 1 if within else 0
        squared = np.minimum(
            ((right[start:] - thumbnail) ** 2).sum(axis=1), ((mirrored[start:] - thumbnail) ** 2).sum(axis=1)
        )
        pairs += [(i, start + int(j)) for j in np.flatnonzero(squared <= limit)]
    return pairs


def split(dataset: Dataset, folds: int, seed: int) -> NDArray[np.int64]:
    """Return each image's fold, `(n,)`: each class spread evenly, nearly identical images in the same fold.

    Raises:
        DataError: a class has fewer images than there are folds.
    """
    for name, count in dataset.counts().items():
        if count < folds:
            raise DataError(
                f"class {name!r} has {count} images; training needs at least {folds} of each class"
            )
    group = _groups(len(dataset.labels), near_pairs(dataset.pixels))
    rng = np.random.default_rng(seed)
    fold = np.full(len(dataset.labels), -1, dtype=np.int64)
    for label in range(len(dataset.classes)):
        sizes = np.zeros(folds, dtype=np.int64)
        members = rng.permutation(np.flatnonzero(dataset.labels == label))
        for i in members:
            if fold[i] < 0:
                together = np.flatnonzero((group == group[i]) & (fold < 0))
                smallest = int(sizes.argmin())
                fold[together] = smallest
                sizes[smallest] += int((dataset.labels[together] == label).sum())
    return fold


def report(dataset: Dataset, dropped: Sequence[str], test: Dataset | None) -> list[str]:
    """Return the lines that describe the data before training."""
    counts = dataset.counts()
    lines = [f"{name}: {count} images" for name, count in list(counts.items())[:_LISTED]]
    smallest, largest = min(counts.values()), max(counts.values())
    if len(counts) > _LISTED:
        lines.append(f"… of {len(counts):,} classes with {smallest} to {largest} images each")
    if smallest * 2 < largest:
        lines.append(f"unbalanced: the largest class has {largest / max(smallest, 1):.1f} × the smallest")
    lines += left_out(dataset, dropped)
    lines += dict.fromkeys([*dataset.notes, *(test.notes if test else ())])
    pairs = near_pairs(dataset.pixels)
    lines.append(
        f"{len(pairs)} pairs of nearly the same images, each kept within one fold"
        + _examples([f"{dataset.names[i]} and {dataset.names[j]}" for i, j in pairs])
    )
    if test is not None:
        pairs = near_pairs(dataset.pixels, test.pixels)
        lines.append(
            f"{len(pairs)} pairs of nearly the same images across training and test"
            + _examples([f"{dataset.names[i]} and {test.names[j]}" for i, j in pairs])
        )
    return lines


def left_out(dataset: Dataset, dropped: Sequence[str]) -> list[str]:
    """Return the lines that say which files of the data are not used: duplicates and unreadable ones."""
    return [
        f"{len(dropped)} duplicates left out" + _examples(dropped),
        f"{len(dataset.unreadable)} unreadable files left out" + _examples(dataset.unreadable),
    ]


def _examples(lines: Sequence[str]) -> str:
    return f" (e.g. {'; '.join(lines[:3])})" if lines else ""


def _thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the mean of each of 8 × 8 blocks, `(n, 192)`; blocks may differ by a pixel in size."""
    _, height, width, _ = pixels.shape
    rows, columns = (np.arange(_THUMBNAIL_PX + 1) * side // _THUMBNAIL_PX for side in (height, width))
    sums = np.add.reduceat(pixels, rows[:-1], axis=1, dtype=np.uint32)
    sums = np.add.reduceat(sums, columns[:-1], axis=2)
    areas = np.diff(rows)[:, None, None] * np.diff(columns)[:, None]
    result: NDArray[np.float32] = (sums / areas).astype(np.float32).reshape(len(pixels), -1)
    return result


def _groups(count: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    group = np.arange(count)
    for i, j in pairs:
        group[group == group[j]] = group[i]
    return group
