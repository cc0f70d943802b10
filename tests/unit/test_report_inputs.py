"""What the report finds about the images themselves: brightness, sharpness and file size."""

from types import SimpleNamespace
from typing import Any

import pytest

from analytics.report import verdict
from analytics.report.drift import Evidence
from analytics.report.numbers import Departure, Shift


@pytest.mark.parametrize(("p_value", "attention"), [(0.002, [True]), (0.005, [False]), (0.02, [])])
def test_three_measures_of_the_images_share_the_level_of_one_test(p_value, attention):
    shift = Shift.of([100, 100], [180, 20], Evidence("scatter of days", 9.0, p_value))
    brightness: Any = SimpleNamespace(measure="brightness", name="Brightness")
    departures = {"brightness": Departure(shift, 0.0, [])}
    numbers: Any = SimpleNamespace(departures=departures, inputs=[brightness] * 3)
    assert [finding.attention for finding in verdict._input(brightness, numbers)] == attention
