"""Teaches a model with the labels of a stack: fetches the images, learns, compares, and writes a model
folder."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from analytics.athena.engine import Engine
from analytics.questions.queries import internal_query, saved_query
from infra.operations.original import original
from infra.stack import Stack
from ingest.errors import RejectedImage, SconesError
from ingest.image import as_a_model_sees
from ingest.model_input import ModelInput
from model import calibrate
from model.files import MODEL_FILE, PROBABILITIES, RUN_IMAGES, UnusableModel, read_card
from model.training import card as model_card
from model.training import neighbours, onnx_head
from model.training.classifier_file import ModelFile
from model.training.relearn import LEAST_LABELS, NONE, Comparison, Correction, learn

_TOLERANCE = 0.01
"""Largest difference between the file's probabilities and those that follow from its last layer."""
_OF_TRAINING = ("data", "training", "test", "foreign", "drawings")
"""Entries of a card that do not hold for the corrected model."""


class TooFewLabels(SconesError):
    """There are too few labelled images to learn from."""


class OtherModel(SconesError):
    """The model that is to be taught is not the one that the stack serves."""


@dataclass(frozen=True)
class Learned:
    """What was learned, and the model's folder if the new model is better."""

    comparison: Comparison
    left_out: int
    """Labelled images whose class the model does not have, or whose picture could not be read."""
    model_version: str | None
    folder: Path | None


@dataclass(frozen=True)
class _Labelled:
    pixels: NDArray[np.uint8]
    """`(n, height, width, 3)`."""
    labels: calibrate.Ints
    left_out: int


def learn_from(
    stack: Stack,
    answers: Engine,
    since: date,
    until: date,
    model: Path,
    out: Path,
    progress: Callable[[int, int], None],
) -> Learned:
    """Correct the last layer of a model with labelled images, and write it to `out` if it is better.

    Args:
        stack: whose labels and images.
        answers: its engine.
        since: UTC date of the first uploads.
        until: UTC date of the last uploads.
        model: folder of the present model.
        out: folder of the new one.
        progress: is told how many images were fetched, and how many there are.

    Raises:
        TooFewLabels: see there.
        OtherModel: see there.
        UnusableModel: the model has no last layer that can be corrected, or its probabilities do not follow
            from it.
        QueryRefused, QueryFailed: the engine could not answer.
    """
    card, network = read_card(model), (model / MODEL_FILE).read_bytes()
    _check_served(answers, since, until, model, str(card["model_version"]))
    rows = answers.query(saved_query("labelled_images", from_dt=since, to_dt=until)).frame.to_dict("records")
    images = _fetched(stack, rows, card, progress)
    of_a_class = int((images.labels != NONE).sum())
    if of_a_class < LEAST_LABELS:
        raise TooFewLabels(
            f"{of_a_class} labelled images from {since} to {until} show a class and can be learned from; "
            f"it takes at least {LEAST_LABELS}"
        )
    classes = card["classes"]
    present, features, logit_count = _seen(network, images.pixels, len(classes), _temperature(card))

    def accepts(probabilities: calibrate.Floats) -> NDArray[np.bool_]:
        return calibrate.accepted(probabilities, classes, float(card["threshold"]), card["thresholds"])

    correction, out_of_fold, comparison = learn(features, present, images.labels, accepts)
    if not comparison.is_better:
        return Learned(comparison, images.left_out, None, None)
    version = _write(out, network, card, correction, logit_count, comparison, out_of_fold, images.labels)
    neighbours.copy(model, out)
    return Learned(comparison, images.left_out, version, out)


def _check_served(answers: Engine, since: date, until: date, model: Path, version: str) -> None:
    """Check that the model decided about the latest image.

    Raises:
        OtherModel: another one did.
    """
    found = answers.query(internal_query("latest_model", from_dt=since, to_dt=until)).frame["model_version"]
    if len(found) and found.iloc[0] != version:
        raise OtherModel(
            f"the latest image was decided by the model {found.iloc[0]}, and {model} holds {version}: "
            "name the folder of the model that is served, with MODEL= or --model"
        )


