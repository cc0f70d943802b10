import inspect
import json
import re
from typing import Any

import jsonata
import pytest

from infra.aws.package import TEMPLATE
from infra.installation import PROJECT
from ingest.errors import OthersWait, RejectedImage
from tests.machines import SERVICE_ERRORS, THROTTLED, longest_task_s, longest_wait_s
from tests.template import resources_of_type
from workflow import errors

MACHINE = json.loads((PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8"))
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
ERRORS = {
    *(error.__name__ for error in (OthersWait, RejectedImage)),
    *(name for name, _ in inspect.getmembers(errors, inspect.isclass)),
}
STEPS = ("Serialize", "Classify", "Decide")
"""The tasks that invoke Lambdas."""
SENDS = ("Record", "LetWait")
"""The tasks that end an image's way."""
EXPRESS_MAX_S = 300


def retriers(state):
    return state.get("Retry", [])


def handled(state):
    """Return the names of the errors that a state retries or catches."""
    return {name for rule in retriers(state) + state.get("Catch", []) for name in rule["ErrorEquals"]}


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_machine_names_each_error_of_scones_and_no_other():
    named = set().union(*map(handled, STATES.values()))
    assert {name for name in named if not name.startswith(("States.", "Lambda."))} == ERRORS
    assert len(ERRORS) == 8


@pytest.mark.parametrize(
    ("state", "raises"),
    [
        ("Serialize", {"OthersWait", "RejectedImage"}),
        ("Classify", {"EndpointBusy", "EndpointFault", "UnclearAnswer"}),
        ("Decide", {"InvalidScores", "UnknownLabel", "WrongModel"}),
        ("Record", set()),
    ],
)
def test_each_step_handles_what_it_raises(state, raises):
    assert handled(STATES[state]) & ERRORS == raises


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("Serialize", "OthersWait"),
        ("Serialize", "RejectedImage"),
        ("Classify", "UnclearAnswer"),
        ("Decide", "InvalidScores"),
        ("Decide", "UnknownLabel"),
        ("Decide", "WrongModel"),
    ],
)
def test_what_would_fail_again_is_not_retried(state, error):
    # The first retrier that matches decides, so that it must come before States.ALL.
    first = next(r for r in retriers(STATES[state]) if {error, "States.ALL"} & {*r["ErrorEquals"]})
    assert first["MaxAttempts"] == 0


def test_the_endpoint_gets_the_retries_that_it_is_promised():
    attempts = {r["ErrorEquals"][0]: r["MaxAttempts"] for r in retriers(STATES["Classify"])}
    assert attempts["EndpointFault"] == 2
    assert attempts["EndpointBusy"] == 0  # the image waits, and the endpoint gets no more requests


@pytest.mark.parametrize("name", STEPS)
def test_errors_of_lambda_itself_get_six_retries(name):
    (retrier,) = [r for r in retriers(TASKS[name]) if {*r["ErrorEquals"]} >= SERVICE_ERRORS]
    assert (retrier["IntervalSeconds"], retrier["BackoffRate"], retrier["MaxAttempts"]) == (2, 2, 6)


@pytest.mark.parametrize("name", STEPS)
def test_an_image_that_finds_no_capacity_waits_and_does_not_fail(name):
    of_the_step = {"Serialize": {"OthersWait"}, "Classify": {"EndpointBusy"}}
    busy = THROTTLED | SERVICE_ERRORS | of_the_step.get(name, set())
    (catcher,) = [catcher for catcher in TASKS[name]["Catch"] if catcher["Next"] == "LetWait"]
    assert {*catcher["ErrorEquals"]} == busy
    assert "outcome" not in catcher.get("Assign", {})


@pytest.mark.parametrize("name", TASKS)
def test_every_task_retries_whatever_else_happens(name):
    assert retriers(TASKS[name])[-1]["ErrorEquals"] == ["States.ALL"]
    assert retriers(TASKS[name])[-1]["MaxAttempts"] >= 1


@pytest.mark.parametrize("name", STEPS)
def test_every_task_retries_a_throttled_lambda(name):
    assert handled(TASKS[name]) >= THROTTLED


@pytest.mark.parametrize("name", TASKS)
def test_states_all_stands_alone_and_last(name):
    for rules in (retriers(TASKS[name]), TASKS[name].get("Catch", [])):
        assert all("States.ALL" not in rule["ErrorEquals"] for rule in rules[:-1])
        assert all(len(rule["ErrorEquals"]) == 1 for rule in rules if "States.ALL" in rule["ErrorEquals"])


@pytest.mark.parametrize("name", TASKS)
def test_retries_are_spread_out(name):
    assert {r.get("JitterStrategy") for r in retriers(TASKS[name]) if r["MaxAttempts"]} == {"FULL"}


