"""This week against the weeks before it, by how much days usually differ. Pure functions on counts by day."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from analytics.report import drift
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import Departure, Shift, SilentDay, Tally, UsualShare, Volume
from analytics.report.scatter import between_days
from ingest.stats import f_tail
from workflow.outcome import Outcome

Counts = Mapping[date, Mapping[str, int]]
"""Images of each day by class, bin or outcome. The names of bins sort as the bins do."""

_SPLITS: Mapping[str, tuple[Callable[[Tally], int], Callable[[Tally], int]]] = {
    "below": (lambda tally: tally[Outcome.NEEDS_REVIEW], lambda tally: tally.classified),
    "rejected": (lambda tally: tally[Outcome.REJECTED], lambda tally: tally.images),
}
"""Shares by outcome: the part and the whole."""
_PART, _REST = "part", "rest"
_UNORDERED = "label"


def departures(
    week: IsoWeek, by_measure: Mapping[str, Counts], tallies: Mapping[date, Tally]
) -> dict[str, Departure]:
    """Return how far each measure of the week is from the weeks before it, by the measure's name.

    `by_measure` holds the classified images, `tallies` all of them, of the week and of the weeks before it.
    """
    splits = {
        name: {day: {_PART: part(tally), _REST: whole(tally) - part(tally)} for day, tally in tallies.items()}
        for name, (part, whole) in _SPLITS.items()
    }
    splits["unlike"] = {
        day: {_PART: images.get("001", 0), _REST: images.get("000", 0)}
        for day, images in by_measure["unlike"].items()
    }
    return {
        **{
            name: (_unordered if name == _UNORDERED else _ordered)(*_rows(week, counts))
            for name, counts in by_measure.items()
            if name not in splits
        },
        **{name: _unordered(*_rows(week, counts, [_PART, _REST])) for name, counts in splits.items()},
    }


_Rows = tuple[list[str], dict[date, list[int]], dict[date, list[int]]]


def _rows(week: IsoWeek, counts: Counts, names: Sequence[str] = ()) -> _Rows:
    """Return the names, and the counts of the days before the week and of its own."""
    names = [*names] or sorted({name for of_day in counts.values() for name in of_day})
    before: dict[date, list[int]] = {}
    now: dict[date, list[int]] = {}
    for day, of_day in counts.items():
        (now if day >= week.monday else before)[day] = [of_day.get(name, 0) for name in names]
    return names, before, now


def _unordered(names: list[str], before: dict[date, list[int]], now: dict[date, list[int]]) -> Departure:
    baseline, current = _sum(before, names), _sum(now, names)
    by_chance = drift.chi_squared(baseline, current)
    evidence = between_days(before, now) or by_chance
    shares = [
        UsualShare(name, _share(a, sum(current)), _share(b, sum(baseline)))
        for name, a, b in zip(names, current, baseline, strict=True)
    ]
    return Departure(Shift.of(baseline, current, evidence), by_chance.p_value, shares)


def _ordered(names: list[str], before: dict[date, list[int]], now: dict[date, list[int]]) -> Departure:
    baseline, current = _sum(before, names), _sum(now, names)
    places = drift.quantile_groups(baseline)
    grouped = ({day: drift.merged(row, places) for day, row in days.items()} for days in (before, now))
    by_chance = drift.kolmogorov_smirnov(baseline, current)
    evidence = between_days(*grouped) or by_chance
    shift = Shift.of(drift.merged(baseline, places), drift.merged(current, places), evidence)
    return Departure(shift, by_chance.p_value, [])


def volume(week: IsoWeek, tallies: Mapping[date, Tally], last_day: date) -> Volume | None:
    """Return the week's images until `last_day` against those of the same weekdays before.

    The earlier weeks count from the first one with images; with fewer than two of them there is nothing to
    compare with. The p-value is Student's, from how much days differ from the mean of their weekday.
    """
    days = [day for day in week.days if day <= last_day]
    mondays = sorted({IsoWeek.of(day) for day, tally in tallies.items() if tally.images})
    weeks = _weeks_between(mondays[0], week) if mondays else []
    if len(weeks) < 2 or not days:
        return None
    usual = {day: [_images(tallies, each.days[day.weekday()]) for each in weeks] for day in days}
    means = {day: sum(images) / len(weeks) for day, images in usual.items()}
    squares = {day: math.fsum((n - means[day]) ** 2 for n in images) for day, images in usual.items()}
    freedom = len(days) * (len(weeks) - 1)
    images, expected = sum(_images(tallies, day) for day in days), math.fsum(means.values())
    variance = max(math.fsum(squares.values()) / (len(weeks) - 1), expected) * (1 + 1 / len(weeks))
    p_value = f_tail((images - expected) ** 2 / variance, 1, freedom) if expected else 1.0
    scatter = math.fsum(squares.values()) / (len(weeks) - 1) - expected
    of_squares = math.fsum(mean * mean for mean in means.values())
    silent = [
        SilentDay(day, means[day], _none_by_chance(means[day], max(scatter / of_squares, 0.0)))
        for day in days
        if means[day] and not _images(tallies, day)
    ]
    return Volume(images, expected, p_value, silent)


def _none_by_chance(mean: float, scatter: float) -> float:
    """Return how often a day has no image: negative binomial, of variance mean + `scatter` x mean^2."""
    return math.exp(-mean) if scatter * mean < _POISSON else (1 + scatter * mean) ** (-1 / scatter)


_POISSON = 1e-6
"""Below this, a negative binomial distribution is Poisson's."""


def _weeks_between(first: IsoWeek, week: IsoWeek) -> list[IsoWeek]:
    weeks, each = [], week.back()
    while each >= first:
        weeks.append(each)
        each = each.back()
    return weeks


def _images(tallies: Mapping[date, Tally], day: date) -> int:
    return tallies[day].images if day in tallies else 0


def _sum(days: Mapping[date, Sequence[int]], names: Sequence[str]) -> list[int]:
    return [sum(row[place] for row in days.values()) for place in range(len(names))]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
