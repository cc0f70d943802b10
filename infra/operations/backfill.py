"""Backfill: writes uploads as manifests, and starts executions that classify them in batches."""

import json
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, BinaryIO

from rich.progress import Progress

from infra.operations.audit import reconciled_of
from infra.stack import Stack
from ingest.errors import SconesError
from ingest.upload import Upload
from workflow.manifest import MANIFEST_LINES, batches

PREFIX = "manifests/"
"""Prefix of manifests in the results bucket. In the incoming bucket, a manifest would count as an image."""
POLL_S, POLL_ON_AWS_S = 0.2, 0.5
"""Pauses between two questions whether an execution has ended, on a laptop and on AWS."""


class NothingToDo(SconesError):
    """There is no image to classify."""


@dataclass(frozen=True)
class Run:
    """An execution over one manifest."""

    execution_arn: str
    manifest_key: str
    batches: int


@dataclass(frozen=True)
class Ended:
    """An execution that has ended."""

    run: Run
    status: str
    """Status that Step Functions gives it: `SUCCEEDED`, `FAILED`, …"""
    why: str
    """Error and cause, if it did not succeed."""

    @property
    def went_well(self) -> bool:
        """Whether it succeeded: Step Functions tolerates few failed batches."""
        return self.status == "SUCCEEDED"


def backfill(stack: Stack, prefix: str) -> list[Run]:
    """Start classifying every object version under a prefix, also those that have an outcome.

    A new decision takes the place of an earlier one about the same upload, unless it is a worse outcome.

    Raises:
        NothingToDo: there is no object under the prefix.
    """
    with reconciled_of(stack, prefix) as reconciliation:
        # `account.upload` has the time of its rows, so that a new row is in the same partition.
        uploads = (account.upload for account in reconciliation.accounts() if account.is_listed)
        runs = list(start(stack, uploads))
    if not runs:
        raise NothingToDo(f"there is no object under s3://{stack.incoming_bucket}/{prefix}")
    return runs


def start(stack: Stack, uploads: Iterable[Upload]) -> Iterator[Run]:
    """Write manifests of the uploads, and start an execution over each as it is written."""
    lines = batches(uploads)
    name = f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{uuid.uuid4().hex[:8]}"
    for number, first in enumerate(lines):
        key = f"{PREFIX}{name}-{number:04}.jsonl"
        with tempfile.TemporaryFile() as file:
            written = _write(file, chain([first], islice(lines, MANIFEST_LINES - 1)))
            stack.client("s3").upload_fileobj(file, stack.results_bucket, key)
        execution = stack.client("stepfunctions").start_execution(
            stateMachineArn=stack.backfill_state_machine_arn,
            name=f"{name}-{number:04}",
            input=json.dumps({"bucket": stack.results_bucket, "key": key}),
        )
        yield Run(execution["executionArn"], key, written)


def wait(stack: Stack, runs: Iterable[Run], progress: Progress) -> list[Ended]:
    """Wait until executions have ended; the last outcomes may take some more seconds to be recorded."""
    poll_s = POLL_S if stack.home else POLL_ON_AWS_S
    return [_wait(stack.client("stepfunctions"), run, progress, poll_s) for run in runs]


def _write(file: BinaryIO, lines: Iterable[str]) -> int:
    count = 0
    for line in lines:
        file.write(line.encode() + b"\n")
        count += 1
    file.seek(0)
    return count


def _wait(stepfunctions: Any, run: Run, progress: Progress, poll_s: float) -> Ended:
    task = progress.add_task("batches", total=run.batches)
    while True:
        execution = stepfunctions.describe_execution(executionArn=run.execution_arn)
        progress.update(task, completed=_done(stepfunctions, run))
        if execution["status"] != "RUNNING":
            why = f"{execution.get('error', '')}: {execution.get('cause', '')}".strip(": ")
            return Ended(run, execution["status"], why)
        time.sleep(poll_s)


def _done(stepfunctions: Any, run: Run) -> int:
    """Return the number of batches that have ended, for the progress bar."""
    with suppress(stepfunctions.exceptions.ClientError):
        for map_run in stepfunctions.list_map_runs(executionArn=run.execution_arn)["mapRuns"]:
            counts = stepfunctions.describe_map_run(mapRunArn=map_run["mapRunArn"])["itemCounts"]
            return int(counts["succeeded"] + counts["failed"] + counts["aborted"] + counts["timedOut"])
    return 0
