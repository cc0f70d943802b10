"""Trains the model: `python -m model.train --data DATA --classes bicycle motorcycle`.

A model is a few networks and a classifier of patches, averaged. Five of them, each trained without a fifth of
the images, say how good such a model is on images it has not seen, and choose temperature and thresholds; the
one that is kept is trained on all images.
"""

import argparse
import math
import os
import queue
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model import calibrate, card, cifar100, patches
from model.calibrate import Floats
from model.classifier_file import Body, BothSides, ModelFile, WeightedSum, build
from model.console import bar, summary
from model.dataset import SIZE_PX, DataError, Dataset, normalised, split, statistics
from model.drawings import LABELS
from model.drawn import drawn
from model.fit import Recipe, fit, logits
from model.load import Data, load
from model.network import NetworkBody

FOLDS = 5
DOWNLOADED = Path("build/cifar-100-python.tar.gz")
MAX_EXPORT_ERROR = 0.03
"""Between the probabilities of what was trained and those of the file, whose weights are rounded."""
_DRAWN_SHARE = 0.1
_DRAWN_TEST = 100


@dataclass(frozen=True)
class _Job:
    """One thing to train: on which images, and which images to predict then."""

    member: int | None
    """Which of the networks, or, without a number, the classifier of patches."""
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_out: NDArray[np.uint8]
    class_count: int
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class _Trained:
    body: Body
    logits: Floats
    """`(m, k)`, of the held-out images."""


@dataclass(frozen=True)
class _Model:
    """Everything trained on one set of images."""

    members: list[_Trained]
    patches: _Trained

    def network_logits(self) -> Floats:
        result: Floats = np.mean([member.logits for member in self.members], axis=0)
        return result


def train(
    data: Data,
    *,
    recipe: Recipe,
    seed: int,
    target_precision: float,
    drawn_share: float,
    workers: int,
    progress: Callable[[int, int], None],
) -> tuple[ModelFile, dict[str, Any]]:
    """Return a trained model and its card; `progress` is told the epochs done and the epochs to do.

    The result depends on data, recipe and seed, not on the number of workers.

    Raises:
        DataError: there are too few images of a class.
        RuntimeError: the written file does not compute what the network does.
    """
    began = time.monotonic()
    images = data.train
    fold = split(images, FOLDS, seed)
    extra = _drawings(images, drawn_share)
    everything = np.full(len(fold), True)
    learn = [everything, *(fold != i for i in range(FOLDS))]
    jobs = [
        job
        for number, chosen in enumerate(learn)
        for job in _jobs(images, chosen, extra, recipe, seed * 100 + number)
    ]
    final, *folds = _grouped(_run(jobs, workers, progress), recipe.members)

    from_networks, from_patches = (np.zeros((len(fold), len(images.classes))) for _ in range(2))
    for i, model in enumerate(folds):
        from_networks[fold == i] = model.network_logits()
        from_patches[fold == i] = model.patches.logits
    # Each brought to its own scale first, so that the share means the same for any data.
    shares = (
        (1 - recipe.patches_share) / calibrate.fit_temperature(from_networks, images.labels),
        recipe.patches_share / calibrate.fit_temperature(from_patches, images.labels),
    )
    out_of_fold = shares[0] * from_networks + shares[1] * from_patches
    temperature = calibrate.fit_temperature(out_of_fold, images.labels)

    mean, std = statistics(jobs[0].pixels)
    networks = WeightedSum([(member.body, 1 / recipe.members) for member in final.members])
    seen_both_ways = BothSides(networks, len(images.classes))
    file = build(
        WeightedSum([(seen_both_ways, shares[0]), (final.patches.body, shares[1])]),
        name="resnet",
        classes=images.classes,
        size_px=SIZE_PX,
        mean=mean,
        std=std,
        temperature=temperature,
    )
    predict = _session(file)
    expected = shares[0] * final.network_logits() + shares[1] * final.patches.logits
    difference = np.abs(predict(images.pixels) - calibrate.softmax(expected, temperature)).max()
    if not difference <= MAX_EXPORT_ERROR:
        raise RuntimeError(f"the ONNX file differs from what was trained by {difference:.4f} in probability")

    result = card.make(
        dataset=images,
        fold=fold,
        logits=out_of_fold,
        temperature=temperature,
        target_precision=target_precision,
        file=file,
        report=data.report,
        training={
            "recipe": asdict(recipe),
            "seed": seed,
            "drawings": 0 if extra is None else len(extra.labels),
            "export_error": float(difference),
            "seconds": round(time.monotonic() - began),
        },
    )
    limits = result["threshold"], result["thresholds"]
    if data.test is not None:
        scores = predict(data.test.pixels)
        result["test"] = calibrate.figures(scores, data.test.labels, images.classes, *limits)
    if extra is not None:
        unseen = drawn(images.classes, _DRAWN_TEST, "test")
        result["drawings"] = calibrate.figures(predict(unseen.pixels), unseen.labels, images.classes, *limits)
    return file, result


