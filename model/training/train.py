"""Trains the model; needs torch.

Five networks are each trained without a fifth of the images. Their predictions of that fifth measure the
accuracy and choose temperature and thresholds. The network that is kept is trained on all images.
"""

import math
import os
import queue
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

from model import calibrate
from model.calibrate import Floats
from model.data.dataset import SIZE_PX, Dataset, split
from model.data.drawings import LABELS
from model.data.drawn import drawn
from model.data.load import Data, Progress, Steps
from model.training import card, pretrained
from model.training.classifier_file import Body, BothSides, ModelFile, build
from model.training.fit import Recipe, fit, logits
from model.training.network import MEAN, STD, NetworkBody
from model.training.run import Trained, run

FOLDS = 5
MAX_EXPORT_ERROR = 0.1
"""Largest allowed difference between the probabilities of the network and those of the file. Rounding the
weights causes less, and the figures are the file's; more is a bug in writing it."""
_DRAWN_TEST = 100


@dataclass(frozen=True)
class _Job:
    """One network to train, and the images to predict afterwards."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_out: NDArray[np.uint8]
    classes: tuple[str, ...]
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class _Trained:
    body: Body
    logits: Floats
    """`(m, k)`, logits of the held-out images by the file with rounded weights, each up to a constant."""
    export_error: float
    """The largest difference between the file's probabilities and the network's."""


def train(
    data: Data,
    *,
    recipe: Recipe,
    seed: int,
    target_precision: float,
    drawn_share: float,
    workers: int,
    progress: Progress,
) -> tuple[ModelFile, dict[str, Any]]:
    """Return a trained model and its card; `progress` is told the epochs done and the epochs to do.

    The result depends on data, recipe and seed, not on the number of workers.

    Raises:
        DataError: there are too few images of a class, or no pretrained weights.
        RuntimeError: the written file does not compute what the network does.
    """
    began = time.monotonic()
    images = data.train
    fold = split(images, FOLDS, seed)
    extra = _drawings(images, drawn_share)
    everything = np.full(len(fold), True)
    learn = [everything, *(fold != i for i in range(FOLDS))]
    final, *folds = _run(
        [_job(images, chosen, extra, recipe, seed * 100 + number) for number, chosen in enumerate(learn)],
        workers,
        progress,
    )
    out_of_fold = np.zeros((len(fold), len(images.classes)))
    for i, trained in enumerate(folds):
        out_of_fold[fold == i] = trained.logits
    temperature = calibrate.fit_temperature(out_of_fold, images.labels)
    file = _file(final.body, images.classes, temperature)
    predict = _session(file)

    result = card.make(
        dataset=images,
        fold=fold,
        logits=out_of_fold,
        temperature=temperature,
        target_precision=target_precision,
        file=file,
        report=data.report,
        training={
            "starts_from": {
                "package": pretrained.PACKAGE,
                "sha256": pretrained.SHA256,
                "licence": pretrained.LICENCE,
            },
            "recipe": asdict(recipe),
            "seed": seed,
            "drawings": 0 if extra is None else len(extra.labels),
            "export_error": max(trained.export_error for trained in (final, *folds)),
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


def train_and_write(
    *,
    data: Path | None,
    download_to: Path,
    classes: Sequence[str] = (),
    out: Path,
    seed: int = 0,
    target_precision: float = 0.99,
    epochs: int | None = None,
    drawn_share: float = 0.1,
    workers: int | None = None,
    steps: Steps,
    say: Callable[[str], None],
) -> Trained:
    """Train a model, and write it with its card: `model.training.run.run` with the full trainer.

    Args:
        data: a CIFAR-100 archive or a folder of labelled images (`class/…` or `train/class/…`); None
            downloads the official archive (169 MB).
        download_to: where the downloaded archive is kept.
        classes: names of the classes, in order; none stands for all.
        out: folder to write to.
        seed: of everything random.
        target_precision: of accepted images, above 0 and below 1; chooses the thresholds.
        epochs: None stands for the recipe's, or as many as its least number of steps takes.
        drawn_share: drawings to learn from for every image, where all classes can be drawn.
        workers: processes; None stands for one a core.
        steps: shows the progress of each step.
        say: gets each line about the data before training begins.

    Raises:
        DataError: the data cannot be used, or the folder cannot be written to.
    """
    recipe = Recipe() if epochs is None else replace(Recipe(), epochs=epochs, least_steps=0)
    return run(
        lambda clean, progress: train(
            clean,
            recipe=recipe,
            seed=seed,
            target_precision=target_precision,
            drawn_share=drawn_share,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        ),
        data=data,
        download_to=download_to,
        classes=classes,
        out=out,
        target_precision=target_precision,
        steps=steps,
        say=say,
    )


def _drawings(images: Dataset, share: float) -> Dataset | None:
    """Return additional drawings to learn from, if every class can be drawn."""
    each = math.ceil(len(images.labels) * share / len(images.classes))
    return drawn(images.classes, each, "training") if each and set(images.classes) <= set(LABELS) else None


def _job(images: Dataset, learn: NDArray[np.bool_], extra: Dataset | None, recipe: Recipe, seed: int) -> _Job:
    """Return the job of one network; one trained on all images predicts them all, to check its file."""
    pixels, labels = images.pixels[learn], images.labels[learn]
    if extra is not None:
        pixels = np.concatenate([pixels, extra.pixels])
        labels = np.concatenate([labels, extra.labels])
    held_out = images.pixels if learn.all() else images.pixels[~learn]
    return _Job(pixels, labels, held_out, images.classes, recipe, seed)


def _run(jobs: Sequence[_Job], workers: int, progress: Progress) -> list[_Trained]:
    """Train the networks in parallel, each in a process of its own."""
    total = sum(job.recipe.epochs_over(len(job.pixels)) for job in jobs)
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
"""In a worker process: the queue that reports every epoch to the parent."""


def _train_one(job: _Job) -> _Trained:
    network = fit(job.pixels, job.labels, len(job.classes), job.recipe, job.seed, lambda: _epochs.put(None))
    body = BothSides(NetworkBody.of(network), len(job.classes))
    probabilities = _session(_file(body, job.classes, temperature=1.0))(job.held_out)
    error = np.abs(probabilities - calibrate.softmax(logits(network, job.held_out))).max()
    if not error <= MAX_EXPORT_ERROR:
        raise RuntimeError(f"the ONNX file differs from what was trained by {error:.4f} in probability")
    return _Trained(body, np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), float(error))


def _file(body: Body, classes: tuple[str, ...], temperature: float) -> ModelFile:
    return build(
        body,
        name="efficientnet",
        classes=classes,
        size_px=SIZE_PX,
        mean=MEAN,
        std=STD,
        temperature=temperature,
    )


def _session(file: ModelFile) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    return lambda pixels: np.concatenate(
        [session.run(None, {"images": pixels[i : i + 250]})[0] for i in range(0, len(pixels), 250)]
    )
