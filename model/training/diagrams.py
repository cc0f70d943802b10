"""Two diagrams as SVG: the reliability diagram, and the risk-coverage curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.calibrate import Bin, Floats

_SIDE_PX, _MARGIN_PX = 320, 52
_INK, _GRID, _LINE, _MAIN, _OTHER = "#222", "#ddd", "#888", "#2563a8", "#c2571a"
_RISK_TOPS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Ends of an axis. A fifth, two fifths, … of each has two digits."""
Points = Sequence[tuple[float, float]]


def reliability_svg(bins: Sequence[Bin]) -> str:
    """Return accuracy by confidence. On the diagonal both are equal; the area of a dot is its share."""
    total = sum(b.images for b in bins)
    dots = "".join(
        f'<circle cx="{_x(b.confidence)}" cy="{_y(b.accuracy)}" r="{2 + 24 * (b.images / total) ** 0.5:.1f}" '
        f'fill="{_MAIN}" fill-opacity="0.6"><title>{b.images} images, confidence {b.confidence:.3f}, '
        f"accuracy {b.accuracy:.3f}</title></circle>"
        for b in bins
    )
    diagonal = _path([(0, 0), (1, 1)], _LINE)
    said = _label(_x(0.02), _y(0.95), "on the line, confidence is as high as accuracy;", "start")
    said += _label(_x(0.02), _y(0.9), "the larger a dot, the more images", "start")
    return _figure("Reliability", "confidence", "accuracy: share that is right", 1.0, diagonal + said + dots)


def risk_top(risk: float) -> float:
    """Return the end of an axis that holds this risk, 0 to 1."""
    return next(top for top in _RISK_TOPS if top >= min(risk, 1.0))


def risk_coverage_svg(coverage: Floats, risk: Floats, chosen: tuple[float, float] | None) -> str:
    """Return the share of errors among accepted images by coverage; `chosen` marks the threshold's."""
    # The first few images are ignored: one error among two is a risk of a half.
    top = risk_top(float(risk[len(risk) // 20 :].max()))
    keep: NDArray[Any] = np.unique(np.linspace(0, len(risk) - 1, 400).astype(int))
    line = _path([(float(coverage[i]), min(1.0, float(risk[i]) / top)) for i in keep], _MAIN)
    dot = ""
    if chosen is not None:
        dot = (
            f'<circle cx="{_x(chosen[0])}" cy="{_y(min(1.0, chosen[1] / top))}" r="5" fill="{_OTHER}"/>'
            f'<circle cx="{_x(0.04)}" cy="{_y(0.95)}" r="5" fill="{_OTHER}"/>'
        )
        said = f"the threshold: coverage {chosen[0]:.3f}, risk {chosen[1]:.4f}"
        dot += _label(_x(0.07), _y(0.95) + 4, said, "start")
    across, up = "coverage: share of the images that is accepted", "risk: share of errors in what is accepted"
    return _figure("Risk and coverage", across, up, top, line + dot)


def _figure(title: str, x_name: str, y_name: str, y_top: float, content: str) -> str:
    """Return a square from (0, 0) to (1, `y_top`), with five ticks a side."""
    width_px = _SIDE_PX + 2 * _MARGIN_PX
    middle_px = width_px / 2
    ticks = []
    for i in range(6):
        at = i / 5
        ticks.append(_path([(at, 0), (at, 1)], _GRID) + _path([(0, at), (1, at)], _GRID))
        ticks.append(_label(_x(at), _y(0) + 16, f"{at:g}", "middle"))
        ticks.append(_label(_x(0) - 6, _y(at) + 4, f"{at * y_top:.2g}", "end"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width_px} {width_px}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}"><title>{title}</title>'
        f'<rect width="{width_px}" height="{width_px}" fill="#fff"/>'
        + "".join(ticks)
        + _label(middle_px, 24, title, "middle")
        + _label(middle_px, width_px - 14, x_name, "middle")
        + f'<text transform="translate(14 {middle_px}) rotate(-90)" text-anchor="middle">{y_name}</text>'
        + content
        + "</svg>\n"
    )


def _x(value: float) -> float:
    return round(_MARGIN_PX + value * _SIDE_PX, 1)


def _y(value: float) -> float:
    return round(_MARGIN_PX + (1 - value) * _SIDE_PX, 1)


def _path(points: Points, colour: str) -> str:
    coordinates = " ".join(f"{_x(x)},{_y(y)}" for x, y in points)
    return f'<polyline points="{coordinates}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _label(x_px: float, y_px: float, text: str, anchor: str) -> str:
    return f'<text x="{x_px}" y="{y_px}" text-anchor="{anchor}">{text}</text>'
