"""Trains the model; needs torch.

Five networks are each trained without a fifth of the images, and without a fifth of the foreign kinds. Their
predictions of these measure the accuracy and choose temperature, thresholds and scale. The network that is
kept is trained on all images.
"""

import math
import os
import queue
import tempfile
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

from ingest.model_input import ModelInput
from model import calibrate, unfamiliarity
from model.calibrate import Floats, Ints
from model.data.dataset import DEFAULT_FORM, Dataset, split
from model.data.drawings import LABELS
from model.data.drawn import drawn, unrelated_drawn
from model.data.foreign import fold_of_kinds
from model.data.load import Data, Progress, Steps
from model.data.unrelated import KINDS, crops
from model.files import PROBABILITIES, UNFAMILIARITY
from model.training import card, pretrained
from model.training.classifier_file import Body, BothSides, ModelFile, build
from model.training.fit import Examples, Recipe, at_once, fit, logits
from model.training.network import MEAN, STD, NetworkBody
from model.training.run import Trained, run
from model.unfamiliarity import Scale

FOLDS = 5
MAX_EXPORT_ERROR = 0.1
"""Largest allowed difference between the probabilities of the network and those of the file. Rounding the
weights causes less, and the figures are the file's; more is a bug in writing it."""
_DRAWN_TEST = 100
_PREDICT_PIXELS = 250 * 80**2
"""Pixels, as the network sees them, that a file predicts at once."""
_WIDE = Scale((-64.0, 64.0), (0.0, 1.0))
"""A scale from which the score itself can be read."""


@dataclass(frozen=True)
class _Chosen:
    """Images of the file of all pixels, by their rows, with labels from 0 to below `count`."""

    rows: Ints
    labels: Ints
    count: int

    def examples(self, pixels: NDArray[np.uint8]) -> Examples:
        return Examples(pixels, self.rows, self.labels, self.count)


@dataclass(frozen=True)
class _Job:
    """One network to train, and the images to predict afterwards."""

    pixels: Path
    """File of all pixels: the processes share its pages, and none has a copy."""
    known: _Chosen
    foreign: _Chosen | None
    held_out: Ints
    held_out_foreign: Ints
    classes: tuple[str, ...]
    form: ModelInput
    recipe: Recipe
    seed: int


@dataclass(frozen=True)
class _Answers:
    """What a file with rounded weights says of `m` images."""

    logits: Floats
    """`(m, k)`, of the classes, each row up to a constant."""
    scores: Floats
    """`(m,)`, how foreign the images are; all the same if no foreign images were taught."""

    @classmethod
    def merged(cls, parts: Sequence["_Answers"], fold: Ints) -> "_Answers":
        """Return the answers of each fold's network in the order of the images, `fold` `(n,)`."""
        result = cls(np.zeros((len(fold), parts[0].logits.shape[1])), np.zeros(len(fold)))
        for i, part in enumerate(parts):
            result.logits[fold == i], result.scores[fold == i] = part.logits, part.scores
        return result


@dataclass(frozen=True)
class _Trained:
    body: Body
    known: _Answers
    foreign: _Answers
    export_error: float
    """The largest difference between the file's probabilities and the network's."""


