"""Probabilities → label and confidence; threshold → outcome. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflow.errors import InvalidScores, WrongModel
from workflow.outcome import Outcome

INFERENCE_ID_PREFIX = "scones-"
"""InferenceId prefix of Scones' own requests, so that an import of data capture can skip them."""

SUM_TOLERANCE = 0.01
"""Tolerance of the sum: float16 scores of a hundred classes and printed decimals do not add up to 1."""


@dataclass(frozen=True)
class Policy:
    """The rule that turns scores into a decision."""

    classes: tuple[str, ...]
    """Class names in the order of the endpoint's scores."""
    threshold: float
    """Least confidence that is accepted, for every class without its own threshold."""
    class_thresholds: Mapping[str, float]
    temperature: float = 1.0
    """Calibrates the scores of an endpoint that does not do so itself; 1 leaves them unchanged."""
    model_version: str = ""
    """Model version that the classes and thresholds belong to; empty for any."""

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> "Policy":
        """Read the environment, the template's parameters or a model's card.

        The environment and the template have the same names, with text: `a,b`, `0.9`, `a=0.8,b=0.95` (may be
        empty), `1`. A card has JSON values under its own names. Its `temperature` is already in the model.

        Raises:
            KeyError: the classes, the threshold or the thresholds of classes are missing.
            ValueError: a name is empty, doubled or unknown, or a number is out of its range.
        """
        classes = _classes(_either(said, "ClassNames", "classes"))
        return cls(
            classes=classes,
            threshold=_probability(_either(said, "Threshold", "threshold")),
            class_thresholds=_class_thresholds(_either(said, "ClassThresholds", "thresholds"), classes),
            temperature=_temperature(said.get("Temperature", 1)),
            model_version=str(said.get("ModelVersion", said.get("model_version", ""))),
        )

    def to_parameters(self) -> dict[str, str]:
        """Return the template's parameters.

        An optional one at its default is left out, so that a deployment keeps its own value.
        """
        own = ",".join(f"{label}={threshold}" for label, threshold in self.class_thresholds.items())
        optional = {"Temperature": str(self.temperature)} if self.temperature != 1 else {}
        optional |= {"ModelVersion": self.model_version} if self.model_version else {}
        return {
            "ClassNames": ",".join(self.classes),
            "Threshold": str(self.threshold),
            "ClassThresholds": own,
            **optional,
        }

    def check_version(self, answered: str) -> None:
        """Check that the model version that answered is the one that the policy is for.

        Raises:
            WrongModel: it is another one, so that its scores may mean other classes.
        """
        if self.model_version and answered != self.model_version:
            raise WrongModel(
                f"the policy is for model {self.model_version!r}, and {answered!r} answered"[:500]
            )

    def threshold_of(self, label: str) -> float:
        """Return the least confidence that is accepted for a class."""
        return self.class_thresholds.get(label, self.threshold)


@dataclass(frozen=True)
class Prediction:
    """Result of the model and the policy for one image."""

    outcome: Outcome
    label: str
    confidence: float
    threshold: float
    probabilities: Mapping[str, float]


def decide(scores: Sequence[Any], policy: Policy) -> Prediction:
    """Decide on one image from the endpoint's scores, one for each of the policy's classes, in their order.

    Raises:
        InvalidScores: the scores are not one finite probability per class.
    """
    probabilities = _temper(_checked(scores, policy.classes), policy.temperature)
    by_class = dict(zip(policy.classes, probabilities, strict=True))
    label = max(by_class, key=by_class.__getitem__)
    threshold = policy.threshold_of(label)
    accepted = by_class[label] >= threshold
    return Prediction(
        outcome=Outcome.ACCEPTED if accepted else Outcome.NEEDS_REVIEW,
        label=label,
        confidence=by_class[label],
        threshold=threshold,
        probabilities=by_class,
    )


def _checked(scores: Sequence[Any], classes: Sequence[str]) -> list[float]:
    if not isinstance(scores, list) or len(scores) != len(classes):
        raise InvalidScores(f"expected {len(classes)} probabilities, one per class, got {_short(scores)}")
    if not all(_is_number(score) and 0 <= score <= 1 for score in scores):
        raise InvalidScores(f"expected numbers from 0 to 1, got {_short(scores)}")
    if abs(math.fsum(scores) - 1) > SUM_TOLERANCE:
        raise InvalidScores(f"expected probabilities that add up to 1, got {_short(scores)}")
    return [float(score) for score in scores]


def _is_number(score: Any) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool)


def _short(scores: Any) -> str:
    return repr(scores)[:200]


def _temper(probabilities: list[float], temperature: float) -> list[float]:
    """Soften (above 1) or sharpen (below 1) probabilities; source: Guo et al., 2017, arXiv:1706.04599.

    The logits of a softmax are the logarithms of its probabilities, up to a constant that cancels out.
    """
    if temperature == 1:
        return probabilities
    most = max(probabilities)
    powers = [(probability / most) ** (1 / temperature) for probability in probabilities]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _either(said: Mapping[str, Any], parameter: str, on_card: str) -> Any:
    return said[parameter if parameter in said else on_card]


def _classes(said: str | Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (said.split(",") if isinstance(said, str) else said))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"class names must be distinct and not empty: {said!r}")
    for name in names:
        # A comma separates the names in the template's parameter.
        if "," in name or not name.isprintable():
            raise ValueError(f"a class name must be printable and without a comma: {name!r}")
    return names


def _class_thresholds(said: str | Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    pairs: Iterable[tuple[str, str | float]]
    if isinstance(said, str):
        parts = (part.strip().rpartition("=") for part in said.split(",") if part.strip())
        pairs = ((name, value) for name, _, value in parts)
    else:
        pairs = said.items()
    thresholds: dict[str, float] = {}
    for name, value in pairs:
        if name not in classes:
            raise ValueError(f"{name}={value}: {name!r} is not one of {', '.join(classes)}")
        if name in thresholds:
            raise ValueError(f"{name!r} has two thresholds")
        thresholds[name] = _probability(value)
    return thresholds


def _probability(said: str | float) -> float:
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ValueError(f"a threshold must be from 0 to 1: {said!r}")
    return value


def _temperature(said: str | float) -> float:
    value = float(said)
    if not 0 < value < math.inf:
        raise ValueError(f"a temperature must be more than 0: {said!r}")
    return value
