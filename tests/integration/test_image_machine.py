"""The state machine, run by the embedded AWS's interpreter in this process, over the real steps."""

import json
import uuid
from dataclasses import asdict
from typing import Any

import pytest
from ministack.services import stepfunctions

from analytics.lake.schema import row_from_message
from infra.installation import PROJECT
from ingest import class_names
from ingest.errors import OthersWait, RejectedImage
from ingest.image import prepare
from ingest.model_input import ModelInput
from ingest.serialize import to_payload
from ingest.upload import Upload
from ingest.waiting import COUNT_EVERY_S, WaitingQueue
from tests.builders import LONGEST_KEY, FakeContext, an_event, image_net_names, noise, png_bytes
from workflow import batch, decide
from workflow.answers import Scores
from workflow.classifier import Answer
from workflow.errors import EndpointBusy, EndpointFault, InvalidScores, UnclearAnswer, UnknownLabel
from workflow.waiting import decide_waiting

# Powertools says so of a Lambda that raises before it has measured anything.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")

DEFINITION = (PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8")


class Steps:
    """What the machine calls; a step's answers are used up in turn, the last one for good."""

    def __init__(self):
        self.answers: dict[str, list[Any]] = {
            "Serialize": [serialized(32)],
            "Classify": [classified([0.97, 0.03])],
            "Decide": [lambda request: decide.lambda_handler(request, FakeContext())],
        }
        self.requests: dict[str, list[Any]] = {name: [] for name in [*self.answers, "FindUpload"]}
        self.messages = []
        self.waiting = []
        self.found: dict[str, Any] | None = None

    def call(self, resource, arguments):
        if "sqs" in resource:
            waits = arguments["QueueUrl"] == "${WaitingImagesUrl}"
            (self.waiting if waits else self.messages).append(
                json.loads(json.dumps(arguments["MessageBody"]))
            )
            return {"MessageId": "one"}
        if "s3" in resource:
            self.requests["FindUpload"].append(arguments)
            if self.found is None:
                raise stepfunctions._ExecutionError("S3.S3Exception", "Not Found (404)")
            return self.found
        name = arguments["FunctionName"].removeprefix("${").removesuffix("FunctionArn}")
        self.requests[name].append(arguments["Payload"])
        answers = self.answers[name]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            if isinstance(answer, Exception):
                raise answer
            payload = answer(arguments["Payload"]) if callable(answer) else answer
        except Exception as error:
            cause = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
            raise stepfunctions._ExecutionError(type(error).__name__, json.dumps(cause)) from error
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(payload))}


def serialized(size_px):
    prepared = prepare(png_bytes(noise(size_px, size_px)), size_px)
    return to_payload(prepared, ModelInput.square(size_px), 21.53, lambda file: "model-inputs/one")


def classified(scores):
    return {
        "scores": asdict(Scores(scores)),
        "model_version": "m1",
        "endpoint": "scones",
        "classify_ms": 34.21,
    }


def of_the_platform(name):
    return type(name, (Exception,), {})("Rate exceeded")


THROTTLED = of_the_platform("Lambda.TooManyRequestsException")
LAMBDA_FAILED = of_the_platform("Lambda.ServiceException")


@pytest.fixture(autouse=True)
def policy(monkeypatch):
    monkeypatch.setenv("ClassNames", "bicycle,motorcycle")
    monkeypatch.setenv("Threshold", "0.94")
    monkeypatch.setenv("ClassThresholds", "")
    monkeypatch.setenv("Temperature", "1")
    monkeypatch.delenv("UnfamiliarityThreshold", raising=False)
    decide.policy.cache_clear()
    yield
    decide.policy.cache_clear()


@pytest.fixture
def steps(monkeypatch):
    steps = Steps()
    monkeypatch.setattr(stepfunctions, "_invoke_resource", steps.call)
    monkeypatch.setattr(stepfunctions, "_SFN_WAIT_SCALE", 0)
    return steps


