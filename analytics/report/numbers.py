"""The numbers of one week, as the report shows them and `report.json` holds them.

A number that does not exist, such as a share of zero images, is None.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics.report import drift
from analytics.report.challenger import Comparison
from analytics.report.cost import WeeklyCost
from analytics.report.isoweek import IsoWeek
from analytics.review.certificate import Certificate
from analytics.review.estimates import Agreement, Ranking, TrueShare
from analytics.text import significant, size
from ingest.stats import Bin, Interval
from workflow.outcome import Outcome

LARGE_PSI, MODERATE_PSI = 0.2, 0.1
"""Common limits of the population stability index, from credit scoring."""
FOLDER_POINTS = 0.10
"""Least fall of a folder's accepted share that is reported: single folders vary more than all together."""
SIGNIFICANT_P = 0.001
"""Significance level of tests that take images as independent. With about ten tests a week, 0.01 would
raise a false alarm every tenth week."""
UNUSUAL_P = 0.01
"""Significance level of tests that know how much days scatter. With the least effects that are reported,
quiet weeks raise few alarms: `make simulate` counts them."""
INPUT_P = 0.005
"""Significance level at which a large change of the images themselves needs attention: their brightness,
sharpness and file size are three tests."""
LASTING_P = 0.0005
"""Significance level of what lasts. Reference weeks are the same for weeks on end: one that is odd by chance
would raise an alarm in each of them."""
QUESTIONS_OF_LABELS = ("measured_precision", "confusions", "labelled_images", "sampling_frame")
"""Questions about labels. Without the answer to one of them, the others mislead."""


class Tally(dict[str, int]):
    """Number of images by outcome, every outcome included, and of all `images`."""

    @classmethod
    def of(cls, images: Mapping[str, int]) -> "Tally":
        """Count images by outcome; those of an unknown outcome are in `images` only."""
        by_outcome = {outcome.value: images.get(outcome, 0) for outcome in Outcome}
        return cls(images=sum(images.values()), **by_outcome)

    @property
    def images(self) -> int:
        """All of them."""
        return self["images"]

    @property
    def classified(self) -> int:
        """Images that the model gave a label."""
        return sum(self[outcome] for outcome in Outcome if outcome.is_classified)

    @property
    def not_failed(self) -> int:
        """Images that shares are taken of: a failure says nothing about an image."""
        return self.images - self[Outcome.FAILED]

    def share(self, outcome: Outcome) -> float | None:
        """Return an outcome's share of all images."""
        return self[outcome] / self.images if self.images else None


@dataclass(frozen=True)
class SummaryRow:
    """One row of `weekly_summary.sql`: of one outcome, or of the whole week where `outcome` is None."""

    outcome: str | None
    images: int
    uploaded: int
    mean_confidence: float | None
    total_p50_ms: float | None
    total_p95_ms: float | None


@dataclass(frozen=True)
class WeekSummary:
    """One week in a line."""

    week: str
    tally: Tally
    to_review: int
    """Images for review that were uploaded: imported ones have no picture to look at."""
    expected_precision: float | None
    """Mean confidence of the accepted images."""
    mean_confidence: float | None
    total_p50_ms: float | None
    total_p95_ms: float | None

    @classmethod
    def of(cls, week: str, rows: Iterable[SummaryRow]) -> "WeekSummary":
        """Pivot the rows of one week; a week without images has none."""
        by_outcome = {row.outcome: row for row in rows}
        whole = by_outcome.pop(None, None)
        accepted, unsure = by_outcome.get(Outcome.ACCEPTED), by_outcome.get(Outcome.NEEDS_REVIEW)
        return cls(
            week=week,
            tally=Tally.of({outcome: row.images for outcome, row in by_outcome.items() if outcome}),
            to_review=unsure.uploaded if unsure else 0,
            expected_precision=accepted.mean_confidence if accepted else None,
            mean_confidence=whole.mean_confidence if whole else None,
            total_p50_ms=whole.total_p50_ms if whole else None,
            total_p95_ms=whole.total_p95_ms if whole else None,
        )


@dataclass(frozen=True)
class Day:
    """One day, and the usual band of its share for review."""

    dt: date
    tally: Tally
    below_share: float | None
    """Share of classified images that need review."""
    usual: Interval | None
    in_week: bool

    @property
    def unusual(self) -> bool:
        """Whether the share is outside the band."""
        if self.usual is None or self.below_share is None:
            return False
        return not self.usual.low <= self.below_share <= self.usual.high

    @property
    def far(self) -> bool:
        """Whether the share is twice as far from the band's middle as its edge."""
        if self.usual is None or self.below_share is None:
            return False
        low, high = self.usual
        return abs(self.below_share - (low + high) / 2) > high - low


