"""Threads of the embedded AWS that are used again."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ministack.services import s3, stepfunctions

from infra.laptop import threads
from infra.laptop.threads import KEPT, Reused


def start(target: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    Reused(target=target, args=args, kwargs=kwargs, daemon=True).start()


@pytest.fixture
def waiting(monkeypatch):
    """Return the number of threads that wait for a task: none at first."""
    monkeypatch.setattr(Reused, "_waiting", 0)
    return lambda: Reused._waiting


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_task_runs_in_the_thread_of_an_earlier_one(waiting):
    ran: list[tuple[int, Any]] = []
    for number in range(3):
        start(lambda value, *, more: ran.append((threading.get_ident(), value + more)), number, more=10)
        until(lambda: waiting() == 1)
    assert [value for _, value in ran] == [10, 11, 12]
    assert len({thread for thread, _ in ran}) == 1


def test_there_are_as_many_threads_as_tasks_at_once_and_some_are_kept(waiting):
    count, before = KEPT + 10, threading.active_count()
    together = threading.Barrier(count + 1)
    for _ in range(count):
        start(together.wait)
    together.wait(10)
    until(lambda: waiting() == KEPT)
    until(lambda: threading.active_count() <= before + KEPT)
    together = threading.Barrier(KEPT + 1)
    for _ in range(KEPT):
        start(together.wait)
    assert waiting() == 0
    together.wait(10)
    until(lambda: waiting() == KEPT)


def test_an_error_is_told_and_does_not_end_the_thread(waiting, monkeypatch):
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> None:
        raise ValueError("why")

    start(fail)
    until(lambda: waiting() == 1)
    assert [str(each.exc_value) for each in told] == ["why"]
    ran = threading.Event()
    start(ran.set)
    assert ran.wait(10)


def test_executions_and_events_of_s3_run_in_such_threads(monkeypatch):
    started: list[Any] = []
    monkeypatch.setattr(Reused, "start", lambda each: started.append(each._task[1]))
    for module, name in ((stepfunctions, "_start_execution"), (s3, "_fire_s3_event_async")):
        monkeypatch.setattr(module, name, getattr(module, name))
    threads.install()
    monkeypatch.setitem(s3._bucket_notifications, "bucket", "")
    s3._fire_s3_event_async("bucket", "key", "s3:ObjectCreated:Put")
    machine = {"name": "machine", "roleArn": "role", "definition": "{}", "type": "STANDARD"}
    monkeypatch.setattr(stepfunctions, "_resolve_state_machine_arn", lambda arn: arn)
    monkeypatch.setitem(stepfunctions._state_machines, "arn", machine)
    status, _, _ = stepfunctions._start_execution({"stateMachineArn": "arn", "name": "one"})
    assert status == 200
    assert [each[0].__name__ for each in started] == ["_fire_s3_event", "_run_execution"]
