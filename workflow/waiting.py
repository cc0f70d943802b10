"""Decides a batch of images that waited for the endpoint. Pure, but for the steps that it is given."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.upload import Upload
from workflow.batch import Steps
from workflow.errors import EndpointBusy

FIRST_PAUSE_S = 5
"""Least wait after an image's first attempt. From then on it waits for the queue's visibility timeout. A
short peak is over by then, and an outage costs one attempt per timeout."""
SPREAD_S = 10
"""So much longer the last of a batch waits. It parts images that were tried together, two of them for longer
than the queue gathers: one for which the endpoint stays busy would hold up the same others for ever."""
PART_BYTES = 16 * 1024 * 1024
"""Originals that are decided at once. What has been decided of a batch is kept when its time is over."""
RESERVE_S = 25.0
"""Time that must be left for another part: to decode it, to ask the endpoint, and to send the outcomes."""
FEW = 10
"""Images whose waiting one request to SQS changes."""
LEAST_SHARE = 0.7
"""Least share of the usual time that one of few waits. Of five minutes, the rest is longer than the longest
pause of the breaker."""


def first_pauses_s(images: int) -> list[int]:
    """Return how long each image of a batch waits that found no capacity for the first time."""
    apart_s = SPREAD_S / max(images - 1, 1)
    return [FIRST_PAUSE_S + round(place * apart_s) for place in range(images)]


@dataclass(frozen=True)
class Decided:
    """What became of a batch of SQS records."""

    messages: list[dict[str, Any]]
    """Outcome messages of the images that were decided."""
    waiting: list[Mapping[str, Any]]
    """Records of the images that go on waiting."""

    @property
    def waiting_ids(self) -> list[str]:
        """Message ids of the images that go on waiting."""
        return [record["messageId"] for record in self.waiting]

    def shown_again(self, usual_s: int) -> dict[str, int]:
        """Receipt handles → seconds to wait, of the images that do not wait for the queue's usual time.

        Those that found no capacity for the first time come back soon. A few others come back in another
        order each time. Otherwise, one for which the endpoint stays busy would be the first one each time,
        and the endpoint left alone when the others come.
        """
        first: list[str] = []
        others: list[str] = []
        for record in self.waiting:
            is_first = record["attributes"]["ApproximateReceiveCount"] == "1"
            (first if is_first else others).append(record["receiptHandle"])
        soon = dict(zip(first, first_pauses_s(len(first)), strict=True))
        if len(others) > FEW:
            return soon
        return soon | {handle: round(usual_s * random.uniform(LEAST_SHARE, 1)) for handle in others}


def decide_waiting(
    steps: Steps, records: Sequence[Mapping[str, Any]], left_s: Callable[[], float]
) -> Decided:
    """Decide images that wait: the body of each record is the upload's event.

    `left_s` returns the seconds that are left for the batch: the images that they do not suffice for go on
    waiting. So does a message that is not JSON, until the dead-letter queue takes it.
    """
    unreadable = [record for record in records if not _is_json(record["body"])]
    records = [record for record in records if _is_json(record["body"])]
    decided: list[dict[str, Any] | EndpointBusy] = []
    for events, execution_arns in _parts(records):
        if left_s() < RESERVE_S:
            decided += [EndpointBusy("no time is left")] * len(events)
        else:
            decided += steps.run_each(events, execution_arns)
    return Decided(
        messages=[each for each in decided if not isinstance(each, EndpointBusy)],
        waiting=[
            *unreadable,
            *(
                record
                for record, each in zip(records, decided, strict=True)
                if isinstance(each, EndpointBusy)
            ),
        ],
    )


def _parts(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[Any], list[str]]]:
    """Yield events and their executions, in parts of bounded size."""
    events: list[Any] = []
    execution_arns: list[str] = []
    part_bytes = 0
    for record in records:
        event = json.loads(record["body"])
        size_bytes = _size_bytes(event)
        if events and part_bytes + size_bytes > PART_BYTES:
            yield events, execution_arns
            events, execution_arns, part_bytes = [], [], 0
        events.append(event)
        execution_arns.append(_execution_arn(record))
        part_bytes += size_bytes
    if events:
        yield events, execution_arns


def _size_bytes(event: Any) -> int:
    try:
        return Upload.from_event(event).size_bytes
    except (LookupError, TypeError, ValueError):  # it ends as a message that Record refuses
        return 0


def _is_json(body: str) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _execution_arn(record: Mapping[str, Any]) -> str:
    """Return the execution that let the image wait; a message that was sent by hand names none."""
    attribute = record["messageAttributes"].get("execution_arn", {})
    return str(attribute.get("stringValue", record["messageId"]))