@pytest.mark.parametrize("name", [*STEPS, "LetWait"])
def test_every_error_leads_to_a_row_or_to_the_queue_of_images_that_wait(name):
    catchers = TASKS[name]["Catch"]
    assert (catchers[-1]["ErrorEquals"], catchers[-1]["Next"]) == (["States.ALL"], "Record")
    assert {catcher["Next"] for catcher in catchers} <= {"Record", "LetWait"}
    recording = [catcher for catcher in catchers if catcher["Next"] == "Record"]
    assert {catcher["Assign"]["outcome"] for catcher in recording} <= {"rejected", "failed"}


def test_only_a_rejected_image_ends_as_rejected():
    rejecting = [
        (name, catcher["ErrorEquals"])
        for name, state in TASKS.items()
        for catcher in state.get("Catch", [])
        if catcher.get("Assign", {}).get("outcome") == "rejected"
    ]
    assert rejecting == [("Serialize", ["RejectedImage"])]


# ── time ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_slowest_way_through_fits_in_an_execution():
    assert sum(map(longest_task_s, TASKS.values())) <= MACHINE["TimeoutSeconds"] <= EXPRESS_MAX_S


@pytest.mark.parametrize(
    ("retrier", "wait_s"),
    [
        ({"IntervalSeconds": 1, "BackoffRate": 2, "MaxDelaySeconds": 8, "MaxAttempts": 5}, 1 + 2 + 4 + 8 + 8),
        ({"IntervalSeconds": 2, "MaxAttempts": 1}, 2),
        ({"MaxAttempts": 0}, 0),
        ({}, 1 + 2 + 4),
    ],
)
def test_a_wait_is_reckoned_as_step_functions_does(retrier, wait_s):
    assert longest_wait_s(retrier) == wait_s


@pytest.mark.parametrize("name", STEPS)
def test_a_lambda_ends_with_the_attempt_that_started_it(name):
    """Not before: it would be another error each time. Not long after: it would run beside its own retry."""
    function = resources_of_type("AWS::Serverless::Function")[f"{name}Function"]
    assert TASKS[name]["TimeoutSeconds"] < function["Timeout"] <= TASKS[name]["TimeoutSeconds"] + 1


# ── references ─────────────────────────────────────────────────────────────────────────────────────────────


def test_every_name_that_a_definition_asks_for_is_given_and_the_other_way_round():
    machines = resources_of_type("AWS::Serverless::StateMachine")
    definitions = {(TEMPLATE.parent / machine["DefinitionUri"]).resolve() for machine in machines.values()}
    assert definitions == set((PROJECT / "workflow").glob("*.asl.json"))
    for machine in machines.values():
        text = (TEMPLATE.parent / machine["DefinitionUri"]).read_text(encoding="utf-8")
        assert set(re.findall(r"\$\{(\w+)}", text)) == set(machine["DefinitionSubstitutions"])


def test_every_state_that_is_named_exists_and_every_state_is_reached():
    named = {MACHINE["StartAt"]}
    for state in STATES.values():
        steps = [state, *state.get("Catch", []), *state.get("Choices", [])]
        named |= {step[field] for step in steps for field in ("Next", "Default") if field in step}
    assert named == set(STATES)


def expressions(value):
    if isinstance(value, dict):
        return [found for inner in value.values() for found in expressions(inner)]
    if isinstance(value, list):
        return [found for inner in value for found in expressions(inner)]
    return [value[2:-2]] if isinstance(value, str) and value.startswith("{%") and value.endswith("%}") else []


def test_every_expression_is_jsonata():
    assert MACHINE["QueryLanguage"] == "JSONata"
    assert expressions(MACHINE)
    for expression in expressions(MACHINE):
        jsonata.Jsonata(expression)


def test_record_reads_no_variable_that_may_not_exist():
    read = {
        name
        for task in SENDS
        for text in expressions(STATES[task]["Arguments"])
        for name in re.findall(r"\$(\w+)", text)
    }
    assert read - {"states"} <= set(STATES["Begin"]["Assign"])


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ({"Error": "E", "Cause": "x" * 9_000}, {"Error": "E", "Cause": "x" * 4_000}),
        ({"Error": "States.Timeout"}, {"Error": "States.Timeout", "Cause": ""}),
    ],
)
def test_an_error_has_a_cause_of_bounded_length(output, error):
    caught = {
        catcher["Assign"]["error"]
        for name in STEPS
        for catcher in TASKS[name]["Catch"]
        if "Assign" in catcher
    }
    (expression,) = caught
    query = jsonata.Jsonata(expression[2:-2])
    query.assign("states", {"errorOutput": output})
    assert query.evaluate(None) == error
