"""The course of a torture: what is dropped, broken, waited for, redriven and counted, in this order."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from infra import local
from infra.answers import engine
from infra.audit import audit, queues
from infra.backfill import backfill, wait
from infra.deploy import parameters_of_model
from infra.drop import progress_bar
from infra.redrive import redrive
from infra.stack import BUILD, NotUp, Stack, client
from infra.torture.faults import OUTAGE
from infra.torture.plan import WITHHELD, Drop, Plan, Wave, plan
from infra.torture.proxy import Proxy, Script
from infra.torture.verdict import Expected, Name, Right, Row, Verdict, judge, rights
from ingest.errors import RejectedImage
from ingest.image import PreparedImage, prepare
from workflow.aws import Endpoint
from workflow.outcome import Outcome
from workflow.prediction import Policy, decide

FOLDER = BUILD / "torture"
REPORT = BUILD / "torture.json"
IMAGES = 500
VISIBILITY_S = 4
"""The queue's patience with Record. 11 minutes on AWS; nobody waits for a laptop that long."""
PATIENCE_S = 300.0
POLL_S = 0.5
QUIET_POLLS = 3
"""An event that S3 has just sent is in no list yet."""
AT_ONCE = timedelta(0)
AGAIN, LATE, AFTER_BACKFILL = "event comes again", "event comes late", "event comes after a backfill"
REPEATED = (AGAIN, LATE, AFTER_BACKFILL)


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
    started: set[Name] = field(default_factory=set)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


def torture(console: Console, seed: int, images: int = IMAGES, folder: Path = FOLDER) -> dict[str, Any]:
    """Torture a system of its own, which ends with it; return what `torture.json` says."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    planned = plan(seed, images, datetime.now(UTC))
    script = Script(planned.writes)
    with _up(folder) as stack, Proxy(script, stack.incoming_bucket, stack.results_bucket) as proxy:
        course = Course(planned, script, proxy, console, folder, stack)
        _put_between(course)
        _learn(course)
        _storm(course)
        _crashes(course)
        _midnight(course)
        _judge(course, "before the redrive", after_redrive=False)
        _redrive(course)
        _judge(course, "after the redrive", after_redrive=True)
        _compactions(course)
        _late_copies(course)
        _judge(course, "after late copies", after_redrive=True)
        _compact(course)
        _judge(course, "in the end", after_redrive=True)
        found = audit(course.stack, in_flight=AT_ONCE, folder=folder)
    counts = script.counts()
    repeated = sum(counts.pop(name, 0) for name in REPEATED)
    report = {
        "seed": seed,
        "images": len(course.dropped),
        "faults": sum(counts.values()),
        "faults_by_kind": dict(sorted(counts.items())),
        "events_repeated": repeated,
        **{what: _ever(course, what) for what in ("lost", "doubled", "wrong")},
        "audit": {
            "uploaded": found.books.uploaded,
            "missing": found.books.missing,
            "doubled": found.books.doubled,
            **{outcome.value: found.books.by_outcome[outcome] for outcome in Outcome},
        },
        "seconds": round(time.monotonic() - began, 1),
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=2) + "\n")
    _show(course, report)
    return report


def went_well(report: Mapping[str, Any]) -> bool:
    """Tell whether nothing was lost, doubled or wrong, by our own count and by the audit's."""
    books = report["audit"]
    return not (
        report["lost"] or report["doubled"] or report["wrong"] or books["missing"] or books["doubled"]
    )


# ── what is done ───────────────────────────────────────────────────────────────────────────────────────────


def _storm(course: Course) -> None:
    _say(course, "Storm: faults for single images, events that come twice and in any order")
    _drop(course, Wave.STORM)
    _start_copies(course)
    _settle(course)


