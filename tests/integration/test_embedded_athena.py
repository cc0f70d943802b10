"""The embedded AWS's Athena: ministack's own answers wrongly, and this one as the local Athena does."""

import asyncio
import io
import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet
import pytest
from ministack.services import athena, glue, s3

from analytics.athena.local import LocalEngine
from analytics.questions.queries import saved_queries, views, week_query
from infra.laptop import embedded_athena
from infra.laptop.embedded_athena import run
from localathena.errors import QueryRefused
from localathena.results import frame_of, typed_rows
from tests.builders_table import Week, rows_of, write_rows
from tests.template import resources_of_type

MONDAY = date(2026, 11, 16)
EMPTY = (
    *("challenger_agreement", "challenger_examples", "challenger_labels"),
    *("confusions", "failures_by_reason", "label_agreement", "labelled_images", "measured_precision"),
    *("most_unfamiliar_images", "rejects_by_reason", "unlike_by_folder"),
)
"""Questions without an answer for these rows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bucket as the embedded S3 has it on disk."""
    folder = tmp_path_factory.mktemp("s3") / "000000000000" / "results"
    folder.mkdir(parents=True)
    write_rows(folder, rows_of(Week(MONDAY, images_a_day=12, rejected=0.1, failed=0.1)))
    return folder


OUTPUT = "s3://queries/"


@pytest.fixture
def stack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the tables into ministack's Glue, a workgroup into its Athena, and install this Athena."""
    monkeypatch.setattr(s3, "DATA_DIR", str(folder.parent.parent))
    for name in (
        "_start_query_execution",
        "_execute_query",
        "_get_query_results",
        "_get_table_metadata",
        "_list_table_metadata",
    ):
        monkeypatch.setattr(athena, name, getattr(athena, name))
    embedded_athena.install()
    glue._create_database({"DatabaseInput": {"Name": "scones"}})
    for table in tables_of_the_template():
        glue._create_table({"DatabaseName": "scones", "TableInput": table})
    s3._create_bucket("queries", b"", {})
    settings = {"EnforceWorkGroupConfiguration": True, "ResultConfiguration": {"OutputLocation": OUTPUT}}
    athena._create_workgroup({"Name": "scones", "Configuration": settings})
    yield
    glue._delete_database({"Name": "scones"})
    athena._delete_workgroup({"WorkGroup": "scones"})
    athena._executions.clear()


def tables_of_the_template() -> list[dict[str, Any]]:
    """Return the template's tables and views in Glue's form, over the bucket that the test has."""
    tables = json.loads(json.dumps([t["TableInput"] for t in resources_of_type("AWS::Glue::Table").values()]))
    for table in tables:
        if table["TableType"] == "EXTERNAL_TABLE":
            table["StorageDescriptor"]["Location"] = f"s3://results/{table['Name']}/"
            table["Parameters"]["storage.location.template"] = f"s3://results/{table['Name']}/dt=${{dt}}/"
    return list(tables)


@pytest.fixture
def ask(stack: None) -> Any:
    def ask(sql: str, database: str = "scones", parameters: Sequence[str] = ()) -> dict[str, Any]:
        result = asyncio.run(run(sql, database, parameters))
        return {
            "columns": [column["Name"] for column in result.columns],
            "column_types": [column["Type"] for column in result.columns],
            "rows": result.rows,
        }

    return ask


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


PARAMETERS = {
    "'it''s'": "it's",
    "''": "",
    "'?'": "?",
    "5": "5",
    "-1.50": "-1.50",
    "2e0": "2.0",
    "NULL": None,
    "true": "true",
    "DATE '2026-11-16'": "2026-11-16",
    "TIMESTAMP '2026-11-16 09:30:00.000'": "2026-11-16 09:30:00.000",
    "X'616a'": "61 6a",
}


def test_a_parameter_is_a_literal(ask: Any) -> None:
    sql = f"SELECT {', '.join('?' * len(PARAMETERS))}"
    assert ask(sql, parameters=list(PARAMETERS))["rows"] == [list(PARAMETERS.values())]


def test_numbers_and_dates_can_be_compared_and_limit_can_be_a_parameter(ask: Any) -> None:
    sql = "SELECT count(*) FROM outcomes WHERE confidence > ? AND date(dt) = ? LIMIT ?"
    ((count,),) = ask(sql, parameters=["0.5", "DATE '2026-11-16'", "1"])["rows"]
    assert int(count) > 1


@pytest.mark.parametrize("parameter", ["1) OR (1 = 1", "label", "abc", "'a' || 'b'", "1; DROP TABLE x", ""])
def test_a_parameter_that_is_no_literal_is_refused(ask: Any, parameter: str) -> None:
    with pytest.raises(QueryRefused, match="not a literal"):
        ask("SELECT ?", parameters=[parameter])


