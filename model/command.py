"""What the commands of both trainers share: their options, and what they do around the training itself."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model import card
from model.classifier_file import ModelFile
from model.console import bar, summary
from model.dataset import DataError
from model.load import Data, load

Progress = Callable[[int, int], None]
"""To be called with what is done and what there is to do."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both have."""
    parser.add_argument("--classes", nargs="*", default=[], help="their names, in order (all there are)")
    parser.add_argument("--out", type=Path, default=Path("build/model"), help="where to write (build/model)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--target-precision",
        type=float,
        default=0.99,
        help="of what is accepted: chooses the thresholds (0.99)",
    )


def run(
    arguments: argparse.Namespace,
    source: Callable[[], Path],
    train: Callable[[Data, Progress], tuple[ModelFile, dict[str, Any]]],
) -> None:
    """Read the data at `source`, train on it, write the model with its card, and print how good it is."""
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
    print(f"written to {arguments.out}: {file.model_version}, {len(file.content):,} bytes")
