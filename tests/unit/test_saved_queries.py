"""`make query` runs the saved queries of the workgroup, which are the files of analytics/questions."""

from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner

from analytics.athena.engine import QueryResult
from analytics.questions.queries import console_query, question, saved_queries, week_query
from infra.cli.main import scones
from infra.operations import answers


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

    monkeypatch.setattr(
        "infra.cli.systems.current_stack", lambda on: SimpleNamespace(endpoint_url="http://127.0.0.1")
    )
    monkeypatch.setattr(answers, "engine", engine)
    return sql


def run(*arguments):
    return CliRunner().invoke(scones, ["query", *arguments])


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
    assert "Which images wait for review" in result.output
    assert asked == []


def test_an_unknown_question_is_answered_with_the_command_that_lists_them(asked):
    result = run("--name", "nothing")
    assert result.exit_code == 1
    assert "There is no query 'nothing'" in result.output
    assert "`make query` lists them" in result.output
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
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: SimpleNamespace(endpoint_url=None))
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
