"""Clients that people use for Athena and S3, unmodified, on the laptop's system."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analytics.lake.schema import LABELS_SCHEMA

pytest.importorskip("pyathena", reason="make test-clients installs the clients")

VALUES = """
    SELECT 1 AS a, CAST(NULL AS bigint) AS b, 'x, "y"' AS c, 1.50 AS d, 2e0 AS e, true AS f,
        DATE '2026-11-16' AS g, TIMESTAMP '2026-11-16 09:30:00.250' AS h, ARRAY[1, 2] AS i,
        MAP(ARRAY['k'], ARRAY[1]) AS j
"""


@pytest.fixture
def connection(stack: dict[str, Any], aws: Any) -> Iterator[Any]:
    import pyathena

    with pyathena.connect(
        work_group=stack["workgroup"], schema_name=stack["database"], session=aws
    ) as connection:
        yield connection


# ── PyAthena ───────────────────────────────────────────────────────────────────────────────────────────────


def test_pyathena_s_cursor_has_python_s_values(connection: Any) -> None:
    row = connection.cursor().execute(VALUES).fetchone()
    assert row[:7] == (1, None, 'x, "y"', Decimal("1.50"), 2.0, True, date(2026, 11, 16))
    assert row[7].isoformat() == "2026-11-16T09:30:00.250000"


def test_pyathena_s_pandas_cursor_reads_the_file_of_the_result(connection: Any) -> None:
    from pyathena.pandas.cursor import PandasCursor

    frame = connection.cursor(PandasCursor).execute(VALUES).as_pandas()
    assert frame.loc[0, "a"] == 1
    assert frame["b"].isna().all()
    assert frame.loc[0, "c"] == 'x, "y"'
    assert frame.loc[0, "h"] == pd.Timestamp("2026-11-16 09:30:00.250")
    many = connection.cursor(PandasCursor).execute("SELECT * FROM outcomes").as_pandas()
    assert len(many) > 100
    assert {"bicycle", "tulip"} <= set(many["label"].dropna())


@pytest.fixture
def arrow_s3(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Arrow's S3 the endpoint: PyAthena's arrow cursor has no argument for it, and Arrow no variable."""
    from pyarrow import fs

    host = stack["endpoint_url"].partition("//")[2]
    monkeypatch.setattr(fs, "S3FileSystem", partial(fs.S3FileSystem, endpoint_override=host, scheme="http"))


def test_pyathena_s_arrow_cursor_reads_the_file_of_the_result(connection: Any, arrow_s3: None) -> None:
    from pyathena.arrow.cursor import ArrowCursor

    table = (
        connection.cursor(ArrowCursor).execute("SELECT key, confidence, uploaded_at FROM outcomes").as_arrow()
    )
    assert table.num_rows > 100
    assert table.column_names == ["key", "confidence", "uploaded_at"]


def test_pyathena_unloads(connection: Any, stack: dict[str, Any], arrow_s3: None) -> None:
    from pyathena.arrow.cursor import ArrowCursor

    cursor = connection.cursor(
        ArrowCursor, unload=True, s3_staging_dir=f"s3://{stack['query_results_bucket']}/"
    )
    table = cursor.execute("SELECT key, probabilities FROM outcomes").as_arrow()
    assert table.num_rows > 100


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT %(a)s, %(b)s", {"a": "it's", "b": 5}, ("it's", 5)),
        ("SELECT %(a)s, %(b)s", {"a": date(2026, 11, 16), "b": None}, (date(2026, 11, 16), None)),
        ("SELECT count(*) > 0 FROM outcomes WHERE label IN %(a)s", {"a": ["bicycle", "poppy"]}, (True,)),
    ],
)
def test_pyathena_s_own_parameters(
    connection: Any, sql: str, parameters: dict[str, Any], expected: Any
) -> None:
    assert connection.cursor().execute(sql, parameters).fetchone() == expected


def test_pyathena_s_parameters_of_athena(connection: Any) -> None:
    sql = "SELECT ?, ?, ?, ? FROM outcomes WHERE label = ? LIMIT 1"
    literals = ["5", "'it''s'", "DATE '2026-11-16'", "NULL", "'bicycle'"]
    row = connection.cursor().execute(sql, literals, paramstyle="qmark").fetchone()
    assert row == (5, "it's", date(2026, 11, 16), None)