@dataclass(frozen=True)
class Shift:
    """How much a distribution differs from another, and a test of it."""

    images: int
    baseline_images: int
    psi: float | None
    jensen_shannon: float | None
    test: str
    statistic: float
    p_value: float
    degrees_of_freedom: int | None

    @classmethod
    def of(cls, baseline: Sequence[int], current: Sequence[int], evidence: drift.Evidence) -> "Shift":
        """Measure the shift between two rows of counts; the evidence for it comes from elsewhere."""
        psi, distance = (
            measure(baseline, current)
            for measure in (drift.population_stability_index, drift.jensen_shannon_distance)
        )
        return cls(
            images=sum(current),
            baseline_images=sum(baseline),
            psi=None if math.isnan(psi) else psi,
            jensen_shannon=None if math.isnan(distance) else distance,
            test=evidence.test,
            statistic=evidence.statistic,
            p_value=evidence.p_value,
            degrees_of_freedom=evidence.degrees_of_freedom,
        )

    @property
    def size(self) -> str:
        """`unknown` without images in both weeks, else `small`, `moderate` or `large`."""
        if self.psi is None:
            return "unknown"
        return "large" if self.psi >= LARGE_PSI else "moderate" if self.psi >= MODERATE_PSI else "small"


@dataclass(frozen=True)
class UsualShare:
    """A share of one week, and of all weeks before it together; None without images."""

    name: str
    share: float | None
    usual_share: float | None

    @property
    def points(self) -> float:
        """How far the share is from the usual one, signed, 0 where one of them is unknown."""
        return 0.0 if self.share is None or self.usual_share is None else self.share - self.usual_share


@dataclass(frozen=True)
class Departure:
    """How far one measure of the week is from the weeks before it."""

    shift: Shift
    """The effect between the week and the weeks before; the evidence knows how much days scatter."""
    by_chance_p: float
    """p-value if images were independent."""
    shares: list[UsualShare]
    """Of each class or outcome. Empty where the bins have an order."""

    @property
    def share(self) -> UsualShare:
        """The first share: of a split into a part and the others, that of the part."""
        return self.shares[0]

    @property
    def most(self) -> UsualShare:
        """The share that moved most; the first by name among equals."""
        return max(self.shares, key=lambda share: abs(share.points))

    @property
    def moved(self) -> float:
        """Share of the images that would have to be in another class for the usual mix."""
        return sum(abs(share.points) for share in self.shares) / 2

    @property
    def significant(self) -> bool:
        """Whether neither chance nor the scatter of days explains it."""
        return self.shift.p_value < UNUSUAL_P and self.by_chance_p < SIGNIFICANT_P


@dataclass(frozen=True)
class Memory:
    """What lasts: the latest weeks against reference weeks, which are older than the usual ones."""

    reference: list[str]
    """The first weeks of the model and the thresholds in force, within the last quarter of a year. Empty
    while there are too few."""
    weeks: list[dict[str, Departure]]
    """How far each measure of this week is from the reference, and of each week before it, back in time.
    Empty without a reference."""
    pairs: list[dict[str, Departure]]
    """The same of each of these weeks but the last, together with the week before it."""


@dataclass(frozen=True)
class SilentDay:
    """A day without images, and how many its weekday had before."""

    dt: date
    usual_images: float
    p_value: float
    """How often such a weekday would have none, by how much its images scatter."""


@dataclass(frozen=True)
class Volume:
    """The week's images against those of the same weekdays before."""

    images: int
    usual_images: float
    p_value: float
    silent: list[SilentDay]


@dataclass(frozen=True)
class ThresholdChange:
    """A class whose threshold changed within the week, or was another one in the weeks before."""

    label: str
    before: float
    after: float
    changed_at: datetime | None
    """Time of the first decision with the new one; None if there is no such time within the week."""

    @property
    def raised(self) -> bool:
        """Whether fewer images reach the new one."""
        return self.after > self.before


@dataclass(frozen=True)
class Change:
    """A model, a threshold or an endpoint that began to decide."""

    at: datetime
    what: str


@dataclass(frozen=True)
class ClassShare:
    """One label's share of the classified images."""

    label: str
    images: int
    share: float | None
    interval: Interval
    baseline_images: int
    baseline_share: float | None
    baseline_interval: Interval
    mean_confidence: float | None


