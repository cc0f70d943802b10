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
