"""The report's charts as SVG. Pure.

Colours are those of `theme.css`. A shape has the light one as an attribute, for paper and any viewer, and a
class by which the page's style sets the one of the screen. Sizes are in the units of the `viewBox`.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from html import escape
from itertools import groupby, pairwise
from pathlib import Path

from analytics.report.numbers import Cell, Change, ClassShare, Day, HistogramBin, Latency, WhatIf
from analytics.text import plural, short
from ingest.stats import Bin, wilson_interval
from workflow.outcome import Outcome

_THEME = (Path(__file__).parents[1] / "theme.css").read_text(encoding="utf-8")
_LIGHT = dict(re.findall(r"--([\w-]+): (#\w+);", _THEME.partition("@media")[0]))
"""Colours of Okabe and Ito, which differ for every eye; position and shape say the same again."""

WIDE, HALF, SQUARE = 720.0, 500.0, 300.0
"""Width of a chart that takes a row of the page, of one that shares it, and of one as high as it is wide."""
_TEXT_PX = 12
_WIDEST_PX = 2_000
_PLOT_WIDTHS_PX = (960, 840, 720, 620, 540, 470, 410, 360, 310, 270, 230)
"""Widths of a chart on the screen, from which on its texts are larger units of it."""
_NARROW_PX = {"wide": 430, "half": 410}
"""Widths of a chart on the screen up to which there is no room for the days of the month."""
_PATTERNS = {
    Outcome.NEEDS_REVIEW: (45, 5),
    Outcome.REJECTED: (0, 2),
    Outcome.FAILED: (-45, 5),
}
"""Outcome → the angle of its lines, and how long the drawn part of five units is. So neighbours of a stack
differ on paper and in grey, too."""
GUTTER = 56.0
"""Space on the left for the values of the level lines. They end where begins what is drawn: a value that is
wider, on a phone, reaches into the margin."""
_GAP = 4.0
_BOTTOMS = (0.96, 0.9, 0.8, 0.6, 0.2, 0.0)
"""Lower ends of an axis of shares. The highest below all values is used, so that differences show."""
MAX_CLASSES = 12
"""Most classes in a chart; the table below has all."""

_LABEL_CHARS = 40
_LABEL_HEIGHT = 26.0
"""Height of a label in a wide chart on a phone."""
_HEIGHT_LIMIT = -math.log(0.005)
_TIMES = ((1_000, "s"), (60_000, "min"), (3_600_000, "h"))
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Scale = Callable[[float], float]


def style() -> str:
    """Return the CSS that gives shapes the colours of the screen, light or dark, and texts a readable size.

    A chart is as wide as its container, which is named `plot`. Its texts are never below `_TEXT_PX`.
    """
    colours = "".join(f".f-{name}{{fill:var(--{name})}}.s-{name}{{stroke:var(--{name})}}" for name in _LIGHT)
    sizes = ""
    for name, width in (("wide", WIDE), ("half", HALF), ("square", SQUARE)):
        for most, least in pairwise((_WIDEST_PX, *_PLOT_WIDTHS_PX)):
            size = _TEXT_PX * width / least
            sizes += f"@container (max-width:{most}px){{.{name}-chart text{{font-size:{size:.1f}px}}}}"
    for name, most in _NARROW_PX.items():
        sizes += f"@container (max-width:{most}px){{.{name}-chart .more{{display:none}}}}"
    return colours + sizes


def patterns() -> str:
    """Return the patterns of outcomes that may be neighbours in a stack, once for a page."""
    return (
        '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs>'
        + "".join(
            f'<pattern id="{_pattern(outcome)}" width="5" height="5" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate({angle})">'
            f'<path d="M0 1h{length}" class="s-card" stroke="{_LIGHT["card"]}" stroke-width="1.6"/></pattern>'
            for outcome, (angle, length) in _PATTERNS.items()
        )
        + "</defs></svg>"
    )


def _pattern(outcome: Outcome) -> str:
    return f"pattern-{outcome.colour}"


def volume(days: Sequence[Day], changes: Sequence[Change] = ()) -> str:
    """Return columns of images by day, stacked by outcome."""
    top = max([day.tally.images for day in days], default=0)
    y = _linear(0, _nice_top(top), 186, 24)
    parts = [*_grid(y, _ticks(top), HALF, _count)]
    width = (HALF - GUTTER) / max(len(days), 1)
    for place, day in enumerate(days):
        left, level = GUTTER + place * width + width * 0.2, 0
        tally = day.tally
        for outcome in Outcome:
            if count := tally[outcome]:
                height = max(y(level) - y(level + count), 0.6)
                box = _part(left, y(level + count), width * 0.6, height, outcome)
                parts.append(_titled(box, f"{day.dt:%A}: {count:,} {outcome.heading.lower()}"))
                level += count
        if tally.images:
            parts.append(_label(left + width * 0.3, y(level) - 5, f"{tally.images:,}", "middle", "ink"))
        parts.append(_label(left + width * 0.3, 206, f"{day.dt:%a}", "middle", more=f" {day.dt.day}"))
    parts += _marks(changes, _by_day([day.dt for day in days], width), 186)
    described = "; ".join(f"{day.dt:%A} {day.tally.images:,}" for day in days)
    return _svg("volume", "Images by day and outcome", described, HALF, 214, parts)


def _marks(changes: Sequence[Change], x: Callable[[datetime], float | None], bottom: float) -> Iterator[str]:
    """Yield a line for each change of the model, its threshold or its endpoint, with a tooltip."""
    for change in changes:
        if (at := x(change.at)) is not None:
            line = _line(at, 4, at, bottom, "ink", 1.4, dashes="1 4")
            flag = _path(f"M{_n(at)} 4h7l-2 3l2 3h-7z", "ink", 1.2)
            yield _titled(line + flag, f"{change.at:%a %d %b %H:%M}: {change.what}")


def _by_day(days: Sequence[date | None], step: float) -> Callable[[datetime], float | None]:
    """Return the place of a time on an axis of days that are `step` wide; None beyond them."""

    def place(at: datetime) -> float | None:
        if at.date() not in days:
            return None
        midnight = datetime.combine(at.date(), time())
        return GUTTER + step * (days.index(at.date()) + (at - midnight) / timedelta(days=1))

    return place


def hours(counts: Sequence[Sequence[int]]) -> str:
    """Return a map of images by day (rows, Monday first) and hour (columns), darker for more."""
    most = max((max(row) for row in counts), default=0)
    cell, left = (HALF - GUTTER) / 24, GUTTER
    parts = []
    for row, of_day in enumerate(counts):
        parts.append(_label(left - _GAP, row * 26 + 18, _DAYS[row], "end"))
        for hour, count in enumerate(of_day):
            box = _rect(left + hour * cell + 1, row * 26 + 1, cell - 2, 24, "line", radius=3)
            if count:
                ink = _opacity(
                    _rect(left + hour * cell + 1, row * 26 + 1, cell - 2, 24, "accepted", radius=3)
                )
                box += ink.format(round(0.14 + 0.86 * math.sqrt(count / most), 3))
            parts.append(_titled(box, f"{_DAYS[row]} {hour:02}:00: {count:,}"))
    parts += [_label(left + hour * cell, 200, f"{hour:02}:00") for hour in (0, 6, 12, 18)]
    peak = max(((count, row, hour) for row, day in enumerate(counts) for hour, count in enumerate(day)))
    described = f"Most images, {peak[0]:,}, on {_DAYS[peak[1]]} at {peak[2]:02}:00 UTC."
    return _svg("hours", "Images by day and hour, UTC", described, HALF, 214, parts)


def confidence_over_time(
    cells: Sequence[Cell], thresholds: Sequence[float], monday: date, changes: Sequence[Change] = ()
) -> str:
    """Return each image at its time and confidence, with the thresholds; images of about the same time and
    confidence share a dot."""
    x, y = _linear(0, 168, GUTTER, WIDE), _linear(0, _HEIGHT_LIMIT, 312, 14)
    parts = [
        part
        for confidence in (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
        for part in _level(y(_height(confidence)), WIDE, f"{confidence:g}")
    ]
    for day in range(7):
        if day:
            parts.append(_line(x(day * 24), 14, x(day * 24), 312, "line", 0.7))
        parts.append(_label(x(day * 24 + 12), 332, _DAYS[day], "middle", more=f" {_day(monday, day)}"))
    for accepted, name, faint in ((True, "accepted", 0.5), (False, "review", 0.75)):
        mine = [cell for cell in cells if cell.accepted is accepted]
        for low, high, opacity in ((1, 1, faint), (2, 9, faint + 0.2), (10, math.inf, 1.0)):
            dots = [(x(cell.hours), y(cell.height)) for cell in mine if low <= cell.images <= high]
            parts.append(_dots(dots, name, opacity))
    by_height = [(y(_height(threshold)), f"{threshold:g}") for threshold in sorted(thresholds)]
    parts += [_line(GUTTER, at, WIDE, at, "ink", 1.2, dashes="6 4") for at, _ in by_height]
    while by_height:
        # Lines that are close to each other share a label: on a phone it is as high as that.
        close = [name for at, name in by_height if by_height[0][0] - at < _LABEL_HEIGHT]
        top, _ = by_height[len(close) - 1]
        parts.append(_halo(WIDE, top - 5, f"threshold{'s' * (len(close) > 1)} {', '.join(close)}", "end"))
        by_height = by_height[len(close) :]
    parts += _marks(
        changes, _by_day([monday + timedelta(days=day) for day in range(7)], (WIDE - GUTTER) / 7), 312
    )
    below = sum(cell.images for cell in cells if not cell.accepted)
    images = plural(sum(cell.images for cell in cells), "image")
    described = f"{images}, {below:,} of them for review."
    return _svg("over-time", "Confidence of every image over the week", described, WIDE, 340, parts)


def class_balance(classes: Sequence[ClassShare], compared: bool) -> str:
    """Return each label's share as a dot with its interval, above the compared week's in grey."""
    shown = _shown(classes, compared)
    ends = [entry.interval.high if entry.images else 0.0 for entry in shown]
    ends += [entry.baseline_interval.high for entry in shown if entry.baseline_images]
    top = max([*ends, 0.05])
    x = _linear(0, _nice_top(top), 4, HALF - 60)
    height = 26.0 + 46 * len(shown)
    parts = []
    for tick in _ticks(top):
        parts.append(_line(x(tick), 4, x(tick), height - 20, "line", 1))
        parts.append(_label(x(tick), height - 4, f"{100 * tick:g} %", "middle" if tick else "start"))
    for row, entry in enumerate(shown):
        y = row * 46 + 16.0
        parts.append(_label(4, y, short(entry.label, _LABEL_CHARS), "start", "ink"))
        if compared and entry.baseline_share is not None:
            low, high = entry.baseline_interval
            parts.append(_line(x(low), y + 19, x(high), y + 19, "base", 2))
            parts.append(_circle(x(entry.baseline_share), y + 19, 3.4, "card", "base"))
        if entry.share is not None:
            low, high = entry.interval
            parts.append(_line(x(low), y + 11, x(high), y + 11, "accepted", 3))
            parts.append(_circle(x(entry.share), y + 11, 4.6, "accepted", "card"))
            parts.append(_label(HALF, y + 15, f"{100 * entry.share:.1f} %", "end", "ink"))
    described = "; ".join(
        f"{short(entry.label, _LABEL_CHARS)} {100 * (entry.share or 0):.1f} %" for entry in shown
    )
    return _svg("classes", "Share of each class", described, HALF, height, parts)


def _shown(classes: Sequence[ClassShare], compared: bool) -> list[ClassShare]:
    """Return the classes that a chart has room for: those whose share moved most, in the given order."""
    if not compared or len(classes) <= MAX_CLASSES:
        return list(classes[:MAX_CLASSES])
    moved = sorted(classes, key=lambda of: -abs((of.share or 0) - (of.baseline_share or 0)))[:MAX_CLASSES]
    return [entry for entry in classes if entry in moved]


def histogram(
    slug: str,
    title: str,
    bins: Sequence[HistogramBin],
    ticks: Sequence[tuple[float, str]],
    name: Callable[[float], str],
) -> str:
    """Return shares of this week's images as bars, the compared week's as a line.

    Bins are drawn equally wide. `ticks` places labels below, by the number of a bin's lower edge; `name` says
    an edge.
    """
    total = sum(bin_.images for bin_ in bins)
    before = sum(bin_.baseline_images for bin_ in bins)
    shares = [(bin_.images / total if total else 0.0) for bin_ in bins]
    old = [(bin_.baseline_images / before if before else 0.0) for bin_ in bins]
    top = max([*shares, *old], default=0.0)
    y = _linear(0, _nice_top(top), 176, 16)
    width = (HALF - GUTTER) / max(len(bins), 1)
    parts = [*_grid(y, _ticks(top), HALF, lambda tick: f"{100 * tick:g} %")]
    for place, (share, bin_) in enumerate(zip(shares, bins, strict=True)):
        if bin_.images:
            gap = min(1.0, width * 0.1)
            box = _rect(
                GUTTER + place * width + gap / 2, y(share), width - gap, max(y(0) - y(share), 0.6), "accepted"
            )
            parts.append(_titled(box, f"{name(bin_.low)} – {name(bin_.high)}: {bin_.images:,}"))
    if before:
        steps = [f"M{_n(GUTTER)} {_n(y(0))}"]
        for place, share in enumerate(old):
            steps.append(f"V{_n(y(share))}H{_n(GUTTER + (place + 1) * width)}")
        steps.append(f"V{_n(y(0))}")
        parts.append(_path("".join(steps), "ink", 1.4))
    for edge, text in ticks:
        anchor = "start" if edge <= 0 else "end" if edge >= len(bins) else "middle"
        parts.append(_label(GUTTER + edge * width, 194, text, anchor))
    described = f"{plural(total, 'image')} this week, {before:,} in the compared week."
    return _svg(slug, title, described, HALF, 200, parts)


def below_threshold(days: Sequence[Day], changes: Sequence[Change] = ()) -> str:
    """Return the share for review by day: earlier weeks faint, this week strong, with its band."""
    shares = [day.below_share for day in days if day.below_share is not None]
    shares += [day.usual.high for day in days if day.usual]
    top = max([*shares, 0.05])
    y = _linear(0, min(_nice_top(top), 1.0), 196, 16)
    step = (WIDE - GUTTER) / max(len(days), 1)
    x = _linear(0, 1, GUTTER, GUTTER + step)
    parts = [*_grid(y, [tick for tick in _ticks(top) if tick <= 1], WIDE, lambda tick: f"{100 * tick:g} %")]
    for place, day in enumerate(days):
        if day.usual:
            box = _rect(x(place), y(day.usual.high), step, y(day.usual.low) - y(day.usual.high), "base")
            parts.append(_titled(_opacity(box).format(0.22), f"usual on {day.dt:%A}"))
        if day.dt.weekday() == 0:
            parts.append(_line(x(place), 16, x(place), 196, "line", 0.7))
            parts.append(_label(x(place) + 3, 214, f"{day.dt.day} {day.dt:%b}"))
    points = [(x(i + 0.5), y(day.below_share)) for i, day in enumerate(days) if day.below_share is not None]
    for runs, name, width in ((_runs(days, False), "base", 1.2), (_runs(days, True), "review", 2.2)):
        for run in runs:
            parts.append(_polyline([(x(i + 0.5), y(share)) for i, share in run], name, width))
    for place, day in enumerate(days):
        if day.below_share is None:
            continue
        at = (x(place + 0.5), y(day.below_share))
        if day.in_week:
            parts.append(_circle(*at, 4, "review", "card"))
        if day.unusual:
            parts.append(_circle(*at, 8, "none", "review"))
    parts += _marks(changes, _by_day([day.dt for day in days], step), 196)
    outside = sum(day.unusual for day in days)
    described = f"{plural(len(points), 'day')}; {outside} outside the usual band this week."
    return _svg("below", "Share for review by day", described, WIDE, 222, parts)


def what_if(rows: Sequence[WhatIf], thresholds: Sequence[float]) -> str:
    """Return coverage and expected precision over thresholds, and the thresholds in force."""
    shares = [row.coverage for row in rows] + [row.expected_precision or 1.0 for row in rows]
    bottom = next(bottom for bottom in _BOTTOMS if bottom <= min(shares, default=0))
    x, y = _linear(0.5, 1.0, GUTTER, HALF), _linear(bottom, 1, 200, 14)
    ticks = [bottom + (1 - bottom) * quarter / 4 for quarter in range(5)]
    parts = [*_grid(y, ticks, HALF, lambda tick: f"{100 * tick:g} %")]
    for tick in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        anchor = "end" if tick == 1.0 else "middle"
        parts.append(_label(x(tick), 218, f"{tick:g}", anchor))
    for threshold in thresholds:
        if threshold >= 0.5:
            parts.append(_line(x(threshold), 14, x(threshold), 200, "ink", 1.2, dashes="6 4"))
    parts.append(_polyline([(x(row.threshold), y(row.coverage)) for row in rows], "accepted", 2.4))
    precise = [
        (x(row.threshold), y(row.expected_precision)) for row in rows if row.expected_precision is not None
    ]
    parts.append(_polyline(precise, "review", 2.4, dashes="2 3"))
    described = "; ".join(f"at {row.threshold:g}: {100 * row.coverage:.1f} % accepted" for row in rows[::10])
    return _svg("what-if", "What other thresholds would do", described, HALF, 226, parts)


def reliability(bins: Sequence[Bin]) -> str:
    """Return how often the model is right by its confidence, with intervals; the diagonal is ideal."""
    side = SQUARE
    lowest = min((bin_.confidence_sum / bin_.images for bin_ in bins), default=0.0)
    fifths = range(min(int(lowest * 5), 3), 6)
    first = fifths[0] / 5
    x, y = _linear(first, 1, GUTTER, side), _linear(0, 1, side - 24, 14)
    parts = [*_grid(y, (0, 0.25, 0.5, 0.75, 1), side, lambda tick: f"{100 * tick:g} %")]
    parts.append(_line(x(first), y(first), x(1), y(1), "base", 1.2, dashes="4 4"))
    for fifth in fifths:
        anchor = {fifths[0]: "start", 5: "end"}.get(fifth, "middle")
        parts.append(_label(x(fifth / 5), side - 6, f"{fifth / 5:g}", anchor))
    for bin_ in bins:
        mean = bin_.confidence_sum / bin_.images
        low, high = wilson_interval(bin_.correct, bin_.images)
        parts.append(_line(x(mean), y(low), x(mean), y(high), "accepted", 1.6))
        dot = _circle(x(mean), y(bin_.correct / bin_.images), 4.4, "accepted", "card")
        parts.append(_titled(dot, f"{bin_.correct} of {bin_.images} correct at {mean:.2f}"))
    described = f"{plural(sum(bin_.images for bin_ in bins), 'labelled image')}."
    return _svg("reliability", "Correct answers by confidence", described, side, side, parts)


def latency(days: Sequence[Latency], changes: Sequence[Change] = ()) -> str:
    """Return the median and the 95th percentile from upload to decision by day."""
    longest_ms = max([day.total.p95 or 0 for day in days], default=0.0)
    unit_ms, unit = next(scale for scale in _TIMES if longest_ms < 300 * scale[0] or scale is _TIMES[-1])
    top = longest_ms / unit_ms
    y = _linear(0, _nice_top(top), 176, 16)
    step = (HALF - GUTTER) / max(len(days), 1)
    x = _linear(0, 1, GUTTER, GUTTER + step)
    parts = [*_grid(y, _ticks(top), HALF, lambda tick: f"{tick:,g} {unit}")]
    lines: tuple[tuple[str, list[float | None]], ...] = (
        ("review", [day.total.p95 for day in days]),
        ("accepted", [day.total.p50 for day in days]),
    )
    for name, values in lines:
        points = [(x(i + 0.5), y(max(ms, 0) / unit_ms)) for i, ms in enumerate(values) if ms is not None]
        parts.append(_polyline(points, name, 2.2))
        parts += [_circle(*point, 3.6, name, "card") for point in points]
    for place, day in enumerate(days):
        text = f"{day.dt:%a}" if day.dt else ""
        parts.append(_label(x(place + 0.5), 194, text, "middle"))
    parts += _marks(changes, _by_day([day.dt for day in days], step), 176)
    described = (
        f"From upload to decision on {plural(len(days), 'day')}; the upper line is the 95th percentile."
    )
    return _svg("latency", "How long images took", described, HALF, 200, parts)


def sparkline(values: Sequence[float | None]) -> str:
    """Return a tile's small line over the weeks, its last point marked; hidden from screen readers."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(value for _, value in known), max(value for _, value in known)
    # The scale covers at least a tenth of the value, so that small changes look small.
    least = high / 10 or 1.0
    low, high = (low, high) if high - low >= least else ((low + high - least) / 2, (low + high + least) / 2)
    x = _linear(0, len(values) - 1, 3, 93)
    y = _linear(low, high, 25, 5)
    points = [(x(place), y(value)) for place, value in known]
    inner = _polyline(points, "base", 1.6) + _circle(*points[-1], 2.8, "accepted", "card")
    return f'<svg class="spark" viewBox="0 0 96 30" width="96" height="30" aria-hidden="true">{inner}</svg>'


