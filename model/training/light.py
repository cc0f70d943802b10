"""Trains a small model in seconds, with numpy alone, for the tests and the tour (docs/decisions/0075).

Its file and its card have the same form as the full model's.
"""

from typing import Any

import numpy as np

from model import calibrate
from model.data.dataset import normalised, split, statistics
from model.data.load import Data, Progress
from model.training import card, patches
from model.training.classifier_file import ModelFile, build

FOLDS = 5
_CHUNK = 50


def train(
    data: Data, *, seed: int, target_precision: float, progress: Progress
) -> tuple[ModelFile, dict[str, Any]]:
    """Return a trained model and its card; `progress` is told the folds done and the folds to do.

    Raises:
        DataError: there are too few images of a class.
    """
    images = data.train
    fold = split(images, FOLDS, seed)
    mean, std = statistics(images.pixels)
    size_px = images.form.height_px, images.form.width_px
    by = patches.shrink_by(*size_px)
    pixels = np.concatenate(  # in parts: as floats, the whole images take four times the memory
        [
            patches.shrunk(normalised(images.pixels[start : start + _CHUNK], mean, std), by)
            for start in range(0, len(images.pixels), _CHUNK)
        ]
    )
    logits = np.zeros((len(fold), len(images.classes)))
    for i in range(FOLDS):
        kept, held = fold != i, fold == i
        learned = patches.learn(pixels[kept], images.labels[kept], len(images.classes), seed, size_px)
        logits[held] = learned.logits(pixels[held])
        progress(i + 1, FOLDS + 1)
    final = patches.learn(pixels, images.labels, len(images.classes), seed, size_px)
    progress(FOLDS + 1, FOLDS + 1)
    temperature = calibrate.fit_temperature(logits, images.labels)
    file = build(
        final,
        name="patches",
        classes=images.classes,
        size_px=images.form.size_px,
        mean=mean,
        std=std,
        temperature=temperature,
    )
    result = card.make(
        dataset=images,
        fold=fold,
        logits=logits,
        temperature=temperature,
        target_precision=target_precision,
        limits=calibrate.choose_thresholds(
            calibrate.softmax(logits, temperature), images.labels, images.classes, target_precision
        ),
        file=file,
        report=data.report,
        training={"seed": seed},
    )
    return file, result
