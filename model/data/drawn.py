"""Drawn images as data: a few to train on, to try things out with, and to test with."""

import io
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.image import as_a_model_sees
from ingest.model_input import ModelInput
from model.data import cifar100, unrelated
from model.data.dataset import DEFAULT_FORM, Dataset
from model.data.drawings import draw

_WIDTHS_PX = (32, 48, 64, 96, 128, 200, 320)
_HEIGHT_BY_WIDTH = (1.0, 3 / 4, 4 / 3, 9 / 16)
_TEST_SHARE = 0.2


def drawn(classes: Sequence[str], each: int, purpose: str, form: ModelInput = DEFAULT_FORM) -> Dataset:
    """Return `each` drawings of each class, prepared like images that a model of this form classifies.

    The same purpose gives the same drawings, and another purpose gives others: the demo and the tests use no
    training image.

    Raises:
        KeyError: a class is not one of `model.data.drawings.LABELS`.
    """
    return _drawn(classes, each, purpose, draw, form)


def unrelated_drawn(
    kinds: Sequence[str], each: int, purpose: str, form: ModelInput = DEFAULT_FORM
) -> Dataset:
    """Return `each` images of each kind of unrelated ones, with the kinds as classes.

    Raises:
        KeyError: a kind is not one of `model.data.unrelated.KINDS`.
    """
    return _drawn(kinds, each, purpose, unrelated.draw, form)


def _drawn(
    classes: Sequence[str],
    each: int,
    purpose: str,
    artist: Callable[[str, int, int, random.Random], Image.Image],
    form: ModelInput,
) -> Dataset:
    pixels, labels, names = [], [], []
    for label, name in enumerate(classes):
        for number in range(each):
            rng = random.Random(f"{purpose} {name} {number}")
            buffer = io.BytesIO()
            width_px = rng.choice(_WIDTHS_PX)
            height_px = round(width_px * rng.choice(_HEIGHT_BY_WIDTH))
            artist(name, width_px, height_px, rng).save(buffer, "PNG")
            pixels.append(np.asarray(as_a_model_sees(form, buffer.getvalue())))
            labels.append(label)
            names.append(f"{name}_drawn_{number:06}.png")
    return Dataset(
        pixels=np.stack(pixels),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        names=tuple(names),
        form=form,
    )


def write_archive(path: Path, classes: Sequence[str], each: int) -> None:
    """Write drawings in CIFAR-100's layout: `each` training images of a class, and a fifth of it to test.

    Raises:
        KeyError: a class is not one of `model.data.drawings.LABELS`.
    """
    test = max(1, round(each * _TEST_SHARE))
    cifar100.write(path, {"train": drawn(classes, each, "training"), "test": drawn(classes, test, "test")})
