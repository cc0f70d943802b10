"""analytics.report.isoweek: weeks as ISO 8601 counts them."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.report.isoweek import IsoWeek
from analytics.report.weekly import HISTORY_WEEKS


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


@pytest.mark.parametrize(
    "text", ["0000-W01", "0001-W01", "0999-W53", "1969-W52", "9999-W51", "9999-W52", "9999-W53"]
)
def test_a_week_out_of_reach_is_refused(text):
    with pytest.raises(
        ValueError, match=f"{text} is out of reach: take a year from 1970 to 9998, as in 2026-W47."
    ):
        IsoWeek.parse(text)


@pytest.mark.parametrize("text", ["1970-W01", "9998-W52"])
def test_about_the_first_and_the_last_week_everything_can_be_said(text):
    week = IsoWeek.parse(text)
    assert str(week) == text
    assert len(week.days) == 7
    assert week.title().endswith(text[:4])
    assert week.back(HISTORY_WEEKS + 1) < week


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
