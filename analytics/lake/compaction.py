"""Compaction: any number of files of a day become one generation, each row once, in few files.

Readers count each upload once after every step, whatever runs in parallel and wherever a step fails:

- A new generation is written completely before anything is deleted, and only what was read into it is
  deleted. Files are named after a hash of their rows, so that the same name always means the same rows.
- With `keep_inputs`, a run that writes a generation deletes nothing. The next run reads it back with the
  files that it was made of, gets the same generation again, and only then deletes them. So queries that run
  while a day is written keep their files, and each row has been read from its generation before a copy goes.
- Readers (the view `outcomes`) read a day's `rows-current-` files as they are only if all files of the day
  are of one generation. Otherwise they choose among the rows of each upload.
- Two compactions of one day at the same time write two generations, each with all rows that it deletes. The
  next run merges them.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from analytics.lake.columns import PREFIX
from analytics.lake.merge import merge
from analytics.lake.order import SortKey, generation_of
from ingest.errors import SconesError


class CompactionFailed(SconesError):
    """Days that could not be compacted, and why. Readers still count them correctly."""


class Files(Protocol):
    """The files of the results bucket."""

    def list_files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the path and the size in bytes of each Parquet file."""

    def download(self, paths: Iterable[str], folder: Path) -> dict[str, Path]:
        """Copy files into a folder; deleted ones are left out."""

    def upload(self, file: Path, path: str) -> None:
        """Put a file where it belongs; it is there whole or not at all."""

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is already gone is not an error."""


@dataclass(frozen=True)
class Day:
    """A day with more than one generation, or with files of none."""

    dt: str
    paths: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True)
class Compacted:
    """Result of compacting a day."""

    dt: str
    files_before: int
    files: int
    uploads: int


def to_compact(files: Iterable[tuple[str, int]], before: date | None = None) -> list[Day]:
    """Return the days that are not one generation yet, the smallest first.

    A late row, even years later, is in a file without a generation: its day is compacted again.

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
        if (before is None or dt < before.isoformat()) and not _is_one_generation(sizes)
    ]
    return sorted(chosen, key=lambda day: (day.size_bytes, day.dt))


def compact(files: Files, before: date | None = None, *, keep_inputs: bool = False) -> Iterator[Compacted]:
    """Compact each day that needs it, and yield each when it is done.

    Args:
        files: of the results bucket.
        before: leaves this day and later ones alone; None takes all.
        keep_inputs: leaves the files that a new generation was made of to the next run.

    Raises:
        CompactionFailed: at the end, if days were left as they are.
    """
    failed: dict[str, Exception] = {}
    for day in to_compact(files.list_files(PREFIX), before):
        try:
            compacted = compact_day(files, day, keep_inputs=keep_inputs)
        except Exception as error:  # an unreadable file of one day must not stop the others
            failed[day.dt] = error
        else:
            yield compacted
    if failed:
        reasons = "; ".join(f"{dt}: {error!r}" for dt, error in sorted(failed.items()))
        raise CompactionFailed(f"not compacted: {reasons}") from failed[min(failed)]


def day_of(files: Files, dt: str) -> Day:
    """Return a day as it is now, whether it needs compaction or not."""
    sizes = dict(files.list_files(f"{PREFIX}dt={dt}/"))
    return Day(dt, tuple(sorted(sizes)), sum(sizes.values()))


def compact_day(
    files: Files, day: Day, keep_to: Mapping[str, SortKey] | None = None, *, keep_inputs: bool = False
) -> Compacted:
    """Write the day's next generation, then delete the files that were read into it.

    Needs about three times the day's size on the local disk.

    Args:
        files: of the results bucket.
        day: the files to read.
        keep_to: upload id → sort key of a row on another day; rows of the upload after it are left out.
        keep_inputs: deletes only if the generation was there before.

    Raises:
        analytics.lake.merge.UnreadableFile: a file is not one of the table's; nothing was changed.
    """
    with TemporaryDirectory() as folder:
        read = files.download(day.paths, Path(folder))
        merged = merge(list(read.values()), Path(folder), f"{PREFIX}dt={day.dt}/", keep_to or {})
        for path, file in merged.files.items():
            files.upload(file, path)
        if not keep_inputs or merged.files.keys() <= read.keys():
            files.delete(sorted(read.keys() - merged.files.keys()))
    return Compacted(day.dt, len(day.paths), len(merged.files), merged.uploads)


def _is_one_generation(paths: Iterable[str]) -> bool:
    generations = {generation_of(path) for path in paths}
    return len(generations) == 1 and None not in generations
