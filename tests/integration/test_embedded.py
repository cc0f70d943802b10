"""Each correction of the embedded AWS: the pinned release still needs it, and it works."""

import gc
import inspect
import io
import json
import os
import signal
import threading
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.handlers import decode_list_object_versions
from botocore.parsers import ResponseParserError, create_parser
from botocore.session import Session
from jsonata.jsonata import Jsonata
from jsonata.parser import Parser
from ministack.core import lambda_runtime
from ministack.services import athena, eventbridge, lambda_svc, s3, sqs, stepfunctions
from ministack.services.cloudformation import provisioners

from infra.installation import PROJECT
from infra.laptop import embedded, express, invocations, windows
from infra.laptop.changed import changed

HANDLER = """
import logging
import os
import time

logger = logging.getLogger("handler")
logger.addHandler(logging.StreamHandler())

class RejectedImage(Exception):
    pass

def lambda_handler(event, context):
    if event.get("broken"):
        try:
            raise KeyError("first")
        except KeyError as error:
            raise RejectedImage("corrupt: Traceback (most recent call last): ü") from error
    if event.get("exit"):
        os._exit(1)
    if event.get("stray"):
        os.write(1, b"of a library\\n\\n")
    if "print" in event:
        print(event["print"])
        logger.warning("logged %s", event["print"])
    time.sleep(event.get("sleep_s", 0))
    return {"echo": event["echo"]} if "echo" in event else {"pid": os.getpid()}
"""


# ── errors of Lambdas ──────────────────────────────────────────────────────────────────────────────────────


# ministack leaves the pipes to a worker open.
leaves_pipes_open = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def invoke_with(monkeypatch):
    """Invoke a Lambda as ministack does, in a worker process of a class."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zip_:
        zip_.writestr("handler.py", HANDLER)
    config = {
        "FunctionName": "under-test",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:under-test",
        "Runtime": "python3.13",
        "Handler": "handler.lambda_handler",
        "Timeout": 2,
    }
    workers = []

    def started(worker_class):
        workers.append(worker_class("under-test", config, archive.getvalue()))
        monkeypatch.setattr(lambda_svc, "acquire_worker", lambda *_, **__: (workers[-1], None))
        return lambda execute, event: execute(function, event, "request-1")

    monkeypatch.setattr(lambda_svc, "release_worker", lambda *_: None)
    function = {"config": config, "code_zip": archive.getvalue()}
    yield started
    for worker in workers:
        worker.kill()
        worker._proc = None
    gc.collect()  # here, and not in a test that would be blamed for it


@leaves_pipes_open
def test_ministack_loses_the_class_name_of_a_lambda_error(invoke_with):
    result = invoke_with(lambda_runtime.Worker)(lambda_svc._execute_function_warm, {"broken": True})
    assert result["body"]["errorType"] == "Runtime.HandlerError"


@pytest.fixture
def invoke_lean(invoke_with, monkeypatch):
    """Invoke a Lambda as the laptop's system does."""
    script = invocations.lean(lambda_runtime._PYTHON_WORKER_SCRIPT)
    monkeypatch.setattr(lambda_runtime, "_PYTHON_WORKER_SCRIPT", script)
    execute = embedded._raising_again(lambda_svc._execute_function_warm)
    invoke = invoke_with(invocations.LeanWorker)
    return lambda event: invoke(execute, event)


@leaves_pipes_open
def test_a_lambda_error_keeps_its_class_name_and_the_worker_survives(invoke_lean):
    before, failed, after = invoke_lean({}), invoke_lean({"broken": True}), invoke_lean({})
    assert failed["error"] is True
    assert failed["body"]["errorType"] == "RejectedImage"
    assert failed["body"]["errorMessage"] == "corrupt: Traceback (most recent call last): ü"
    assert list(failed["body"]) == ["errorType", "errorMessage", "stackTrace"]
    assert "error" not in before
    assert before["body"]["pid"] == after["body"]["pid"]


@leaves_pipes_open
def test_an_answer_comes_with_what_was_printed_and_logged_meanwhile(invoke_lean):
    first, second = invoke_lean({"print": "one\ntwo ü"}), invoke_lean({"print": "three"})
    assert first["log"].splitlines() == ["one", "two ü", "logged one", "two ü"]
    assert second["log"].splitlines() == ["three", "logged three"]