def test_too_few_parameters_are_refused(ask: Any) -> None:
    with pytest.raises(QueryRefused, match="has 1 `\\?`, and 0 parameters"):
        ask("SELECT ?")


def test_a_query_that_cannot_be_right_is_refused(ask: Any) -> None:
    with pytest.raises(Exception, match="nothing_such"):
        ask("SELECT nothing_such(1)")


def test_an_answer_has_athena_s_types_and_texts(ask: Any) -> None:
    answer = ask("SELECT 1.50 AS a, nan() AS b, CAST(NULL AS double) AS c, 1e-5 AS d, ROW(1, 'x') AS e")
    assert answer["column_types"] == ["decimal", "double", "double", "double", "row"]
    assert answer["rows"] == [["1.50", "NaN", None, "1.0E-5", "{field0=1, field1=x}"]]


def test_the_path_of_a_file_is_that_of_s3(ask: Any) -> None:
    sql = (
        """SELECT DISTINCT "$path", "$file_size" > 0, "$file_modified_time" > current_date FROM predictions"""
    )
    paths = ask(sql)["rows"]
    assert len(paths) == 7
    assert all(
        re.fullmatch(r"s3://results/predictions/dt=[0-9-]{10}/[^/]+[.]parquet", row[0]) for row in paths
    )
    assert {(row[1], row[2]) for row in paths} == {("true", "true")}


# ── the API ────────────────────────────────────────────────────────────────────────────────────────────────


def finished(sql: str, **request: Any) -> dict[str, Any]:
    """Start a query as the API does, and return its execution when it has finished."""

    async def run_it() -> dict[str, Any]:
        context = {"Database": "scones"}
        status, _, body = athena._start_query_execution(
            {"QueryString": sql, "QueryExecutionContext": context, "WorkGroup": "scones", **request}
        )
        assert status == 200, body
        id_ = json.loads(body)["QueryExecutionId"]
        while athena._executions[id_]["Status"]["State"] in ("QUEUED", "RUNNING"):
            await asyncio.sleep(0.01)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})  # of a stopped query too
        return dict(json.loads(athena._get_query_execution({"QueryExecutionId": id_})[2])["QueryExecution"])

    return asyncio.run(run_it())


def object_at(address: str) -> str:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bytes(s3._get_object(bucket, key, {})[2]).decode()


def pages(execution: dict[str, Any], **request: Any) -> dict[str, Any]:
    status, _, body = athena._get_query_results(
        {"QueryExecutionId": execution["QueryExecutionId"], **request}
    )
    answer = json.loads(body)
    assert status == 200, answer
    return dict(answer)


def cells(page: dict[str, Any]) -> list[list[Any]]:
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]


def test_the_result_of_a_select_is_the_csv_that_the_execution_names(stack: None) -> None:
    sql = """SELECT 'a "b", c' AS "x,y", CAST(NULL AS varchar) AS n, '' AS e, 1.50 AS d, ARRAY[1, 2] AS a"""
    execution = finished(sql)
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"{OUTPUT}{execution['QueryExecutionId']}.csv"
    assert object_at(location) == '"x,y","n","e","d","a"\n"a ""b"", c",,"","1.50","[1, 2]"\n'


def test_the_result_of_describe_is_lines_with_tabs(stack: None) -> None:
    execution = finished("DESCRIBE `scones`.`true_labels`")
    assert execution["StatementType"] == "UTILITY"
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location.endswith(".txt")
    first, *_ = object_at(location).splitlines()
    assert first.startswith("upload_id           \tstring              \tSHA-256 that identifies")


def test_an_execution_tells_its_parameters(stack: None) -> None:
    execution = finished("SELECT ?, ?", ExecutionParameters=["5", "'it''s'"])
    assert execution["ExecutionParameters"] == ["5", "'it''s'"]
    assert cells(pages(execution))[1:] == [["5", "it's"]]


def test_a_failed_query_says_why_and_has_no_results(stack: None) -> None:
    execution = finished("SELECT * FROM nothing_here")
    assert execution["Status"]["State"] == "FAILED"
    assert "There is no table nothing_here" in execution["Status"]["StateChangeReason"]
    status, _, body = athena._get_query_results({"QueryExecutionId": execution["QueryExecutionId"]})
    assert status == 400
    assert "There is no table" in json.loads(body)["message"]


def test_pages_hold_as_many_rows_as_asked_for_and_the_first_has_the_header(stack: None) -> None:
    execution = finished("SELECT x FROM UNNEST(sequence(1, 5)) AS t (x)")
    first = pages(execution, MaxResults=3)
    assert cells(first) == [["x"], ["1"], ["2"]]
    second = pages(execution, MaxResults=3, NextToken=first["NextToken"])
    assert cells(second) == [["3"], ["4"], ["5"]]
    assert "NextToken" not in second


