"""Runs the embedded AWS (ministack), with two additions and fifteen corrections where it departs from AWS.

SIGUSR1 makes it save its state, which it does by itself only at a clean stop: what was saved after a
deployment is there again after a crash. Its CloudFormation supports saved queries, which its Athena has.
`infra.laptop.guard` stands before all of it, and `infra.laptop.server` before that.

Each correction changes one thing in the pinned release, and each has a test that fails once the correction
is no longer needed:

1. A Lambda survives an exception of its handler, and the error keeps its class name, which the state machine
   matches. ministack ends the process and calls every error `Runtime.HandlerError`. An invocation takes a
   fraction of the work: see `infra/laptop/invocations.py`.
2. An `Object Created` event of a versioned bucket names the version. ministack leaves it out.
3. The number of concurrent tasks of each Lambda is bounded, and the rest waits for its turn. ministack starts
   a process of 20 to 45 MB for each concurrent invocation, so that 200 uploads at once took 9.5 GB.
4. Tasks and Lambdas may take longer than they may on AWS: their processes are started first, on a few cores
   that everything else shares.
5. Queues are found again after a restart on another port. ministack has the port in their addresses, which
   it stores. Here they are stored with one port, and CloudFormation shows the current one, as SQS does.
6. Athena answers in its own dialect, reads Scones' tables and views alone, and writes its results where it
   says: see `infra/laptop/embedded_athena.py`.
7. An expression of a state machine is parsed once. ministack builds a parser for every execution, and parses
   22 expressions for every image: a seventh of its work for one image.
8. A listing of versions has encoded keys where that is requested, as boto3 does. ministack writes them as
   they are, and one control character makes the whole response invalid XML.
9. An object is on the disk before it is acknowledged, and is refused if the disk does not take it: see
   `infra/laptop/durable.py`.
10. A state machine that asks S3 about an object gets its time in ISO 8601, not as in the HTTP header.
11. A Lambda's greatest number of concurrent batches may be a parameter of the template, whose value is text.
    ministack compares it with a number: its poller fails, and with it every queue after this one.
12. Express workflows have no history and send no status events, and executions begin at once: see
    `infra/laptop/express.py`.
13. A queue's Lambda gets large batches, after a batching window: see `infra/laptop/windows.py`.
14. Random bytes for ids are drawn for many at once. ministack asks the system for each, and other
    threads take the interpreter meanwhile.
15. Events of S3 and executions run in threads that are used again: see `infra/laptop/threads.py`.
"""

import json
import os
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from typing import Any

from jsonata.jsonata import Jsonata
from jsonata.parser import Parser
from ministack import app
from ministack.core import lambda_runtime
from ministack.core.persistence import save_all
from ministack.services import athena, eventbridge, lambda_svc, s3, sqs, stepfunctions
from ministack.services.cloudformation import handlers, provisioners

from infra.laptop import (
    durable,
    embedded_athena,
    enforced,
    express,
    guard,
    invocations,
    server,
    threads,
    windows,
)
from infra.laptop.lifeline import end_with_parent
from infra.laptop.scheduling import stay_on_one_core

TASKS_AT_ONCE = min((os.cpu_count() or 1) + 2, 7)
"""Concurrent tasks of each Lambda. More only fill memory: a task is 2 to 100 ms of work for one core."""

TIMEOUT_SCALE = 8

_IDS_AT_ONCE, _ID_BYTES = 256, 64
"""Of UUIDs, which are made of 16 random bytes, and of S3's ids of a request and of a host."""
_PORT_IN_QUEUE_URLS = "4566"

_version_id: ContextVar[str | None] = ContextVar("version_id", default=None)
_encodes_keys: ContextVar[bool] = ContextVar("encodes_keys", default=False)
_KEYS = ("Key", "Prefix", "Delimiter", "KeyMarker", "NextKeyMarker")
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html"""


def main() -> None:
    """Run until SIGTERM, or the end of the supervisor. The environment sets ministack up."""
    stay_on_one_core()
    end_with_parent()
    app.app = guard.guarded(app.app)
    lambda_runtime._PYTHON_WORKER_SCRIPT = invocations.lean(lambda_runtime._PYTHON_WORKER_SCRIPT)
    lambda_runtime._worker_class_for = lambda _: invocations.LeanWorker
    lambda_svc._execute_function_warm = _raising_again(lambda_svc._execute_function_warm)
    lambda_svc.acquire_worker = patient(lambda_svc.acquire_worker)
    s3._fire_s3_event = _remembering_version(s3._fire_s3_event)
    durable.install()
    s3._list_object_versions = encoding_keys(s3._list_object_versions)
    s3._xml_body = encoded(s3._xml_body)
    eventbridge._dispatch_event = _with_version(eventbridge._dispatch_event)
    stepfunctions._dispatch_aws_sdk_rest_xml = with_iso_times(stepfunctions._dispatch_aws_sdk_rest_xml)
    stepfunctions._invoke_resource_with_timeout = invocations.bounded(TASKS_AT_ONCE, TIMEOUT_SCALE)
    express.install()
    threads.install()
    sqs._receive_messages_for_esm = windows.gathering(sqs._receive_messages_for_esm, express.under_way)
    lambda_svc._sqs_esm_concurrency = with_whole_number(lambda_svc._sqs_esm_concurrency)
    os.urandom = drawn_ahead(os.urandom)
    embedded_athena.install()
    provisioners._RESOURCE_HANDLERS.setdefault("AWS::Athena::NamedQuery", _NAMED_QUERY)
    parser = ParsedOnce()
    Jsonata.get_parser = staticmethod(lambda: parser)
    sqs.DEFAULT_PORT = _PORT_IN_QUEUE_URLS
    sqs._CANONICAL_NETLOC = f"{sqs.DEFAULT_HOST}:{_PORT_IN_QUEUE_URLS}"
    handlers._xml = with_current_port(handlers._xml, os.environ["GATEWAY_PORT"])
    if app.AUTH:
        enforced.install()
    signal.signal(signal.SIGUSR1, lambda *_: save_all(app._build_persistence_save_dict()))
    server.serve(app.app)


def drawn_ahead(urandom: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Return what gives random bytes as `os.urandom`, from those that were drawn for hundreds of ids."""
    kept: list[bytes] = []

    def drawn(size: int, /) -> bytes:
        if size > _ID_BYTES:
            return urandom(size)
        while True:
            try:
                return kept.pop()[:size]
            except IndexError:
                fresh = urandom(_ID_BYTES * _IDS_AT_ONCE)
                kept.extend(fresh[start : start + _ID_BYTES] for start in range(0, len(fresh), _ID_BYTES))

    return drawn