@leaves_pipes_open
def test_a_large_event_and_a_large_answer_go_through_the_pipes(invoke_lean):
    text = "é" * 700_000
    assert invoke_lean({"echo": text})["body"] == {"echo": text}


@leaves_pipes_open
def test_what_a_library_writes_to_standard_output_is_no_answer(invoke_lean):
    assert [list(invoke_lean({"stray": True})["body"]) for _ in range(2)] == [["pid"], ["pid"]]


@leaves_pipes_open
def test_a_worker_that_takes_too_long_is_ended_and_its_log_is_kept(invoke_lean):
    late = invoke_lean({"print": "asleep", "sleep_s": 30})
    assert late["error"] is True
    assert late["body"] == {
        "errorMessage": "Task timed out after 2.00 seconds",
        "errorType": "Sandbox.Timedout",
    }
    assert "asleep" in late["log"]
    assert "pid" in invoke_lean({})["body"]


@leaves_pipes_open
def test_the_last_lines_of_a_worker_that_was_ended_are_awaited(invoke_lean, monkeypatch):
    def read_late(worker):
        lines, printed = worker._stderr_queue, worker._proc.stderr.read()
        time.sleep(0.2)
        lines.put(printed)

    monkeypatch.setattr(lambda_runtime.Worker, "_read_stderr", read_late)
    assert "asleep" in invoke_lean({"print": "asleep", "sleep_s": 30})["log"]


@leaves_pipes_open
def test_a_worker_that_dies_is_an_error_and_the_next_one_answers(invoke_lean):
    died = invoke_lean({"exit": True})
    assert died["body"]["errorType"] == "Runtime.HandlerError"
    assert "pid" in invoke_lean({})["body"]


@leaves_pipes_open
@pytest.mark.parametrize("size", [0, 700_000])
def test_a_worker_that_was_killed_between_two_invocations_is_replaced(invoke_lean, size):
    pid = invoke_lean({})["body"]["pid"]
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it is gone, and ministack has yet to find out
    again = invoke_lean({"unused": "a" * size})
    assert "error" not in again
    assert again["body"]["pid"] != pid


@leaves_pipes_open
def test_a_worker_that_cannot_be_started_is_an_error(invoke_lean, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(lambda_runtime.Worker, "_spawn", Mock(side_effect=OSError("no process is left")))
        assert invoke_lean({})["error"] is True
    assert "pid" in invoke_lean({})["body"]


def test_another_worker_script_than_the_pinned_one_is_noticed():
    with pytest.raises(RuntimeError, match=r"infra/laptop/invocations\.py"):
        invocations.lean("import sys")


# ── versions ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def dispatched(monkeypatch):
    """Return the events that S3 sends to EventBridge."""
    events = []

    def dispatch(event, *_):
        events.append(json.loads(event["Detail"]))

    monkeypatch.setattr(eventbridge, "_dispatch_event", dispatch)
    monkeypatch.setitem(
        s3._bucket_notifications,
        "scones-incoming",
        '<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<EventBridgeConfiguration/></NotificationConfiguration>",
    )
    return events


def upload(fire, version_id):
    fire("scones-incoming", "a b+c%20é.png", "s3:ObjectCreated:Put", 5, '"e"', version_id=version_id)


def test_ministack_names_no_version_in_an_event(dispatched):
    upload(s3._fire_s3_event, "v1")
    assert "version-id" not in dispatched[0]["object"]


def test_an_event_names_the_version_of_its_own_upload(dispatched, monkeypatch):
    monkeypatch.setattr(eventbridge, "_dispatch_event", embedded._with_version(eventbridge._dispatch_event))
    fire = embedded._remembering_version(s3._fire_s3_event)
    for version_id in ("v1", "v2", None):
        upload(fire, version_id)
    assert [detail["object"].get("version-id") for detail in dispatched] == ["v1", "v2", None]
    assert {detail["object"]["key"] for detail in dispatched} == {"a b+c%20é.png"}


def test_an_event_of_another_source_is_left_as_it_is():
    seen = []
    embedded._version_id.set("v1")
    event = {"Source": "scones", "Detail": json.dumps({"object": {}})}
    embedded._with_version(lambda event: seen.append(event))(dict(event))
    embedded._version_id.set(None)
    assert seen == [event]


# ── bounds ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_ministack_takes_a_task_s_resource_its_input_and_its_time():
    parameters = list(inspect.signature(stepfunctions._invoke_resource_with_timeout).parameters)
    assert parameters == ["resource", "input_data", "timeout"]


LAMBDA, HTTP = "arn:aws:states:::lambda:invoke", "arn:aws:states:::http:invoke"
SEND = "arn:aws:states:::sqs:sendMessage"


def test_concurrent_tasks_are_bounded_and_the_rest_waits(monkeypatch):
    lock, under_way, most = threading.Lock(), 0, 0

    def invoke(resource, arguments):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        return arguments

    monkeypatch.setattr(stepfunctions, "_invoke_resource", invoke)
    run = invocations.bounded(6, 8)
    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(lambda number: run(LAMBDA, number, 2), range(40))) == list(range(40))
    assert most == 6