def test_a_decimal_has_its_precision_and_a_query_what_it_scanned(stack: None) -> None:
    execution = finished("SELECT CAST(1 AS decimal(7, 2)) AS d, count(width_px) AS n FROM predictions")
    info = pages(execution)["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [(c["Name"], c["Type"], c["Precision"], c["Scale"]) for c in info] == [
        ("d", "decimal", 7, 2),
        ("n", "bigint", 19, 0),
    ]
    assert execution["Statistics"]["DataScannedInBytes"] > 0


def test_a_query_that_is_stopped_stays_so_and_writes_nothing(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, stop = embedded_athena.read_rows, athena._stop_query_execution

    def stopped(*arguments: Any) -> Any:
        stop({"QueryExecutionId": next(iter(athena._executions.keys()))})
        return read(*arguments)

    monkeypatch.setattr(embedded_athena, "read_rows", stopped)
    for sql in (
        "SELECT 1",
        "SELECT nothing_such(1)",
        "CREATE TABLE stopped WITH (format = 'PARQUET') AS SELECT 1 AS x",
        f"UNLOAD (SELECT 1 AS x) TO '{OUTPUT}stopped/' WITH (format = 'PARQUET')",
    ):
        athena._executions.clear()
        objects = sorted(s3._buckets["queries"]["objects"])
        execution = finished(sql)
        assert execution["Status"]["State"] == "CANCELLED", execution["Status"]
        assert sorted(s3._buckets["queries"]["objects"]) == objects
        assert "scones/stopped" not in glue._tables


def test_an_unknown_workgroup_and_query_are_errors(stack: None) -> None:
    request = {"QueryString": "SELECT 1", "WorkGroup": "none"}
    assert athena._start_query_execution(request)[0] == 400
    assert athena._get_query_results({"QueryExecutionId": "none"})[0] == 400


def test_the_metadata_of_tables_and_views_is_glue_s(stack: None) -> None:
    status, _, body = athena._get_table_metadata({"DatabaseName": "scones", "TableName": "outcomes"})
    found = json.loads(body)["TableMetadata"]
    assert (status, found["TableType"]) == (200, "VIRTUAL_VIEW")
    assert found["Columns"][0]["Name"] == "result_id"
    status, _, body = athena._list_table_metadata({"DatabaseName": "scones", "MaxResults": 3})
    listed = json.loads(body)
    names = [
        "challenger",
        "challenger_answers",
        "labels",
        "outcomes",
        "predictions",
        "true_labels",
        "uploaded",
    ]
    assert [table["Name"] for table in listed["TableMetadataList"]] == names[:3]
    rest = {"DatabaseName": "scones", "NextToken": listed["NextToken"], "Expression": ".*"}
    _, _, body = athena._list_table_metadata(rest)
    assert [table["Name"] for table in json.loads(body)["TableMetadataList"]] == names[3:]
    _, _, body = athena._list_table_metadata({"DatabaseName": "scones", "Expression": "pred.*"})
    assert [table["Name"] for table in json.loads(body)["TableMetadataList"]] == ["predictions"]


@pytest.mark.parametrize(
    ("call", "request_"),
    [
        ("_get_table_metadata", {"DatabaseName": "scones", "TableName": "nothing_here"}),
        ("_get_table_metadata", {"DatabaseName": "nothing", "TableName": "outcomes"}),
        ("_list_table_metadata", {"DatabaseName": "nothing"}),
    ],
)
def test_an_unknown_table_is_an_error_where_ministack_describes_an_empty_one(
    stack: None, call: str, request_: dict[str, str]
) -> None:
    status, _, body = getattr(athena, call)(request_)
    assert status == 400
    assert "not found" in json.loads(body)["message"]


def test_show_create_table_and_its_properties_are_those_of_glue(stack: None) -> None:
    lines = [row[0] for row in cells(pages(finished("SHOW CREATE TABLE labels")))]
    assert lines[0] == "CREATE EXTERNAL TABLE `labels`("
    assert "  's3://results/labels/'" in lines
    assert lines[-1].endswith(")")
    properties = dict(cells(pages(finished("SHOW TBLPROPERTIES labels"))))
    assert properties["projection.enabled"] == "true"
    assert cells(pages(finished("SHOW TBLPROPERTIES labels ('classification')"))) == [
        ["classification", "parquet"]
    ]
    assert cells(pages(finished("SHOW PARTITIONS labels"))) == []  # projected: Glue has none
    described = cells(pages(finished("DESCRIBE labels")))
    assert ["# Partition Information", "", ""] in described


LONG = 200_000
"""Characters of statements whose forms once took seconds or years to read."""


@pytest.mark.parametrize(
    "sql",
    [
        "/**/" * (LONG // 4) + ")",
        "/*" * (LONG // 2),
        f"CREATE TABLE a AS SELECT{' ' * LONG}1",
        f"CREATE TABLE a WITH ({'a' * LONG}) AS SELECT 1",
        "UNLOAD (" + ") TO 'a' WITH (" * (LONG // 16),
    ],
)
def test_a_long_statement_does_not_hold_up_the_other_requests(stack: None, sql: str) -> None:
    started = time.process_time()
    assert finished(sql)["Status"]["State"] == "FAILED"
    assert time.process_time() - started < 2


def test_a_statement_that_is_too_long_for_athena_is_an_error(stack: None) -> None:
    status, _, body = athena._start_query_execution(
        {"QueryString": f"SELECT '{'ä' * 131_072}'", "WorkGroup": "scones"}
    )
    assert (status, json.loads(body)["message"]) == (400, "The statement is longer than 262,144 bytes.")


def test_other_requests_are_answered_while_a_result_is_written(
    stack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def noted(function: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            threads.add((function.__name__, threading.current_thread() is threading.main_thread()))
            return function(*arguments)

        return wrapped

    for name in ("_read", "read_rows", "_file_of"):
        monkeypatch.setattr(embedded_athena, name, noted(getattr(embedded_athena, name)))
    finished("SELECT 1 AS a")
    assert threads == {("_read", False), ("read_rows", False), ("_file_of", False)}


# ── writing ────────────────────────────────────────────────────────────────────────────────────────────────


def parquet_at(address: str) -> Any:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return parquet.read_table(io.BytesIO(s3._get_object(bucket, key, {})[2])).to_pylist()


def test_create_table_as_select_writes_parquet_and_a_table_in_glue(stack: None) -> None:
    sql = """CREATE TABLE "scones"."made" WITH (format = 'PARQUET', write_compression = 'SNAPPY') AS
        SELECT 1 AS a, 'x' AS b, MAP(ARRAY['k'], ARRAY[1.5]) AS m, DATE '2026-11-16' AS d,
            CAST(NULL AS real) AS r"""
    execution = finished(sql)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert pages(execution)["UpdateCount"] == 1
    (file,) = object_at(execution["Statistics"]["DataManifestLocation"]).split()
    row = {"a": 1, "b": "x", "m": [("k", Decimal("1.5"))], "d": date(2026, 11, 16), "r": None}
    assert parquet_at(file) == [row]
    made = json.loads(glue._get_table({"DatabaseName": "scones", "Name": "made"})[2])["Table"]
    assert file.startswith(f"{made['StorageDescriptor']['Location']}/")
    types = [column["Type"] for column in made["StorageDescriptor"]["Columns"]]
    assert types == ["int", "string", "map<string,decimal(2,1)>", "date", "float"]
    assert "already exists" in finished(sql)["Status"]["StateChangeReason"]


def test_unload_writes_parquet_and_its_manifest(stack: None) -> None:
    select = "SELECT x FROM UNNEST(sequence(1, 3)) AS t (x)"
    sql = f"UNLOAD ({select}) TO 's3://queries/out/' WITH (format = 'PARQUET')"
    execution = finished(sql)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    (file,) = object_at(execution["Statistics"]["DataManifestLocation"]).split()
    assert file.startswith("s3://queries/out/")
    assert [row["x"] for row in parquet_at(file)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UNLOAD (SELECT 1) TO 's3://results/x/' WITH (format = 'PARQUET')", "writes to s3://queries/ only"),
        ("UNLOAD (SELECT 1) TO 's3://queries/x/' WITH (format = 'ORC')", "only format = 'PARQUET'"),
        ("CREATE TABLE made AS SELECT 1 AS a", "only format = 'PARQUET'"),
        ("CREATE TABLE other.made WITH (format = 'PARQUET') AS SELECT 1 AS a", "in scones only"),
        ("CREATE TABLE made WITH (format = 'PARQUET') AS SELECT 1", "needs a name of its own"),
        ("CREATE TABLE made WITH (format = 'PARQUET') AS SELECT now() AS t", "does not write"),
        (
            "CREATE TABLE made WITH (format = 'PARQUET', partitioned_by = ARRAY['a']) AS SELECT 1 AS a",
            "not supp",
        ),
        ("CREATE TABLE made WITH (format = 'PARQUET') AS SELECT 1 AS a WITH NO DATA", "NO DATA"),
        ("INSERT INTO predictions SELECT 1", "Only a statement that reads"),
    ],
)
def test_what_cannot_be_written_is_refused(stack: None, sql: str, why: str) -> None:
    status = finished(sql)["Status"]
    assert status["State"] == "FAILED"
    assert re.search(why, status["StateChangeReason"]), status
    assert glue._get_table({"DatabaseName": "scones", "Name": "made"})[0] == 400
