"""Review sheets: a page of images to be labelled with one key press each, before the model's answer is
shown."""

import base64
import hashlib
import json
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from markupsafe import Markup

from analytics import text as words
from analytics.athena.engine import Engine
from analytics.html import template
from analytics.lake.label_source import Source
from analytics.questions.queries import saved_query
from analytics.review.sample import (
    FOR_ALL,
    Candidate,
    Frame,
    Group,
    choose,
    draw_probability,
    sampling_frame,
    shuffled,
)
from workflow.outcome import Outcome
from workflow.policy import UNLIKE_TRAINING

MAX_IMAGES = 200
"""Most images for review on a sheet: a quarter of an hour's work, and a page of about 4 MB."""
MOST_LOOKED_THROUGH = 2_000
"""Most images for review among which those of one kind are looked for."""
PICTURE_PX = 256

MOST_BUTTONS = 20
"""Most classes that have a button each. Of more classes, one is found by typing."""
SHOWN_SCORES = 5
"""Most probable classes whose scores are shown."""

NONE_KEY = "0"
"""Key for an image that shows none of the classes."""

_SCRIPT = Path(__file__).with_name("review.js")


class Kind(StrEnum):
    """Why a person is asked about an image."""

    UNSURE = "unsure"
    """The confidence is below the threshold."""
    UNLIKE = "unlike"
    """The image is unlike the classes, whatever the confidence."""
    SAMPLE = "sample"
    """It was accepted, and is part of a random sample."""


@dataclass(frozen=True)
class Waiting:
    """An image to label."""

    upload_id: str
    bucket: str
    key: str
    version_id: str | None
    uploaded_at: datetime
    label: str
    confidence: float
    threshold: float
    scores: Mapping[str, float]
    """Class → its probability, the highest first."""
    source: Source
    draw_probability: float | None


@dataclass(frozen=True)
class Queue:
    """The images of a sheet."""

    images: Sequence[Waiting]
    """Those for review and accepted ones, shuffled. Each kind is in the order of its sample."""
    waiting: int
    """Number of images for review without a label; possibly more than fit on a sheet."""
    sampled: int
    """Accepted images among `images`."""
    since: date

    @property
    def classes(self) -> list[str]:
        """Every class that an image has a score for, in alphabetical order."""
        return sorted({name for image in self.images for name in image.scores})


def review_queue(
    engine: Engine, since: date, until: date, sample: int = 0, only: Kind | None = None
) -> Queue:
    """Return the images to look at, uploaded from `since` to `until`, both included.

    Args:
        engine: that answers.
        since: UTC date.
        until: UTC date.
        sample: how many accepted images to add; only their labels measure the precision.
        only: leave out the other kinds. Labels of images that wait for one reason are of no random sample of
            all that wait, and no estimate uses them.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    days = {"from_dt": since, "to_dt": until}
    if only in (Kind.UNSURE, Kind.UNLIKE):
        return _of_one_reason(engine, days, only)
    most = 0 if only else MAX_IMAGES
    unsure = engine.query(saved_query("review_queue", **days, limit=most)).frame
    frame = sampling_frame(engine, since, until)
    to_review, drawn = frame.count(Outcome.NEEDS_REVIEW), frame.count_drawn(Outcome.NEEDS_REVIEW)
    share = min((drawn + len(unsure)) / max(to_review, 1), 1.0)
    images = [_image(row, Source.BELOW_THRESHOLD, share) for row in unsure.to_dict("records")]
    for_all, for_groups = _sample(engine, days, frame, sample) if sample else ([], [])
    return Queue(
        images=_mixed(images, for_all, for_groups),
        waiting=int(unsure["waiting"].iloc[0]) if images else 0,
        sampled=len(for_all) + len(for_groups),
        since=since,
    )


def _of_one_reason(engine: Engine, days: Mapping[str, date], kind: Kind) -> Queue:
    rows = engine.query(saved_query("review_queue", **days, limit=MOST_LOOKED_THROUGH)).frame
    is_unlike = rows["reason"] == UNLIKE_TRAINING
    found = rows[(is_unlike if kind is Kind.UNLIKE else ~is_unlike) & ~rows["is_labelled"].astype(bool)]
    images = [_image(row, Source.ONE_KIND, None) for row in found.head(MAX_IMAGES).to_dict("records")]
    return Queue(images, waiting=len(found), sampled=0, since=days["from_dt"])


def certificate_queue(engine: Engine, since: date, until: date, size: int) -> Queue:
    """Return the accepted images that a certificate needs next, in their order.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    rows = engine.query(saved_query("spot_check", from_dt=since, to_dt=until, limit=size)).frame
    frame = sampling_frame(engine, since, until)
    share = min((frame.count_drawn(Outcome.ACCEPTED) + size) / max(frame.count(Outcome.ACCEPTED), 1), 1.0)
    images = [_image(row, Source.SAMPLE, share) for row in rows.to_dict("records") if row["nth"] <= size]
    return Queue(images, waiting=0, sampled=len(images), since=since)


