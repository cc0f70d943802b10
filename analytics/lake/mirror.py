"""The mirror: a folder on the laptop that holds what the results bucket holds, for the local Athena."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from analytics.lake.files import StoredFile, write_whole
from ingest.errors import SconesError

INDEX = ".mirror.json"
"""File in the folder that lists what it holds, `{path: [ETag, size in bytes]}`. With it, a mirror of an
unchanged bucket is one listing."""

_PARALLEL_DOWNLOADS = 8
_ATTEMPTS = 8


class MirrorFailed(SconesError):
    """The folder could not be made equal to the bucket."""


@dataclass(frozen=True)
class MirrorReport:
    """What a mirror did."""

    files: int
    """Files in the folder now."""
    downloaded: int
    downloaded_bytes: int
    deleted: int


class Bucket(Protocol):
    """What a mirror needs of the results bucket."""

    name: str

    def pages(self, prefix: str) -> Iterator[dict[str, StoredFile]]:
        """Yield the Parquet files under a prefix by their paths, a page of the listing at a time."""
        ...

    def fetch(self, path: str, folder: Path, etag: str | None = None) -> bool:
        """Copy a file into a folder. Return False if it is gone or has another ETag."""
        ...


def mirror(bucket: Bucket, folder: Path, prefix: str = "predictions/") -> MirrorReport:
    """Make `folder` hold the bucket's Parquet files under `prefix`, at the same relative paths.

    Files are written and removed whole, and new files come before old ones go. So a reader of the folder
    meets duplicates, which the views drop, but never a gap. Every row that was in the bucket when the mirror
    began is there when it ends, also while a writer or a compaction works on the bucket.

    Raises:
        MirrorFailed: the folder has Parquet files that are not the mirror's, or the bucket kept changing.
        botocore.exceptions.ClientError: S3 refused.
    """
    downloaded: dict[str, int] = {}
    before: Mapping[str, StoredFile] | None = None
    with _index(folder, prefix) as held:
        for _ in range(_ATTEMPTS):
            listed, pages = _list(bucket, prefix)
            wanted = {key: stored for key, stored in listed.items() if held.get(key) != stored}
            complete = _download(bucket, folder, wanted, held)
            downloaded.update({key: held[key].size_bytes for key in wanted if key in held})
            # A listing of several pages is not atomic: rows that move from a later page to an earlier one are
            # in neither. The next listing then lacks a file that this one has.
            settled = pages <= 1 or (before is not None and before.keys() <= listed.keys())
            if complete and settled:
                deleted = _delete_others(folder, prefix, held, listed)
                return MirrorReport(len(listed), len(downloaded), sum(downloaded.values()), deleted)
            before = listed
    raise MirrorFailed(
        f"The files under s3://{bucket.name}/{prefix} changed during each of {_ATTEMPTS} attempts to copy "
        "them. Run it again when less is being written."
    )


def _list(bucket: Bucket, prefix: str) -> tuple[dict[str, StoredFile], int]:
    """Return the files under a prefix, and of how many pages the listing was."""
    pages = list(bucket.pages(prefix))
    return {path: stored for page in pages for path, stored in page.items()}, len(pages)


def _download(
    bucket: Bucket, folder: Path, wanted: Mapping[str, StoredFile], held: dict[str, StoredFile]
) -> bool:
    """Copy the wanted files, and note each in `held`; tell whether all were still as listed."""

    def fetch(path: str) -> bool:
        if not bucket.fetch(path, folder, wanted[path].etag):
            return False
        held[path] = wanted[path]
        return True

    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        return all(list(pool.map(fetch, wanted)))


def _delete_others(
    folder: Path, prefix: str, held: dict[str, StoredFile], listed: Mapping[str, StoredFile]
) -> int:
    others = _local_keys(folder, prefix) - listed.keys()
    for key in others:
        (folder / key).unlink()
    for key in held.keys() - listed.keys():
        del held[key]
    return len(others)


def _local_keys(folder: Path, prefix: str) -> set[str]:
    paths = folder.glob("**/*.parquet")
    return {key for path in paths if (key := path.relative_to(folder).as_posix()).startswith(prefix)}


@contextmanager
def _index(folder: Path, prefix: str) -> Iterator[dict[str, StoredFile]]:
    """Yield what the folder holds under `prefix`, and keep what it holds afterwards, also after a failure."""
    path = folder / INDEX
    known: dict[str, list[Any]] = {}
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
    elif _local_keys(folder, prefix):
        raise MirrorFailed(
            f"{folder} has Parquet files but is not a mirror (it has no {INDEX}). Name an empty folder."
        )
    else:
        write_whole(path, [b"{}"])
    held = {key: StoredFile(*value) for key, value in known.items() if _is_there(folder / key, value)}
    others = {key: stored for key, stored in held.items() if not key.startswith(prefix)}
    held = {key: stored for key, stored in held.items() if key.startswith(prefix)}
    try:
        yield held
    finally:
        now = {key: [stored.etag, stored.size_bytes] for key, stored in {**others, **held}.items()}
        if now != known:
            write_whole(path, [json.dumps(now).encode()])


def _is_there(path: Path, value: list[Any]) -> bool:
    try:
        return path.stat().st_size == int(value[1])
    except OSError:
        return False
