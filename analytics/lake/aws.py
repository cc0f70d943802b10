"""The results bucket: Record's files go in, and are mirrored into a folder for the local Athena."""

import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as parquet
from botocore.config import Config
from botocore.exceptions import ClientError

from ingest.errors import SconesError

INDEX = ".mirror.json"
"""What the folder holds, `{key: [ETag, size in bytes]}`: it makes a mirror of nothing new one listing."""

_PARALLEL_DOWNLOADS = 8
_ATTEMPTS = 8
_DELETIONS_AT_ONCE = 1000
"""As many as S3 takes in one request."""

# Of segments that neither climb (`..`) nor hide (`.x`, `_x`, which Athena does not read either).
_KEY = re.compile(r"[\w=-][\w=.+-]*(/[A-Za-z0-9=-][\w=.+-]*)*\.parquet", re.ASCII)


class ResultsBucket:
    """Where the table's files are."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3 = s3
        self._name = name

    @classmethod
    def connect(cls, name: str) -> "ResultsBucket":
        """Return it with a client of its own; a write that stalls is given up within Record's time."""
        config = Config(
            connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
        )
        return cls(boto3.client("s3", config=config), name)

    def write(self, path: str, table: pa.Table) -> None:
        """Write a table as one Parquet file; it is there whole or not at all."""
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        self._s3.put_object(Bucket=self._name, Key=path, Body=buffer.getvalue())

    def list_files(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the path and the size in bytes of each Parquet file under a prefix."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._name, Prefix=prefix):
            for item in page.get("Contents", ()):
                if _KEY.fullmatch(item["Key"]):
                    yield item["Key"], item["Size"]

    def download(self, paths: Iterable[str], folder: Path) -> dict[str, Path]:
        """Copy files into a folder; those that are gone are left out."""

        def fetch(path: str) -> tuple[str, Path] | None:
            try:
                body = self._s3.get_object(Bucket=self._name, Key=path)["Body"]
            except self._s3.exceptions.NoSuchKey:
                return None
            with body:
                _write(folder / path, body.iter_chunks(1 << 20))
            return path, folder / path

        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            return dict(filter(None, pool.map(fetch, paths)))

    def upload(self, file: Path, path: str) -> None:
        """Put a file under a path; it is there whole or not at all."""
        with file.open("rb") as body:
            self._s3.put_object(Bucket=self._name, Key=path, Body=body)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is gone already is no error."""
        left = list(paths)
        while left:
            some, left = left[:_DELETIONS_AT_ONCE], left[_DELETIONS_AT_ONCE:]
            objects = [{"Key": path} for path in some]
            answer = self._s3.delete_objects(Bucket=self._name, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise DeletionRefused(f"{len(errors)} files under {self._name} are still there: {errors[0]}")


class DeletionRefused(SconesError):
    """S3 did not delete files, and what it said."""


class MirrorFailed(SconesError):
    """The folder could not be made equal to the bucket, and why."""


@dataclass(frozen=True)
class MirrorReport:
    """What a mirror did."""

    files: int
    """In the folder now."""
    downloaded: int
    downloaded_bytes: int
    deleted: int


@dataclass(frozen=True)
class _Stored:
    etag: str
    size_bytes: int


class _Moved(Exception):
    """An object was replaced or deleted after it was listed."""


def mirror(s3: Any, bucket: str, folder: Path, prefix: str = "predictions/") -> MirrorReport:
    """Make `folder` hold the bucket's Parquet files under `prefix`, at the same relative paths.

    Files are written and removed whole, new ones before old ones go, so that a reader of the folder meets
    duplicates (which the views drop) but never a gap. Every row that was in the bucket when the mirror began
    is there when it ends, also while a writer or a compaction works on the bucket.

    Raises:
        MirrorFailed: the folder has Parquet files of somebody else, or the bucket never stood still.
        botocore.exceptions.ClientError: S3 refused.
    """
    downloaded: dict[str, int] = {}
    before: Mapping[str, _Stored] | None = None
    with _index(folder, prefix) as held:
        for _ in range(_ATTEMPTS):
            listed, pages = _list(s3, bucket, prefix)
            wanted = {key: stored for key, stored in listed.items() if held.get(key) != stored}
            complete = _download(s3, bucket, folder, wanted, held)
            downloaded.update({key: held[key].size_bytes for key in wanted if key in held})
            # A listing of several pages is not of one moment: what moved from a later page to an earlier one
            # is in neither. It then differs from the next listing by the file that is gone.
            settled = pages <= 1 or (before is not None and before.keys() <= listed.keys())
            if complete and settled:
                deleted = _delete_others(folder, prefix, held, listed)
                return MirrorReport(len(listed), len(downloaded), sum(downloaded.values()), deleted)
            before = listed
    raise MirrorFailed(
        f"The files under s3://{bucket}/{prefix} changed during each of {_ATTEMPTS} attempts to copy them. "
        "Run it again when less is being written."
    )


def _list(s3: Any, bucket: str, prefix: str) -> tuple[dict[str, _Stored], int]:
    listed: dict[str, _Stored] = {}
    pages = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        pages += 1
        for item in page.get("Contents", ()):
            if _KEY.fullmatch(item["Key"]):
                listed[item["Key"]] = _Stored(item["ETag"], item["Size"])
    return listed, pages


def _download(
    s3: Any, bucket: str, folder: Path, wanted: Mapping[str, _Stored], held: dict[str, _Stored]
) -> bool:
    """Bring the wanted objects, note them in `held`; return whether all were still as listed."""

    def fetch(key: str) -> bool:
        try:
            _fetch(s3, bucket, key, wanted[key], folder)
        except _Moved:
            return False
        held[key] = wanted[key]
        return True

    with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
        return all(list(pool.map(fetch, wanted)))


def _fetch(s3: Any, bucket: str, key: str, stored: _Stored, folder: Path) -> None:
    try:
        body = s3.get_object(Bucket=bucket, Key=key, IfMatch=stored.etag)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404", "PreconditionFailed", "412"):
            raise _Moved from error
        raise
    with body:
        _write(folder / key, body.iter_chunks(1 << 20))


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
        os.replace(name, path)  # noqa: PTH105 - Path.replace is the same call, with one more object
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def _delete_others(folder: Path, prefix: str, held: dict[str, _Stored], listed: Mapping[str, _Stored]) -> int:
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
def _index(folder: Path, prefix: str) -> Iterator[dict[str, _Stored]]:
    """Yield what the folder holds under `prefix`, and keep what it holds afterwards, also after a failure."""
    path = folder / INDEX
    known: dict[str, list[Any]] = {}
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
    elif _local_keys(folder, prefix):
        raise MirrorFailed(
            f"{folder} has Parquet files but is no mirror (it has no {INDEX}). Name an empty folder."
        )
    else:
        _write(path, iter([b"{}"]))
    held = {key: _Stored(*value) for key, value in known.items() if _is_there(folder / key, value)}
    others = {key: stored for key, stored in held.items() if not key.startswith(prefix)}
    held = {key: stored for key, stored in held.items() if key.startswith(prefix)}
    try:
        yield held
    finally:
        now = {key: [stored.etag, stored.size_bytes] for key, stored in {**others, **held}.items()}
        if now != known:
            _write(path, iter([json.dumps(now).encode()]))


def _is_there(path: Path, value: list[Any]) -> bool:
    try:
        return path.stat().st_size == int(value[1])
    except OSError:
        return False
