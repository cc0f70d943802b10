import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import calibrate
from model.training.diagrams import reliability_svg, risk_coverage_svg, risk_top


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]  # noqa: S314 - made here


def curve(errors, count=200):
    wrong = np.zeros(count)
    wrong[count - errors :] = 1
    return np.arange(1, count + 1) / count, np.cumsum(wrong) / np.arange(1, count + 1)


@given(st.floats(0, 1))
def test_the_risk_axis_holds_the_risk_and_its_ticks_are_exact(risk):
    top = risk_top(risk)
    assert top >= min(risk, 1.0)
    assert top <= max(0.01, 3 * risk)
    for i in range(6):
        assert float(f"{i / 5 * top:.2g}") == pytest.approx(i / 5 * top)


def test_the_risk_diagram_labels_its_axes_and_its_dot():
    coverage, risk = curve(48)
    said = texts(risk_coverage_svg(coverage, risk, (0.7, 0.01)))
    assert "coverage: share of the images that is accepted" in said
    assert "risk: share of errors in what is accepted" in said
    assert "the threshold: coverage 0.700, risk 0.0100" in said
    assert {"0", "0.05", "0.1", "0.15", "0.2", "0.25"} <= set(said)


def test_without_a_threshold_that_accepts_anything_there_is_no_dot():
    coverage, risk = curve(1)
    svg = risk_coverage_svg(coverage, risk, None)
    assert "<circle" not in svg
    assert not any(text.startswith("the threshold") for text in texts(svg))


def test_the_reliability_diagram_has_a_dot_for_each_bin_and_explains_them():
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
    svg = reliability_svg(calibrate.reliability(probabilities, np.array([0] * 9 + [1] + [0] * 6 + [1] * 4)))
    assert svg.count("<circle") == 2
    said = texts(svg)
    assert "confidence" in said
    assert "accuracy: share that is right" in said
    assert any("on the line" in text for text in said)
