"""Probabilities → label and confidence; threshold → outcome. Pure."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import nlargest
from typing import Any

from ingest import class_names
from workflow.answers import LOGITS, PROBABILITIES, SCORES_ARE, SIGMOID, Scores
from workflow.errors import InvalidScores, UnknownLabel, WrongModel
from workflow.outcome import Outcome

INFERENCE_ID_PREFIX = "scones-"
"""InferenceId prefix of Scones' own requests, so that an import of data capture can skip them."""

UNLIKE_TRAINING = "unlike_training"
"""Reason of an image that needs review because it is unlike the classes, whatever its confidence."""

DEFAULT_UNFAMILIARITY_THRESHOLD = 0.95

KEPT_CLASSES = 10
"""Classes whose probabilities a row has: all, or of more the most probable."""

CLASSES_MAX_BYTES = 3_200
"""Limit of the names and thresholds of classes as parameters: a Lambda's environment may have 4 KB in all.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

_OF_CLASSES = ("ClassNames", "ClassThresholds")
"""Parameters that a file of classes stands for."""

PARAMETERS = (
    "ClassNames",
    "Threshold",
    "ClassThresholds",
    "ClassesFile",
    "Temperature",
    "ModelVersion",
    "UnfamiliarityThreshold",
    "EndpointScores",
)
"""The template's parameters that make a policy."""

SUM_TOLERANCE = 0.01
"""Tolerance of the sum: float16 scores of a hundred classes and printed decimals do not add up to 1."""

_SHOWN_CHARS = 200
"""Characters of an answer, or of the names of classes, that an error shows."""

_MAX_LOGIT = 1e6
"""Far above any logit; the exponential of its difference to another is finite."""


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
    unfamiliarity_threshold: float = DEFAULT_UNFAMILIARITY_THRESHOLD
    """Above it, an image needs review; an endpoint that gives no unfamiliarity is not affected."""
    scores_are: str = PROBABILITIES
    """One of `SCORES_ARE`."""

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any], read: Callable[[str], bytes] | None = None) -> "Policy":
        """Read the environment, the template's parameters or a model's card.

        The environment and the template have the same names, with text: `a,b` (see `ingest.class_names`),
        `0.9`, `a=0.8,b=0.95` (may be empty), `1`. A card has JSON values under its own names. Its
        `temperature` is already in the model. Whatever is not listed in `Raises` is optional.

        Args:
            said: the names and their values.
            read: returns the content of `ClassesFile`, `bucket/key`, which has what the parameters do not.

        Raises:
            KeyError: the classes, the threshold or the thresholds of classes are missing.
            ValueError: a name is empty, doubled or unknown, a number is out of its range, or the file is not
                the one that its name says.
        """
        if read and (file := said.get("ClassesFile")):
            said = {**said, **{name: said.get(name) or value for name, value in _of_file(file, read).items()}}
        classes = _classes(_either(said, "ClassNames", "classes"))
        return cls(
            classes=classes,
            threshold=_probability(_either(said, "Threshold", "threshold")),
            class_thresholds=_class_thresholds(_either(said, "ClassThresholds", "thresholds"), classes),
            temperature=_temperature(said.get("Temperature", 1)),
            model_version=str(said.get("ModelVersion", said.get("model_version", ""))),
            unfamiliarity_threshold=_probability(
                said.get(
                    "UnfamiliarityThreshold",
                    said.get("unfamiliarity_threshold", DEFAULT_UNFAMILIARITY_THRESHOLD),
                )
            ),
            scores_are=_scores_are(said.get("EndpointScores", PROBABILITIES)),
        )

    def to_parameters(self) -> dict[str, str]:
        """Return the template's parameters: all of `PARAMETERS`, so that nothing of another policy stays."""
        return {
            "ClassNames": class_names.join(self.classes),
            "Threshold": str(self.threshold),
            "ClassThresholds": class_names.join_pairs(self.class_thresholds),
            "ClassesFile": "",
            "Temperature": str(self.temperature).removesuffix(".0"),  # "1", as the template's default
            "ModelVersion": self.model_version,
            "UnfamiliarityThreshold": str(self.unfamiliarity_threshold),
            "EndpointScores": self.scores_are,
        }

    def classes_file(self) -> tuple[str, bytes] | None:
        """Return the name and the content of a file for classes that are too long for parameters.

        The name is a hash of the content: an update or a rollback that names the file gets exactly these
        classes. None: the parameters suffice.
        """
        parameters = self.to_parameters()
        if sum(len(parameters[name].encode()) for name in _OF_CLASSES) <= CLASSES_MAX_BYTES:
            return None
        values = dict(zip(_OF_CLASSES, (self.classes, self.class_thresholds), strict=True))
        content = json.dumps(values, ensure_ascii=False).encode()
        return f"{sha256(content).hexdigest()}.json", content

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
    """Of each class that the endpoint gave a score for, or of the `KEPT_CLASSES` most probable."""
    other_probability: float | None
    """Sum of the probabilities of the other classes that it gave a score for; None if there are none."""
    unfamiliarity: float | None
    reason: str | None
    """`UNLIKE_TRAINING`, or None: a confidence below the threshold is not named."""
    detail: str | None