def test_tasks_of_one_lambda_do_not_wait_for_those_of_another(monkeypatch):
    begun, ended = threading.Semaphore(0), threading.Event()

    def invoke(resource, arguments):
        begun.release()
        ended.wait(10)

    monkeypatch.setattr(stepfunctions, "_invoke_resource", invoke)
    run = invocations.bounded(2, 8)
    kinds = [(LAMBDA, {"FunctionName": "one"}), (LAMBDA, {"FunctionName": "two"}), (SEND, {"QueueUrl": "q"})]
    with ThreadPoolExecutor(9) as pool:
        for kind in kinds * 3:
            pool.submit(run, *kind, 2)
        assert all(begun.acquire(timeout=10) for _ in range(6))
        assert not begun.acquire(timeout=0.05)
        ended.set()


def test_a_task_that_fails_gives_its_turn_back(monkeypatch):
    def fail(resource, arguments):
        raise stepfunctions._ExecutionError("E", "cause")

    monkeypatch.setattr(stepfunctions, "_invoke_resource", fail)
    run = invocations.bounded(2, 8)
    for resource in (LAMBDA, HTTP) * 2:
        with pytest.raises(stepfunctions._ExecutionError, match="cause"):
            run(resource, {}, 2)


def test_a_task_that_takes_longer_than_its_state_may_times_out(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(stepfunctions, "_invoke_resource", lambda *_: ended.wait(10))
    with pytest.raises(stepfunctions._ExecutionError) as error:
        invocations.bounded(1, 0.01)(HTTP, {}, 2)
    ended.set()
    assert error.value.error == "States.Timeout"


def test_a_lambda_has_no_thread_of_its_own_and_a_late_result_does_not_count(monkeypatch):
    threads = []
    monkeypatch.setattr(stepfunctions, "_invoke_resource", lambda *_: threads.append(threading.get_ident()))
    invocations.bounded(1, 1)(LAMBDA, {}, 60)
    assert threads == [threading.get_ident()]
    with pytest.raises(stepfunctions._ExecutionError, match="timed out after 60 seconds") as error:
        invocations.bounded(1, 0)(LAMBDA, {}, 60)
    assert error.value.error == "States.Timeout"


def tasks(states):
    for state in states.values():
        if state["Type"] == "Task":
            yield state
        yield from tasks(state.get("ItemProcessor", {}).get("States", {}))


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "workflow").glob("*.asl.json")), ids=lambda path: path.name
)
def test_every_lambda_that_a_machine_calls_is_bounded(path):
    """Without a time limit, ministack calls it by another function, which is not bounded."""
    lambdas = [
        task
        for task in tasks(json.loads(path.read_text(encoding="utf-8"))["States"])
        if "lambda" in task["Resource"]
    ]
    assert lambdas
    assert all("TimeoutSeconds" in task for task in lambdas)


# ── queues ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_ministack_has_its_port_in_the_addresses_of_queues(monkeypatch):
    monkeypatch.setattr(sqs, "DEFAULT_PORT", "5000")
    before = sqs._queue_url("results")
    monkeypatch.setattr(sqs, "DEFAULT_PORT", "5001")
    assert sqs._queue_url("results") != before


SENDING = {"an execution"}


