"""The fault injection itself: its plan repeats, and its verdict can fail."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.installation import PROJECT
from tests.torture.faults import FAULTS, Lasts
from tests.torture.plan import Injection, Wave, plan
from tests.torture.run import went_well
from tests.torture.verdict import Expected, ExpectedOutcome, Row, expected_outcomes, judge
from workflow.outcome import Outcome

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
A, B = ("a.png", "1"), ("b.png", "2")
BICYCLE = ExpectedOutcome(Outcome.ACCEPTED, "bicycle", 0.98, unfamiliarity=0.3)
ROW = Row("accepted", "bicycle", 0.98, None, 0.3)
EXPECTED = {
    A: Expected((BICYCLE,)),
    B: Expected((ExpectedOutcome(Outcome.REJECTED, reasons=frozenset({"corrupt"})),)),
}
ROWS = [(A, ROW), (B, Row("rejected", None, None, "corrupt"))]


def counted(rows, expected=EXPECTED):
    verdict = judge(expected, rows)
    return len(verdict.lost), len(verdict.doubled), len(verdict.wrong)


def fault(name):
    return next(each for each in FAULTS if each.name == name)


# ── the verdict ────────────────────────────────────────────────────────────────────────────────────────────


def test_each_upload_with_its_one_right_outcome_is_clean():
    assert judge(EXPECTED, ROWS).is_clean


def test_a_missing_row_is_lost():
    assert counted(ROWS[:1]) == (1, 0, 0)
    assert counted([]) == (2, 0, 0)


def test_a_second_row_is_doubled_also_where_it_says_the_same():
    assert counted([*ROWS, ROWS[0]]) == (0, 1, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "motorcycle"},
        {"outcome": "needs_review"},
        {"confidence": 0.97},
        {"confidence": None},
        {"reason": "corrupt"},
        {"unfamiliarity": 0.4},
        {"unfamiliarity": None},
        {
            "outcome": "failed",
            "label": None,
            "confidence": None,
            "reason": "EndpointBusy",
            "unfamiliarity": None,
        },
    ],
)
def test_any_other_outcome_is_wrong(change):
    assert counted([(A, replace(ROW, **change)), ROWS[1]]) == (0, 0, 1)


def test_a_rejection_for_another_reason_is_wrong():
    assert counted([ROWS[0], (B, Row("rejected", None, None, "empty"))]) == (0, 0, 1)


def test_a_row_of_what_was_never_uploaded_is_wrong():
    assert counted([*ROWS, (("a.png", "3"), ROW)]) == (0, 0, 1)


def test_what_may_be_missing_or_doubled_for_now_is_not_counted():
    expected = {
        A: replace(EXPECTED[A], may_be_missing=True),
        B: replace(EXPECTED[B], may_be_doubled=True),
    }
    assert counted([ROWS[1], ROWS[1]], expected) == (0, 0, 0)


@pytest.mark.parametrize("what", ["lost", "doubled", "wrong"])
def test_a_run_with_anything_lost_doubled_or_wrong_did_not_go_well(what):
    report = {"lost": 0, "doubled": 0, "wrong": 0, "audit": {"missing": 0, "doubled": 0}}
    assert went_well(report)
    assert not went_well({**report, what: 1})
    if what != "wrong":
        audit = {"missing": int(what == "lost"), "doubled": int(what == "doubled")}
        assert not went_well({**report, "audit": audit})


# ── expected outcomes ───────────────────────────────────────────────────────────────────────────────────────


def outcomes(injection, *, after_redrive, duplicates=0):
    return {
        right.outcome
        for right in expected_outcomes(BICYCLE, injection, duplicates, after_redrive=after_redrive)
    }


def test_a_fault_that_passes_leaves_an_image_as_it_would_be():
    injection = Injection(fault("endpoint down"), Lasts.ONCE)
    assert BICYCLE in expected_outcomes(BICYCLE, injection, 0, after_redrive=False)
    assert expected_outcomes(BICYCLE, injection, 0, after_redrive=True) == (BICYCLE,)


def test_a_fault_that_lasts_until_the_redrive_fails_an_image_until_then():
    injection = Injection(fault("endpoint down"), Lasts.UNTIL_REDRIVE)
    assert outcomes(injection, after_redrive=False) == {Outcome.FAILED}
    assert expected_outcomes(BICYCLE, injection, 0, after_redrive=True) == (BICYCLE,)


def test_a_fault_that_always_lasts_fails_an_image_for_its_own_reason():
    injection = Injection(fault("garbage"), Lasts.ALWAYS)
    (failed,) = expected_outcomes(BICYCLE, injection, 0, after_redrive=True)
    assert failed.outcome is Outcome.FAILED
    assert failed.reasons == {"EndpointFault"}


def test_refused_scores_are_requested_again_only_for_a_duplicate_event():
    injection = Injection(fault("not a number"), Lasts.ONCE)
    assert outcomes(injection, after_redrive=False) == {Outcome.FAILED}
    assert outcomes(injection, after_redrive=False, duplicates=1) == {Outcome.FAILED, Outcome.ACCEPTED}


# ── the plan ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def drops():
    return plan(1, 500, NOON).drops


def test_the_same_seed_makes_the_same_plan_and_another_one_another():
    assert plan(1, 40, NOON) == plan(1, 40, NOON)
    assert plan(1, 40, NOON) != plan(2, 40, NOON)


def test_a_full_run_has_every_fault_in_every_duration(drops):
    assert len(drops) == 500
    occurring = {(drop.injection.fault.name, drop.injection.lasts) for drop in drops if drop.injection}
    every = {(fault.name, lasts) for fault in FAULTS for lasts in fault.lasts}
    stays_busy = {(fault.name, Lasts.UNTIL_REDRIVE) for fault in FAULTS if "EndpointBusy" in fault.reasons}
    assert every - stays_busy <= occurring <= every
    assert sum(drop.may_wait for drop in drops) == 2


def test_a_short_run_has_twelve_different_faults_at_least():
    for seed in range(5):
        planned = plan(seed, 40, NOON)
        faults = {drop.injection.fault.name for drop in planned.drops if drop.injection}
        assert len(faults) + len(planned.writes) + planned.crashes >= 12


def test_events_are_duplicated_and_withheld_and_lie_on_both_sides_of_midnight(drops):
    assert any(drop.duplicates for drop in drops)
    assert any(drop.is_withheld for drop in drops)
    days = {drop.event_time.date().day for drop in drops if drop.event_time}
    assert days == {23, 24}


def test_some_uploads_take_the_place_of_others(drops):
    assert len({drop.key for drop in drops}) < len(drops)
    # Faults go by key: an upload with a fault has a key of its own.
    keys = [drop.key for drop in drops]
    assert all(keys.count(drop.key) == 1 for drop in drops if drop.injection)
    assert {drop.wave for drop in drops} == set(Wave)


# ── as a program ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("module", ["tests.torture", "tests.bench"])
def test_the_proofs_find_all_that_they_import(module):
    """They are run outside of pytest, whose configuration puts the packages on the path."""
    shown = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert "--images" in shown.stdout
