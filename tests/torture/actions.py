"""A run of the fault injection: its system with the proxy in it, its uploads, and the steps of a run."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from ingest.image import PreparedImage, prepare_for
from ingest.model_input import ModelInput
from ingest.upload import utc_text
from tests.torture.plan import Drop, Plan
from tests.torture.proxy import Proxy, Script
from tests.torture.verdict import ExpectedOutcome, Name, Row, Verdict
from workflow.aws import Endpoint
from workflow.outcome import Outcome
from workflow.policy import Policy, decide

VISIBILITY_S = 4
"""Visibility timeout of the results queue: 11 minutes on AWS, too long to wait for here."""
PATIENCE_S = 300.0
POLL_S = 0.3
QUIET_POLLS = 3
"""Polls in a row without anything in flight: an event that S3 has just sent is in no list yet."""
DUPLICATE = "duplicate event"


@dataclass(kw_only=True)
class System:
    """A system that faults are injected into."""

    console: Console
    folder: Path
    stack: Stack


@dataclass(kw_only=True)
class Run(System):
    """One run of the fault injection."""

    plan: Plan
    script: Script
    proxy: Proxy
    clean: dict[int, ExpectedOutcome] = field(default_factory=dict)
    """Number of an image → its outcome without faults."""
    dropped: dict[Name, Drop] = field(default_factory=dict)
    events: dict[Name, dict[str, Any]] = field(default_factory=dict)
    """The events that S3 sent, as it sent them."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


@contextmanager
def up(folder: Path) -> Iterator[Stack]:
    """Run a system of its own for the duration of a `with` block."""
    stack_file = folder / "stack.json"
    stack = local.up(folder / "home", None, stack_file, stays=False)
    try:
        yield stack
    finally:
        with suppress(NotUp):  # the restart failed, which has been reported
            local.down(stack_file)


def crash(run: Run) -> None:
    """Kill the embedded AWS, and start it again on the state that it kept."""
    run.script.note("embedded AWS killed")
    run.stack = crash_aws(run.stack, run.folder)
    install_proxy(run)


def crash_aws(stack: Stack, folder: Path) -> Stack:
    """Kill the embedded AWS of a system, and start the system again on the state that it kept."""
    os.kill(stack.pids["aws"], signal.SIGKILL)
    until(lambda: not local.is_up(stack), "it survived SIGKILL")
    return local.up(folder / "home", None, folder / "stack.json", stays=False)


def compact(run: Run) -> bool:
    """Run the compaction Lambda; tell whether it succeeded."""
    lambda_ = run.stack.client("lambda")
    (name,) = [
        function["FunctionName"]
        for function in lambda_.list_functions()["Functions"]
        if function["Handler"] == "analytics.lake.compact.lambda_handler"
    ]
    return "FunctionError" not in lambda_.invoke(FunctionName=name, Payload=b"{}")


def install_proxy(run: Run) -> None:
    """Put the proxy between the Lambdas and S3 or the endpoint, and copy all events into a queue."""
    stack, proxy = run.stack, run.proxy
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
    stack.client("sqs").set_queue_attributes(
        QueueUrl=stack.results_queue_url, Attributes={"VisibilityTimeout": str(VISIBILITY_S)}
    )
    copy_events(stack)


def copy_events(stack: Stack) -> None:
    """Copy all events of the incoming bucket into a queue."""
    sqs, events = stack.client("sqs"), stack.client("events")
    url = _events_queue_url(stack)
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [stack.incoming_bucket]}}}
    events.put_rule(Name="torture", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="torture", Targets=[{"Id": "duplicates", "Arn": arn}])


def _events_queue_url(stack: Stack) -> str:
    url: str = stack.client("sqs").create_queue(QueueName="torture")["QueueUrl"]
    return url


def predict_outcomes(run: Run) -> None:
    """Compute the outcome of each image without faults, and hand the planned faults to the proxy."""
    clean_outcome = predictor(run.stack)
    for drop in run.plan.drops:
        image, run.clean[drop.number] = clean_outcome(drop.data)
        if image and drop.injection:
            run.script.inject(drop.number, drop.key, image, drop.injection)


