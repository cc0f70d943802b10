"""Redrive: what failed, is missing, or lies in a dead-letter queue, once more through the manifest.

And what readers see on more than one day is taken out of all but one: see `analytics.lake.cross_day`.

Nothing is taken out of a queue before what comes in its place is safe: a crash in between does a thing twice,
and a row that is written twice counts once.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from analytics.lake.aws import ResultsBucket
from analytics.lake.batch import sort_out
from analytics.lake.cross_day import SIGHTINGS_SQL, Sighting, strays, take_out
from analytics.lake.merge import Place
from analytics.lake.reconciliation import IN_FLIGHT, Account
from infra.operations.answers import engine
from infra.operations.audit import accounts_of
from infra.operations.backfill import Run, start
from infra.stack import Stack
from ingest.upload import Upload
from workflow.aws import ResultsQueue
from workflow.outcome import Outcome, messages_of

LETTERS_AT_ONCE = 10_000
"""Of each dead-letter queue; run it again for more. They are held in memory."""
HOLD_S = 900
"""How long nobody else sees the letters that were read: longer than a redrive takes."""

_BATCH = 10


@dataclass(frozen=True)
class Letter:
    """A message in a dead-letter queue."""

    message_id: str
    receipt_handle: str
    body: str


@dataclass
class Plan:
    """What a redrive does."""

    failed: int = 0
    """Uploads whose outcome is `failed`, to be classified again."""
    missing: int = 0
    """Uploads without an outcome, to be classified."""
    undelivered: dict[str, tuple[Upload, list[Letter]]] = field(default_factory=dict)
    """Events that started no execution, by upload id; classified unless the upload has an outcome by now."""
    unrecorded: list[Letter] = field(default_factory=list)
    """Outcomes that were not written, to be sent to the queue again."""
    unreadable: list[tuple[str, Letter]] = field(default_factory=list)
    """Queue → a letter that is neither; it stays where it is, for people."""

    strays: dict[str, dict[str, Place]] = field(default_factory=dict)
    """Rows of uploads that count on another day; day → upload id → the place of the row that counts."""

    @property
    def doubled(self) -> int:
        """Uploads that are seen on more than one day."""
        return len({upload_id for of_day in self.strays.values() for upload_id in of_day})

    @property
    def to_classify(self) -> int:
        """Images, once all accounts have been looked at."""
        return self.failed + self.missing


@dataclass(frozen=True)
class Redriven:
    """What was planned, and what came of it."""

    plan: Plan
    runs: list[Run]
    """Executions that were started; none in a dry run."""


def redrive(stack: Stack, *, apply: bool, in_flight: timedelta = IN_FLIGHT) -> Redriven:
    """Find what has to be done again, and, with `apply`, do it.

    Args:
        stack: where.
        apply: False says only what would be done.
        in_flight: uploads that are younger and have no outcome are left alone.
    """
    sqs = stack.client("sqs")
    undelivered = Letters(sqs, stack.undelivered_events_url)
    unrecorded = Letters(sqs, stack.unrecorded_outcomes_url)
    try:
        plan = plan_letters(undelivered.read(), unrecorded.read())
        plan.strays = strays(_sightings(stack))
        again = to_classify(plan, accounts_of(stack), datetime.now(UTC), in_flight)
        if not apply:
            for _ in again:
                pass
            return Redriven(plan, [])
        runs = list(start(stack, again))
        take_out(ResultsBucket(stack.client("s3"), stack.results_bucket), plan.strays)
        resend(stack, plan.unrecorded)
        undelivered.delete([letter for _, letters in plan.undelivered.values() for letter in letters])
        unrecorded.delete(plan.unrecorded)
        return Redriven(plan, runs)
    finally:
        undelivered.release()
        unrecorded.release()


def plan_letters(undelivered: Iterable[Letter], unrecorded: Iterable[Letter]) -> Plan:
    """Tell apart what can be done with letters."""
    plan = Plan()
    for letter in undelivered:
        try:
            upload = Upload.from_event(json.loads(letter.body))
        except (ValueError, LookupError, TypeError, AttributeError):
            plan.unreadable.append(("undelivered events", letter))
            continue
        plan.undelivered.setdefault(upload.upload_id, (upload, []))[1].append(letter)
    for letter in unrecorded:
        if sort_out([{"messageId": letter.message_id, "body": letter.body}]).refused:
            plan.unreadable.append(("unrecorded outcomes", letter))
        else:
            plan.unrecorded.append(letter)
    return plan


def to_classify(
    plan: Plan, accounts: Iterable[Account], now: datetime, in_flight: timedelta
) -> Iterator[Upload]:
    """Yield the uploads that have to be classified (again), and count them in the plan.

    An upload whose outcome is about to be sent again is left out, unless that outcome is a failure.
    """
    on_their_way = {upload_id for letter in plan.unrecorded for upload_id in _settled_by(letter)}
    events = {upload_id: upload for upload_id, (upload, _) in plan.undelivered.items()}
    for account in accounts:
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
    for upload_id, event in events.items():
        # No such version is listed any more, and none is recorded: it is to be recorded that it has gone.
        if upload_id not in on_their_way:
            plan.missing += 1
            yield event


def resend(stack: Stack, letters: Sequence[Letter]) -> None:
    """Send outcomes to the results queue again, as they are."""
    queue = ResultsQueue(stack.client("sqs"), stack.results_queue_url)
    queue.send_bodies(letter.body for letter in letters)


class Letters:
    """The letters of one dead-letter queue, while a redrive holds them."""

    def __init__(self, sqs: "boto3.client", url: str) -> None:
        self._sqs = sqs
        self._url = url
        self._held: dict[str, Letter] = {}

    def read(self) -> list[Letter]:
        """Return the letters, and hold them."""
        while len(self._held) < LETTERS_AT_ONCE:
            received = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_BATCH, VisibilityTimeout=HOLD_S, WaitTimeSeconds=1
            ).get("Messages", [])
            if not received:
                break
            for message in received:
                letter = Letter(message["MessageId"], message["ReceiptHandle"], message["Body"])
                self._held[letter.message_id] = letter
        return list(self._held.values())

    def delete(self, letters: Sequence[Letter]) -> None:
        """Take letters out of the queue."""
        self._each_batch(
            letters,
            lambda entries: self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries),
        )
        for letter in letters:
            del self._held[letter.message_id]

    def release(self) -> None:
        """Let others see the letters that are left."""
        self._each_batch(
            list(self._held.values()),
            lambda entries: self._sqs.change_message_visibility_batch(
                QueueUrl=self._url, Entries=[{**entry, "VisibilityTimeout": 0} for entry in entries]
            ),
        )
        self._held.clear()

    @staticmethod
    def _each_batch(letters: Sequence[Letter], call: Callable[[list[dict[str, Any]]], Any]) -> None:
        # A letter for which the call fails is seen again after HOLD_S: it is then done twice, or nothing.
        for first in range(0, len(letters), _BATCH):
            call(
                [
                    {"Id": str(number), "ReceiptHandle": letter.receipt_handle}
                    for number, letter in enumerate(letters[first : first + _BATCH])
                ]
            )


def _sightings(stack: Stack) -> list[Sighting]:
    with engine(stack) as answers:
        frame = answers.query(SIGHTINGS_SQL).frame
    return [Sighting(**row) for row in frame.astype(object).where(frame.notna(), None).to_dict("records")]


def _settled_by(letter: Letter) -> Iterator[str]:
    """Yield the ids of the uploads of which a letter has an outcome that is no failure."""
    for message in messages_of(letter.body):
        if message["outcome"] != Outcome.FAILED:
            yield Upload.from_event(message["event"]).upload_id
