"""What was uploaded is audited, classified in batches, redriven: on the embedded AWS."""

import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.cli.terminal import progress_bar
from infra.demo_images import write_images
from infra.operations.answers import engine
from infra.operations.audit import Audited, audit
from infra.operations.backfill import Ended, backfill, wait
from infra.operations.drop import drop, settle
from infra.operations.image_folder import read_folder
from infra.operations.redrive import Redriven, redrive
from infra.operations.rejected import download, rejected_images
from infra.stack import Stack
from model.data.drawings import draw
from tests.builders import a_message, png_bytes
from tests.waiting import PATIENCE_S, until
from workflow.outcome import Outcome

IMAGES = 24
AT_ONCE = timedelta(0)
PROMISED_TO_BE_THE_SAME = [
    "upload_id",
    "result_id",
    "dt",
    "outcome",
    "label",
    "confidence",
    "threshold",
    "probabilities",
    "reason",
    "detail",
    "model_version",
    "endpoint",
    "image_format",
    "width_px",
    "height_px",
    "brightness",
    "sharpness",
    "size_bytes",
    "etag",
    "uploaded_at",
]


def ask(stack: Stack, sql: str) -> list[dict[str, Any]]:
    with engine(stack) as answers:
        rows: list[dict[str, Any]] = answers.query(sql).frame.to_dict("records")
    return rows


def audited(stack: Stack, folder: Path) -> Audited:
    return audit(stack, in_flight=AT_ONCE, folder=folder)


def waited(stack: Stack, done: Redriven) -> list[Ended]:
    with progress_bar(Console(quiet=True)) as progress:
        return wait(stack, done.runs, progress)