def decide(scores: Scores, policy: Policy) -> Prediction:
    """Decide on one image.

    Raises:
        InvalidScores, UnknownLabel: as `probabilities`; or the unfamiliarity is not a number from 0 to 1.
    """
    by_class = probabilities(scores, policy)
    label = max(by_class, key=by_class.__getitem__)
    threshold = policy.threshold_of(label)
    unfamiliarity = _unfamiliarity(scores.unfamiliarity)
    is_unlike = unfamiliarity is not None and unfamiliarity > policy.unfamiliarity_threshold
    is_accepted = by_class[label] >= threshold and not is_unlike
    kept = _most_probable(by_class)
    others = [probability for name, probability in by_class.items() if name not in kept]
    return Prediction(
        outcome=Outcome.ACCEPTED if is_accepted else Outcome.NEEDS_REVIEW,
        label=label,
        confidence=by_class[label],
        threshold=threshold,
        probabilities=kept,
        other_probability=math.fsum(others) if others else None,
        unfamiliarity=unfamiliarity,
        reason=UNLIKE_TRAINING if is_unlike else None,
        detail=f"unfamiliarity {unfamiliarity:.3f}, above {policy.unfamiliarity_threshold:g}"
        if is_unlike
        else None,
    )


def probabilities(scores: Scores, policy: Policy) -> dict[str, float]:
    """Return the probability of each class that has a score, in the order of the classes.

    Where the endpoint names the classes of its scores, the names decide, and not the positions.

    Raises:
        InvalidScores: the scores are not finite probabilities that add up to 1, or logits, one per class.
        UnknownLabel: the endpoint names a class that the policy does not have.
    """
    values, labels = scores.values, scores.labels
    if labels is None:
        labels = list(policy.classes)
        if isinstance(values, list) and policy.scores_are == SIGMOID:
            values = _of_sigmoid(values, labels)
        if not isinstance(values, list) or len(values) != len(labels):
            raise InvalidScores(
                f"expected {len(labels)} {policy.scores_are}, one per class of ClassNames, "
                f"got {_short(values)}"
            )
    else:
        _ensure_known(labels, policy.classes)
    is_whole = len(labels) == len(policy.classes)
    if not is_whole and (policy.temperature != 1 or policy.scores_are == LOGITS):
        raise InvalidScores(
            f"the endpoint names {len(labels)} of {len(policy.classes)} classes, but a temperature or logits "
            "need all: let it answer with all classes, or set Temperature=1 and EndpointScores=probabilities"
            f". It named {_short(labels)}"
        )
    if policy.scores_are == LOGITS:
        of_labels = _softmax(_finite(values), policy.temperature)
    else:
        of_labels = _temper(_checked(values, is_whole=is_whole), policy.temperature)
    found = dict(zip(labels, of_labels, strict=True))
    return {name: found[name] for name in policy.classes if name in found}


def _most_probable(by_class: dict[str, float]) -> dict[str, float]:
    """Return the most probable classes, in their order."""
    kept = frozenset(nlargest(KEPT_CLASSES, by_class, key=by_class.__getitem__))
    return {name: probability for name, probability in by_class.items() if name in kept}


def _ensure_known(labels: Sequence[str], classes: Sequence[str]) -> None:
    known = frozenset(classes)
    for label in labels:
        if label not in known:
            raise UnknownLabel(
                f"the endpoint names {label[:100]!r}, which is none of the {len(classes)} ClassNames "
                f"{class_names.join(classes)[:_SHOWN_CHARS]}"
            )