def train(
    data: Data,
    *,
    recipe: Recipe,
    seed: int,
    target_precision: float,
    one_threshold: bool = False,
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
    images, foreign = data.train, data.foreign
    fold = split(images, FOLDS, seed)
    kind_fold = fold_of_kinds(foreign, FOLDS, seed) if foreign else np.zeros(0, np.int64)
    extra = _drawings(images, drawn_share)
    unrelated = _unrelated(images, foreign, drawn_share)
    with tempfile.TemporaryDirectory() as folder:
        jobs = _jobs(Path(folder) / "pixels.npy", data, extra, unrelated, (fold, kind_fold), recipe, seed)
        final, *folds = _run(jobs, workers, progress)
    known = _Answers.merged([trained.known for trained in folds], fold)
    strangers = _Answers.merged([trained.foreign for trained in folds], kind_fold)
    temperature = calibrate.fit_temperature(known.logits, images.labels)
    probabilities = calibrate.softmax(known.logits, temperature)
    limits = calibrate.choose_thresholds(probabilities, images.labels, images.classes, target_precision)
    if one_threshold:
        limits = limits[0], {}
    accepted = calibrate.accepted(probabilities, images.classes, *limits)
    scale = None
    if foreign:
        scale = Scale.fit(known.scores[accepted] if accepted.any() else known.scores, strangers.scores)
    file = _file(final.body, images.classes, images.form, temperature, scale)
    predict = _session(file)

    result = card.make(
        dataset=images,
        fold=fold,
        logits=known.logits,
        temperature=temperature,
        target_precision=target_precision,
        limits=limits,
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
            "unrelated_drawings": 0 if unrelated is None else len(unrelated.labels),
            "export_error": max(trained.export_error for trained in (final, *folds)),
            "seconds": round(time.monotonic() - began),
        },
    )
    if foreign and scale:
        result["unfamiliarity_threshold"] = unfamiliarity.THRESHOLD
        result["foreign"] = {
            "sha256": foreign.sha256(),
            "split": f"{FOLDS} folds of kinds: each kind is answered by a network that was not taught it",
            **unfamiliarity.figures(
                scale(known.scores),
                accepted,
                probabilities.argmax(axis=1) == images.labels,
                scale(strangers.scores),
                calibrate.accepted(calibrate.softmax(strangers.logits, temperature), images.classes, *limits),
                foreign.labels,
                foreign.classes,
            ),
        }
        if unrelated is not None:
            unseen = unrelated_drawn(unrelated.classes, _DRAWN_TEST, "test", images.form)
            scores, levels = predict(unseen.pixels, np.arange(len(unseen.labels)))
            taken = calibrate.accepted(scores, images.classes, *limits) & (levels <= unfamiliarity.THRESHOLD)
            result["foreign"]["drawings_accepted"] = {
                name: round(float(taken[unseen.labels == i].mean()), 4)
                for i, name in enumerate(unseen.classes)
            }
    if data.test is not None:
        scores, _ = predict(data.test.pixels, np.arange(len(data.test.labels)))
        result["test"] = calibrate.figures(
            scores, data.test.labels, images.classes, *limits, target_precision
        )
    if extra is not None:
        unseen = drawn(images.classes, _DRAWN_TEST, "test", images.form)
        scores, _ = predict(unseen.pixels, np.arange(len(unseen.labels)))
        result["drawings"] = calibrate.figures(
            scores, unseen.labels, images.classes, *limits, target_precision
        )
    return file, result


def train_and_write(
    *,
    data: Path | None,
    download_to: Path,
    classes: Sequence[str] = (),
    foreign: Path | None = None,
    form: ModelInput = DEFAULT_FORM,
    out: Path,
    seed: int = 0,
    target_precision: float = 0.99,
    one_threshold: bool = False,
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
        foreign: folder of images that show none of the classes, in a folder for each kind; None teaches
            nothing about them, and the model does not tell the unfamiliarity.
        form: size, resizing and file format of the images that the model will see.
        out: folder to write to.
        seed: of everything random.
        target_precision: of accepted images, above 0 and below 1; chooses the thresholds.
        one_threshold: for all classes, instead of one for each that needs its own.
        epochs: None stands for the recipe's, or as many as its least number of steps takes.
        drawn_share: drawings to learn from for every image: of the classes, where all can be drawn, and of
            other things, where foreign images are taught.
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
            one_threshold=one_threshold,
            drawn_share=drawn_share,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        ),
        data=data,
        download_to=download_to,
        classes=classes,
        foreign=foreign,
        form=form,
        out=out,
        target_precision=target_precision,
        steps=steps,
        say=say,
    )


def _drawings(images: Dataset, share: float) -> Dataset | None:
    """Return additional drawings to learn from, if every class can be drawn."""
    each = math.ceil(len(images.labels) * share / len(images.classes))
    if not each or not set(images.classes) <= set(LABELS):
        return None
    return drawn(images.classes, each, "training", images.form)


def _unrelated(images: Dataset, foreign: Dataset | None, share: float) -> Dataset | None:
    """Return drawings of other things, to learn as foreign beside photos."""
    if foreign is None or not share:
        return None
    kinds = [kind for kind in KINDS if kind not in images.classes]
    each = math.ceil(len(foreign.labels) * share / len(kinds))
    return unrelated_drawn(kinds, each, "training", images.form)


