"""Trains a small model in seconds, without torch: `python -m model.training.light --data DATA --out FOLDER`.

It is `model.training.patches` alone, with the same file and card as the full model's: good for drawings, for
trying out classes of one's own, and for tests.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from model.data.dataset import SIZE_PX, normalised, split, statistics
from model.data.load import Data
from model.training import calibrate, card, command, patches
from model.training.classifier_file import ModelFile, build

FOLDS = 5


def train(
    data: Data, *, seed: int, target_precision: float, progress: Callable[[int, int], None]
) -> tuple[ModelFile, dict[str, Any]]:
    """Return a trained model and its card; `progress` is told the folds done and the folds to do.

    Raises:
        DataError: there are too few images of a class.
    """
    images = data.train
    fold = split(images, FOLDS, seed)
    mean, std = statistics(images.pixels)
    pixels = normalised(images.pixels, mean, std)
    logits = np.zeros((len(fold), len(images.classes)))
    for i in range(FOLDS):
        kept, held = fold != i, fold == i
        learned = patches.learn(pixels[kept], images.labels[kept], len(images.classes), seed)
        logits[held] = learned.logits(pixels[held])
        progress(i + 1, FOLDS + 1)
    final = patches.learn(pixels, images.labels, len(images.classes), seed)
    progress(FOLDS + 1, FOLDS + 1)
    temperature = calibrate.fit_temperature(logits, images.labels)
    file = build(
        final,
        name="patches",
        classes=images.classes,
        size_px=SIZE_PX,
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
        file=file,
        report=data.report,
        training={"seed": seed},
    )
    return file, result


def main() -> None:
    """Train a small model without torch, and write it with its card."""
    parser = argparse.ArgumentParser(prog="python -m model.training.light", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a CIFAR-100 archive or a folder class/…")
    command.add_options(parser)
    arguments = parser.parse_args()
    command.run(
        arguments,
        lambda: arguments.data,
        lambda data, progress: train(
            data, seed=arguments.seed, target_precision=arguments.target_precision, progress=progress
        ),
    )


if __name__ == "__main__":
    main()
