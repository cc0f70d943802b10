"""What answers about an image: an endpoint, or a model in the Lambda itself. Pure.

`workflow.aws` connects one or the other. Both give the same scores for the same image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from ingest.model_input import PIXELS_TYPE
from workflow.answers import Scores
from workflow.errors import EndpointFault

IN_ENDPOINT, IN_LAMBDA = "Endpoint", "Lambda"
"""Where the model is: the values of the template's parameter `ModelIn`."""
NO_ENDPOINT = "lambda"
"""Stands for the endpoint's name in the rows of a model in the Lambda."""


@dataclass(frozen=True)
class Answer:
    """The answer to one image."""

    scores: Scores
    model_version: str


class Classifier(Protocol):
    """What the steps need of `workflow.aws.Endpoint`, or of a `ModelInLambda`."""

    @property
    def name(self) -> str:
        """Name of the endpoint."""
        ...

    @property
    def is_left_alone(self) -> bool:
        """Whether it was busy just now, so that every request is refused without asking."""
        ...

    @property
    def is_half_open(self) -> bool:
        """Whether its last answer was that it is busy, and it may be asked again."""
        ...

    def classify(self, image: bytes, content_type: str) -> Answer:
        """Return the answer to one image."""
        ...

    def classify_batch(self, images: Sequence[bytes], size_px: tuple[int, int]) -> list[Answer]:
        """Return the answers to many images, in their order."""
        ...


class Scorer(Protocol):
    """What a `ModelInLambda` needs of `model.serving.inference.Model`."""

    @property
    def version(self) -> str:
        """Version of the model."""
        ...

    def score_file(self, file: bytes) -> tuple[list[float], float | None]:
        """Return the probabilities and the unfamiliarity, if it is told, of an image file."""
        ...

    def score_npy(self, file: bytes) -> tuple[list[float], float | None]:
        """Return the same of an `.npy` file with the pixels of one image."""
        ...

    def score_pixels(
        self, images: Sequence[bytes], size_px: tuple[int, int]
    ) -> list[tuple[list[float], float | None]]:
        """Return the same for many images, RGB, width × height × 3 bytes each."""
        ...


class ModelInLambda:
    """A model that runs in the process of the Lambda, in place of an endpoint."""

    name = NO_ENDPOINT
    is_left_alone = is_half_open = False

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        # A Lambda has about one core: runs side by side would take more memory, and no less time.
        self._one_at_a_time = Lock()

    def classify(self, image: bytes, content_type: str) -> Answer:
        """Return the answer to one image: its pixels, or a file, which is recognised by its bytes.

        Raises:
            EndpointFault: the model failed.
        """
        score = self._scorer.score_npy if content_type == PIXELS_TYPE else self._scorer.score_file
        try:
            with self._one_at_a_time:
                return self._answer(score(image))
        except Exception as error:
            raise _fault(error) from error

    def classify_batch(self, images: Sequence[bytes], size_px: tuple[int, int]) -> list[Answer]:
        """Return the answers to many images, as `workflow.aws.Endpoint.classify_batch`.

        Raises:
            EndpointFault: the model failed.
        """
        try:
            with self._one_at_a_time:
                return [self._answer(each) for each in self._scorer.score_pixels(images, size_px)]
        except Exception as error:
            raise _fault(error) from error

    def _answer(self, scores: tuple[list[float], float | None]) -> Answer:
        values, unfamiliarity = scores
        return Answer(Scores(values, unfamiliarity=unfamiliarity), self._scorer.version)


def _fault(error: Exception) -> EndpointFault:
    return EndpointFault(f"the model in the Lambda failed: {type(error).__name__}: {error}"[:500])
