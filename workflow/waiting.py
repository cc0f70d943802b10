"""Decides a batch of images that waited for the endpoint. Pure, but for the steps that it is given."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ingest.upload import utc_text
from workflow.batch import Steps
from workflow.errors import EndpointBusy, EndpointFault
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

    If the model fails for all of them, they end as `failed`, as an image does that is asked about alone.

    Raises:
        ValueError: a message is not JSON; all of them go on waiting.
    """
    events = [json.loads(record["body"]) for record in records]
    execution_arns = [_execution_arn(record) for record in records]
    try:
        decided = steps.run_each(events, execution_arns)
    except EndpointFault as fault:
        at = utc_text(datetime.now(UTC), "milliseconds")
        failed = {"decided_at": at, "outcome": Outcome.FAILED, "image": None, "prediction": None}
        decided = [
            {"event": event, "execution_arn": arn, "error": caught(fault), **failed}
            for event, arn in zip(events, execution_arns, strict=True)
        ]
    return Decided(
        messages=[each for each in decided if not isinstance(each, EndpointBusy)],
        waiting=[
            record for record, each in zip(records, decided, strict=True) if isinstance(each, EndpointBusy)
        ],
    )


def _execution_arn(record: Mapping[str, Any]) -> str:
    """Return the execution that let the image wait; a message that was sent by hand names none."""
    attribute = record["messageAttributes"].get("execution_arn", {})
    return str(attribute.get("stringValue", record["messageId"]))
