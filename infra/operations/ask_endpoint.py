"""An endpoint's answers about labelled images, asked and read by the code of the Lambdas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from botocore.exceptions import BotoCoreError
from PIL import Image

from infra.operations.check_endpoint import REFUSALS, Settings
from ingest.model_input import ModelInput
from model.calibrate import TARGET_PRECISION, Floats
from model.data.dataset import Dataset
from model.serving.endpoint import EndpointError
from workflow.aws import Endpoint
from workflow.policy import probabilities


@dataclass(frozen=True)
class AskedEndpoint:
    """An endpoint, with what the template's parameters say about it: `model.training.evaluate.Answering`."""

    endpoint: Endpoint
    settings: Settings

    target_precision: float = TARGET_PRECISION
    needs_all_classes: bool = False
    """Refuse an answer that gives the most probable classes only: a temperature cannot be fitted to it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes in the order of the endpoint's scores."""
        return self.settings.policy.classes

    @property
    def threshold(self) -> float:
        """Threshold of the classes without their own."""
        return self.settings.policy.threshold

    @property
    def class_thresholds(self) -> Mapping[str, float]:
        """Thresholds of single classes."""
        return self.settings.policy.class_thresholds

    @property
    def form(self) -> ModelInput:
        """Form of the pixels that `answers` takes. They become a JPEG when they are sent, and only then."""
        return replace(self.settings.form, jpeg_quality=0)

    def answers(self, data: Dataset, progress: Callable[[int, int], None]) -> tuple[Floats, str]:
        """Return probabilities `(n, k)` in the order of the policy's classes, and the version that answered.

        Where the endpoint gives the most probable classes only, the others share what is left to 1.

        Raises:
            EndpointError: the endpoint fails, or a stack would not understand its answer.
        """
        form, names = self.settings.form, self.classes
        found = np.zeros((len(data.pixels), len(names)))
        version = ""
        for place, pixels in enumerate(data.pixels):
            try:
                answer = self.endpoint.classify(form.file_of(Image.fromarray(pixels)), form.content_type)
                by_class = probabilities(answer.scores, self.settings.policy)
            except (*REFUSALS, BotoCoreError) as error:
                raise EndpointError(f"{type(error).__name__}: {error}") from error
            if self.needs_all_classes and len(by_class) < len(names):
                raise EndpointError(
                    f"{self.endpoint.name} gives {len(by_class)} of {len(names)} classes, and a temperature "
                    "needs all: let it answer with all, or calibrate with labels of reviewers"
                )
            version = answer.model_version
            left = max(1 - sum(by_class.values()), 0) / max(len(names) - len(by_class), 1)
            found[place] = [by_class.get(name, left) for name in names]
            progress(place + 1, len(data.pixels))
        return found, version