@dataclass(frozen=True)
class Folder:
    """Images by the first folder of their keys."""

    folder: str | None
    """Empty for keys without a folder; None for all folders that have no row of their own."""
    tally: Tally
    accepted_share: float | None
    """Share of the images that did not fail."""
    interval: Interval
    mean_confidence: float | None
    baseline: Tally | None
    """None where the compared week may have counted the folder among all others."""
    baseline_accepted_share: float | None
    p_value: float
    """p-value of the change of the accepted share, given chance, the variation of other folders' shares and
    that of the folder's own weeks, times the number of folders tested (Bonferroni)."""
    reference_accepted_share: float | None
    """In the reference weeks; None if they may have counted the folder among all others."""
    weeks_fallen: int
    """For how many weeks in a row, this one included, it has been fallen against the reference weeks."""

    @property
    def fallen(self) -> bool:
        """Whether the accepted share fell by much and significantly."""
        return self.seems_fallen and self.p_value < SIGNIFICANT_P

    @property
    def seems_fallen(self) -> bool:
        """Whether the accepted share fell by much, at a level that is worth a note."""
        if self.accepted_share is None or self.baseline_accepted_share is None:
            return False
        fell = self.baseline_accepted_share - self.accepted_share
        return fell >= FOLDER_POINTS and self.p_value < UNUSUAL_P


@dataclass(frozen=True)
class HistogramBin:
    """Images from `low` to below `high`, this week and in the compared one."""

    low: float
    high: float
    images: int
    baseline_images: int


@dataclass(frozen=True)
class WhatIf:
    """What another threshold would accept."""

    threshold: float
    accepted: int
    coverage: float
    expected_precision: float | None


@dataclass(frozen=True)
class Cell:
    """Images of about the same time and confidence: one dot."""

    hours: float
    """From the week's start to the middle of the cell."""
    height: float
    """-ln(1.005 - confidence) in the middle of the cell."""
    accepted: bool
    images: int


@dataclass(frozen=True)
class ClassPrecision:
    """How often the model's answers for one class are correct, by people's labels."""

    label: str
    accepted: int
    """Accepted images with a label; all counts here are of labelled images."""
    accepted_correct: int
    interval: Interval
    """Confidence interval of the share of correct ones among the accepted."""
    precision: float | None
    """Share of correct ones among the accepted; each label counts for the images that it was drawn from."""
    effective_labels: float
    """Labels of a simple random sample that would tell as much about the accepted images."""
    needs_review: int
    needs_review_correct: int
    wrong: int
    mostly_shows: str | None
    """What most of the wrong ones show; None for none of the classes."""
    mostly_shows_images: int


@dataclass(frozen=True)
class Measured:
    """How often the model is correct, by people's labels."""

    images: int
    """Classified images of this week with a label."""
    is_sample: bool
    """Whether precision rests on blind labels of a random sample. Otherwise it rests on all labels."""
    accepted: int
    """Accepted ones among them; of a sample, those that belong to it."""
    correct: int
    """Correct ones among the accepted."""
    precision: float | None
    interval: Interval
    effective_labels: float
    """Labels of a simple random sample that would tell as much about the accepted images."""
    expected_precision: float | None
    calibration_error: float | None
    calibration_error_by_chance: float
    """What a perfectly calibrated model would show on average with as many labels."""
    calibration_error_debiased: float
    ranking: Ranking
    bins: list[Bin]
    classes: list[ClassPrecision]
    """Sorted by the most errors."""


@dataclass(frozen=True)
class Input:
    """One measured property of the images."""

    measure: str
    """Column of the table."""
    name: str
    unit: str
    bins: list[HistogramBin]
    shift: Shift
    p05: float | None
    p50: float | None
    p95: float | None
    baseline_p50: float | None

    @property
    def slug(self) -> str:
        """Name of its card."""
        return f"input-{self.measure.replace('_', '-')}"

    def in_words(self, value: float | None) -> str:
        """Return one of its values for people."""
        if self.measure == "size_bytes":
            return size(value)
        return "–" if value is None else significant(value)


@dataclass(frozen=True)
class Reason:
    """Why images were rejected or failed."""

    reason: str
    images: int
    baseline_images: int
    latest_key: str
    latest_detail: str | None


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds that 50, 95 and 99 % of images did not exceed."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class Latency:
    """How long a day's or a week's classified images took."""

    dt: date | None
    """None for the whole week."""
    images: int
    total: Percentiles
    serialize: Percentiles
    classify: Percentiles


