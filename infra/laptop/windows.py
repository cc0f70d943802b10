"""A queue's Lambda that takes many messages gets as many at once as its mapping says, after its window.

ministack hands on at most ten messages, and at once. Each outcome then becomes a file of its own, which costs
more than deciding it. A Lambda that takes `_SMALL_BATCH` messages or fewer gets them so, without a window.

While a batch is with its Lambda, the next one grows, and only a full one goes to a second worker: to start it
takes longer than to wait for the first.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ministack.services import lambda_svc, sqs

_SMALL_BATCH = 50
"""Up to here, ministack's batches of ten are near enough. Images that wait for the endpoint stay apart by
them, so that one for which it stays busy does not hold up all others."""
QUIET_S = 0.15
"""On a laptop, where somebody waits for the rows, windows also end as soon as nothing has come for this time,
or nothing can come: no execution is under way."""
_SOON_S = 0.01
"""An alarm of this near may have rung by another clock."""
_BATCH_CHARS = 4_000_000
"""Of all bodies together: an invocation may have 6 MB, in which quotes are escaped."""


def gathering(
    receive: Callable[[str, int], list[dict[str, Any]]], under_way: Collection[str]
) -> Callable[[str, int], list[dict[str, Any]]]:
    """Return ministack's poll of a queue for its Lambda, extended by batching windows and large batches.

    ministack polls when a message comes, and otherwise once a second: the end of a window is another reason.
    `under_way` are the executions that may send more.
    """
    alarms: dict[str, float] = {}  # queue → the time of its latest alarm

    def wrapped(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
        if batch_size <= _SMALL_BATCH:
            return receive(queue_url, batch_size)
        with sqs._queues_lock:
            queue, now = sqs._get_q(queue_url), time.time()
            sqs._expire_retained(queue)
            sqs._dlq_sweep(queue)
            visible = [message for message in queue["messages"] if message.get("visible_at", 0) <= now]
            count = _count_that_fits(visible[:batch_size])
            is_full = count == batch_size or count < len(visible)
            if not visible:
                return []
            came_at = [message.get("visible_at", 0) for message in visible]
            mapping = _mapping_of(queue_url)
            if not is_full and lambda_svc._esm_inflight.get(mapping.get("UUID", "")):
                return []  # its end is a reason to poll
            window_s = int(mapping.get("MaximumBatchingWindowInSeconds", 0))
            ends_at = min(min(came_at) + window_s, max(came_at) + QUIET_S)
            if not is_full and now < ends_at and under_way:
                if alarms.get(queue_url, 0) < now + _SOON_S:  # one that is to come finds out what has changed
                    alarms[queue_url] = ends_at
                    alarm = threading.Timer(ends_at - now, lambda_svc._esm_wake.set)
                    alarm.daemon = True
                    alarm.start()
                return []
            messages: list[dict[str, Any]] = sqs._collect_msgs(
                queue, count, int(queue["attributes"].get("VisibilityTimeout", "30"))
            )
            return messages

    return wrapped


def _count_that_fits(messages: list[dict[str, Any]]) -> int:
    chars = 0
    for number, message in enumerate(messages):
        chars += len(message["body"])
        if number and chars > _BATCH_CHARS:
            return number
    return len(messages)


def _mapping_of(queue_url: str) -> Mapping[str, Any]:
    name = queue_url.rpartition("/")[2]
    for _, _, mapping in lambda_svc._iter_all_esms():
        if mapping["EventSourceArn"].rpartition(":")[2] == name:
            return dict(mapping)
    return {}
