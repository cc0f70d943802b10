"""analytics.report.charts: well-formed, right without any style sheet, and small."""

import math
import re
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.report import charts
from analytics.report.numbers import Cell, ClassShare, Day, HistogramBin, Latency, Percentiles, Tally, WhatIf
from ingest.stats import Bin, Interval, wilson_interval

MONDAY = date(2026, 11, 16)
SVG = "{http://www.w3.org/2000/svg}"


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def a_day(number: int, needs_review: int = 3, accepted: int = 7, usual: Interval | None = None) -> Day:
    tally = Tally.of({"accepted": accepted, "needs_review": needs_review})
    share = needs_review / tally.images if tally.images else None
    return Day(MONDAY + timedelta(days=number), tally, share, usual, in_week=True)


def a_share(label: str, images: int, of: int) -> ClassShare:
    interval = wilson_interval(images, of)
    return ClassShare(label, images, images / of, interval, images, images / of, interval, 0.9)


def every_chart() -> list[str]:
    days = [a_day(number, usual=Interval(0.1, 0.2)) for number in range(7)]
    took = Percentiles(800.0, 1200.0, None)
    return [
        charts.volume(days),
        charts.hours([[hour * day for hour in range(24)] for day in range(7)]),
        charts.confidence_over_time([Cell(3.5, 2.0, True, 1), Cell(9.0, 0.1, False, 40)], [0.94], MONDAY),
        charts.class_balance([a_share("a < b & 'c'", 3, 9), a_share("tulip", 6, 9)], compared=True),
        charts.histogram(
            "h", "A <title>", [HistogramBin(0, 1, 3, 4), HistogramBin(1, 2, 0, 2)], [(0, "0")], str
        ),
        charts.below_threshold(days),
        charts.what_if([WhatIf(0.5, 9, 1.0, 0.8), WhatIf(0.9, 0, 0.0, None)], [0.94]),
        charts.reliability([Bin(10, 9.1, 9), Bin(1, 0.3, 0)]),
        charts.latency([Latency(day.dt, 9, took, took, took) for day in days]),
    ]


@pytest.mark.parametrize("svg", every_chart(), ids=lambda svg: read(svg).get("aria-labelledby"))
def test_a_chart_is_xml_with_a_title_and_a_description(svg):
    root = read(svg)
    title, described = root[0], root[1]
    assert (title.tag, described.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {described.get('id')}"
    assert title.text
    assert described.text
    assert root.get("role") == "img"


@pytest.mark.parametrize("svg", every_chart(), ids=lambda svg: read(svg).get("aria-labelledby"))
def test_a_chart_has_its_colours_without_any_style_sheet(svg):
    for element in read(svg).iter():
        if element.tag in {f"{SVG}rect", f"{SVG}text", f"{SVG}circle"}:
            assert element.get("fill", "").startswith(("#", "none", "url(#pattern-"))
        if element.tag == f"{SVG}path":
            assert element.get("fill") == "none"
            assert element.get("stroke", "").startswith("#")


@pytest.mark.parametrize("svg", every_chart(), ids=lambda svg: read(svg).get("aria-labelledby"))
def test_every_class_of_a_chart_has_a_colour_of_the_theme(svg):
    style = charts.style()
    for element in list(read(svg).iter())[1:]:
        for name in element.get("class", "").split():
            assert f".{name}{{" in style or name == "f-none"


@given(st.lists(st.tuples(st.floats(0, 168), st.floats(0, 5.29)), max_size=60))
def test_dots_of_many_images_are_one_path_with_each_place_once(places):
    cells = [Cell(hours, height, True, 1) for hours, height in places]
    svg = charts.confidence_over_time(cells, [], MONDAY)
    dots = [
        path
        for path in read(svg).iter(f"{SVG}path")
        if path.get("stroke-linecap") == "round" and "h0" in path.get("d", "")
    ]
    assert len(dots) == bool(places)
    if places:
        assert 1 <= dots[0].get("d", "").count("h0") <= len(places)


def test_dots_stand_where_the_images_are():
    svg = charts.confidence_over_time([Cell(84.0, charts._height(0.9), True, 1)], [0.9], MONDAY)
    paths = [path.get("d", "") for path in read(svg).iter(f"{SVG}path")]
    dot = next(d for d in paths if d.endswith("h0"))
    x, y = map(float, dot.removeprefix("M0 0m").removesuffix("h0").split())
    assert x == pytest.approx((charts.GUTTER + charts.WIDE) / 2, abs=0.5)
    threshold = next(path for path in read(svg).iter(f"{SVG}path") if path.get("stroke-dasharray"))
    assert y == pytest.approx(float(threshold.get("d", "").split("L")[0].split()[1]), abs=0.5)


@pytest.mark.parametrize("svg", every_chart(), ids=lambda svg: read(svg).get("aria-labelledby"))
def test_no_value_of_an_axis_lies_over_what_is_drawn_however_large_the_text_is(svg):
    if "classes-title" in svg:
        return  # the names of the classes stand above their rows
    for text in read(svg).iter(f"{SVG}text"):
        if float(text.get("x", "")) < charts.GUTTER:
            assert text.get("text-anchor") == "end", text.text


@pytest.mark.parametrize(
    ("thresholds", "labels"),
    [
        ([0.9], ["threshold 0.9"]),
        ([0.86, 0.84, 0.8], ["thresholds 0.8, 0.84, 0.86"]),
        ([0.5, 0.95], ["threshold 0.5", "threshold 0.95"]),
        ([0.98, 0.5, 0.51], ["thresholds 0.5, 0.51", "threshold 0.98"]),
    ],
)
def test_a_threshold_does_not_cross_the_values_of_the_axis_and_close_ones_share_a_label(thresholds, labels):
    svg = charts.confidence_over_time([Cell(84.0, 1.0, True, 1)], thresholds, MONDAY)
    texts = [text.text for text in read(svg).iter(f"{SVG}text")]
    assert [text for text in texts if text and text.startswith("threshold")] == labels
    lines = [path.get("d", "") for path in read(svg).iter(f"{SVG}path") if path.get("stroke-dasharray")]
    assert len(lines) == len(thresholds)
    assert all(line.startswith(f"M{charts.GUTTER:g} ") for line in lines)


@pytest.mark.parametrize(
    ("lowest", "ticks"),
    [(0.0, "0 0.2 0.4 0.6 0.8 1"), (0.59, "0.4 0.6 0.8 1"), (0.6, "0.6 0.8 1"), (0.99, "0.6 0.8 1")],
)
def test_reliability_begins_near_the_least_confidence(lowest, ticks):
    svg = charts.reliability([Bin(10, 9.9, 9), Bin(100, 100 * lowest, 50)])
    texts = [text.text for text in read(svg).iter(f"{SVG}text") if "%" not in (text.text or "")]
    assert texts == ticks.split()
    assert all(float(dot.get("cx", "")) >= charts.GUTTER for dot in read(svg).iter(f"{SVG}circle"))


def test_ten_thousand_dots_stay_small():
    cells = [
        Cell(n * 168 / 10_000, 5.2 * ((n * 7919) % 10_000) / 10_000, n % 3 > 0, 1) for n in range(10_000)
    ]
    assert len(charts.confidence_over_time(cells, [0.94], MONDAY)) < 110_000


@given(st.floats(1e-6, 1e9))
def test_ticks_are_few_round_and_reach_the_top(top):
    ticks = charts._ticks(top)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-6)
    assert ticks[-2] < top


