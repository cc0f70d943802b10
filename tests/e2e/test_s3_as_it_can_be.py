"""Suspended versioning, archived objects, messages of another shape: on the embedded AWS."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.cli.terminal import progress_bar
from infra.operations.answers import engine
from infra.operations.audit import Audited, audit
from infra.operations.backfill import backfill, wait
from infra.operations.drop import drop, settle
from infra.operations.redrive import redrive
from infra.operations.rejected import download, rejected_images
from infra.stack import Stack
from model.data.drawings import draw
from tests.builders import a_message, png_bytes
from tests.waiting import PATIENCE_S, until

AT_ONCE = timedelta(0)


@pytest.fixture(scope="module", autouse=True)
def somewhere_else(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield


def audited(stack: Stack, folder: Path) -> Audited:
    return audit(stack, in_flight=AT_ONCE, folder=folder)


def dropped(stack: Stack, files: dict[str, Path]) -> dict[str, int]:
    """Drop files; return how many ended as what."""
    with progress_bar(Console(quiet=True)) as progress:
        settled = settle(stack, drop(stack, files, progress), progress, PATIENCE_S)
    assert (settled.missing, settled.duplicates) == ([], 0)
    return {outcome: count for outcome, count in settled.outcomes.items() if count}


@pytest.fixture
def suspended(stack: Stack) -> Any:
    def set_versioning(status: str) -> None:
        stack.client("s3").put_bucket_versioning(
            Bucket=stack.incoming_bucket, VersioningConfiguration={"Status": status}
        )

    set_versioning("Suspended")
    yield
    set_versioning("Enabled")


@pytest.mark.usefixtures("suspended")
def test_while_versioning_is_suspended_each_upload_counts_once(stack: Stack, tmp_path: Path) -> None:
    good, other, bad = (tmp_path / name for name in ("good.png", "other.png", "bad.png"))
    good.write_bytes(png_bytes(draw("bicycle", 64, 64, random.Random(3))))
    other.write_bytes(png_bytes(draw("motorcycle", 64, 64, random.Random(4))))
    bad.write_bytes(good.read_bytes()[:60])
    assert dropped(stack, {"replaced.png": bad, "broken.png": bad}) == {"rejected": 2}
    assert dropped(stack, {"replaced.png": good, "kept.png": other}).keys() <= {"accepted", "needs_review"}

    found = audited(stack, tmp_path)
    assert (found.totals.uploaded, found.totals.missing, found.totals.doubled) == (3, 0, 0)
    assert found.totals.deleted_since == 1  # what was replaced
    with engine(stack) as answers:
        images = rejected_images(answers)
    assert [image.key for image in images] == ["broken.png"]
    assert download(stack.client("s3"), stack.incoming_bucket, images, tmp_path / "copies") == 1

    runs = backfill(stack, "")
    with progress_bar(Console(quiet=True)) as progress:
        assert all(ended.went_well for ended in wait(stack, runs, progress))

    def rows() -> int:
        with engine(stack) as answers:
            return len(answers.query("SELECT key FROM predictions").frame)

    until(lambda: rows() == 7, "seven rows")
    after = audited(stack, tmp_path)
    assert after.totals.by_outcome == found.totals.by_outcome
    assert (after.totals.uploaded, after.totals.is_clean) == (3, True)


def test_an_archived_object_is_rejected_and_not_redriven(stack: Stack, tmp_path: Path) -> None:
    body = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    s3, where = stack.client("s3"), {"Bucket": stack.incoming_bucket, "Key": "archived/old.png"}
    s3.put_object(**where, Body=body, StorageClass="GLACIER")

    def rows() -> list[Any]:
        with engine(stack) as answers:
            sql = "SELECT outcome, reason, detail FROM outcomes WHERE key = 'archived/old.png'"
            return list(answers.query(sql).frame.itertuples(index=False))

    until(rows, "a row")
    (row,) = rows()
    assert (row.outcome, row.reason) == ("rejected", "archived")
    assert "GLACIER: restore it" in row.detail
    assert redrive(stack, apply=False, in_flight=AT_ONCE).plan.to_classify == 0
    with engine(stack) as answers:
        images = [image for image in rejected_images(answers) if image.reason == "archived"]
    assert download(s3, stack.incoming_bucket, images, tmp_path) == 0


def test_an_outcome_of_another_shape_is_a_dead_letter_within_seconds(stack: Stack, tmp_path: Path) -> None:
    notification = {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "a.png"}}}]}
    before = audited(stack, tmp_path).queues.unrecorded
    stack.client("sqs").send_message(
        QueueUrl=stack.results_queue_url,
        MessageBody=json.dumps({**a_message("failed"), "event": notification}),
    )
    # Delivered again and again, it would be one after 55 minutes.
    until(lambda: audited(stack, tmp_path).queues.unrecorded == before + 1, "a dead letter")