@pytest.fixture
def queue(monkeypatch):
    """A queue of a Lambda that gets up to 50 messages, after a second; and what sends to it."""
    url = sqs._queue_url("gathered")
    messages: list[dict[str, Any]] = []
    queue = {"messages": messages, "attributes": {"VisibilityTimeout": "30"}, "is_fifo": False}
    monkeypatch.setattr(sqs, "_get_q", lambda _: queue)
    monkeypatch.setattr(sqs, "_expire_retained", lambda _: None)
    monkeypatch.setattr(sqs, "_dlq_sweep", lambda _: None)
    mapping = {
        "UUID": "a mapping",
        "EventSourceArn": "arn:aws:sqs:us-east-1:0:gathered",
        "MaximumBatchingWindowInSeconds": 1,
    }
    monkeypatch.setattr(lambda_svc, "_iter_all_esms", lambda: [("0", "us-east-1", mapping)])

    def send(count, ago_s=0.0, body="b"):
        sent_at = time.time() - ago_s
        new = [{"id": f"{len(messages) + n}", "body": body, "sent_at": sent_at} for n in range(count)]
        messages.extend({**each, "visible_at": sent_at, "receive_count": 0} for each in new)

    return url, send


def test_ministack_hands_on_ten_messages_at_most_and_at_once(queue):
    url, send = queue
    send(30)
    assert len(sqs._receive_messages_for_esm(url, 50)) == 10


def test_a_batch_is_handed_on_when_it_is_full_or_its_window_has_passed(queue, monkeypatch):
    url, send = queue
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    assert receive(url, 51) == []
    send(30)
    assert receive(url, 51) == []
    send(30)
    assert len(receive(url, 51)) == 51
    assert receive(url, 51) == []  # nine are left, which wait for others
    monkeypatch.setattr(windows, "QUIET_S", 5)
    send(1, ago_s=0.7)
    assert receive(url, 51) == []
    send(1, ago_s=1.1)
    assert len(receive(url, 51)) == 11
    assert receive(url, 51) == []


def test_a_batch_is_handed_on_as_soon_as_nothing_more_comes(queue):
    url, send = queue
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    send(3, ago_s=windows.QUIET_S + 0.1)
    send(1)
    assert receive(url, 51) == []  # something has just come
    time.sleep(windows.QUIET_S + 0.05)
    assert len(receive(url, 51)) == 4


def test_a_window_ends_when_nothing_more_can_come(queue):
    url, send = queue
    under_way = {"an execution"}
    receive = windows.gathering(sqs._receive_messages_for_esm, under_way)
    send(1)
    assert receive(url, 51) == []
    under_way.clear()
    assert len(receive(url, 51)) == 1


def test_beside_a_batch_that_is_with_its_lambda_only_a_full_one_is_handed_on(queue, monkeypatch):
    url, send = queue
    receive = windows.gathering(sqs._receive_messages_for_esm, set())
    monkeypatch.setattr(lambda_svc, "_esm_inflight", {"a mapping": 1})
    send(50, ago_s=2)
    assert receive(url, 51) == []
    send(2)
    assert len(receive(url, 51)) == 51
    assert receive(url, 51) == []
    lambda_svc._esm_inflight.clear()
    assert len(receive(url, 51)) == 1


def test_each_message_sets_no_alarm_of_its_own(queue, monkeypatch):
    alarms = []

    def timer(*when):
        alarms.append(when)
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(threading, "Timer", timer)
    url, send = queue
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    for _ in range(5):
        send(1)
        receive(url, 51)
    assert len(alarms) == 1


def test_small_batches_are_those_of_ministack(queue):
    url, send = queue
    send(30)
    assert len(windows.gathering(sqs._receive_messages_for_esm, SENDING)(url, 50)) == 10


def test_the_end_of_a_window_is_a_reason_to_poll(queue, monkeypatch):
    url, send = queue
    wake = threading.Event()
    monkeypatch.setattr(lambda_svc, "_esm_wake", wake)
    monkeypatch.setattr(windows, "QUIET_S", 0.05)
    send(1)
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    assert receive(url, 51) == []
    assert wake.wait(2)
    assert len(receive(url, 51)) == 1


