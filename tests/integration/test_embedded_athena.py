"""The embedded AWS's Athena: ministack's own answers wrongly, and this one as the local Athena does."""

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ministack.services import athena, glue, s3

from analytics.athena.local import LocalEngine
from analytics.questions.queries import saved_queries, views, week_query
from infra.laptop.embedded_athena import remembering_parameters, run
from localathena.errors import QueryRefused
from localathena.results import frame_of, typed_rows
from tests.builders_table import Week, rows_of, write_rows

MONDAY = date(2026, 11, 16)
EMPTY = ("confusions", "failures_by_reason", "measured_precision", "rejects_by_reason")
"""Questions without an answer for these rows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bucket as the embedded S3 has it on disk."""
    folder = tmp_path_factory.mktemp("s3") / "000000000000" / "results"
    folder.mkdir(parents=True)
    write_rows(folder, rows_of(Week(MONDAY, images_a_day=12, rejected=0.1, failed=0.1)))
    return folder


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(s3, "DATA_DIR", str(folder.parent.parent))
    storage = {"Location": "s3://results/predictions/", "Columns": []}
    table = {"Name": "predictions", "StorageDescriptor": storage}
    glue._create_database({"DatabaseInput": {"Name": "scones"}})
    glue._create_table({"DatabaseName": "scones", "TableInput": table})
    yield lambda sql, database="scones": asyncio.run(run(sql, database))
    glue._delete_database({"Name": "scones"})


def test_ministack_passes_sql_to_duckdb_unchanged() -> None:
    with pytest.raises(Exception, match="approx_percentile"):
        asyncio.run(athena._run_duckdb("SELECT approx_percentile(1, 0.5)", "scones"))


@pytest.mark.parametrize("name", saved_queries())
def test_an_answer_of_the_api_is_that_of_the_local_athena(ask: Any, folder: Path, name: str) -> None:
    sql = week_query(name, MONDAY, MONDAY + timedelta(days=6))
    answer = ask(sql)
    names_and_types = list(zip(answer["columns"], answer["column_types"], strict=True))
    read = frame_of(*typed_rows(names_and_types, answer["rows"]))
    expected = LocalEngine(folder, views()).query(sql).frame
    assert len(expected) or name in EMPTY
    pd.testing.assert_frame_equal(read, expected, check_dtype=False)


def test_another_database_is_refused_for_ministack_would_read_any_file(ask: Any) -> None:
    sql = f"SELECT * FROM read_text('{__file__}')"
    assert asyncio.run(athena._run_duckdb(sql, "another"))["rows"]
    with pytest.raises(LookupError, match="another has no results"):
        ask(sql, "another")
    assert ask("SELECT 1 / 2 AS none")["rows"] == [["0"]]


def test_parameters_are_texts(ask: Any) -> None:
    start = remembering_parameters(lambda request: ask("SELECT ? AS said")["rows"])
    assert start({"ExecutionParameters": ["'it''s'"]}) == [["it's"]]
    with pytest.raises(ValueError, match="takes texts"):
        start({"ExecutionParameters": ["5"]})
    with pytest.raises(QueryRefused):
        start({})


def test_a_query_that_cannot_be_right_is_refused(ask: Any) -> None:
    with pytest.raises(Exception, match="nothing_such"):
        ask("SELECT nothing_such(1)")


def test_an_answer_has_athena_s_types_and_texts(ask: Any) -> None:
    answer = ask("SELECT 1.50 AS a, nan() AS b, CAST(NULL AS double) AS c, 1e-5 AS d, ROW(1, 'x') AS e")
    assert answer["column_types"] == ["decimal", "double", "double", "double", "row"]
    assert answer["rows"] == [["1.50", "NaN", None, "1.0E-5", "{field0=1, field1=x}"]]
