"""What is in flight when the laptop's system stops is counted, waited for, and classified after a start."""

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from analytics.reconciliation import Account
from infra.cli.main import main
from infra.operations import in_flight as module
from infra.operations.in_flight import InFlight, in_flight, resume, wait
from ingest.upload import Upload
from tests.builders_audit import FakeReconciliation
from workflow.outcome import Outcome

NUMBERS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class FakeStack:
    """A system with running executions, by state machine, and messages in the results queue."""

    state_machine_arn, backfill_state_machine_arn = "images", "backfill"
    results_queue_url, waiting_images_url, incoming_bucket = "results", "waiting", "incoming"

    def __init__(self, running: dict[str, list[int]], messages: list[int], versions: Any = ()) -> None:
        self.running, self.messages, self.versions = running, messages, versions

    waiting = 0

    def client(self, service: str, timeout_s: float | None = None) -> Any:
        return {
            "sqs": SimpleNamespace(get_queue_attributes=self._attributes),
            "stepfunctions": SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=self._pages)),
            "s3": SimpleNamespace(list_object_versions=lambda **_: dict(self.versions)),
        }[service]

    def _attributes(self, QueueUrl: str, **_: Any) -> Any:
        if QueueUrl == "waiting":
            return {"Attributes": {**dict.fromkeys(NUMBERS, "0"), NUMBERS[0]: str(self.waiting)}}
        waiting = self.messages.pop(0) if len(self.messages) > 1 else self.messages[0]
        return {"Attributes": dict(zip(NUMBERS, (str(waiting), "0"), strict=True))}

    def _pages(self, stateMachineArn: str, statusFilter: str) -> Any:
        assert statusFilter == "RUNNING"
        counts = self.running[stateMachineArn]
        count = counts.pop(0) if len(counts) > 1 else counts[0]
        return [{"executions": [{}] * (count // 2)}, {"executions": [{}] * (count - count // 2)}]


def system(running: dict[str, list[int]], messages: list[int], versions: Any = ()) -> Any:
    return FakeStack(running, messages, versions)


def test_executions_and_waiting_outcomes_are_in_flight() -> None:
    stack = system({"images": [5], "backfill": [1]}, [3])
    assert in_flight(stack) == InFlight(8, 1)
    stack.waiting = 4
    assert in_flight(stack) == InFlight(12, 1)
    assert str(InFlight(1_200, 1)) == "1,200 images and 1 backfill"
    assert str(InFlight(1, 0)) == "1 image"
    assert str(InFlight(0, 2)) == "2 backfills"
    assert not in_flight(system({"images": [0], "backfill": [0]}, [0]))


def test_a_stop_waits_until_nothing_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0)
    stack = system({"images": [2, 1, 0], "backfill": [1, 1, 1, 0]}, [0, 1, 1, 1, 0])
    assert wait(stack) == InFlight(0, 0)
    assert stack.messages == [0]


def test_a_stop_does_not_wait_for_ever() -> None:
    assert wait(system({"images": [2], "backfill": [0]}, [0]), timeout_s=0) == InFlight(2, 0)


def account(key: str, outcome: Outcome | None, *, is_listed: bool = True) -> Account:
    upload = Upload("incoming", key, "v", "e", "", 1, datetime(2026, 11, 2, tzinfo=UTC))
    return Account(upload, is_listed, outcome, outcomes=int(outcome is not None))


@pytest.mark.parametrize("kind", ["Versions", "DeleteMarkers"])
def test_a_start_classifies_what_has_no_outcome_once_the_queue_is_written(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stack = system({}, [4, 1, 0], {kind: [{}]})
    started: list[str] = []

    def accounts(_: Any) -> Any:
        assert stack.messages == [0], "an outcome was still to be written"
        return nullcontext(
            FakeReconciliation(
                account("accepted", Outcome.ACCEPTED),
                account("failed", Outcome.FAILED),
                account("in flight", None),
                account("deleted", None, is_listed=False),
                account("in flight too", None),
            )
        )

    monkeypatch.setattr(module, "POLL_S", 0)

    def start(_: Any, uploads: Any) -> Any:
        for each in uploads:
            started.append(each.key)
            yield

    monkeypatch.setattr("infra.operations.audit.reconciled_of", accounts)
    monkeypatch.setattr("infra.operations.backfill.start", start)
    assert resume(stack) == 2
    assert started == ["in flight", "in flight too"]


def test_a_start_on_an_empty_bucket_looks_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.operations.audit.reconciled_of", None)
    assert resume(system({}, [0])) == 0


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (InFlight(0, 0), None, ""),
        (InFlight(3, 0), InFlight(0, 0), ""),
        (InFlight(3, 0), InFlight(2, 1), "Stopped with 2 images and 1 backfill in flight:"),
        (InFlight(3, 0), KeyboardInterrupt(), "Stopped with 3 images in flight:"),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1"), None, ""),
    ],
)
def test_down_says_what_is_left_and_stops_in_every_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], first: Any, then: Any, said: str
) -> None:
    def answer(value: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value

    stopped: list[Any] = []
    monkeypatch.setattr("infra.laptop.local.current", lambda _: "the stack")
    monkeypatch.setattr("infra.laptop.local.down", stopped.append)
    monkeypatch.setattr(module, "in_flight", lambda _: answer(first))
    monkeypatch.setattr(module, "wait", lambda _: answer(then))
    monkeypatch.setattr("sys.argv", ["scones", "down"])
    main()
    *left, last = capsys.readouterr().out.splitlines()
    assert len(stopped) == 1
    assert last.startswith("Down.")
    assert " ".join(left).startswith(said)
    assert bool(left) == bool(said)