def test_a_window_that_opens_at_the_end_of_another_wakes_the_poller_too(queue, monkeypatch):
    url, send = queue
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    received, second = [], threading.Event()

    def wake():  # a poller that is quicker than the thread that wakes it
        received.append(len(receive(url, 51)))
        if len(received) == 2:
            second.set()
        else:
            send(2)
            assert receive(url, 51) == []

    monkeypatch.setattr(lambda_svc, "_esm_wake", SimpleNamespace(set=wake))
    monkeypatch.setattr(windows, "QUIET_S", 0.05)
    send(1)
    assert receive(url, 51) == []
    assert second.wait(2)
    assert received == [1, 2]


def test_a_batch_is_cut_before_its_bodies_are_too_large_for_an_invocation(queue):
    url, send = queue
    send(10, body="b" * 900_000)
    receive = windows.gathering(sqs._receive_messages_for_esm, SENDING)
    assert [len(receive(url, 51)) for _ in range(3)] == [4, 4, 0]


# ── saved queries ──────────────────────────────────────────────────────────────────────────────────────────


def test_ministack_s_cloudformation_does_not_support_saved_queries():
    assert "AWS::Athena::NamedQuery" not in provisioners._RESOURCE_HANDLERS


def test_a_saved_query_is_created_changed_and_deleted_with_its_stack():
    saved = {"Name": "review_queue", "WorkGroup": "scones", "Database": "scones", "QueryString": "SELECT 1"}
    handler: dict[str, Any] = embedded._NAMED_QUERY
    first, _ = handler["create"]("ReviewQueueQuery", saved, "scones")
    changed = {**saved, "QueryString": "SELECT 2"}
    second, _ = handler["update"](first, saved, changed, "scones")
    assert list(athena._named_queries.keys()) == [second]
    assert athena._named_queries[second].items() >= changed.items()
    handler["delete"](second, changed)
    assert not athena._named_queries


def test_random_bytes_of_ids_come_from_few_draws(monkeypatch):
    urandom = Mock(side_effect=os.urandom)
    monkeypatch.setattr(os, "urandom", embedded.drawn_ahead(urandom))
    ids = [uuid.uuid4() for _ in range(500)]
    assert len(set(ids)) == 500
    assert {(each.version, each.variant) for each in ids} == {(4, uuid.RFC_4122)}
    assert urandom.call_count == 2
    drawn = [os.urandom(size) for size in (0, 1, 48, 64, 65, 1_000)]
    assert [len(each) for each in drawn] == [0, 1, 48, 64, 65, 1_000]
    assert urandom.call_count == 4


# ── expressions ────────────────────────────────────────────────────────────────────────────────────────────


CONTEXT = {
    "variables": {"event": {"a": {"b": "c", "none": None}, "list": [1], "lists": [{"b": 1}]}, "none": None},
    "Execution": {"Id": "arn"},
}


@pytest.mark.parametrize(
    "path",
    [
        "$event",
        "$event.a.b",
        "$event.a.none",
        "$event.list",
        "$event.lists.b",
        "$none",
        "$states.input.body",
        "$states.result",
        "$states.context.Execution.Id",
        "$exists($states.input.body)",
        "$exists($states.input.missing)",
        "$exists($event.a.b.c)",
        "$exists($event.lists.b)",
        "$exists($event.list)",
        "$exists($missing)",
        "$event.a.b = 'c'",
        "$event.a.b = 'd'",
    ],
)
def test_what_is_looked_up_has_the_value_that_jsonata_gives(path):
    shown = []

    def evaluate(*arguments):
        shown.append(arguments)
        return stepfunctions._evaluate_jsonata(*arguments)

    arguments = (path, {"body": {"a": 1}}, CONTEXT, "the result")
    assert express.looked_up(evaluate)(*arguments) == stepfunctions._evaluate_jsonata(*arguments)
    assert bool(shown) is ("list" in path)


@pytest.mark.parametrize(
    "expression", ["$exists($none)", "$exists($event.a.none)", "$none = 'c'", "$missing = 'c'"]
)
def test_what_is_null_or_is_no_text_is_left_to_jsonata(expression):
    looked_up = express.looked_up(lambda *_: "evaluated")
    assert looked_up(expression, {}, CONTEXT) == "evaluated"


