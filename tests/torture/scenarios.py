"""Scenarios of the fault injection beside its default run: `make torture SCENARIO=…`.

Each has a system of its own, and ends with a verdict on every upload that S3 acknowledged or lists.
"""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image
from rich.console import Console

from infra.installation import PROJECT, state_folder
from infra.operations.answers import engine
from infra.operations.backfill import backfill
from infra.operations.redrive import redrive
from tests.torture.actions import (
    System,
    collect_events,
    copy_events,
    crash_aws,
    predictor,
    rows,
    settle,
    start_execution,
    until,
    up,
    wait_for,
)
from tests.torture.plan import pictures
from tests.torture.verdict import Expected, ExpectedOutcome, Name, Verdict, judge
from workflow.outcome import Outcome

OPEN_FILES = 64
MEMORY_BYTES = 2_000_000_000
LARGE_BYTES = 20_000_000
MANY, SOME = 5_000, 200
UPLOADS_AT_ONCE = 8
PATIENCE_OF_MANY_S = 3_600.0
SAMPLE_S = 0.5
LOOK_S = 0.02
MOST_DELAY_S = 8.0
"""A process is killed at a random moment up to here: a command takes some seconds."""
ROUNDS = 4
"""How often a command is killed before it may end."""
PREFIX = "images/"
CLOCK_JUMPS = (
    *(timedelta(days=days) for days in (-400, -7, -1, 1, 7, 400)),
    *(timedelta(seconds=seconds) for seconds in (-3_600, -1, 1, 3_600)),
)


