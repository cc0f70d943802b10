"""The body of an endpoint's answer → the scores of each image. Pure.

Endpoints answer in different forms, which are recognised by their shape:

    [0.03, 0.97]                                              the built-in algorithm, Scones' own container
    [[0.03, 0.97], …]                                         one list for each image
    {"predictions": [[0.03, 0.97], …]}                        TensorFlow Serving
    [{"label": "motorcycle", "score": 0.97}, …]               Hugging Face; it may give the most probable only
    {"probabilities": […], "labels": […], …}                  JumpStart, verbose
    {"probabilities": [0.03, 0.97], "unfamiliarity": 0.4}     Scones' own container, asked for `SCORES_TYPE`

Each may be wrapped in a list, a line of JSON Lines may hold one, and a line of CSV holds the scores of an
image; a first line of words names their classes. Nothing is guessed: what has several meanings, or none, is
refused. A JumpStart answer of classes by number (`{"probabilities": […]}`) is in the order of the endpoint's
classes, like a list.

A model of two classes with a sigmoid has one number for each image, and the answer does not say of which
class. It is read only where `EndpointScores=sigmoid` says so.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/image-classification.html#IC-inputoutput
https://www.tensorflow.org/tfx/serving/api_rest#predict_api
https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.ImageClassificationPipeline
https://docs.aws.amazon.com/sagemaker/latest/dg/LL-in-formats.html
"""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflow.errors import UnclearAnswer

SCORES_ARE = PROBABILITIES, LOGITS, SIGMOID = "probabilities", "logits", "sigmoid"
"""What the numbers of an answer are: the values of the template's parameter `EndpointScores`.

`sigmoid`: one number for each image, the probability of the second of two classes.
"""

SHOWN_CHARS = 200

_SCORES = ("probabilities", "scores", "score", "predictions", "prediction", "outputs", LOGITS)
"""Names under which an object may have its scores."""
_LABELS = ("labels", "class_names", "classes")
"""Names under which an object may name the classes of its scores."""


class NotReadable(Exception):
    """The body is neither JSON nor JSON Lines nor CSV: the endpoint failed, or the answer was cut off."""


@dataclass(frozen=True)
class Scores:
    """The scores of one image as received, unchecked. NaN and Infinity are None."""

    values: list[Any]
    labels: list[str] | None = None
    """Class of each value, where the answer names it; None: the values are in the order of the classes."""
    unfamiliarity: Any = None
    """0 to 1, how unlike its classes the model finds the image; None where the endpoint does not give it."""


def read_answer(body: bytes, scores_are: str = PROBABILITIES) -> list[Scores]:
    """Return the scores of each image of a request, in its order.

    `scores_are` selects between an object's logits and its probabilities. With `SIGMOID`, the scores of an
    image are one number.

    Raises:
        NotReadable: the body is no such text.
        UnclearAnswer: its shape has several meanings, or none.
    """
    found = _read(body, scores_are)
    _ensure_said_of_what(found, body, scores_are)
    return found


def read_answer_to(images: int, body: bytes, scores_are: str = PROBABILITIES) -> list[Scores]:
    """Return the scores of each image of a request with so many images; otherwise as `read_answer`."""
    found = _read(body, scores_are)
    if len(found) != images:
        raise _unclear(
            f"{len(found)} answers to {images} images: set EndpointAccept to a type with one for each image"
            + (", or EndpointScores=probabilities if it gives both classes" if scores_are == SIGMOID else ""),
            body,
        )
    _ensure_said_of_what(found, body, scores_are)
    return found


def _ensure_said_of_what(found: Sequence[Scores], body: bytes, scores_are: str) -> None:
    if scores_are == SIGMOID or all(each.labels is not None or len(each.values) != 1 for each in found):
        return
    if scores_are == LOGITS:
        raise _unclear(
            "one logit does not say which class it is of: set EndpointScores=sigmoid and let the model apply "
            "the sigmoid, or EndpointAccept to a type with a score for each class",
            body,
        )
    raise _unclear(
        "one number does not say which class it is of: set EndpointScores=sigmoid if it is the probability "
        "of the second of two classes, or EndpointAccept to a type with a score for each",
        body,
    )


