"""analytics.isoweek: weeks as ISO 8601 counts them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.isoweek import IsoWeek


@pytest.mark.parametrize(
    ("text", "monday"),
    [
        ("2026-W47", date(2026, 11, 16)),
        ("2026-W53", date(2026, 12, 28)),
        ("2027-W01", date(2027, 1, 4)),
        (" 2026-w01 ", date(2025, 12, 29)),
    ],
)
def test_a_week_starts_on_its_monday(text, monday):
    week = IsoWeek.parse(text)
    assert (week.monday, week.sunday) == (monday, monday + timedelta(days=6))


@pytest.mark.parametrize("text", ["", "2026", "2026-47", "2026-W7", "47/2026", "2026-W471", "\u0662026-W47"])
def test_what_is_no_week_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="like 2026-W47"):
        IsoWeek.parse(text)


@pytest.mark.parametrize("text", ["2025-W53", "2026-W54", "2026-W00"])
def test_a_week_that_a_year_does_not_have_is_refused(text):
    with pytest.raises(ValueError, match=f"has no week {text[-2:]}"):
        IsoWeek.parse(text)


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_each_day_is_in_its_week_and_text_goes_both_ways(day):
    week = IsoWeek.of(day)
    assert day in week.days
    assert IsoWeek.parse(str(week)) == week
    assert week.back().sunday + timedelta(days=1) == week.monday
    assert not week.over(day)
    assert week.back().over(day)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("2026-W47", "16–22 November 2026"),
        ("2026-W40", "28 September – 4 October 2026"),
        ("2026-W53", "28 December 2026 – 3 January 2027"),
    ],
)
def test_a_title_says_no_more_than_it_must(text, title):
    assert IsoWeek.parse(text).title() == title
