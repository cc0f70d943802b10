"""Each correction of the embedded AWS: the pinned release still needs it, and it works."""

import gc
import inspect
import io
import json
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
from infra.laptop import embedded

HANDLER = """
import os

class RejectedImage(Exception):
    pass

def lambda_handler(event, context):
    if event.get("broken"):
        try:
            raise KeyError("first")
        except KeyError as error:
            raise RejectedImage("corrupt: Traceback (most recent call last): ü") from error
    return {"pid": os.getpid()}
"""


# ── errors of Lambdas ──────────────────────────────────────────────────────────────────────────────────────


# ministack leaves the pipes to a worker open.
leaves_pipes_open = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def invoke(monkeypatch):
    """Invoke a Lambda as ministack does, in a worker process."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zip_:
        zip_.writestr("handler.py", HANDLER)
    config = {
        "FunctionName": "under-test",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:under-test",
        "Runtime": "python3.13",
        "Handler": "handler.lambda_handler",
        "Timeout": 30,
    }
    worker = lambda_runtime.Worker("under-test", config, archive.getvalue())
    monkeypatch.setattr(lambda_svc, "acquire_worker", lambda *_, **__: (worker, None))
    monkeypatch.setattr(lambda_svc, "release_worker", lambda *_: None)
    function = {"config": config, "code_zip": archive.getvalue()}
    yield lambda execute, event: execute(function, event, "request-1")
    worker.kill()
    worker._proc = None
    gc.collect()  # here, and not in a test that would be blamed for it


@leaves_pipes_open
def test_ministack_loses_the_class_name_of_a_lambda_error(invoke):
    result = invoke(lambda_svc._execute_function_warm, {"broken": True})
    assert result["body"]["errorType"] == "Runtime.HandlerError"


@leaves_pipes_open
def test_a_lambda_error_keeps_its_class_name_and_the_worker_survives(invoke, monkeypatch):
    script = embedded.surviving_errors(lambda_runtime._PYTHON_WORKER_SCRIPT)
    monkeypatch.setattr(lambda_runtime, "_PYTHON_WORKER_SCRIPT", script)
    execute = embedded._raising_again(lambda_svc._execute_function_warm)
    before = invoke(execute, {})
    failed = invoke(execute, {"broken": True})
    after = invoke(execute, {})
    assert failed["error"] is True
    assert failed["body"]["errorType"] == "RejectedImage"
    assert failed["body"]["errorMessage"] == "corrupt: Traceback (most recent call last): ü"
    assert list(failed["body"]) == ["errorType", "errorMessage", "stackTrace"]
    assert "error" not in before
    assert before["body"]["pid"] == after["body"]["pid"]


def test_another_worker_script_than_the_pinned_one_is_noticed():
    with pytest.raises(RuntimeError, match=r"infra/laptop/embedded\.py"):
        embedded.surviving_errors("import sys")


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


def test_concurrent_tasks_are_bounded_and_the_rest_waits():
    lock, under_way, most, times = threading.Lock(), 0, 0, []

    def invoke(resource, arguments, timeout_s):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            times.append(timeout_s)
        time.sleep(0.01)
        with lock:
            under_way -= 1

    bounded = embedded._bounded(invoke)
    threads = [threading.Thread(target=bounded, args=("lambda", {}, 2)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == embedded.TASKS_AT_ONCE
    assert times == [2 * embedded.TIMEOUT_SCALE] * 40


def test_a_task_that_fails_gives_its_turn_back():
    def fail(resource, arguments, timeout_s):
        raise stepfunctions._ExecutionError("E", "cause")

    bounded = embedded._bounded(fail)
    for _ in range(2 * embedded.TASKS_AT_ONCE):
        with pytest.raises(stepfunctions._ExecutionError):
            bounded("lambda", {}, 2)


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


# ── expressions ────────────────────────────────────────────────────────────────────────────────────────────


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
