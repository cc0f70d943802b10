"""Labels, precision and class balance on made-up weeks: how often are certificates and intervals right?"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analytics.lake.label_source import Source
from analytics.review.certificate import CONFIDENCE, TARGET, Bet
from analytics.review.measured import Labelled, true_shares, weighted_share, weights
from analytics.review.sample import Candidate, Frame, Group, choose, shuffled
from model.calibrate import softmax
from model.training.relearn import learn
from tests.simulate.suite import Check
from workflow.outcome import Outcome

CLASSES = ("bicycle", "motorcycle", "poppy", "tulip", "willow_tree")
SHARES = (0.36, 0.27, 0.15, 0.12, 0.10)
FOLDERS = tuple(f"van-{number:02}" for number in range(12))
ACCEPTED_IMAGES = 2_300
"""Accepted images of a week of a small team: 400 a day, of which 82 % are accepted."""


def suite(seed: int, runs: int) -> list[Check]:
    """Run every simulation of labels."""
    rng = np.random.default_rng(seed)
    weeks = max(runs // 10, 10)
    return [
        *certificates(rng, runs),
        *(check for labels in (50, 100, 200) for check in coverages(rng, weeks, labels)),
        stopping_early(rng, weeks),
        promotions(rng, max(runs // 50, 10)),
    ]


# ── the certificate ────────────────────────────────────────────────────────────────────────────────────────


def certificates(rng: np.random.Generator, runs: int) -> list[Check]:
    """Measure how often a week is certified at true precisions, whoever looks after each label."""
    found = []
    for precision, images, least, most in (
        (0.985, ACCEPTED_IMAGES, 0.0, 0.05),
        (0.985, 100_000, 0.0, 0.05),
        (0.98999, ACCEPTED_IMAGES, 0.0, 0.05),  # one error more than the claim allows
        (0.98999, 100_000, 0.0, 0.05),
        (0.995, ACCEPTED_IMAGES, 0.8, 1.0),
        (0.995, 100_000, 0.4, 1.0),  # no test can reach more than .71
    ):
        certified = [certified_after(rng, precision, images, 1_500) is not None for _ in range(runs)]
        what = f"of {images:,} accepted images, {precision:g} right: certified within 1,500 labels"
        found.append(Check(what, float(np.mean(certified)), least, most))
    return found


def certified_after(rng: np.random.Generator, precision: float, images: int, labels: int) -> int | None:
    """Return after how many labels a made-up week is certified, if it is."""
    errors = math.ceil((1 - precision) * images - 1e-9)
    wrong = np.zeros(images, bool)
    wrong[:errors] = True
    bet = Bet.against(TARGET, images)
    for right in ~rng.permutation(wrong)[:labels]:
        bet.settle(bool(right))
        if bet.gain >= -math.log(1 - CONFIDENCE):
            return bet.seen
    return None


# ── weeks with a sample ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class MadeUp:
    """A week with the truth about each image, in the order of the upload ids."""

    images: list[Labelled]

    @property
    def frame(self) -> Frame:
        """The groups that a sample is drawn from; nothing is labelled yet."""
        large = [folder for folder, _ in Counter(each.folder for each in self.images).most_common(8)]
        groups = Counter(self._group(each, large) for each in self.images)
        return Frame(groups, dict.fromkeys(groups, 0), {})

    @staticmethod
    def _group(image: Labelled, large: list[str]) -> Group:
        return Group(image.outcome, image.label, image.folder if image.folder in large else None)

    def sample(self, size: int) -> list[Labelled]:
        """Return the images of a sheet with a sample of accepted images and all that need review."""
        frame = self.frame
        accepted = [each for each in self.images if each.outcome == Outcome.ACCEPTED]
        seen: Counter[Group] = Counter()
        candidates = []
        for nth, image in enumerate(accepted, 1):
            group = frame.group(image.outcome, image.label, image.folder)
            seen[group] += 1
            if nth <= size or seen[group] <= size // 10:
                candidates.append(Candidate(image.upload_id, group, nth, seen[group]))
        by_id = {image.upload_id: image for image in accepted}
        chosen = [by_id[each.upload_id] for each in choose(candidates, frame, size)]
        unsure = [each for each in self.images if each.outcome == Outcome.NEEDS_REVIEW][:200]
        return shuffled([chosen[: size // 2], chosen[size // 2 :], unsure], self.images[0].upload_id)


def a_week(rng: np.random.Generator, images: int = 2_800) -> MadeUp:
    """Make up a week whose errors are more frequent in some classes and folders than confidences say."""
    truth = rng.choice(len(CLASSES), images, p=SHARES)
    foreign = rng.random(images) < 0.02
    folder = rng.choice(len(FOLDERS), images, p=np.arange(1, 13) / 78)
    harder = rng.uniform(0.5, 2.0, (len(CLASSES), len(FOLDERS)))[truth, folder]
    confidence = np.clip(rng.beta(14, 0.9, images), 0.25, 0.9999)
    is_wrong = rng.random(images) < np.minimum((1 - confidence) * harder, 0.9)
    likely = (truth + np.where(rng.random(images) < 0.6, 1, rng.integers(1, len(CLASSES), images))) % len(
        CLASSES
    )
    label = np.where(is_wrong, likely, truth)
    ids = sorted(f"{number:064x}" for number in rng.integers(0, 2**62, images))
    return MadeUp(
        [
            Labelled(
                upload_id=ids[i],
                outcome=Outcome.ACCEPTED if confidence[i] >= 0.85 else Outcome.NEEDS_REVIEW,
                label=CLASSES[label[i]],
                folder=FOLDERS[folder[i]],
                confidence=float(confidence[i]),
                true_label=None if foreign[i] and confidence[i] < 0.97 else CLASSES[truth[i]],
                source=Source.SAMPLE if confidence[i] >= 0.85 else Source.BELOW_THRESHOLD,
            )
            for i in range(images)
        ]
    )


def coverages(rng: np.random.Generator, weeks: int, labels: int) -> Iterator[Check]:
    """Measure how often the intervals of precision and of class balance cover the truth of a week."""
    hits: dict[str, list[bool]] = {"precision": [], "precision of a class": [], "share of a class": []}
    for _ in range(weeks):
        week = a_week(rng)
        frame, drawn = week.frame, week.sample(labels)
        weight = weights(frame, drawn)
        for name in (None, *CLASSES):
            kept = [
                (each, its)
                for each, its in zip(drawn, weight, strict=True)
                if each.outcome == Outcome.ACCEPTED and name in (None, each.label)
            ]
            all_ = [
                e.is_right for e in week.images if e.outcome == Outcome.ACCEPTED and name in (None, e.label)
            ]
            found = weighted_share(
                [each for each, _ in kept], [its for _, its in kept], lambda each: each.is_right
            )
            if found:
                hit = found.interval.low <= np.mean(all_) <= found.interval.high
                hits["precision" if name is None else "precision of a class"].append(bool(hit))
        truths = Counter(each.true_label for each in week.images)
        for share in true_shares(frame, drawn, weight):
            truth = truths[share.label] / len(week.images)
            hits["share of a class"].append(share.interval.low <= truth <= share.interval.high)
    for what, covered in hits.items():
        yield Check(
            f"{labels} labels of accepted images: {what} is in its interval", float(np.mean(covered)), 0.93
        )


def stopping_early(rng: np.random.Generator, weeks: int) -> Check:
    """Measure the bias of the precision when a person labels 40 % of a sheet, in points of a share."""
    biases = []
    for _ in range(weeks):
        week = a_week(rng)
        drawn = week.sample(100)
        drawn = [each for each in drawn[: len(drawn) * 2 // 5] if each.outcome == Outcome.ACCEPTED]
        found = weighted_share(drawn, weights(week.frame, drawn), lambda each: each.is_right)
        accepted = [each.is_right for each in week.images if each.outcome == Outcome.ACCEPTED]
        biases.append(found.share - float(np.mean(accepted)) if found else 0.0)
    by_chance = 3 * float(np.std(biases)) / math.sqrt(len(biases))
    bias = abs(float(np.mean(biases)))
    return Check("40 % of a sheet labelled: bias of the precision", bias, 0.0, max(0.005, by_chance))


# ── learning ───────────────────────────────────────────────────────────────────────────────────────────────


def promotions(rng: np.random.Generator, runs: int) -> Check:
    """Measure how often a model is promoted that learned from 60 images whose features say nothing."""
    promoted = []
    for _ in range(runs):
        labels = rng.integers(0, 3, 60)
        present = softmax(2 * np.eye(3)[labels] + rng.normal(size=(60, 3)))
        _, _, comparison = learn(
            rng.normal(size=(60, 20)), present, labels, lambda scores: scores.max(axis=1) >= 0.9
        )
        promoted.append(comparison.is_better)
    return Check("a model that is not better is promoted", float(np.mean(promoted)), 0.0, 0.05)
