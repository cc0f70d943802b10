"""The Monday Lambda: the same verdict as the report's, as a page, a mail and a chat message."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analytics import commands
from analytics.athena import client
from analytics.athena.client import AthenaClient
from analytics.athena.engine import QueryFailed
from analytics.lake.columns import TABLES
from analytics.questions.queries import views
from analytics.report.build import WeeklyReport, build_report
from analytics.report.digest import aws, handler
from analytics.report.digest.aws import Pages, Slack, Topic
from analytics.report.isoweek import IsoWeek
from analytics.report.message import MARKDOWN, PLAIN, SLACK, message, subject
from analytics.report.verdict import Finding, Verdict
from analytics.text import short
from infra.aws.package import LAYOUT, sources
from localathena.engine import LocalAthena
from localathena.results import text_of
from tests.athena import Athena
from tests.builders_table import Week, weeks_of_rows, write_rows

WEEK = IsoWeek.parse("2026-W47")
MONDAY = {"time": "2026-11-23T06:00:00Z"}
PAGE = "https://results.s3.amazonaws.com/reports/2026-W47/report.html?X-Amz-Signature=1"
CONTEXT: Any = SimpleNamespace(
    function_name="digest",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="id",
    get_remaining_time_in_millis=lambda: 300_000,
)


class FakeAthena:
    """Athena's API over a folder; without one, every answer is empty."""

    def __init__(self, folder: Path | None = None, states: tuple[str, ...] = ("SUCCEEDED",)) -> None:
        self.states, self.asked, self.stopped = states, list[str](), 0
        self.local = LocalAthena(folder, views(), schemas=TABLES) if folder else None
        self.one_at_a_time = Lock()

    def start_query_execution(self, QueryString, QueryExecutionContext, WorkGroup):
        self.asked.append(QueryString)
        return {"QueryExecutionId": str(len(self.asked) - 1)}

    def get_query_execution(self, QueryExecutionId):
        status = {"State": self.states[-1], "StateChangeReason": "no such table"}
        return {"QueryExecution": {"Status": status, "StatementType": "DML"}}

    def get_paginator(self, operation):
        assert operation == "get_query_results"
        return self

    def paginate(self, QueryExecutionId):
        columns: Any = []
        found: list[tuple[Any, ...]] = []
        if self.local:
            with self.one_at_a_time:
                columns, found = self.local.rows(self.asked[int(QueryExecutionId)])
        names = [column.name for column in columns]
        texts = [
            [
                None if value is None else text_of(value, column.type)
                for value, column in zip(row, columns, strict=True)
            ]
            for row in found
        ]
        rows = [[{} if text is None else {"VarCharValue": text} for text in row] for row in [names, *texts]]
        info = [{"Name": column.name, "Type": column.type.name} for column in columns]
        return [
            {"ResultSet": {"Rows": [{"Data": r} for r in rows], "ResultSetMetadata": {"ColumnInfo": info}}}
        ]

    def stop_query_execution(self, QueryExecutionId):
        self.stopped += 1


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[str, str] = {}

    def put_object(self, Bucket, Key, Body, ContentType):
        self.objects[f"{Bucket}/{Key}"] = Body.decode()

    def generate_presigned_url(self, operation, Params, ExpiresIn):
        assert (operation, f"{Params['Bucket']}/{Params['Key']}") == (
            "get_object",
            next(reversed(self.objects)),
        )
        return PAGE


class FakeTopic:
    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def publish(self, **message):
        self.sent.append(message)


class Sent:
    """What the Lambda stored and sent."""

    def __init__(self) -> None:
        self.s3, self.topic, self.chat = FakeS3(), FakeTopic(), list[str]()