def bar(*parts: tuple[float, Outcome]) -> str:
    """Return a table cell's bar, of shares above 0 and their outcomes; hidden from screen readers."""
    inner, left = "", 0.0
    for share, outcome in parts:
        width = max(120 * min(share, 1.0), 1)
        inner += _part(left, 0, width, 8, outcome)
        left += width
    return f'<svg class="bar" viewBox="0 0 120 8" width="120" height="8" aria-hidden="true">{inner}</svg>'


def _svg(slug: str, title: str, described: str, width: float, height: float, parts: Iterable[str]) -> str:
    size = {WIDE: "wide", HALF: "half"}.get(width, "square")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart {size}-chart" '
        f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" '
        f'aria-labelledby="{slug}-title {slug}-text" font-size="12">'
        f'<title id="{slug}-title">{escape(title)}</title>'
        f'<desc id="{slug}-text">{escape(described)}</desc>{"".join(parts)}</svg>'
    )


def _grid(y: Scale, ticks: Iterable[float], width: float, name: Callable[[float], str]) -> Iterator[str]:
    for tick in ticks:
        yield from _level(y(tick), width, name(tick))


def _level(y: float, width: float, name: str) -> Iterator[str]:
    """Yield a level line, with its value above its left end."""
    yield _line(0, y, width, y, "line", 1)
    yield _label(GUTTER - _GAP, y - 4, name, "end")


