"""The challenger on made-up weeks: how often is it promoted when it is not better, and when it is?

A week has accepted images and images for review. Each is labelled at its own rate, and the two models may
differ in each of them in another way. Whoever labels looks after every label.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from analytics.review.duel import State, settled
from tests.simulate.suite import Check

IMAGES = {"accepted": 2_300, "needs_review": 500}
"""Images of a week by outcome."""


@dataclass(frozen=True)
class Share:
    """Shares of the images of one outcome on which one of the two models alone is right."""

    challenger: float
    in_use: float


@dataclass(frozen=True)
class Case:
    """A challenger, the labels of its weeks, and what is promised of the verdict."""

    what: str
    accepted: Share
    needs_review: Share
    labels: int
    promoted: tuple[float, float] = (0.0, 1.0)
    """Least and most share of runs that promote it."""
    kept: tuple[float, float] = (0.0, 1.0)


NEVER = (0.0, 0.05)
CASES = (
    Case("as good", Share(0.03, 0.03), Share(0.15, 0.15), 1_000, promoted=NEVER, kept=NEVER),
    # As good on all images: 2,300 * .02 = 500 * .092. Images for review have more than four times the labels.
    Case("better for review, worse accepted", Share(0.01, 0.03), Share(0.192, 0.1), 1_000, promoted=NEVER),
    Case("worse for review, better accepted", Share(0.03, 0.01), Share(0.1, 0.192), 1_000, kept=NEVER),
    Case("a little worse", Share(0.025, 0.035), Share(0.14, 0.16), 1_000, promoted=NEVER),
    Case("better (3 of 4 differences)", Share(0.03, 0.01), Share(0.21, 0.07), 300, promoted=(0.4, 1.0)),
    Case("better (3 of 4 differences)", Share(0.03, 0.01), Share(0.21, 0.07), 1_000, promoted=(0.9, 1.0)),
    Case("worse (3 of 4 differences)", Share(0.01, 0.03), Share(0.07, 0.21), 1_000, kept=(0.9, 1.0)),
    Case("better (2 of 3 differences)", Share(0.04, 0.02), Share(0.2, 0.1), 1_000, promoted=(0.6, 1.0)),
)


def suite(seed: int, runs: int) -> list[Check]:
    """Run every case, a tenth as often as other simulations: 1,000 times by default."""
    rng = np.random.default_rng(seed)
    found = []
    for case in CASES:
        states = [state_after(rng, case) for _ in range(max(runs // 10, 10))]
        for state, (least, most) in ((State.PROMOTE, case.promoted), (State.KEEP, case.kept)):
            if (least, most) != (0.0, 1.0):
                share = sum(each is state for each in states) / len(states)
                said = f"a challenger that is {case.what}, {case.labels:,} labels: {state}"
                found.append(Check(said, share, least, most))
    return found


def state_after(rng: np.random.Generator, case: Case) -> State:
    """Return the first verdict of a made-up comparison, if there is one; whoever sees one stops."""
    # Half of the labels are of images for review, as on a review sheet.
    is_review = rng.random(case.labels) < 0.5
    place = rng.random(case.labels)
    challenger = np.where(is_review, case.needs_review.challenger, case.accepted.challenger)
    in_use = np.where(is_review, case.needs_review.in_use, case.accepted.in_use)
    labelled: Counter[str] = Counter()
    differing: list[tuple[str, bool]] = []
    for number in range(case.labels):
        outcome = "needs_review" if is_review[number] else "accepted"
        labelled[outcome] += 1
        if place[number] >= challenger[number] + in_use[number]:
            continue
        differing.append((outcome, bool(place[number] < challenger[number])))
        weights = {name: IMAGES[name] / labels for name, labels in labelled.items()}
        if (state := settled(differing, weights)) is not State.NOT_YET:
            return state
    return State.NOT_YET
