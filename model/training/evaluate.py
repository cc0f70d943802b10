"""Measures a model on labelled images: a file, or whatever else answers about them.

The figures are those of the model's card, with the reliability diagram and the risk-coverage curve.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ingest.model_input import ModelInput
from model import calibrate
from model.data import cifar100, folder
from model.data.dataset import Dataset
from model.data.load import Progress, Steps, load_part
from model.files import read_card
from model.serving.inference import Model
from model.training import label_errors
from model.training.diagrams import reliability_svg, risk_coverage_svg
from model.training.label_errors import LabelErrors
from model.training.summary import summary


class Answering(Protocol):
    """What an evaluation measures."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the probabilities."""
        ...

    @property
    def form(self) -> ModelInput:
        """Form of the pixels that `answers` takes."""
        ...

    @property
    def threshold(self) -> float:
        """Threshold of the classes without their own."""
        ...

    @property
    def class_thresholds(self) -> Mapping[str, float]:
        """Thresholds of single classes."""
        ...

    @property
    def target_precision(self) -> float:
        """Precision that the thresholds are to reach."""
        ...

    def answers(self, data: Dataset, progress: Progress) -> tuple[calibrate.Floats, str]:
        """Return probabilities `(n, k)` and the model version that answered."""
        ...


@dataclass(frozen=True)
class ModelFile:
    """A model's folder: its network answers, and its card has the rest."""

    folder: Path
    classes: tuple[str, ...]
    form: ModelInput
    threshold: float
    class_thresholds: Mapping[str, float]
    target_precision: float

    @classmethod
    def of(cls, model: Path) -> "ModelFile":
        """Read the card.

        Raises:
            UnusableModel: the folder has none.
        """
        card = read_card(model)
        return cls(
            model,
            tuple(card["classes"]),
            ModelInput.from_mapping(card),
            card["threshold"],
            card["thresholds"],
            card.get("target_precision", calibrate.TARGET_PRECISION),
        )

    def answers(self, data: Dataset, progress: Progress) -> tuple[calibrate.Floats, str]:
        """Return probabilities `(n, k)` and the card's version.

        Raises:
            UnusableModel: there is no usable network.
        """
        model = Model.load(self.folder, threads=1)
        return np.array(model.probabilities(data.pixels)), model.version


@dataclass(frozen=True)
class Evaluation:
    """A model's answers about one part of the data, and the figures that follow."""

    model_version: str
    path: Path
    part: cifar100.Part
    data: Dataset
    probabilities: calibrate.Floats
    """`(n, k)`."""
    figures: dict[str, Any]
    label_errors: LabelErrors
    """Of this part: the model must not have learned from it."""

    def text(self) -> str:
        """Return the figures for people."""
        lines = [*self.data.notes, *(f"unreadable: {line}" for line in self.data.unreadable)]
        lines.append(f"{self.part} images of {self.path}, model {self.model_version}\n")
        lines.append(summary(self.figures))
        lines += ["", *self.label_errors.lines()]
        return "\n".join(lines)

    def write(self, out: Path) -> None:
        """Write figures, label errors (`label_errors.json`) and diagrams to a folder."""
        out.mkdir(parents=True, exist_ok=True)
        at = self.figures["at_threshold"]
        chosen = None if at["precision"] is None else (at["coverage"], 1 - at["precision"])
        (out / "evaluation.json").write_text(json.dumps(self.figures, indent=2) + "\n", encoding="utf-8")
        errors = json.dumps(self.label_errors.for_json(), indent=2)
        (out / "label_errors.json").write_text(errors + "\n", encoding="utf-8")
        bins = calibrate.reliability(self.probabilities, self.data.labels)
        (out / "reliability.svg").write_text(reliability_svg(bins), encoding="utf-8")
        curve = calibrate.risk_coverage(self.probabilities, self.data.labels)
        (out / "risk_coverage.svg").write_text(risk_coverage_svg(*curve, chosen), encoding="utf-8")


def evaluate(
    data: Path, measured: Answering, *, part: cifar100.Part | None = None, steps: Steps
) -> Evaluation:
    """Measure a model on labelled images that it has not seen.

    Args:
        data: a CIFAR-100 archive or a folder of labelled images.
        measured: the model.
        part: of the data; None stands for `test` if it has one.
        steps: shows the progress of each step.

    Raises:
        SconesError: the data or the model cannot be used.
    """
    there = folder.parts_of(data) if data.is_dir() else cifar100.parts_of(data)
    part = part or ("test" if "test" in there else "train")
    with steps("reading") as progress:
        images = load_part(data, measured.classes, part, progress, measured.form)
    with steps("asking") as progress:
        probabilities, version = measured.answers(images, progress)
    figures = calibrate.figures(
        probabilities,
        images.labels,
        images.classes,
        measured.threshold,
        measured.class_thresholds,
        measured.target_precision,
    )
    errors = label_errors.find(images, probabilities)
    return Evaluation(version, data, part, images, probabilities, figures, errors)
