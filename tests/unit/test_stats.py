"""ingest.stats: the same numbers as scipy and the textbooks, for the card and the report."""

import math

import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.stats import (
    Bin,
    binomial_tail,
    exact_interval,
    exact_lower_bound,
    expected_calibration_error,
    expected_gap_by_chance,
    f_tail,
    incomplete_beta,
    labels_needed,
    wilson_interval,
)


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


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.9, 0.95, 0.975]))
def test_the_exact_bounds_are_scipys(successes, trials, confidence):
    assume(successes <= trials)
    test = scipy.stats.binomtest(successes, trials, alternative="greater")
    expected = test.proportion_ci(confidence, method="exact").low
    assert exact_lower_bound(successes, trials, confidence) == pytest.approx(expected, abs=1e-9)
    both = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    assert exact_interval(successes, trials, confidence) == pytest.approx((both.low, both.high), abs=1e-9)


def test_without_a_trial_the_share_may_be_any():
    assert exact_interval(0, 0) == (0, 1)
    assert exact_lower_bound(0, 0) == 0
    assert expected_gap_by_chance(0, 0.5) == 0


@given(st.floats(0, 1), st.floats(0.1, 50))
def test_the_incomplete_beta_function_of_one_parameter_is_a_power(x, a):
    """See https://dlmf.nist.gov/8.17.E1: the integral of a single power."""
    assert incomplete_beta(x, a, 1) == pytest.approx(x**a, abs=1e-12)
    assert incomplete_beta(x, 1, a) == pytest.approx(1 - (1 - x) ** a, abs=1e-12)


def test_a_statistic_of_nothing_has_all_others_above_it():
    assert f_tail(0, 3, 8) == 1
    assert f_tail(math.inf, 3, 8) == 0
    assert [incomplete_beta(x, 2, 3) for x in (-0.5, 0, 1, 1.5)] == [0, 0, 1, 1]


@given(st.integers(0, 5_000), st.integers(1, 5_000), st.floats(0, 1))
def test_the_tail_of_a_binomial_is_scipys(successes, trials, share):
    assert binomial_tail(successes, trials, share) == pytest.approx(
        scipy.stats.binom.cdf(successes, trials, share), abs=1e-9
    )


def test_a_precision_takes_as_many_labels_as_the_textbooks_say():
    assert [labels_needed(0.99, errors) for errors in range(6)] == [299, 473, 628, 773, 913, 1_049]
    assert labels_needed(0.95, 0) == 59


def test_seven_errors_of_841_show_a_precision_of_984():
    assert exact_lower_bound(834, 841) == pytest.approx(0.9844, abs=5e-5)


@given(st.integers(1, 200), st.just(0.0) | st.floats(1e-9, 1))  # scipy overflows between
def test_the_gap_that_chance_gives_is_the_mean_deviation(trials, share):
    counts = range(trials + 1)
    expected = sum(
        scipy.stats.binom.pmf(count, trials, share) * abs(count / trials - share) for count in counts
    )
    assert expected_gap_by_chance(trials, share) == pytest.approx(expected, abs=1e-9)
