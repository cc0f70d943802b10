"""Redrive: classify again what failed, is missing or waits in a dead-letter queue.

Rows of an upload that count on more than one day are removed from all days but one: see
`analytics.lake.cross_day`.

A message is deleted from its queue only after its replacement is stored. A crash in between repeats work, and
a row that is written twice counts once.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from analytics.lake.aws import ResultsBucket
from analytics.lake.batch import sort_out
from analytics.lake.cross_day import VisibleRow, duplicates, remove_duplicates
from analytics.lake.order import SortKey
from analytics.questions.queries import internal_query
from analytics.reconciliation import IN_FLIGHT, Account, Reconciliation
from infra.operations.answers import engine
from infra.operations.audit import reconciled_of
from infra.operations.backfill import Run, start
from infra.stack import Stack
from ingest.upload import Upload
from ingest.waiting import depth
from workflow.aws import ResultsQueue
from workflow.outcome import Outcome, messages_of

MESSAGES_AT_ONCE = 10_000
"""Most messages of one dead-letter queue, which are held in memory. Run it again for more."""
HOLD_S = 900
"""How long the messages that were read stay invisible to others: longer than a redrive takes."""

_BATCH = 10


@dataclass(frozen=True)
class Message:
    """A message in a dead-letter queue."""

    message_id: str
    receipt_handle: str
    body: str


@dataclass
class Plan:
    """What a redrive does, or would do."""

    failed: int = 0
    """Uploads to classify again because their outcome is `failed`."""
    missing: int = 0
    """Uploads to classify because they have no outcome."""
    waiting: int = 0
    """Images that wait for the endpoint. While there are any, uploads without an outcome are left to them."""
    undelivered: dict[str, tuple[Upload, list[Message]]] = field(default_factory=dict)
    """Events that started no execution, by upload id. Classified unless the upload has an outcome by now."""
    unrecorded: list[Message] = field(default_factory=list)
    """Outcomes that were not written. They are sent to the results queue again."""
    unreadable: list[tuple[str, Message]] = field(default_factory=list)
    """Name of the queue and a message that is neither. It stays in its queue, for people to look at."""

    duplicates: dict[str, dict[str, SortKey]] = field(default_factory=dict)
    """Rows to remove, because the upload's current row is on another day: day → upload id → its sort key."""

    @property
    def doubled(self) -> int:
        """Number of uploads that count on more than one day."""
        return len({upload_id for of_day in self.duplicates.values() for upload_id in of_day})

    @property
    def to_classify(self) -> int:
        """Number of images to classify, once all accounts are read."""
        return self.failed + self.missing


@dataclass(frozen=True)
class Redriven:
    """A plan and the executions that it started."""

    plan: Plan
    runs: list[Run]
    """Executions that were started. A dry run starts none."""


def redrive(stack: Stack, *, apply: bool, in_flight: timedelta = IN_FLIGHT) -> Redriven:
    """Find what has to be done again and, with `apply`, do it.

    Args:
        stack: the system.
        apply: False plans only.
        in_flight: uploads without an outcome that are younger than this are skipped.
    """
    sqs = stack.client("sqs")
    undelivered = DeadLetterQueue(sqs, stack.undelivered_events_url)
    unrecorded = DeadLetterQueue(sqs, stack.unrecorded_outcomes_url)
    try:
        plan = plan_messages(undelivered.read(), unrecorded.read())
        plan.duplicates = duplicates(_visible_rows(stack))
        plan.waiting = depth(sqs, stack.waiting_images_url)
        patience = timedelta.max if plan.waiting else in_flight
        with reconciled_of(stack) as reconciliation:
            again = to_classify(plan, reconciliation, datetime.now(UTC), patience)
            if not apply:
                for _ in again:
                    pass
                return Redriven(plan, [])
            runs = list(start(stack, again))
        remove_duplicates(ResultsBucket(stack.client("s3"), stack.results_bucket), plan.duplicates)
        resend(stack, plan.unrecorded)
        undelivered.delete([message for _, messages in plan.undelivered.values() for message in messages])
        unrecorded.delete(plan.unrecorded)
        return Redriven(plan, runs)
    finally:
        undelivered.release()
        unrecorded.release()


