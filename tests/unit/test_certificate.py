"""analytics.review.certificate: what is certain about accepted images, and when it is not any more."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.review.certificate import Bet, Certificate, State, certify
from analytics.review.words import certificate_sentence, still_to_go
from tests.simulate.labels import certified_after


def test_a_week_is_certified_after_enough_labels_without_an_error():
    nothing = certify([], 2_300)
    assert (nothing.state, nothing.labels, nothing.lower_bound, nothing.precision) == (State.OPEN, 0, 0, None)
    assert nothing.to_go == 405
    almost, enough = (certify([True] * labels, 2_300) for labels in (404, 405))
    assert (almost.state, almost.to_go) == (State.OPEN, 1)
    assert (enough.state, enough.to_go) == (State.CERTIFIED, 0)
    assert almost.lower_bound < 0.99 <= enough.lower_bound


@pytest.mark.parametrize(("labels", "bounds"), [(0, False), (1, False), (40, True)])
def test_the_bound_of_a_few_labels_is_not_worth_telling(labels, bounds):
    assert certify([True] * labels, 3_000).bounds is bounds


def test_later_errors_withdraw_a_certificate():
    certified = certify([True] * 410, 2_300)
    withdrawn = certify([*[True] * 410, False, False], 2_300)
    assert (certified.state, withdrawn.state) == (State.CERTIFIED, State.WITHDRAWN)
    assert withdrawn.lower_bound < 0.99 < certified.lower_bound + 1e-9
    assert withdrawn.to_go
    again = certify([*[True] * 410, False, False, *[True] * withdrawn.to_go], 2_300)
    assert again.state is State.CERTIFIED


def test_a_corrected_label_withdraws_a_certificate():
    assert certify([False, False, *[True] * 408], 2_300).state is State.OPEN


def test_more_errors_than_the_claim_allows_refute_it():
    assert certify([False] * 23, 2_300).state is State.OPEN
    refuted = certify([False] * 24, 2_300)
    assert (refuted.state, refuted.to_go) == (State.REFUTED, None)


@pytest.mark.parametrize("images", [1, 5, 15])
def test_a_small_week_is_certified_by_labelling_all_of_it(images):
    assert certify([True] * images, images).state is State.CERTIFIED
    assert certify([True] * images, images).lower_bound == 1
    assert certify([True] * (images - 1), images).state is State.OPEN
    assert certify([*[True] * (images - 1), False], images).state is State.REFUTED


def test_without_images_there_is_nothing_to_certify():
    assert certify([], 0).to_go == 0
    with pytest.raises(ValueError, match="2 labels of 1 images"):
        certify([True, True], 1)


@given(st.integers(1, 9), st.integers(0, 9))
def test_a_stake_does_not_grow_on_average_if_the_claim_is_untrue(images, errors):
    """Exactly, over all orders: the mean of the stake is 1 if the smallest number of errors is there."""
    errors = min(errors, images)
    if errors == 0:
        return
    mean = _mean_stake(Bet(images, errors), images, errors)
    assert mean <= 1 + 1e-9
    assert _mean_stake(Bet(images, errors), images, images) <= 1 + 1e-9


def _mean_stake(bet: Bet, images: int, errors: int, probability: float = 1.0) -> float:
    """Return the mean of the stake after all images but one, where `errors` of the images are wrong."""
    if bet.seen == images - 1:
        return probability * math.exp(bet.gain)
    left = images - bet.seen
    total = 0.0
    for right, chance in ((False, (errors - bet.errors) / left), (True, 1 - (errors - bet.errors) / left)):
        if chance > 1e-12:
            ahead = Bet(bet.images, bet.broken, bet.seen, bet.errors, bet.gain)
            ahead.settle(right)
            total += _mean_stake(ahead, images, errors, probability * chance)
    return total


@given(st.lists(st.booleans(), max_size=60), st.integers(0, 100))
def test_a_certificate_is_consistent(is_right, more):
    images = len(is_right) + more
    found = certify(is_right, images, target=0.8)
    assert found.errors == is_right.count(False)
    assert 0 <= found.lower_bound <= (1 if not images else 1 - found.errors / images)
    if found.state is State.CERTIFIED and images:
        assert found.lower_bound >= 0.8 - 1e-9
    if found.to_go:
        assert certify([*is_right, *[True] * found.to_go], images, target=0.8).state is State.CERTIFIED


def test_few_weeks_are_certified_falsely_and_most_good_ones_in_time():
    rng = np.random.default_rng(5)
    false = [certified_after(rng, 0.985, 2_300, 1_500) for _ in range(200)]
    right = [certified_after(rng, 0.995, 2_300, 1_500) for _ in range(100)]
    assert sum(each is not None for each in false) <= 8
    assert sum(each is not None for each in right) >= 80


@pytest.mark.parametrize(
    ("found", "said", "next_"),
    [
        (
            certify([True] * 406, 2_300),
            "Certified: at least 99 % of the 2,300 images accepted in 2026-W47 are right, 95 % sure "
            "(406 blind labels, 0 errors).",
            "It holds however often you look. A later label that shows an error may withdraw it.",
        ),
        (
            certify([True] * 100, 2_300),
            "Not certified: 100 blind labels, 0 errors of a random sample of 2026-W47. So far, at least "
            "95.4 % of its accepted images are right, 95 % sure.",
            "305 more labels would certify it if each is right; an error takes more. (A sample that is "
            "looked at only once takes 299 without an error.)",
        ),
        (
            certify([False] * 30, 2_300),
            "Less than 99 % of the images accepted in 2026-W47 are right (30 blind labels, 30 errors).",
            "No number of labels can certify it.",
        ),
        (certify([], 0), "2026-W47 has no accepted image.", "No number of labels can certify it."),
    ],
)
def test_a_certificate_is_said_in_two_sentences(found: Certificate, said: str, next_: str):
    assert certificate_sentence(found, "2026-W47").replace("\u00a0", " ") == said
    assert still_to_go(found) == next_
