"""The Compact Lambda on S3 as moto plays it: what is read, written and deleted there."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner
from moto import mock_aws

import analytics.lake.aws as results
from analytics.lake import compact as handler
from analytics.lake.aws import DeletionRefused, ResultsBucket
from analytics.lake.batch import path_of
from analytics.lake.columns import PREFIX
from analytics.lake.order import generation_of
from analytics.lake.schema import partition, to_table
from infra.cli.main import scones
from tests.builders_table import a_row

BUCKET = "scones-results"
CONTEXT = SimpleNamespace(
    function_name="compact",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:compact",
    aws_request_id="1",
)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RESULTS_BUCKET", BUCKET)
    handler.results_bucket.cache_clear()
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    handler.results_bucket.cache_clear()


def record(*rows: dict[str, Any]) -> None:
    path = path_of(partition(rows[0]), (row["result_id"] for row in rows))
    ResultsBucket.connect(BUCKET).write(path, to_table(rows))


def keys(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


def test_the_days_before_today_are_compacted_and_today_is_left_to_its_writers(s3: Any) -> None:
    today = datetime.now(UTC).replace(tzinfo=None)
    days = [today - timedelta(days=back) for back in (400, 1, 0)]
    for number in range(6):
        record(a_row(number, uploaded_at=days[number % 3]))
    answer = handler.lambda_handler({}, CONTEXT)
    assert sorted(answer["days"]) == [f"{day:%Y-%m-%d}" for day in days[:2]]
    assert len(keys(s3)) == 6 + 2  # a query that runs keeps the files that it has listed
    the_night_after = handler.lambda_handler({}, CONTEXT)
    assert sorted(the_night_after["days"]) == sorted(answer["days"])
    assert sorted(generation_of(key) is not None for key in keys(s3)) == [False, False, True, True]
    read = [
        row
        for key in keys(s3)
        for row in parquet.read_table(
            io.BytesIO(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        ).to_pylist()
    ]
    assert sorted(row["key"] for row in read) == sorted(a_row(number)["key"] for number in range(6))
    assert handler.lambda_handler({}, CONTEXT) == {"days": []}


def test_the_command_compacts_today_too(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.now(UTC).replace(tzinfo=None)
    for number in range(3):
        record(a_row(number, uploaded_at=today))
    stack = SimpleNamespace(client=lambda service: s3, results_bucket=BUCKET, endpoint_url="laptop")
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    result = CliRunner().invoke(scones, ["compact"])
    assert result.exit_code == 0
    assert result.stdout == f"{today:%Y-%m-%d}: 3 files → 1, 3 uploads\nEvery day is compact.\n"
    assert len(keys(s3)) == 1


def test_what_is_no_file_of_the_table_is_not_touched(s3: Any) -> None:
    others = ["labels/dt=2026-11-16/a.parquet", f"{PREFIX}dt=2026-11-16/_hidden.parquet", f"{PREFIX}note.txt"]
    for key in others:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    record(a_row(1))
    record(a_row(2))
    for _ in range(2):
        handler.lambda_handler({}, CONTEXT)
    assert set(others) < set(keys(s3))
    assert len(keys(s3)) == len(others) + 1


def test_a_file_that_is_gone_is_left_out(s3: Any, tmp_path: Path) -> None:
    s3.put_object(Bucket=BUCKET, Key="a.parquet", Body=b"a")
    there = ResultsBucket.connect(BUCKET).download(["a.parquet", "gone.parquet"], tmp_path)
    assert {path: file.read_bytes() for path, file in there.items()} == {"a.parquet": b"a"}


def test_more_files_than_one_request_takes_are_deleted(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_DELETIONS_AT_ONCE", 2)
    for number in range(5):
        s3.put_object(Bucket=BUCKET, Key=f"{number}.parquet", Body=b"")
    ResultsBucket.connect(BUCKET).delete(["0.parquet", "1.parquet", "2.parquet", "3.parquet", "gone.parquet"])
    assert keys(s3) == ["4.parquet"]


def test_a_refused_deletion_is_an_error() -> None:
    refusal = {"Errors": [{"Key": "a.parquet", "Code": "AccessDenied", "Message": "no"}]}
    bucket = ResultsBucket(SimpleNamespace(delete_objects=lambda **_: refusal), BUCKET)
    with pytest.raises(DeletionRefused, match="AccessDenied"):
        bucket.delete(["a.parquet"])
