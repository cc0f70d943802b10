"""Measures speed and memory: `make bench` prints tables and writes `build/bench.json`."""

import io
import json
import os
import platform
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from infra.cli.terminal import words
from infra.installation import state_folder
from infra.laptop.local import running
from infra.stack import Stack
from ingest.image import prepare
from model.data.drawings import draw
from model.files import DEFAULT_MODEL
from model.serving.inference import Model
from tests.bench import cold_starts
from tests.bench import table as bench_table
from tests.bench.compare import (
    BACKFILL,
    EVENTS,
    PLAIN,
    SIZES,
    WAYS,
    Comparison,
    Ratio,
    Run,
    as_json,
    breakdown,
    ratios,
)
from tests.bench.processes import Processes, since
from workflow.classifier import IN_LAMBDA

FOLDER = state_folder() / "bench"
SEED = 7
KEPT = Path(__file__).with_name("ratios.json")
"""Ratios of an earlier run, which a quick run is compared with."""
WARM_UP_IMAGES = 100
ROUNDS = 3
FLAT_IMAGES, FLAT_PARTS = 10_000, 5
LEAST_SHOWN_MS = 0.05
REQUESTS = 40
BATCH = 64
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Figure:
    """One measurement and its budget."""

    what: str
    value: float
    unit: str
    budget: str


