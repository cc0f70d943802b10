"""Four ways through the same images in the same minutes: their rates, and the CPU time of each process.

A machine is never quiet, so that only ratios within one round say something. A round sends the images of each
size through the plain script, the seed's design, the event path and the backfill, one after the other.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from rich.progress import Progress

from analytics.lake.aws import ResultsBucket
from infra.installation import PROJECT
from infra.operations.arrivals import Arrivals, Bounds
from infra.operations.backfill import backfill, wait
from infra.operations.drop import drop, settle
from infra.stack import Stack
from ingest.waiting import depth
from model.data.drawings import draw
from tests.bench.processes import CLIENT, Processes, since
from tests.bench.seed import SeedDesign

PLAIN, SEED_DESIGN, EVENTS, BACKFILL = WAYS = ("plain script", "seed's design", "event path", "backfill")
SEED = 7
GRAIN = 6.0
"""Standard deviation of the noise of the drawn photos. Without it, a JPEG of 12 megapixels has a seventh of
the bytes of a camera's."""
DRAWN = 12
"""Images that are drawn for each size: each is used under many keys."""
PATIENCE_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class Size:
    """A size of images, and how many of them a round sends for each that is asked for."""

    name: str
    width_px: int
    height_px: int
    share: float


SIZES = (Size("64 px", 64, 64, 1), Size("640 × 480", 640, 480, 1), Size("12 MP", 4000, 3000, 1 / 16))


@dataclass(frozen=True)
class Run:
    """One way through the images of one size."""

    way: str
    size: str
    images: int
    seconds: float
    cpu_s: dict[str, float]
    """CPU seconds by role: see `tests.bench.processes`."""

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds

    def cpu_ms(self, role: str) -> float:
        """Return the milliseconds of CPU that an image took in one role."""
        return 1000 * self.cpu_s.get(role, 0.0) / self.images


@dataclass(frozen=True)
class Ratio:
    """A quotient within each round: its median, and the least and the greatest."""

    what: str
    median: float
    least: float
    greatest: float
    goal: float | None = None

    @classmethod
    def of(cls, what: str, values: Sequence[float], goal: float | None = None) -> "Ratio":
        """Return the ratio of some rounds."""
        return cls(what, round(median(values), 2), round(min(values), 2), round(max(values), 2), goal)


_GOALS = {
    (EVENTS, SEED_DESIGN, "64 px"): 1.2,
    (EVENTS, SEED_DESIGN, "640 × 480"): 1.2,
    (EVENTS, SEED_DESIGN, "12 MP"): 1.5,
    (BACKFILL, PLAIN, "640 × 480"): 0.5,
}


