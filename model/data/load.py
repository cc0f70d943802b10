"""Load labelled images from a CIFAR-100 archive or a folder, without duplicates."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.image import as_a_model_sees
from ingest.model_input import ModelInput
from model.data import cifar100, folder
from model.data.dataset import (
    DEFAULT_FORM,
    DataError,
    Dataset,
    check_classes,
    report,
    without_duplicates,
)

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""
Steps = Callable[[str], AbstractContextManager[Progress]]
"""Begins a step under its name, and gives what shows its progress."""


@dataclass(frozen=True)
class Data:
    """Training images, test images if there are any, and a description of both."""

    train: Dataset
    test: Dataset | None
    report: tuple[str, ...]
    foreign: Dataset | None = None
    """Images of none of the classes, with their kinds as classes."""


def load(path: Path, classes: Sequence[str], progress: Progress, form: ModelInput = DEFAULT_FORM) -> Data:
    """Read the training images and, where the data has a part for it, the test images, as a model of this
    form sees them.

    Duplicates are removed from the training images only: a test set is used as it is.

    Raises:
        DataError: the data cannot be used.
    """
    if classes:
        check_classes(classes)
    train, dropped = without_duplicates(load_part(path, classes, "train", progress, form))
    check_classes(train.classes)
    if not len(train.labels):
        raise DataError(f"no image is left of {path.name}: {dropped[0]}")
    has_test = "test" in (folder.parts_of(path) if path.is_dir() else cifar100.parts_of(path))
    test = load_part(path, train.classes, "test", progress, form) if has_test else None
    return Data(train, test, tuple(report(train, dropped, test)))


def load_part(
    path: Path,
    classes: Sequence[str],
    part: cifar100.Part,
    progress: Progress,
    form: ModelInput = DEFAULT_FORM,
) -> Dataset:
    """Read one part, unchanged.

    Raises:
        DataError: the data cannot be used.
    """
    if path.is_dir():
        return folder.read(path, classes, part, progress, form)
    return prepared_anew(cifar100.read(path, classes, part), form)


def prepared_anew(dataset: Dataset, form: ModelInput) -> Dataset:
    """Return images as a model of another form sees them."""
    if form == dataset.form:
        return dataset
    pixels = np.empty((len(dataset.labels), form.height_px, form.width_px, 3), np.uint8)
    for place, image in enumerate(dataset.pixels):
        pixels[place] = np.asarray(as_a_model_sees(form, dataset.form.file_of(Image.fromarray(image))))
    return replace(dataset, pixels=pixels, form=form)