def predictor(stack: Stack) -> Callable[[bytes], tuple[PreparedImage | None, ExpectedOutcome]]:
    """Return what predicts an image's outcome without faults.

    It returns the image as the model gets it, if it is not rejected, and the outcome.
    """
    model = parameters_of_model()
    endpoint = Endpoint(stack.model_client(), "scones", model["EndpointAccept"])
    policy, form = Policy.from_mapping(model), ModelInput.from_mapping(model)

    def predict(data: bytes) -> tuple[PreparedImage | None, ExpectedOutcome]:
        try:
            image = prepare_for(form, data)
        except RejectedImage as rejected:
            return None, ExpectedOutcome(Outcome.REJECTED, reasons=frozenset({rejected.reason}))
        answer = endpoint.classify(form.file_of(image.pixels), form.content_type)
        decided = decide(answer.scores, policy)
        return image, ExpectedOutcome(
            decided.outcome,
            decided.label,
            decided.confidence,
            frozenset({decided.reason}),
            decided.unfamiliarity,
        )

    return predict


def put(run: Run, drops: Iterable[Drop]) -> dict[Name, Drop]:
    """Put images into the incoming bucket; return them by key and version id."""
    s3 = run.stack.client("s3")
    dropped = {}
    for drop in drops:
        version_id = s3.put_object(Bucket=run.stack.incoming_bucket, Key=drop.key, Body=drop.data)[
            "VersionId"
        ]
        dropped[drop.key, version_id] = drop
    run.dropped |= dropped
    return dropped


def collect(run: Run) -> list[Name]:
    """Collect the events that S3 has sent since; return the uploads that they are about."""
    names = []
    for name, event in collect_events(run.stack):
        if name in run.dropped:
            run.events[name] = _at_its_time(event, run.dropped[name])
            names.append(name)
    return names


def collect_events(stack: Stack) -> Iterator[tuple[Name, dict[str, Any]]]:
    """Yield the events that S3 has sent since, and the uploads that they are about."""
    sqs, url = stack.client("sqs"), _events_queue_url(stack)
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            event = json.loads(message["Body"])
            stored = event["detail"]["object"]
            yield (stored["key"], stored["version-id"]), event
        entries = [
            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
            for number, message in enumerate(messages)
        ]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)


def _at_its_time(event: dict[str, Any], drop: Drop) -> dict[str, Any]:
    if drop.event_time is None:
        return event
    return {**event, "time": utc_text(drop.event_time, "milliseconds")}


def redeliver_events(run: Run) -> None:
    """Send the planned duplicates of events, the last first."""
    for name in reversed(collect(run)):
        for _ in range(run.dropped[name].duplicates):
            run.script.note(DUPLICATE, run.dropped[name].number)
            start(run, name)


def start(run: Run, name: Name) -> None:
    """Start an execution with an upload's event, as the rule does."""
    start_execution(run.stack, run.events[name])


def start_execution(stack: Stack, event: Mapping[str, Any]) -> None:
    """Start an execution with an event."""
    stack.client("stepfunctions").start_execution(
        stateMachineArn=stack.state_machine_arn, input=json.dumps(event)
    )


def wait_for(run: System, runs: Iterable[Any]) -> None:
    """Wait until backfills have ended."""
    with progress_bar(Console(quiet=True)) as progress:
        wait(run.stack, runs, progress)


def settle(run: System, patience_s: float = PATIENCE_S, *, may_wait: int = 0) -> None:
    """Wait until nothing is in flight: no execution, no outcome in the queue, no image that waits.

    Args:
        run: the system.
        patience_s: seconds to wait at most.
        may_wait: number of events whose image the endpoint stays busy for.

    Raises:
        TimeoutError: something does not end.
    """
    quiet = 0

    def is_quiet() -> bool:
        nonlocal quiet
        found = queues(run.stack)
        is_busy = found.results or found.waiting > may_wait or _is_running(run.stack)
        quiet = 0 if is_busy else quiet + 1
        return quiet >= QUIET_POLLS

    until(is_quiet, "something is in flight and does not end", patience_s)


def _is_running(stack: Stack) -> bool:
    stepfunctions = stack.client("stepfunctions")
    return any(
        stepfunctions.list_executions(stateMachineArn=arn, statusFilter="RUNNING", maxResults=1)["executions"]
        for arn in (stack.state_machine_arn, stack.backfill_state_machine_arn)
    )


def rows(run: System) -> list[tuple[Name, Row]]:
    """Return the rows of the view `outcomes`."""
    with engine(run.stack, run.folder / "results") as answers:
        frame = answers.query(
            "SELECT key, version_id, outcome, label, confidence, reason, unfamiliarity FROM outcomes"
        ).frame
    return [
        (
            (row.key, row.version_id),
            Row(
                row.outcome,
                _text(row.label),
                _number(row.confidence),
                _text(row.reason),
                _number(row.unfamiliarity),
            ),
        )
        for row in frame.itertuples()
    ]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def until(condition: Callable[[], bool], otherwise: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not within `patience_s`, with `otherwise` as the text.
    """
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(POLL_S)
