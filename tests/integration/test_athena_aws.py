"""Athena on AWS, with stubs of botocore."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from analytics.athena.engine import QueryFailed, QueryRefused
from analytics.athena.frames import Athena

ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def client() -> Any:
    return boto3.client("athena", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


@pytest.fixture
def stubber(client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setattr("analytics.athena.client.time.sleep", lambda _: None)
    with Stubber(client) as stubber:
        yield stubber


def start(stubber: Stubber, sql: str = "SELECT 1", **more: Any) -> None:
    request = {"QueryString": sql, "QueryExecutionContext": {"Database": "scones"}, "WorkGroup": "w", **more}
    stubber.add_response("start_query_execution", {"QueryExecutionId": ID}, request)


def state(stubber: Stubber, state: str, reason: str | None = None, kind: str = "DML") -> None:
    status = {"State": state} | ({"StateChangeReason": reason} if reason else {})
    execution = {
        "Status": status,
        "StatementType": kind,
        "Statistics": {"DataScannedInBytes": 20_000_000, "TotalExecutionTimeInMillis": 1234},
    }
    stubber.add_response("get_query_execution", {"QueryExecution": execution}, {"QueryExecutionId": ID})


def results(
    stubber: Stubber, types: dict[str, str], *rows: tuple[str | None, ...], token: str = "", after: str = ""
) -> None:
    columns = [{"Name": name, "Type": type_} for name, type_ in types.items()]
    data = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows]
    answer = {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}}
    request = {"QueryExecutionId": ID} | ({"NextToken": after} if after else {})
    stubber.add_response("get_query_results", answer | ({"NextToken": token} if token else {}), request)


def test_a_query_waits_until_it_is_finished_and_returns_the_scanned_bytes(client: Any, stubber: Stubber):
    start(stubber)
    state(stubber, "QUEUED")
    state(stubber, "RUNNING")
    state(stubber, "SUCCEEDED")
    results(stubber, {"n": "bigint"}, ("n",), ("1",))
    result = Athena(client, "scones", "w").query("SELECT 1")
    assert result.frame["n"].tolist() == [1]
    assert result.scanned_bytes == 20_000_000
    assert result.elapsed_ms == 1234
    stubber.assert_no_pending_responses()


def test_all_pages_are_read_and_only_the_first_has_a_header(client: Any, stubber: Stubber):
    start(stubber)
    state(stubber, "SUCCEEDED")
    results(stubber, {"x": "varchar"}, ("x",), ("a",), token="next")
    results(stubber, {"x": "varchar"}, ("x",), ("b",), after="next")
    assert Athena(client, "scones", "w").query("SELECT 1").frame["x"].tolist() == ["a", "x", "b"]


def test_show_tables_has_no_header(client: Any, stubber: Stubber):
    start(stubber, "SHOW TABLES")
    state(stubber, "SUCCEEDED", kind="UTILITY")
    results(stubber, {"tab_name": "string"}, ("predictions",))
    assert Athena(client, "scones", "w").query("SHOW TABLES").frame["tab_name"].tolist() == ["predictions"]


def test_texts_become_values_of_the_columns_types(client: Any, stubber: Stubber):
    expected = {
        "integer": ("7", 7),
        "bigint": ("-7", -7),
        "double": ("5.0E-1", 0.5),
        "decimal": ("0.50", 0.5),
        "boolean": ("true", True),
        "varchar": ("", ""),
        "date": ("2026-11-24", date(2026, 11, 24)),
        "timestamp": ("2026-11-24 09:30:00.123", datetime.fromisoformat("2026-11-24T09:30:00.123")),
        "timestamp with time zone": (
            "2026-11-24 09:30:00.123 UTC",
            datetime(2026, 11, 24, 9, 30, 0, 123_000, UTC),
        ),
        "interval day to second": ("-3 01:00:00.500", -timedelta(days=3, hours=1, milliseconds=500)),
        "varbinary": ("61 62", b"ab"),
        "map": ("{bicycle=0.97, willow_tree=3.0E-2}", {"bicycle": 0.97, "willow_tree": 0.03}),
        "array": ("[a, null, [1, 2]]", ["a", None, [1, 2]]),
        "row": ("{x=1, y=[], z={}}", {"x": 1, "y": [], "z": {}}),
        "json": ('{"a":1}', '{"a":1}'),
    }
    types = {f"c{index}": type_ for index, type_ in enumerate(expected)}
    start(stubber)
    state(stubber, "SUCCEEDED")
    results(stubber, types, tuple(types), tuple(text for text, _ in expected.values()))
    frame = Athena(client, "scones", "w").query("SELECT 1").frame
    assert frame.iloc[0].tolist() == [value for _, value in expected.values()]
    assert frame.dtypes.astype(str).tolist()[:5] == ["int64", "int64", "float64", "float64", "bool"]
    assert str(frame.dtypes["c8"]) == "datetime64[us, UTC]"


def test_null_is_none_and_keeps_whole_numbers_whole(client: Any, stubber: Stubber):
    types = {"n": "bigint", "s": "varchar", "x": "double", "t": "timestamp", "m": "map"}
    start(stubber)
    state(stubber, "SUCCEEDED")
    results(
        stubber,
        types,
        tuple(types),
        (None, None, None, None, None),
        ("9007199254740993", "a", "1", None, "{}"),
    )
    frame = Athena(client, "scones", "w").query("SELECT 1").frame
    assert str(frame["n"].dtype) == "Int64"
    assert frame["n"].iloc[1] == 9007199254740993
    assert frame["s"].tolist() == [None, "a"]
    assert frame["m"].tolist() == [None, {}]
    assert frame["x"].isna().tolist() == [True, False]


def test_parameters_go_as_sql_literals(client: Any, stubber: Stubber):
    start(stubber, "SELECT ?, ?", ExecutionParameters=["'2026-11-24'", "'it''s'"])
    state(stubber, "SUCCEEDED")
    results(stubber, {"a": "varchar"}, ("a",))
    assert len(Athena(client, "scones", "w").query("SELECT ?, ?", ["2026-11-24", "it's"]).frame) == 0


@pytest.mark.parametrize(
    ("end", "reason", "why"),
    [
        ("FAILED", "COLUMN_NOT_FOUND: line 1:8", "COLUMN_NOT_FOUND: line 1:8"),
        ("CANCELLED", "Bytes scanned limit was exceeded", "Bytes scanned limit"),
        ("FAILED", None, "gives no reason"),
    ],
)
def test_a_query_that_fails_says_why_and_which(client: Any, stubber: Stubber, end, reason, why):
    start(stubber)
    state(stubber, end, reason)
    with pytest.raises(QueryFailed, match=why) as raised:
        Athena(client, "scones", "w").query("SELECT 1")
    assert ID in str(raised.value)


def test_a_query_that_athena_rejects_has_failed(client: Any, stubber: Stubber):
    stubber.add_client_error("start_query_execution", "InvalidRequestException", "Queries of this type")
    with pytest.raises(QueryFailed, match="Queries of this type"):
        Athena(client, "scones", "w").query("SELECT 1")


def test_a_query_over_its_time_is_stopped(client: Any, stubber: Stubber):
    start(stubber)
    state(stubber, "RUNNING")
    stubber.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})
    with pytest.raises(QueryFailed, match="did not answer within 0 s"):
        Athena(client, "scones", "w", timeout_s=0).query("SELECT 1")
    stubber.assert_no_pending_responses()


def test_ctrl_c_stops_the_query(client: Any, stubber: Stubber, monkeypatch: pytest.MonkeyPatch):
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("analytics.athena.client.time.sleep", interrupt)
    start(stubber)
    state(stubber, "RUNNING")
    stubber.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})
    with pytest.raises(KeyboardInterrupt):
        Athena(client, "scones", "w").query("SELECT 1")
    stubber.assert_no_pending_responses()


def test_a_query_that_nobody_waits_for_any_longer_is_stopped(
    client: Any, stubber: Stubber, monkeypatch: pytest.MonkeyPatch
):
    """As of a console on Ctrl-C, whose thread would hold up its end."""
    athena = Athena(client, "scones", "w")
    monkeypatch.setattr("analytics.athena.client.time.sleep", lambda _: athena.close())
    start(stubber)
    state(stubber, "RUNNING")
    stubber.add_response("stop_query_execution", {}, {"QueryExecutionId": ID})
    with pytest.raises(QueryFailed, match="nobody waits"):
        athena.query("SELECT 1")
    stubber.assert_no_pending_responses()


def test_the_pauses_grow_up_to_a_limit(client: Any, stubber: Stubber, monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr("analytics.athena.client.time.sleep", pauses.append)
    start(stubber)
    for _ in range(8):
        state(stubber, "RUNNING")
    state(stubber, "SUCCEEDED")
    results(stubber, {"n": "bigint"}, ("n",))
    Athena(client, "scones", "w").query("SELECT 1")
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == 5.0


@pytest.mark.parametrize(
    "sql", ["DROP TABLE predictions", "insert into t select 1", "", "-- SELECT\nDELETE FROM t"]
)
def test_a_statement_that_writes_is_not_sent(client: Any, stubber: Stubber, sql: str):
    with pytest.raises(QueryRefused, match="reads"):
        Athena(client, "scones", "w").query(sql)


def test_a_request_names_database_and_workgroup(client: Any, stubber: Stubber):
    stubber.add_response(
        "start_query_execution",
        {"QueryExecutionId": ID},
        {"QueryString": ANY, "QueryExecutionContext": {"Database": "d"}, "WorkGroup": "g"},
    )
    state(stubber, "SUCCEEDED")
    results(stubber, {"n": "bigint"}, ("n",))
    Athena(client, "d", "g").query("SELECT 1")
    stubber.assert_no_pending_responses()


def test_rows_are_streamed_page_by_page(client: Any, stubber: Stubber):
    start(stubber)
    state(stubber, "SUCCEEDED")
    results(stubber, {"n": "bigint"}, ("n",), ("1",), token="more")
    rows = Athena(client, "scones", "w").stream("SELECT 1")
    assert next(rows) == (1,)
    results(stubber, {"n": "bigint"}, ("2",), (None,), after="more")
    assert list(rows) == [(2,), (None,)]
