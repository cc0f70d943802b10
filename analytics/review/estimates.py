"""What labels of a random sample say about all images: the results of `analytics.review.measured`."""

from dataclasses import dataclass

from ingest.stats import Interval


@dataclass(frozen=True)
class Share:
    """A share of all images, estimated from labels."""

    labels: int
    share: float
    interval: Interval
    """95 % confidence interval."""
    effective_labels: float
    """Labels of a simple random sample that would tell as much."""


@dataclass(frozen=True)
class Ranking:
    """How well confidence tells right answers from wrong ones."""

    images: int
    errors: int
    auroc: float | None
    """Probability that a right answer has a higher confidence than a wrong one; None without both kinds."""
    risk_area: float | None
    """Area under the risk-coverage curve: the mean share of errors among the most confident images.

    None without images."""


@dataclass(frozen=True)
class Agreement:
    """How often two people say the same about an image."""

    images: int
    alike: float
    kappa: float | None
    """Cohen's kappa: 1 is full agreement, 0 what chance gives; None where all labels are of one class."""


@dataclass(frozen=True)
class TrueShare:
    """Share of the classified images that show a class."""

    label: str | None
    """None for none of the classes."""
    said: float
    """Share that the model named so."""
    share: float
    interval: Interval
    """95 % confidence interval."""