@pytest.fixture
def run(steps):
    """Run an execution to its end and return it."""
    name = uuid.uuid4().hex
    machine_arn = f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"
    execution_arn = f"arn:aws:states:us-east-1:000000000000:execution:{name}:one"
    stepfunctions._state_machines[machine_arn] = {"name": name, "definition": DEFINITION}

    def run(event=None):
        execution = {
            "executionArn": execution_arn,
            "stateMachineArn": machine_arn,
            "name": "one",
            "status": "RUNNING",
            "startDate": "2026-11-16T09:30:00.000Z",
            "input": json.dumps(event or an_event()),
            "events": [],
        }
        stepfunctions._executions[execution_arn] = execution
        stepfunctions._run_execution(execution_arn)
        return execution

    yield run
    del stepfunctions._state_machines[machine_arn]
    del stepfunctions._executions[execution_arn]


def the_row(steps):
    (message,) = steps.messages
    return row_from_message(message)


def test_a_confident_image_is_accepted_and_recorded_with_all_that_is_known(steps, run):
    assert run()["status"] == "SUCCEEDED"
    row = the_row(steps)
    assert (row["outcome"], row["label"], row["confidence"]) == ("accepted", "bicycle", 0.97)
    assert (row["reason"], row["detail"]) == (None, None)
    unknown = {column for column, value in row.items() if value is None}
    assert unknown == {"reason", "detail", "first_decided_at", "unfamiliarity", "other_probability"}


def test_an_image_that_is_unlike_the_classes_needs_review_however_sure_the_model_is(steps, run):
    scores = Scores([0.99, 0.01], unfamiliarity=0.97)
    steps.answers["Classify"] = [{**classified([]), "scores": asdict(scores)}]
    assert run()["status"] == "SUCCEEDED"
    row = the_row(steps)
    assert (row["outcome"], row["reason"], row["unfamiliarity"]) == ("needs_review", "unlike_training", 0.97)
    assert row["detail"] == "unfamiliarity 0.970, above 0.95"


def test_an_uncertain_image_needs_review(steps, run):
    steps.answers["Classify"] = [classified([0.5, 0.5])]
    assert run()["status"] == "SUCCEEDED"
    assert the_row(steps)["outcome"] == "needs_review"


def test_a_rejected_image_is_recorded_without_a_retry_and_the_execution_succeeds(steps, run):
    steps.answers["Serialize"] = [RejectedImage("corrupt", "PNG: broken: badly")]
    assert run()["status"] == "SUCCEEDED"
    row = the_row(steps)
    assert (row["outcome"], row["reason"], row["detail"]) == ("rejected", "corrupt", "PNG: broken: badly")
    assert len(steps.requests["Serialize"]) == 1
    assert steps.requests["Classify"] == []


@pytest.mark.parametrize(
    ("step", "error", "attempts"),
    [
        ("Serialize", KeyError("detail"), 2),
        ("Classify", EndpointFault("it failed"), 3),
        ("Classify", KeyError("body"), 2),
        ("Classify", UnclearAnswer("two meanings"), 1),
        ("Decide", InvalidScores("too few"), 1),
        ("Decide", UnknownLabel("a cat"), 1),
        ("Decide", ValueError("no threshold"), 2),
    ],
    ids=lambda value: repr(value),
)
def test_what_goes_on_failing_is_recorded_as_failed_and_fails_the_execution(
    steps, run, step, error, attempts
):
    steps.answers[step] = [error]
    execution = run()
    assert (execution["status"], execution["error"]) == ("FAILED", type(error).__name__)
    row = the_row(steps)
    assert (row["outcome"], row["reason"], row["detail"]) == ("failed", type(error).__name__, str(error))
    assert (row["width_px"] is None) == (step == "Serialize")
    assert row["label"] is None
    assert len(steps.requests[step]) == attempts


@pytest.mark.parametrize(
    ("step", "errors"),
    [
        ("Serialize", [THROTTLED]),
        ("Serialize", [LAMBDA_FAILED] * 6),
        ("Serialize", [of_the_platform("States.Timeout")]),
        ("Classify", [EndpointFault("once")] * 2),
        ("Classify", [LAMBDA_FAILED, EndpointFault("once"), THROTTLED]),
        ("Decide", [THROTTLED] * 3),
    ],
)
def test_what_stops_failing_is_accepted_in_the_end(steps, run, step, errors):
    steps.answers[step] = [*errors, *steps.answers[step]]
    assert run()["status"] == "SUCCEEDED"
    assert the_row(steps)["outcome"] == "accepted"