def test_pyathena_s_metadata_of_tables(connection: Any, stack: dict[str, Any]) -> None:
    cursor = connection.cursor()
    tables = {table.name: table for table in cursor.list_table_metadata()}
    assert tables["outcomes"].table_type == "VIRTUAL_VIEW"
    assert cursor.get_table_metadata("labels").partition_keys[0].name == "dt"
    assert (stack["database"],) in cursor.execute("SHOW DATABASES").fetchall()
    assert ("outcomes",) in cursor.execute("SHOW TABLES").fetchall()


def test_pandas_reads_sql_through_pyathena(connection: Any) -> None:
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        frame = pd.read_sql("SELECT label, count(*) AS images FROM outcomes GROUP BY label", connection)
    assert frame["images"].sum() > 100


# ── awswrangler ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "way",
    [{"ctas_approach": False}, {"ctas_approach": True}, {"ctas_approach": False, "unload_approach": True}],
)
def test_awswrangler_reads_a_query(stack: dict[str, Any], aws: Any, way: dict[str, bool]) -> None:
    import awswrangler

    output = (
        {"s3_output": f"s3://{stack['query_results_bucket']}/wrangler/"} if "unload_approach" in way else {}
    )
    frame = awswrangler.athena.read_sql_query(
        "SELECT key, label, confidence, uploaded_at FROM outcomes WHERE dt >= '2026-11-16'",
        database=stack["database"],
        workgroup=stack["workgroup"],
        boto3_session=aws,
        **way,
        **output,
    )
    assert len(frame) > 100
    assert list(frame.columns) == ["key", "label", "confidence", "uploaded_at"]
    assert frame["confidence"].mean() > 0.5


def test_awswrangler_describes_a_table(stack: dict[str, Any], aws: Any) -> None:
    import awswrangler

    where = {"database": stack["database"], "workgroup": stack["workgroup"], "boto3_session": aws}
    described = awswrangler.athena.describe_table(table="labels", **where)
    assert list(described["Column Name"]) == [*LABELS_SCHEMA.names, "dt"]
    assert list(described["Partition"]) == [False] * len(LABELS_SCHEMA.names) + [True]
    made = awswrangler.athena.show_create_table(table="labels", **where)
    assert "CREATE EXTERNAL TABLE `labels`" in made
    types = awswrangler.catalog.get_table_types(stack["database"], "labels", boto3_session=aws)
    assert types["labelled_at"] == "timestamp"


def test_awswrangler_reads_the_tables_files(stack: dict[str, Any], aws: Any) -> None:
    import awswrangler

    path = f"s3://{stack['results_bucket']}/predictions/"
    frame = awswrangler.s3.read_parquet(path, dataset=True, boto3_session=aws)
    assert len(frame) > 100
    assert "dt" in frame.columns


# ── S3 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pandas_reads_the_table_through_s3fs(stack: dict[str, Any], aws: Any) -> None:
    frame = pd.read_parquet(f"s3://{stack['results_bucket']}/predictions/")
    assert len(frame) > 100
    assert frame["dt"].nunique() == 7


def test_s3fs_lists_and_reads_and_writes(stack: dict[str, Any], aws: Any) -> None:
    import s3fs

    files = s3fs.S3FileSystem()
    bucket = stack["query_results_bucket"]
    with files.open(f"{bucket}/clients/a b+c.txt", "wb") as file:
        file.write(b"x" * 6_000_000)
    assert files.cat(f"{bucket}/clients/a b+c.txt") == b"x" * 6_000_000
    assert files.find(f"{stack['results_bucket']}/predictions/", maxdepth=2)
    files.rm(f"{bucket}/clients/", recursive=True)
    assert not files.exists(f"{bucket}/clients/a b+c.txt")


def test_duckdb_reads_the_table_over_s3(stack: dict[str, Any], aws: Any) -> None:
    import duckdb
    import duckdb_extension_httpfs

    duck = duckdb.connect()
    extension = next(Path(duckdb_extension_httpfs.__path__[0]).rglob("*.duckdb_extension"))
    duck.execute(f"LOAD '{extension}'")
    host = stack["endpoint_url"].partition("//")[2]
    duck.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{stack['access_key_id']}', SECRET '{stack['secret_access_key']}', "
        f"ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false, REGION '{stack['region']}')"
    )
    files = f"s3://{stack['results_bucket']}/predictions/*/*.parquet"
    ((images, days),) = duck.execute(
        f"SELECT count(*), count(DISTINCT dt) FROM read_parquet('{files}', hive_partitioning = true)"
    ).fetchall()
    assert images > 100
    assert days == 7
