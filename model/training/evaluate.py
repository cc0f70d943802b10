"""Measures a model on labelled images: `python -m model.training.evaluate --data DATA [--endpoint-url URL]`.

It prints the figures of the model's card for any archive or folder, whether the model is in a file, behind a
URL or a SageMaker endpoint, and draws the reliability diagram and the risk-coverage curve.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model.data import cifar100, folder
from model.data.dataset import DataError, Dataset
from model.data.load import load_part
from model.serving import aws
from model.serving.endpoint import EndpointError, ask, over_http
from model.serving.inference import Model
from model.training import calibrate, card
from model.training.console import bar, summary
from model.training.diagrams import reliability_svg, risk_coverage_svg

DEFAULT_MODEL = Path(__file__).parents[1] / "weights"


def write(out: Path, probabilities: calibrate.Floats, data: Dataset, figures: Mapping[str, Any]) -> None:
    """Write figures and diagrams to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    at = figures["at_threshold"]
    chosen = None if at["precision"] is None else (at["coverage"], 1 - at["precision"])
    (out / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    bins = calibrate.reliability(probabilities, data.labels)
    (out / "reliability.svg").write_text(reliability_svg(bins), encoding="utf-8")
    curve = calibrate.risk_coverage(probabilities, data.labels)
    (out / "risk_coverage.svg").write_text(risk_coverage_svg(*curve, chosen), encoding="utf-8")


def main() -> None:
    """Measure a model on labelled images it has not seen."""
    parser = argparse.ArgumentParser(prog="python -m model.training.evaluate", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a CIFAR-100 archive or a folder class/…")
    parser.add_argument("--part", choices=("train", "test"), help="of the data (test, if it has one)")
    parser.add_argument(
        "--model",
        type=Path,
        default=DEFAULT_MODEL,
        help="folder with model.onnx and card.json; classes "
        "and thresholds come from its card (model/weights)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--endpoint-url", help="ask URL/invocations instead of the model's file")
    where.add_argument("--endpoint-name", help="ask this SageMaker endpoint instead")
    parser.add_argument("--out", type=Path, default=Path("build/evaluation"), help="(build/evaluation)")
    arguments = parser.parse_args()
    try:
        described = card.read(arguments.model)
        path = arguments.data
        there = folder.parts_of(path) if path.is_dir() else cifar100.parts_of(path)
        part: cifar100.Part = arguments.part or ("test" if "test" in there else "train")
        with bar("reading") as progress:
            data = load_part(path, described["classes"], part, progress)
        with bar("asking") as progress:
            if arguments.endpoint_url:
                with over_http(arguments.endpoint_url) as classify:
                    probabilities = ask(classify, data, progress)
            elif arguments.endpoint_name:
                probabilities = ask(aws.over_sagemaker(arguments.endpoint_name), data, progress)
            else:
                model = Model.load(arguments.model, threads=1)
                probabilities = np.array(model.probabilities(data.pixels))
    except (DataError, EndpointError, ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    figures = calibrate.figures(
        probabilities, data.labels, data.classes, described["threshold"], described["thresholds"]
    )
    write(arguments.out, probabilities, data, figures)
    for line in data.unreadable:
        print(f"unreadable: {line}")
    print(f"{part} images of {path}, model {described['model_version']}\n")
    print(summary(figures))
    print(f"\ndiagrams and figures: {arguments.out}")


if __name__ == "__main__":
    main()
