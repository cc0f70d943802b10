"""An audit of a stack counts and lists what has no row, or two, and counts what waits in the queues."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from analytics.athena.engine import QueryFailed
from analytics.athena.local import LocalEngine
from analytics.lake.aws import ResultsBucket
from analytics.lake.batch import sort_out
from analytics.lake.columns import LISTING_TABLE, PREFIX
from analytics.questions.queries import views
from analytics.reconciliation import listing_key, write_listing
from infra.operations import audit as module
from infra.operations.audit import ModelInputs, Queues, audit
from infra.operations.listing import listed
from ingest.aws import MODEL_INPUTS_PREFIX
from tests.builders import a_message, an_sqs_event

INCOMING, RESULTS = "scones-incoming", "scones-results"
WAITING = {"results": 1, "undelivered": 2, "unrecorded": 3, "waiting": 1}


@pytest.fixture
def stack(s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stack with messages in its queues, and a state folder that is not there yet."""
    monkeypatch.setenv("SCONES_HOME", str(tmp_path / "not" / "yet"))
    sqs = boto3.client("sqs")
    for bucket in (INCOMING, RESULTS):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=INCOMING, VersioningConfiguration={"Status": "Enabled"})
    urls = {name: sqs.create_queue(QueueName=f"{tmp_path.name}-{name}"[-80:])["QueueUrl"] for name in WAITING}
    for name, messages in WAITING.items():
        for _ in range(messages):
            sqs.send_message(QueueUrl=urls[name], MessageBody="a message")
    return SimpleNamespace(
        client={"s3": s3, "sqs": sqs}.__getitem__,
        incoming_bucket=INCOMING,
        results_bucket=RESULTS,
        results_queue_url=urls["results"],
        waiting_images_url=urls["waiting"],
        undelivered_events_url=urls["undelivered"],
        unrecorded_outcomes_url=urls["unrecorded"],
        key_pattern="*",
        endpoint_url="http://127.0.0.1",
    )


def record(s3: Any, key: str, *outcomes: str, days_apart: int = 0) -> None:
    """Write rows about an upload, each on another day if they are some days apart."""
    (upload,) = listed(s3, INCOMING, key)
    for number, outcome in enumerate(outcomes):
        event = upload.to_event()
        at = upload.uploaded_at - timedelta(days=number * days_apart)
        event["time"] = at.isoformat()
        for path, table in sort_out(an_sqs_event(a_message(outcome, event))["Records"]).files.items():
            ResultsBucket(s3, RESULTS).write(path, table)


@pytest.fixture
def uploads(s3: Any, stack: Any) -> None:
    for key in ("a/accepted.png", "a/missing.png", "b/doubled.png", "b/deleted.png", "b/missing ü.png"):
        s3.put_object(Bucket=INCOMING, Key=key, Body=key.encode())
    record(s3, "a/accepted.png", "accepted")
    record(s3, "b/doubled.png", "accepted", "needs_review", days_apart=1)
    record(s3, "b/deleted.png", "rejected")
    version = next(listed(s3, INCOMING, "b/deleted.png")).version_id
    s3.delete_object(Bucket=INCOMING, Key="b/deleted.png", VersionId=version)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_what_is_missing_or_doubled_is_counted_and_listed(
    stack: Any, uploads: None, s3: Any, tmp_path: Path
) -> None:
    found = audit(stack, in_flight=timedelta(0))
    totals = found.totals
    assert (totals.uploaded, totals.doubled, totals.deleted_since) == (4, 1, 1)
    assert (totals.missing, totals.waiting) == (1, 1)  # one of the two may be the message that waits
    assert (sum(totals.by_outcome.values()), totals.in_flight, totals.is_clean) == (2, 0, False)
    assert found.queues == Queues(results=1, waiting=1, undelivered=2, unrecorded=3)
    assert found.listed_in == {
        "missing": tmp_path / "not" / "yet" / "audit" / "missing.jsonl",
        "doubled": tmp_path / "not" / "yet" / "audit" / "doubled.jsonl",
    }
    of_missing = sorted(lines(found.listed_in["missing"]), key=lambda line: line["key"])
    assert [line["key"] for line in of_missing] == ["a/missing.png", "b/missing ü.png"]
    (upload,) = listed(s3, INCOMING, "b/missing")
    assert of_missing[1] == {
        "key": upload.key,
        "version_id": upload.version_id,
        "size_bytes": len("b/missing ü.png".encode()),
        "uploaded_at": upload.uploaded_at.isoformat(),
        "outcomes": 0,
    }
    (doubled,) = lines(found.listed_in["doubled"])
    assert (doubled["key"], doubled["outcomes"]) == ("b/doubled.png", 2)


