"""What the report finds about the images themselves: brightness, sharpness and file size."""

from types import SimpleNamespace
from typing import Any

import pytest

from analytics.report import verdict
from analytics.report.drift import Evidence
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Departure, HistogramBin, Input, Shift

SOME = Shift.of([100, 100], [180, 20], Evidence("Kolmogorov-Smirnov", 0.4, 0.0))


def found(p_value, measure="brightness", p50: float | None = 96.0, compare="2026-W46"):
    input_ = Input(
        measure, "Brightness", "of 255", [HistogramBin(0, 8, 200, 200)], SOME, p50, p50, p50, 124.5
    )
    shift = Shift.of([100, 100], [180, 20], Evidence("scatter of days", 9.0, p_value))
    numbers: Any = SimpleNamespace(
        departures={measure: Departure(shift, 0.0, [])}, compare=compare and IsoWeek.parse(compare)
    )
    return verdict._input(input_, numbers)


@pytest.mark.parametrize(("p_value", "attention"), [(0.004, [True]), (0.006, [False]), (0.02, [])])
def test_what_the_images_are_like_needs_better_evidence_than_a_note(p_value, attention):
    assert [finding.attention for finding in found(p_value)] == attention


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ": half of them are below 96, in 2026-W46 below 124."),
        ({"measure": "size_bytes"}, ": half of them are below 96 B, in 2026-W46 below 124 B."),
        ({"p50": None}, "."),
        ({"compare": None}, "."),
    ],
)
def test_a_change_of_the_images_is_told_by_where_their_middle_was_and_is(more, said):
    (finding,) = found(0.001, **more)
    assert finding.what.replace("\u00a0", " ") == f"Brightness of the images is not as usual{said}"