@pytest.mark.parametrize("path", ["$states.input.missing", "$missing", "$event.a.b.c"])
def test_a_path_to_nothing_is_an_error(path):
    with pytest.raises(stepfunctions._ExecutionError, match=r"States\.QueryEvaluationError|did not return"):
        express.looked_up(stepfunctions._evaluate_jsonata)(path, {}, CONTEXT)


# ── Express workflows ──────────────────────────────────────────────────────────────────────────────────────


def test_ministack_keeps_a_history_of_express_workflows(monkeypatch):
    monkeypatch.setattr(stepfunctions, "_state_machines", {"machine": {"type": "EXPRESS"}})
    execution = {"stateMachineArn": "machine", "executionArn": "one", "status": "RUNNING", "events": []}
    stepfunctions._add_event(execution, "PassStateEntered", {"a": 1})
    assert execution["events"]


@pytest.mark.parametrize(("kind", "has_history"), [("EXPRESS", False), ("STANDARD", True)])
def test_only_standard_workflows_have_history_and_status_events(monkeypatch, kind, has_history):
    monkeypatch.setattr(stepfunctions, "_state_machines", {"machine": {"type": kind}})
    execution = {"stateMachineArn": "machine", "executionArn": "one", "status": "SUCCEEDED", "events": []}
    sent: list[Any] = []
    express.without_history(stepfunctions._add_event)(execution, "PassStateEntered", {"a": 1})
    assert bool(execution["events"]) is has_history
    express.without_events(sent.append)(execution)
    assert bool(sent) is has_history


def test_express_executions_that_ended_long_ago_are_forgotten(monkeypatch):
    known = {
        f"{number}": {
            "stateMachineArn": "machine",
            "executionArn": f"{number}",
            "status": "SUCCEEDED",
            "events": [],
        }
        for number in range(express.KEPT + 2)
    }
    monkeypatch.setattr(stepfunctions, "_state_machines", {"machine": {"type": "EXPRESS"}})
    monkeypatch.setattr(stepfunctions, "_executions", known)
    emit = express.without_events(lambda _: None)
    emit({**known["0"], "status": "RUNNING"})
    assert len(known) == express.KEPT + 2
    emit(known["999"])  # of those before it, which an earlier start of the system has left
    assert list(known) == [f"{number}" for number in range(2, express.KEPT + 2)]


def test_the_poller_looks_again_when_nothing_is_under_way_any_more(monkeypatch):
    woken: list[set[str]] = []
    monkeypatch.setattr(express, "under_way", {})
    monkeypatch.setattr(
        lambda_svc, "_esm_wake", SimpleNamespace(set=lambda: woken.append(set(express.under_way)))
    )
    emit = express.keeping_under_way(lambda _: None)
    for arn, status in (("a", "RUNNING"), ("b", "RUNNING"), ("a", "SUCCEEDED")):
        emit({"executionArn": arn, "stateMachineArn": "m", "status": status})
    assert (set(express.under_way), woken) == ({"b"}, [])
    emit({"executionArn": "b", "stateMachineArn": "m", "status": "FAILED"})
    assert woken == [set()]