def _crashes(course: Course) -> None:
    drops = course.plan.of(Wave.CRASH)
    for part in range(course.plan.crashes):
        _say(course, "Crash: the embedded AWS is killed with images in flight, and brought up again")
        some = drops[part :: course.plan.crashes]
        before = len(_rows(course))
        _drop(course, Wave.CRASH, some)
        _start_copies(course)
        _until(lambda: len(_rows(course)) > before, "no image of the wave came through")  # noqa: B023
        _crash(course)
        _settle(course)


def _midnight(course: Course) -> None:
    _say(course, "Midnight: events of two days in any order, some after a backfill")
    events = course.stack.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ImageUploaded" in rule["Name"]]
    events.disable_rule(Name=rule)
    drops = _drop(course, Wave.MIDNIGHT)
    _collect(course)
    events.enable_rule(Name=rule)
    rng = random.Random(course.plan.seed)
    names = sorted(drops)
    rng.shuffle(names)
    withheld = [name for name in names if drops[name].is_withheld]
    for name in names:
        if name not in withheld:
            _start(course, name)
    _settle(course)
    if withheld:
        _wait_for(course, backfill(course.stack, WITHHELD))
        _settle(course)
        for name in withheld:
            course.script.note(AFTER_BACKFILL, drops[name].number)
            _start(course, name)
        _settle(course)


def _redrive(course: Course) -> None:
    _say(course, "Redrive: what failed or is missing, once")
    course.script.is_redriving = True
    _wait_for(course, redrive(course.stack, apply=True, in_flight=AT_ONCE).runs)
    _settle(course)


def _compactions(course: Course) -> None:
    _say(course, "Compaction: killed at one request after the other, until it comes through")
    for request in count(step=course.plan.compactor_stride):
        course.script.let_compactor_die(request)
        if _compact(course):
            break
        _judge(course, f"after the compactor's death at request {request}", after_redrive=True)
    course.script.let_compactor_die(None)
    _judge(course, "after compaction", after_redrive=True)


