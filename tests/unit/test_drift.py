"""analytics.report.drift: the same numbers as scipy, and the properties that make them usable."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analytics.report import drift
from ingest.stats import Interval

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12).map(
    lambda pairs: tuple(map(list, zip(*pairs, strict=True)))
)


def band(history: list[tuple[int, int]], trials: int) -> Interval:
    found = drift.control_band(history, trials)
    assert found is not None
    return found


@given(COUNTS)
@settings(deadline=None)
def test_jensen_shannon_is_scipys(counts):
    baseline, current = counts
    assume(sum(baseline) and sum(current))
    expected = scipy.spatial.distance.jensenshannon(baseline, current, base=2)
    assert drift.jensen_shannon_distance(baseline, current) == pytest.approx(expected, abs=1e-7)


@given(COUNTS)
@settings(deadline=None)
def test_chi_squared_is_scipys(counts):
    baseline, current = counts
    columns = [(a, b) for a, b in zip(baseline, current, strict=True) if a + b]
    assume(len(columns) > 1 and sum(baseline) and sum(current))
    expected = scipy.stats.chi2_contingency(np.array(columns).T, correction=False)
    assume(expected.expected_freq.min() >= 5)
    found = drift.chi_squared(baseline, current)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-14)
    assert found.degrees_of_freedom == expected.dof


def test_columns_too_rare_for_chi_squared_are_put_together():
    # A class of 15 images is expected 5 times among 100 of 300. Three rare ones have 11, and need a fourth.
    baseline, current = [100, 70, 20, 4, 3, 3], [40, 49, 10, 0, 1, 0]
    assert drift.chi_squared(baseline, current) == drift.chi_squared([100, 70, 30], [40, 49, 11])
    assert drift.chi_squared(baseline, current).degrees_of_freedom == 2


@given(st.integers(1, 3000), st.integers(1, 40), st.data())
def test_two_columns_too_rare_for_chi_squared_are_tested_as_fisher_does(before, now, data):
    baseline = data.draw(st.integers(0, min(before, 9)))
    current = data.draw(st.integers(0, now))
    tables = [baseline, before - baseline], [current, now - current]
    found = drift.chi_squared(*tables)
    if found.test == "Fisher":
        assert found.p_value == pytest.approx(scipy.stats.fisher_exact(tables).pvalue, rel=1e-6, abs=1e-12)
        assert found.statistic == pytest.approx(abs(baseline / before - current / now))


def test_one_image_of_a_new_class_is_no_evidence():
    assert drift.chi_squared([10_000, 0], [19, 1]).p_value == pytest.approx(20 / 10_020)
    assert drift.chi_squared([10_000, 0], [0, 20]).p_value < 1e-40


@pytest.mark.parametrize(("before", "now"), [(5_000, 60), (300, 500), (10_000, 20)])
def test_chance_alone_is_seldom_called_sure_however_rare_classes_are(before, now):
    rng = np.random.default_rng(before)
    shares = 1 / np.arange(1, 101)
    weeks = ((rng.multinomial(n, shares / shares.sum(), size=1_000).tolist()) for n in (before, now))
    sure = sum(drift.chi_squared(*pair).p_value < 0.01 for pair in zip(*weeks, strict=True))
    assert sure < 25


@given(st.integers(1, 60), st.floats(0, 2000))
@settings(deadline=None)
def test_the_tail_of_chi_squared_is_scipys_for_any_statistic(freedom, statistic):
    expected = scipy.stats.chi2.sf(statistic, freedom)
    assert drift._upper_gamma(freedom / 2, statistic / 2) == pytest.approx(expected, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize(("n", "m"), [(20, 30), (200, 300), (2000, 1000)])
@pytest.mark.parametrize("shift", [0.0, 0.2, 0.8])
def test_kolmogorov_smirnov_is_scipys(n, m, shift):
    rng = np.random.default_rng(n + m)
    baseline, current = rng.normal(0, 1, n).tolist(), rng.normal(shift, 1, m).tolist()
    expected = scipy.stats.ks_2samp(baseline, current)
    values = sorted({*baseline, *current})
    found = drift.kolmogorov_smirnov(
        *([Counter(row)[value] for value in values] for row in (baseline, current))
    )
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)


@given(st.floats(0.06, 5))
def test_kolmogorovs_tail_is_scipys(z):
    assert drift._kolmogorov_tail(z) == pytest.approx(scipy.stats.kstwobign.sf(z), abs=1e-9)


@given(COUNTS)
def test_the_stability_index_is_never_negative_and_takes_no_sides(counts):
    baseline, current = counts
    assume(sum(baseline) and sum(current))
    there = drift.population_stability_index(baseline, current)
    assert there >= 0
    assert there == pytest.approx(drift.population_stability_index(current, baseline), abs=1e-12)


@given(COUNTS, st.integers(1, 9))
def test_only_shares_matter_for_effect_sizes(counts, factor):
    baseline, current = counts
    assume(sum(baseline) and sum(current))
    more = [n * factor for n in current]
    for effect in (drift.population_stability_index, drift.jensen_shannon_distance):
        assert effect(baseline, more) == pytest.approx(effect(baseline, current), abs=1e-7)


def test_the_stability_index_of_a_known_shift():
    # (.6-.5) ln(.6/.5) + (.4-.5) ln(.4/.5)
    assert drift.population_stability_index([50, 50], [60, 40]) == pytest.approx(0.0405465, abs=1e-7)


def test_without_images_an_effect_is_unknown_and_evidence_is_none():
    assert math.isnan(drift.population_stability_index([0, 0], [1, 2]))
    assert math.isnan(drift.jensen_shannon_distance([1, 2], [0, 0]))
    assert drift.chi_squared([0, 0], [1, 2]).p_value == 1
    assert drift.chi_squared([3], [4]).p_value == 1
    assert drift.kolmogorov_smirnov([0], [1]).p_value == 1


def test_a_usual_day_lies_in_the_control_band_and_a_bad_one_does_not():
    rng = np.random.default_rng(1)
    days = [(int(rng.binomial(1000, 0.3)), 1000) for _ in range(28)]
    low, high = band(days, 1000)
    assert low < 0.3 < high
    assert all(low <= k / n <= high for k, n in days)
    assert high < 0.4


def test_the_control_band_widens_when_days_scatter_more_than_chance_does():
    calm = [(300, 1000), (310, 1000)] * 7
    wild = [(200, 1000), (400, 1000)] * 7
    assert band(calm, 1000).high < 0.36
    assert band(wild, 1000).high > 0.6


def test_fewer_images_widen_the_control_band():
    days = [(30, 100), (33, 100), (28, 100), (31, 100), (30, 100)]
    few, many = band(days, 25), band(days, 2500)
    assert few.low < many.low < many.high < few.high


@pytest.mark.parametrize(("history", "trials"), [([(1, 2)] * 4, 9), ([(0, 0)] * 9, 9), ([(1, 2)] * 9, 0)])
def test_without_history_or_images_there_is_no_control_band(history, trials):
    assert drift.control_band(history, trials) is None


def test_what_never_was_is_still_possible():
    low, high = band([(0, 10)] * 7, 10)
    assert low == 0
    assert 0.1 < high < 0.3
    low, high = band([(10, 10)] * 7, 10)
    assert 0.7 < low < 0.9
    assert high == 1


@pytest.mark.parametrize("images", [3, 10, 50, 400])
@pytest.mark.parametrize("share", [0.005, 0.02, 0.1, 0.6])
def test_a_usual_day_is_seldom_outside_the_band_however_few_images_it_has(images, share):
    rng = np.random.default_rng(images)
    outside = 0.0
    for _ in range(100):
        low, high = band([(int(k), images) for k in rng.binomial(images, share, 7)], images)
        shares = np.arange(images + 1) / images
        odds = scipy.stats.binom.pmf(np.arange(images + 1), images, share)
        outside += odds[(shares < low - 1e-12) | (shares > high + 1e-12)].sum() / 100
    assert outside < 0.01


def test_expected_precision_is_the_mean_confidence():
    assert drift.expected_precision(confidence_sum=9.4, images=10) == pytest.approx(0.94)
    assert math.isnan(drift.expected_precision(0.0, 0))


def test_expected_precision_meets_the_measured_one_when_confidences_are_calibrated():
    rng = np.random.default_rng(2)
    confidences = rng.beta(8, 1, 20_000)
    measured = (rng.random(20_000) < confidences).mean()
    assert drift.expected_precision(float(confidences.sum()), 20_000) == pytest.approx(measured, abs=0.01)


@given(COUNTS, st.integers(1, 12))
def test_merged_bins_keep_every_image_and_hold_enough_of_the_baseline(counts, groups):
    baseline, current = counts
    places = drift.quantile_groups(baseline, groups)
    merged = [drift.merged(row, places) for row in (baseline, current)]
    assert [sum(row) for row in merged] == [sum(baseline), sum(current)]
    assert len(merged[0]) == len(merged[1]) <= max(groups, 1)
    if len(merged[0]) > 1:
        assert min(merged[0]) >= sum(baseline) / groups / 2


def test_bins_that_allow_ten_groups_make_ten():
    """Fewer groups see less of the same shift, and the limits of the PSI are for ten."""
    normal = [round(1000 * math.exp(-((bin_ - 15.5) ** 2) / 40)) for bin_ in range(32)]
    assert max(drift.quantile_groups(normal)) + 1 == 10
    assert drift.quantile_groups([30, 0, 0, 50, 20, 0]) == [0, 1, 1, 1, 2, 2]


def test_one_of_many_that_falls_is_as_sure_as_it_would_be_alone():
    steady = ((66, 4), (67, 3))
    fallen = ((66, 4), (38, 32))
    p_values = drift.p_values_among_others([steady] * 20 + [fallen])
    assert p_values[-1] == pytest.approx(drift.chi_squared(*fallen).p_value)
    assert drift.p_values_among_others([fallen]) == pytest.approx([p_values[-1]])


def test_where_the_others_differ_as_much_a_gap_is_no_evidence():
    rises, falls = ((700, 300), (850, 150)), ((850, 150), (700, 300))
    assert min(drift.p_values_among_others([rises, falls] * 3)) > 0.1
    few = [((7, 3), (10, 0))] * 9  # too few images to scatter but by chance
    assert drift.p_values_among_others([*few, falls])[-1] == pytest.approx(drift.chi_squared(*falls).p_value)


def test_the_scatter_of_large_places_does_not_hide_a_small_one_that_falls():
    """What scatters by four times chance among 400 images scatters by little more than chance among 70."""
    large = [((3800, 1000), (317 + 28 * sign, 83 - 28 * sign)) for sign in (1, -1, 1, -1, 1, -1, 1, -1, 1)]
    fell = ((732, 198), (1, 69))
    *others, p_value = drift.p_values_among_others([*large, fell])
    assert p_value < 1e-6
    assert min(others) > 0.1


def test_what_a_place_does_now_and_then_is_no_evidence_although_all_others_are_steady():
    unsteady = [(850, 150), (720, 280)] * 6
    assert drift.p_value_among_weeks(unsteady, (715, 285)) > 0.1
    assert drift.p_value_among_weeks(unsteady, (250, 750)) < 1e-4
    assert drift.p_value_among_weeks([(850, 150), (845, 155)] * 6, (715, 285)) < 1e-6


def test_a_place_that_goes_blind_is_told_from_one_that_varies_by_as_many_points():
    unsteady = [(48, 52), (37, 63), (56, 44), (54, 46), (41, 59), (64, 36)] * 2
    assert drift.p_value_among_weeks(unsteady, (1, 99)) < 1e-4


def test_the_weeks_of_a_place_give_p_values_that_are_as_rare_as_they_say():
    rng = np.random.default_rng(7)
    found = []
    for _ in range(400):
        shares = rng.normal(0.8, 0.04, 13)
        accepted = rng.binomial(400, shares)
        *weeks, now = [(int(k), 400 - int(k)) for k in accepted]
        found.append(drift.p_value_among_weeks(weeks, now))
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_with_few_weeks_or_no_difference_between_them_other_tests_decide():
    assert drift.p_value_among_weeks([(9, 1)] * 12, (1, 9)) == 0
    assert drift.p_value_among_weeks([(9, 1), (8, 2)] * 3, (1, 9)) == 0
    assert drift.p_value_among_weeks([(9, 1), (8, 2)] * 6, (0, 0)) == 0


@given(st.lists(st.tuples(*[st.tuples(st.integers(0, 500), st.integers(0, 500))] * 2), max_size=8))
def test_other_pairs_make_no_gap_surer(pairs):
    for pair, p_value in zip(pairs, drift.p_values_among_others(pairs), strict=True):
        assert drift.chi_squared(*pair).p_value <= p_value <= 1
