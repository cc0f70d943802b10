"""Whether two weeks differ by more than days usually do. Pure functions on counts by day.

Images of one day are alike: they share the light, the places and the senders. A test that takes them as
independent finds something in nearly every busy week. Here the unit is a day, not an image.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations, pairwise
from operator import mul
from statistics import fmean

from analytics.report.drift import Evidence
from ingest.stats import f_tail

ENOUGH_DAYS = 5
"""Fewest earlier days with images for which the scatter between days is known."""
_MOST_MEMORY = 0.8
"""Highest correlation of one day with the next that an estimate from a few weeks is believed."""

Days = Mapping[date, Sequence[int]]
"""Images of each day by class or bin; every day has the same ones."""
_Vector = Sequence[float]


def between_days(before: Days, now: Days) -> Evidence | None:
    """Test whether a week has the shares of the weeks before it, given how much the shares of days scatter.

    None where fewer than `ENOUGH_DAYS` days before have images, or the week has none.

    The statistic is Pearson's for the two rows of shares, divided by its expected value. That value and the
    degrees of freedom come from the covariance of the earlier days' shares (Rao and Scott, J. American
    Statistical Association 76, 1981, second order), and from how much a day resembles the day before. The
    more it does, the fewer days' worth is known of the scatter itself. The rows are never expected to differ
    less than those of independent images.
    """
    before, now = _with_images(before), _with_images(now)
    if not now or len(before) < ENOUGH_DAYS:
        return None
    totals = _sum((*before.values(), *now.values()))
    columns = sum(1 for total in totals if total)
    if columns < 2:
        return Evidence("scatter of days", 0.0, 1.0, 0)
    roots = [math.sqrt(total / sum(totals)) if total else math.inf for total in totals]
    shares = [_shares(_sum(days.values())) for days in (before, now)]
    gap = [(b - a) / root for a, b, root in zip(*shares, roots, strict=True)]
    residuals = _residuals(before, roots)
    variance, directions = _week_variance(residuals, before)
    weeks = _weeks(before)
    usual = _images(before) / len(weeks), fmean(map(_concentration, weeks))
    scale = sum(_variance_of_mean(days, *usual) for days in (before, now))
    memory = _memory(residuals)
    widened, growth = _widening(before, now, memory)
    # About their own mean, days that resemble each other vary less than about the true one.
    of_mean = _resemblance(_weights(before), memory)[0]
    expected = variance * scale * widened / (1 - of_mean)
    freedom = _days_known(len(before), memory, growth / widened)
    chance = (columns - 1) * sum(1 / _images(weeks) for weeks in (before, now))
    if expected < chance:
        expected, directions, freedom = chance, columns - 1.0, len(before) - 1.0
    directions, statistic = min(directions, columns - 1.0), _dot(gap, gap) / expected
    return Evidence("scatter of days", statistic, f_tail(statistic, directions, freedom), round(freedom))


def _images(days: Days) -> int:
    return sum(map(sum, days.values()))


def _with_images(days: Days) -> dict[date, Sequence[int]]:
    return {day: counts for day, counts in days.items() if sum(counts)}


def _sum(rows: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


def _shares(counts: Sequence[int]) -> list[float]:
    images = sum(counts)
    return [count / images for count in counts]


def _by_week(days: Iterable[date]) -> dict[tuple[int, int], list[date]]:
    weeks: dict[tuple[int, int], list[date]] = {}
    for day in days:
        weeks.setdefault(day.isocalendar()[:2], []).append(day)
    return weeks


def _weeks(days: Days) -> list[list[int]]:
    """Return the images of each day, week by week."""
    return [[sum(days[day]) for day in of_week] for of_week in _by_week(days).values()]


def _concentration(week: Sequence[int]) -> float:
    """Return how few days a week's images are on: 1 for one day, 1/7 for seven equal ones."""
    return sum(images * images for images in week) / sum(week) ** 2


def _variance_of_mean(days: Days, usual_images: float, usual_concentration: float) -> float:
    """Return the variance of some weeks' mean, in units of a usual week's.

    A week with few images, or with its images on few days, varies more.
    """
    all_images = _images(days)
    return sum(
        (sum(week) / all_images) ** 2
        * max(1.0, usual_images / sum(week), _concentration(week) / usual_concentration)
        for week in _weeks(days)
    )