def _late_copies(course: Course) -> None:
    _say(course, "Late copies of events")
    rng = random.Random(course.plan.seed + 1)
    for name in rng.sample(sorted(course.events), min(len(course.events), 20 + len(course.events) // 10)):
        course.script.note(LATE, course.dropped[name].number)
        _start(course, name)
    _settle(course)


# ── how it is done ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _up(folder: Path) -> Iterator[Stack]:
    stack_file = folder / "stack.json"
    stack = local.up(folder / "home", None, stack_file, stays=False)
    try:
        yield stack
    finally:
        with suppress(NotUp):  # it could not be brought up again, which is said already
            local.down(stack_file)


def _crash(course: Course) -> None:
    course.script.note("embedded AWS killed")
    os.kill(course.stack.pids["aws"], signal.SIGKILL)
    _until(lambda: not local.is_up(course.stack), "it survived SIGKILL")
    course.stack = local.up(course.folder / "home", None, course.folder / "stack.json", stays=False)
    _put_between(course)


def _compact(course: Course) -> bool:
    """Run the nightly Lambda; tell whether it lived."""
    lambda_ = course.stack.client("lambda")
    (name,) = [
        function["FunctionName"]
        for function in lambda_.list_functions()["Functions"]
        if function["Handler"] == "analytics.compact.lambda_handler"
    ]
    return "FunctionError" not in lambda_.invoke(FunctionName=name, Payload=b"{}")


def _put_between(course: Course) -> None:
    """Put the proxy between the Lambdas and what they talk to, and ourselves among those who get events."""
    stack, proxy = course.stack, course.proxy
    proxy.s3_upstream, proxy.model_upstream = stack.endpoint_url or "", stack.model_endpoint_url or ""
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


def _learn(course: Course) -> None:
    """Find out what becomes of each image without faults, and tell the proxy who meets which."""
    runtime = client("sagemaker-runtime", course.stack.region, course.stack.model_endpoint_url)
    model = parameters_of_model()
    policy = Policy.parse(model["ClassNames"], model["Threshold"], model["ClassThresholds"], "1")
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


def _drop(course: Course, wave: Wave, drops: Iterable[Drop] | None = None) -> dict[Name, Drop]:
    s3 = course.stack.client("s3")
    dropped = {}
    for drop in course.plan.of(wave) if drops is None else drops:
        version_id = s3.put_object(Bucket=course.stack.incoming_bucket, Key=drop.key, Body=drop.data)[
            "VersionId"
        ]
        dropped[drop.key, version_id] = drop
    course.dropped |= dropped
    return dropped


def _collect(course: Course) -> list[Name]:
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


def _start_copies(course: Course) -> None:
    """Let events come again, the last first."""
    for name in reversed(_collect(course)):
        for _ in range(course.dropped[name].copies):
            course.script.note(AGAIN, course.dropped[name].number)
            _start(course, name)


def _start(course: Course, name: Name) -> None:
    course.stack.client("stepfunctions").start_execution(
        stateMachineArn=course.stack.state_machine_arn, input=json.dumps(course.events[name])
    )


def _wait_for(course: Course, runs: Iterable[Any]) -> None:
    with progress_bar(Console(quiet=True)) as progress:
        wait(course.stack, runs, progress)


def _settle(course: Course) -> None:
    """Wait until nothing is in flight: no execution, no outcome in the queue.

    Raises:
        TimeoutError: something goes on and on.
    """
    quiet = 0

    def is_quiet() -> bool:
        nonlocal quiet
        quiet = 0 if queues(course.stack).results or _is_running(course.stack) else quiet + 1
        return quiet >= QUIET_POLLS

    _until(is_quiet, "something is in flight and does not end")


def _is_running(stack: Stack) -> bool:
    stepfunctions = stack.client("stepfunctions")
    return any(
        stepfunctions.list_executions(stateMachineArn=arn, statusFilter="RUNNING", maxResults=1)["executions"]
        for arn in (stack.state_machine_arn, stack.backfill_state_machine_arn)
    )


def _rows(course: Course) -> list[tuple[Name, Row]]:
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


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(POLL_S)


def _judge(course: Course, when: str, *, after_redrive: bool) -> None:
    has_outage = OUTAGE in course.plan.writes.values()
    expected = {
        name: Expected(
            rights(course.clean[drop.number], drop.ailment, drop.copies, after_redrive=after_redrive),
            may_be_missing=not after_redrive and (drop.wave is Wave.CRASH or has_outage),
            may_be_doubled=not after_redrive and drop.is_withheld,
        )
        for name, drop in course.dropped.items()
    }
    course.verdicts[when] = judge(expected, _rows(course))


def _ever(course: Course, what: str) -> int:
    """Return how many uploads were lost, doubled or wrong in any of the verdicts."""
    return len({name for verdict in course.verdicts.values() for name in getattr(verdict, what)})


def _say(course: Course, text: str) -> None:
    course.console.print(f"{time.monotonic() - course.began:4.0f} s  {text} …", highlight=False)


def _show(course: Course, report: Mapping[str, Any]) -> None:
    table = Table(title=f"Torture, seed {report['seed']}: {report['images']} images", title_justify="left")
    table.add_column("fault")
    table.add_column("met", justify="right")
    for name, met in report["faults_by_kind"].items():
        table.add_row(name, f"{met:,}")
    course.console.print(table)
    for when, verdict in course.verdicts.items():
        for what in ("lost", "doubled", "wrong"):
            for name, said in getattr(verdict, what).items():
                course.console.print(f"[bold red]{what}[/] {when}: {name!r} {said!r}", soft_wrap=True)
    books = report["audit"]
    course.console.print(
        f"{report['faults']} faults, {report['events_repeated']} events repeated. "
        f"Lost: {report['lost']}, doubled: {report['doubled']}, wrong: {report['wrong']}. "
        f"The audit: {books['missing']} missing, {books['doubled']} doubled."
    )
