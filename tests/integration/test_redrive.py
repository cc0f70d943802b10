"""A redrive deletes a message only when what comes in its place is safe, wherever it ends."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pandas as pd
import pytest
from moto import mock_aws

from analytics.lake.cross_day import VisibleRow, duplicates
from analytics.questions.queries import internal_query
from analytics.reconciliation import Account
from infra.operations.backfill import Run
from infra.operations.redrive import Message, _visible_rows, redrive, resend
from ingest.waiting import depth
from tests.builders import a_message, an_event, an_upload
from tests.builders_audit import FakeReconciliation

STEPS = ("start", "remove_duplicates", "resend")
S3 = object()
AT = datetime(2026, 11, 16, 23, 59, tzinfo=UTC)
ON_TWO_DAYS = [
    VisibleRow("u", "2026-11-16", "accepted", AT, "r", "arn"),
    VisibleRow("u", "2026-11-17", "failed", AT, "s", None),
]


class Ended(Exception):
    """The process ends here."""


@dataclass(frozen=True)
class Queues:
    """The two dead-letter queues, with a message each that can be redriven, and one that cannot."""

    stack: Any
    sqs: Any

    def waiting(self) -> tuple[int, int]:
        """Return how many messages are in each of them, those that are held included."""
        urls = (self.stack.undelivered_events_url, self.stack.unrecorded_outcomes_url)
        return depth(self.sqs, urls[0]), depth(self.sqs, urls[1])

    def held(self) -> int:
        """Return how many are invisible to others."""
        name = "ApproximateNumberOfMessagesNotVisible"
        return sum(
            int(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])
            for url in (self.stack.undelivered_events_url, self.stack.unrecorded_outcomes_url)
        )


@pytest.fixture
def queues() -> Iterator[Queues]:
    with mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1")
        urls = [
            sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("undelivered", "unrecorded", "waiting")
        ]
        sqs.send_message(QueueUrl=urls[0], MessageBody=json.dumps(an_event("undelivered.png")))
        for body in (json.dumps(a_message("accepted", an_event("unrecorded.png"))), "not an outcome"):
            sqs.send_message(QueueUrl=urls[1], MessageBody=body)
        stack = SimpleNamespace(
            client={"sqs": sqs, "s3": S3}.__getitem__,
            undelivered_events_url=urls[0],
            unrecorded_outcomes_url=urls[1],
            waiting_images_url=urls[2],
            results_bucket="results",
            results_queue_url=sqs.create_queue(QueueName="results")["QueueUrl"],
        )
        yield Queues(stack, sqs)


@pytest.fixture
def seen(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Take the place of the steps; note which messages there are while each of them runs."""
    seen: dict[str, tuple[int, int]] = {}

    def start(stack: Any, uploads: Any) -> Iterator[Run]:
        assert stack is queues.stack
        assert [upload.key for upload in uploads] == ["undelivered.png"]
        seen["start"] = queues.waiting()
        yield Run("arn", "manifest", 1)

    def remove_duplicates(files: Any, days: Any) -> None:
        assert (files._s3, files.name) == (S3, "results")
        assert days == duplicates(ON_TWO_DAYS)
        seen["remove_duplicates"] = queues.waiting()

    def resend(stack: Any, messages: Any) -> None:
        assert stack is queues.stack
        assert [json.loads(each.body)["outcome"] for each in messages] == ["accepted"]
        seen["resend"] = queues.waiting()

    def of_the_stack(answer: Any) -> Any:
        return lambda stack: answer if stack is queues.stack else None

    monkeypatch.setattr("infra.operations.redrive._visible_rows", of_the_stack(ON_TWO_DAYS))
    monkeypatch.setattr(
        "infra.operations.redrive.reconciled_of", of_the_stack(nullcontext(FakeReconciliation()))
    )
    for step in (start, remove_duplicates, resend):
        monkeypatch.setattr(f"infra.operations.redrive.{step.__name__}", step)
    return seen


def test_a_message_is_there_until_all_steps_are_done(
    queues: Queues, seen: dict[str, tuple[int, int]]
) -> None:
    done = redrive(queues.stack, apply=True)
    assert seen == dict.fromkeys(STEPS, (1, 2))
    assert [run.execution_arn for run in done.runs] == ["arn"]
    assert (done.plan.to_classify, len(done.plan.unreadable)) == (1, 1)
    assert queues.waiting() == (0, 1)  # what is not an outcome stays, for people
    assert queues.held() == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_redrive_that_ends_early_leaves_every_message_to_the_next_one(
    queues: Queues, seen: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def end(*_: Any) -> None:
        raise Ended

    monkeypatch.setattr(f"infra.operations.redrive.{step}", end)
    with pytest.raises(Ended):
        redrive(queues.stack, apply=True)
    assert queues.waiting() == (1, 2)
    assert queues.held() == 0


def test_while_images_wait_no_upload_counts_as_missing(
    queues: Queues, seen: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be classified twice: SQS does not say which images wait."""
    old = Account(an_upload(key="old.png", uploaded_at=datetime(2020, 1, 1, tzinfo=UTC)), True, None, 0)
    monkeypatch.setattr(
        "infra.operations.redrive.reconciled_of", lambda stack: nullcontext(FakeReconciliation(old))
    )
    assert redrive(queues.stack, apply=False).plan.missing == 2
    queues.sqs.send_message(QueueUrl=queues.stack.waiting_images_url, MessageBody="{}")
    plan = redrive(queues.stack, apply=False).plan
    assert (plan.waiting, plan.missing) == (1, 1)  # the undelivered event is known to be no such image


def test_a_plan_changes_nothing(queues: Queues, seen: dict[str, tuple[int, int]]) -> None:
    planned = redrive(queues.stack, apply=False)
    assert (planned.plan.to_classify, planned.runs, seen) == (1, [], {})
    assert queues.waiting() == (1, 2)
    assert queues.held() == 0


def test_outcomes_are_sent_again_as_they_are(queues: Queues) -> None:
    bodies = [json.dumps(a_message("accepted", an_event(f"{number}.png"))) for number in range(12)]
    resend(queues.stack, [Message(f"id-{number}", "handle", body) for number, body in enumerate(bodies)])
    received = []
    while found := queues.sqs.receive_message(
        QueueUrl=queues.stack.results_queue_url, MaxNumberOfMessages=10, VisibilityTimeout=60
    ).get("Messages"):
        received += [message["Body"] for message in found]
    assert sorted(received) == sorted(bodies)


def test_rows_that_readers_see_have_none_where_the_answer_has_null(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 11, 16, 23, 59)  # noqa: DTZ001 - as in the table
    frame = pd.DataFrame(
        {
            "upload_id": ["u", "u"],
            "dt": ["2026-11-16", "2026-11-17"],
            "outcome": ["accepted", "failed"],
            "decided_at": [at, at],
            "result_id": ["r", "s"],
            "execution_arn": ["arn", None],
        }
    )
    stack, asked = SimpleNamespace(), []

    def answer(sql: str) -> Any:
        asked.append(sql)
        return SimpleNamespace(frame=frame)

    @contextmanager
    def engine(of: Any) -> Iterator[Any]:
        assert of is stack
        yield SimpleNamespace(query=answer)

    monkeypatch.setattr("infra.operations.redrive.engine", engine)
    assert _visible_rows(stack) == [  # type: ignore[arg-type]
        VisibleRow("u", "2026-11-16", "accepted", at, "r", "arn"),
        VisibleRow("u", "2026-11-17", "failed", at, "s", None),
    ]
    assert asked == [internal_query("seen_on_several_days")]
