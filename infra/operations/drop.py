"""Drops files into the incoming bucket, and waits until each has its outcome."""

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from rich.progress import Progress

from analytics.athena.engine import Engine
from analytics.lake.aws import ResultsBucket
from analytics.lake.columns import PREFIX
from analytics.questions.queries import internal_query
from infra.operations.answers import engine
from infra.operations.arrivals import Arrivals, Bounds, Found
from infra.operations.tail import POLL_ON_AWS_S, SINCE
from infra.space import check_space, disk_bytes
from infra.stack import Stack
from infra.stored import folder_of, state_of
from ingest.aws import Shortcut
from ingest.errors import MAX_BYTES
from ingest.upload import NULL_VERSION
from workflow.outcome import Outcome

UPLOADS_AT_ONCE = 8
LOOK_S = 0.01
"""Pause between two looks at the folder of a table on this machine: a look takes some microseconds."""
LOOK_ANYWAY_S = 1.0
"""After so long, the files of a table on this machine are listed whether or not its folder has changed."""
LEAST_SHARE = 0.01
"""Least share of the time so far between two listings, up to `LOOK_ANYWAY_S`. A listing takes some
milliseconds from what is waited for, and a long drop has many files."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5
"""Bounds of the pause between two questions to Athena, in usual ones: each costs money."""
DAY = timedelta(days=1)
CLOCKS_DIFFER_BY = timedelta(seconds=5)
"""Most that S3's times of files, in whole seconds, are behind this clock: on a laptop, both are the same."""


@dataclass(frozen=True)
class Dropped:
    """One version of one object that was put into the bucket."""

    key: str
    version_id: str
    """The ETag of an object that S3 gave no version id: without versioning, or while it is suspended."""
    sent_after: datetime | None = field(default=None, compare=False)
    """When the drop began, if this is known: no earlier file of the table has a row of it."""


@dataclass(frozen=True)
class Since:
    """Times from which rows can be those of a drop."""

    uploaded_at: datetime
    decided_at: datetime


@dataclass(frozen=True)
class Settled:
    """The outcomes of the objects of a drop."""

    outcomes: dict[str, int]
    """Number of uploads by outcome. Every outcome is a key."""
    missing: list[Dropped] = field(default_factory=list)
    duplicates: int = 0
    """Rows beyond the first for one upload."""
    latency_p50_ms: int | None = None
    """Half of the uploads had their outcome so soon. None where objects were not just uploaded."""
    latency_p95_ms: int | None = None


def drop(stack: Stack, files: Mapping[str, Path], progress: Progress) -> list[Dropped]:
    """Put files into the incoming bucket, several at a time, and return their versions.

    Raises:
        infra.space.NotEnoughSpace: the system is on this machine, whose disk cannot hold them.
        botocore.exceptions.ClientError: S3 did not take a file; others are there.
    """
    if stack.home:
        check_space(Path(stack.home), disk_bytes(path.stat().st_size for path in files.values()))
    s3 = stack.client("s3")
    shortcut = Shortcut(s3)
    task, began = progress.add_task("dropped", total=len(files)), datetime.now(UTC)

    def put(item: tuple[str, Path]) -> Dropped:
        key, path = item
        stored = None
        if path.stat().st_size <= MAX_BYTES:  # what is larger is not held in memory
            stored = shortcut.put(stack.incoming_bucket, key, path.read_bytes())
        if stored is None:
            with path.open("rb") as body:
                stored = s3.put_object(Bucket=stack.incoming_bucket, Key=key, Body=body)
        progress.advance(task)
        return Dropped(key, version_of(stored), began)

    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        return list(pool.map(put, files.items()))


def version_of(stored: Mapping[str, Any]) -> str:
    """Return the id of the version that S3's answer to a PUT names, or its ETag where it has none."""
    version_id: str = stored.get("VersionId", NULL_VERSION)
    return stored["ETag"].strip('"') if version_id == NULL_VERSION else version_id


def settle(
    stack: Stack,
    dropped: Sequence[Dropped],
    progress: Progress,
    patience_s: float,
    since: Since | None = None,
) -> Settled:
    """Wait until every object has its outcome, or until none has come for `patience_s`.

    Counts rows, on the server, until there are as many as objects; only then it asks about each object.

    Args:
        stack: the system.
        dropped: the objects.
        progress: gets the live line.
        patience_s: seconds without news before giving up.
        since: times of the rows. None: the objects were just uploaded.
    """
    wanted = {(each.key, each.version_id): each for each in dropped}
    task = progress.add_task("recorded", total=len(wanted))
    began = time.monotonic()
    recorded, missing, last_news = -1, len(wanted), began
    with _rows_of(stack, _Bounding(dropped, since)) as rows:
        while True:
            stored = rows.count()
            are_enough = stored >= len(wanted)
            if stored > recorded and not are_enough:
                recorded, last_news = stored, time.monotonic()
            progress.update(task, completed=min(stored, len(wanted)))
            gives_up = time.monotonic() - last_news > patience_s
            if gives_up or are_enough:  # among the rows may be those of others, under the same prefix
                settled = _settled(rows.found(), wanted, are_new=since is None)
                if gives_up or not settled.missing:
                    progress.update(task, completed=len(wanted) - len(settled.missing))
                    return settled
                if len(settled.missing) < missing:
                    missing, last_news = len(settled.missing), time.monotonic()
            rows.pause(stored / len(wanted), time.monotonic() - began)