class Comparison:
    """Sends images through a system, and through what it is compared with.

    The seed's design needs an endpoint.
    """

    def __init__(self, stack: Stack, folder: Path, ways: Sequence[str] = WAYS) -> None:
        self._stack = stack
        self._folder = folder
        self._seed_design = SeedDesign(stack) if SEED_DESIGN in ways else None
        self._processes = Processes(stack)
        self._drawn = {size.name: draw_photos(folder / "photos", size) for size in SIZES}

    def warm_up(self, images: int) -> None:
        """Start as many processes as will be needed."""
        self._round("warm-up", SIZES[1], images)

    def rounds(self, rounds: int, images: int, sizes: Sequence[Size] = SIZES) -> Iterator[Run]:
        """Measure, in turn: so many rounds of so many images."""
        for number in range(rounds):
            for size in sizes:
                yield from self._round(f"{number}", size, max(24, round(images * size.share)))

    def _round(self, name: str, size: Size, count: int) -> list[Run]:
        drawn = self._drawn[size.name]
        prefix = f"{name}/{size.name.replace(' ', '-')}/"
        files = {f"{prefix}{number:06}.jpg": drawn[number % len(drawn)] for number in range(count)}
        ways: dict[str, Callable[[], float]] = {
            EVENTS: lambda: self.carry(files),
            BACKFILL: lambda: self.again(prefix),
        }
        if seed_design := self._seed_design:
            ways = {SEED_DESIGN: lambda: seed_design.carry(files), **ways}
        runs = [self._plain(size, list(files.values()))]
        for way, carry in ways.items():
            began_at, before = datetime.now(UTC), self._processes.cpu_s()
            runs.append(Run(way, size.name, count, carry(), since(before, self._processes.cpu_s())))
        self._check(prefix, count, began_at)
        return runs

    def send(self, name: str, count: int) -> None:
        """Send images of 640 × 480 through the event path."""
        drawn = self._drawn[SIZES[1].name]
        self.carry({f"{name}/{number:06}.jpg": drawn[number % len(drawn)] for number in range(count)})

    def many(self, prefix: str, count: int) -> tuple[float, float]:
        """Return images per second of the plain script and of the backfill, for what `send` sent."""
        drawn = self._drawn[SIZES[1].name]
        plain = self._plain(SIZES[1], [drawn[number % len(drawn)] for number in range(count)])
        began_at = datetime.now(UTC)
        seconds = self.again(prefix)
        self._check(prefix, count, began_at)
        return plain.rate, count / seconds

    def _plain(self, size: Size, files: Iterable[Path]) -> Run:
        paths = self._folder / "paths.txt"
        paths.write_text("\n".join(map(str, files)), encoding="utf-8")
        command = [sys.executable, "-m", "tests.bench.plain", str(paths), str(self._folder / "plain.parquet")]
        done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
        took = json.loads(done.stdout)
        return Run(PLAIN, size.name, took["images"], took["seconds"], {CLIENT: took["cpu_s"]})

    def carry(self, files: dict[str, Path]) -> float:
        """Drop files and wait until each has its row; return the seconds.

        Raises:
            RuntimeError: an image has no row, or failed.
        """
        started = time.monotonic()
        silent = Progress(disable=True)
        settled = settle(self._stack, drop(self._stack, files, silent), silent, PATIENCE_S)
        if settled.missing or settled.outcomes["failed"]:
            raise RuntimeError(f"{len(settled.missing)} images missing, {settled.outcomes['failed']} failed")
        return time.monotonic() - started

    def again(self, prefix: str) -> float:
        """Backfill a prefix, and wait until all outcomes are written; return the seconds.

        Raises:
            RuntimeError: an execution failed.
        """
        started = time.monotonic()
        ended = wait(self._stack, backfill(self._stack, prefix), Progress(disable=True))
        if not all(each.went_well for each in ended):
            raise RuntimeError(f"the backfill of {prefix} ended as {[each.status for each in ended]}")
        deadline, sqs = time.monotonic() + PATIENCE_S, self._stack.client("sqs")
        # A message is deleted once its rows are written: an empty queue is the cheapest sign that all are.
        while depth(sqs, self._stack.results_queue_url) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return time.monotonic() - started

    def _check(self, prefix: str, images: int, began_at: datetime) -> None:
        """Check that each image has a row since a time.

        Raises:
            RuntimeError: one has none.
        """
        today = began_at.date()
        bounds = Bounds(
            from_dt=today - timedelta(days=1),
            to_dt=today + timedelta(days=1),
            uploaded_since=(began_at - timedelta(days=1)).replace(tzinfo=None),
            decided_since=began_at.replace(tzinfo=None),
            prefix=prefix,
        )
        results = ResultsBucket(self._stack.client("s3"), self._stack.results_bucket)
        arrivals = Arrivals(results, lambda: bounds)
        arrivals.count()
        if (recorded := len(arrivals.found())) < images:
            raise RuntimeError(f"{images - recorded} rows of the backfill of {prefix} are missing")


def draw_photos(folder: Path, size: Size) -> list[Path]:
    """Draw images of a size, with the grain of a camera's."""
    rng, noise = random.Random(SEED), np.random.default_rng(SEED)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(DRAWN if size.width_px < 1000 else DRAWN // 3):
        drawing = draw(rng.choice(["bicycle", "motorcycle"]), size.width_px, size.height_px, rng)
        grain = noise.normal(0, GRAIN, (size.height_px, size.width_px, 1)).astype(np.float32)
        pixels = (np.asarray(drawing, np.float32) + grain).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{size.width_px}-{number}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=85)
    return paths


def ratios(runs: Sequence[Run]) -> list[Ratio]:
    """Return the ratios of the rates, and of the CPU time of an image."""
    found = []
    for size in SIZES:
        by_way = {way: [run for run in runs if (run.way, run.size) == (way, size.name)] for way in WAYS}
        for way, other in ((EVENTS, SEED_DESIGN), (BACKFILL, PLAIN), (BACKFILL, EVENTS)):
            quotients = [a.rate / b.rate for a, b in zip(by_way[way], by_way[other], strict=True)]
            goal = _GOALS.get((way, other, size.name))
            found.append(Ratio.of(f"{way} / {other}, {size.name}", quotients, goal))
        pairs = list(zip(by_way[EVENTS], by_way[SEED_DESIGN], strict=True))
        quotients = [sum(a.cpu_s.values()) / sum(b.cpu_s.values()) for a, b in pairs]
        found.append(Ratio.of(f"CPU of an image: {EVENTS} / {SEED_DESIGN}, {size.name}", quotients))
        quotients = [a.cpu_ms(CLIENT) / b.cpu_ms(CLIENT) for a, b in pairs]
        found.append(Ratio.of(f"CPU of the client: {EVENTS} / {SEED_DESIGN}, {size.name}", quotients))
    return found


def breakdown(runs: Sequence[Run]) -> dict[tuple[str, str], dict[str, float]]:
    """Return the milliseconds of CPU of an image by way and size, then by role: the medians of all rounds."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for run in runs:
        same = [each for each in runs if (each.way, each.size) == (run.way, run.size)]
        roles: Counter[str] = Counter()
        for each in same:
            roles.update(each.cpu_s.keys())
        found[run.way, run.size] = {role: median(each.cpu_ms(role) for each in same) for role in roles}
    return found


def as_json(ratios_: Iterable[Ratio]) -> dict[str, Any]:
    """Return ratios as `ratios.json` has them."""
    return {each.what: [each.least, each.median, each.greatest] for each in ratios_}
