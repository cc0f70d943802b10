"""A disk that takes no more: uploads are refused, outcomes wait, and the audit knows of both."""

import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra.cli.terminal import progress_bar
from infra.laptop import local
from infra.operations.audit import audit, queues
from infra.operations.drop import Dropped, Settled, settle
from infra.stack import Stack
from tests.builders import png_bytes
from tests.torture.actions import crash_aws
from tests.waiting import PATIENCE_S, until

MOST_BYTES = 2_000
"""Largest file that the disk takes: a tiny image and its metadata, not the Parquet file of its outcome."""
REDELIVERED_AFTER_S = 20
"""Longer than the disk is full here, so that no outcome ends in the dead-letter queue."""


def put(stack: Stack, key: str, body: bytes) -> Dropped:
    response = stack.client("s3").put_object(Bucket=stack.incoming_bucket, Key=key, Body=body)
    return Dropped(key, response["VersionId"])


def settled(stack: Stack, *dropped: Dropped, patience_s: float = PATIENCE_S) -> Settled:
    with progress_bar(Console(quiet=True)) as progress:
        return settle(stack, dropped, progress, patience_s)


@contextmanager
def full(stack: Stack) -> Iterator[None]:
    pid = stack.pids["aws"]
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (MOST_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process: Linux alone")
def test_what_is_acknowledged_while_the_disk_is_full_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "system"
    folder.mkdir()
    with local.running(folder / "home", folder / "stack.json") as stack:
        stack.client("sqs").set_queue_attributes(
            QueueUrl=stack.results_queue_url, Attributes={"VisibilityTimeout": str(REDELIVERED_AFTER_S)}
        )
        tiny, large = png_bytes(), random.Random(1).randbytes(MOST_BYTES + 1)
        before = put(stack, "before.png", tiny)  # starts the Lambdas, whose code is larger than MOST_BYTES
        assert settled(stack, before).missing == []
        with full(stack):
            during = put(stack, "during.png", tiny)
            for number in range(3):
                with pytest.raises(ClientError, match=r"InsufficientStorage.*File too large.*not stored"):
                    put(stack, f"refused-{number}.png", large)
            until(lambda: queues(stack).results, "the outcome waits")
            time.sleep(3)  # Record has tried
            assert settled(stack, during, patience_s=0).missing == [during]
            found = audit(stack, in_flight=timedelta(0), folder=tmp_path / "full").totals
            assert (found.uploaded, found.missing) == (2, 1)
        again = settled(stack, before, during)
        assert (again.missing, again.duplicates) == ([], 0)
        stack = crash_aws(stack, folder)
        found = audit(stack, in_flight=timedelta(0), folder=tmp_path / "after").totals
        assert (found.uploaded, found.missing, found.doubled) == (2, 0, 0)
