"""The sheets of a stack: the images to label, and their pictures from the incoming bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from analytics.athena.engine import Engine
from analytics.questions.queries import CONSOLE_DAYS
from analytics.review.sheet import PICTURE_PX, Queue, review_queue, sheet
from analytics.review.thumbnails import small_jpeg
from infra.operations.deployed import deployed_policy
from infra.operations.original import original
from infra.stack import Stack

FILE = "review.html"


@dataclass(frozen=True)
class Reviewed:
    """The images that wait, and the sheet's page, if there are any."""

    queue: Queue
    page: Path | None


def review(
    stack: Stack, answers: Engine, since: date | None, until: date | None, sample: int, folder: Path
) -> Reviewed:
    """Write the sheet of images that wait for a person.

    Args:
        stack: whose images.
        answers: its engine.
        since: UTC date of the first uploads; None goes back four weeks, as the saved queries do.
        until: UTC date of the last uploads; None stands for today.
        sample: how many accepted images to add.
        folder: where the page goes.
    """
    today = datetime.now(UTC).date()
    queue = review_queue(answers, since or today - timedelta(days=CONSOLE_DAYS), until or today, sample)
    return Reviewed(queue, write_sheet(stack, queue, folder / FILE))


def write_sheet(stack: Stack, queue: Queue, page: Path) -> Path | None:
    """Write the page of some images and return its path; without images there is none."""
    if not queue.images:
        return None
    page.parent.mkdir(parents=True, exist_ok=True)
    classes = deployed_policy(stack.client, stack.name).classes
    text = sheet(queue, list(_pictures(stack, queue)), classes, datetime.now(UTC))
    page.write_text(text, encoding="utf-8")
    return page


def _pictures(stack: Stack, queue: Queue) -> Iterator[bytes | None]:
    """Yield the pictures one by one: an original may take 200 MB while it is decoded."""
    s3 = stack.client("s3")
    for image in queue.images:
        yield small_jpeg(original(s3, image.bucket, image.key, image.version_id), PICTURE_PX)
