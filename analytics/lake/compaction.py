"""Compaction: any number of files of a day become one edition of it, each row once, in few files.

Every step leaves a day that counts right, whatever runs beside it and wherever it ends:

- A new edition is written whole before anything is deleted, and only what was read into it is deleted. Files
  are named by what is in them, so that a name which comes again brings the same rows again.
- Readers (the view `outcomes`) take a day's `once-` files as they stand only if all its files are of one
  edition, and choose among copies of a row otherwise.
- Two compactions of one day at the same time write two editions, of which each holds all that it deletes. The
  next run makes one of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from analytics.lake.merge import Place, Rows, edition_of, merge
from analytics.lake.schema import PREFIX
from ingest.errors import SconesError


class CompactionFailed(SconesError):
    """Days that could not be compacted, and why. They count right as they are."""


class Files(Protocol):
    """The files of the results bucket."""

    def list_files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the path and the size in bytes of each Parquet file."""

    def download(self, paths: Iterable[str], folder: Path) -> dict[str, Path]:
        """Copy files into a folder; those that are gone are left out."""

    def upload(self, file: Path, path: str) -> None:
        """Put a file where it belongs; it is there whole or not at all."""

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is gone already is no error."""


@dataclass(frozen=True)
class Day:
    """A day with more than one edition, or with files of none."""

    dt: str
    paths: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True)
class Compacted:
    """What became of a day."""

    dt: str
    files_before: int
    files: int
    rows: Rows


def to_compact(files: Iterable[tuple[str, int]], before: date | None = None) -> list[Day]:
    """Choose the days that are not one edition already, the smallest first.

    A row that comes late, by years even, is a file of no edition: it reopens its day.

    Args:
        files: path and size in bytes of every file of the table.
        before: leaves this day and later ones alone; None takes all.
    """
    days: dict[str, dict[str, int]] = defaultdict(dict)
    for path, size_bytes in files:
        days[path.removeprefix(PREFIX).partition("/")[0].removeprefix("dt=")][path] = size_bytes
    chosen = [
        Day(dt, tuple(sorted(sizes)), sum(sizes.values()))
        for dt, sizes in days.items()
        if (before is None or dt < before.isoformat()) and not _is_one_edition(sizes)
    ]
    return sorted(chosen, key=lambda day: (day.size_bytes, day.dt))


def compact(files: Files, before: date | None = None) -> Iterator[Compacted]:
    """Compact each day that needs it, and tell of each when it is done.

    Raises:
        CompactionFailed: at the end, if days were left as they are.
    """
    failed: dict[str, Exception] = {}
    for day in to_compact(files.list_files(PREFIX), before):
        try:
            compacted = compact_day(files, day)
        except Exception as error:  # one day with an unreadable file must not keep the others from it
            failed[day.dt] = error
        else:
            yield compacted
    if failed:
        reasons = "; ".join(f"{dt}: {error!r}" for dt, error in sorted(failed.items()))
        raise CompactionFailed(f"{len(failed)} days are as they were: {reasons}") from failed[min(failed)]


def day_of(files: Files, dt: str) -> Day:
    """Return a day as it is now, whether it needs compaction or not."""
    sizes = dict(files.list_files(f"{PREFIX}dt={dt}/"))
    return Day(dt, tuple(sorted(sizes)), sum(sizes.values()))


def compact_day(files: Files, day: Day, first: Mapping[str, Place] | None = None) -> Compacted:
    """Write the day's next edition, then delete the files that were read into it.

    Takes about three times the day's size on the local disk.

    Args:
        files: of the results bucket.
        day: what is to be read.
        first: upload id → the place of a row on another day, after which rows of the upload are left out.

    Raises:
        analytics.lake.merge.UnreadableFile: a file is no file of the table; nothing was changed.
    """
    with TemporaryDirectory() as folder:
        read = files.download(day.paths, Path(folder))
        merged = merge(list(read.values()), Path(folder), f"{PREFIX}dt={day.dt}/", first or {})
        for path, file in merged.files.items():
            files.upload(file, path)
        files.delete(sorted(read.keys() - merged.files.keys()))
    return Compacted(day.dt, len(day.paths), len(merged.files), merged.rows)


def _is_one_edition(paths: Iterable[str]) -> bool:
    editions = {edition_of(path) for path in paths}
    return len(editions) == 1 and None not in editions