@dataclass(frozen=True)
class Completeness:
    """Uploaded against recorded."""

    recorded: int
    uploaded: int | None
    """Number of objects in a listing of the incoming bucket; None if it was not listed."""
    just_uploaded: int
    """Recent uploads, which may still be in flight."""
    missing: int | None
    imported: int
    """Recorded images that were imported from data-capture files."""
    late: int
    """Images decided more than an hour after the upload."""
    last_decided_at: datetime | None
    rows_stored: int
    duplicates_removed: int


@dataclass(frozen=True)
class Model:
    """A model version with the endpoint and the threshold that it decided with."""

    model_version: str | None
    endpoint: str | None
    threshold: float | None
    images: int
    first_decided_at: datetime
    last_decided_at: datetime


@dataclass(frozen=True)
class Uncertain:
    """An image that the model is unsure about."""

    bucket: str
    key: str
    version_id: str | None
    label: str
    confidence: float
    threshold: float | None
    uploaded_at: datetime
    unfamiliarity: float | None = None


@dataclass(frozen=True)
class UnlikeFolder:
    """Images of one folder that are unlike the model's classes."""

    folder: str | None
    """As `Folder.folder`."""
    scored: int
    """Classified images whose endpoint gives an unfamiliarity."""
    unlike: int
    baseline_share: float | None
    """None where the compared week has no row of the folder."""

    @property
    def share(self) -> float:
        """Share of the scored images that are unlike the classes."""
        return self.unlike / self.scored


@dataclass(frozen=True)
class Unlike:
    """Images that are unlike the model's classes, and therefore for review."""

    scored: int
    unlike: int
    interval: Interval
    """Confidence interval of their share."""
    baseline_scored: int
    baseline_unlike: int
    folders: list[UnlikeFolder]
    """Sorted by the most unlike images."""
    images: list[Uncertain]
    """The most unfamiliar ones."""

    @property
    def share(self) -> float:
        """Share of the scored images that are unlike the classes."""
        return self.unlike / self.scored

    @property
    def baseline_share(self) -> float | None:
        """The compared week's share."""
        return self.baseline_unlike / self.baseline_scored if self.baseline_scored else None


@dataclass(frozen=True)
class Statement:
    """One query of the report."""

    name: str
    sql: str
    scanned_bytes: int
    elapsed_ms: float


@dataclass(frozen=True)
class Numbers:
    """Every number of the report."""

    week: IsoWeek
    compare: IsoWeek | None
    summary: WeekSummary
    baseline: WeekSummary | None
    """None without a week to compare with, or if that week has no images."""
    history: list[WeekSummary]
    """This week and those before it, the oldest first; empty weeks included."""
    days: list[Day]
    """The week's seven and those before it."""
    hours: list[list[int]]
    """Images by day of the week, Monday first, and hour of the day (7, 24)."""
    classes: list[ClassShare]
    class_shift: Shift
    departures: dict[str, Departure]
    """By measure: `label`, `confidence`, `brightness`, `sharpness`, `size_bytes`, `unlike`, `below`,
    `rejected`."""
    memory: Memory
    volume: Volume | None
    """None while fewer than two earlier weeks are known."""
    threshold_changes: list[ThresholdChange]
    changes: list[Change]
    """Within the last quarter of a year, the oldest first."""
    folders: list[Folder]
    """Sorted by lowest acceptance rate; folders without new images and all others come last."""
    confidence: list[HistogramBin]
    confidence_shift: Shift
    cells: list[Cell]
    cell_minutes: int
    what_if: list[WhatIf]
    measured: Measured | None
    certificate: Certificate | None
    """None without accepted images."""
    agreement: Agreement | None
    """None where no two people labelled the same image."""
    true_shares: list[TrueShare]
    """True class balance; empty without a sample of the accepted images."""
    inputs: list[Input]
    rejects: list[Reason]
    failures: list[Reason]
    latency: Latency | None
    latency_by_day: list[Latency]
    baseline_latency: Latency | None
    completeness: Completeness
    models: list[Model]
    baseline_models: list[Model]
    least_certain: list[Uncertain]
    unlike: Unlike | None
    """None where no endpoint gave an unfamiliarity."""
    cost: WeeklyCost
    challenger: Comparison | None
    """None where no challenger saw images of this week."""
    statements: list[Statement]
    unanswered: dict[str, str]
    """Question that failed → why. The numbers that need it are missing."""