def _jobs(
    file: Path,
    data: Data,
    extra: Dataset | None,
    unrelated: Dataset | None,
    folds: tuple[Ints, Ints],
    recipe: Recipe,
    seed: int,
) -> list[_Job]:
    """Write all pixels to a file, and return the job of the network that is kept, then that of each fold.

    `folds` are those of the images and of the foreign images. The network that is trained on all images
    predicts them all, to check its file.
    """
    images, foreign = data.train, data.foreign
    parts = [images.pixels]

    def added(pixels: NDArray[np.uint8]) -> Ints:
        parts.append(pixels)
        end = sum(map(len, parts))
        return np.arange(end - len(pixels), end)

    extra_rows = None if extra is None else added(extra.pixels)
    foreign_rows = None if foreign is None else added(foreign.pixels)
    unrelated_rows = None if unrelated is None else added(unrelated.pixels)
    jobs = []
    for i in (-1, *range(FOLDS)):
        learn, held_out = np.flatnonzero(folds[0] != i), np.flatnonzero(folds[0] == i)
        job_seed = seed * 100 + i + 1
        rows, labels = learn, images.labels[learn]
        if extra is not None and extra_rows is not None:
            rows = np.concatenate([rows, extra_rows])
            labels = np.concatenate([labels, extra.labels])
        strangers, held_out_foreign = None, np.zeros(0, np.int64)
        if foreign is not None and foreign_rows is not None:
            learn_foreign = folds[1] != i
            kinds = [(foreign_rows[learn_foreign], foreign.labels[learn_foreign])]
            if unrelated is not None and unrelated_rows is not None:
                count = len(unrelated.labels) // len(unrelated.classes)
                surfaces = crops(images.pixels, learn, count, np.random.default_rng(job_seed))
                kinds += [(unrelated_rows, unrelated.labels), (added(surfaces), np.zeros(count, np.int64))]
            strangers = _together(kinds)
            held_out_foreign = foreign_rows[~learn_foreign]
        jobs.append(
            _Job(
                file,
                _Chosen(rows, labels, len(images.classes)),
                strangers,
                learn if i < 0 else held_out,
                held_out_foreign,
                images.classes,
                images.form,
                recipe,
                job_seed,
            )
        )
    shape = sum(map(len, parts)), *images.pixels.shape[1:]
    whole = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    np.concatenate(parts, out=whole)
    whole.flush()
    return jobs


def _together(parts: Sequence[tuple[Ints, Ints]]) -> _Chosen:
    """Return the rows from several sources, with their labels numbered anew and without gaps."""
    labels: list[Ints] = []
    count = 0
    for _, part in parts:
        found, renumbered = np.unique(part, return_inverse=True)
        labels.append(renumbered.astype(np.int64) + count)
        count += len(found)
    return _Chosen(np.concatenate([rows for rows, _ in parts]), np.concatenate(labels), count)


def _run(jobs: Sequence[_Job], workers: int, progress: Progress) -> list[_Trained]:
    """Train the networks in parallel, each in a process of its own."""
    total = sum(job.recipe.epochs_over(len(job.known.rows)) for job in jobs)
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
    pixels = np.load(job.pixels, mmap_mode="r")
    foreign_examples = job.foreign.examples(pixels) if job.foreign else None
    network = fit(
        job.known.examples(pixels), foreign_examples, job.recipe, job.seed, lambda: _epochs.put(None)
    )
    logit_count = job.known.count + (job.foreign.count if job.foreign else 0)
    body = BothSides(NetworkBody.of(network, pixels.shape[1:3]), logit_count)
    predict = _session(_file(body, job.classes, job.form, 1.0, _WIDE if job.foreign else None))
    known, foreign = (_answers(predict, pixels, rows) for rows in (job.held_out, job.held_out_foreign))
    expected = calibrate.softmax(logits(network, pixels, job.held_out)[:, : job.known.count])
    error = np.abs(calibrate.softmax(known.logits) - expected).max()
    if not error <= MAX_EXPORT_ERROR:
        raise RuntimeError(f"the ONNX file differs from what was trained by {error:.4f} in probability")
    return _Trained(body, known, foreign, float(error))


def _answers(predict: "_Predict", pixels: NDArray[np.uint8], rows: Ints) -> _Answers:
    """Return what a file with the scale `_WIDE`, or without one, says of some of the images."""
    probabilities, levels = predict(pixels, rows)
    width = _WIDE.scores[1] - _WIDE.scores[0]
    return _Answers(
        np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)),
        levels.astype(np.float64) * width + _WIDE.scores[0],
    )


def _file(
    body: Body, classes: tuple[str, ...], form: ModelInput, temperature: float, scale: Scale | None
) -> ModelFile:
    return build(
        body,
        name="efficientnet",
        classes=classes,
        size_px=form.size_px,
        mean=MEAN,
        std=STD,
        temperature=temperature,
        scale=scale,
    )


_Predict = Callable[[NDArray[np.uint8], Ints], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Pixels, and the rows that are asked about → probabilities `(n, k)` and unfamiliarity `(n,)`, which is 0
where a file does not tell it."""


def _session(file: ModelFile) -> _Predict:
    session = onnxruntime.InferenceSession(file.content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def predict(pixels: NDArray[np.uint8], rows: Ints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        chunks = at_once(pixels, rows, _PREDICT_PIXELS)
        parts = [session.run(names, {"images": np.asarray(pixels[chunk])}) for chunk in chunks]
        outputs = dict(zip(names, map(np.concatenate, zip(*parts, strict=True)), strict=True))
        return outputs[PROBABILITIES], outputs.get(UNFAMILIARITY, np.zeros(len(rows), np.float32))

    return predict