def test_scores_of_another_model_than_the_policy_s_end_as_failed_with_no_label(steps, run, monkeypatch):
    monkeypatch.setenv("ModelVersion", "m2")
    decide.policy.cache_clear()
    assert run()["status"] == "FAILED"
    row = the_row(steps)
    assert (row["outcome"], row["reason"], row["label"]) == ("failed", "wrong_model", None)
    assert row["detail"] == "the policy is for model 'm2', and 'm1' answered"
    assert len(steps.requests["Decide"]) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("Serialize", THROTTLED),
        ("Serialize", LAMBDA_FAILED),
        ("Serialize", OthersWait("100 images wait for the endpoint, and this one with them")),
        ("Classify", THROTTLED),
        ("Classify", EndpointBusy("down")),
        ("Decide", THROTTLED),
    ],
)
def test_what_finds_no_capacity_waits_with_its_event_and_the_execution_succeeds(steps, run, step, error):
    steps.answers[step] = [error]
    event = an_event("a+b.png")
    execution = run(event)
    assert (execution["status"], json.loads(execution["output"])) == ("SUCCEEDED", {"outcome": "waiting"})
    assert steps.waiting == [event]
    assert steps.messages == []


def test_a_busy_endpoint_is_asked_once(steps, run):
    steps.answers["Classify"] = [EndpointBusy("down")]
    run()
    assert len(steps.requests["Classify"]) == 1


def test_an_outage_loses_no_image_and_all_are_decided_when_it_is_over(steps, run, monkeypatch):
    many = 4
    monkeypatch.setattr("ingest.waiting.MANY_WAIT", many)
    now_s, read = [0.0], []
    queue = WaitingQueue(lambda: len(steps.waiting), lambda: now_s[0])

    def serialize(request):
        queue.check()
        read.append(request)
        return serialized(32)

    def come(*keys):
        for key in keys:
            now_s[0] += COUNT_EVERY_S
            event = an_event(key)
            yield json.loads(run(event)["output"])["outcome"], Upload.from_event(event).upload_id

    steps.answers |= {"Serialize": [serialize], "Classify": [EndpointBusy("down")]}
    outcomes, uploads = zip(*come(*(f"{number}.png" for number in range(many + 3))), strict=True)
    assert {*outcomes} == {"waiting"}
    assert (len(read), steps.messages) == (many, [])
    assert len(steps.waiting) == many + 3  # which is what audits and alarms count

    steps.answers["Classify"] = [classified([0.97, 0.03])]
    assert next(come("later.png"))[0] == "waiting"  # it overtakes no other
    again = batch.Steps(lambda upload: png_bytes(), ModelInput.square(32), Answering(), decide.policy())
    records = [
        {"messageId": str(number), "body": json.dumps(event), "messageAttributes": {}}
        for number, event in enumerate(steps.waiting)
    ]
    decided = decide_waiting(again, records, lambda: 39.0)
    assert decided.waiting == []
    rows = [row_from_message(message) for message in decided.messages]
    later = Upload.from_event(an_event("later.png")).upload_id
    assert sorted(row["upload_id"] for row in rows) == sorted([*uploads, later])
    assert {row["outcome"] for row in rows} == {"accepted"}

    steps.waiting.clear()
    assert next(come("after.png"))[0] == "accepted"
    assert len(steps.messages) == 1


class Answering:
    """An endpoint that is up, and takes batches."""

    name, is_left_alone, is_half_open = "scones", False, False

    def classify(self, image, content_type):
        raise AssertionError("a batch is asked about as a whole")

    def classify_batch(self, images, size_px):
        return [Answer(Scores([0.97, 0.03]), "m1")] * len(images)


