"""The images that the console shows, and what has changed since a browser last heard. Pure."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analytics.lake.order import SortKey, sort_key
from analytics.text import visible
from ingest.upload import Upload

MOST_IMAGES = 10_000
"""Most images on the board; those that changed longest ago make room."""

_SCORES = 5
"""Most scores of an image that are sent, the highest first."""


@dataclass
class _Image:
    upload: Upload
    changed: int
    """Number of the change that it had last."""
    row: Mapping[str, Any] | None = None
    rank: SortKey | None = None
    """Of the row, among the rows of the image: the view's order, the smallest wins."""


class Board:
    """Images by their upload, in the order of their last change.

    Each change has a number. A browser that names the last one it has heard of gets all images that have
    changed since, as they are now: nothing has to be kept for it, however long it was away.
    """

    def __init__(self, most: int = MOST_IMAGES) -> None:
        self.changes = 0
        """Number of the last change."""
        self._most = most
        self._images: OrderedDict[str, _Image] = OrderedDict()

    def uploaded(self, upload: Upload) -> str:
        """Note that an image is in the bucket; return its id on the board."""
        if upload.upload_id not in self._images:
            self._change(upload.upload_id, _Image(upload, 0))
        return _short(upload.upload_id)

    def decided(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of the table, in any order, some of them perhaps again."""
        for row in rows:
            rank = sort_key(row["outcome"], row["decided_at"], row["result_id"], row["execution_arn"])
            image = self._images.get(row["upload_id"]) or _Image(_upload_of(row), 0)
            if image.rank is None or rank < image.rank:
                image.row, image.rank = row, rank
                self._change(row["upload_id"], image)

    def since(self, change: int, most: int) -> tuple[list[dict[str, Any]], int]:
        """Return images that have changed after a change, the earliest first, and the last one's change."""
        found: list[_Image] = []
        for image in reversed(self._images.values()):
            if image.changed <= change:
                break
            found.append(image)
        some = found[::-1][:most]
        return [facts(image.upload, image.row) for image in some], some[-1].changed if some else change

    def _change(self, upload_id: str, image: _Image) -> None:
        self.changes += 1
        image.changed = self.changes
        self._images[upload_id] = image
        self._images.move_to_end(upload_id)
        if len(self._images) > self._most:
            self._images.popitem(last=False)


def facts(upload: Upload, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an image for a browser: `key` is exact, what is for people is printable. Times are in ms."""
    said: dict[str, Any] = {
        "id": _short(upload.upload_id),
        "key": upload.key,
        "name": visible(upload.key),
        "version": upload.version_id,
        "size": upload.size_bytes,
        "at": _ms(upload.uploaded_at),
    }
    if row is None:
        return said
    scores = sorted(row["probabilities"] or (), key=lambda pair: (-pair[1], pair[0]))[:_SCORES]
    return {
        **said,
        "outcome": row["outcome"],
        "decided": _ms(row["decided_at"]),
        "label": row["label"] and visible(row["label"]),
        "confidence": row["confidence"],
        "threshold": row["threshold"],
        "scores": [[visible(name), round(score, 4)] for name, score in scores],
        "reason": row["reason"] and visible(row["reason"]),
        "detail": row["detail"] and visible(row["detail"]),
    }


def _upload_of(row: Mapping[str, Any]) -> Upload:
    return Upload(
        bucket=row["bucket"],
        key=row["key"],
        version_id=row["version_id"],
        etag=row["etag"] or "",
        sequencer="",
        size_bytes=row["size_bytes"] or 0,
        uploaded_at=row["uploaded_at"],
    )


def _short(upload_id: str) -> str:
    return upload_id[:20]


def _ms(at: datetime) -> int:
    return round(at.replace(tzinfo=UTC).timestamp() * 1_000)
