"""The Monday Lambda, and the view that its query reads."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analytics.athena import client
from analytics.athena.client import AthenaClient
from analytics.athena.engine import QueryFailed
from analytics.report.digest import handler
from analytics.report.digest.aws import Topic
from analytics.report.digest.summary import digest_of
from analytics.report.isoweek import IsoWeek
from analytics.report.markdown import digest_text
from analytics.report.numbers import Tally, WeekSummary
from analytics.text import short
from workflow.outcome import Outcome

WEEK = IsoWeek.parse("2026-W47")
COLUMNS = ["week", "outcome", "images", "uploaded", "mean_confidence", "total_p50_ms", "total_p95_ms"]


def a_week(monday: str, counts: Mapping[str, int], precision: str) -> list[list[str | None]]:
    """Return a week as Athena answers `weekly_summary.sql`: a row for each outcome, and one of them all."""
    rows: list[list[str | None]] = [[monday, None, str(sum(counts.values())), "0", "0.95", "850", "1449.5"]]
    uploaded = {"needs_review": "118"}
    for outcome, count in counts.items():
        confidence = precision if outcome == Outcome.ACCEPTED else None
        rows.append([monday, outcome, str(count), uploaded.get(outcome, str(count)), confidence, None, None])
    return rows


BEFORE = a_week("2026-11-09", {"accepted": 700, "needs_review": 80, "rejected": 15, "failed": 5}, "0.97")
NOW = a_week("2026-11-16", {"accepted": 840, "needs_review": 120, "rejected": 30, "failed": 10}, "0.961")
CONTEXT: Any = SimpleNamespace(
    function_name="digest",
    memory_limit_in_mb=256,
    invoked_function_arn="arn",
    aws_request_id="id",
    get_remaining_time_in_millis=lambda: 60_000,
)


def answer(rows: Sequence[Sequence[str | None]]) -> list[dict[str, str | None]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


class FakeAthena:
    """Answers after a while, as Athena does."""

    def __init__(
        self, rows: Sequence[Sequence[str | None]], states: tuple[str, ...] = ("QUEUED", "SUCCEEDED")
    ) -> None:
        self.rows, self.states = rows, list(states)
        self.asked: list[str] = []
        self.stopped = False

    def start_query_execution(self, QueryString, QueryExecutionContext, WorkGroup):
        self.asked.append(QueryString)
        return {"QueryExecutionId": "q1"}

    def get_query_execution(self, QueryExecutionId):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        status = {"State": state, "StateChangeReason": "no such table"}
        return {"QueryExecution": {"Status": status, "StatementType": "DML"}}

    def get_paginator(self, operation):
        assert operation == "get_query_results"
        return self

    def paginate(self, QueryExecutionId):
        rows: list[Sequence[str | None]] = [COLUMNS, *self.rows]
        cells = [[{} if text is None else {"VarCharValue": text} for text in row] for row in rows]
        columns = {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in COLUMNS]}
        return [{"ResultSet": {"Rows": [{"Data": row} for row in cells], "ResultSetMetadata": columns}}]

    def stop_query_execution(self, QueryExecutionId):
        self.stopped = True


class FakeTopic:
    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def publish(self, **message):
        self.sent.append(message)


def connected(monkeypatch: pytest.MonkeyPatch, athena: FakeAthena, topic: FakeTopic) -> None:
    monkeypatch.setattr(handler, "athena", lambda: AthenaClient(athena, "d", "w"))
    monkeypatch.setattr(handler, "topic", lambda: Topic(topic, "t"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(client, "_POLL_FIRST_S", 0.0)


def test_on_monday_last_week_is_published(monkeypatch):
    athena, topic = FakeAthena([*BEFORE, *NOW]), FakeTopic()
    connected(monkeypatch, athena, topic)
    assert handler.lambda_handler({"time": "2026-11-23T06:00:00Z"}, CONTEXT) == {"week": "2026-W47"}
    assert "dt BETWEEN '2026-11-09' AND '2026-11-22'" in athena.asked[0]
    (sent,) = topic.sent
    assert (sent["TopicArn"], sent["Subject"]) == ("t", "Scones, week 2026-W47")
    assert "Images: 1,000, was 800" in sent["Message"]


@given(st.dates(date(2020, 1, 6), date(2099, 12, 31)), st.integers(0, 23))
@example(date(2027, 1, 4), 6)
@example(date(2021, 1, 10), 23)
def test_whenever_it_is_asked_the_last_whole_week_is_meant(day, hour):
    athena, topic = FakeAthena([]), FakeTopic()
    with pytest.MonkeyPatch.context() as monkeypatch:
        connected(monkeypatch, athena, topic)
        handler.lambda_handler({"time": f"{day}T{hour:02}:30:00Z"}, CONTEXT)
    sunday = day - timedelta(days=day.isoweekday())
    assert f"BETWEEN '{sunday - timedelta(days=13)}' AND '{sunday}'" in athena.asked[0]
    year, number, _ = sunday.isocalendar()
    assert topic.sent[0]["Subject"] == f"Scones, week {year}-W{number:02}"
    assert topic.sent[0]["Subject"].isascii()
    assert "No images were recorded." in topic.sent[0]["Message"]


def test_the_digest_says_what_became_of_the_images_and_what_to_do():
    text = digest_of(answer([*BEFORE, *NOW]), WEEK).replace("\u00a0", " ")
    assert text.startswith("**Scones, week 2026-W47.** 1,000 images, 84.0 % accepted.")
    assert "For review: 120 (12.0 %), was 80 (10.0 %)" in text
    assert "Expected precision of accepted images: 96.1 %" in text
    assert "95 % of images were decided within 1.4 s" in text
    assert text.endswith("118 images for review: scones review shows those without a label.\n")


@pytest.mark.parametrize(("failed", "said"), [(10, False), (20, True)])
def test_failures_are_said_when_they_are_more_than_chance(failed, said):
    rows = a_week("2026-11-16", {"accepted": 1_000 - failed, "failed": failed}, "0.96")
    text = digest_of(answer(rows), WEEK)
    assert (f"- {failed} images failed. Classify them again: scones redrive." in text) is said


def test_an_empty_week_is_said_so():
    text = digest_of(answer(BEFORE), WEEK)
    assert "scones review" not in text
    assert "No images were recorded." in text
    assert "was 800" in text


def test_a_row_without_classified_images_has_no_precision():
    rows = a_week("2026-11-16", {"rejected": 30, "failed": 10}, "")
    assert "precision" not in digest_of(answer(rows), WEEK)


def tokens(name: str) -> list[str]:
    """Return of what a digest that names a class or a model so is made, as Markdown."""
    tally = Tally.of(dict.fromkeys(Outcome, 9))
    text = digest_text(
        WeekSummary(str(WEEK), tally, 9, 0.9, 0.9, 1.0, 1.0),
        None,
        sentence=f"Mostly {name}.",
        findings=[(f"8 images failed, mostly {name}.", "Do it again."), (f"By {name}, {name}.", "Compare.")],
    )
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inside = [token.type for block in blocks for token in block.children or ()]
    return [block.type for block in blocks] + [type_ for type_ in inside if not type_.startswith("text")]


marks = st.sampled_from(
    [
        *"*_`~[]()<>!#|\\-+=&:$^{}",
        "__",
        "**",
        "```",
        "](http://x)",
        "<http://x>",
        "<b>",
        "&lt;",
        "1. ",
        "a",
        "é",
        " ",
    ]
)


@given(st.lists(marks, min_size=1, max_size=8).map("".join))
@example("__a__")
@example("_a_")
def test_what_others_named_is_no_markdown(name):
    assert tokens(short(name)) == tokens("willow_tree")


def test_a_query_that_fails_publishes_nothing_and_says_why(monkeypatch):
    topic = FakeTopic()
    connected(monkeypatch, FakeAthena([], states=("RUNNING", "FAILED")), topic)
    with pytest.raises(QueryFailed, match="no such table"):
        handler.lambda_handler({"time": "2026-11-23T06:00:00Z"}, CONTEXT)
    assert topic.sent == []


def test_a_query_that_takes_too_long_is_stopped_before_the_lambda_is(monkeypatch):
    athena = FakeAthena([], states=("RUNNING",))
    connected(monkeypatch, athena, FakeTopic())
    late: Any = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: 10_000})
    with pytest.raises(QueryFailed, match="did not answer within 0 s"):
        handler.lambda_handler({"time": "2026-11-23T06:00:00Z"}, late)
    assert athena.stopped


def test_the_lambda_loads_nothing_heavy():
    code = "import sys, analytics.report.digest.handler; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"pandas", "pyarrow", "numpy", "duckdb", "jinja2", "sqlglot"} & set(loaded.split())
