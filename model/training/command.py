"""What the commands of both trainers share: their options, and what they do around the training itself."""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.data.dataset import DataError
from model.data.load import Data, load
from model.training import card
from model.training.classifier_file import ModelFile
from model.training.console import bar, summary

Progress = Callable[[int, int], None]
"""To be called with what is done and what there is to do."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both have."""
    parser.add_argument("--classes", nargs="*", default=[], help="their names, in order (all there are)")
    parser.add_argument("--out", type=Path, default=Path("build/model"), help="where to write (build/model)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--target-precision",
        type=_share,
        default=0.99,
        help="of what is accepted: chooses the thresholds (0.99)",
    )


def needed(target_precision: float) -> int:
    """Return how many predictions without an error it takes to show a precision: docs/decisions/0011."""
    return math.ceil(1 / (1 - target_precision) - 1 - 1e-9)


def run(
    arguments: argparse.Namespace,
    source: Callable[[], Path],
    train: Callable[[Data, Progress], tuple[ModelFile, dict[str, Any]]],
) -> None:
    """Read the data at `source`, train on it, write the model with its card, and print how good it is."""
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"error: cannot write to {arguments.out}: {error.strerror}")
    try:
        path = source()
        with bar("reading") as progress:
            data = load(path, arguments.classes, progress)
        for line in data.report:
            print(line)
        with bar("training") as progress:
            file, result = train(data, progress)
    except DataError as error:
        sys.exit(f"error: {error}")
    card.write(arguments.out, file, result)
    print(summary(result["out_of_fold"]))
    if result["threshold"] == 1.0:
        target = arguments.target_precision
        print(
            f"\n{result['out_of_fold']['images']} images cannot show a precision of {target:g}: everything "
            f"would be reviewed. It takes at least {needed(target)} predictions without an error, or a lower "
            "--target-precision."
        )
    print(f"written to {arguments.out}: {file.model_version}, {len(file.content):,} bytes")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not more than 0 and less than 1")
    return share
