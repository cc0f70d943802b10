"""Teaches a model with the labels of a stack: fetches the images, learns, compares, and writes a model
folder."""

import json
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
from infra.operations.write_report import original
from infra.stack import Stack
from ingest.errors import RejectedImage, SconesError
from ingest.image import prepare_for
from ingest.model_input import ModelInput
from model import calibrate
from model.files import CARD_FILE, MODEL_FILE, PROBABILITIES, read_card
from model.training import onnx_head
from model.training.relearn import LEAST_LABELS, NONE, Comparison, Correction, learn

_RUN_IMAGES = 64


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
        UnusableModel: the model has no last layer that can be corrected.
        QueryRefused, QueryFailed: the engine could not answer.
    """
    card, network = read_card(model), (model / MODEL_FILE).read_bytes()
    _check_served(answers, since, until, model, str(card["model_version"]))
    rows = answers.query(saved_query("labelled_images", from_dt=since, to_dt=until)).frame.to_dict("records")
    images = _fetched(stack, rows, card, progress)
    if len(images.labels) < LEAST_LABELS:
        raise TooFewLabels(
            f"{len(images.labels)} labelled images from {since} to {until} can be learned from; "
            f"it takes at least {LEAST_LABELS}"
        )
    present, features, logit_count = _seen(network, images.pixels)
    correction, out_of_fold, comparison = learn(features, present, images.labels, float(card["threshold"]))
    if not comparison.is_better:
        return Learned(comparison, images.left_out, None, None)
    version = _write(out, network, card, correction, logit_count, comparison, out_of_fold, images.labels)
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
            data = original(
                s3, row["bucket"], row["key"], version_id if isinstance(version_id, str) else None
            )
            if label is None or data is None:
                continue
            try:
                yield np.asarray(prepare_for(form, data).pixels), label
            except RejectedImage:
                continue

    found = list(usable())
    pixels = np.array([each for each, _ in found], dtype=np.uint8)
    labels = np.array([label for _, label in found], dtype=np.int64)
    return _Labelled(pixels, labels, len(rows) - len(found))


def _seen(network: bytes, pixels: Any) -> tuple[calibrate.Floats, calibrate.Floats, int]:
    """Return probabilities `(n, k)`, features `(n, d)`, and how many logits the last layer has."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        onnx_head.with_features(network), options, providers=["CPUExecutionProvider"]
    )
    names = [PROBABILITIES, onnx_head.FEATURES, onnx_head.LOGITS]
    present, features = [], []
    logit_count = 0
    for start in range(0, len(pixels), _RUN_IMAGES):
        scores, seen, logits = session.run(names, {"images": pixels[start : start + _RUN_IMAGES]})
        present.append(scores)
        # A mirrored copy of the images comes last, if there is one: the correction is linear.
        features.append(seen.reshape(-1, len(scores), seen.shape[1]).mean(axis=0))
        logit_count = logits.shape[1]
    return np.concatenate(present).astype(float), np.concatenate(features).astype(float), logit_count


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
    temperature = float(card.get("temperature", 1.0))
    classes = len(card["classes"])
    weight = np.zeros((logit_count, correction.weight.shape[1]), np.float32)
    bias = np.zeros(logit_count, np.float32)
    weight[:classes], bias[:classes] = temperature * correction.weight, temperature * correction.bias
    content, version = onnx_head.corrected(network, weight, bias)
    is_class = labels != NONE
    correct = is_class & (out_of_fold.argmax(axis=1) == labels)
    target = float(card.get("target_precision", 0.99))
    threshold = calibrate.choose_threshold(out_of_fold.max(axis=1), correct, target)
    # A threshold of 1 means that the labels cannot show the precision: the present thresholds stay.
    chosen: dict[str, Any] = {"threshold": threshold, "thresholds": {}} if threshold < 1.0 else {}
    new: dict[str, Any] = {**card, "model_version": version, "size_bytes": len(content), **chosen}
    new["learned"] = {
        "from": card["model_version"],
        **asdict(comparison),
        "out_of_fold_before": card.get("out_of_fold"),
    }
    new["out_of_fold"] = calibrate.figures(
        out_of_fold[is_class], labels[is_class], card["classes"], new["threshold"], new["thresholds"], target
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / MODEL_FILE).write_bytes(content)
    (out / CARD_FILE).write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
    return version
