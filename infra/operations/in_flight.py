"""Images that are in flight when the laptop's system stops, and what becomes of them after its next start.

Executions end with the embedded AWS, and nothing continues them. The image stays in the bucket. So a stop
waits for them for a while, and a start classifies every image that has no outcome, whatever ended the system.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from infra.stack import Stack
from ingest.waiting import depth

WAIT_S = 60.0
"""Longest time that a stop waits."""
POLL_S = 0.5

_ANSWER_S = 5.0
"""A system that does not answer is stopped all the same."""
_QUEUE_S = 20.0
"""Time for outcomes that waited in the queue to be written after a start."""


@dataclass(frozen=True)
class InFlight:
    """What a stop would interrupt."""

    images: int
    """Running executions of one image, images that wait for the endpoint, and outcomes to be written."""
    backfills: int

    def __bool__(self) -> bool:
        return bool(self.images or self.backfills)

    def __str__(self) -> str:
        images = "1 image" if self.images == 1 else f"{self.images:,} images"
        backfills = "1 backfill" if self.backfills == 1 else f"{self.backfills} backfills"
        return " and ".join(([images] if self.images else []) + ([backfills] if self.backfills else []))


def in_flight(stack: Stack) -> InFlight:
    """Count what is in flight.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: the system does not answer.
    """
    sqs = stack.client("sqs", _ANSWER_S)
    queued = sum(depth(sqs, url) for url in (stack.results_queue_url, stack.waiting_images_url))
    return InFlight(
        images=_running(stack, stack.state_machine_arn) + queued,
        backfills=_running(stack, stack.backfill_state_machine_arn),
    )


def wait(stack: Stack, timeout_s: float = WAIT_S) -> InFlight:
    """Wait until nothing is in flight, at most for a time; return what is left.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: the system does not answer.
    """
    deadline = time.monotonic() + timeout_s
    while (left := in_flight(stack)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return left


def resume(stack: Stack) -> int:
    """Start to classify every image that has no outcome, after a start; return their number."""
    some = stack.client("s3").list_object_versions(Bucket=stack.incoming_bucket, MaxKeys=1)
    if not some.get("Versions") and not some.get("DeleteMarkers"):
        return 0
    # Most of two seconds to import, which a start without images does without.
    from analytics.reconciliation import Account
    from infra.operations.audit import reconciled_of
    from infra.operations.backfill import start
    from ingest.upload import Upload

    deadline = time.monotonic() + _QUEUE_S
    while depth(stack.client("sqs"), stack.results_queue_url) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    count = 0

    def without_outcome() -> Iterator[Upload]:
        nonlocal count
        with reconciled_of(stack) as reconciliation:
            for account in reconciliation.summarized():
                if isinstance(account, Account) and account.is_listed and account.outcome is None:
                    count += 1
                    yield account.upload

    list(start(stack, without_outcome()))
    return count


def _running(stack: Stack, state_machine_arn: str) -> int:
    pages = stack.client("stepfunctions", _ANSWER_S).get_paginator("list_executions")
    found = pages.paginate(stateMachineArn=state_machine_arn, statusFilter="RUNNING")
    return sum(len(page["executions"]) for page in found)