def run(console: Console, images: int, *, quick: bool, flat: bool, keep: bool) -> None:
    """Compare the ways of images, and print what was measured; without `quick`, measure everything else too.

    Args:
        console: gets the tables.
        images: how many images of the small sizes a round sends.
        quick: compare alone, against the ratios that are kept.
        flat: also send `FLAT_IMAGES` through both ways of Scones.
        keep: write the ratios where the next quick run finds them.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    machine = f"{CORES} cores, {platform.machine()}, Python {platform.python_version()}"
    figures = [] if quick else [*_serialize_cpu()]
    with running(FOLDER / "home", FOLDER / "stack.json") as stack:
        comparison = Comparison(stack, FOLDER)
        comparison.warm_up(WARM_UP_IMAGES)
        runs = []
        for each in comparison.rounds(ROUNDS, images):
            runs.append(each)
            words.print(f"{each.size}, {each.way}: {each.rate:,.1f} images/s", highlight=False)
        measured = ratios(runs)
        _show_ratios(console, machine, images, measured, json.loads(KEPT.read_text(encoding="utf-8")))
        _show_breakdown(console, runs)
        if not quick:
            figures += _endpoint(stack)
        if flat:
            figures += _flat(comparison, Processes(stack))
    if not quick:
        figures += _model_in_lambda(images, runs)
        figures += _ten_million_rows()
        figures += _cold_starts()
    if figures:
        _show(console, figures)
    report = {
        "machine": machine,
        "ratios": as_json(measured),
        "runs": [asdict(each) for each in runs],
        "figures": [asdict(figure) for figure in figures],
    }
    (FOLDER.parent / "bench.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if keep:
        kept = {"machine": machine, "images": images, "ratios": as_json(measured)}
        KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _flat(comparison: Comparison, processes: Processes) -> Iterator[Figure]:
    """Compare the first images of many with the last, and send them all through one backfill."""
    part = FLAT_IMAGES // FLAT_PARTS
    costs_ms, memory_mb = [], []
    for number in range(FLAT_PARTS):
        before = processes.cpu_s()
        comparison.send(f"flat/{number}", part)
        costs_ms.append(1000 * sum(since(before, processes.cpu_s()).values()) / part)
        memory_mb.append(processes.memory_mb())
    what = f"event path, {FLAT_IMAGES:,} images of 640 × 480"
    yield Figure(
        f"{what}: CPU of the last {part:,} / the first", round(costs_ms[-1] / costs_ms[0], 2), "", "≤ 1.1"
    )
    yield Figure(f"{what}: memory of the processes grew by", round(memory_mb[-1] - memory_mb[0]), "MB", "")
    plain, again = comparison.many("flat/", FLAT_IMAGES)
    yield Figure(
        f"backfill / plain script, {FLAT_IMAGES:,} images of 640 × 480", round(again / plain, 2), "", "≥ 0.5"
    )


def _model_in_lambda(images: int, with_endpoint: Sequence[Run]) -> Iterator[Figure]:
    """Send images through a system without an endpoint, and compare both systems with the plain script."""
    size = SIZES[1]
    with running(FOLDER / "home-2", FOLDER / "stack-2.json", model_in=IN_LAMBDA) as stack:
        comparison = Comparison(stack, FOLDER, (PLAIN, EVENTS, BACKFILL))
        comparison.warm_up(WARM_UP_IMAGES)
        in_lambda = list(comparison.rounds(ROUNDS, images, (size,)))
    for way in (EVENTS, BACKFILL):
        for where, runs in (("an endpoint", with_endpoint), ("the Lambdas", in_lambda)):
            rates = {
                name: [run.rate for run in runs if (run.way, run.size) == (name, size.name)]
                for name in (way, PLAIN)
            }
            quotient = median(a / b for a, b in zip(rates[way], rates[PLAIN], strict=True))
            what = f"{way} / plain script, {size.name}, model in {where}"
            yield Figure(what, round(quotient, 2), "", "")


def _serialize_cpu() -> Iterator[Figure]:
    photo = io.BytesIO()
    draw("bicycle", 4000, 3000, random.Random(SEED)).save(photo, "JPEG", quality=85)
    times_ms = []
    for _ in range(5):
        started = time.process_time()
        prepare(photo.getvalue(), 32)
        times_ms.append((time.process_time() - started) * 1000)
    yield Figure("Serialize's image step, 12 MP JPEG", round(min(times_ms), 1), "ms CPU", "≤ 60")


def _endpoint(stack: Stack) -> Iterator[Figure]:
    """Measure batches over HTTP and in onnxruntime itself within the same minute: their ratio counts."""
    model = Model.load(DEFAULT_MODEL, threads=1)
    size_px = model.form.width_px
    batch = np.random.default_rng(SEED).integers(0, 256, (BATCH, size_px, size_px, 3), dtype=np.uint8)
    body = io.BytesIO()
    np.save(body, batch)
    sagemaker = stack.model_client()

    def ask() -> None:
        sagemaker.invoke_endpoint(
            EndpointName="scones", ContentType="application/x-npy", Body=body.getvalue()
        )

    rates = [(_rate(lambda: model.probabilities(batch)), _rate(ask)) for _ in range(3)]
    raw, served = sorted(rates, key=lambda pair: pair[1] / pair[0])[1]  # the median
    yield Figure(f"onnxruntime itself, batches of {BATCH}", round(raw * BATCH), "images/s", "")
    yield Figure(f"endpoint, batches of {BATCH}, against it", round(served / raw, 2), "", "≥ 0.7")


def _rate(call: Callable[[], object]) -> float:
    """Return the number of calls per second, with one concurrent call per core."""
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(lambda _: call(), range(CORES)))
        started = time.perf_counter()
        list(pool.map(lambda _: call(), range(REQUESTS)))
    return REQUESTS / (time.perf_counter() - started)


def table_alone(console: Console, rows: int) -> None:
    """Print what the report of a week of so many rows takes, and each of its questions.

    The questions about folders are also asked where each image has a folder of its own.
    """
    folder = FOLDER / "table"
    for title, folders, ask in (
        (f"{rows:,} rows of a week, 40 folders", bench_table.VANS, bench_table.ask_report),
        (f"{rows:,} rows of a week, each in its own folder", bench_table.ORDERS, bench_table.ask_of_folders),
    ):
        shutil.rmtree(folder, ignore_errors=True)
        bench_table.write_week(folder, rows, folders=folders)
        table = Table(title=title, title_justify="left")
        table.add_column("what")
        for column in ("s", "s of CPU", "MB"):
            table.add_column(column, justify="right")
        for asked in ask(folder):
            words.print(f"{asked.name}: {asked.seconds:.1f} s", highlight=False)
            table.add_row(asked.name, f"{asked.seconds:.2f}", f"{asked.cpu_s:.1f}", f"{asked.peak_mb:.0f}")
        console.print(table)
        shutil.rmtree(folder)


def _ten_million_rows() -> Iterator[Figure]:
    bench_table.write_week(FOLDER / "table")
    report, *asked = bench_table.ask_report(FOLDER / "table")
    shutil.rmtree(FOLDER / "table")  # 600 MB
    slowest, largest = (max(asked, key=key) for key in (lambda a: a.seconds, lambda a: a.peak_mb))
    rows = f"over {bench_table.ROWS:,} rows of a week"
    yield Figure(
        f"slowest of {len(asked)} questions {rows}: {slowest.name}", round(slowest.seconds, 1), "s", "≤ 3"
    )
    yield Figure(f"memory of the largest {rows}: {largest.name}", round(largest.peak_mb), "MB", "≤ 400")
    yield Figure(f"the report {rows}", round(report.seconds, 1), "s", "≤ 20")


def _cold_starts() -> Iterator[Figure]:
    found = list(cold_starts.imports())
    for each, times_json in found:
        what = f"import of {each.name}: {times_json:.0f} times as long as json"
        yield Figure(what, round(each.seconds, 2), "s of CPU", "≤ 0.3")
    largest = max((each for each, _ in found), key=lambda each: each.peak_mb)
    yield Figure(f"memory after the largest import: {largest.name}", round(largest.peak_mb), "MB", "≤ 60")


def _show_ratios(
    console: Console, machine: str, images: int, measured: Iterable[Ratio], kept: dict[str, Any]
) -> None:
    table = Table(title=f"Ratios of {ROUNDS} rounds on {machine}", title_justify="left")
    table.add_column("what")
    for column in ("median", "least – greatest", "goal", "kept"):
        table.add_column(column, justify="right")
    table.add_column("")
    for each in measured:
        least, middle, greatest = kept["ratios"].get(each.what, (None, None, None))
        is_comparable = least is not None and kept["images"] == images
        table.add_row(
            each.what,
            f"{each.median:.2f}",
            f"{each.least:.2f} – {each.greatest:.2f}",
            f"≥ {each.goal}" if each.goal else "",
            f"{middle:.2f}" if middle is not None else "",
            _moved(each, least, greatest) if is_comparable else "",
        )
    console.print(table)
    console.print(f"kept: rounds of {kept['images']} images on {kept['machine']}", highlight=False)
    if kept["images"] != images:
        console.print("The kept ratios are not compared: what starts once weighs more in a shorter round.")


def _moved(ratio: Ratio, least: float, greatest: float) -> str:
    """Say whether every round differs in the same direction from every round that is kept."""
    if ratio.least > greatest:
        return "higher"
    return "lower" if ratio.greatest < least else ""


def _show_breakdown(console: Console, runs: Sequence[Run]) -> None:
    costs = breakdown(runs)
    for size in SIZES:
        table = Table(title=f"CPU of an image of {size.name}, in ms", title_justify="left")
        table.add_column("process")
        of_size = {way: costs[way, size.name] for way in WAYS}
        for way in WAYS:
            table.add_column(way, justify="right")
        for role in sorted({role for roles in of_size.values() for role in roles}):
            shown = [of_size[way].get(role, 0) for way in WAYS]
            if max(shown) >= LEAST_SHOWN_MS:
                table.add_row(role, *(f"{each:.1f}" if each >= LEAST_SHOWN_MS else "" for each in shown))
        table.add_section()
        table.add_row("together", *(f"{sum(of_size[way].values()):.1f}" for way in WAYS))
        rates = [median(run.rate for run in runs if (run.way, run.size) == (way, size.name)) for way in WAYS]
        table.add_row("images a second", *(f"{rate:,.0f}" for rate in rates))
        console.print(table)


def _show(console: Console, figures: Iterable[Figure]) -> None:
    table = Table(title="And beside that", title_justify="left")
    for column in ("what", "measured", "unit", "budget"):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for figure in figures:
        table.add_row(figure.what, f"{figure.value:,}", figure.unit, figure.budget)
    console.print(table)