def pause_factor(done_share: float, elapsed: float) -> float:
    """Return the pause before the next question: half of what the rest takes at the pace so far.

    It is in units of which `elapsed` have passed, and is at most half of them: an early pace says little.
    """
    if not 0 < done_share < 1:
        return 1
    rest = elapsed * min((1 - done_share) / done_share, 1)
    return min(max(SHORTEST_PAUSE, rest / 2), LONGEST_PAUSE)


class _Bounding:
    """Bounds the questions about a drop, so that their cost does not grow with the table.

    Each question has its own: meanwhile, a laptop may have slept for days, or its clock been set back.
    """

    def __init__(self, dropped: Sequence[Dropped], since: Since | None) -> None:
        self._prefix = os.path.commonprefix([each.key for each in dropped])  # noqa: RUF071 - S3's are of characters
        self._since = since
        sent_after = [each.sent_after for each in dropped if each.sent_after]
        self._is_known = since is None and len(sent_after) == len(dropped) > 0
        self._earliest = min([*sent_after, datetime.now(UTC)])

    def __call__(self) -> Bounds:
        now = datetime.now(UTC)
        self._earliest = min(self._earliest, now)
        a_day_before = self._earliest - SINCE
        since = self._since or Since(a_day_before, a_day_before)
        return Bounds(
            from_dt=(since.uploaded_at - DAY).date(),
            to_dt=(now + DAY).date(),
            uploaded_since=since.uploaded_at.astimezone(UTC).replace(tzinfo=None),
            decided_since=since.decided_at.astimezone(UTC).replace(tzinfo=None),
            prefix=self._prefix,
            written_since=self._earliest - CLOCKS_DIFFER_BY if self._is_known else None,
        )


class _Rows(Protocol):
    """What waiting needs to know of the table."""

    def count(self) -> int:
        """Return the number of rows of the drop, and perhaps of others under the same prefix."""
        ...

    def found(self) -> dict[tuple[str, str], Found]:
        """Return these rows by key and version."""
        ...

    def pause(self, done_share: float, elapsed_s: float) -> None:
        """Wait until counting anew is worth while."""
        ...


class _Asked:
    """Rows that Athena is asked about."""

    def __init__(self, answers: Engine, bounds: Callable[[], Bounds]) -> None:
        self._answers, self._bounds = answers, bounds

    def count(self) -> int:
        rows = self._answers.query(internal_query("dropped_count", **self._bounds().parameters)).frame
        return int(rows["stored"].iloc[0])

    def found(self) -> dict[tuple[str, str], Found]:
        rows = self._answers.query(internal_query("dropped_rows", **self._bounds().parameters)).records()
        return {
            (row["key"], row["version"]): Found(
                int(row["stored"]),
                row["outcome"],
                None if row["latency_ms"] is None else int(row["latency_ms"]),
            )
            for row in rows
        }

    def pause(self, done_share: float, elapsed_s: float) -> None:
        time.sleep(POLL_ON_AWS_S * pause_factor(done_share, elapsed_s / POLL_ON_AWS_S))


class _Watched(Arrivals):
    """Rows of a table on this machine. Its files are listed when its folder has changed."""

    def __init__(self, stack: Stack, home: str, bounds: Callable[[], Bounds]) -> None:
        super().__init__(ResultsBucket(stack.client("s3"), stack.results_bucket), bounds)
        self._folder = folder_of(Path(home), stack.account_id, stack.results_bucket) / PREFIX
        self._state = ""

    def count(self) -> int:
        self._state = state_of(self._folder)  # before the listing: what comes meanwhile is a change
        return super().count()

    def pause(self, done_share: float, elapsed_s: float) -> None:
        began = time.monotonic()
        time.sleep(min(max(LEAST_SHARE * elapsed_s, LOOK_S), LOOK_ANYWAY_S))
        while state_of(self._folder) == self._state and time.monotonic() < began + LOOK_ANYWAY_S:
            time.sleep(LOOK_S)


@contextmanager
def _rows_of(stack: Stack, bounds: Callable[[], Bounds]) -> Iterator[_Rows]:
    if stack.home:
        yield _Watched(stack, stack.home, bounds)
        return
    with engine(stack) as answers:
        yield _Asked(answers, bounds)


def _settled(
    found: Mapping[tuple[str, str], Found], wanted: Mapping[tuple[str, str], Dropped], *, are_new: bool
) -> Settled:
    ours = [found[identity] for identity in wanted if identity in found]
    outcomes = Counter(each.outcome for each in ours)
    latencies_ms = sorted(each.latency_ms for each in ours if each.latency_ms is not None) if are_new else []
    return Settled(
        outcomes={outcome.value: outcomes[outcome.value] for outcome in Outcome},
        missing=[each for identity, each in wanted.items() if identity not in found],
        duplicates=sum(each.stored - 1 for each in ours),
        latency_p50_ms=_percentile(latencies_ms, 0.5),
        latency_p95_ms=_percentile(latencies_ms, 0.95),
    )


def _percentile(ascending: Sequence[int], share: float) -> int | None:
    """Return the least value that at least this share does not exceed."""
    return ascending[math.ceil(share * len(ascending)) - 1] if ascending else None
