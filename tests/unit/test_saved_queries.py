"""The template's saved queries are the files of analytics/questions, and `make query` runs the same ones."""

from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner

from analytics.athena.engine import QueryResult
from analytics.questions.queries import console_query, question, saved_queries, week_query
from infra.aws.generate import BEGIN, END, with_section
from infra.aws.package import TEMPLATE
from infra.cli import commands as cli
from infra.operations import answers
from tests.template import resources_of_type

# ── in the template ────────────────────────────────────────────────────────────────────────────────────────


def test_the_template_is_as_make_fix_would_write_it():
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text == with_section(text), "analytics/questions has changed: run `make fix`"


def test_each_file_is_a_saved_query_of_the_workgroup():
    queries = {query["Name"]: query for query in resources_of_type("AWS::Athena::NamedQuery").values()}
    assert sorted(queries) == saved_queries()
    for name, query in queries.items():
        assert query["QueryString"] == console_query(name)
        assert query["Description"] == question(name)
        assert query["WorkGroup"] == {"Ref": "Workgroup"}
        assert query["Database"] == {"Ref": "Database"}


@pytest.mark.parametrize("name", saved_queries())
def test_a_saved_query_is_within_what_athena_takes(name):
    """Source: https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateNamedQuery.html"""
    assert len(name) <= 128
    assert len(question(name)) <= 1024
    assert len(console_query(name).encode()) <= 262_144


def test_what_is_around_the_section_is_left_as_it_is():
    text = f"before\n{BEGIN}stale\n{END}after\n"
    written = with_section(text)
    assert written.startswith(f"before\n{BEGIN}  ClassBalanceByWeekQuery:\n")
    assert written.endswith(f"\n{END}after\n")
    assert "stale" not in written
    assert with_section(written) == written


@pytest.mark.parametrize("text", ["", f"{BEGIN}", f"{END}{BEGIN}"])
def test_a_template_without_the_section_is_refused(text):
    with pytest.raises(ValueError, match="lacks"):
        with_section(text)


# ── at the terminal ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def asked(monkeypatch):
    """Return the SQL that the engine is asked."""
    sql: list[str] = []

    @contextmanager
    def engine(stack):
        def query(text):
            sql.append(text)
            return QueryResult(pd.DataFrame({"images": [1234]}), scanned_bytes=12_000_000, elapsed_ms=1.0)

        yield SimpleNamespace(query=query)

    monkeypatch.setattr(cli, "current_stack", lambda: SimpleNamespace(endpoint_url="http://127.0.0.1"))
    monkeypatch.setattr(answers, "engine", engine)
    return sql


def run(*arguments):
    return CliRunner().invoke(cli.scones, ["query", *arguments])


def test_a_question_is_asked_by_its_name_about_the_last_four_weeks(asked):
    result = run("--name", "review_queue")
    assert asked == [console_query("review_queue")]
    assert question("review_queue") in result.output
    assert "1234" in result.output


def test_a_question_is_asked_about_a_week(asked):
    assert run("--name", "review_queue", "--week", "2026-W47").exit_code == 0
    assert "dt BETWEEN '2026-11-16' AND '2026-11-22'" in asked[0]
    assert asked[0].endswith("LIMIT 100\n")


@pytest.mark.parametrize("name", saved_queries())
def test_a_week_s_query_differs_from_the_console_s_in_its_days_alone(name):
    in_the_console = console_query(name)
    for text, day in (("date_add('day', -28, current_date)", "2026-11-16"), ("current_date", "2026-11-22")):
        in_the_console = in_the_console.replace(f"date_format({text}, '%Y-%m-%d')", f"'{day}'")
    assert week_query(name, date(2026, 11, 16), date(2026, 11, 22)) == in_the_console


def test_without_a_question_all_are_listed(asked):
    result = run()
    assert result.exit_code == 0
    assert all(name in result.output for name in saved_queries())
    assert "Which images wait for a person" in result.output
    assert asked == []


def test_an_unknown_question_is_answered_with_the_known_ones(asked):
    result = run("--name", "nothing")
    assert result.exit_code == 1
    assert "There is no query 'nothing'" in result.output
    assert "review_queue" in result.output
    assert "Perhaps" not in result.output
    assert asked == []


@pytest.mark.parametrize("name", ["reviewqueue", "Review-Queue", "review_queu"])
def test_a_misspelt_question_is_answered_with_the_nearest(asked, name):
    assert "Perhaps review_queue?" in run("--name", name).output


def test_sql_is_asked_as_it_stands(asked):
    result = run("SELECT 1")
    assert result.exit_code == 0
    assert asked == ["SELECT 1"]
    assert "$" not in result.output


def test_athena_s_answer_says_what_it_cost(asked, monkeypatch):
    monkeypatch.setattr(cli, "current_stack", lambda: SimpleNamespace(endpoint_url=None))
    assert "scanned 12,000,000 bytes: $0.00006" in run("SELECT 1").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("SELECT 1", "--name", "review_queue"),
        ("SELECT 1", "--week", "2026-W47"),
        ("--week", "2026-W47"),
        ("--name", "review_queue", "--week", "next"),
    ],
)
def test_what_does_not_go_together_is_refused(asked, arguments):
    result = run(*arguments)
    assert result.exit_code != 0
    assert asked == []
