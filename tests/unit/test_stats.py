"""ingest.stats: the same numbers as scipy and the textbooks, for the card and the report."""

import math

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.stats import Bin, expected_calibration_error, wilson_interval


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilsons_interval_is_scipys(successes, trials):
    assume(successes <= trials)
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_wilsons_interval_holds_the_share_and_stays_between_0_and_1(successes, trials):
    assume(successes <= trials)
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


def test_wilsons_interval_of_nothing_is_everything():
    assert wilson_interval(0, 0) == (0, 1)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (93, 100, 0.8625, 0.9657)],
)
def test_wilsons_interval_is_the_textbooks(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_the_calibration_error_weighs_bins_by_their_images():
    bins = [Bin(images=90, confidence_sum=81.0, correct=81), Bin(images=10, confidence_sum=6.0, correct=1)]
    assert expected_calibration_error(bins) == pytest.approx(0.05)
    assert math.isnan(expected_calibration_error([]))


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1))
def test_perfect_calibration_has_no_error(groups):
    bins = [Bin(n, confidence_sum=float(round(n * share)), correct=round(n * share)) for n, share in groups]
    assert expected_calibration_error(bins) == 0
