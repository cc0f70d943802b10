"""How much two weeks differ, and whether that is significant. Pure functions on counts.

Effect (how large) and evidence (how significant) are separate: with enough images every p-value is tiny, and
with few images every effect is large. An alert needs both.
"""

import heapq
import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ingest.stats import Interval, f_tail

PSI_FLOOR = 1e-4
"""Smaller shares count as this in the PSI: one empty class would make it infinite."""
_EXPECTED = 5.0
"""Images that chance alone puts into a column of either row, for chi-squared to know how they scatter.
Source: Cochran, Biometrics 10 (1954)."""
_SCATTERING = 20
"""Least images in each week: with fewer, chance dominates."""
ENOUGH_WEEKS = 8
"""Fewest earlier weeks from which it is known how much the weeks of one place differ."""
_MEDIAN_SQUARE = 0.45493642311957
"""Median of the square of a normal variable."""
_TINY = 1e-300
_EPSILON = 1e-16


class Evidence(NamedTuple):
    """A test's statistic and its p-value."""

    test: str
    statistic: float
    p_value: float
    degrees_of_freedom: int | None = None
    """Degrees of freedom: of chi-squared, or of F's denominator. None where the test has none."""


def population_stability_index(baseline: Sequence[float], current: Sequence[float]) -> float:
    """Return the PSI of two rows of counts: 0 is the same; 0.1 and 0.2 are the usual lines.

    A share below `PSI_FLOOR` counts as that. NaN without any counts.
    """
    if not sum(baseline) or not sum(current):
        return math.nan
    pairs = zip(_shares(baseline), _shares(current), strict=True)
    floored = ((max(p, PSI_FLOOR), max(q, PSI_FLOOR)) for p, q in pairs)
    return math.fsum((q - p) * math.log(q / p) for p, q in floored)


def jensen_shannon_distance(baseline: Sequence[float], current: Sequence[float]) -> float:
    """Return the distance of two rows of counts, from 0 (the same) to 1 (nothing in common).

    The square root of the divergence in bits, as `scipy.spatial.distance.jensenshannon(base=2)`. NaN
    without any counts.
    """
    if not sum(baseline) or not sum(current):
        return math.nan
    divergence = 0.0
    for p, q in zip(_shares(baseline), _shares(current), strict=True):
        middle = (p + q) / 2
        divergence += sum(x * math.log2(x / middle) / 2 for x in (p, q) if x > 0)
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def chi_squared(baseline: Sequence[int], current: Sequence[int]) -> Evidence:
    """Test whether two rows of counts are of one population (Pearson, two rows, no correction).

    Columns that are empty in both rows are left out. The rarest two are put together for as long as one is
    expected fewer than five times in a row; where two are left and that is still so, p is exact (Fisher), and
    the statistic is the gap of the shares. Which columns are put together must not depend on how they differ:
    give them in an order that has nothing to do with counts. With fewer than two columns, or an empty row,
    there is nothing to test: p is 1.
    """
    rows = sum(baseline), sum(current)
    pairs = zip(baseline, current, strict=True)
    columns = [(a + b, place, a, b) for place, (a, b) in enumerate(pairs) if a + b]
    if len(columns) < 2 or not all(rows):
        return Evidence("chi-squared", 0.0, 1.0, 0)
    everything = sum(rows)
    enough = _EXPECTED * everything / min(rows)
    heapq.heapify(columns)
    while len(columns) > 2 and columns[0][0] < enough:
        rarest = heapq.heappop(columns)
        total, place, a, b = columns[0]
        heapq.heapreplace(columns, (total + rarest[0], place, a + rarest[2], b + rarest[3]))
    if columns[0][0] < enough:
        return _fisher(columns[0][2:], rows)
    statistic = 0.0
    for total, _, *column in columns:
        for observed, row in zip(column, rows, strict=True):
            expected = total * row / everything
            statistic += (observed - expected) ** 2 / expected
    freedom = len(columns) - 1
    return Evidence("chi-squared", statistic, _upper_gamma(freedom / 2, statistic / 2), freedom)