def test_a_bar_is_as_high_as_its_count():
    svg = charts.volume([a_day(0, needs_review=10, accepted=30), a_day(1, 0, 20)])
    boxes = [box for box in read(svg).iter(f"{SVG}rect") if box.get("class")]  # the others are patterns
    heights = [float(box.get("height", "")) for box in boxes]
    assert heights[0] / heights[1] == pytest.approx(3, rel=0.01)
    assert heights[2] / heights[1] == pytest.approx(2, rel=0.01)


def test_days_without_images_break_the_line():
    days = [a_day(0), a_day(1), a_day(2, 0, 0), a_day(3), a_day(4)]
    runs = charts._runs(days, in_week=True)
    assert [[place for place, _ in run] for run in runs] == [[0, 1], [3, 4]]


@pytest.mark.parametrize(
    ("longest_ms", "tick"), [(1_900, "2 s"), (250_000, "300 s"), (420_000, "8 min"), (3 * 86_400_000, "80 h")]
)
def test_times_are_drawn_in_a_unit_that_people_read(longest_ms, tick):
    took = Percentiles(-3.0, float(longest_ms), None)
    svg = charts.latency([Latency(MONDAY, 9, took, took, took)])
    assert [text.text for text in read(svg).iter(f"{SVG}text")][-2] == tick


def test_a_sparkline_needs_two_values():
    assert charts.sparkline([1.0, None]) == ""
    assert read(charts.sparkline([1.0, None, 1.0])).tag == "svg"


@pytest.mark.parametrize(("values", "rises"), [([0.0, 0.0], 0), ([1000.0, 1001.0], 0.2), ([1.0, 2.0], 20)])
def test_a_sparkline_of_what_hardly_changes_is_nearly_flat(values, rises):
    line = read(charts.sparkline(values))[0].get("d", "")
    start, end = (float(point.split()[1]) for point in line.removeprefix("M").split("L"))
    assert start - end == pytest.approx(rises, abs=0.02)


def test_nothing_to_draw_is_no_error():
    assert read(charts.volume([])) is not None
    assert read(charts.histogram("h", "t", [], [], str)) is not None
    assert read(charts.latency([])) is not None
    assert not math.isnan(charts._nice_top(0))


@pytest.mark.parametrize(("lowest", "bottom"), [(0.97, "96 %"), (0.96, "96 %"), (0.91, "90 %"), (0.1, "0 %")])
def test_the_axis_of_what_if_begins_below_all_that_is_drawn(lowest, bottom):
    svg = charts.what_if([WhatIf(0.5, 9, 1.0, 0.99), WhatIf(0.9, 9, lowest, None)], [0.94])
    levels = [text for text in read(svg).itertext() if re.fullmatch(r"[\d.]+ %", text)]
    assert (levels[0], levels[-1]) == (bottom, "100 %")


def test_a_day_without_images_has_no_number_above_it():
    svg = charts.volume([a_day(0, needs_review=0, accepted=0), a_day(1, needs_review=2, accepted=5)])
    ink = [text.text for text in read(svg).iter(f"{SVG}text") if "f-ink" in text.get("class", "")]
    assert ink == ["7"]
