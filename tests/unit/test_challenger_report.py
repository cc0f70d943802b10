"""The challenger beside the model in use: what the questions find, and what labels say."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from analytics.athena.engine import Record
from analytics.athena.local import LocalEngine
from analytics.lake.columns import CHALLENGER_TABLE
from analytics.lake.schema import CHALLENGER_SCHEMA, LABELS_SCHEMA, SCHEMA
from analytics.questions.queries import console_query, saved_queries, saved_query, views
from analytics.report.build import WeeklyReport, build_report
from analytics.report.challenger import QUESTIONS, comparison, note, table_rows, takeaway
from analytics.report.isoweek import IsoWeek
from analytics.report.message import PLAIN, message
from analytics.report.verdict import judge
from analytics.review.duel import Judged, State, duel
from tests.builders_table import a_row, write_rows

WEEK = IsoWeek.parse("2026-W47")
NOON = datetime.fromisoformat("2026-11-16T12:00")
_NOTHING: dict[str, list[Record]] = {name: [] for name in QUESTIONS}


def seen(number: int, label: str, challenger_label: str | None, **changes: Any) -> tuple[dict[str, Any], ...]:
    """Return an image's row, and the challenger's; without a label, the challenger failed."""
    row = a_row(number, label=label, **changes)
    of_challenger = {
        "endpoint": "scones-2",
        "model_version": challenger_label and "m2",
        "label": challenger_label,
        "outcome": "accepted" if challenger_label else "failed",
        "reason": None if challenger_label else "EndpointBusy",
    }
    return row, {**row, **of_challenger}


def answers_of(
    folder: Path, pairs: list[tuple[dict[str, Any], ...]], labels: dict[int, tuple[str, str]]
) -> dict[str, list[Record]]:
    """Return the answers to the questions. `labels`: an image's place → true label and source."""
    write_rows(folder, [row for row, _ in pairs])
    day = folder / CHALLENGER_TABLE / f"dt={NOON.date()}"
    day.mkdir(parents=True)
    answers = [{name: each[name] for name in CHALLENGER_SCHEMA.names} for _, each in pairs]
    for name in ("one", "delivered again"):
        parquet.write_table(pa.Table.from_pylist(answers, CHALLENGER_SCHEMA), day / f"{name}.parquet")
    day = folder / "labels" / f"dt={NOON.date()}"
    day.mkdir(parents=True)
    said = [
        {
            "upload_id": pairs[place][0]["upload_id"],
            "key": pairs[place][0]["key"],
            "true_label": true_label,
            "labelled_at": NOON + timedelta(minutes=nth),
            "source": source,
        }
        for nth, (place, (true_label, source)) in enumerate(labels.items())
    ]
    parquet.write_table(pa.Table.from_pylist(said, LABELS_SCHEMA), day / "labels.parquet")
    engine = LocalEngine(folder, views())
    days = {"from_dt": WEEK.monday, "to_dt": WEEK.sunday}
    try:
        return {
            name: engine.query(
                saved_query(name, **days, **({"limit": 60} if name == "challenger_examples" else {}))
            ).records()
            for name in QUESTIONS
        }
    finally:
        engine.close()


def test_the_report_says_where_the_two_differ_and_who_is_right(tmp_path: Path) -> None:
    pairs = [
        *(seen(number, "bicycle", "bicycle") for number in range(6)),
        *(seen(number, "bicycle", "motorcycle") for number in range(6, 9)),
        seen(9, "motorcycle", "bicycle", outcome="needs_review"),
        seen(10, "bicycle", None),
        seen(11, "bicycle", "bicycle", endpoint="scones-2"),  # decided by what is now the challenger
    ]
    labels = {
        0: ("bicycle", "sample"),
        6: ("motorcycle", "sample"),
        7: ("bicycle", "sample"),
        8: ("motorcycle", "gallery"),  # by a person who saw the answer
        9: ("bicycle", "below_threshold"),
    }
    found = comparison(answers_of(tmp_path, pairs, labels))
    assert found
    assert (found.challenger, found.challenger_version) == ("scones-2", "m2")
    assert (found.images, found.agreeing, found.failed) == (10, 6, 1)
    assert (found.accepted, found.challenger_accepts) == (9, 10)
    assert [(each.label, each.challenger_label, each.images) for each in found.differences] == [
        ("bicycle", "motorcycle", 3),
        ("motorcycle", "bicycle", 1),
    ]
    assert len(found.differences[0].examples) == 3
    assert (found.differences[0].only_challenger, found.differences[0].only_in_use) == (1, 1)
    labelled = found.labels
    assert (labelled.both, labelled.only_challenger, labelled.only_in_use, labelled.neither) == (1, 2, 1, 0)
    assert labelled.state is State.NOT_YET
    assert "agree on 60.0\u00a0% of 10 images. Not yet. Of 3 labelled images" in takeaway(found)
    assert "1 image failed with the challenger alone" in note(found)
    assert table_rows(found.differences)[0][:3] == ("bicycle", "motorcycle", "3")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> WeeklyReport:
    """Return the report of a week in which a challenger gave other answers."""
    folder = tmp_path_factory.mktemp("week")
    answers_of(folder, [seen(number, "bicycle", "motorcycle", key="<b>/a.png") for number in range(3)], {})
    engine = LocalEngine(folder, views())
    try:
        return build_report(engine, WEEK, None)
    finally:
        engine.close()