def _drawings(images: Dataset, share: float) -> Dataset | None:
    """Return drawings to learn from as well, where every class can be drawn."""
    each = math.ceil(len(images.labels) * share / len(images.classes))
    return drawn(images.classes, each, "training") if each and set(images.classes) <= set(LABELS) else None


def _jobs(
    images: Dataset, learn: NDArray[np.bool_], extra: Dataset | None, recipe: Recipe, seed: int
) -> list[_Job]:
    """Return the jobs of one model; trained on all images, it predicts them all: to check its file with."""
    pixels, labels = images.pixels[learn], images.labels[learn]
    if extra is not None:
        pixels = np.concatenate([pixels, extra.pixels])
        labels = np.concatenate([labels, extra.labels])
    held_out = images.pixels if learn.all() else images.pixels[~learn]
    members = (*range(recipe.members), None)
    return [
        _Job(member, pixels, labels, held_out, len(images.classes), recipe, seed * 10 + (member or 0))
        for member in members
    ]


def _grouped(trained: Sequence[_Trained], members: int) -> list[_Model]:
    size = members + 1
    models = [trained[i : i + size] for i in range(0, len(trained), size)]
    return [_Model(list(model[:-1]), model[-1]) for model in models]


def _run(jobs: Sequence[_Job], workers: int, progress: Callable[[int, int], None]) -> list[_Trained]:
    """Train every network, several at once, each in a process and on a core of its own."""
    total = sum(job.recipe.epochs for job in jobs if job.member is not None)
    spawn = get_context("spawn")  # a forked torch may hang
    epochs = spawn.Queue()
    done = 0
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_listen, initargs=(epochs,)) as pool:
        futures: list[Future[_Trained]] = [pool.submit(_train_one, job) for job in jobs]
        while not all(future.done() for future in futures):
            try:
                epochs.get(timeout=0.5)
                done += 1
                progress(done, total)
            except queue.Empty:
                continue
        return [future.result() for future in futures]


def _listen(epochs: Any) -> None:
    global _epochs
    _epochs = epochs


_epochs: Any
"""In a worker process: the queue that tells the parent of every epoch."""


def _train_one(job: _Job) -> _Trained:
    mean, std = statistics(job.pixels)
    held_out = normalised(job.held_out, mean, std)
    if job.member is None:
        learned = patches.learn(normalised(job.pixels, mean, std), job.labels, job.class_count, job.seed)
        return _Trained(learned, learned.logits(held_out))
    network = fit(job.pixels, job.labels, job.class_count, job.recipe, job.seed, lambda: _epochs.put(None))
    return _Trained(NetworkBody.of(network), logits(network, held_out))


def _session(file: ModelFile) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    return lambda pixels: np.concatenate(
        [session.run(None, {"images": pixels[i : i + 250]})[0] for i in range(0, len(pixels), 250)]
    )


def main() -> None:
    """Train a model, and write it with its card."""
    parser = argparse.ArgumentParser(prog="python -m model.train", description=main.__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        help="a CIFAR-100 archive or a folder of labelled images (class/… or train/class/…); "
        "without it, the official archive is downloaded (169 MB)",
    )
    parser.add_argument("--classes", nargs="*", default=[], help="their names, in order (all there are)")
    parser.add_argument("--out", type=Path, default=Path("build/model"), help="where to write (build/model)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs, help=f"({Recipe.epochs})")
    parser.add_argument(
        "--target-precision",
        type=float,
        default=0.99,
        help="of what is accepted: chooses the thresholds (0.99)",
    )
    parser.add_argument(
        "--drawn-share",
        type=float,
        default=_DRAWN_SHARE,
        help="drawings to learn from for every image, where the classes can be drawn (0.1)",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    arguments = parser.parse_args()
    try:
        path = arguments.data
        if path is None:
            path = DOWNLOADED
            with bar("downloading") as progress:
                cifar100.download(path, progress)
        with bar("reading") as progress:
            data = load(path, arguments.classes, progress)
        for line in data.report:
            print(line)
        with bar("training") as progress:
            file, result = train(
                data,
                recipe=replace(Recipe(), epochs=arguments.epochs),
                seed=arguments.seed,
                target_precision=arguments.target_precision,
                drawn_share=arguments.drawn_share,
                workers=arguments.workers,
                progress=progress,
            )
    except DataError as error:
        sys.exit(f"error: {error}")
    card.write(arguments.out, file, result)
    print(summary(result["out_of_fold"]))
    print(f"written to {arguments.out}: {file.model_version}, {len(file.content):,} bytes")


if __name__ == "__main__":
    main()
