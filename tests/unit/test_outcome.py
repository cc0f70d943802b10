import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.installation import PROJECT
from ingest.errors import REJECT_REASONS, RejectedImage
from tests.builders import LONGEST_KEY
from workflow.outcome import DETAIL_MAX_CHARS, Outcome, rank_of, reason_and_detail

CAUSE_MAX_CHARS = 4_000
"""Where the state machine cuts a cause."""


def an_error(message, name="RejectedImage", cut_at=CAUSE_MAX_CHARS, ensure_ascii=True):
    """Return what the machine knows of an error that a Lambda raised."""
    frames = [
        f'  File "/var/task/ingest/serialize.py", line {line}, in lambda_handler\n' for line in range(9)
    ]
    cause = {"errorMessage": message, "errorType": name, "requestId": "52fdfc07-2182", "stackTrace": frames}
    return {"Error": name, "Cause": json.dumps(cause, ensure_ascii=ensure_ascii)[:cut_at]}


@pytest.mark.parametrize("reason", sorted(REJECT_REASONS))
def test_a_rejection_says_its_reason_and_its_detail(reason):
    error = an_error(str(RejectedImage(reason, "PNG: it is broken: badly")))
    assert reason_and_detail(Outcome.REJECTED, error) == (reason, "PNG: it is broken: badly")


@given(
    reason=st.sampled_from(sorted(REJECT_REASONS)),
    detail=st.text(max_size=2_000),
    cut_at=st.integers(60, CAUSE_MAX_CHARS),
    ensure_ascii=st.booleans(),
)
def test_a_cause_that_the_machine_cut_still_says_its_reason(reason, detail, cut_at, ensure_ascii):
    error = an_error(str(RejectedImage(reason, detail)), cut_at=cut_at, ensure_ascii=ensure_ascii)
    said, detail_of_row = reason_and_detail(Outcome.REJECTED, error)
    assert said == reason
    assert detail.startswith(detail_of_row)
    assert len(detail_of_row) <= DETAIL_MAX_CHARS


@pytest.mark.parametrize("cut_at", range(50, 62))
def test_a_cause_cut_within_a_character_leaves_text_that_can_be_written(cut_at):
    error = an_error(str(RejectedImage("not_an_image", "\U00010000" * 3)), cut_at=cut_at)
    _, detail = reason_and_detail(Outcome.REJECTED, error)
    assert detail.encode() == "\U00010000".encode() * len(detail)


def test_the_longest_key_in_a_detail_does_not_hide_the_reason():
    error = an_error(str(RejectedImage("object_gone", f"s3://scones-incoming/{LONGEST_KEY} was deleted")))
    assert len(json.dumps(LONGEST_KEY)) > 3_000
    assert reason_and_detail(Outcome.REJECTED, error)[0] == "object_gone"


def test_the_reason_of_a_failure_is_the_error_s_name():
    error = an_error("endpoint scones: ThrottlingException: slow down", "EndpointBusy")
    assert reason_and_detail(Outcome.FAILED, error) == (
        "EndpointBusy",
        "endpoint scones: ThrottlingException: slow down",
    )


def test_a_cause_of_step_functions_own_is_plain_text():
    error = {"Error": "States.Timeout", "Cause": "Task timed out after 6 seconds"}
    assert reason_and_detail(Outcome.FAILED, error) == ("States.Timeout", "Task timed out after 6 seconds")


@pytest.mark.parametrize("cause", [{}, {"Cause": None}, {"Cause": ""}])
def test_a_cause_may_be_missing(cause):
    assert reason_and_detail(Outcome.FAILED, {"Error": "States.Timeout", **cause}) == ("States.Timeout", "")


@pytest.mark.parametrize(
    "cause", ["not JSON", '{"errorMessage": null}', "[1]", '"text"', '{"errorMessage": 5}']
)
def test_a_rejection_without_a_reason_of_ours_is_named_after_its_error(cause):
    error = {"Error": "RejectedImage", "Cause": cause}
    assert reason_and_detail(Outcome.REJECTED, error) == ("RejectedImage", cause)


def test_a_detail_is_no_longer_than_people_read():
    _, detail = reason_and_detail(Outcome.FAILED, an_error("x" * 3_000, "EndpointFault"))
    assert detail == "x" * DETAIL_MAX_CHARS


def test_outcomes_are_the_words_that_the_table_has():
    assert [str(outcome) for outcome in Outcome] == ["accepted", "needs_review", "rejected", "failed"]


def test_a_failure_is_named_after_its_error_even_if_its_text_looks_like_a_rejection():
    error = an_error("corrupt: the model's file", "EndpointFault")
    assert reason_and_detail(Outcome.FAILED, error) == ("EndpointFault", "corrupt: the model's file")


def test_a_cause_with_raw_control_characters_is_read():
    error = {"Error": "E", "Cause": '{"errorMessage": "one\ntwo\t."}'}
    assert reason_and_detail(Outcome.FAILED, error) == ("E", "one\ntwo\t.")


def test_an_answer_of_the_model_comes_before_a_rejection_a_failure_and_what_a_later_release_writes():
    ranks = [rank_of(outcome) for outcome in ("accepted", "needs_review", "rejected", "failed", "postponed")]
    assert ranks == [0, 0, 1, 2, 3]


def test_an_outcome_has_a_heading_and_a_colour_of_the_theme():
    headings = [outcome.heading for outcome in Outcome]
    assert headings == ["Accepted", "For review", "Rejected", "Failed"]
    theme = (PROJECT / "analytics" / "theme.css").read_text(encoding="utf-8")
    assert all(f"--{outcome.colour}:" in theme for outcome in Outcome)
    assert [outcome.is_classified for outcome in Outcome] == [True, True, False, False]