@dataclass
class Act(System):
    """One scenario: its system, and what is expected of each upload."""

    seed: int = 1
    images: int = SOME
    clean: dict[str, ExpectedOutcome] = field(default_factory=dict)
    """Key → the outcome without faults."""
    acknowledged: set[Name] = field(default_factory=set)
    refused: int = 0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def run_scenario(
    console: Console, name: str, seed: int, images: int | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """Run a scenario on a system of its own; return the content of `torture-NAME.json`.

    Raises:
        TimeoutError: something did not end.
    """
    folder = folder or state_folder() / f"torture-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    play, images_of_it = SCENARIOS[name]
    with _open_files(OPEN_FILES if play is few_open_files else None), up(folder) as stack:
        act = Act(console=console, folder=folder, stack=stack, seed=seed, images=images or images_of_it)
        console.print(f"{name}: {act.images:,} images, seed {seed} …", highlight=False)
        play(act)
    report = {
        "scenario": name,
        "seed": seed,
        "images": len(act.acknowledged),
        "refused": act.refused,
        **{
            what: len({name for verdict in act.verdicts.values() for name in getattr(verdict, what)})
            for what in ("lost", "doubled", "wrong")
        },
        **act.facts,
        "seconds": round(time.monotonic() - began, 1),
    }
    (folder.parent / f"torture-{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for when, verdict in act.verdicts.items():
        for what, found in asdict(verdict).items():
            for upload, why in list(found.items())[:5]:
                console.print(f"{what} {when}: {upload!r} {why}", soft_wrap=True, markup=False)
    console.print(json.dumps(report), soft_wrap=True, highlight=False, markup=False)
    return report


# ── SIGKILL ────────────────────────────────────────────────────────────────────────────────────────────────


def kill_drop(act: Act) -> None:
    """Kill `drop` after a quarter of its uploads, and drop everything again."""
    _write_images(act)
    process = _command(act, "drop", str(act.folder / "images"))
    until(lambda: len(_listed(act)) >= act.images // 4, "drop puts nothing")
    process.kill()
    process.wait()
    act.facts["uploaded_before_the_kill"] = len(_listed(act))
    settle(act)
    _judge(act, "after the kill")
    _to_its_end(act, "drop", str(act.folder / "images"))
    settle(act)
    _judge(act, "after the second drop")
    if {key for key, _ in act.acknowledged} != act.clean.keys():
        raise AssertionError("the second drop left out files")


def kill_backfill(act: Act) -> None:
    """Kill `backfill` again and again, and let one end."""
    _put_all(act)
    settle(act)
    for round_ in range(ROUNDS):
        _kill(act, round_, "backfill", PREFIX)
    settle(act)
    _judge(act, "after the kills")
    _to_its_end(act, "backfill", PREFIX)
    settle(act)
    _judge(act, "after a whole backfill")


def kill_compaction(act: Act) -> None:
    """Kill `compact`, then the embedded AWS while a compaction runs, and let one end."""
    images = list(_under_prefix(act).items())
    for round_ in range(ROUNDS + 1):
        _put(act, dict(images[round_ :: ROUNDS + 1]))
        settle(act)
        if round_ < ROUNDS:
            _kill(act, round_, "compact")
        else:
            process = _command(act, "compact")
            time.sleep(random.Random(act.seed).uniform(1, MOST_DELAY_S / 2))
            act.stack = crash_aws(act.stack, act.folder)
            process.wait()
        _judge(act, f"after kill {round_ + 1}")
    _to_its_end(act, "compact")
    _judge(act, "after a whole compaction")


def kill_label(act: Act) -> None:
    """Kill `label` again and again, and let one end: each image has its one label."""
    _put_all(act)
    settle(act)
    file = act.folder / "labels.jsonl"
    with engine(act.stack, act.folder / "results") as answers:
        frame = answers.query(
            "SELECT upload_id, key FROM outcomes WHERE outcome IN ('accepted', 'needs_review')"
        ).frame
    chosen = {
        upload_id: ("bicycle", "motorcycle", None)[number % 3]
        for number, upload_id in enumerate(frame["upload_id"])
    }
    keys = dict(zip(frame["upload_id"], frame["key"], strict=True))
    labelled_at = datetime.now().astimezone().isoformat()
    lines = [
        json.dumps(
            {"upload_id": upload_id, "key": keys[upload_id], "label": label, "labelled_at": labelled_at}
        )
        for upload_id, label in chosen.items()
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for round_ in range(ROUNDS):
        _kill(act, round_, "label", str(file))
        _judge_labels(act, f"labels after kill {round_ + 1}", chosen, may_be_missing=True)
    _to_its_end(act, "label", str(file))
    _judge_labels(act, "labels after all", chosen, may_be_missing=False)
    _judge(act, "after all")


def _judge_labels(act: Act, when: str, chosen: Mapping[str, str | None], *, may_be_missing: bool) -> None:
    with engine(act.stack, act.folder / "results") as answers:
        frame = answers.query("SELECT upload_id, true_label FROM true_labels").frame
    verdict = act.verdicts[when] = Verdict()
    seen: dict[str, str | None] = {}
    for row in frame.itertuples():
        if row.upload_id in seen:
            verdict.doubled[row.upload_id, ""] = "has two labels"
        seen[row.upload_id] = row.true_label if isinstance(row.true_label, str) else None
    for upload_id, label in chosen.items():
        if upload_id not in seen and not may_be_missing:
            verdict.lost[upload_id, ""] = "has no label"
        elif upload_id in seen and seen[upload_id] != label:
            verdict.wrong[upload_id, ""] = f"is labelled {seen[upload_id]}, not {label}"


# ── little of everything ───────────────────────────────────────────────────────────────────────────────────


def few_open_files(act: Act) -> None:
    """Run the system, and commands, where no more than 64 open files are allowed unless they raise it."""
    _write_images(act)
    _to_its_end(act, "drop", str(act.folder / "images"))
    settle(act)
    _judge(act, "after a drop")
    _to_its_end(act, "backfill", "00")
    _to_its_end(act, "compact")
    settle(act)
    _judge(act, "after a backfill and a compaction")


def many_at_once(act: Act) -> None:
    """Put thousands of images at once."""
    _put_all(act)
    settle(act, PATIENCE_OF_MANY_S)
    _judge(act, "in the end")


def large_images(act: Act) -> None:
    """Put images of 20 MB under a limit of memory of 2 GB for each process."""
    for pid in _pids(act):
        _limit(pid, resource.RLIMIT_DATA, MEMORY_BYTES)
    data = _large_image(act.folder / "large.bmp", act.seed)
    act.facts["image_bytes"] = len(data)
    _, outcome = predictor(act.stack)(data)
    images = {f"{PREFIX}{number:04}.bmp": data for number in range(act.images)}
    act.clean = dict.fromkeys(images, outcome)
    with _measured(act):
        _put(act, images)
        settle(act)
    _judge(act, "with large images", may_fail=True)
    _redrive(act)
    _judge(act, "after the redrive")


def little_memory(act: Act) -> None:
    """Let no process of the system have more than 2 GB of memory; measure what all of them have."""
    for pid in _pids(act):
        _limit(pid, resource.RLIMIT_DATA, MEMORY_BYTES)
    with _measured(act):
        _put_all(act)
        settle(act)
        wait_for(act, backfill(act.stack, PREFIX))
        settle(act)
    _judge(act, "in the end")
    if act.facts["peak_bytes"] > MEMORY_BYTES:
        raise AssertionError(f"{act.facts['peak_bytes']:,} bytes of memory, {MEMORY_BYTES:,} are allowed")


def clock_jumps(act: Act) -> None:
    """Let the clock jump by seconds to a year between events, and between decisions."""
    copy_events(act.stack)
    events = act.stack.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ImageUploaded" in rule["Name"]]
    events.disable_rule(Name=rule)
    _put_all(act)
    found: dict[Name, dict[str, Any]] = {}

    def are_all_there() -> bool:
        found.update(collect_events(act.stack))
        return len(found) >= len(act.acknowledged)

    until(are_all_there, "events are missing")
    events.enable_rule(Name=rule)
    for number, event in enumerate(found.values()):
        at = datetime.fromisoformat(event["time"]) + CLOCK_JUMPS[number % len(CLOCK_JUMPS)]
        jumped = {**event, "time": at.isoformat().replace("+00:00", "Z")}
        for _ in range(1 + number % 2):  # every other one twice
            start_execution(act.stack, jumped)
        # A failure, decided before or long after: it never replaces a better outcome.
        late = {
            "event": jumped,
            "outcome": Outcome.FAILED,
            "decided_at": jumped["time"],
            "execution_arn": "of another clock",
            "image": None,
            "prediction": None,
            "error": {"Error": "States.Timeout", "Cause": "timed out"},
        }
        act.stack.client("sqs").send_message(
            QueueUrl=act.stack.results_queue_url, MessageBody=json.dumps(late)
        )
    settle(act)
    _judge(act, "after the jumps")
    wait_for(act, backfill(act.stack, PREFIX))
    settle(act)
    _judge(act, "after a backfill")
    _to_its_end(act, "compact")
    _judge(act, "after compaction")


SCENARIOS: dict[str, tuple[Callable[[Act], None], int]] = {
    "kill-drop": (kill_drop, SOME),
    "kill-backfill": (kill_backfill, SOME),
    "kill-compaction": (kill_compaction, SOME),
    "kill-label": (kill_label, SOME),
    "open-files": (few_open_files, SOME),
    "many": (many_at_once, MANY),
    "large": (large_images, SOME),
    "memory": (little_memory, SOME),
    "clock": (clock_jumps, SOME),
}
"""Name of a scenario → what it does, and with how many images."""


# ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _open_files(most: int | None) -> Iterator[None]:
    """Limit the open files of this process, and of those that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _images(act: Act) -> dict[str, bytes]:
    """Draw the images, and predict the outcome of each. Some pictures come again under other keys."""
    predict = predictor(act.stack)
    drawn = [data for data, _ in pictures(min(act.images, SOME), random.Random(act.seed))]
    outcomes = [predict(data)[1] for data in drawn]
    images = {}
    for number, (data, outcome) in enumerate(islice(cycle(zip(drawn, outcomes, strict=True)), act.images)):
        key = f"{number:04}.png"
        images[key], act.clean[key] = data, outcome
    return images


def _write_images(act: Act) -> None:
    (act.folder / "images").mkdir()
    for key, data in _images(act).items():
        (act.folder / "images" / key).write_bytes(data)


def _put_all(act: Act) -> None:
    _put(act, _under_prefix(act))


def _under_prefix(act: Act) -> dict[str, bytes]:
    images = {f"{PREFIX}{key}": data for key, data in _images(act).items()}
    act.clean = {f"{PREFIX}{key}": outcome for key, outcome in act.clean.items()}
    return images


def _put(act: Act, images: Mapping[str, bytes]) -> None:
    """Put images at once, as fast as they are taken; note which were."""
    s3 = act.stack.client("s3")

    def put(item: tuple[str, bytes]) -> Name | None:
        key, data = item
        try:
            stored = s3.put_object(Bucket=act.stack.incoming_bucket, Key=key, Body=data)
        except (BotoCoreError, ClientError):
            return None
        return key, stored["VersionId"]

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        names = list(pool.map(put, images.items()))
    act.acknowledged |= {name for name in names if name}
    act.refused += names.count(None)


def _listed(act: Act) -> set[Name]:
    pages = act.stack.client("s3").get_paginator("list_object_versions")
    return {
        (version["Key"], version["VersionId"])
        for page in pages.paginate(Bucket=act.stack.incoming_bucket)
        for version in page.get("Versions", ())
    }


def _judge(act: Act, when: str, *, may_fail: bool = False) -> None:
    """Judge every upload that was acknowledged, or is in the bucket."""
    listed = _listed(act)
    gone = act.acknowledged - listed
    act.acknowledged |= listed
    expected = {name: Expected((act.clean[name[0]],), may_be_missing=may_fail) for name in act.acknowledged}
    found = rows(act)
    if may_fail:
        failed = [name for name, row in found if row.outcome == Outcome.FAILED]
        act.facts["failed_before_the_redrive"] = len(failed)
        found = [(name, row) for name, row in found if row.outcome != Outcome.FAILED]
    verdict = act.verdicts[when] = judge(expected, found)
    verdict.lost |= dict.fromkeys(gone, "was acknowledged, and is not in the bucket")


def _redrive(act: Act) -> None:
    wait_for(act, redrive(act.stack, apply=True, in_flight=timedelta(0)).runs)
    settle(act)


def _command(act: Act, *arguments: str) -> "subprocess.Popen[bytes]":
    with (act.folder / "commands.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, PROJECT / "scones.py", *arguments],
            env={**os.environ, "SCONES_HOME": str(act.folder)},
            stdout=log,
            stderr=log,
        )


def _kill(act: Act, round_: int, *arguments: str) -> None:
    """Start a command, and kill it: in odd rounds at its first write, else at a random moment."""
    is_at_write = round_ % 2 == 1
    before = _written(act)
    delay_s = random.Random(act.seed + round_).uniform(1, MOST_DELAY_S)
    process = _command(act, *arguments)
    began = time.monotonic()
    while process.poll() is None:
        if _written(act) != before if is_at_write else time.monotonic() - began > delay_s:
            break
        time.sleep(LOOK_S)
    is_killed = process.poll() is None
    process.kill()
    process.wait()
    act.facts["killed"] = act.facts.get("killed", 0) + is_killed


def _written(act: Act) -> set[tuple[str, datetime]]:
    """Return the files of the results bucket, with their times."""
    pages = act.stack.client("s3").get_paginator("list_objects_v2")
    return {
        (each["Key"], each["LastModified"])
        for page in pages.paginate(Bucket=act.stack.results_bucket)
        for each in page.get("Contents", ())
    }


def _to_its_end(act: Act, *arguments: str) -> None:
    status = _command(act, *arguments).wait()
    if status not in (0, 3):
        raise AssertionError(f"{arguments[0]} ended with {status}: see {act.folder / 'commands.log'}")


def _pids(act: Act) -> Iterator[int]:
    """Yield the processes of the system that take images in, workers included."""
    sessions = {os.getsid(act.stack.pids[name]) for name in ("aws", "endpoint")}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(folder.name)) in sessions:
                yield int(folder.name)


def _limit(pid: int, what: int, most: int) -> None:
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, hard))


@contextmanager
def _measured(act: Act) -> Iterator[None]:
    """Measure the most memory that all processes of the system have together, shared pages once."""
    ended = threading.Event()
    peak_bytes = 0

    def sample() -> None:
        nonlocal peak_bytes
        while not ended.wait(SAMPLE_S):
            peak_bytes = max(peak_bytes, sum(map(_own_bytes, _pids(act))))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()
        act.facts["peak_bytes"] = peak_bytes


def _own_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return 1_024 * int(line.split()[1])
    return 0


def _large_image(path: Path, seed: int) -> bytes:
    side = int((LARGE_BYTES / 3) ** 0.5)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()
