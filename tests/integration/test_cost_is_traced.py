"""What the cost model says that images use is what a run of the real steps uses, counted."""

import io
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ministack.services import stepfunctions

from analytics.challenger import handler as challenger
from analytics.lake import record
from analytics.lake.aws import ChallengerImages
from analytics.report import cost
from infra.installation import PROJECT
from ingest import serialize
from ingest.upload import Upload
from ingest.waiting import WaitingQueue
from model.data.drawings import LABELS
from tests.builders import FakeContext, an_event, an_sqs_event, noise, png_bytes
from tests.template import resources_of_type
from workflow import classify, classify_batch, decide
from workflow.aws import Endpoint, ResultsQueue
from workflow.batch import Steps
from workflow.outcome import Outcome

INCOMING, RESULTS = "scones-incoming", "scones-results"
EXECUTION = (
    "arn:aws:states:us-east-1:111122223333:express:scones-image:"
    "8f2d8c1e-5f0b-4d39-9d0e-5d2f1c7b6a10_4c0f:52fdfc07-2182-154f-163f-5f0f9a621d72"
)
STEPS: dict[str, ModuleType] = {"Serialize": serialize, "Classify": classify, "Decide": decide}
SIZE_PX = 64
ANSWER = json.dumps({"probabilities": [0.95, 0.02, 0.01, 0.01, 0.01], "unfamiliarity": 0.123456}).encode()
PLATFORM_LINES = (
    "START RequestId: 52fdfc07-2182-154f-163f-5f0f9a621d72 Version: $LATEST\n",
    "END RequestId: 52fdfc07-2182-154f-163f-5f0f9a621d72\n",
    "REPORT RequestId: 52fdfc07-2182-154f-163f-5f0f9a621d72\tDuration: 62.38 ms\tBilled Duration: 63 ms\t"
    "Memory Size: 1024 MB\tMax Memory Used: 101 MB\t\n",
)
EVENT_OVERHEAD_BYTES = 26
"""Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"""


class Trace:
    """Counts what AWS would bill."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.used: defaultdict[str, float] = defaultdict(float)
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def watch(self, client: Any) -> None:
        client.meta.events.register("before-send.*.*", self._request)

    def _request(self, event_name: str, **_: Any) -> None:
        self.used[{"GetObject": "s3_get", "PutObject": "s3_put"}[event_name.rpartition(".")[2]]] += 1

    def invoke(self, step: ModuleType, payload: Any) -> Any:
        """Run a Lambda: its answer crosses JSON, and its lines go to CloudWatch Logs."""
        self._capsys.readouterr()
        self._monkeypatch.setattr(step.logger.registered_handler, "stream", sys.stdout)
        answer = json.loads(json.dumps(step.lambda_handler(payload, FakeContext())))
        lines = [*self._capsys.readouterr().out.splitlines(keepends=True), *PLATFORM_LINES]
        self.used["lambda_request"] += 1
        self.used[f"log_bytes of {step.__name__}"] += sum(
            len(x.encode()) + EVENT_OVERHEAD_BYTES for x in lines
        )
        return answer


class Runtime:
    """SageMaker's runtime, which counts the bytes in and out."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        images = 1 if request["ContentType"] == "image/png" else len(request["Body"]) // (SIZE_PX**2 * 3)
        answer = ANSWER if images == 1 else b"[" + b",".join([ANSWER] * images) + b"]"
        self._trace.used["endpoint_bytes"] += len(request["Body"]) + len(answer)
        return {"Body": io.BytesIO(answer), "CustomAttributes": "model_version=m1"}


