"""A torture under way: a system with the proxy in it, what was put into it, and what can be done to it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials
from rich.console import Console

from infra.aws.deploy import parameters_of_model
from infra.cli.terminal import progress_bar
from infra.laptop import local
from infra.operations.answers import engine
from infra.operations.audit import queues
from infra.operations.backfill import wait
from infra.stack import NotUp, Stack
from ingest.errors import RejectedImage
from ingest.image import PreparedImage, prepare
from tests.torture.plan import Drop, Plan
from tests.torture.proxy import Proxy, Script
from tests.torture.verdict import Name, Right, Row, Verdict
from workflow.aws import Endpoint
from workflow.outcome import Outcome
from workflow.policy import Policy, decide

VISIBILITY_S = 4
"""The queue's patience with Record. 11 minutes on AWS; nobody waits for a laptop that long."""
PATIENCE_S = 300.0
POLL_S = 0.3
QUIET_POLLS = 3
"""An event that S3 has just sent is in no list yet."""
AGAIN = "event comes again"


@dataclass
class Course:
    """A torture under way."""

    plan: Plan
    script: Script
    proxy: Proxy
    console: Console
    folder: Path
    stack: Stack
    clean: dict[int, Right] = field(default_factory=dict)
    """Number of an image → what becomes of it without faults."""
    dropped: dict[Name, Drop] = field(default_factory=dict)
    events: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """The events that S3 sent, as it sent them."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


@contextmanager
def up(folder: Path) -> Iterator[Stack]:
    """Have a system of its own for the time of a `with`."""
    stack_file = folder / "stack.json"
    stack = local.up(folder / "home", None, stack_file, stays=False)
    try:
        yield stack
    finally:
        with suppress(NotUp):  # it could not be brought up again, which is said already
            local.down(stack_file)


def crash(course: Course) -> None:
    """Kill the embedded AWS, and bring it up again on what it kept."""
    course.script.note("embedded AWS killed")
    os.kill(course.stack.pids["aws"], signal.SIGKILL)
    until(lambda: not local.is_up(course.stack), "it survived SIGKILL")
    course.stack = local.up(course.folder / "home", None, course.folder / "stack.json", stays=False)
    put_between(course)


def compact(course: Course) -> bool:
    """Run the nightly Lambda; tell whether it lived."""
    lambda_ = course.stack.client("lambda")
    (name,) = [
        function["FunctionName"]
        for function in lambda_.list_functions()["Functions"]
        if function["Handler"] == "analytics.lake.compact.lambda_handler"
    ]
    return "FunctionError" not in lambda_.invoke(FunctionName=name, Payload=b"{}")


def put_between(course: Course) -> None:
    """Put the proxy between the Lambdas and what they talk to, and ourselves among those who get events."""
    stack, proxy = course.stack, course.proxy
    proxy.s3_upstream, proxy.model_upstream = stack.endpoint_url or "", stack.model_endpoint_url or ""
    proxy.credentials = Credentials(stack.access_key_id, stack.secret_access_key)
    proxy.session_id = os.getsid(stack.pids["aws"])
    lambda_ = stack.client("lambda")
    for function in lambda_.list_functions()["Functions"]:
        variables = function["Environment"]["Variables"] | {"AWS_ENDPOINT_URL_S3": proxy.s3_url}
        if "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME" in variables:
            variables["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] = proxy.model_url
        lambda_.update_function_configuration(
            FunctionName=function["FunctionName"], Environment={"Variables": variables}
        )
    sqs, events = stack.client("sqs"), stack.client("events")
    sqs.set_queue_attributes(
        QueueUrl=stack.results_queue_url, Attributes={"VisibilityTimeout": str(VISIBILITY_S)}
    )
    url = _copies_url(stack)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [stack.incoming_bucket]}}}
    events.put_rule(Name="torture", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="torture", Targets=[{"Id": "copies", "Arn": arn}])


def _copies_url(stack: Stack) -> str:
    url: str = stack.client("sqs").create_queue(QueueName="torture")["QueueUrl"]
    return url


def learn(course: Course) -> None:
    """Find out what becomes of each image without faults, and tell the proxy who meets which."""
    runtime = course.stack.model_client()
    model = parameters_of_model()
    policy = Policy.from_mapping(model)
    size_px = int(model["ImageSizePx"])
    for drop in course.plan.drops:
        try:
            image = prepare(drop.data, size_px)
        except RejectedImage as rejected:
            course.clean[drop.number] = Right(Outcome.REJECTED, reasons=frozenset({rejected.reason}))
            continue
        course.clean[drop.number] = _answer(Endpoint(runtime, "scones"), image, policy)
        if drop.ailment:
            course.script.afflict(drop.number, drop.key, image, drop.ailment)


def _answer(endpoint: Endpoint, image: PreparedImage, policy: Policy) -> Right:
    decided = decide(endpoint.classify(image.to_png(), "image/png").scores, policy)
    return Right(decided.outcome, decided.label, decided.confidence)


def put(course: Course, drops: Iterable[Drop]) -> dict[Name, Drop]:
    """Put images into the incoming bucket; return which upload is which."""
    s3 = course.stack.client("s3")
    dropped = {}
    for drop in drops:
        version_id = s3.put_object(Bucket=course.stack.incoming_bucket, Key=drop.key, Body=drop.data)[
            "VersionId"
        ]
        dropped[drop.key, version_id] = drop
    course.dropped |= dropped
    return dropped


def collect(course: Course) -> list[Name]:
    """Take in the events that S3 has sent; return whose they are."""
    sqs, url = course.stack.client("sqs"), _copies_url(course.stack)
    names = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            event = json.loads(message["Body"])
            stored = event["detail"]["object"]
            name = stored["key"], stored["version-id"]
            if name in course.dropped:
                course.events[name] = _at_its_time(event, course.dropped[name])
                names.append(name)
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    return names


def _at_its_time(event: dict[str, Any], drop: Drop) -> dict[str, Any]:
    if drop.event_time is None:
        return event
    return {**event, "time": drop.event_time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def start_copies(course: Course) -> None:
    """Let events come again, the last first."""
    for name in reversed(collect(course)):
        for _ in range(course.dropped[name].copies):
            course.script.note(AGAIN, course.dropped[name].number)
            start(course, name)


def start(course: Course, name: Name) -> None:
    """Start an execution by an upload's event, as the rule does."""
    course.stack.client("stepfunctions").start_execution(
        stateMachineArn=course.stack.state_machine_arn, input=json.dumps(course.events[name])
    )