def _label(
    x: float, y: float, text: str, anchor: str = "start", colour: str = "muted", more: str = ""
) -> str:
    """Return a text; `more` of it is left out where the chart is narrow."""
    rest = f'<tspan class="more">{escape(more)}</tspan>' if more else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" class="f-{colour}" fill="{_LIGHT[colour]}">'
        f"{escape(text)}{rest}</text>"
    )


def _halo(x: float, y: float, text: str, anchor: str) -> str:
    """Return a label with an outline, readable above dots."""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" class="f-ink s-card" fill="{_LIGHT["ink"]}" '
        f'stroke="{_LIGHT["card"]}" stroke-width="4" stroke-linejoin="round" paint-order="stroke" '
        f'font-weight="600">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, colour: str, radius: float = 0) -> str:
    rounded = f' rx="{_n(radius)}"' if radius else ""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"{rounded} '
        f'class="f-{colour}" fill="{_LIGHT[colour]}"/>'
    )


def _part(x: float, y: float, width: float, height: float, outcome: Outcome) -> str:
    """Return an outcome's part of a stack, with its pattern."""
    box = _rect(x, y, width, height, outcome.colour)
    if outcome not in _PATTERNS:
        return box
    place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
    return f'{box}<rect {place} fill="url(#{_pattern(outcome)})"/>'