def p_values_among_others(pairs: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> list[float]:
    """Test each pair of rows of two counts as `chi_squared` does, and by how much the other pairs differ.

    Images that come together are alike, and shares differ from week to week by more than chance. As in a
    p'-chart, a gap is measured by how much the others scatter: by their median, which the few that really
    changed do not move. What they scatter beyond chance counts by images: it hides in a small place what it
    shows in a large one. By that and by chance alone a gap must be unlikely: the larger p counts.
    """
    squares, sizes = [_square(*pair) for pair in pairs], [_size(*pair) for pair in pairs]
    usual = [min(map(sum, pair)) >= _SCATTERING for pair in pairs]
    found = []
    for place, pair in enumerate(pairs):
        others = [
            (squares[at] / _MEDIAN_SQUARE - 1) / sizes[at]
            for at in range(len(pairs))
            if usual[at] and at != place
        ]
        scatter = 1 + max(median(others), 0.0) * sizes[place] if others else 1.0
        p_value = math.erfc(math.sqrt(squares[place] / scatter / 2))
        found.append(max(chi_squared(*pair).p_value, p_value))
    return found


def p_value_among_weeks(weeks: Sequence[tuple[int, int]], now: tuple[int, int]) -> float:
    """Test whether two counts of a week have the shares of the weeks before, by how much those differ.

    Some places vary more from week to week than others, which those do not tell. The p-value is Student's, on
    the arcsine of the root: a share near 0 or 1 scatters there as any other does. A week with more images
    than usual is no better known than a usual one. 0, which leaves the decision to other tests, for fewer
    than `ENOUGH_WEEKS` weeks with images.
    """
    angles = [(_angle(week), sum(week)) for week in weeks if sum(week)]
    if len(angles) < ENOUGH_WEEKS or not sum(now):
        return 0.0
    images = sum(of_week for _, of_week in angles)
    usual = math.fsum(angle * of_week for angle, of_week in angles) / images
    freedom = len(angles) - 1
    variance = math.fsum((angle - usual) ** 2 * of_week for angle, of_week in angles) / freedom
    if not variance:
        return 0.0
    known = 1 / min(sum(now), images / len(angles)) + 1 / images
    return f_tail((_angle(now) - usual) ** 2 / variance / known, 1, freedom)


def _angle(counts: tuple[int, int]) -> float:
    return math.asin(math.sqrt(counts[0] / sum(counts)))


def _square(baseline: tuple[int, int], current: tuple[int, int]) -> float:
    """Return Pearson's statistic of two rows and two columns, 0 where one of them is empty."""
    (a, b), (c, d) = baseline, current
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    return (a * d - b * c) ** 2 * (a + b + c + d) / margins if margins else 0.0


def _size(baseline: tuple[int, int], current: tuple[int, int]) -> float:
    """Return of how many images a share would be known as well as the gap of two rows."""
    a, b = sum(baseline), sum(current)
    return a * b / (a + b) if a and b else 0.0


def _fisher(column: tuple[int, int], rows: tuple[int, int]) -> Evidence:
    """Test two rows of two columns exactly: sum up all tables that are no likelier than this one."""
    drawn, everything = sum(column), sum(rows)

    def log_likelihood(now: int) -> float:
        return _log_choose(rows[1], now) + _log_choose(rows[0], drawn - now) - _log_choose(everything, drawn)

    tables = range(max(0, drawn - rows[0]), min(drawn, rows[1]) + 1)
    here = log_likelihood(column[1]) + 1e-7  # tables as likely as this one differ by rounding
    p_value = math.fsum(math.exp(found) for found in map(log_likelihood, tables) if found <= here)
    return Evidence("Fisher", abs(column[0] / rows[0] - column[1] / rows[1]), min(p_value, 1.0))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def kolmogorov_smirnov(baseline: Sequence[int], current: Sequence[int]) -> Evidence:
    """Test whether two rows of counts in ordered bins have one distribution. An empty row has p = 1.

    The statistic is the largest gap between their cumulative shares.

    The p-value is asymptotic, with Stephens' correction for small samples (J. Royal Statistical Society B
    32, 1970); on bins it is an upper bound, since a gap within a bin is not seen.
    """
    n, m = sum(baseline), sum(current)
    if not n or not m:
        return Evidence("Kolmogorov-Smirnov", 0.0, 1.0)
    gap, below, below_now = 0.0, 0, 0
    for a, b in zip(baseline, current, strict=True):
        below, below_now = below + a, below_now + b
        gap = max(gap, abs(below / n - below_now / m))
    root = math.sqrt(n * m / (n + m))
    return Evidence("Kolmogorov-Smirnov", gap, _kolmogorov_tail((root + 0.12 + 0.11 / root) * gap))


def control_band(history: Sequence[tuple[int, int]], trials: int, sigmas: float = 3.0) -> Interval | None:
    """Return where a day's share of `trials` images is usual, from earlier days' (successes, trials).

    A p'-chart: the binomial band, widened by how much days really scatter, so that it does not alarm every
    day when images are many. Source: Laney, Quality Engineering 14 (2002). So that it does not when they are
    few either, it is wider by what the earlier days leave open about the share (Jeffreys' half an image keeps
    one that never was from being impossible) and by one image, the step that shares come in. None for fewer
    than five earlier days with images, or none today.
    """
    days = [(k, n) for k, n in history if n]
    if len(days) < 5 or not trials:
        return None
    images = sum(n for _, n in days)
    mean = (sum(k for k, _ in days) + 0.5) / (images + 1)
    spread = math.sqrt(mean * (1 - mean))
    scores = [(k / n - mean) / (spread / math.sqrt(n)) for k, n in days]
    steps = [abs(b - a) for a, b in pairwise(scores)]
    scatter = max(1.0, sum(steps) / len(steps) / 1.128)  # 1.128: the mean range of two normal values
    half = sigmas * scatter * spread * math.sqrt(1 / trials + 1 / images) + 1 / trials
    return Interval(max(mean - half, 0.0), min(mean + half, 1.0))


def expected_precision(confidence_sum: float, images: int) -> float:
    """Return the share of labels that is right, without a single true label: the mean confidence.

    It holds as far as confidences are calibrated and the world has not changed what a class looks like
    (confidence-based performance estimation). NaN without images.
    """
    return confidence_sum / images if images else math.nan


def quantile_groups(baseline: Sequence[int], groups: int = 10) -> list[int]:
    """Return each bin's group: neighbours whose middles lie in the same quantile of the baseline.

    Effect sizes on fine bins mostly measure how few images there are; about ten are the custom, and the usual
    limits are for ten. A group has at least half of an equal share of the baseline: what has less belongs to
    the group before or after it.
    """
    total = max(sum(baseline), 1)
    places, group, here, below, quantile = [], 0, 0, 0, 0
    for images in baseline:
        is_enough, before = 2 * groups * here >= total, quantile
        quantile = groups * (2 * below + images) // (2 * total)
        if quantile > before and is_enough:
            group, here = group + 1, 0
        places.append(group)
        here, below = here + images, below + images
    last = group if 2 * groups * here >= total else max(group - 1, 0)
    return [min(place, last) for place in places]


def merged(counts: Sequence[int], places: Sequence[int]) -> list[int]:
    """Return the counts of groups of bins; `places` has each bin's group."""
    found = [0] * (max(places, default=-1) + 1)
    for images, place in zip(counts, places, strict=True):
        found[place] += images
    return found


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts]


def _upper_gamma(a: float, x: float) -> float:
    """Return the regularised upper incomplete gamma function Q(a, x).

    Series below a + 1, continued fraction (modified Lentz) above. Source: DLMF 8.7.1 and 8.9.2.
    """
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * _EPSILON:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - scale * total)
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for i in range(1, 1000):
        step = i * (a - i)
        b += 2
        d = 1 / ((step * d + b) or _TINY)
        c = (b + step / c) or _TINY
        fraction *= c * d
        if abs(c * d - 1) < _EPSILON * 10:
            break
    return min(1.0, scale * fraction)


def _kolmogorov_tail(z: float) -> float:
    """Return how often Kolmogorov's variable exceeds `z`, by the series that converges fast there."""
    if z < 0.05:
        return 1.0
    if z < 1.18:
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * z * z)) for k in range(1, 8))
        tail = 1 - math.sqrt(2 * math.pi) / z * sum(terms)
    else:
        tail = 2 * sum((-1) ** (k - 1) * math.exp(-2 * k * k * z * z) for k in range(1, 30))
    return min(max(tail, 0.0), 1.0)