def test_large_images_between_two_steps_are_counted_and_those_that_should_be_gone(
    stack: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        s3.put_object(Bucket=RESULTS, Key=f"{MODEL_INPUTS_PREFIX}{number}", Body=b"an image")
    s3.put_object(Bucket=RESULTS, Key="manifests/one", Body=b"no image")
    assert audit(stack).model_inputs == ModelInputs(images=3, overdue=0)
    monkeypatch.setattr(module, "_OVERDUE", timedelta(0))
    assert audit(stack).model_inputs == ModelInputs(images=3, overdue=3)


def test_an_upload_is_in_flight_for_a_quarter_of_an_hour(stack: Any, uploads: None, tmp_path: Path) -> None:
    found = audit(stack, folder=tmp_path / "elsewhere")
    assert (found.totals.missing, found.totals.in_flight) == (0, 2)
    assert lines(tmp_path / "elsewhere" / "missing.jsonl") == []
    assert len(lines(tmp_path / "elsewhere" / "doubled.jsonl")) == 1


def test_an_audit_of_a_prefix_is_about_its_keys_alone_and_overwrites_the_last_one(
    stack: Any, uploads: None
) -> None:
    audit(stack, in_flight=timedelta(0))
    found = audit(stack, "a/", in_flight=timedelta(0))
    assert (found.totals.uploaded, found.totals.deleted_since, found.totals.doubled) == (2, 0, 0)
    assert [line["key"] for line in lines(found.listed_in["missing"])] == ["a/missing.png"]


def test_an_inventory_takes_the_place_of_a_listing(
    stack: Any, uploads: None, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def inventoried(*arguments: Any) -> Any:
        asked.append(arguments)
        return listed(s3, INCOMING, "a/missing.png")

    monkeypatch.setattr("infra.operations.listing.inventoried", inventoried)
    found = audit(stack, "a/", "s3://inventories/manifest.json", timedelta(0))
    assert asked == [(s3, "s3://inventories/manifest.json", INCOMING, "a/")]
    assert (found.totals.uploaded, found.totals.waiting, found.totals.deleted_since) == (1, 1, 1)


def test_on_aws_a_listing_of_its_own_stands_beside_the_results_until_athena_has_answered(
    stack: Any, uploads: None, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another audit's listing at the same time is neither counted nor deleted."""
    results = ResultsBucket(s3, RESULTS)
    write_listing(tmp_path / "other.parquet", listed(s3, INCOMING))
    results.upload(tmp_path / "other.parquet", listing_key("other"))
    expected = audit(stack, "b/", in_flight=timedelta(0)).totals
    where, fails = ("the client of Athena", "the database", "the workgroup"), False

    class AthenaOverS3:
        def __init__(self, *given: str) -> None:
            assert given == where

        def stream(self, sql: str) -> Iterator[tuple[Any, ...]]:
            paths = [path for prefix in (PREFIX, LISTING_TABLE) for path, _ in results.list_files(prefix)]
            folder = tmp_path / f"seen-{fails}"
            results.download(paths, folder)
            if fails:
                raise QueryFailed("no answer")
            with closing(LocalEngine(folder, views())) as engine:
                yield from engine.stream(sql)

    monkeypatch.setattr(module, "Athena", AthenaOverS3)
    clients = {"s3": s3, "sqs": stack.client("sqs"), "athena": where[0]}
    on_aws: Any = SimpleNamespace(**{**vars(stack), "endpoint_url": None, "client": clients.__getitem__})
    on_aws.database, on_aws.workgroup = where[1:]
    assert audit(on_aws, "b/", in_flight=timedelta(0)).totals == expected
    assert (expected.uploaded, expected.waiting, expected.doubled, expected.deleted_since) == (2, 1, 1, 1)
    fails = True
    with pytest.raises(QueryFailed):
        audit(on_aws)
    assert len(list(tmp_path.glob(f"seen-*/{LISTING_TABLE}/*/listing.parquet"))) == 4
    assert [path for path, _ in results.list_files(LISTING_TABLE)] == [listing_key("other")]


def test_keys_that_the_stack_does_not_classify_are_not_missing(stack: Any, uploads: None) -> None:
    stack.key_pattern = "b/*ü.png"
    totals = audit(stack, "b/", in_flight=timedelta(0)).totals
    assert (totals.uploaded, totals.waiting) == (1, 1)