def _opacity(shape: str) -> str:
    return shape.replace("/>", ' fill-opacity="{}"/>')


def _titled(shape: str, title: str) -> str:
    """Return a shape with a tooltip."""
    return f"<g><title>{escape(title)}</title>{shape}</g>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashes: str = "") -> str:
    return _path(f"M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}", colour, width, dashes)


def _polyline(points: Sequence[tuple[float, float]], colour: str, width: float, dashes: str = "") -> str:
    if not points:
        return ""
    return _path("M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points), colour, width, dashes)


def _path(d: str, colour: str, width: float, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<path d="{d}" class="s-{colour}" fill="none" stroke="{_LIGHT[colour]}" stroke-width="{_n(width)}" '
        f'stroke-linejoin="round" stroke-linecap="round"{dashed}/>'
    )


def _circle(x: float, y: float, radius: float, fill: str, stroke: str) -> str:
    """Return a dot with an edge, or a ring when `fill` is `none`."""
    return (
        f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="f-{fill} s-{stroke}" '
        f'fill="{_LIGHT.get(fill, fill)}" stroke="{_LIGHT[stroke]}" stroke-width="1.6"/>'
    )


def _dots(points: Iterable[tuple[float, float]], colour: str, opacity: float) -> str:
    """Return many dots as one path of round-ended strokes of no length, to half a unit, each place once.

    One element instead of thousands keeps the page small and quick.
    """
    places = sorted({(round(2 * x), round(2 * y)) for x, y in points})
    if not places:
        return ""
    steps, last = [], (0, 0)
    for place in places:
        steps.append(f"m{_n((place[0] - last[0]) / 2)} {_n((place[1] - last[1]) / 2)}h0")
        last = place
    return (
        f'<path d="M0 0{"".join(steps)}" class="s-{colour}" fill="none" stroke="{_LIGHT[colour]}" '
        f'stroke-width="4" stroke-linecap="round" stroke-opacity="{opacity}"/>'
    )


def _runs(days: Sequence[Day], in_week: bool) -> list[list[tuple[int, float]]]:
    """Return the unbroken runs of days with a share, as (place, share)."""
    marked = [(place, day.below_share) for place, day in enumerate(days) if day.in_week is in_week]
    grouped = groupby(marked, key=lambda point: point[1] is not None)
    return [[(place, share) for place, share in run if share is not None] for known, run in grouped if known]


def _height(confidence: float) -> float:
    """Return the place of a confidence on the scale that widens towards 1; see confidence_over_time.sql."""
    return -math.log(1.005 - confidence)


def _linear(from_low: float, from_high: float, to_low: float, to_high: float) -> Scale:
    factor = (to_high - to_low) / (from_high - from_low)
    return lambda value: to_low + (value - from_low) * factor


def _ticks(top: float) -> list[float]:
    """Return four or so round values from 0 to at least `top`."""
    step = _nice_step(top)
    return [round(step * i, 10) for i in range(round(_nice_top(top) / step) + 1)]


def _nice_top(top: float) -> float:
    step = _nice_step(top)
    return step * max(math.ceil(top / step - 1e-9), 1)


def _nice_step(top: float) -> float:
    if top <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(top / 4))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if top / (factor * power) <= 4.0001)


def _count(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else ""


def _day(monday: date, days: int) -> int:
    return date.fromordinal(monday.toordinal() + days).day


def _n(value: float) -> str:
    """Return a coordinate, to a hundredth, in as few characters as it takes."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"