def keys_of(classes: Sequence[str]) -> dict[str, list[str]]:
    """Return the keys of each class: its number up to 9, and its first letter if no other class has that."""
    letters = [name[0].lower() for name in classes]
    return {
        name: [
            *([str(number)] if number <= 9 else []),
            *([letter] if letter.isalpha() and letters.count(letter) == 1 else []),
        ]
        for number, (name, letter) in enumerate(zip(classes, letters, strict=True), start=1)
    }


def sheet(
    queue: Queue, pictures: Sequence[bytes | None], classes: Iterable[str], generated_at: datetime
) -> str:
    """Return the page.

    Args:
        queue: its images.
        pictures: a small JPEG of each image, or None if it could not be read.
        classes: those that an image may have beside the ones that some image has a score for.
        generated_at: time of the page.

    It needs no network, and its security policy allows only its own script. Text from images, keys and the
    model is escaped, and its non-printable characters are replaced by �. Exact labels and keys, which the
    saved file needs, are JSON in ASCII.
    """
    script = _SCRIPT.read_text(encoding="utf-8")
    names = sorted({*classes, *queue.classes})
    has_buttons = len(names) <= MOST_BUTTONS
    page = template("review/review.html.j2").render(
        queue=queue,
        images=[
            (image, base64.b64encode(picture).decode() if picture else None)
            for image, picture in zip(queue.images, pictures, strict=True)
        ],
        keys=keys_of(names) if has_buttons else {},
        to_find=None if has_buttons else [(name, words.visible(name)) for name in names],
        shown_scores=SHOWN_SCORES,
        none_key=NONE_KEY,
        file_name=f"labels-{generated_at:%Y%m%d-%H%M%S}.jsonl",
        generated_at=generated_at,
        script=Markup(script),  # noqa: S704 - a file of this package
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        words=words,
        exactly=json.dumps,
    )
    return words.visible(page)


def _sample(
    engine: Engine, days: Mapping[str, date], frame: Frame, size: int
) -> tuple[list[Waiting], list[Waiting]]:
    """Return accepted images to label: the next of all, and those of groups with few labels."""
    rows = engine.query(saved_query("spot_check", **days, limit=size)).frame.to_dict("records")
    by_id = {row["upload_id"]: row for row in rows}
    candidates = [
        Candidate(
            row["upload_id"],
            Group(Outcome.ACCEPTED, row["label"], row["folder"] if isinstance(row["folder"], str) else None),
            int(row["nth"]),
            int(row["nth_of_group"]),
        )
        for row in rows
    ]
    chosen = choose(candidates, frame, size)
    of_group = Counter(each.group for each in chosen)
    images = [
        _image(by_id[each.upload_id], Source.SAMPLE, draw_probability(frame, each.group, of_group))
        for each in chosen
    ]
    for_all = sum(each.nth <= math.ceil(size * FOR_ALL) for each in chosen)
    return images[:for_all], images[for_all:]


def _mixed(*kinds: Sequence[Waiting]) -> list[Waiting]:
    seed = "".join(image.upload_id for images in kinds for image in images)
    return shuffled(kinds, hashlib.sha256(seed.encode()).hexdigest())


def _image(row: Mapping[Hashable, Any], source: Source, draw_probability: float | None) -> Waiting:
    version_id = row["version_id"]
    return Waiting(
        upload_id=row["upload_id"],
        bucket=row["bucket"],
        key=row["key"],
        version_id=version_id if isinstance(version_id, str) else None,
        uploaded_at=row["uploaded_at"].to_pydatetime(),
        label=row["label"],
        confidence=float(row["confidence"]),
        threshold=float(row["threshold"]),
        scores=scores_of(row["scores"]),
        source=source,
        draw_probability=draw_probability,
    )


def scores_of(text: str) -> dict[str, float]:
    """Return the scores that a question gives as JSON, the highest first.

    Athena's own text of a map does not tell where a name with a comma ends, nor that `007` is a name.
    """
    return dict(sorted(json.loads(text).items(), key=lambda pair: (-pair[1], pair[0])))