def _fetched(
    stack: Stack, rows: list[dict[Any, Any]], card: dict[str, Any], progress: Callable[[int, int], None]
) -> _Labelled:
    s3, form = stack.client("s3"), ModelInput.from_mapping(card)
    classes = {name: number for number, name in enumerate(card["classes"])}

    def usable() -> Iterator[tuple[Any, int]]:
        for done, row in enumerate(rows, start=1):
            progress(done, len(rows))
            shown, version_id = row["true_label"], row["version_id"]
            label = classes.get(shown) if isinstance(shown, str) else NONE
            if label is None:
                continue
            data = original(
                s3, row["bucket"], row["key"], version_id if isinstance(version_id, str) else None
            )
            if data is None:
                continue
            try:
                yield np.asarray(as_a_model_sees(form, data)), label
            except RejectedImage:
                continue

    found = list(usable())
    pixels = np.array([each for each, _ in found], dtype=np.uint8)
    labels = np.array([label for _, label in found], dtype=np.int64)
    return _Labelled(pixels, labels, len(rows) - len(found))


def _seen(
    network: bytes, pixels: NDArray[np.uint8], class_count: int, temperature: float
) -> tuple[calibrate.Floats, calibrate.Floats, int]:
    """Return probabilities `(n, k)`, features `(n, d)`, and how many logits the last layer has.

    Raises:
        UnusableModel: the probabilities are not the softmax of the last layer's first logits.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_head.with_features(network), options, providers=["CPUExecutionProvider"]
    )
    names = [PROBABILITIES, onnx_head.FEATURES, onnx_head.LOGITS]
    present, features = [], []
    logit_count = 0
    for start in range(0, len(pixels), RUN_IMAGES):
        scores, seen, logits = session.run(names, {"images": pixels[start : start + RUN_IMAGES]})
        if len(logits) % len(scores) or not _follows(scores, _mean(logits, scores), class_count, temperature):
            raise UnusableModel(
                "the model has no last layer that can be learned: its probabilities are not the softmax of "
                "its last Gemm node, divided by the temperature of the card"
            )
        present.append(scores)
        features.append(_mean(seen, scores))
        logit_count = logits.shape[1]
    return np.concatenate(present).astype(float), np.concatenate(features).astype(float), logit_count


def _mean(values: calibrate.Floats, scores: calibrate.Floats) -> calibrate.Floats:
    """Return the mean `(n, d)` over each image and its mirrored copy, which comes last if there is one."""
    result: calibrate.Floats = values.reshape(-1, len(scores), values.shape[1]).mean(axis=0)
    return result


def _follows(
    scores: calibrate.Floats, logits: calibrate.Floats, class_count: int, temperature: float
) -> bool:
    if scores.shape[1] != class_count or logits.shape[1] < class_count:
        return False
    expected = calibrate.softmax(logits[:, :class_count], temperature)
    return float(np.abs(expected - scores).max()) <= _TOLERANCE


def _temperature(card: dict[str, Any]) -> float:
    return float(card.get("temperature", 1.0))


def _write(
    out: Path,
    network: bytes,
    card: dict[str, Any],
    correction: Correction,
    logit_count: int,
    comparison: Comparison,
    out_of_fold: calibrate.Floats,
    labels: calibrate.Ints,
) -> str:
    """Write the corrected model and its card; return its version."""
    temperature = _temperature(card)
    classes = len(card["classes"])
    weight = np.zeros((logit_count, correction.weight.shape[1]), np.float32)
    bias = np.zeros(logit_count, np.float32)
    weight[:classes], bias[:classes] = temperature * correction.weight, temperature * correction.bias
    content, version = onnx_head.corrected(network, weight, bias)
    is_class = labels != NONE
    correct = is_class & (out_of_fold.argmax(axis=1) == labels)
    target = float(card.get("target_precision", calibrate.TARGET_PRECISION))
    threshold = calibrate.choose_threshold(out_of_fold.max(axis=1), correct, target)
    # A threshold of 1 means that the labels cannot show the precision: the present thresholds stay.
    chosen: dict[str, Any] = {"threshold": threshold, "thresholds": {}} if threshold < 1.0 else {}
    kept = {name: value for name, value in card.items() if name not in _OF_TRAINING}
    new: dict[str, Any] = {**kept, "model_version": version, "size_bytes": len(content), **chosen}
    new["learned"] = {
        "from": card["model_version"],
        **asdict(comparison),
        "out_of_fold_before": card.get("out_of_fold"),
    }
    new["out_of_fold"] = calibrate.figures(
        out_of_fold[is_class], labels[is_class], card["classes"], new["threshold"], new["thresholds"], target
    )
    model_card.write(out, ModelFile(content, version), new)
    return version
