"""analytics.report: this week against the weeks before it, by how much days usually differ."""

import itertools
from datetime import date, timedelta

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Tally
from analytics.report.scatter import ENOUGH_DAYS, between_days
from analytics.report.usual import volume
from ingest.stats import f_tail

WEEK = IsoWeek.parse("2026-W47")
FIRST = WEEK.back(4).monday


def days_of(counts, first=FIRST):
    """Each row of counts is a day's."""
    return {first + timedelta(days=place): list(map(int, row)) for place, row in enumerate(counts)}


def split(days):
    return {day: row for day, row in days.items() if day < WEEK.monday}, {
        day: row for day, row in days.items() if day >= WEEK.monday
    }


def p_value(counts):
    evidence = between_days(*split(days_of(counts)))
    assert evidence is not None
    return evidence.p_value


@given(st.floats(0, 50), st.floats(1, 40), st.floats(1, 60))
def test_the_tail_of_f_is_scipys(statistic, numerator, denominator):
    expected = scipy.stats.f.sf(statistic, numerator, denominator)
    assert f_tail(statistic, numerator, denominator) == pytest.approx(expected, abs=1e-7)


def test_independent_images_and_days_that_scatter_both_give_p_values_that_are_as_rare_as_they_say():
    rng = np.random.default_rng(5)
    for scatter in (0.0, 0.4):
        found = []
        for _ in range(80):
            logits = np.log([0.5, 0.3, 0.2]) + rng.normal(0, scatter, (35, 3))
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            found.append(p_value([rng.multinomial(200, of_day) for of_day in shares]))
        assert np.mean(np.array(found) < 0.05) < 0.15
        assert np.mean(np.array(found) < 0.005) < 0.04


@pytest.mark.parametrize("days", [1, 2])
def test_a_week_with_its_images_on_one_or_two_days_is_not_more_evidence_than_its_days_are(days):
    rng = np.random.default_rng(6)
    found = []
    for _ in range(200):
        logits = np.log([0.5, 0.3, 0.2]) + rng.normal(0, 0.4, (28 + days, 3))
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        images = [200] * 28 + [1_400 // days] * days
        found.append(p_value([rng.multinomial(n, row) for n, row in zip(images, shares, strict=True)]))
    assert np.mean(np.array(found) < 0.005) < 0.03


def test_days_that_resemble_the_day_before_are_less_evidence():
    steady = [(60, 40), (40, 60)] * 14
    in_turn = [*[(60, 40)] * 7, *[(40, 60)] * 7] * 2
    week = [(72, 28)] * 3 + [(70, 30)] * 4
    assert p_value([*steady, *week]) < 0.001 < p_value([*in_turn, *week])


def test_where_days_resemble_each_other_their_scatter_is_known_less_and_p_values_say_so():
    rng = np.random.default_rng(8)
    first = WEEK.back(12).monday
    p_values = []
    for _ in range(300):
        light = [rng.normal()]
        for _ in range(13 * 7 - 1):
            light.append(0.7 * light[-1] + rng.normal(0, np.sqrt(1 - 0.7**2)))
        bright = [int(rng.binomial(400, 1 / (1 + np.exp(-each / 2)))) for each in light]
        evidence = between_days(*split(days_of([(each, 400 - each) for each in bright], first)))
        assert evidence
        assert evidence.degrees_of_freedom in range(5, 30), "of 84 days"
        p_values.append(evidence.p_value)
    assert np.mean(np.array(p_values) < 0.005) < 0.01


def test_a_shift_is_evident_where_days_are_steady_and_not_where_they_scatter():
    week = [(70, 30), (72, 28), (68, 32), (71, 29), (70, 30), (69, 31), (70, 30)]
    assert p_value([*[(51, 49), (49, 51)] * 14, *week]) < 1e-6
    assert p_value([*[(85, 15), (15, 85), (20, 80), (80, 20)] * 7, *week]) > 0.05


@pytest.mark.parametrize("days", [0, 1, ENOUGH_DAYS - 1])
def test_with_few_days_before_nothing_is_known_of_their_scatter(days):
    before = days_of([(5, 5)] * days)
    assert between_days(before, days_of([(9, 1)], WEEK.monday)) is None


counts = st.lists(st.tuples(*[st.integers(0, 300)] * 3), min_size=8, max_size=35)


@given(counts)
def test_whatever_the_counts_there_is_a_probability_or_nothing(rows):
    before, now = split(days_of(rows, WEEK.monday - timedelta(days=len(rows) - 3)))
    evidence = between_days(before, now)
    assert evidence is None or 0 <= evidence.p_value <= 1


@given(counts)
def test_a_class_without_images_and_the_order_of_classes_change_nothing(rows):
    first = WEEK.monday - timedelta(days=len(rows) - 3)
    one, other = (
        between_days(*split(days_of(each, first))) for each in (rows, [(0, c, a, b) for a, b, c in rows])
    )
    assert (one is None) == (other is None)
    if one and other:
        assert one.p_value == pytest.approx(other.p_value, abs=1e-6)


def tallies(weeks):
    """Images by day, Monday first, of the week and those before it."""
    days = itertools.chain.from_iterable(weeks)
    first = WEEK.back(len(weeks) - 1).monday
    return {
        first + timedelta(days=place): Tally.of({"accepted": images}) for place, images in enumerate(days)
    }


USUAL = [[100, 110, 105, 95, 120, 40, 30], [95, 115, 100, 99, 110, 45, 28], [104, 100, 99, 101, 118, 38, 33]]


@pytest.mark.parametrize(("part", "is_evident"), [(1.0, False), (0.9, False), (0.6, True), (0.2, True)])
def test_a_week_with_far_fewer_images_than_usual_is_evident(part, is_evident):
    found = volume(WEEK, tallies([*USUAL, [round(part * images) for images in USUAL[0]]]), WEEK.sunday)
    assert found is not None
    assert found.usual_images == pytest.approx(np.mean(np.sum(USUAL, axis=1)))
    assert (found.p_value < 0.005) is is_evident


def test_a_week_that_is_not_over_is_compared_with_the_same_days():
    found = volume(WEEK, tallies([*USUAL, [98, 104, 0, 0, 0, 0, 0]]), WEEK.monday + timedelta(days=1))
    assert found is not None
    assert found.images == 202
    assert found.usual_images == pytest.approx(np.mean(np.sum(USUAL, axis=1, where=[True] * 2 + [False] * 5)))
    assert not found.silent


def test_a_weekday_without_images_is_silent_when_it_always_had_some():
    found = volume(WEEK, tallies([*USUAL, [100, 110, 0, 95, 120, 40, 30]]), WEEK.sunday)
    assert found is not None
    assert [(day.dt, day.p_value < 0.001) for day in found.silent] == [(date(2026, 11, 18), True)]
    rare = [[0, 9, 1, 0, 2, 0, 0], [3, 0, 0, 1, 0, 0, 0], [0, 4, 3, 0, 9, 0, 1]]
    often = volume(WEEK, tallies([*rare, [0] * 6 + [1]]), WEEK.sunday)
    assert often is not None
    assert all(day.p_value > 0.01 for day in often.silent)


@pytest.mark.parametrize("weeks", [[], [USUAL[0]], [[0] * 7, USUAL[0]], [USUAL[0], USUAL[1]]])
def test_with_fewer_than_two_earlier_weeks_there_is_no_usual_volume(weeks):
    assert volume(WEEK, tallies(weeks) if weeks else {}, WEEK.sunday) is None
