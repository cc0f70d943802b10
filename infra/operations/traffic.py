"""Sends images at a steady rate: as new uploads, or by hand. And one image, as a smoke test."""

import io
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import Progress

from infra.operations.drop import Dropped, Settled, Since, settle, version_of
from infra.operations.image_folder import NothingToDrop, read_folder
from infra.stack import Stack

SMOKE, TRAFFIC = "smoke/", "traffic/"
"""Prefixes of the keys, after the stack's own, so that people can tell these images and delete them."""
_CHOICE = 1_000
"""Most objects of a prefix to choose from: one request."""


@dataclass(frozen=True)
class Sent:
    """What was sent, and what became of it."""

    sent: int
    seconds: float
    settled: Settled


def smoke(stack: Stack, progress: Progress, patience_s: float) -> Settled:
    """Upload one sound image, and wait for its row."""
    written = io.BytesIO()
    Image.effect_noise((64, 64), 60).convert("RGB").save(written, "PNG")
    key = _key(stack, f"{SMOKE}{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}.png")
    stored = stack.client("s3").put_object(Bucket=stack.incoming_bucket, Key=key, Body=written.getvalue())
    return settle(stack, [Dropped(key, version_of(stored))], progress, patience_s)


def went_well(settled: Settled) -> bool:
    """Tell whether the model answered each image, once."""
    unanswered = settled.outcomes["failed"] + settled.outcomes["rejected"]
    return not (settled.missing or settled.duplicates or unanswered)


def traffic(
    stack: Stack,
    source: str,
    images: int,
    per_s: float,
    *,
    by_hand: bool,
    progress: Progress,
    patience_s: float,
) -> Sent:
    """Send random images of a folder, or of a prefix of the incoming bucket, and wait for their outcomes.

    Args:
        stack: the system.
        source: a folder, or a prefix of the incoming bucket.
        images: how many to send; an image may be sent several times.
        per_s: how many a second.
        by_hand: starts executions with the objects' names, instead of uploading them again.
        progress: gets the live line.
        patience_s: seconds without news before giving up.

    Raises:
        NothingToDrop: there is no image to choose from.
    """
    choice = _Choice(stack, source)
    rng = random.Random()
    task = progress.add_task("sent", total=images)
    dropped: dict[tuple[str, str], Dropped] = {}
    began = time.monotonic()
    for number in range(images):
        time.sleep(max(0.0, began + number / per_s - time.monotonic()))
        each = choice.start_by_hand(rng) if by_hand else choice.upload(rng, number)
        dropped[each.key, each.version_id] = each
        progress.advance(task)
    seconds = time.monotonic() - began
    return Sent(images, seconds, settle(stack, list(dropped.values()), progress, patience_s, choice.since))


def _key(stack: Stack, name: str) -> str:
    """Return a key that the stack classifies; its bytes tell what an image is, and not the ending."""
    prefix, _, suffix = stack.key_pattern.partition("*")
    return f"{prefix}{name if name.endswith(suffix) else name + suffix}"


class _Choice:
    """The images to choose from."""

    def __init__(self, stack: Stack, source: str) -> None:
        self._stack = stack
        self._s3 = stack.client("s3")
        self._began = datetime.now(UTC)
        self._run = f"{TRAFFIC}{self._began:%Y-%m-%dT%H-%M-%S}/"
        self.since: Since | None = None
        """Of executions by hand: when the oldest object was stored, and when the first execution started."""
        folder = Path(source)
        self._files = list(read_folder(folder).files.values()) if folder.is_dir() else []
        self._keys = [] if self._files else self._listed(source)
        if not self._files and not self._keys:
            raise NothingToDrop(
                f"{source}: neither a folder with images, nor a prefix of objects in {stack.incoming_bucket}"
            )

    def _listed(self, prefix: str) -> list[str]:
        found = self._s3.list_objects_v2(Bucket=self._stack.incoming_bucket, Prefix=prefix, MaxKeys=_CHOICE)
        return [each["Key"] for each in found.get("Contents", ())]

    def upload(self, rng: random.Random, number: int) -> Dropped:
        """Put a random image under a new key."""
        if self._files:
            path = rng.choice(self._files)
            name, body = path.name, path.read_bytes()
        else:
            name = rng.choice(self._keys)
            body = self._s3.get_object(Bucket=self._stack.incoming_bucket, Key=name)["Body"].read()
        key = _key(self._stack, f"{self._run}{number:06}-{name.rpartition('/')[2]}")
        stored = self._s3.put_object(Bucket=self._stack.incoming_bucket, Key=key, Body=body)
        return Dropped(key, version_of(stored), self._began)

    def start_by_hand(self, rng: random.Random) -> Dropped:
        """Start an execution with the name of a random object."""
        if not self._keys:
            raise NothingToDrop(
                "By hand, only objects of the incoming bucket can be sent: name a prefix of them."
            )
        key, bucket = rng.choice(self._keys), self._stack.incoming_bucket
        stored = self._s3.head_object(Bucket=bucket, Key=key)
        asked: dict[str, Any] = {"image_data": "", "s3_bucket": bucket, "s3_key": key}
        started = self._stack.client("stepfunctions").start_execution(
            stateMachineArn=self._stack.state_machine_arn, input=json.dumps(asked)
        )
        # An object may be old, and have rows of earlier decisions.
        since = self.since or Since(stored["LastModified"], started["startDate"])
        self.since = Since(
            min(since.uploaded_at, stored["LastModified"]), min(since.decided_at, started["startDate"])
        )
        return Dropped(key, version_of(stored))
