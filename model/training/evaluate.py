"""Measures a model on labelled images: a file, an HTTP endpoint or a SageMaker endpoint.

The figures are those of the model's card, with the reliability diagram and the risk-coverage curve.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ingest.model_input import ModelInput
from model import calibrate
from model.data import cifar100, folder
from model.data.dataset import Dataset
from model.data.load import Steps, load_part
from model.files import DEFAULT_MODEL, read_card
from model.serving import aws
from model.serving.endpoint import ask, over_http
from model.serving.inference import Model
from model.training import label_errors
from model.training.diagrams import reliability_svg, risk_coverage_svg
from model.training.label_errors import LabelErrors
from model.training.summary import summary


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
    data: Path,
    *,
    part: cifar100.Part | None = None,
    model: Path = DEFAULT_MODEL,
    endpoint_url: str | None = None,
    endpoint_name: str | None = None,
    session: Any = None,
    steps: Steps,
) -> Evaluation:
    """Measure a model on labelled images that it has not seen.

    Args:
        data: a CIFAR-100 archive or a folder of labelled images.
        part: of the data; None stands for `test` if it has one.
        model: folder whose card names the classes and the thresholds; its network answers, unless
            one of the two endpoints is given.
        endpoint_url: ask `URL/invocations` instead.
        endpoint_name: ask this SageMaker endpoint instead.
        session: boto3 session of the endpoint's account and region.
        steps: shows the progress of each step.

    Raises:
        SconesError: the data, the model or the endpoint cannot be used.
    """
    card = read_card(model)
    there = folder.parts_of(data) if data.is_dir() else cifar100.parts_of(data)
    part = part or ("test" if "test" in there else "train")
    with steps("reading") as progress:
        images = load_part(data, card["classes"], part, progress, ModelInput.from_mapping(card))
    with steps("asking") as progress:
        if endpoint_url:
            with over_http(endpoint_url) as classify:
                probabilities = ask(classify, images, progress)
        elif endpoint_name:
            probabilities = ask(aws.over_sagemaker(session, endpoint_name), images, progress)
        else:
            probabilities = np.array(Model.load(model, threads=1).probabilities(images.pixels))
    figures = calibrate.figures(
        probabilities,
        images.labels,
        images.classes,
        card["threshold"],
        card["thresholds"],
        card.get("target_precision", calibrate.TARGET_PRECISION),
    )
    errors = label_errors.find(images, probabilities)
    return Evaluation(card["model_version"], data, part, images, probabilities, figures, errors)