def test_the_page_has_the_comparison_and_says_nothing_else_of_the_challenger(report: WeeklyReport) -> None:
    assert report.numbers.summary.tally.images == 3
    assert [model.endpoint for model in report.numbers.models] == ["scones"]
    page = report.to_html()
    assert "The challenger" in page
    assert "m2 and resnet9-2026-11-01, which is in use, agree on" in page
    assert "&lt;b&gt;/a.png (0.97, 0.97)" in page
    assert "scones-2" not in page
    assert json.loads(report.to_json())["challenger"]["images"] == 3


@pytest.mark.parametrize(
    ("wins", "losses", "said"),
    [
        (12, 0, "Challenger m2: Promote it. Of 12 labelled images"),
        (0, 12, "Challenger m2: Keep the model in use. Of 12 labelled images"),
        (2, 1, "Challenger m2: Not yet. Of 3 labelled images"),
        (0, 0, "Challenger m2: No blind label yet"),
    ],
)
def test_the_verdict_and_monday_s_message_say_what_the_labels_say(
    report: WeeklyReport, wins: int, losses: int, said: str
) -> None:
    compared = report.numbers.challenger
    assert compared
    numbers = replace(report.numbers, challenger=replace(compared, labels=duel(judged(wins, losses), IMAGES)))
    verdict = judge(numbers, WEEK.sunday + timedelta(days=1))
    (finding,) = (each for each in verdict.findings if each.section == "challenger")
    assert finding.what.startswith(said)
    assert not finding.attention
    sent = message(numbers, verdict, PLAIN)
    assert f"- {said}" in sent
    promotes = "- make promote: m2 decides instead of resnet9-2026-11-01"
    assert (promotes in sent) == (wins == 12)


def test_a_challenger_that_answers_nothing_is_said_to_have_failed(report: WeeklyReport) -> None:
    row, failed = seen(1, "bicycle", None)
    agreement = {
        "model_version": row["model_version"],
        "challenger": failed["endpoint"],
        "challenger_version": None,
        "challenger_label": None,
        "images": 2,
        "last_decided_at": NOON,
    }
    found = comparison({**_NOTHING, "challenger_agreement": [agreement]})
    assert found
    assert (found.images, found.failed, found.challenger_version) == (0, 2, None)
    assert takeaway(found) == "scones-2 answered nothing: 2 images failed."
    verdict = judge(replace(report.numbers, challenger=found), WEEK.sunday)
    assert "The challenger scones-2 answered nothing: 2 images failed." in [x.what for x in verdict.findings]


def test_without_a_challenger_there_is_no_comparison() -> None:
    assert comparison(_NOTHING) is None


def tables_of(sql: str) -> set[str]:
    names = {table.name for table in sqlglot.parse_one(sql, read="athena").find_all(exp.Table)}
    return names.union(*(tables_of(views()[name]) for name in names & views().keys()))


@pytest.mark.parametrize("name", [name for name in saved_queries() if name not in QUESTIONS])
def test_no_other_question_reads_the_challenger_s_answers(name: str) -> None:
    assert CHALLENGER_TABLE not in tables_of(console_query(name))


def test_the_challenger_s_rows_describe_themselves_as_outcomes_do() -> None:
    assert set(CHALLENGER_SCHEMA) <= set(SCHEMA)


# ── who is right more often ────────────────────────────────────────────────────────────────────────────────


def judged(wins: int, losses: int, outcome: str = "accepted") -> list[Judged]:
    return [Judged(outcome, True, False)] * wins + [Judged(outcome, False, True)] * losses


IMAGES = {"accepted": 2_000, "needs_review": 500}


@pytest.mark.parametrize(
    ("wins", "losses", "state"),
    [(3, 0, State.NOT_YET), (12, 0, State.PROMOTE), (0, 12, State.KEEP), (8, 7, State.NOT_YET)],
)
def test_the_verdict_follows_the_labels(wins: int, losses: int, state: State) -> None:
    found = duel(judged(wins, losses), IMAGES)
    assert (found.only_challenger, found.only_in_use, found.state) == (wins, losses, state)


def test_images_on_which_both_are_right_or_wrong_decide_nothing() -> None:
    same = [Judged("accepted", True, True)] * 500 + [Judged("accepted", False, False)] * 100
    assert duel([*same, *judged(2, 0)], IMAGES).state is State.NOT_YET
    assert duel([*judged(12, 0), *same], IMAGES).state is State.PROMOTE


def test_labels_of_an_outcome_with_many_labels_count_less() -> None:
    """Twelve labels of images for review do not decide about 2,000 accepted ones with as few labels."""
    accepted = [Judged("accepted", True, True)] * 6
    assert duel([*accepted, *judged(12, 0, "needs_review")], IMAGES).state is State.NOT_YET
    assert duel([*accepted, *judged(12, 0)], IMAGES).state is State.PROMOTE


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["accepted", "needs_review"]), st.booleans()), max_size=40))
def test_who_changes_the_models_places_gets_the_opposite_verdict(labels: list[tuple[str, bool]]) -> None:
    opposite = {State.PROMOTE: State.KEEP, State.KEEP: State.PROMOTE, State.NOT_YET: State.NOT_YET}
    one = duel([Judged(outcome, right, not right) for outcome, right in labels], IMAGES)
    other = duel([Judged(outcome, not right, right) for outcome, right in labels], IMAGES)
    assert other.state is opposite[one.state]