def wait_for(course: Course, runs: Iterable[Any]) -> None:
    """Wait for the end of backfills."""
    with progress_bar(Console(quiet=True)) as progress:
        wait(course.stack, runs, progress)


def settle(course: Course) -> None:
    """Wait until nothing is in flight: no execution, no outcome in the queue.

    Raises:
        TimeoutError: something goes on and on.
    """
    quiet = 0

    def is_quiet() -> bool:
        nonlocal quiet
        quiet = 0 if queues(course.stack).results or _is_running(course.stack) else quiet + 1
        return quiet >= QUIET_POLLS

    until(is_quiet, "something is in flight and does not end")


def _is_running(stack: Stack) -> bool:
    stepfunctions = stack.client("stepfunctions")
    return any(
        stepfunctions.list_executions(stateMachineArn=arn, statusFilter="RUNNING", maxResults=1)["executions"]
        for arn in (stack.state_machine_arn, stack.backfill_state_machine_arn)
    )


def rows(course: Course) -> list[tuple[Name, Row]]:
    """Return what readers see."""
    with engine(course.stack, course.folder / "results") as answers:
        frame = answers.query(
            "SELECT key, version_id, outcome, label, confidence, reason FROM outcomes"
        ).frame
    return [
        (
            (row.key, row.version_id),
            Row(row.outcome, _text(row.label), _number(row.confidence), _text(row.reason)),
        )
        for row in frame.itertuples()
    ]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def until(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not; says `otherwise`.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(POLL_S)
