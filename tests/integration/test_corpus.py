"""Every odd image ends in one row for a sensible reason, and none takes much time or memory."""

import io
import json
import subprocess
import sys
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from analytics.lake import record
from infra.installation import PROJECT
from ingest.aws import IncomingBucket
from ingest.errors import REJECT_REASONS
from ingest.model_input import ModelInput
from tests.builders import LONGEST_KEY, FakeContext, an_event, an_sqs_event
from tests.corpus import ODD_KEYS, Odd, cut_everywhere, large_odd_images, small_odd_images
from workflow.answers import Scores
from workflow.batch import Steps
from workflow.classifier import Answer
from workflow.policy import Policy

INCOMING, RESULTS = "scones-incoming", "scones-results"
MOST_CPU_S = 2.0
MOST_MEMORY_MB = 300.0

# The Lambda's own handler, with a folder for a bucket. A process's peak of memory can be reset on Linux only;
# elsewhere, one image that takes too much makes all after it seem to.
_MEASURE = """
import json, resource, sys
answers, sys.stdout = sys.stdout, sys.stderr  # the Lambda's lines go there
from ingest import serialize
from ingest.errors import RejectedImage
from ingest.model_input import ModelInput
from ingest.waiting import WaitingQueue
from tests.builders import FakeContext, an_event

class Folder:
    def read(self, upload):
        return open(upload.key, "rb").read()

def peak_mb():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass

def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

serialize.incoming_bucket = Folder
serialize.waiting_queue = lambda: WaitingQueue(lambda: 0)
for line in sys.stdin:
    path = json.loads(line)
    reset_peak()
    started = cpu_s()
    try:
        serialize.lambda_handler({"event": an_event(path), "execution_arn": "arn"}, FakeContext())
        reason = None
    except RejectedImage as rejected:
        reason = rejected.reason
    said = {"reason": reason, "cpu_s": cpu_s() - started, "peak_mb": peak_mb()}
    print(json.dumps(said), file=answers, flush=True)
"""


def measured(odd_images: Iterable[Odd], folder: Path) -> list[tuple[Odd, dict[str, Any]]]:
    """Let one process handle images one after the other; return what each of them took."""
    found = []
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _MEASURE],
        cwd=PROJECT,
        env={
            "ImageSizePx": "32",
            "PYTHONPATH": str(PROJECT),
            "AWS_DEFAULT_REGION": "us-east-1",
            # Else glibc keeps, by chance, up to a hundred megabytes that one image freed, and they seem to be
            # the next one's.
            "MALLOC_TRIM_THRESHOLD_": str(1 << 20),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for odd in odd_images:
            (folder / "image").write_bytes(odd.data)
            process.stdin.write(json.dumps(str(folder / "image")) + "\n")
            process.stdin.flush()
            found.append((odd, json.loads(process.stdout.readline())))
    return found


def assert_modest(found: Iterable[tuple[Odd, dict[str, Any]]]) -> None:
    too_much = [
        (odd.name, took)
        for odd, took in found
        if took["cpu_s"] > MOST_CPU_S or took["peak_mb"] > MOST_MEMORY_MB
    ]
    assert too_much == []


def assert_right(found: Iterable[tuple[Odd, dict[str, Any]]]) -> None:
    assert {odd.name: took["reason"] for odd, took in found} == {odd.name: odd.reason for odd, _ in found}


def test_small_odd_images_are_right_quick_and_take_little_memory(tmp_path: Path) -> None:
    found = measured(small_odd_images(), tmp_path)
    assert len(found) > 100
    assert_right(found)
    assert_modest(found)


def test_large_odd_images_are_right_quick_and_take_little_memory(tmp_path: Path) -> None:
    found = measured(large_odd_images(), tmp_path)
    assert len(found) > 30
    assert_right(found)
    assert_modest(found)


def test_an_image_that_is_cut_off_anywhere_is_rejected_or_read(tmp_path: Path) -> None:
    found = measured(cut_everywhere(), tmp_path)
    assert_modest(found)
    assert {took["reason"] for _, took in found} == {None, "empty", "not_an_image", "corrupt"}
    # What is read has all its pixels: it lacks its end, or its last few bits.
    read = [odd.name for odd, took in found if took["reason"] is None]
    assert len(read) < len(found) / 10


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────


class Model:
    """An endpoint that is sure of everything."""

    name = "scones"
    is_left_alone = is_half_open = False

    def classify(self, image: bytes, content_type: str) -> Answer:
        raise AssertionError("asked for one image")

    def classify_batch(self, images: Any, size_px: tuple[int, int]) -> list[Answer]:
        return [Answer(Scores([0.99, 0.01]), "model-1") for _ in images]


@pytest.fixture
def buckets(s3: Any) -> Any:
    for name in (INCOMING, RESULTS):
        s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=INCOMING, VersioningConfiguration={"Status": "Enabled"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESULTS_BUCKET", RESULTS)
        patch.setenv("CHALLENGER_IMAGES_URL", "")
        record.results_bucket.cache_clear()
        yield s3
        record.results_bucket.cache_clear()


def test_each_odd_image_under_any_key_ends_in_exactly_one_row_for_its_reason(buckets: Any) -> None:
    keys = cycle([*ODD_KEYS, LONGEST_KEY])
    expected, events = {}, []
    for odd in small_odd_images():
        key = next(keys)
        version_id = buckets.put_object(Bucket=INCOMING, Key=key, Body=odd.data)["VersionId"]
        events.append(an_event(key, version_id, len(odd.data), bucket=INCOMING))
        expected[key, version_id] = ("rejected", odd.reason) if odd.reason else ("accepted", None)
    policy = Policy(("bicycle", "motorcycle"), 0.9, {})
    messages = Steps(IncomingBucket(buckets).read, ModelInput.square(32), Model(), policy).run(events, "arn")
    for _ in range(2):  # delivered again
        assert record.lambda_handler(an_sqs_event(json.dumps(messages)), FakeContext()) == {
            "batchItemFailures": []
        }
    rows = rows_in(buckets)
    assert len(rows) == len(expected)
    assert {(row["key"], row["version_id"]): (row["outcome"], row["reason"]) for row in rows} == expected
    unseen = {"object_gone", "archived", "too_large", "too_costly"}
    assert {row["reason"] for row in rows} - {None} == REJECT_REASONS - unseen
    assert all(row["detail"] for row in rows if row["reason"])


def rows_in(s3: Any) -> list[dict[str, Any]]:
    listed = s3.list_objects_v2(Bucket=RESULTS)["Contents"]
    bodies = [s3.get_object(Bucket=RESULTS, Key=item["Key"])["Body"].read() for item in listed]
    return [row for body in bodies for row in parquet.read_table(io.BytesIO(body)).to_pylist()]
