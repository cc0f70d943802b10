"""What labels of a random sample say about all classified images of some days. Pure.

Groups, a class in a folder, are labelled at different rates. Each label therefore counts for as many images
as its group has for each label.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from analytics.athena.engine import Record
from analytics.lake.label_source import Source
from analytics.review.certificate import Certificate, certify
from analytics.review.estimates import Agreement, Ranking, Share, TrueShare
from analytics.review.sample import Frame
from ingest.stats import Bin, Interval, exact_interval, expected_gap_by_chance
from workflow.outcome import Outcome

Z_95 = 1.959963984540054
_DRAWN_AS = {
    Outcome.ACCEPTED: (Source.SAMPLE,),
    Outcome.NEEDS_REVIEW: (Source.BELOW_THRESHOLD, Source.SAMPLE),
}
"""Outcome → sources of labels that are of a random sample of it."""


@dataclass(frozen=True)
class Labelled:
    """A labelled image: one row of `labelled_images.sql`."""

    upload_id: str
    outcome: str
    label: str
    folder: str
    confidence: float
    true_label: str | None
    source: str | None

    @property
    def is_right(self) -> bool:
        """Whether the model's answer is what the person says."""
        return self.label == self.true_label

    @property
    def is_drawn(self) -> bool:
        """Whether the image was drawn at random among those of its outcome, and labelled blind."""
        return self.source in _DRAWN_AS.get(Outcome(self.outcome), ())

    @classmethod
    def of(cls, rows: Iterable[Record]) -> list["Labelled"]:
        """Read the answer to `labelled_images.sql`, in its order."""
        return [
            cls(
                row["upload_id"],
                row["outcome"],
                row["label"],
                row["folder"],
                float(row["confidence"]),
                row["true_label"],
                row["source"],
            )
            for row in rows
        ]


def certificate_of(frame: Frame, labelled: Iterable[Labelled], target: float) -> Certificate:
    """Return the certificate of the accepted images.

    The sample is in the order of the upload ids. Labels beyond the first image without one do not count: what
    is hard to label must not be left out.
    """
    gap = frame.first_gap(Outcome.ACCEPTED)
    sample = sorted(
        (each for each in labelled if each.outcome == Outcome.ACCEPTED and each.source == Source.SAMPLE),
        key=lambda each: each.upload_id,
    )
    is_right = [each.is_right for each in sample if gap is None or each.upload_id < gap]
    return certify(is_right, max(frame.count(Outcome.ACCEPTED), len(is_right)), target)


def weights(frame: Frame, drawn: Sequence[Labelled]) -> list[float]:
    """Return for how many images each label of a random sample counts.

    The images of a group without a label are counted with their class; those of a class without one are not.
    """
    groups = [frame.group(each.outcome, each.label, each.folder) for each in drawn]
    labels = Counter(groups)
    of_class: Counter[tuple[str, str]] = Counter()
    reached: Counter[tuple[str, str]] = Counter()
    for group, images in frame.images.items():
        of_class[group[:2]] += images
        reached[group[:2]] += images if labels[group] else 0
    return [
        max(frame.images.get(group, 0), labels[group])
        / labels[group]
        * _ratio(of_class[group[:2]], reached[group[:2]])
        for group in groups
    ]


def weighted_share(
    drawn: Sequence[Labelled], weights: Sequence[float], counts: Callable[[Labelled], bool]
) -> Share | None:
    """Return the share of images that count, with an interval; None without a label.

    The interval is exact for the number of labels of a simple random sample that would tell as much: by the
    weights (Kish), or by the variance within groups if that is larger. Labels of nearly all images tell more.
    """
    total = math.fsum(weights)
    if not total:
        return None
    share = math.fsum(weight for each, weight in zip(drawn, weights, strict=True) if counts(each)) / total
    effective = total**2 / math.fsum(weight**2 for weight in weights)
    if 0 < share < 1:
        variance = math.fsum(
            (weight / total) ** 2 * ((1 if counts(each) else 0) - share) ** 2
            for each, weight in zip(drawn, weights, strict=True)
        )
        effective = min(effective, share * (1 - share) / variance)
    effective /= max(1 - len(drawn) / max(total, len(drawn)), 1e-6)
    return Share(len(drawn), share, exact_interval(share * effective, effective), effective)


