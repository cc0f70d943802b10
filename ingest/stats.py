"""Statistics of both the model's card and the weekly report. Pure, and without numpy: it runs in a Lambda."""

import math
from collections.abc import Sequence
from typing import NamedTuple

Z_95 = 1.959963984540054
"""A normal variable lies within ± this many standard deviations 95 times in 100."""


class Interval(NamedTuple):
    """From `low` to `high`, both included."""

    low: float
    high: float


class Bin(NamedTuple):
    """Labelled images of about the same confidence."""

    images: int
    confidence_sum: float
    correct: int


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> Interval:
    """Return the confidence interval of a proportion; it also holds near 0 and 1 and for few trials.

    Source: Wilson, J. American Statistical Association 22 (1927).
    """
    if not trials:
        return Interval(0.0, 1.0)
    share = successes / trials
    scale = 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    # Rounding may push an end past the share when that is 0 or 1.
    return Interval(min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean gap between confidence and accuracy, 0 to 1, weighted by the images in each bin.

    Source: Naeini, Cooper, Hauskrecht (AAAI 2015). NaN without images.
    """
    images = sum(bin_.images for bin_ in bins)
    gaps = math.fsum(abs(bin_.confidence_sum - bin_.correct) for bin_ in bins)
    return gaps / images if images else math.nan


def binomial_tail(successes: float, trials: float, share: float) -> float:
    """Return the probability of at most `successes` in `trials`, each with probability `share`.

    Counts may be fractions, as in `exact_lower_bound`.
    """
    if successes >= trials:
        return 1.0
    return incomplete_beta(1 - share, trials - successes, successes + 1)


def exact_lower_bound(successes: float, trials: float, confidence: float = 0.95) -> float:
    """Return the share that the true one exceeds, as sure as `confidence` says: one-sided.

    Counts may be fractions, for an effective number of trials of a weighted sample.
    Source: Clopper, Pearson, Biometrika 26 (1934); for weighted samples Korn, Graubard, Survey Methodology 24
    (1998).
    """
    if successes <= 0:
        return 0.0
    return _beta_quantile(1 - confidence, successes, trials - successes + 1)


def exact_interval(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Return the two-sided exact interval of a share; counts may be fractions, as in `exact_lower_bound`."""
    each = 1 - (1 - confidence) / 2
    low = exact_lower_bound(successes, trials, each)
    return Interval(low, 1 - exact_lower_bound(trials - successes, trials, each))


def labels_needed(target: float, errors: int, confidence: float = 0.95) -> int:
    """Return the smallest sample, of a size fixed beforehand, that shows a precision in spite of some errors.

    A precision of .99 takes 299 labels without an error, and 473 with one.
    """
    low, high = errors, errors + 1
    while binomial_tail(errors, high, 1 - target) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(errors, middle, 1 - target) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def f_tail(statistic: float, numerator: float, denominator: float) -> float:
    """Return the probability that an F-distributed value exceeds `statistic`, by its degrees of freedom.

    Source: https://dlmf.nist.gov/8.17.
    """
    x = denominator / (denominator + numerator * statistic)
    return incomplete_beta(x, denominator / 2, numerator / 2)


def _beta_quantile(share: float, a: float, b: float) -> float:
    """Return the point below which a beta variable lies with probability `share`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if incomplete_beta(middle, a, b) < share else (low, middle)
    return (low + high) / 2


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the probability that a beta variable is at most x: the regularised incomplete beta function.

    Its continued fraction converges fast on the side of x where the mean is not:
    https://dlmf.nist.gov/8.17#v, by Lentz's method.
    """
    if x <= 0:
        return 0.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    scale = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    tiny = 1e-300
    numerator, denominator, fraction = 1.0, 0.0, 1.0
    for step in range(10_000):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        denominator = 1 / ((1 + term * denominator) or tiny)
        numerator = 1 + term / (numerator or tiny)
        change = numerator * denominator
        fraction *= change
        if step and abs(change - 1) < 1e-14:
            break
    return scale * (fraction - 1) / a


def expected_gap_by_chance(trials: int, share: float) -> float:
    """Return the mean distance between a share and its estimate from some trials (De Moivre's formula)."""
    if not 0 < share < 1 or not trials:
        return 0.0
    above = math.floor(trials * share) + 1
    logarithm = (
        math.lgamma(trials + 1)
        - math.lgamma(above + 1)
        - math.lgamma(trials - above + 1)
        + above * math.log(share)
        + (trials - above + 1) * math.log1p(-share)
    )
    return 2 * above * math.exp(logarithm) / trials