def sending(monkeypatch: pytest.MonkeyPatch, athena: FakeAthena) -> Sent:
    sent = Sent()
    monkeypatch.setenv("STACK_NAME", "team")
    monkeypatch.setattr(handler, "athena", lambda: AthenaClient(athena, "d", "w"))
    monkeypatch.setattr(handler, "pages", lambda: Pages(sent.s3, "results"))
    monkeypatch.setattr(handler, "topic", lambda: Topic(sent.topic, "t"))
    monkeypatch.setattr(handler, "slack", lambda: SimpleNamespace(post=sent.chat.append))
    return sent


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(client, "_POLL_FIRST_S", 0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week whose images are darker and less certain than those of the weeks before."""
    folder = tmp_path_factory.mktemp("results")
    write_rows(folder, weeks_of_rows(Week(WEEK.monday, images_a_day=40, certainty=1.5, brightness=60)))
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> WeeklyReport:
    """That of a stack on AWS."""
    now = datetime(2026, 11, 23, 6, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "_stacks_on_aws", ["team"])
        return build_report(Athena(folder), WEEK, WEEK.back(), now=now)


def numbers_of(text: str) -> dict[str, Any]:
    """Return a report's numbers without what the queries took."""
    found: dict[str, Any] = json.loads(text)
    for name in ("statements", "cost"):
        found.pop(name)
    return found


def test_on_monday_the_page_is_stored_and_its_verdict_is_sent(monkeypatch, folder, report):
    sent = sending(monkeypatch, FakeAthena(folder))
    assert handler.lambda_handler(MONDAY, CONTEXT) == {"week": "2026-W47"}
    stored = sent.s3.objects["results/reports/2026-W47/report.json"]
    assert not report.verdict.ok
    assert numbers_of(stored) == numbers_of(report.to_json())
    page = sent.s3.objects["results/reports/2026-W47/report.html"]
    assert report.verdict.sentence in page.replace("&#39;", "'")
    (mail,) = sent.topic.sent
    assert mail["TopicArn"] == "t"
    assert mail["Subject"] == subject(report.numbers, report.verdict)
    assert mail["Message"] == message(report.numbers, report.verdict, PLAIN, PAGE)
    assert "make review WEEK=2026-W47 ON=aws STACK=team" in mail["Message"]
    assert sent.chat == [message(report.numbers, report.verdict, SLACK, f"<{PAGE}|the page>")]


def test_on_a_laptop_the_digest_s_commands_are_those_of_this_machine(monkeypatch, folder):
    sent = sending(monkeypatch, FakeAthena(folder))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    handler.lambda_handler(MONDAY, CONTEXT)
    assert "make review WEEK=2026-W47: " in sent.topic.sent[0]["Message"]


def test_the_subject_is_the_finding(report):
    first = next(finding for finding in report.verdict.findings if finding.attention)
    said = subject(report.numbers, report.verdict)
    assert said.startswith("Scones 2026-W47: ")
    assert first.what.replace("\u00a0", " ")[:40] in said
    quiet = Verdict(True, "All is well.", [Finding(False, "A note.", "Fine.")], [])
    assert subject(report.numbers, quiet) == "Scones 2026-W47: all is well"


@given(st.lists(st.text(max_size=250), min_size=1, max_size=3))
def test_a_subject_is_one_that_sns_takes(report, findings):
    verdict = Verdict(False, "", [Finding(True, what, "") for what in findings], [])
    said = subject(report.numbers, verdict)
    assert len(said) < 100
    assert said.isascii()
    assert said.isprintable()


def test_what_needs_attention_comes_first_and_stands_out(report):
    verdict = Verdict(
        False, "One thing.", [Finding(True, "It fell.", "Look."), Finding(False, "So.", "Fine.")], []
    )
    assert "\n\n- **It fell.** Look.\n\nAlso:\n- So. Fine.\n" in message(report.numbers, verdict, MARKDOWN)
    assert "\n\n- *It fell.* Look.\n" in message(report.numbers, verdict, SLACK)
    plain = message(report.numbers, verdict, PLAIN, PAGE)
    assert "\n\n- It fell. Look.\n" in plain
    assert plain.endswith(f"\n\nReport: {PAGE}\n")


def test_the_figures_have_a_direction(report):
    now, then = report.numbers.summary.tally, known(report.numbers.baseline).tally
    text = message(report.numbers, report.verdict, PLAIN).replace("\u00a0", " ")
    change = 100 * (now["accepted"] / now.images - then["accepted"] / then.images)
    assert f"{100 * now['accepted'] / now.images:.1f} % accepted (▼ {-change:.1f} points)" in text
    assert "by the model's own estimate" in text
    redrive = f"- make redrive APPLY=1 ON=aws STACK=team: {now['failed']} image"
    assert (redrive in text) is bool(now["failed"])
    to_review = report.numbers.summary.to_review
    assert (
        f"- make review WEEK=2026-W47 ON=aws STACK=team: {to_review} images get a person's decision\n" in text
    )


def known(value: Any) -> Any:
    assert value is not None
    return value


@given(st.dates(date(2020, 1, 6), date(2099, 12, 31)), st.integers(0, 23))
@example(date(2027, 1, 4), 6)
@example(date(2021, 1, 10), 23)
def test_whenever_it_is_asked_the_last_whole_week_is_meant(day, hour):
    athena = FakeAthena()
    with pytest.MonkeyPatch.context() as monkeypatch:
        sent = sending(monkeypatch, athena)
        handler.lambda_handler({"time": f"{day}T{hour:02}:30:00Z"}, CONTEXT)
    sunday = day - timedelta(days=day.isoweekday())
    asked = next(sql for sql in athena.asked if "weekly_summary" in sql or "mean_confidence is of" in sql)
    assert f"AND '{sunday}'" in asked
    year, number, _ = sunday.isocalendar()
    assert f"No images were recorded for {year}-W{number:02}." in sent.topic.sent[0]["Message"]
    assert sent.s3.objects == {}  # nothing to see, and nothing that a page with images is replaced by


def tokens(report: WeeklyReport, name: str) -> list[str]:
    """Return of what a digest that names a class or a model so is made, as Markdown."""
    findings = [
        Finding(True, f"8 images failed, mostly {name}.", "Do it again."),
        Finding(False, f"By {name}, {name}.", f"Compare {name}."),
    ]
    text = message(report.numbers, Verdict(False, f"Mostly {name}.", findings, []), MARKDOWN)
    blocks = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    inside = [token.type for block in blocks for token in block.children or ()]
    return [block.type for block in blocks] + [type_ for type_ in inside if not type_.startswith("text")]


marks = st.sampled_from(
    [
        *"*_`~[]()<>!#|\\-+=&:$^{}",
        *("__", "**", "```", "](http://x)", "<http://x>", "<b>", "&lt;", "1. ", "a", "é", " "),
    ]
)


@given(st.lists(marks, min_size=1, max_size=8).map("".join))
@example("__a__")
@example("_a_")
def test_what_others_named_is_no_markdown(report, name):
    assert tokens(report, short(name)) == tokens(report, "willow_tree")


@given(st.lists(marks, min_size=1, max_size=8).map("".join))
@example("<!channel>")
def test_what_others_named_is_no_mark_of_slack_s(report, name):
    verdict = Verdict(True, f"Mostly {name}.", [], [])
    line = message(report.numbers, verdict, SLACK).splitlines()[0]
    said = line.partition(".* ")[2]
    assert "<" not in said
    assert ">" not in said
    assert all(said[place + 1] == "\u200b" for place, mark in enumerate(said) if mark in "*_~`")


def test_slack_gets_the_message_as_json_and_no_webhook_is_no_message(monkeypatch):
    asked = []

    class Response:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    def answered(request, timeout):
        asked.append(request)
        return Response()

    monkeypatch.setattr(aws, "urlopen", answered)
    Slack("").post("nothing")
    Slack("https://hooks.example.org/1").post("*Scones*")
    (request,) = asked
    assert (request.full_url, request.get_method()) == ("https://hooks.example.org/1", "POST")
    assert json.loads(request.data)["text"] == "*Scones*"


def test_a_query_that_fails_publishes_nothing_and_says_why(monkeypatch, folder):
    sent = sending(monkeypatch, FakeAthena(folder, states=("FAILED",)))
    with pytest.raises(QueryFailed, match="no such table"):
        handler.lambda_handler(MONDAY, CONTEXT)
    assert (sent.topic.sent, sent.s3.objects, sent.chat) == ([], {}, [])


def test_a_query_that_takes_too_long_is_stopped_before_the_lambda_is(monkeypatch):
    athena = FakeAthena(states=("RUNNING",))
    sending(monkeypatch, athena)
    late: Any = SimpleNamespace(**{**vars(CONTEXT), "get_remaining_time_in_millis": lambda: 20_000})
    with pytest.raises(QueryFailed, match="did not answer within 0 s"):
        handler.lambda_handler(MONDAY, late)
    assert athena.stopped


HEAVY = {"pandas", "pyarrow", "numpy", "duckdb", "sqlglot", "PIL"}


def test_the_package_has_all_that_the_lambda_loads_and_that_is_nothing_heavy(tmp_path):
    """In a folder of its own, as on AWS."""
    for source in sources(LAYOUT["digest"]):
        target = tmp_path / source.relative_to(Path(handler.__file__).parents[3])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    code = (
        "import sys, analytics.report.digest.handler; from analytics.html import template;"
        "template('report/page.html.j2'); print(*sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert not HEAVY & {name.partition(".")[0] for name in ran.stdout.split()}
