"""The challenger in the report: where it and the model in use differ, and which one labels favour. Pure.

Its answers are no outcomes, and no other figure of the report has them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics import text as words
from analytics.athena.engine import Record
from analytics.review.duel import Duel, Judged, State, duel

COMPARED_WEEKS = 13
"""Weeks whose labels count: all of a comparison, so that the looks of several weeks are one test."""
EXAMPLES = 60
"""Most differing images that are named."""
QUESTIONS = ("challenger_agreement", "challenger_examples", "challenger_labels")


@dataclass(frozen=True)
class Example:
    """An image that the two models classify differently."""

    key: str
    confidence: float
    challenger_confidence: float


@dataclass(frozen=True)
class Difference:
    """A pair of different answers."""

    label: str
    challenger_label: str
    images: int
    examples: list[Example]
    only_challenger: int
    """Labelled images of this pair on which the challenger alone is right."""
    only_in_use: int


@dataclass(frozen=True)
class Comparison:
    """The model in use and its challenger about the images that both saw this week."""

    model_version: str
    challenger: str
    """Name of its endpoint."""
    challenger_version: str | None
    """None where it answered nothing."""
    images: int
    agreeing: int
    """Images with the same label by both."""
    accepted: int
    challenger_accepts: int
    failed: int
    """Images that the challenger did not classify. Their outcomes are not affected."""
    differences: list[Difference]
    """Sorted by the most images."""
    labels: Duel
    """By all labels of the last `COMPARED_WEEKS`."""


def comparison(answers: Mapping[str, Sequence[Record]]) -> Comparison | None:
    """Return the comparison of the latest pair of models; None where no challenger answered.

    `answers` has the rows of each of `QUESTIONS`.
    """
    rows = answers["challenger_agreement"]
    if not rows:
        return None
    answered = [row for row in rows if row["challenger_label"] is not None]
    latest = max(answered or rows, key=lambda row: row["last_decided_at"])
    pair = latest["model_version"], latest["challenger_version"]
    of_pair = [row for row in answered if (row["model_version"], row["challenger_version"]) == pair]
    failed = [
        row
        for row in rows
        if row["challenger_label"] is None
        and (row["model_version"], row["challenger"]) == (pair[0], latest["challenger"])
    ]
    labelled = _of_pair(answers["challenger_labels"], pair)
    return Comparison(
        model_version=pair[0],
        challenger=latest["challenger"],
        challenger_version=pair[1] if answered else None,
        images=_images(of_pair),
        agreeing=_images(row for row in of_pair if row["label"] == row["challenger_label"]),
        accepted=_images(row for row in of_pair if row["outcome"] == "accepted"),
        challenger_accepts=_images(row for row in of_pair if row["challenger_outcome"] == "accepted"),
        failed=_images(failed),
        differences=_differences(of_pair, _of_pair(answers["challenger_examples"], pair), labelled),
        labels=duel(
            [
                Judged(
                    row["outcome"],
                    row["challenger_label"] == row["true_label"],
                    row["label"] == row["true_label"],
                )
                for row in labelled
            ],
            {row["outcome"]: int(row["outcome_images"]) for row in labelled},
        ),
    )


HEAD = (
    *("Model in use says", "Challenger says", "Images"),
    *("Only the challenger right, by labels", "Only the model in use right", "Examples"),
)
TEXTS = (0, 1, 5)
"""Columns of text."""


def table_rows(differences: Sequence[Difference]) -> list[tuple[str, ...]]:
    """Return the table of `HEAD`."""
    return [
        (
            each.label,
            each.challenger_label,
            f"{each.images:,}",
            f"{each.only_challenger:,}",
            f"{each.only_in_use:,}",
            "; ".join(
                f"{words.short(one.key)} ({one.confidence:.2f}, {one.challenger_confidence:.2f})"
                for one in each.examples
            ),
        )
        for each in differences
    ]


def takeaway(compared: Comparison) -> str:
    """Return how far the two agree, and what the labels say."""
    if not compared.images:
        return f"{compared.challenger} answered nothing: {words.plural(compared.failed, 'image')} failed."
    share = words.percent(compared.agreeing / compared.images)
    return (
        f"{compared.challenger_version} and {compared.model_version}, which is in use, agree on {share} of "
        f"{words.plural(compared.images, 'image')}. {verdict(compared)}"
    )


def note(compared: Comparison) -> str:
    """Return what else differs."""
    said = ""
    if compared.images:
        shares = (compared.challenger_accepts, compared.accepted)
        would, does = (words.percent(count / compared.images) for count in shares)
        said = (
            f"The challenger would accept {would}, and the model in use accepts {does}. Labels of the last "
            f"{COMPARED_WEEKS} weeks count, if they are blind and of images that were drawn at random. "
        )
    if compared.failed:
        said += (
            f"{words.plural(compared.failed, 'image')} failed with the challenger alone; "
            "challenger_answers has the reasons. "
        )
    return f"{said}No other figure of this report has the challenger's answers."


def verdict(compared: Comparison) -> str:
    """Return what the labels say, as a sentence."""
    found = compared.labels
    differing = found.only_challenger + found.only_in_use
    if not differing:
        return "No blind label yet of an image on which exactly one of them is right."
    counts = (
        f"Of {words.plural(differing, 'labelled image')} on which exactly one is right, "
        f"the challenger is right on {found.only_challenger:,}"
    )
    return {
        State.PROMOTE: f"Promote it. {counts}: it is right more often, {found.confidence:.0%} sure.",
        State.KEEP: f"Keep the model in use. {counts}: it is right less often, {found.confidence:.0%} sure.",
        State.NOT_YET: f"Not yet. {counts}, which may be chance.",
    }[found.state]


def _differences(
    rows: Sequence[Mapping[str, Any]],
    examples: Sequence[Mapping[str, Any]],
    labelled: Sequence[Mapping[str, Any]],
) -> list[Difference]:
    images: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        if row["label"] != row["challenger_label"]:
            images[row["label"], row["challenger_label"]] += int(row["images"])
    named: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for row in examples:
        named[row["label"], row["challenger_label"]].append(
            Example(row["key"], float(row["confidence"]), float(row["challenger_confidence"]))
        )
    right: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in labelled:
        right[row["label"], row["challenger_label"]].append(row["true_label"])
    return [
        Difference(
            label=label,
            challenger_label=challenger_label,
            images=count,
            examples=named[label, challenger_label],
            only_challenger=right[label, challenger_label].count(challenger_label),
            only_in_use=right[label, challenger_label].count(label),
        )
        for (label, challenger_label), count in sorted(images.items(), key=lambda item: (-item[1], item[0]))
    ]


def _of_pair(rows: Sequence[Record], pair: tuple[str, str]) -> list[Record]:
    return [row for row in rows if (row["model_version"], row["challenger_version"]) == pair]


def _images(rows: Any) -> int:
    return sum(int(row["images"]) for row in rows)
