"""Random samples of accepted images: which ones to label, and how the labelled ones speak for all.

The order of a sample is that of the upload ids, which are hashes. Whoever labels the first images of a group,
a class and folder, has labelled a random sample of that group.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

from analytics.athena.engine import Engine, Record
from analytics.questions.queries import saved_query

FOR_ALL = 0.5
"""Share of a sample that follows the order of all accepted images. The rest goes to groups with few
labels."""

Item = TypeVar("Item")


class Group(NamedTuple):
    """Images of one outcome, class and folder."""

    outcome: str
    label: str
    folder: str | None
    """None for all folders that have no group of their own."""


@dataclass(frozen=True)
class Frame:
    """The images that a sample is drawn from."""

    images: Mapping[Group, int]
    drawn: Mapping[Group, int]
    """Images that were labelled as part of a sample."""
    first_undrawn: Mapping[Group, str]
    """Smallest upload id of the images that were not; no key where all were."""

    @classmethod
    def of(cls, rows: Iterable[Record]) -> "Frame":
        """Read the answer to `sampling_frame.sql`."""
        by_group = {Group(row["outcome"], row["label"], row["folder"]): row for row in rows}
        return cls(
            {group: int(row["images"]) for group, row in by_group.items()},
            {group: int(row["drawn"]) for group, row in by_group.items()},
            {group: row["first_undrawn"] for group, row in by_group.items() if row["first_undrawn"]},
        )

    def group(self, outcome: str, label: str, folder: str) -> Group:
        """Return the group of an image by the first folder of its key."""
        own = Group(outcome, label, folder)
        return own if own in self.images else Group(outcome, label, None)

    def count(self, outcome: str) -> int:
        """Return the number of images of an outcome."""
        return sum(images for group, images in self.images.items() if group.outcome == outcome)

    def count_drawn(self, outcome: str) -> int:
        """Return how many of them were labelled as part of a sample."""
        return sum(drawn for group, drawn in self.drawn.items() if group.outcome == outcome)

    def first_gap(self, outcome: str) -> str | None:
        """Return the first image of an outcome that was not; None if all were."""
        gaps = (each for group, each in self.first_undrawn.items() if group.outcome == outcome)
        return min(gaps, default=None)


@dataclass(frozen=True)
class Candidate:
    """An image that a sample may take."""

    upload_id: str
    group: Group
    nth: int
    """Its place among all candidates, from 1."""
    nth_of_group: int


def sampling_frame(engine: Engine, since: date, until: date) -> Frame:
    """Return the images uploaded from `since` to `until`, both included, by group.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    return Frame.of(engine.query(saved_query("sampling_frame", from_dt=since, to_dt=until)).records())


def choose(candidates: Sequence[Candidate], frame: Frame, size: int) -> list[Candidate]:
    """Return a sample: half in the order of all images, half where a group has few labels for its size.

    A group counts by the square root of its images (power allocation, Bankier, The American Statistician 42
    (1988)), so that small ones are seen and large ones are measured best.
    """
    for_all = math.ceil(size * FOR_ALL)
    chosen = [each for each in candidates if each.nth <= for_all]
    labelled = Counter(frame.drawn) + Counter(each.group for each in chosen)
    rest: dict[Group, list[Candidate]] = {}
    for each in sorted(candidates, key=lambda each: each.nth_of_group, reverse=True):
        if each.nth > for_all:
            rest.setdefault(each.group, []).append(each)

    def need(group: Group) -> tuple[float, str, str]:
        weight = math.sqrt(frame.images.get(group, 1))
        return (labelled[group] + 1) / weight, group.label, group.folder or ""

    while rest and len(chosen) < size:
        group = min(rest, key=need)
        chosen.append(rest[group].pop())
        labelled[group] += 1
        if not rest[group]:
            del rest[group]
    return chosen


def draw_probability(frame: Frame, group: Group, chosen: Counter[Group]) -> float:
    """Return the share of a group's images that are labelled once all of the chosen ones are."""
    labelled = frame.drawn.get(group, 0) + chosen[group]
    return min(labelled / max(frame.images.get(group, 0), labelled), 1.0)


def shuffled(sequences: Iterable[Sequence[Item]], seed: str) -> list[Item]:
    """Mix sequences at random; each keeps its own order, so that who stops early has the first of each."""
    sequences = [list(each) for each in sequences]
    turns = [number for number, each in enumerate(sequences) for _ in each]
    random.Random(seed).shuffle(turns)
    following = [iter(each) for each in sequences]
    return [next(following[turn]) for turn in turns]
