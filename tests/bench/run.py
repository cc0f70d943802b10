"""Measures speed and memory: `make bench` prints a table and writes `build/bench.json`."""

import io
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from infra.cli.terminal import progress_bar
from infra.installation import PROJECT, state_folder
from infra.laptop.local import running
from infra.operations.answers import engine
from infra.operations.backfill import backfill, wait
from infra.operations.drop import drop, settle
from infra.stack import Stack
from ingest.image import prepare
from model.data.drawings import draw
from model.files import DEFAULT_MODEL, RUN_IMAGES
from model.serving.inference import Model
from tests.bench import table as bench_table

FOLDER = state_folder() / "bench"
SEED = 7
WARM_UP_IMAGES = 60
PATIENCE_S = 60.0
REQUESTS = 40
CORES = os.cpu_count() or 1
HOT_LAMBDAS = ("ingest.serialize", "workflow.classify", "workflow.decide")


@dataclass(frozen=True)
class Figure:
    """One measurement and its budget."""

    what: str
    value: float
    unit: str
    budget: str


def run(console: Console, images: int) -> list[Figure]:
    """Measure everything, print it as a table, and write it to a file."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    figures = [*_serialize_cpu(), *_cold_imports()]
    with running(FOLDER / "home", FOLDER / "stack.json") as stack:
        figures += _endpoint(stack)
        figures += _event_path(console, stack, images)
        figures += _backfill_path(console, stack, images, figures)
    figures += _ten_million_rows()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    report = {"machine": machine, "figures": [asdict(figure) for figure in figures]}
    (FOLDER.parent / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(console, machine, figures)
    return figures


def _serialize_cpu() -> Iterator[Figure]:
    photo = io.BytesIO()
    draw("bicycle", 4000, 3000, random.Random(SEED)).save(photo, "JPEG", quality=85)
    times_ms = []
    for _ in range(5):
        started = time.process_time()
        prepare(photo.getvalue(), 32)
        times_ms.append((time.process_time() - started) * 1000)
    yield Figure("Serialize's image step, 12 MP JPEG", round(min(times_ms), 1), "ms CPU", "≤ 60")


def _cold_imports() -> Iterator[Figure]:
    for module in HOT_LAMBDAS:
        times_s = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], cwd=PROJECT, check=True)
            times_s.append(time.perf_counter() - started)
        yield Figure(f"cold import of {module}", round(min(times_s), 2), "s", "≤ 0.5")


def _endpoint(stack: Stack) -> Iterator[Figure]:
    """Measure batches over HTTP and in onnxruntime itself within the same minute: their ratio counts."""
    model = Model.load(DEFAULT_MODEL, threads=1)
    size_px = model.form.width_px
    batch = np.random.default_rng(SEED).integers(0, 256, (RUN_IMAGES, size_px, size_px, 3), dtype=np.uint8)
    body = io.BytesIO()
    np.save(body, batch)
    sagemaker = stack.model_client()

    def ask() -> None:
        sagemaker.invoke_endpoint(
            EndpointName="scones", ContentType="application/x-npy", Body=body.getvalue()
        )

    rates = [(_rate(lambda: model.probabilities(batch)), _rate(ask)) for _ in range(3)]
    raw, served = sorted(rates, key=lambda pair: pair[1] / pair[0])[1]  # the median
    yield Figure("onnxruntime itself, batches of 64", round(raw * RUN_IMAGES), "images/s", "")
    yield Figure("endpoint, batches of 64, against it", round(served / raw, 2), "", "≥ 0.7")


def _rate(call: Callable[[], object]) -> float:
    """Return the number of calls per second, with one concurrent call per core."""
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(lambda _: call(), range(CORES)))
        started = time.perf_counter()
        list(pool.map(lambda _: call(), range(REQUESTS)))
    return REQUESTS / (time.perf_counter() - started)


def _event_path(console: Console, stack: Stack, images: int) -> Iterator[Figure]:
    _through(console, stack, _files("warm-up", WARM_UP_IMAGES, 32, 640))
    seconds, memory_mb = _through(console, stack, _files("small", images, 32, 640))
    yield Figure(
        f"event path, {images:,} images of 32-640 px", round(images / seconds, 1), "images/s", "≥ 50"
    )
    yield Figure("memory of all processes meanwhile, at most", round(memory_mb), "MB", "< 3,000")
    photos = max(20, images // 20)
    seconds, _ = _through(console, stack, _files("photos", photos, 4000, 4000))
    yield Figure(f"event path, {photos} photos of 12 MP", round(photos / seconds, 1), "images/s", "≥ 12")


def _backfill_path(console: Console, stack: Stack, images: int, so_far: Iterable[Figure]) -> Iterator[Figure]:
    """Classify the images of the event path once more; both are measured under the same load."""
    (by_events,) = [figure.value for figure in so_far if figure.what.startswith(f"event path, {images:,} ")]
    _again(console, stack, "small/", images)  # so that as many Lambdas are warm as will be needed
    rate = images / _again(console, stack, "small/", images)
    yield Figure(f"backfill, {images:,} images of 32-640 px", round(rate, 1), "images/s", "")
    yield Figure("backfill, against the event path", round(rate / by_events, 1), "times", "≥ 10")


def _again(console: Console, stack: Stack, prefix: str, images: int) -> float:
    """Backfill a prefix; return the seconds until the last row is there."""
    started, since = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    runs = backfill(stack, prefix)
    with progress_bar(console) as progress:
        ended = wait(stack, runs, progress)
    if not all(each.went_well for each in ended):
        raise RuntimeError(f"the backfill of {prefix} ended as {[each.status for each in ended]}")
    sql = f"SELECT count(*) AS n FROM outcomes WHERE decided_at >= TIMESTAMP '{since}'"
    with engine(stack) as answers:
        while int(answers.query(f"{sql} AND starts_with(key, '{prefix}')").frame.n[0]) < images:
            if time.monotonic() - started > 10 * PATIENCE_S:
                raise RuntimeError(f"rows of the backfill of {prefix} are missing")
            time.sleep(0.5)
    return time.monotonic() - started


def _ten_million_rows() -> Iterator[Figure]:
    bench_table.write_week(FOLDER / "table")
    asked = list(bench_table.ask_all(FOLDER / "table"))
    shutil.rmtree(FOLDER / "table")  # 600 MB
    slowest, largest = (max(asked, key=key) for key in (lambda a: a.seconds, lambda a: a.peak_mb))
    rows = f"over {bench_table.ROWS:,} rows of a week"
    yield Figure(
        f"slowest of {len(asked)} questions {rows}: {slowest.name}", round(slowest.seconds, 1), "s", "≤ 3"
    )
    yield Figure(f"memory of the largest {rows}: {largest.name}", round(largest.peak_mb), "MB", "≤ 500")


def _files(name: str, count: int, least_px: int, most_px: int) -> dict[str, Path]:
    """Draw a few images and use each under many keys: drawing is not measured."""
    rng = random.Random(SEED)
    folder = FOLDER / name
    folder.mkdir(parents=True)
    drawn = []
    for number in range(min(count, 24)):
        width_px = rng.randint(least_px, most_px)
        image: Image.Image = draw(rng.choice(["bicycle", "motorcycle"]), width_px, width_px * 3 // 4, rng)
        drawn.append(folder / f"{number}.jpg")
        image.save(drawn[-1], quality=85)
    return {f"{name}/{number:05}.jpg": drawn[number % len(drawn)] for number in range(count)}


def _through(console: Console, stack: Stack, files: dict[str, Path]) -> tuple[float, float]:
    """Drop files, wait for their outcomes; return seconds and the peak memory of all processes in MB."""
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool, progress_bar(console) as progress:
        done: list[bool] = []
        watched = pool.submit(_peak_memory_mb, stack.pids.values(), done)
        try:
            dropped = drop(stack, files, progress)
            settled = settle(stack, dropped, progress, PATIENCE_S)
        finally:
            done.append(True)
    if settled.missing or settled.outcomes["failed"]:
        raise RuntimeError(f"{len(settled.missing)} images missing, {settled.outcomes['failed']} failed")
    return time.monotonic() - started, watched.result()


def _peak_memory_mb(pids: Iterable[int], done: list[bool]) -> float:
    sessions = {os.getsid(pid) for pid in pids}
    peak_mb = 0.0
    while not done:
        peak_mb = max(peak_mb, _memory_mb(sessions))
        time.sleep(1)
    return peak_mb


def _memory_mb(sessions: set[int]) -> float:
    """Return the proportional set size of all processes of these sessions: shared pages count once."""
    total_kb = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) in sessions:
                rollup = (folder / "smaps_rollup").read_text(encoding="utf-8")
                total_kb += int(
                    next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]
                )
        except (OSError, StopIteration):
            continue
    return total_kb / 1024


def _show(console: Console, machine: str, figures: Iterable[Figure]) -> None:
    table = Table(title=f"Measured on {machine}", title_justify="left")
    for column in ("what", "measured", "unit", "budget"):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for figure in figures:
        table.add_row(figure.what, f"{figure.value:,}", figure.unit, figure.budget)
    console.print(table)