def with_whole_number(concurrency: Callable[..., int]) -> Callable[..., int]:
    """Return what says how many batches a queue's Lambda may have at once, extended to read a text."""

    def wrapped(mapping: dict[str, Any], *others: Any) -> int:
        scaling = mapping.get("ScalingConfig") or {}
        if "MaximumConcurrency" in scaling:
            scaling = {**scaling, "MaximumConcurrency": int(scaling["MaximumConcurrency"])}
        return concurrency({**mapping, "ScalingConfig": scaling}, *others)

    return wrapped


def with_current_port(xml: Callable[..., Any], port: str) -> Callable[..., Any]:
    """Return CloudFormation's XML writer, extended to write addresses of queues with a port in use."""

    def wrapped(status: int, root: str, inner: str) -> Any:
        stored = f"//{sqs.DEFAULT_HOST}:{_PORT_IN_QUEUE_URLS}/"
        return xml(status, root, inner.replace(stored, f"//127.0.0.1:{port}/"))

    return wrapped


class ParsedOnce(Parser):  # type: ignore[misc]
    """A JSONata parser for all threads, which caches its results: evaluation does not change a tree."""

    def __init__(self) -> None:
        super().__init__()
        self._trees: dict[str, Any] = {}
        self._lock = threading.Lock()

    def parse(self, expression: str, regex_engine: Any) -> Any:
        """Return the expression's tree.

        Raises:
            jsonata.jexception.JException: it is not a valid expression.
        """
        with self._lock:
            if expression not in self._trees:
                self._trees[expression] = super().parse(expression, regex_engine)
            return self._trees[expression]


def _raising_again(execute: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = execute(*arguments, **options)
        body = result.get("body")
        if isinstance(body, dict) and "__raised__" in body:
            return {**result, "body": body["__raised__"], "error": True}
        return result

    return wrapped


def patient(acquire_worker: Callable[..., Any]) -> Callable[..., Any]:
    """Return ministack's search for a worker, extended to give each worker more time."""

    def wrapped(name: str, config: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        longer = {**config, "Timeout": config["Timeout"] * TIMEOUT_SCALE}
        return acquire_worker(name, longer, *arguments, **options)

    return wrapped


def with_iso_times(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Return ministack's calls of S3 by a state machine, extended to write times as the SDK integrations do.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
    """

    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = dispatch(*arguments, **options)
        if modified := result.get("LastModified"):
            result["LastModified"] = parsedate_to_datetime(modified).isoformat().replace("+00:00", "Z")
        return result

    return wrapped


def _remembering_version(fire: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        _version_id.set(options.get("version_id"))
        return fire(*arguments, **options)

    return wrapped


def _with_version(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(event: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        if event.get("Source") == "aws.s3" and _version_id.get():
            detail = json.loads(event["Detail"])
            detail["object"].setdefault("version-id", _version_id.get())
            event["Detail"] = json.dumps(detail)
        return dispatch(event, *arguments, **options)

    return wrapped


def encoding_keys(list_versions: Callable[..., Any]) -> Callable[..., Any]:
    """Return ministack's listing of versions, extended to tell `encoded` what was requested."""

    def wrapped(bucket: str, query: dict[str, Any]) -> Any:
        _encodes_keys.set(s3._qp(query, "encoding-type") == "url")
        return list_versions(bucket, query)

    return wrapped


def encoded(xml_body: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return ministack's XML writer, extended to encode the keys of a listing of versions."""

    def wrapped(root: Any) -> bytes:
        if root.tag == "ListVersionsResult" and _encodes_keys.get():
            for element in root.iter():
                if element.tag in _KEYS:
                    element.text = s3._url_encode(element.text or "")
            s3.SubElement(root, "EncodingType").text = "url"
        return xml_body(root)

    return wrapped


def _create_named_query(
    _logical_id: str, properties: dict[str, Any], _stack: str
) -> tuple[str, dict[str, Any]]:
    _, _, body = athena._create_named_query(properties)
    answer: dict[str, str] = json.loads(body)
    return answer["NamedQueryId"], answer


def _replace_named_query(
    id_: str, old: dict[str, Any], new: dict[str, Any], stack: str
) -> tuple[str, dict[str, Any]]:
    """Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-namedquery.html"""
    _delete_named_query(id_, old)
    return _create_named_query("", new, stack)


def _delete_named_query(id_: str, _properties: dict[str, Any]) -> None:
    athena._delete_named_query({"NamedQueryId": id_})


_NAMED_QUERY = {
    "create": _create_named_query,
    "update": _replace_named_query,
    "delete": _delete_named_query,
}


if __name__ == "__main__":
    main()
