"""Asks an endpoint about a few images, with the code of the Lambdas, before a stack is deployed for it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ingest.errors import SconesError
from ingest.image import PreparedImage, prepare_for
from ingest.model_input import ModelInput
from workflow.answers import PROBABILITIES
from workflow.aws import Endpoint
from workflow.classifier import Answer
from workflow.errors import (
    EndpointBusy,
    EndpointFault,
    InvalidScores,
    UnclearAnswer,
    UnknownLabel,
    WrongModel,
)
from workflow.policy import Policy, decide

_DEFAULTS = {"Threshold": "0.9", "ClassThresholds": ""}
"""Parameters that do not change whether an answer is understood."""

REFUSALS = (EndpointBusy, EndpointFault, UnclearAnswer, InvalidScores, UnknownLabel, WrongModel, ClientError)
"""Errors of an endpoint that is asked: of a request, alone or of a batch, or of what it answered."""


class CannotCheck(SconesError):
    """The parameters are not enough to ask the endpoint."""


@dataclass(frozen=True)
class Settings:
    """What the template's parameters say about an endpoint."""

    form: ModelInput
    policy: Policy
    accept: str
    scores_are: str

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "Settings":
        """Read the template's parameters; `ClassNames` and `ImageSizePx` are needed.

        Raises:
            CannotCheck: one is missing or wrong.
        """
        said = {**_DEFAULTS, **parameters}
        try:
            return cls(
                ModelInput.from_mapping(said),
                Policy.from_mapping(said),
                said.get("EndpointAccept", "application/json"),
                said.get("EndpointScores", PROBABILITIES),
            )
        except KeyError as error:
            raise CannotCheck('PARAMETERS needs both, as in "ClassNames=cat,dog ImageSizePx=224"') from error
        except ValueError as error:
            raise CannotCheck(f"PARAMETERS: {error}") from error


@dataclass(frozen=True)
class CheckedImage:
    """The endpoint's answer to one image."""

    milliseconds: float
    label: str | None = None
    confidence: float | None = None
    named: bool = False
    """Whether the answer names its classes."""
    classes: int = 0
    """Classes that have a score."""
    probability_sum: float = 0.0
    unfamiliarity: float | None = None
    model_version: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Checked:
    """What an endpoint answered."""

    images: list[CheckedImage]
    takes_batches: bool
    batch_ms: float | None
    """Milliseconds for each image of a batch."""
    batch_differs_by: float | None
    """Largest difference of a probability in a batch to the same image alone."""

    @property
    def is_ready(self) -> bool:
        """Whether a stack would understand every answer."""
        return all(image.error is None for image in self.images)


def check_endpoint(endpoint: Endpoint, settings: Settings, images: Sequence[bytes]) -> Checked:
    """Ask about each image alone, then about all in one request.

    Raises:
        RejectedImage: an image is at fault.
    """
    prepared = [prepare_for(settings.form, image) for image in images]
    alone = [_ask(endpoint, settings, image) for image in prepared]
    started = time.perf_counter()
    try:
        if settings.form.jpeg_quality:
            raise EndpointFault("batches are sent as pixels, which are not JPEG")
        answers = endpoint.classify_batch([each.pixels.tobytes() for each in prepared], settings.form.size_px)
        batch_ms = (time.perf_counter() - started) * 1000 / len(prepared)
        together = [decide(answer.scores, settings.policy).probabilities for answer in answers]
    except REFUSALS:
        return Checked(
            [image for image, _ in alone], takes_batches=False, batch_ms=None, batch_differs_by=None
        )
    differs_by = [
        abs(before[name] - probability)
        for (_, before), probabilities in zip(alone, together, strict=True)
        for name, probability in probabilities.items()
        if name in before
    ]
    return Checked([image for image, _ in alone], True, round(batch_ms, 1), max(differs_by, default=0.0))


def _ask(
    endpoint: Endpoint, settings: Settings, image: PreparedImage
) -> tuple[CheckedImage, Mapping[str, float]]:
    started = time.perf_counter()
    answer: Answer | None = None
    try:
        answer = endpoint.classify(settings.form.file_of(image.pixels), settings.form.content_type)
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        settings.policy.check_version(answer.model_version)
        decided = decide(answer.scores, settings.policy)
    except REFUSALS as error:
        milliseconds = round((time.perf_counter() - started) * 1000, 1)
        return CheckedImage(milliseconds, error=f"{type(error).__name__}: {error}"), {}
    return (
        CheckedImage(
            milliseconds,
            label=decided.label,
            confidence=decided.confidence,
            named=answer.scores.labels is not None,
            classes=len(answer.scores.values),
            probability_sum=sum(decided.probabilities.values(), decided.other_probability or 0),
            unfamiliarity=decided.unfamiliarity,
            model_version=answer.model_version,
        ),
        decided.probabilities,
    )
