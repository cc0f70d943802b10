"""infra.cli.words: what audits, redrives and executions print."""

import io
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from analytics.reconciliation import Audit
from infra.cli.terminal import Terminal
from infra.cli.words import show_audit, show_executions, show_redrive, show_rejected, show_story, stack_facts
from infra.operations.audit import Audited, ModelInputs, Queues
from infra.operations.backfill import Ended, Run
from infra.operations.redrive import Message, Plan, Redriven
from infra.operations.rejected import Rejected
from infra.operations.story import Story
from tests.console import A_STACK
from workflow.outcome import Outcome

CLEAN = Audited(
    Audit(uploaded=1003, by_outcome=Counter({Outcome.ACCEPTED: 1000}), in_flight=3),
    Queues(2, 0, 0, 0),
    ModelInputs(0, 0),
    {"missing": Path("missing.jsonl"), "doubled": Path("doubled.jsonl")},
)


@pytest.fixture
def printed():
    written = io.StringIO()
    console = Terminal(file=written, width=200)

    def printed(show, *arguments, **options):
        show(console, *arguments, **options)
        return written.getvalue()

    return printed


def test_large_images_that_should_have_expired_are_said_with_the_rule_that_deletes_them(printed):
    text = printed(show_audit, replace(CLEAN, model_inputs=ModelInputs(1200, 200)))
    assert re.search(r"large images kept for the model +1,200", text)
    assert "200 large images should have expired: see the lifecycle rule expire-model-inputs" in text


def test_a_clean_audit_says_so_and_asks_for_nothing(printed):
    text = printed(show_audit, CLEAN)
    assert "1,003" in text
    assert "Nothing is lost so far: 3 in flight, 0 waiting. Nothing is counted twice." in text
    assert "redrive" not in text


def test_images_that_wait_are_not_missing(printed):
    totals, more = Audit(uploaded=9, missing=7), Audit(uploaded=9, missing=7)
    totals.let_wait(5)
    more.let_wait(500)
    assert (totals.waiting, totals.missing, totals.is_clean) == (5, 2, False)
    assert (more.waiting, more.missing, more.is_clean) == (7, 0, True)
    assert "decided as soon as it answers" in printed(show_audit, replace(CLEAN, totals=more))


def test_a_clean_audit_with_nothing_in_flight_is_final(printed):
    done = replace(CLEAN, totals=Audit(uploaded=2, by_outcome=Counter({Outcome.ACCEPTED: 2})))
    assert "Nothing is lost, nothing is counted twice." in printed(show_audit, done)


@pytest.mark.parametrize(
    "found",
    [
        replace(CLEAN, totals=Audit(uploaded=1, missing=1)),
        replace(CLEAN, totals=Audit(uploaded=1, by_outcome=Counter({Outcome.FAILED: 1}))),
        replace(CLEAN, totals=Audit(uploaded=1, doubled=1)),
        replace(CLEAN, queues=Queues(0, 0, 1, 0)),
        replace(CLEAN, queues=Queues(0, 0, 0, 1)),
    ],
)
def test_what_can_be_done_again_is_pointed_out(printed, found):
    assert "make redrive" in printed(show_audit, found)


def test_what_is_wrong_says_where_it_is_listed(printed):
    text = printed(show_audit, replace(CLEAN, totals=Audit(uploaded=1, missing=1)))
    assert "missing: listed in missing.jsonl" in text
    assert "doubled.jsonl" not in text
    assert "Something is lost" in text


def test_a_dry_run_says_that_it_is_one(printed):
    text = printed(show_redrive, Redriven(Plan(failed=2, missing=3), []), applied=False)
    assert "Would classify again: 2 failed, 3 missing." in text
    assert "APPLY=1" in text


def test_uploads_on_two_days_are_counted_once_whatever_the_days():
    plan = Plan(duplicates={"2026-11-16": {"a": (0, 0.0, "", "")}, "2026-11-17": {"a": (0, 0.0, "", "")}})
    assert plan.doubled == 1


def test_what_is_removed_from_a_day_is_said(printed):
    rows = {"a": (0, 0.0, "", ""), "b": (0, 0.0, "", "")}
    done = Redriven(Plan(duplicates={"2026-11-16": rows}), [])
    assert "Would remove the extra rows of 2 uploads" in printed(show_redrive, done, applied=False)
    assert "Removed the extra rows of 2 uploads" in printed(show_redrive, done, applied=True)


def test_text_of_others_cannot_command_the_terminal(printed):
    plan = Plan(unreadable=[("undelivered events", Message("m", "r", "\x1b[2J[bold]bad"))])
    text = printed(show_redrive, Redriven(plan, []), applied=True)
    assert "\x1b" not in text
    assert "[bold]bad" in text
    key = "a\x1b]0;owned\x07.png"
    image = Rejected(key, "v", "0" * 64, "corrupt", "[red]d", 5, datetime.fromisoformat("2026-11-16"))
    text = printed(show_rejected, [image])
    assert "\x1b" not in text
    assert "[red]d" in text


def test_a_key_with_a_line_feed_is_on_one_line(printed):
    assert printed(show_story, Story("a\nAccepted.png", None, "Rejected."), None).splitlines()[:2] == [
        "a�Accepted.png",
        "Rejected.",
    ]


def test_a_stack_is_printed_without_its_secret():
    assert "access_key_id" in stack_facts(A_STACK)
    assert "a secret" not in str(stack_facts(A_STACK))


def test_an_execution_that_failed_says_why(printed):
    run = Run("arn", "manifests/one.jsonl", 7)
    text = printed(
        show_executions, [Ended(run, "FAILED", "States.X: [too] much"), Ended(run, "SUCCEEDED", "")]
    )
    assert "FAILED States.X: [too] much" in text
    assert "7 batches done" in text
