"""Decides a batch of images that waited for the endpoint. Pure, but for the steps that it is given."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest.upload import Upload, utc_text
from workflow.batch import Steps
from workflow.errors import EndpointBusy, EndpointFault
from workflow.manifest import BATCH_BYTES
from workflow.outcome import Outcome, caught

FIRST_PAUSE_S = 5
"""Wait after an image's first attempt. From then on it waits for the queue's visibility timeout. A short peak
is over by then, and an outage costs one attempt per timeout."""


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

    @property
    def shown_soon(self) -> list[str]:
        """Receipt handles of the images that found no capacity for the first time."""
        return [
            record["receiptHandle"]
            for record in self.waiting
            if record["attributes"]["ApproximateReceiveCount"] == "1"
        ]


def decide_waiting(steps: Steps, records: Sequence[Mapping[str, Any]]) -> Decided:
    """Decide images that wait: the body of each record is the upload's event.

    If the model fails for all of them, they end as `failed`, as an image does that is asked about alone. A
    message that is not JSON goes on waiting, until the dead-letter queue takes it.
    """
    unreadable = [record for record in records if not _is_json(record["body"])]
    records = [record for record in records if _is_json(record["body"])]
    decided = [each for some in _bounded(records) for each in _decide(steps, some)]
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


def _bounded(records: Sequence[Mapping[str, Any]]) -> Iterator[list[tuple[Any, str]]]:
    """Yield events and executions in parts whose originals fit into memory at once."""
    part: list[tuple[Any, str]] = []
    part_bytes = 0
    for record in records:
        event = json.loads(record["body"])
        size_bytes = _size_bytes(event)
        if part and part_bytes + size_bytes > BATCH_BYTES:
            yield part
            part, part_bytes = [], 0
        part.append((event, _execution_arn(record)))
        part_bytes += size_bytes
    if part:
        yield part


def _decide(steps: Steps, part: Sequence[tuple[Any, str]]) -> list[dict[str, Any] | EndpointBusy]:
    events, execution_arns = [event for event, _ in part], [arn for _, arn in part]
    try:
        return steps.run_each(events, execution_arns)
    except EndpointFault as fault:
        at = utc_text(datetime.now(UTC), "milliseconds")
        failed = {"decided_at": at, "outcome": Outcome.FAILED, "image": None, "prediction": None}
        return [
            {"event": event, "execution_arn": arn, "error": caught(fault), **failed} for event, arn in part
        ]


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