BY_HAND = {"image_data": "", "s3_bucket": "incoming", "s3_key": "test/bicycle_s_000513.png"}
HEAD = {"ContentLength": 2_048, "ETag": '"0f343b09"', "LastModified": "2026-11-16T09:30:00Z"}


@pytest.mark.parametrize("version", [{}, {"VersionId": "v1"}])
def test_an_object_that_a_person_names_is_the_upload_that_its_event_names(steps, run, version):
    steps.found = {**HEAD, **version}
    assert run(BY_HAND)["status"] == "SUCCEEDED"
    assert steps.requests["FindUpload"] == [{"Bucket": "incoming", "Key": "test/bicycle_s_000513.png"}]
    event = an_event("test/bicycle_s_000513.png")
    event["detail"]["bucket"]["name"] = "incoming"
    event["detail"]["object"] |= {"etag": "0f343b09", "version-id": version.get("VersionId", "null")}
    row = the_row(steps)
    assert row["upload_id"] == Upload.from_event(event).upload_id
    assert (row["outcome"], row["size_bytes"]) == ("accepted", 2_048)
    assert steps.requests["Serialize"][0]["event"] == steps.messages[0]["event"]


def test_an_object_that_a_person_names_waits_like_any_other(steps, run):
    steps.found, steps.answers["Classify"] = HEAD, [EndpointBusy("down")]
    run(BY_HAND)
    (event,) = steps.waiting
    assert Upload.from_event(event).key == "test/bicycle_s_000513.png"


def test_an_object_that_is_not_there_says_so_and_leaves_no_row(steps, run):
    execution = run(BY_HAND)
    assert (execution["status"], execution["error"]) == ("FAILED", "NoSuchUpload")
    assert "s3://incoming/test/bicycle_s_000513.png" in execution["cause"]
    assert "404" in execution["cause"]
    assert steps.messages == []


def test_invalid_scores_that_the_endpoint_sends_end_as_failed(steps, run):
    steps.answers["Classify"] = [classified([0.97, None])]
    assert run()["error"] == "InvalidScores"
    assert the_row(steps)["reason"] == "InvalidScores"


@pytest.mark.parametrize(
    "key", [LONGEST_KEY, "a+b c%20.png", "<b>&amp;\"'.png", "{% $states %}", "$.a", "🚲"]
)
def test_a_key_of_any_kind_reaches_the_row(steps, run, key):
    run(an_event(key))
    assert the_row(steps)["key"] == key
    assert steps.requests["Serialize"][0]["event"]["detail"]["object"]["key"] == key


def test_every_step_knows_the_execution(steps, run):
    execution_arn = run()["executionArn"]
    requests = [request for some in steps.requests.values() for request in some]
    assert {request["execution_arn"] for request in requests} == {execution_arn}
    assert the_row(steps)["execution_arn"] == execution_arn


# ── what travels ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_picture_does_not_travel_beyond_classify(steps, run):
    run()
    body = steps.answers["Serialize"][0]["body"]
    assert steps.requests["Classify"][0]["body"] == body
    assert body not in json.dumps(steps.requests["Decide"] + steps.messages)


@pytest.mark.parametrize(
    "classify",
    [
        classified([1.0] + [0.0] * 99),
        EndpointFault("🚲" * 1_500),
    ],
    ids=["a hundred classes", "a long error"],
)
@pytest.mark.parametrize(("size_px", "most_bytes"), [(48, 16 * 1024), (224, 262_144), (1024, 16 * 1024)])
def test_no_state_outgrows_its_limit(steps, run, monkeypatch, classify, size_px, most_bytes):
    monkeypatch.setenv("ClassNames", class_names.join(image_net_names(100)))
    steps.answers |= {"Serialize": [serialized(size_px)], "Classify": [classify]}
    execution = run(an_event(LONGEST_KEY))
    states = [
        json.loads(details[way])
        for event in execution["events"]
        for details in event.values()
        if isinstance(details, dict)
        for way in ("input", "output")
        if way in details
    ]
    assert len(states) > 8
    sizes = [len(json.dumps(state, ensure_ascii=False).encode()) for state in [*states, *steps.messages]]
    assert max(sizes) < most_bytes