def ranking(drawn: Sequence[Labelled], weights: Sequence[float]) -> Ranking:
    """Return how well confidence ranks the images, with their weights."""
    ordered = sorted(zip(drawn, weights, strict=True), key=lambda each: -each[0].confidence)
    above = area = seen = seen_wrong = pairs = 0.0
    for _, tied in groupby(ordered, key=lambda each: each[0].confidence):
        of_right = of_wrong = 0.0
        for each, weight in tied:
            if each.is_right:
                of_right += weight
            else:
                of_wrong += weight
        pairs += of_wrong * (above + of_right / 2)
        above += of_right
        seen += of_right + of_wrong
        seen_wrong += of_wrong
        area += (of_right + of_wrong) * seen_wrong / seen
    return Ranking(
        images=len(drawn),
        errors=sum(not each.is_right for each in drawn),
        auroc=pairs / (above * seen_wrong) if above and seen_wrong else None,
        risk_area=area / seen if seen else None,
    )


def debiased_calibration_error(bins: Sequence[Bin]) -> tuple[float, float]:
    """Return the calibration error without the part that chance alone gives, and that part; each 0 to 1.

    A perfectly calibrated model with 50 labels shows an error of about 9 %.
    """
    images = sum(bin_.images for bin_ in bins)
    gaps = math.fsum(abs(bin_.confidence_sum - bin_.correct) for bin_ in bins) / images
    chance = math.fsum(
        bin_.images * expected_gap_by_chance(bin_.images, bin_.confidence_sum / bin_.images) for bin_ in bins
    )
    return max(gaps - chance / images, 0.0), chance / images


def agreement(pairs: Mapping[tuple[str | None, str | None], int]) -> Agreement | None:
    """Return how well two people agree, from how many images had each pair of labels; None without an image.

    Source: Cohen, Educational and Psychological Measurement 20 (1960), with the labels of both people pooled.
    """
    images = sum(pairs.values())
    if not images:
        return None
    alike = sum(count for (one, other), count in pairs.items() if one == other) / images
    said: Counter[str | None] = Counter()
    for (one, other), count in pairs.items():
        said[one] += count
        said[other] += count
    by_chance = math.fsum((count / (2 * images)) ** 2 for count in said.values())
    return Agreement(images, alike, (alike - by_chance) / (1 - by_chance) if by_chance < 1 else None)


def true_shares(frame: Frame, drawn: Sequence[Labelled], weights: Sequence[float]) -> list[TrueShare]:
    """Return the share of each class among all classified images, the largest first; none without images.

    What people say about a sample of each answer of the model is extended to all images with that answer. Two
    images are added to each sample, one as the model says and one of another class, so that a few labels that
    all agree are not taken for certainty.
    """
    answers: Counter[tuple[str, str]] = Counter()
    for group, images in frame.images.items():
        answers[group[:2]] += images
    total = sum(answers.values())
    if not total:
        return []
    truths = {label for _, label in answers} | {each.true_label for each in drawn} | {None}
    said: Counter[str | None] = Counter()
    for (_, label), images in answers.items():
        said[label] += images
    drawn_of: dict[tuple[str, str], list[tuple[str | None, float]]] = {}
    for each, weight in zip(drawn, weights, strict=True):
        drawn_of.setdefault((each.outcome, each.label), []).append((each.true_label, weight))
    found, variances = dict.fromkeys(truths, 0.0), dict.fromkeys(truths, 0.0)
    for answer, images in answers.items():
        mine, label = drawn_of.get(answer, []), answer[1]
        mass = math.fsum(weight for _, weight in mine)
        effective = mass**2 / math.fsum(weight**2 for _, weight in mine) if mine else 0.0
        unseen = 1 - min(len(mine) / images, 1.0)
        seen_as: dict[str | None, float] = {}
        for truth, weight in mine:
            seen_as[truth] = seen_as.get(truth, 0.0) + weight / mass
        for truth in truths:
            seen = seen_as.get(truth, 0.0)
            prior = 1.0 if truth == label else 1.0 / max(len(truths) - 1, 1)
            share = (seen * effective + prior * unseen) / (effective + 2 * unseen)
            found[truth] += images / total * (seen if mine else share)
            variances[truth] += (
                (images / total) ** 2 * share * (1 - share) * unseen / (effective + 2 * unseen + 1)
            )
    shares = []
    for truth in truths:
        half = Z_95 * math.sqrt(variances[truth])
        interval = Interval(max(found[truth] - half, 0.0), min(found[truth] + half, 1.0))
        shares.append(TrueShare(truth, said[truth] / total, found[truth], interval))
    return sorted(shares, key=lambda each: (each.label is None, -each.share, each.label or ""))


def _ratio(whole: int, part: int) -> float:
    return whole / part if part else 1.0