def _unclear(why: object, body: bytes) -> UnclearAnswer:
    beginning = body.decode("utf-8-sig").strip()[:SHOWN_CHARS]
    return UnclearAnswer(f"{why}. The answer begins: {beginning}")


def _read(body: bytes, scores_are: str) -> list[Scores]:
    try:
        text = body.decode("utf-8-sig").strip()
        if text[:1] in ("[", "{"):
            found = [scores for value in _values(text) for scores in _images(value, scores_are)]
        else:
            found = _of_csv(text)
        return [each for scores in found for each in _as_asked(scores, scores_are)]
    except _Unclear as error:
        raise _unclear(error, body) from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise NotReadable(
            "neither JSON nor JSON Lines nor CSV, of which EndpointAccept should ask for one: "
            f"{body.decode('utf-8-sig', 'replace')[:SHOWN_CHARS]!r}"
        ) from error


class _Unclear(Exception):
    """What is unclear about the shape, and the parameter that helps."""


def _as_asked(scores: Scores, scores_are: str) -> list[Scores]:
    """Check a list of scores; with `SIGMOID`, it is of as many images as it has numbers."""
    if not scores.values:
        raise _Unclear("a list of scores is empty: set EndpointAccept to a type with one for each class")
    for value in scores.values:
        if isinstance(value, str | bool):
            raise _Unclear(
                f"{json.dumps(value, ensure_ascii=False)[:50]} is not a number: set EndpointAccept to a type "
                "with numbers for scores"
            )
    if scores_are != SIGMOID:
        return [scores]
    if scores.labels is not None:
        raise _Unclear("the scores have labels: set EndpointScores=probabilities")
    return [replace(scores, values=[value]) for value in scores.values]


def _of_csv(text: str) -> list[Scores]:
    lines = [line for line in text.splitlines() if line.strip()]
    rows = list(csv.reader(lines, strict=True, skipinitialspace=True))
    labels = None
    if len(rows) > 1 and not any(map(_is_numeric, rows[0])):
        labels = _distinct(name.strip() for name in rows.pop(0))
    if not any(_is_numeric(cell) for row in rows for cell in row):
        raise ValueError("it has no number")
    for row in rows:
        if not all(map(_is_numeric, row)):
            raise _Unclear("a line of CSV has other cells than numbers: set EndpointAccept to another type")
        if labels and len(row) != len(labels):
            raise _Unclear(
                "a line of CSV has another number of scores than the first line has names: set "
                "EndpointAccept to another type"
            )
    return [Scores([_finite(cell) for cell in row], labels) for row in rows]


def _is_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _values(text: str) -> list[Any]:
    """Return what JSON or JSON Lines hold."""
    try:
        return [_json(text)]
    except ValueError:
        return [_json(line) for line in text.split("\n") if line.strip()]


def _json(text: str) -> Any:
    return json.loads(
        text, parse_constant=lambda _: None, parse_float=_finite, object_pairs_hook=_without_doubles
    )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unclear("an object has a name twice: set EndpointAccept to another type")
    return found


def _finite(digits: str) -> float | None:
    number = float(digits)  # "1e999" is infinity
    return number if math.isfinite(number) else None


def _images(value: Any, scores_are: str) -> list[Scores]:
    if isinstance(value, dict):
        return _of_object(value, scores_are)
    if not isinstance(value, list):
        raise _Unclear("a value is not a list or an object: set EndpointAccept to a type that gives one")
    if all(map(_is_scalar, value)) or _are_named(value):
        return [_one(value)]
    if any(map(_is_scalar, value)):
        raise _Unclear("a list mixes scores and lists: set EndpointAccept to a type with one of them")
    return [
        scores
        for each in value
        for scores in (_of_object(each, scores_are) if isinstance(each, dict) else [_one(each)])
    ]


def _one(values: list[Any]) -> Scores:
    """Return the scores of one image: a list of numbers, or of labels with their scores."""
    if all(map(_is_scalar, values)):
        return Scores(values)
    if not _are_named(values):
        raise _Unclear("a list within a list holds more than numbers: set EndpointAccept to a flat type")
    return Scores([each["score"] for each in values], _distinct(each["label"] for each in values))


