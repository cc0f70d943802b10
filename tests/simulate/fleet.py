"""Simulated weeks of a fleet of cameras, whose days, folders and light scatter by more than chance."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

CLASSES = ("bicycle", "motorcycle", "poppy", "tulip", "willow_tree")
_SHARES = np.array([0.34, 0.27, 0.17, 0.13, 0.09])
THRESHOLD = 0.8
_WEEKDAYS = np.array([1.0, 1.05, 1.0, 0.95, 1.1, 0.5, 0.4])
FIRST_MONDAY = date(2026, 1, 5)


@dataclass(frozen=True)
class Fleet:
    """What a quiet week looks like, and by how much quiet weeks differ."""

    images_a_week: int
    folders: int = 10
    day_sd: float = 0.0
    """Standard deviation of a day's effect on the logits of class shares and of confidence."""
    folder_week_sd: float = 0.0
    """The same of a folder in a week."""
    light_sd: float = 0.0
    """Standard deviation of a day's mean brightness, of 255."""
    light_memory: float = 0.5
    """Correlation of the light of one day with the next."""
    burst: int = 1
    """Images that come together and show one class."""
    volume_sd: float = 0.0
    """Standard deviation of the logarithm of a day's expected number of images."""
    folders_differ: float = 0.0
    """Standard deviation of the logits of a folder's class shares and confidence."""


@dataclass(frozen=True)
class Change:
    """What is planted into a week; a week without a change is quiet."""

    class_points: float = 0.0
    """Added to the share of the first class, taken from the second."""
    confidence_logit: float = 0.0
    blind_folder: bool = False
    """The first folder's images are dark, and the model is unsure of them."""
    brightness: float = 0.0
    volume: float = 1.0
    missing_weekday: int | None = None
    threshold: float | None = None
    """Threshold from Thursday on."""
    rejected_points: float = 0.0
    labels: int = 0
    """Accepted images, drawn at random, that people label."""
    class_precision_points: float = 0.0
    """Share of one class's accepted images that are wrong besides those that the model itself expects."""


QUIET = Change()


@dataclass
class Stream:
    """A run of weeks of one fleet, each a frame with a row for each image."""

    fleet: Fleet
    seed: int
    monday: date = FIRST_MONDAY
    _light: float = 0.0
    _rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        """Draw what stays: the folders' sizes, class shares and confidences."""
        self._rng = np.random.default_rng(self.seed)
        count = self.fleet.folders
        self._sizes = self._rng.dirichlet(np.full(count, 4.0))
        self._folder_mix = self._rng.normal(0, self.fleet.folders_differ, (count, len(CLASSES)))
        self._folder_confidence = self._rng.normal(0, self.fleet.folders_differ, count)
        self._light = self._rng.normal(0, self.fleet.light_sd)

    def weeks(self, changes: Iterator[Change]) -> Iterator[tuple[date, pd.DataFrame]]:
        """Yield each week's Monday and images."""
        for change in changes:
            yield self.monday, self._week(change)
            self.monday += timedelta(weeks=1)

    def _week(self, change: Change) -> pd.DataFrame:
        count = self.fleet.folders
        mix = self._rng.normal(0, self.fleet.folder_week_sd, (count, len(CLASSES)))
        sure = self._rng.normal(0, self.fleet.folder_week_sd, count)
        days = [self._day(day, mix, sure, change) for day in range(7)]
        return pd.concat(days, ignore_index=True)

    def _day(self, day: int, mix: np.ndarray, sure: np.ndarray, change: Change) -> pd.DataFrame:
        fleet, rng = self.fleet, self._rng
        memory = fleet.light_memory
        self._light = memory * self._light + rng.normal(0, fleet.light_sd * np.sqrt(1 - memory**2))
        mix = mix + rng.normal(0, fleet.day_sd, len(CLASSES))
        sure = sure + rng.normal(0, fleet.day_sd)
        expected = (
            fleet.images_a_week * _WEEKDAYS[day] / _WEEKDAYS.sum() * np.exp(rng.normal(0, fleet.volume_sd))
        )
        bursts = rng.poisson(expected * change.volume / fleet.burst)
        if day == change.missing_weekday:
            bursts = 0
        folder = rng.choice(fleet.folders, bursts, p=self._sizes)
        shares = _shifted(_SHARES, change.class_points)
        logits = np.log(shares) + self._folder_mix + mix
        cumulative = np.cumsum(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), axis=1)
        label = (rng.random(bursts)[:, None] > cumulative[folder][:, :-1]).sum(axis=1)
        folder, label = np.repeat(folder, fleet.burst), np.repeat(label, fleet.burst)
        images = len(folder)
        blind = (folder == 0) & change.blind_folder
        logit = 3.0 + self._folder_confidence[folder] + sure[folder] + change.confidence_logit - 4.0 * blind
        confidence = 1 / (1 + np.exp(-(logit + rng.normal(0, 1.6, images))))
        brightness = 125 + self._light + change.brightness - 60 * blind + rng.normal(0, 35, images)
        threshold = change.threshold if change.threshold is not None and day >= 3 else THRESHOLD
        outcome = np.where(confidence >= threshold, "accepted", "needs_review").astype(object)
        fate = rng.random(images)
        outcome[fate < 0.001] = "failed"
        outcome[fate > 1 - 0.02 - change.rejected_points] = "rejected"
        return pd.DataFrame(
            {
                "day": day,
                "folder": folder,
                "label": label,
                "confidence": np.maximum(confidence, 0.2001),
                "brightness": np.clip(brightness, 0, 255),
                "sharpness": np.exp(rng.normal(6, 0.8, images)),
                "size_bytes": np.exp(rng.normal(11, 0.5, images)),
                "threshold": threshold,
                "outcome": outcome,
            }
        )


def _shifted(shares: np.ndarray, points: float) -> np.ndarray:
    moved = shares.copy()
    moved[0], moved[1] = moved[0] + points, moved[1] - points
    return moved


REALISTIC = Fleet(
    4_000,
    day_sd=0.2,
    folder_week_sd=0.2,
    light_sd=8,
    light_memory=0.5,
    burst=4,
    volume_sd=0.1,
    folders_differ=0.5,
)
SMALL = replace(REALISTIC, images_a_week=300, folders=5, burst=1, volume_sd=0.15)
FLEETS = {
    "4,000 images a week, independent": Fleet(4_000),
    "4,000, mild scatter": Fleet(4_000, day_sd=0.1, folder_week_sd=0.1, light_sd=4, folders_differ=0.3),
    "4,000, realistic": REALISTIC,
    "30,000 in 40 folders, realistic": replace(REALISTIC, images_a_week=30_000, folders=40),
    "4,000, outdoor light": replace(REALISTIC, light_sd=16, light_memory=0.7),
    "300, independent": Fleet(300, folders=5),
    "300, scatter": SMALL,
    "300, scatter, bursts of 4": replace(SMALL, burst=4),
}
