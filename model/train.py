"""Trains the model: `python -m model.train --data DATA --classes bicycle motorcycle`.

One network for each of five folds says how good such a network is on images it has not seen; one more,
trained on all images, is the model. The out-of-fold predictions choose its temperature and its thresholds.
"""

import argparse
import math
import os
import queue
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from model import calibrate, card, cifar100
from model.classifier_file import ModelFile, build
from model.console import bar, summary
from model.dataset import SIZE_PX, DataError, Dataset, split
from model.drawings import LABELS
from model.drawn import drawn
from model.fit import Recipe, fit, logits, normalised, statistics
from model.load import Data, load
from model.network import Network, to_onnx

FOLDS = 5
DOWNLOADED = Path("build/cifar-100-python.tar.gz")
MAX_EXPORT_ERROR = 0.005
"""Between torch's probabilities and the file's, whose weights have half precision."""
_DRAWN_SHARE = 0.1
_DRAWN_TEST = 100


@dataclass(frozen=True)
class _Job:
    """One network to train: on which images, and which images to predict then."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    held_out: NDArray[np.uint8]
    class_count: int
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class _Trained:
    weights: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    logits: NDArray[np.float32]
    """`(m, k)`, of the held-out images."""


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
    jobs = [_job(images, fold != i, fold == i, extra, recipe, seed * 100 + i) for i in range(FOLDS)]
    everything = np.full(len(fold), True)
    jobs.append(_job(images, everything, ~everything, extra, recipe, seed * 100 + FOLDS))

    *folds, final = _run(jobs, workers, progress)
    out_of_fold = np.zeros((len(fold), len(images.classes)))
    for i, trained in enumerate(folds):
        out_of_fold[fold == i] = trained.logits
    temperature = calibrate.fit_temperature(out_of_fold, images.labels)

    network = _network(final, recipe, len(images.classes))
    file = build(
        to_onnx(network),
        name="resnet",
        classes=images.classes,
        size_px=SIZE_PX,
        mean=final.mean,
        std=final.std,
        temperature=temperature,
    )
    predict = _session(file)
    difference = np.abs(
        predict(images.pixels) - _torch_probabilities(network, final, images.pixels, temperature)
    ).max()
    if not difference <= MAX_EXPORT_ERROR:
        raise RuntimeError(f"the ONNX file differs from the network by {difference:.4f} in probability")

    result = card.make(
        dataset=images,
        fold=fold,
        logits=out_of_fold,
        temperature=temperature,
        target_precision=target_precision,
        file=file,
        training={
            "recipe": asdict(recipe),
            "parameters": sum(p.numel() for p in network.parameters()),
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


def _job(
    images: Dataset,
    learn: NDArray[np.bool_],
    hold_out: NDArray[np.bool_],
    extra: Dataset | None,
    recipe: Recipe,
    seed: int,
) -> _Job:
    pixels, labels = images.pixels[learn], images.labels[learn]
    if extra is not None:
        pixels = np.concatenate([pixels, extra.pixels])
        labels = np.concatenate([labels, extra.labels])
    return _Job(pixels, labels, images.pixels[hold_out], len(images.classes), recipe, seed)


def _run(jobs: Sequence[_Job], workers: int, progress: Callable[[int, int], None]) -> list[_Trained]:
    """Train every network, several at once, each in a process and on a core of its own."""
    total = sum(job.recipe.epochs for job in jobs)
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
    network = fit(job.pixels, job.labels, job.class_count, job.recipe, job.seed, lambda: _epochs.put(None))
    mean, std = statistics(job.pixels)
    held_out = np.zeros((0, job.class_count), dtype=np.float32)
    if len(job.held_out):
        held_out = logits(network, normalised(job.held_out, mean, std))
    return _Trained({key: value.numpy() for key, value in network.state_dict().items()}, mean, std, held_out)


def _network(trained: _Trained, recipe: Recipe, class_count: int) -> Network:
    network = Network(recipe.stem_channels, recipe.stage_channels, class_count)
    network.load_state_dict({key: torch.as_tensor(value) for key, value in trained.weights.items()})
    network.eval()
    return network


def _session(file: ModelFile) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    return lambda pixels: np.concatenate(
        [session.run(None, {"images": pixels[i : i + 250]})[0] for i in range(0, len(pixels), 250)]
    )


def _torch_probabilities(
    network: Network, trained: _Trained, pixels: NDArray[np.uint8], temperature: float
) -> NDArray[np.floating[Any]]:
    return calibrate.softmax(logits(network, normalised(pixels, trained.mean, trained.std)), temperature)


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
