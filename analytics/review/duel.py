"""Two models about the same images: which one is right more often, by people's labels.

Only images count on which exactly one of the two is right. After each such label a bet is settled against the
claim's opposite, "the challenger is right on no more images than the model in use". If that is true, the
stake cannot grow on average, and is ever multiplied by 20 with a probability of at most 5 % (Ville's
inequality). A second bet is made against "the challenger is right on at least as many". Both hold however
often one looks.

Images for review are labelled more often than accepted ones. A label counts for as many images as its outcome
has for each label, so that a bet on the outcome with more labels stakes a smaller part.

The bets are those of the certificate (`analytics.review.certificate`), on a population without an end.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from analytics.review.certificate import CONFIDENCE, Bet

_ENOUGH = -math.log(1 - CONFIDENCE)
_ENDLESS = 10**12
"""Images of the population, so many that labels do not use them up."""


class State(StrEnum):
    """What the labels say about the challenger."""

    PROMOTE = "promote"
    """It is right more often."""
    KEEP = "keep"
    """The model in use is right more often."""
    NOT_YET = "not yet"
    """There are too few labels, or the two are about as good."""


class Judged(NamedTuple):
    """An image that both models saw, drawn at random among those of its outcome and labelled blind."""

    outcome: str
    """By the model in use."""
    challenger_is_right: bool
    in_use_is_right: bool


@dataclass(frozen=True)
class Duel:
    """How far labels show which of two models is right more often. All counts are of labelled images."""

    both: int
    """Both models are right."""
    only_challenger: int
    only_in_use: int
    neither: int
    state: State
    confidence: float = CONFIDENCE


def duel(judged: Sequence[Judged], images: Mapping[str, int]) -> Duel:
    """Return what labels show.

    Args:
        judged: labelled images, in the order in which people labelled them.
        images: outcome → images that both models saw, labelled or not.
    """
    labels = Counter(each.outcome for each in judged)
    weights = {outcome: max(images[outcome], count) / count for outcome, count in labels.items()}
    differing = [
        (outcome, challenger_is_right)
        for outcome, challenger_is_right, in_use_is_right in judged
        if challenger_is_right != in_use_is_right
    ]
    counts = Counter((each.challenger_is_right, each.in_use_is_right) for each in judged)
    return Duel(
        counts[True, True],
        counts[True, False],
        counts[False, True],
        counts[False, False],
        settled(differing, weights),
    )


def settled(differing: Iterable[tuple[str, bool]], weights: Mapping[str, float]) -> State:
    """Return what images say on which exactly one model is right: outcome, and whether it is the challenger.

    `weights` has for how many images a label of each outcome counts.
    """
    most = max(weights.values(), default=1.0)
    for_challenger, for_in_use = (Bet(_ENDLESS, _ENDLESS // 2) for _ in range(2))
    for outcome, challenger_is_right in differing:
        for_challenger.settle(challenger_is_right, weights[outcome] / most)
        for_in_use.settle(not challenger_is_right, weights[outcome] / most)
    if for_challenger.gain >= _ENOUGH:
        return State.PROMOTE
    return State.KEEP if for_in_use.gain >= _ENOUGH else State.NOT_YET