class Sqs:
    """A queue, which counts its messages."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.bodies: list[str] = []

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        size_bytes = sum(len(entry["MessageBody"]) for entry in Entries)
        self._trace.used["sqs_request"] += math.ceil(size_bytes / 65_536)  # each 64 KB is billed as a request
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {}

    def send_message(self, QueueUrl: str, MessageBody: str) -> dict[str, Any]:
        return self.send_message_batch(QueueUrl, [{"MessageBody": MessageBody}])


@pytest.fixture
def trace(s3: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Trace]:
    for name, value in {
        "ImageSizePx": str(SIZE_PX),
        "RESULTS_BUCKET": RESULTS,
        "ClassNames": ",".join(LABELS),
        "Threshold": "0.9",
        "ClassThresholds": "",
        "Temperature": "1",
        "CHALLENGER_IMAGES_URL": "",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (serialize.incoming_bucket, serialize.model_input, decide.policy, record.results_bucket)
    for cached in caches:
        cached.cache_clear()
    for name in (INCOMING, RESULTS):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=INCOMING, VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setattr(serialize, "waiting_queue", lambda: WaitingQueue(lambda: 0))
    trace = Trace(capsys, monkeypatch)
    trace.watch(serialize.incoming_bucket()._s3)
    trace.watch(record.results_bucket()._s3)
    endpoint = Endpoint(Runtime(trace), "scones")
    monkeypatch.setattr(classify, "endpoint", lambda: endpoint)
    yield trace
    for cached in caches:
        cached.cache_clear()


def uploads(s3: Any, images: int) -> list[dict[str, Any]]:
    file = png_bytes(noise(SIZE_PX, SIZE_PX))
    events = []
    for number in range(images):
        key = f"van-07/2026-11-16/bicycle_s_{number:06}.png"
        stored = s3.put_object(Bucket=INCOMING, Key=key, Body=file)
        events.append(an_event(key, stored["VersionId"], len(file), bucket=INCOMING))
    return events


def record_all(trace: Trace, bodies: list[str]) -> None:
    trace.used["sqs_request"] += 2 * len(bodies) / 10  # received and deleted, ten at a time
    trace.invoke(record, an_sqs_event(*bodies))


def run_machine(trace: Trace, monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]) -> list[str]:
    """Run an execution for each event, and return the bodies of the messages that they sent."""
    bodies: list[str] = []

    def call(resource: str, arguments: Any) -> Any:
        if "sqs" in resource:
            trace.used["sqs_request"] += 1
            bodies.append(json.dumps(arguments["MessageBody"]))
            return {"MessageId": "one"}
        name = arguments["FunctionName"].removeprefix("${").removesuffix("FunctionArn}")
        return {"StatusCode": 200, "Payload": trace.invoke(STEPS[name], arguments["Payload"])}

    monkeypatch.setattr(stepfunctions, "_invoke_resource", call)
    definition = (PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8")
    monkeypatch.setitem(stepfunctions._state_machines, "arn", {"name": "scones", "definition": definition})
    for event in events:
        execution = {
            "executionArn": EXECUTION,
            "stateMachineArn": "arn",
            "name": "one",
            "status": "RUNNING",
            "startDate": "2026-11-16T09:30:00.000Z",
            "input": json.dumps(event),
            "events": [],
        }
        monkeypatch.setitem(stepfunctions._executions, EXECUTION, execution)
        stepfunctions._run_execution(EXECUTION)
        assert execution["status"] == "SUCCEEDED"
        trace.used["eventbridge_event"] += 1
        trace.used["states_express_request"] += 1
    return bodies


def check(trace: Trace, usage: cost.Usage, counted: set[str]) -> None:
    used = trace.used
    log_bytes = sum(used[name] for name in used if name.startswith("log_bytes"))
    assert usage["logs_gb"] * 1e9 == pytest.approx(log_bytes, rel=0.1)
    assert usage["endpoint_data_gb"] * 1e9 == pytest.approx(used["endpoint_bytes"], rel=0.05)
    for item in counted:
        assert usage[item] == pytest.approx(used[item]), item


def test_by_events_an_image_uses_what_was_counted(
    trace: Trace, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_all(trace, run_machine(trace, monkeypatch, uploads(s3, 3)))
    a_minute = 1 / (24 * 60)
    usage = cost.by_events(cost.Load(images=3, days=a_minute))
    counted = {"eventbridge_event", "states_express_request", "lambda_request", "s3_get", "sqs_request"}
    check(trace, usage, counted | {"s3_put"})
    for step in STEPS:
        bytes_each = trace.used[f"log_bytes of {STEPS[step].__name__}"] / 3
        assert cost.LOG_BYTES[step] == pytest.approx(bytes_each, rel=0.1)


def test_by_a_backfill_a_batch_uses_what_was_counted(
    trace: Trace, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Sqs(trace)
    read, form = serialize.incoming_bucket().read, serialize.model_input()
    steps = Steps(read, form, classify.endpoint(), decide.policy())
    monkeypatch.setattr(classify_batch, "steps", lambda: steps)
    monkeypatch.setattr(classify_batch, "results_queue", lambda: ResultsQueue(queue, "url"))
    trace.invoke(classify_batch, {"events": uploads(s3, 100), "execution_arn": EXECUTION})
    record_all(trace, queue.bodies)
    trace.used["s3_get"] += 1  # the manifest
    trace.used["s3_put"] += 2  # the manifest, and a listing for each 1,000 images
    usage = cost.by_backfill(cost.Load(images=100))
    check(trace, usage, {"lambda_request", "s3_get", "s3_put", "sqs_request"})


def test_a_challenger_uses_what_was_counted(trace: Trace, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, images = Sqs(trace), 300
    shown = ChallengerImages(queue, "url")
    assert shown.show(Upload.from_event(event) for event in uploads(s3, 1) * images) is None
    read, form = serialize.incoming_bucket().read, serialize.model_input()
    steps = Steps(read, form, classify.endpoint(), decide.policy())
    monkeypatch.setattr(challenger, "steps", lambda: steps)
    monkeypatch.setattr(challenger, "results_bucket", record.results_bucket)
    monkeypatch.setattr(FakeContext, "get_remaining_time_in_millis", lambda self: 300_000)
    received = an_sqs_event(*queue.bodies)
    for message in received["Records"]:
        message["attributes"]["ApproximateReceiveCount"] = "1"
        trace.used["sqs_request"] += math.ceil(len(message["body"]) / 65_536) + 1 / 10  # and deleted
    trace.invoke(challenger, received)
    usage = cost.by_challenger(cost.Load(images, days=5 / (24 * 60)))
    check(trace, usage, {"lambda_request", "s3_get", "s3_put", "sqs_request"})


def named_in(sources: str) -> set[str]:
    return set(re.findall(r'(?:add_metric\(name=|add_values\(|count_one\()"(\w+)"', sources))


def test_each_metric_and_each_alarm_is_counted() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("ingest", "workflow", "analytics/lake")
        for path in (PROJECT / folder).rglob("*.py")
    )
    assert len(named_in(sources)) + len(Outcome) == cost.METRICS
    source = Path(challenger.__file__).read_text(encoding="utf-8")
    assert len(named_in(source)) == cost.CHALLENGER_METRICS
    # An alarm costs 10 cents a month.
    assert len(resources_of_type("AWS::CloudWatch::Alarm")) == pytest.approx(cost.ALARMS, abs=2)
    assert len(resources_of_type("AWS::CloudWatch::Dashboard")) == cost.DASHBOARDS
    assert len(resources_of_type("AWS::KMS::Key")) == cost.KMS_KEYS
