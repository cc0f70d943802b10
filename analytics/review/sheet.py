"""Review sheets: a page of images that wait for review, to be labelled with one key press each."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from analytics import text as words
from analytics.athena.engine import Engine
from analytics.html import template
from analytics.questions.queries import saved_query

MAX_IMAGES = 200
"""Most images for review on a sheet: a quarter of an hour's work, and a page of about 4 MB."""
PICTURE_PX = 256

NONE_KEY = "0"
"""Key for an image that shows none of the classes."""

_SCRIPT = Path(__file__).with_name("review.js")


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


@dataclass(frozen=True)
class Queue:
    """The images of a sheet."""

    images: Sequence[Waiting]
    """The least certain first."""
    waiting: int
    """Number of images for review without a label; possibly more than fit on a sheet."""
    sampled: int
    """Accepted images among `images`."""
    since: date

    @property
    def classes(self) -> list[str]:
        """Every class, in alphabetical order."""
        return sorted({name for image in self.images for name in image.scores})


def review_queue(engine: Engine, since: date, until: date, sample: int = 0) -> Queue:
    """Return the images to look at, uploaded from `since` to `until`, both included.

    Args:
        engine: that answers.
        since: UTC date.
        until: UTC date.
        sample: how many accepted images to add; only their labels measure the precision.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    days = {"from_dt": since, "to_dt": until}
    unsure = engine.query(saved_query("review_queue", **days, limit=MAX_IMAGES)).frame
    images = _images(unsure)
    accepted = _images(engine.query(saved_query("spot_check", **days, limit=sample)).frame) if sample else []
    return Queue(
        images=sorted([*images, *accepted], key=lambda image: image.confidence),
        waiting=int(unsure["waiting"].iloc[0]) if images else 0,
        sampled=len(accepted),
        since=since,
    )


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


def sheet(queue: Queue, pictures: Sequence[bytes | None], generated_at: datetime) -> str:
    """Return the page, with a small JPEG of each image, or None if it could not be read.

    It needs no network, and its security policy allows only its own script. Text from images, keys and the
    model is escaped, and its non-printable characters are replaced by �. Exact labels and keys, which the
    saved file needs, are JSON in ASCII.
    """
    script = _SCRIPT.read_text(encoding="utf-8")
    page = template("review/review.html.j2").render(
        queue=queue,
        images=[
            (image, base64.b64encode(picture).decode() if picture else None)
            for image, picture in zip(queue.images, pictures, strict=True)
        ],
        keys=keys_of(queue.classes),
        none_key=NONE_KEY,
        file_name=f"labels-{generated_at:%Y%m%d-%H%M%S}.jsonl",
        generated_at=generated_at,
        script=Markup(script),  # noqa: S704 - a file of this package
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        words=words,
        exactly=json.dumps,
    )
    return words.visible(page)


def _images(frame: pd.DataFrame) -> list[Waiting]:
    return [
        Waiting(
            upload_id=row.upload_id,
            bucket=row.bucket,
            key=row.key,
            version_id=row.version_id,
            uploaded_at=row.uploaded_at.to_pydatetime(),
            label=row.label,
            confidence=float(row.confidence),
            threshold=float(row.threshold),
            scores=_scores(row.classes.split(","), row.probabilities.values()),
        )
        for row in frame.itertuples(index=False)
    ]


def _scores(classes: Sequence[str], probabilities: Sequence[float]) -> dict[str, float]:
    """Return the scores, the highest first. In Athena's text of a map, a class `007` would be a number."""
    pairs = zip(classes, probabilities, strict=True)
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
