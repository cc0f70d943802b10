"""The state machine of many images, run by the embedded AWS's interpreter in this process."""

import json
import math
import re
import uuid
from typing import Any

import pytest
from ministack.services import stepfunctions

from analytics.lake.schema import row_from_message
from infra.installation import PROJECT
from ingest.upload import Upload
from tests.builders import a_message, an_upload
from tests.machines import longest_task_s
from tests.template import function_timeout_s, resources_of_type, template
from workflow.errors import EndpointBusy, EndpointFault
from workflow.manifest import BATCH_IMAGES, MANIFEST_LINES, batches

TEXT = (PROJECT / "workflow" / "backfill.asl.json").read_text(encoding="utf-8")
MACHINE = json.loads(TEXT)
CHILD = MACHINE["States"]["EachBatch"]["ItemProcessor"]["States"]
EXPRESS_MAX_S = 300
STATE_MAX_BYTES = 262_144


class Steps:
    """What the machine calls: the Lambda fails as often as it is told to, for batches with a given key."""

    def __init__(self):
        self.failures: dict[str, list[Exception]] = {}
        self.calls: list[list[str]] = []
        self.messages: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []

    def call(self, resource, arguments):
        if "sqs" in resource:
            waits = arguments["QueueUrl"] == "${WaitingImagesUrl}"
            (self.waiting if waits else self.messages).append(
                json.loads(json.dumps(arguments["MessageBody"]))
            )
            return {"MessageId": "one"}
        events = arguments["Payload"]["events"]
        keys = [event["detail"]["object"]["key"] for event in events]
        self.calls.append(keys)
        assert arguments["Payload"]["execution_arn"]
        for key in keys:
            if self.failures.get(key):
                error = self.failures[key].pop(0)
                cause = json.dumps({"errorMessage": str(error), "errorType": type(error).__name__})
                raise stepfunctions._ExecutionError(type(error).__name__, cause)
        self.messages += [a_message("accepted", event) for event in events]
        return {"StatusCode": 200, "Payload": {"images": len(events)}}

    def outcomes(self):
        rows = map(row_from_message, self.messages)
        return sorted((row["key"], row["outcome"], row["reason"]) for row in rows)


@pytest.fixture
def steps(monkeypatch):
    steps = Steps()
    monkeypatch.setattr(stepfunctions, "_invoke_resource", steps.call)
    monkeypatch.setattr(stepfunctions, "_SFN_WAIT_SCALE", 0)
    return steps


@pytest.fixture
def run(steps, monkeypatch):
    """Run an execution over a manifest of batches of two images each, and return it."""
    name = uuid.uuid4().hex
    machine_arn = f"arn:aws:states:us-east-1:000000000000:stateMachine:{name}"
    execution_arn = f"arn:aws:states:us-east-1:000000000000:execution:{name}:one"
    definition = TEXT.replace("${BackfillConcurrency}", "20")
    stepfunctions._state_machines[machine_arn] = {"name": name, "definition": definition}

    def run(keys):
        monkeypatch.setattr("workflow.manifest.BATCH_IMAGES", 2)
        manifest = "\n".join(batches(an_upload(key=key) for key in keys))
        monkeypatch.setattr(stepfunctions, "_s3_object_text", lambda bucket, key: manifest)
        execution = {
            "executionArn": execution_arn,
            "stateMachineArn": machine_arn,
            "name": "one",
            "status": "RUNNING",
            "startDate": "2026-11-16T09:30:00.000Z",
            "input": json.dumps({"bucket": "results", "key": "manifests/one.jsonl"}),
            "events": [],
        }
        stepfunctions._executions[execution_arn] = execution
        stepfunctions._run_execution(execution_arn)
        return execution

    yield run
    del stepfunctions._state_machines[machine_arn]