def _residuals(days: Days, roots: _Vector) -> dict[date, list[float]]:
    """Return how far each day's shares are from those of all days, in units of `roots`."""
    mean = _shares(_sum(days.values()))
    return {
        day: [(a - b) / root for a, b, root in zip(_shares(counts), mean, roots, strict=True)]
        for day, counts in days.items()
    }


def _week_variance(residuals: Mapping[date, _Vector], days: Days) -> tuple[float, float]:
    """Return a week's expected squared distance from the usual shares, and how many directions it has."""
    weeks = _by_week(residuals)
    vectors = []
    for of_week in weeks.values():
        images = sum(sum(days[day]) for day in of_week)
        vectors += [[sum(days[day]) / images * part for part in residuals[day]] for day in of_week]
    count, total = len(vectors), math.fsum(_dot(vector, vector) for vector in vectors)
    if not total:
        return 0.0, 1.0
    # The products of all rows have the sum of squares of those of all columns: take the fewer.
    rows = vectors if count < len(vectors[0]) else [*zip(*vectors, strict=True)]
    crossed = math.fsum(_dot(row, row) ** 2 for row in rows)
    crossed += 2 * math.fsum(_dot(a, b) ** 2 for a, b in combinations(rows, 2))
    # A covariance estimated from few days seems to vary in more directions than the true one.
    crossed = max((crossed - total * total / count) * count**2 / ((count - 1) * (count + 2)), 0.0)
    directions = total * total / crossed if crossed else math.inf
    return total / len(weeks), max(directions, 1.0)


def _memory(residuals: Mapping[date, _Vector]) -> float:
    """Return the correlation of one day with the next, corrected for the bias of few days (Kendall, 1954)."""
    pairs = [(day, other) for day in residuals if (other := day + timedelta(days=1)) in residuals]
    squares = math.fsum(_dot(vector, vector) for vector in residuals.values()) / len(residuals)
    if len(pairs) <= ENOUGH_DAYS or not squares:
        return 0.0
    found = math.fsum(_dot(residuals[a], residuals[b]) for a, b in pairs) / len(pairs) / squares
    days = len(residuals)
    return min(max((days * found + 1) / (days - 3), 0.0), _MOST_MEMORY)


def _widening(then: Days, now: Days, memory: float) -> tuple[float, float]:
    """Return how much the variance of two weeks' gap grows when each day resembles the one before.

    The second number is by how much more it grows with the memory: its derivative.
    """
    weights = {**{day: -weight for day, weight in _weights(then).items()}, **_weights(now)}
    alone = math.fsum(weight * weight for weight in weights.values())
    variance, growth = _resemblance(weights, memory)
    return (variance / alone, growth / alone) if variance > alone else (1.0, 0.0)


def _weights(days: Days) -> dict[date, float]:
    """Return each day's part of all images."""
    images = _images(days)
    return {day: sum(counts) / images for day, counts in days.items()}


def _resemblance(weights: Mapping[date, float], memory: float) -> tuple[float, float]:
    """Return the variance of a weighted sum of days, in units of one day's, and its derivative."""
    ordered = sorted(weights)
    # A day shares with the days before it what its forerunner shares with them, less for each day between.
    products, slopes, shared, slope = [], [], 0.0, 0.0
    for before, day in pairwise(ordered):
        apart, shared = (day - before).days, shared + weights[before]
        slope = slope * memory**apart + shared * apart * memory ** (apart - 1)
        shared *= memory**apart
        products.append(weights[day] * shared)
        slopes.append(weights[day] * slope)
    alone = math.fsum(weight * weight for weight in weights.values())
    return alone + 2 * math.fsum(products), 2 * math.fsum(slopes)


def _days_known(days: int, memory: float, growth: float) -> float:
    """Return how many independent days would tell as much of the variance of two weeks' gap, less one.

    The variance of the days and its widening are estimates that depend on the memory, whose own variance is
    (1 - memory^2) / days (Bartlett, J. Royal Statistical Society B 8, 1946). `growth` is by what part the
    widening grows with the memory.
    """
    slope = 2 * memory / (1 - memory**2) + growth
    return min(max(days / (1 + slope**2 * (1 - memory**2) / 2), 1.0), days - 1.0)


def _dot(a: _Vector, b: _Vector) -> float:
    return math.fsum(map(mul, a, b))
