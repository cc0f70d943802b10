"""A training run: reads the data, trains, and writes the model with its card."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.model_input import ModelInput
from model.data import cifar100
from model.data.dataset import DEFAULT_FORM, DataError, left_out
from model.data.foreign import read as read_foreign
from model.data.load import Data, Progress, Steps, load
from model.training import card, neighbours
from model.training.classifier_file import ModelFile
from model.training.label_errors import LabelErrors, Suspect
from model.training.summary import summary

Trainer = Callable[[Data, Progress], tuple[ModelFile, dict[str, Any]]]
"""Returns a model and its card."""


@dataclass(frozen=True)
class Trained:
    """A model in a folder, with its card."""

    folder: Path
    file: ModelFile
    card: dict[str, Any]

    def text(self) -> str:
        """Return for people how good the model is and where it is."""
        lines = [summary(self.card["out_of_fold"]), *_label_errors(self.card["data"])]
        if self.card["threshold"] == 1.0:
            target = self.card["target_precision"]
            lines.append(
                f"\n{self.card['out_of_fold']['images']} images cannot show a precision of {target:g}: "
                f"all would need review. It takes at least {needed(target)} predictions without an error, "
                "or a lower target precision."
            )
        lines.append(f"written to {self.folder}: {self.file.model_version}, {len(self.file.content):,} bytes")
        return "\n".join(lines)


def run(
    trainer: Trainer,
    *,
    data: Path | None,
    download_to: Path,
    classes: Sequence[str],
    foreign: Path | None = None,
    form: ModelInput = DEFAULT_FORM,
    out: Path,
    target_precision: float,
    steps: Steps,
    say: Callable[[str], None],
) -> Trained:
    """Train on the data and write the model with its card to `out`.

    Args:
        trainer: trains on the clean data.
        data: a CIFAR-100 archive or a folder of labelled images; None downloads one (169 MB).
        download_to: where the downloaded archive is kept.
        classes: names of the classes, in order; none stands for all.
        foreign: folder of images that show none of the classes, in a folder for each kind.
        form: size, resizing and file format of the images that the model will see.
        out: folder to write to.
        target_precision: above 0 and below 1; chooses the thresholds.
        steps: shows the progress of each step.
        say: gets each line about the data before training begins.

    Raises:
        DataError: the data cannot be used, or the folder cannot be written to.
    """
    if not 0 < target_precision < 1:
        raise DataError(f"the target precision is {target_precision:g}; it must be above 0 and below 1")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {out}: {error.strerror}") from error
    if data is None:
        with steps("downloading") as progress:
            cifar100.download(download_to, progress)
    with steps("reading") as progress:
        clean = load(data or download_to, classes, progress, form)
    if foreign:
        with steps("reading foreign images") as progress:
            strangers, dropped = read_foreign(foreign, clean.train, progress)
        lines = [
            f"{len(strangers.labels)} images of {len(strangers.classes)} kinds",
            *left_out(strangers, dropped),
        ]
        lines = [f"foreign: {line}" for line in lines]
        clean = replace(clean, foreign=strangers, report=(*clean.report, *lines))
    for line in clean.report:
        say(line)
    with steps("training") as progress:
        file, described = trainer(clean, progress)
    card.write(out, file, described)
    neighbours.write(out, file.content, clean.train)
    return Trained(out, file, described)


def _label_errors(data: Mapping[str, Any]) -> list[str]:
    suspects = [Suspect(**each) for each in data["probably_wrong"]]
    pairs = [(one, other) for one, other in data["near_duplicates_with_two_labels"]]
    return ["", *LabelErrors(suspects, pairs, data["near_duplicate_pairs"]).lines()]


def needed(target_precision: float) -> int:
    """Return how many predictions without an error show a precision (docs/decisions/0011)."""
    return math.ceil(1 / (1 - target_precision) - 1 - 1e-9)
