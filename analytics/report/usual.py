"""This week against the weeks before it, by how much days usually differ. Pure functions on counts by day."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
_UNORDERED, _UNLIKE = "label", "unlike"


def counts_by_measure(classified: Mapping[str, Counts], tallies: Mapping[date, Tally]) -> dict[str, Counts]:
    """Return the images of each day by class, bin or outcome, for each measure of `Numbers.departures`.

    `classified` holds the classified images, `tallies` all of them.
    """
    splits: dict[str, Counts] = {
        name: {day: {_PART: part(tally), _REST: whole(tally) - part(tally)} for day, tally in tallies.items()}
        for name, (part, whole) in _SPLITS.items()
    }
    unlike = {
        day: {_PART: images.get("001", 0), _REST: images.get("000", 0)}
        for day, images in classified[_UNLIKE].items()
    }
    return {**classified, **splits, _UNLIKE: unlike}


def departures(
    by_measure: Mapping[str, Counts], usual: Iterable[date], now: Iterable[date], all_before: Iterable[date]
) -> dict[str, Departure]:
    """Return how far each measure of the days `now` is from its usual days, by the measure's name.

    The evidence comes from all the days before, `usual` ones included: the more there are, the better known
    are their mean and how much they scatter.
    """
    usual, now, all_before = set(usual), set(now), {*usual, *all_before}
    found = {}
    for name, counts in by_measure.items():
        of_all = {day: of_day for day, of_day in counts.items() if day in now or day in all_before}
        is_split = name in (*_SPLITS, _UNLIKE)
        names = (
            [_PART, _REST] if is_split else sorted({each for of_day in of_all.values() for each in of_day})
        )
        rows = {day: [of_day.get(each, 0) for each in names] for day, of_day in of_all.items()}
        then, here, before = (
            {day: row for day, row in rows.items() if day in days} for days in (usual, now, all_before)
        )
        found[name] = (_unordered if is_split or name == _UNORDERED else _ordered)(names, then, here, before)
    return found


_Days = dict[date, list[int]]


def _unordered(names: list[str], usual: _Days, now: _Days, all_before: _Days) -> Departure:
    baseline, current = _sum(usual, names), _sum(now, names)
    by_chance = drift.chi_squared(baseline, current)
    evidence = between_days(all_before, now) or by_chance
    shares = [
        UsualShare(name, _share(a, sum(current)), _share(b, sum(baseline)))
        for name, a, b in zip(names, current, baseline, strict=True)
    ]
    return Departure(Shift.of(baseline, current, evidence), by_chance.p_value, shares)


def _ordered(names: list[str], usual: _Days, now: _Days, all_before: _Days) -> Departure:
    baseline, current = _sum(usual, names), _sum(now, names)
    places = drift.quantile_groups(baseline)
    grouped = ({day: drift.merged(row, places) for day, row in days.items()} for days in (all_before, now))
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