def _of_object(value: dict[str, Any], scores_are: str) -> list[Scores]:
    if _are_named([value]):
        return [_one([value])]
    found = {name: value[name] for name in _SCORES if _may_be_scores(value.get(name))}
    if not found:
        found = {name: [value[name]] for name in _SCORES if _is_number(value.get(name))}
    if LOGITS in found and scores_are == LOGITS:
        found = {LOGITS: found[LOGITS]}
    elif LOGITS in found:
        del found[LOGITS]
        if not found:
            raise _Unclear('an object has only "logits": set EndpointScores=logits')
    elif PROBABILITIES in found and scores_are == LOGITS:
        raise _Unclear('an object has "probabilities" and no "logits": set EndpointScores=probabilities')
    if not found:
        raise _Unclear(
            f"an object has a list of scores under none of {', '.join(_SCORES)}: set EndpointAccept to a "
            "type that has"
        )
    first, *others = found.values()
    if any(other != first for other in others):
        raise _Unclear(
            f"an object has different scores under {' and '.join(found)}: set EndpointAccept to a type with "
            "one of them"
        )
    images = _images(first, scores_are)
    return _with_unfamiliarity(_with_labels(images, value), value.get("unfamiliarity"))


def _with_labels(images: list[Scores], value: dict[str, Any]) -> list[Scores]:
    named = [value[name] for name in _LABELS if isinstance(value.get(name), list)]
    if not named:
        for name, said in value.items():
            if any(image.labels is None and _may_name(name, said, image) for image in images):
                raise _Unclear(
                    f"an object may name its classes under {name[:50]!r}: set EndpointAccept to a type with "
                    f"a list of them under {_LABELS[0]}"
                )
        return images
    labels, *others = named
    each_own = all(isinstance(each, list) for each in labels) and len(labels) == len(images)
    of_images = labels if each_own else [labels] * len(images)
    if others or any(
        image.labels or len(names) != len(image.values)
        for image, names in zip(images, of_images, strict=True)
    ):
        raise _Unclear(
            "an object names other classes than it has scores for: set EndpointAccept to a type with one "
            "label for each score"
        )
    return [replace(image, labels=_distinct(names)) for image, names in zip(images, of_images, strict=True)]


def _with_unfamiliarity(images: list[Scores], value: Any) -> list[Scores]:
    if value is None:
        return images
    of_images = value if isinstance(value, list) else [value]
    if len(of_images) != len(images):
        raise _Unclear(
            f"{len(of_images)} values of unfamiliarity for {len(images)} images: set "
            "EndpointAccept=application/json to do without"
        )
    return [replace(image, unfamiliarity=each) for image, each in zip(images, of_images, strict=True)]


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_named(values: Sequence[Any]) -> bool:
    """Tell whether these are labels with their scores, as Hugging Face gives them."""
    return bool(values) and all(
        isinstance(each, dict) and "label" in each and _is_scalar(each.get("score", [])) for each in values
    )


def _may_be_scores(value: Any) -> bool:
    """Tell a list of scores from one of predicted labels."""
    return isinstance(value, list) and bool(value) and not any(isinstance(each, str) for each in value)


def _may_name(name: str, value: Any, image: Scores) -> bool:
    """Tell whether an entry beside the scores may be the names of their classes."""
    if name in _LABELS and isinstance(value, str):
        return True
    if isinstance(value, dict):  # as the `id2label` of Hugging Face's configurations
        return "label" in name.lower() or "class" in name.lower()
    if not isinstance(value, list):
        return False
    lists = value if all(isinstance(each, list) for each in value) else [value]
    return any(
        len(names) == len(image.values) > 1 and all(isinstance(each, str) for each in names)
        for names in lists
    )


def _distinct(labels: Iterable[Any]) -> list[str]:
    names = list(labels)
    for name in names:
        if not isinstance(name, str):
            raise _Unclear(
                f"the label {name!r} is not text: set EndpointAccept to a type with the names of the classes"
            )
    if len(set(names)) < len(names):
        raise _Unclear(
            "a label has several scores: set EndpointAccept to a type with one score for each label"
        )
    return names
