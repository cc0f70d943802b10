"""A certificate of precision: "at least 99 % of what was accepted is right, 95 % sure".

It rests on a random sample of blind labels, taken one after the other without replacement. After each label a
bet is settled against the claim's opposite, "at least `broken` of the accepted images are wrong". If the
opposite is true, the stake cannot grow on average, and is ever multiplied by 20 with a probability of at most
5 % (Ville's inequality). The certificate therefore holds however often one looks, and whenever one stops.

Sources: Waudby-Smith, Ramdas, "Estimating means of bounded random variables by betting", J. Royal Statistical
Society B 86 (2024); Waudby-Smith, Stark, Ramdas, "RiLACS: risk limiting audits via confidence sequences"
(2021). docs/decisions/0101 has the power, and why no other test does much better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

TARGET = 0.99
CONFIDENCE = 0.95

_PRIOR_ERRORS = 8.0
_PRIOR_SHARE = 0.44
"""The bets expect .44 of the errors that the claim allows, as firmly as if 8 errors had been seen. Chosen by
simulation: a looser belief needs fewer labels where none is wrong, and misses more weeks in which half of the
allowed are."""


class State(StrEnum):
    """What the labels say about the claim."""

    CERTIFIED = "certified"
    OPEN = "open"
    """There are too few labels."""
    WITHDRAWN = "withdrawn"
    """It was certified, before later labels showed more errors."""
    REFUTED = "refuted"
    """More images are wrong than the claim allows."""


@dataclass(frozen=True)
class Certificate:
    """How far a claim about the accepted images of some days is shown."""

    target: float
    confidence: float
    images: int
    """Accepted images."""
    labels: int
    """Images of the sample with a label, up to the first one without."""
    errors: int
    state: State
    lower_bound: float
    """Precision that the accepted images exceed with this confidence, at any time."""
    to_go: int | None
    """Labels still needed if each one is right; None where none would be enough."""

    @property
    def precision(self) -> float | None:
        """Share of the labelled ones that are right."""
        return 1 - self.errors / self.labels if self.labels else None

    @property
    def bounds(self) -> bool:
        """Whether the lower bound is worth telling: that of a few labels is below a half."""
        return self.lower_bound > 0.5


def certify(
    is_right: Sequence[bool], images: int, target: float = TARGET, confidence: float = CONFIDENCE
) -> Certificate:
    """Return the certificate of `images` accepted images from labels of a random sample.

    Args:
        is_right: whether each image of the sample is right, in the order in which they were drawn.
        images: accepted images in all, those of the sample included.
        target: least share of right ones that is claimed.
        confidence: probability with which a claim that is made is true.

    Raises:
        ValueError: there are more labels than images, or a share is not between 0 and 1.
    """
    if len(is_right) > images or not 0 < target < 1 or not 0 < confidence < 1:
        raise ValueError(
            f"{len(is_right)} labels of {images} images, target {target}, confidence {confidence}"
        )
    errors = len(is_right) - sum(is_right)
    bet = Bet.against(target, images)
    enough = -math.log(1 - confidence)
    was_certified = False
    for right in is_right:
        bet.settle(right)
        was_certified |= bet.gain >= enough
    state = (
        State.REFUTED
        if errors >= bet.broken
        else State.CERTIFIED
        if bet.gain >= enough
        else State.WITHDRAWN
        if was_certified
        else State.OPEN
    )
    to_go = None if state is State.REFUTED else _to_go(bet, enough)
    return Certificate(
        target,
        confidence,
        images,
        len(is_right),
        errors,
        state,
        _lower_bound(is_right, images, enough),
        to_go,
    )


@dataclass
class Bet:
    """Bets against "at least `broken` of `images` are wrong", one image after the other."""

    images: int
    broken: int
    seen: int = 0
    errors: int = 0
    gain: float = 0.0
    """Logarithm of what the stake has become; infinite once the opposite cannot be true any more."""

    @classmethod
    def against(cls, target: float, images: int) -> "Bet":
        """Return the first bet against the opposite of a claim, with the fewest errors that make the claim
        untrue."""
        return cls(images, math.floor((1 - target) * images + 1e-9) + 1)

    def settle(self, right: bool, part: float = 1.0) -> None:
        """Look at the next image; the bet on it was placed before, of a part of the usual stake."""
        left = self.images - self.seen
        # The chance of an error that the opposite gives at least, and the one that the bet expects.
        claimed = (self.broken - self.errors) / left
        allowed = self.broken / self.images
        expected = (_PRIOR_ERRORS + self.errors) / (_PRIOR_ERRORS / (_PRIOR_SHARE * allowed) + self.seen)
        self.seen += 1
        self.errors += not right
        if self.errors >= self.broken:
            self.gain = -math.inf
        elif self.broken - self.errors > self.images - self.seen:
            self.gain = math.inf
        elif expected < claimed:  # else nothing is staked
            paid = (1 - expected) / (1 - claimed) if right else expected / claimed
            self.gain += math.log1p(part * (paid - 1))


def _to_go(bet: Bet, enough: float) -> int:
    """Return how many labels, all right, still bring the gain up to what is enough."""
    ahead = Bet(bet.images, bet.broken, bet.seen, bet.errors, bet.gain)
    while ahead.gain < enough and ahead.seen < ahead.images:
        ahead.settle(True)
    return ahead.seen - bet.seen


def _lower_bound(is_right: Sequence[bool], images: int, enough: float) -> float:
    """Return the largest precision whose certificate these labels would give, for these images."""
    if not images:
        return 0.0
    low, high = len(is_right) - sum(is_right), images + 1  # errors that are not excluded; that are
    while high - low > 1:
        broken = (low + high) // 2
        bet = Bet(images, broken)
        for right in is_right:
            bet.settle(right)
        low, high = (low, broken) if bet.gain >= enough else (broken, high)
    return 1 - low / images
