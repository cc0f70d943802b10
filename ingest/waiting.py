"""Whether an image is to wait with others, before it is read. Pure, but for what counts them."""

import time
from collections.abc import Callable
from typing import Any

from ingest.errors import OthersWait

COUNT_EVERY_S = 30.0
"""So long a container relies on its latest count. Counting for each image would make it 7 % dearer."""
MANY_WAIT = 100
"""Waiting images that others join: two batches, more than a short peak leaves behind."""


class WaitingQueue:
    """The queue of images that wait for the endpoint, as a container knows it.

    Where many wait, the endpoint is down or behind. Another image would be read in vain, or take the
    endpoint's time from those that came before. In the queue, it also costs less: it is decided with others.
    """

    def __init__(self, count: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._clock = clock
        self._waiting = 0
        self._counted_at_s = clock()  # counting at once would prolong cold starts

    def check(self) -> None:
        """Let an image go on, or wait.

        Raises:
            OthersWait: at the latest count, `MANY_WAIT` images or more were waiting.
        """
        if self._clock() - self._counted_at_s >= COUNT_EVERY_S:
            self._counted_at_s = self._clock()
            self._waiting = self._count()
        if self._waiting >= MANY_WAIT:
            raise OthersWait(f"{self._waiting:,} images wait for the endpoint, and this one with them")


def depth(sqs: Any, url: str) -> int:
    """Return the number of messages in a queue, with those that a consumer holds."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)