def _checked(scores: Sequence[Any], *, is_whole: bool) -> list[float]:
    """Return probabilities that add up to 1, or to at most 1 where some classes have none."""
    _ensure_numbers(scores)
    if not all(0 <= score <= 1 for score in scores):
        raise InvalidScores(
            f"expected numbers from 0 to 1, got {_short(scores)}; logits need EndpointScores=logits"
        )
    total = math.fsum(scores)
    if total > 1 + SUM_TOLERANCE or (is_whole and total < 1 - SUM_TOLERANCE) or total <= 0:
        raise InvalidScores(
            f"expected probabilities that add up to 1, got {_short(scores)}; "
            "logits need EndpointScores=logits"
        )
    return [float(score) for score in scores]


def _of_sigmoid(values: Sequence[Any], classes: Sequence[str]) -> list[Any]:
    """Return the probabilities of two classes, of which the endpoint gives the second one's."""
    if len(classes) != 2 or len(values) != 1:
        raise InvalidScores(
            f"EndpointScores=sigmoid is for one number and two classes, got {_short(values)} for "
            f"{len(classes)} ClassNames"
        )
    (second,) = values
    _ensure_numbers(values)
    if not 0 <= second <= 1:
        raise InvalidScores(
            f"EndpointScores=sigmoid is for a number from 0 to 1, got {_short(values)}: a logit, of which "
            "the model must take the sigmoid?"
        )
    return [1 - second, second]


def _ensure_numbers(scores: Sequence[Any]) -> None:
    if not all(map(_is_number, scores)):
        raise InvalidScores(
            f"expected a number for each of ClassNames, got {_short(scores)}, where None is NaN, infinite or "
            "null: the model computed it, and its log may say why"
        )


def _finite(scores: Sequence[Any]) -> list[float]:
    _ensure_numbers(scores)
    if not all(abs(score) < _MAX_LOGIT for score in scores):
        raise InvalidScores(f"expected logits below {_MAX_LOGIT:g} (EndpointScores), got {_short(scores)}")
    return [float(score) for score in scores]


def _softmax(logits: list[float], temperature: float) -> list[float]:
    most = max(logits)
    powers = [math.exp((logit - most) / temperature) for logit in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _unfamiliarity(said: Any) -> float | None:
    if said is None:
        return None
    if not _is_number(said) or not 0 <= said <= 1:
        raise InvalidScores(f"expected an unfamiliarity from 0 to 1, got {_short(said)}")
    return float(said)


def _is_number(score: Any) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool)


def _short(scores: Any) -> str:
    return repr(scores)[:_SHOWN_CHARS]


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


def _of_file(file: str, read: Callable[[str], bytes]) -> dict[str, Any]:
    content = read(file)
    if f"{sha256(content).hexdigest()}.json" != file.rpartition("/")[2]:
        raise ValueError(f"the content of {file} is not the one that its name is a hash of")
    values = json.loads(content)
    return {name: values[name] for name in _OF_CLASSES}


def _either(said: Mapping[str, Any], parameter: str, on_card: str) -> Any:
    return said[parameter if parameter in said else on_card]


def _classes(said: str | Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (class_names.split(said) if isinstance(said, str) else said))
    if not names or not all(names) or len(set(names)) < len(names):
        raise ValueError(f"class names must be distinct and not empty: {_short(said)}")
    for name in names:
        if not name.isprintable():
            raise ValueError(f"a class name must be printable: {_short(name)}")
    return names


def _class_thresholds(said: str | Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    pairs = class_names.split_pairs(said) if isinstance(said, str) else said.items()
    thresholds: dict[str, float] = {}
    for name, value in pairs:
        if name not in classes:
            known = class_names.join(classes)[:_SHOWN_CHARS]
            raise ValueError(f"{name}={value}: {name!r} is not one of {known}")
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


def _scores_are(said: str) -> str:
    if said not in SCORES_ARE:
        raise ValueError(f"EndpointScores must be {', '.join(SCORES_ARE)}: {said!r}")
    return said


def _temperature(said: str | float) -> float:
    value = float(said)
    if not 0 < value < math.inf:
        raise ValueError(f"a temperature must be more than 0: {said!r}")
    return value