@pytest.fixture(scope="module", autouse=True)
def somewhere_else(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield


@pytest.fixture(scope="module")
def by_events(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("images")
    write_images(folder, IMAGES, seed=11)
    with progress_bar(Console(quiet=True)) as progress:
        dropped = drop(stack, read_folder(folder).files, progress)
        assert settle(stack, dropped, progress, PATIENCE_S).missing == []
    return {row["key"]: row for row in ask(stack, "SELECT * FROM predictions")}


@pytest.fixture(scope="module")
def by_backfill(stack: Stack, by_events: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    (run,) = backfill(stack, "")
    with progress_bar(Console(quiet=True)) as progress:
        (ended,) = wait(stack, [run], progress)
    assert ended.went_well, ended.why
    sql = "SELECT * FROM predictions WHERE execution_arn LIKE '%-backfill%'"
    until(lambda: len(ask(stack, sql)) == IMAGES, "rows of the backfill")
    return {row["key"]: row for row in ask(stack, sql)}


def test_each_image_has_the_same_outcome_by_backfill_as_by_its_event(
    by_events: dict[str, dict[str, Any]], by_backfill: dict[str, dict[str, Any]]
) -> None:
    assert by_backfill.keys() == by_events.keys()
    assert {row["outcome"] for row in by_events.values()} >= {"accepted", "rejected"}
    for key, row in by_events.items():
        # As text: to the last digit, and NaN is like NaN.
        assert {name: repr(by_backfill[key][name]) for name in PROMISED_TO_BE_THE_SAME} == {
            name: repr(row[name]) for name in PROMISED_TO_BE_THE_SAME
        }


def test_readers_see_the_new_decision_once(stack: Stack, by_backfill: dict[str, dict[str, Any]]) -> None:
    rows = ask(stack, "SELECT key, execution_arn FROM outcomes")
    assert sorted(row["key"] for row in rows) == sorted(by_backfill)
    assert all("-backfill" in row["execution_arn"] for row in rows)


def test_the_audit_is_clean_after_that(
    stack: Stack, by_backfill: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    found = audited(stack, tmp_path)
    assert found.totals.is_clean
    assert found.totals.uploaded == sum(found.totals.by_outcome.values()) == IMAGES
    assert (found.queues.undelivered, found.queues.unrecorded) == (0, 0)


@pytest.fixture
def without_events(stack: Stack) -> Iterator[None]:
    """Lose all events; until the test has ended, for they come a while after their uploads."""
    events = stack.client("events")
    (rule,) = [
        rule["Name"] for rule in events.list_rules()["Rules"] if "aws.s3" in rule.get("EventPattern", "")
    ]
    events.disable_rule(Name=rule)
    yield
    events.enable_rule(Name=rule)


@pytest.mark.usefixtures("without_events")
def test_what_is_missing_is_found_and_redriven_with_the_messages(
    stack: Stack, by_backfill: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    s3, sqs = stack.client("s3"), stack.client("sqs")
    body = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    lost, undelivered, unrecorded = (
        s3.put_object(Bucket=stack.incoming_bucket, Key=f"unseen/{name}.png", Body=body)["VersionId"]
        for name in ("lost", "undelivered", "unrecorded")
    )
    event = an_event_of(stack, "unseen/undelivered.png", undelivered)
    sqs.send_message(QueueUrl=stack.undelivered_events_url, MessageBody=json.dumps(event))
    outcome = a_message("accepted", an_event_of(stack, "unseen/unrecorded.png", unrecorded))
    for body_ in (json.dumps(outcome), "not an outcome"):
        sqs.send_message(QueueUrl=stack.unrecorded_outcomes_url, MessageBody=body_)

    found = audited(stack, tmp_path)
    assert found.totals.missing == 3
    listed = [
        json.loads(line) for line in found.listed_in["missing"].read_text(encoding="utf-8").splitlines()
    ]
    assert {each["version_id"] for each in listed} == {lost, undelivered, unrecorded}

    planned = redrive(stack, apply=False, in_flight=AT_ONCE)
    assert (planned.runs, planned.plan.to_classify, len(planned.plan.unrecorded)) == ([], 2, 1)
    assert audited(stack, tmp_path).queues == found.queues

    done = redrive(stack, apply=True, in_flight=AT_ONCE)
    assert [each.went_well for each in waited(stack, done)] == [True]
    until(lambda: audited(stack, tmp_path).totals.missing == 0, "nothing missing")
    settled = audited(stack, tmp_path)
    assert settled.totals.is_clean
    assert settled.totals.uploaded == IMAGES + 3
    assert (settled.queues.undelivered, settled.queues.unrecorded) == (0, 1)
    (row,) = ask(stack, "SELECT label, dt FROM outcomes WHERE key = 'unseen/undelivered.png'")
    assert row["dt"] == "2026-11-16"  # as its event says


def an_event_of(stack: Stack, key: str, version_id: str) -> dict[str, Any]:
    stored = {"key": key, "version-id": version_id, "size": 100, "etag": "e", "sequencer": "1"}
    return {
        "time": "2026-11-16T23:59:59Z",
        "detail": {"bucket": {"name": stack.incoming_bucket}, "object": stored},
    }


def test_rejected_images_are_listed_copied_and_replaced_by_a_fixed_upload(
    stack: Stack, by_backfill: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    with engine(stack) as answers:
        images = rejected_images(answers)
    wanted = {key for key, row in by_backfill.items() if row["outcome"] == Outcome.REJECTED}
    assert {image.key for image in images} == wanted
    assert download(stack.client("s3"), stack.incoming_bucket, images, tmp_path / "copies") == len(images)
    (cut,) = [image for image in images if image.key == "broken/cut off.jpg"]
    original = stack.client("s3").get_object(Bucket=stack.incoming_bucket, Key=cut.key)["Body"].read()
    assert (tmp_path / "copies" / cut.file_name).read_bytes() == original

    fixed = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    version = stack.client("s3").put_object(Bucket=stack.incoming_bucket, Key=cut.key, Body=fixed)[
        "VersionId"
    ]
    until(lambda: ask(stack, f"SELECT key FROM outcomes WHERE version_id = '{version}'"), "a row")
    with engine(stack) as answers:
        assert {image.key for image in rejected_images(answers)} == wanted - {cut.key}
