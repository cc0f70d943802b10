"""A results bucket in memory that stops before every step: a test decides who goes next, and who dies."""

import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from analytics.lake.columns import PREFIX
from analytics.lake.order import generation_of
from analytics.lake.schema import partition, to_table
from workflow.outcome import rank_of

Row = dict[str, Any]


class Killed(BaseException):
    """SIGKILL, as far as a test can: nothing that catches `Exception` sees it."""


class Bucket:
    """The files by path; `step` is called before each of them is touched."""

    def __init__(self, step: Callable[[], None] = lambda: None) -> None:
        self.files: dict[str, bytes] = {}
        self.step = step

    def list_files(self, prefix: str) -> Iterator[tuple[str, int]]:
        self.step()
        return iter(sorted((path, len(body)) for path, body in self.files.items() if path.startswith(prefix)))

    def download(self, paths: Iterable[str], folder: Path) -> dict[str, Path]:
        there = {}
        for number, path in enumerate(paths):
            self.step()
            if path in self.files:
                there[path] = folder / f"{number}.parquet"
                there[path].write_bytes(self.files[path])
        return there

    def upload(self, file: Path, path: str) -> None:
        body = file.read_bytes()
        self.step()
        self.files[path] = body

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.step()
            self.files.pop(path, None)

    def record(self, rows: Iterable[Row]) -> None:
        """Write rows as the Record Lambda does."""
        for day, of_day in groupby(sorted(rows, key=partition), key=partition):
            table, buffer = to_table(of_day), io.BytesIO()
            parquet.write_table(table, buffer)
            digest = hashlib.sha256(repr(table.to_pylist()).encode()).hexdigest()
            self.step()
            self.files[f"{PREFIX}dt={day}/{digest}.parquet"] = buffer.getvalue()

    def rows(self) -> list[Row]:
        return [row for body in self.files.values() for row in rows_of(body)]

    def outcomes(self) -> dict[str, Row]:
        """Read as the view `outcomes` does."""
        found: list[Row] = []
        for _, paths in groupby(sorted(self.files), key=lambda path: path.split("/")[1]):
            of_day = list(paths)
            if len({generation_of(path) or path for path in of_day}) == 1 and generation_of(of_day[0]):
                current = [
                    row for path in of_day if "/rows-current-" in path for row in rows_of(self.files[path])
                ]
                found += [row for each in current for row in best([each]).values()]
            else:
                found += best(row for path in of_day for row in rows_of(self.files[path])).values()
        by_upload = {row["upload_id"]: row for row in found}
        assert len(by_upload) == len(found), "an upload is counted twice"
        return by_upload


class Actor(threading.Thread):
    """Does its work one step at a time, each when it is told to."""

    def __init__(self, work: Callable[["Actor"], object]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._doomed = False
        self.done = False
        self.error: Exception | None = None
        self.start()
        self._paused.acquire()

    def run(self) -> None:
        try:
            self.pause()
            self._work(self)
        except Killed:
            pass
        except Exception as error:
            self.error = error
        self.done = True
        self._paused.release()

    def pause(self) -> None:
        self._paused.release()
        self._go.acquire()
        if self._doomed:
            raise Killed

    def go_on(self, *, dies: bool = False) -> None:
        """Do one step, or die before it."""
        self._doomed = dies
        self._go.release()
        self._paused.acquire()
        if self.error:
            raise self.error


@contextmanager
def ending(actors: Sequence[Actor]) -> Iterator[None]:
    """Leave no actor waiting, also after a failure."""
    try:
        yield
    finally:
        for actor in actors:
            if not actor.done:
                actor.go_on(dies=True)


def best(rows: Iterable[Row]) -> dict[str, Row]:
    """Return the row that counts of each upload, and since when there was one as good."""
    by_upload: dict[str, list[Row]] = {}
    for row in rows:
        by_upload.setdefault(row["upload_id"], []).append(row)
    return {upload: _best(copies) for upload, copies in by_upload.items()}


def _best(copies: list[Row]) -> Row:
    row = min(copies, key=sort_key)
    as_good = [copy for copy in copies if sort_key(copy)[0] == sort_key(row)[0]]
    first = min(copy.get("first_decided_at") or copy["decided_at"] for copy in as_good)
    return {**row, "first_decided_at": first}


def sort_key(row: Row) -> tuple[Any, ...]:
    """Return what the view orders the rows of an upload by."""
    return rank_of(row["outcome"]), -row["decided_at"].timestamp(), row["result_id"]


@cache
def rows_of(body: bytes) -> list[Row]:
    rows: list[Row] = parquet.read_table(io.BytesIO(body)).to_pylist()
    return rows