@pytest.fixture
def machine(monkeypatch):
    """Run a state machine with one state, by ministack's code or by ours; return its execution and sleeps."""

    def run(run_execution, kind):
        definition = json.dumps({"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}})
        execution = {"stateMachineArn": "machine", "executionArn": "one", "status": "RUNNING", "events": []}
        execution |= {"input": '{"a": 1}', "name": "one", "startDate": ""}
        slept: list[float] = []
        monkeypatch.setattr(
            stepfunctions,
            "_state_machines",
            {"machine": {"type": kind, "definition": definition, "name": "machine"}},
        )
        monkeypatch.setattr(stepfunctions, "_executions", {"one": execution})
        monkeypatch.setattr(stepfunctions, "_emit_execution_status_event", lambda _: None)
        monkeypatch.setattr(stepfunctions, "time", SimpleNamespace(sleep=slept.append, time=time.time))
        run_execution("one")
        return execution, slept

    return run


def test_ministack_lets_an_execution_wait_before_it_begins(machine):
    _, slept = machine(stepfunctions._run_execution, "EXPRESS")
    assert slept == [0.15]


@pytest.mark.parametrize("kind", ["EXPRESS", "STANDARD"])
def test_an_execution_begins_at_once_and_has_the_output_of_ministack_s(machine, kind):
    execution, slept = machine(express.lean_execution(), kind)
    theirs, _ = machine(stepfunctions._run_execution, kind)
    assert slept == []
    assert (execution["status"], execution["output"]) == ("SUCCEEDED", theirs["output"])


def test_an_execution_of_a_standard_workflow_has_the_history_of_ministack_s(machine):
    execution, _ = machine(express.lean_execution(), "STANDARD")
    theirs, _ = machine(stepfunctions._run_execution, "STANDARD")
    for event in (*execution["events"], *theirs["events"]):
        del event["timestamp"]
    assert execution["events"] == theirs["events"] != []


@pytest.mark.parametrize(("kind", "shown"), [("EXPRESS", ""), ("STANDARD", '{"a": 1}')])
def test_what_states_get_and_return_is_written_for_a_history_alone(machine, monkeypatch, kind, shown):
    execution, _ = machine(express.lean_execution(), kind)
    entered, exited, _ = execution["events"]
    assert entered["stateEnteredEventDetails"]["input"] == shown
    assert exited["stateExitedEventDetails"]["output"] == shown
    monkeypatch.setattr(stepfunctions, "_invoke_resource", lambda *_: {"a": 1})
    execution["events"].clear()
    run = changed(stepfunctions._execute_task, express._OF_TASKS, _shown=express._shown)
    run({"Resource": "any", "End": True}, {}, execution, {"State": {}})
    assert execution["events"][-1]["taskSucceededEventDetails"]["output"] == shown


def test_the_poller_pauses_while_executions_are_under_way_and_goes_on_when_none_is(monkeypatch):
    monkeypatch.setattr(express, "under_way", {})
    emit = express.keeping_under_way(lambda _: None)
    emit({"executionArn": "a", "stateMachineArn": "m", "status": "RUNNING"})
    assert not express._at_rest.is_set()
    emit({"executionArn": "a", "stateMachineArn": "m", "status": "SUCCEEDED"})
    assert express._at_rest.is_set()
    waited: list[float] = []
    polls = iter([False, False])  # then the poller ends, as ministack's would not
    at_rest = SimpleNamespace(wait=waited.append)
    for name in ("_poll_kinesis", "_poll_dynamodb_streams"):
        monkeypatch.setattr(lambda_svc, name, lambda: False)

    def poll():
        try:
            return next(polls)
        except StopIteration:
            raise SystemExit from None

    monkeypatch.setattr(lambda_svc, "_poll_sqs", poll)
    monkeypatch.setattr(lambda_svc, "_esm_wake", SimpleNamespace(clear=lambda: None, wait=lambda _: True))
    with pytest.raises(SystemExit):
        changed(lambda_svc._poll_loop, express._OF_POLLER, _at_rest=at_rest)()
    assert waited == [express._POLLER_PAUSE_S]


def test_each_execution_has_a_definition_of_its_own():
    text = '{"States": {"One": {"Result": {"a": [1]}}}}'
    first, second = express._definition_of(text), express._definition_of(text)
    first["States"]["One"]["Result"]["a"].append(2)
    assert second == express._definition_of(text) == json.loads(text)


def test_another_source_than_the_pinned_one_is_noticed():
    with pytest.raises(RuntimeError, match="another _run_execution"):
        changed(stepfunctions._run_execution, {"sleep(0.25)": ""})


# ── listings of versions ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def listed(monkeypatch):
    """List the versions of a bucket as ministack does, and return the keys that boto3 finds in that."""
    key, prefix = "a\x1b[2J\r<&>+ ü/%.png", "a\x1b"
    of_key = {"last_modified": "2026-11-24T09:30:00.000Z", "etag": '"e"', "size": 1}
    monkeypatch.setattr(s3, "_ensure_bucket", lambda _: {"objects": {key: of_key}})

    def listed(list_versions, encoding):
        _, _, body = list_versions(
            "b", {"prefix": [prefix], **({"encoding-type": ["url"]} if encoding else {})}
        )
        shape = Session().get_service_model("s3").operation_model("ListObjectVersions").output_shape
        answer = create_parser("rest-xml").parse({"status_code": 200, "headers": {}, "body": body}, shape)
        if encoding:
            decode_list_object_versions(answer, {"encoding_type_auto_set": True})
        return [version["Key"] for version in answer["Versions"]] == [key] and answer["Prefix"] == prefix

    return listed


def test_ministack_writes_keys_into_xml_that_xml_cannot_hold(listed):
    with pytest.raises(ResponseParserError):
        listed(s3._list_object_versions, encoding=True)


def test_a_listing_of_versions_has_its_keys_encoded_when_asked_for(listed, monkeypatch):
    list_versions = embedded.encoding_keys(s3._list_object_versions)
    monkeypatch.setattr(s3, "_xml_body", embedded.encoded(s3._xml_body))
    assert listed(list_versions, encoding=True)
    with pytest.raises(ResponseParserError):
        listed(list_versions, encoding=False)


def in_a_thread(call):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def test_ministack_has_a_parser_for_every_thread():
    assert in_a_thread(Jsonata.get_parser) is not in_a_thread(Jsonata.get_parser)


def test_an_expression_is_parsed_once_and_means_the_same_in_every_thread(monkeypatch):
    parser = embedded.ParsedOnce()
    parsed = []
    parse = Parser.parse

    def counting(self, expression, engine):
        parsed.append(expression)
        return parse(self, expression, engine)

    monkeypatch.setattr(Parser, "parse", counting)
    monkeypatch.setattr(Jsonata, "get_parser", staticmethod(lambda: parser))
    expression = "$merge([$states.input, {'sum': $sum($states.input.n), 'big': $states.input.n[$ > 2]}])"

    def evaluate(number):
        return stepfunctions._evaluate_jsonata(expression, {"n": [number, 1, 5]})

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(evaluate, range(200)))
    assert parsed == [expression]
    assert results == [{"n": [n, 1, 5], "sum": n + 6, "big": [n, 5] if n > 2 else 5} for n in range(200)]


def test_an_invalid_expression_is_refused_each_time(monkeypatch):
    parser = embedded.ParsedOnce()
    monkeypatch.setattr(Jsonata, "get_parser", staticmethod(lambda: parser))
    for _ in range(2):
        with pytest.raises(stepfunctions._ExecutionError, match="S0"):
            stepfunctions._evaluate_jsonata("$sum(", {})


# ── what a machine asks S3 ─────────────────────────────────────────────────────────────────────────────────


def test_ministack_gives_a_machine_the_time_of_an_object_as_the_http_header_has_it():
    """Once it is ISO 8601 there too, the correction can go."""
    header = ("last-modified", "LastModified")
    assert stepfunctions._S3_OP_SPECS["HeadObject"]["header_outputs"][header[0]] == header[1]
    asked = embedded.with_iso_times(lambda *_: {"LastModified": "Mon, 16 Nov 2026 09:30:00 GMT", "ETag": "e"})
    assert asked("s3") == {"LastModified": "2026-11-16T09:30:00Z", "ETag": "e"}


def test_a_lambda_gets_more_time_than_on_aws():
    leased = embedded.patient(lambda name, config, code, qualifier: config)
    assert leased("one", {"Timeout": 5, "Handler": "a"}, b"", qualifier="1") == {
        "Timeout": 5 * embedded.TIMEOUT_SCALE,
        "Handler": "a",
    }


# ── a number that is a parameter of the template ───────────────────────────────────────────────────────────

MAPPING = {"ScalingConfig": {"MaximumConcurrency": "2"}}  # as CloudFormation hands a parameter on


def test_ministack_takes_the_text_of_a_parameter_for_a_number_of_batches():
    with pytest.raises(TypeError):
        lambda_svc._sqs_esm_concurrency(MAPPING, {}, {}) > 0  # noqa: B015


@pytest.mark.parametrize(
    ("mapping", "most"), [(MAPPING, 2), ({"ScalingConfig": {"MaximumConcurrency": 3}}, 3), ({}, 5)]
)
def test_the_number_of_batches_may_be_a_parameter(mapping, most):
    assert embedded.with_whole_number(lambda_svc._sqs_esm_concurrency)(mapping, {}, {}) == most