def plan_messages(undelivered: Iterable[Message], unrecorded: Iterable[Message]) -> Plan:
    """Sort messages by what can be done with them."""
    plan = Plan()
    for message in undelivered:
        try:
            upload = Upload.from_event(json.loads(message.body))
        except (ValueError, LookupError, TypeError, AttributeError):
            plan.unreadable.append(("undelivered events", message))
            continue
        plan.undelivered.setdefault(upload.upload_id, (upload, []))[1].append(message)
    for message in unrecorded:
        if sort_out([{"messageId": message.message_id, "body": message.body}]).refused:
            plan.unreadable.append(("unrecorded outcomes", message))
        else:
            plan.unrecorded.append(message)
    return plan


def to_classify(
    plan: Plan, reconciliation: Reconciliation, now: datetime, in_flight: timedelta
) -> Iterator[Upload]:
    """Yield the uploads to classify, and count them in the plan.

    An upload whose outcome is about to be sent again is skipped, unless that outcome is a failure.
    """
    on_their_way = {upload_id for message in plan.unrecorded for upload_id in _settled_by(message)}
    events = {upload_id: upload for upload_id, (upload, _) in plan.undelivered.items()}
    for account in reconciliation.summarized():
        if not isinstance(account, Account):
            continue
        upload_id = account.upload.upload_id
        event = events.pop(upload_id, None)
        if upload_id in on_their_way or not account.is_listed:
            continue
        if account.outcome is Outcome.FAILED:
            plan.failed += 1
            yield account.upload
        elif account.outcome is None and (event or account.is_missing(now, in_flight)):
            plan.missing += 1
            yield event or account.upload
    settled = reconciliation.settled(events.values())
    for upload_id, event in events.items():
        # The version is neither listed nor recorded: classifying it records that the object is gone.
        if upload_id not in on_their_way | settled:
            plan.missing += 1
            yield event


def resend(stack: Stack, messages: Sequence[Message]) -> None:
    """Send outcomes to the results queue again, as they are."""
    queue = ResultsQueue(stack.client("sqs"), stack.results_queue_url)
    queue.send_bodies(message.body for message in messages)


class DeadLetterQueue:
    """The messages of one dead-letter queue, while a redrive holds them."""

    def __init__(self, sqs: "boto3.client", url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._held: dict[str, Message] = {}

    def read(self) -> list[Message]:
        """Return the messages, and keep them invisible to others."""
        while len(self._held) < MESSAGES_AT_ONCE:
            received = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=HOLD_S, WaitTimeSeconds=1
            ).get("Messages", [])
            if not received:
                break
            for each in received:
                self._held[each["MessageId"]] = Message(
                    each["MessageId"], each["ReceiptHandle"], each["Body"]
                )
        return list(self._held.values())

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages from the queue."""
        self._each_batch(
            messages,
            lambda entries: self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries),
        )
        for message in messages:
            del self._held[message.message_id]

    def release(self) -> None:
        """Make the remaining messages visible again."""
        self._each_batch(
            list(self._held.values()),
            lambda entries: self._sqs.change_message_visibility_batch(
                QueueUrl=self._url, Entries=[{**entry, "VisibilityTimeout": 0} for entry in entries]
            ),
        )
        self._held.clear()

    @staticmethod
    def _each_batch(messages: Sequence[Message], call: Callable[[list[dict[str, Any]]], Any]) -> None:
        # A message for which the call fails is visible again after HOLD_S. Handling it twice changes nothing.
        for first in range(0, len(messages), _BATCH):
            call(
                [
                    {"Id": str(number), "ReceiptHandle": message.receipt_handle}
                    for number, message in enumerate(messages[first : first + _BATCH])
                ]
            )


def _visible_rows(stack: Stack) -> list[VisibleRow]:
    with engine(stack) as answers:
        frame = answers.query(internal_query("seen_on_several_days")).frame
    return [VisibleRow(**row) for row in frame.astype(object).where(frame.notna(), None).to_dict("records")]


def _settled_by(message: Message) -> Iterator[str]:
    """Yield the ids of the uploads for which a message has an outcome other than a failure."""
    for outcome in messages_of(message.body):
        if outcome["outcome"] != Outcome.FAILED:
            yield Upload.from_event(outcome["event"]).upload_id
