"""The card beside every model file: its classes, how it was made, and its figures."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from model import calibrate
from model.data.dataset import Dataset
from model.files import CARD_FILE, MODEL_FILE
from model.training import label_errors
from model.training.classifier_file import ModelFile

_PACKAGES = ("numpy", "onnxruntime", "pillow", "torch")


def make(
    *,
    dataset: Dataset,
    fold: calibrate.Ints,
    logits: calibrate.Floats,
    temperature: float,
    target_precision: float,
    limits: tuple[float, dict[str, float]],
    file: ModelFile,
    report: Sequence[str],
    training: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the card of a model from its out-of-fold logits `(n, k)`, ready for JSON.

    `limits` are the threshold and those of single classes; `report` describes the data; `training` holds
    everything else about how the model was trained.
    """
    probabilities = calibrate.softmax(logits, temperature)
    before = calibrate.softmax(logits)
    threshold, thresholds = limits
    figures = calibrate.figures(
        probabilities, dataset.labels, dataset.classes, threshold, thresholds, target_precision
    )
    return {
        "model_version": file.model_version,
        "classes": list(dataset.classes),
        **dataset.form.to_card(),
        "temperature": temperature,
        "target_precision": target_precision,
        "threshold": threshold,
        "thresholds": thresholds,
        "size_bytes": len(file.content),
        "data": {
            "images": dataset.counts(),
            "sha256": dataset.sha256(),
            "split": f"{len(np.unique(fold))} folds, each class spread evenly, near-duplicates together",
            "report": list(report),
            **label_errors.find(dataset, probabilities).for_json(),
        },
        "training": dict(training),
        "versions": {"python": platform.python_version(), **_versions()},
        "out_of_fold": {
            "ece_before_calibration": round(calibrate.expected_calibration_error(before, dataset.labels), 4),
            **figures,
            "at_cross_fitted_threshold": calibrate.cross_fitted_acceptance(
                logits, dataset.labels, fold, target_precision
            ),
        },
    }


def write(folder: Path, file: ModelFile, card: Mapping[str, Any]) -> None:
    """Write a model and its card to a folder: the card last, so that a card always has its model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL_FILE).write_bytes(file.content)
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # the light trainer needs no torch
    return found
