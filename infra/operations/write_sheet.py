"""The review sheet of a stack: the images that wait, and their pictures from the incoming bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from analytics.athena.engine import Engine
from analytics.questions.queries import CONSOLE_DAYS
from analytics.review.sheet import PICTURE_PX, Queue, review_queue, sheet
from analytics.review.thumbnails import small_jpeg
from infra.operations.write_report import original
from infra.stack import Stack

FILE = "review.html"


@dataclass(frozen=True)
class Reviewed:
    """The images that wait, and the sheet's page, if there are any."""

    queue: Queue
    page: Path | None


def review(stack: Stack, answers: Engine, since: date | None, sample: int, folder: Path) -> Reviewed:
    """Write the sheet of images that wait for a person.

    Args:
        stack: whose images.
        answers: its engine.
        since: UTC date of the first uploads; None goes back four weeks, as the saved queries do.
        sample: how many accepted images to add.
        folder: where the page goes.
    """
    now = datetime.now(UTC)
    queue = review_queue(answers, since or now.date() - timedelta(days=CONSOLE_DAYS), now.date(), sample)
    if not queue.images:
        return Reviewed(queue, None)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / FILE
    page.write_text(sheet(queue, list(_pictures(stack, queue)), now), encoding="utf-8")
    return Reviewed(queue, page)


def _pictures(stack: Stack, queue: Queue) -> Iterator[bytes | None]:
    """Yield the pictures one by one: an original may take 200 MB while it is decoded."""
    s3 = stack.client("s3")
    for image in queue.images:
        yield small_jpeg(original(s3, image.bucket, image.key, image.version_id), PICTURE_PX)