def test_each_line_is_one_invocation(run, steps):
    assert run(["a", "b", "c", "d", "e"])["status"] == "SUCCEEDED"
    assert sorted(steps.calls) == [["a", "b"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("error", [EndpointBusy("throttled"), EndpointFault("broken"), MemoryError("killed")])
def test_a_batch_that_fails_once_is_tried_again(run, steps, error):
    steps.failures = {"b": [error]}
    assert run(["a", "b"])["status"] == "SUCCEEDED"
    assert steps.outcomes() == [("a", "accepted", None), ("b", "accepted", None)]


def test_when_the_model_fails_for_good_each_image_has_its_failed_row(run, steps):
    steps.failures = {"b": [EndpointFault("endpoint scones: it crashed")] * 50}
    execution = run(["a", "b"])
    assert execution["status"] == "FAILED"
    assert execution["error"] == "States.ExceedToleratedFailureThreshold"
    assert steps.outcomes() == [("a", "failed", "EndpointFault"), ("b", "failed", "EndpointFault")]
    assert row_from_message(steps.messages[0])["detail"] == "endpoint scones: it crashed"


@pytest.mark.parametrize(
    "error",
    [EndpointBusy("it is down"), type("Lambda.TooManyRequestsException", (Exception,), {})("slow down")],
)
def test_without_capacity_each_image_of_the_batch_waits(run, steps, error):
    steps.failures = {"b": [error] * 50}
    assert run(["a", "b"])["status"] == "SUCCEEDED"
    assert steps.messages == []
    assert sorted(Upload.from_event(event).key for event in steps.waiting) == ["a", "b"]


def test_an_image_that_no_lambda_survives_fails_alone(run, steps):
    steps.failures = {"b": [type("ExitError", (Exception,), {})("signal: killed")] * 50}
    assert run(["a", "b", "c"])["status"] == "SUCCEEDED"
    assert steps.outcomes() == [
        ("a", "accepted", None),
        ("b", "failed", "ExitError"),
        ("c", "accepted", None),
    ]


def test_an_image_that_finds_no_capacity_beside_one_that_kills_its_lambda_waits(run, steps):
    steps.failures = {
        "a": [type("ExitError", (Exception,), {})("signal: killed")] * 50,
        "b": [EndpointBusy("throttled")] * 50,
    }
    assert run(["a", "b", "c"])["status"] == "SUCCEEDED"
    assert steps.outcomes() == [("a", "failed", "ExitError"), ("c", "accepted", None)]
    assert [Upload.from_event(event).key for event in steps.waiting] == ["b"]


def test_an_error_without_a_cause_is_recorded_as_well(run, steps, monkeypatch):
    call = steps.call

    def times_out(resource, arguments):
        if "sqs" in resource:
            return call(resource, arguments)
        raise stepfunctions._ExecutionError("States.Timeout", None)

    monkeypatch.setattr(stepfunctions, "_invoke_resource", times_out)
    run(["a", "b"])
    assert steps.outcomes() == [("a", "failed", "States.Timeout"), ("b", "failed", "States.Timeout")]


def test_a_few_batches_may_fail(run, steps):
    steps.failures = {"00": [EndpointFault("broken")] * 50}
    assert run([f"{number:02}" for number in range(40)])["status"] == "SUCCEEDED"
    assert sum(outcome == "failed" for _, outcome, _ in steps.outcomes()) == 2
    assert len(steps.outcomes()) == 40


# ── limits that the embedded AWS does not enforce ──────────────────────────────────────────────────────────


def test_the_results_of_the_longest_manifest_fit_in_a_state():
    for state in CHILD.values():
        if state.get("End"):
            assert state["Output"] == 1
    assert MANIFEST_LINES * len("1,") < STATE_MAX_BYTES


def longest_way_s(name, states):
    """Return the seconds of the slowest way from a state to the end of a child."""
    state = states[name]
    if state["Type"] == "Map":
        inner = state["ItemProcessor"]
        rounds = math.ceil(BATCH_IMAGES / state["MaxConcurrency"])
        return rounds * longest_way_s(inner["StartAt"], inner["States"])
    return longest_task_s(state) + max(
        (longest_way_s(catcher["Next"], states) for catcher in state.get("Catch", [])), default=0
    )


def test_the_slowest_batch_ends_within_an_express_execution():
    """Else Step Functions stops the child, and a hundred images have no row."""
    assert longest_way_s("ClassifyBatch", CHILD) < EXPRESS_MAX_S


def test_the_machine_waits_for_the_lambda_as_long_as_it_may_run():
    assert (
        function_timeout_s("workflow.classify_batch.lambda_handler")
        < CHILD["ClassifyBatch"]["TimeoutSeconds"]
    )


def test_every_placeholder_has_its_value():
    machine = resources_of_type("AWS::Serverless::StateMachine")["BackfillStateMachine"]
    assert machine["DefinitionSubstitutions"].keys() == set(re.findall(r"\$\{(\w+)\}", TEXT))
    assert machine["Type"] == "STANDARD"  # an Express one cannot run a Distributed Map


def test_its_role_names_it_as_it_is_called():
    machine = resources_of_type("AWS::Serverless::StateMachine")["BackfillStateMachine"]
    role = json.dumps(template()["Resources"]["BackfillStateMachineRole"])
    assert machine["Name"] == {"Fn::Sub": "${AWS::StackName}-backfill"}
    assert "stateMachine:${AWS::StackName}-backfill" in role
    assert "execution:${AWS::StackName}-backfill:*" in role


def states_of(states):
    for name, state in states.items():
        yield name, state
        yield from states_of(state.get("ItemProcessor", {}).get("States", {}))


@pytest.mark.parametrize(("name", "state"), list(states_of(CHILD)))
def test_every_state_of_a_child_says_that_it_speaks_jsonata(name, state):
    assert state["QueryLanguage"] == "JSONata"
