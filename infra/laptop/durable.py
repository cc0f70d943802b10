"""Writes S3's objects to the disk before they are acknowledged, and refuses what the disk does not take.

ministack acknowledges an object that it could not write, and only logs it: on a full disk, a restart loses
the object. It answers with an empty body where it cannot read one. Here an object, its metadata and the
version that it replaces are written before its event is sent. Where that fails, nothing of the object stays,
on disk or in memory, and the request is answered with 507 (`InsufficientStorage`), or with 503 where a later
retry may succeed.

Bodies are read from the disk when they are asked for: ministack keeps those of a versioned bucket in memory
as well. A folder's real path is looked up once. ministack follows each part of an object's path several
times, and whoever waits for the disk has to wait for the interpreter, too.
"""

import errno
import json
import os
import stat
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ministack.core.responses import get_account_id
from ministack.services import s3

from infra.laptop.changed import changed

_FOLDERS = 4_096
"""How many folders are remembered."""
_folders: dict[str, bool] = {}
"""Folders that were asked about, and whether they are there."""
_SMALL_BYTES = 65_536
"""A file below this size is read by one call of the system."""
_last_written: deque[tuple[str, str, str, bytes]] = deque(maxlen=1)
"""Account, bucket, key and metadata of the object that was written last, if nothing was since."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def install() -> None:
    """Replace ministack's functions. Its objects must be kept on the disk: S3_PERSIST=1."""
    s3._persist_object = persist
    s3._persist_displaced_version = _persist_displaced
    s3._persist_delete_marker = _persist_delete_marker
    s3._read_body = read_body
    s3._version_body = read_version
    s3._record_object_version = _whole_or_not_at_all(s3._record_object_version, _persist_recorded)
    s3._record_delete_marker = _whole_or_not_at_all(s3._record_delete_marker)
    s3._complete_multipart_upload = _keeping_parts(s3._complete_multipart_upload)
    s3._dispatch = refusing(s3._dispatch)
    s3._key_disk_path = finding(s3._key_disk_path)
    s3._other_key_disk_path = changed(
        s3._other_key_disk_path, {"os.path.realpath(": "_real_path("}, _real_path=real_path
    )
    s3._remove_key_files = _where_there_are_some(s3._remove_key_files)


def real_path(path: str) -> str:
    """Return what `os.path.realpath` does, as long as no folder becomes a link.

    The path ends in a name: keys with an empty part, `.` or `..` do not come here, as ministack encodes them.
    """
    folder, name = os.path.split(path)
    whole = os.path.join(_real_folder(folder), name)  # noqa: PTH118 - as ministack
    return os.path.realpath(path) if os.path.islink(whole) else whole  # noqa: PTH114


def finding(key_disk_path: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """Return ministack's search for the file of a key, which asks the disk twice in place of nine times."""

    def wrapped(base: str, key: str) -> str:
        root = _real_folder(base)
        plain = os.path.join(root, key)  # noqa: PTH118 - as ministack
        if not s3._plain_path_key(key) or not s3._under(root, _real_folder(os.path.dirname(plain)) + "/-"):  # noqa: PTH120
            return key_disk_path(base, key)
        try:
            mode = os.lstat(plain).st_mode
        except FileNotFoundError:
            mode = 0
        except OSError:  # a folder of its path is a file
            return key_disk_path(base, key)
        if stat.S_ISREG(mode):
            return plain
        if mode or _is_folder(os.path.join(root, s3._ENCODED_KEYS_DIR)):  # noqa: PTH118
            return key_disk_path(base, key)
        return plain

    return wrapped


def _where_there_are_some(remove_key_files: Callable[[str | None], None]) -> Callable[[str | None], None]:
    def wrapped(path: str | None) -> None:
        if path and _is_folder(os.path.dirname(path)):  # noqa: PTH120 - as ministack
            remove_key_files(path)

    return wrapped


def _is_folder(path: str) -> bool:
    """Tell whether there is such a folder. `_created`, which makes those that are missing, corrects it."""
    known = _folders.get(path)
    if known is None:
        if len(_folders) >= _FOLDERS:
            _folders.clear()
        # Not an assignment: the folder may be made between the question and the answer.
        known = _folders.setdefault(path, os.path.isdir(path))  # noqa: PTH112 - as ministack
    return known


@lru_cache(_FOLDERS)
def _real_folder(path: str) -> str:
    return os.path.realpath(path)


def refusing(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    """Return ministack's dispatcher of S3 requests, extended to answer errors of the disk."""

    def wrapped(method: str, bucket: str, key: str, *arguments: Any) -> Any:
        try:
            return dispatch(method, bucket, key, *arguments)
        except OSError as error:
            said = f"The embedded AWS's disk refused it: {os.strerror(error.errno or errno.EIO)}."
            if error.errno in _FULL:
                return s3._error("InsufficientStorage", f"{said} It is not stored.", 507, f"/{bucket}/{key}")
            return s3._error("ServiceUnavailable", said, 503, f"/{bucket}/{key}")

    return wrapped


def persist(bucket_name: str, key: str, record: dict[str, Any]) -> None:
    """Write an object, and its metadata beside it.

    Raises:
        OSError: the disk does not take it; what it replaces stands.
    """
    metadata = {
        **s3._object_meta_from_record(record),
        **s3._key_history_meta(bucket_name, key),
        "key": key,
    }
    text = json.dumps(metadata).encode()
    body = record.get("body")
    written = get_account_id(), bucket_name, key, text
    if body is None and written in _last_written:  # ministack persists a new version once more
        return
    path = s3._object_disk_path(bucket_name, key)
    sidecar = f"{path}.meta.json"
    if body is None and _reads(sidecar) == text:
        return
    files = {sidecar: text} if body is None else {path: body, sidecar: text}
    if not Path(path).exists():
        # Metadata without a body is not read at a start, so that a new object is there whole or not at all.
        files = dict(reversed(files.items()))
    write_all(files)
    record["body"] = None
    bucket_folder = os.path.join(s3.DATA_DIR, get_account_id(), bucket_name)  # noqa: PTH118 - as ministack
    s3._remove_key_files(s3._other_key_disk_path(bucket_folder, key, path))
    _last_written.append(written)


def write_all(files: Mapping[str, bytes]) -> None:
    """Write files, readable for their owner alone: all of them, or none.

    Raises:
        OSError: one could not be written.
    """
    _last_written.clear()
    try:
        for path, content in files.items():
            _write(_temporary(path), content)
        for path in files:
            Path(_temporary(path)).replace(path)
    except OSError:
        for path in files:
            with suppress(OSError):
                Path(_temporary(path)).unlink()
        raise


def read_body(bucket_name: str, key: str, record: dict[str, Any]) -> bytes:
    """Return the body of an object.

    Raises:
        OSError: it cannot be read.
    """
    body: bytes | None = record.get("body")
    return _content(s3._object_disk_path(bucket_name, key)) if body is None else body


def read_version(bucket: dict[str, Any], bucket_name: str, key: str, version: dict[str, Any]) -> bytes | None:
    """Return the body of a version of an object; None if it is gone.

    Raises:
        OSError: it cannot be read.
    """
    body: bytes | None = version.get("data")
    if body is not None:
        return body
    current = bucket["objects"].get(key)
    is_current = current is not None and (current.get("version_id") or "null") == version["version_id"]
    if is_current:
        with suppress(FileNotFoundError):  # what was current again before a restart may be among the others
            return read_body(bucket_name, key, current)
    if s3._version_file_exists(bucket_name, key, version["version_id"]):
        return _content(s3._version_disk_path(bucket_name, key, version["version_id"]))
    return read_body(bucket_name, key, current) if is_current else None


def _whole_or_not_at_all(
    record: Callable[..., Any], then: Callable[..., None] | None = None
) -> Callable[..., Any]:
    """Return a recorder of a version that leaves everything as it was if the disk refuses."""

    def wrapped(bucket_name: str, key: str, replaced: dict[str, Any] | None, *more: Any) -> Any:
        versions = s3._object_versions.get((bucket_name, key))
        before = versions and [dict(version) for version in versions]
        try:
            recorded = record(bucket_name, key, replaced, *more)
            if then:
                then(bucket_name, key, *more)
        except OSError:
            _restore(bucket_name, key, replaced, before)
            raise
        if s3._bucket_versioning.get(bucket_name) == "Suspended":
            s3._delete_version_file(bucket_name, key, "null")
        return recorded

    return wrapped


def _persist_recorded(bucket_name: str, key: str, record: dict[str, Any], _: bytes) -> None:
    persist(bucket_name, key, record)
    for version in s3._object_versions.get((bucket_name, key), ()):
        if version["version_id"] == (record.get("version_id") or "null"):
            version["data"] = None


def _restore(
    bucket_name: str, key: str, replaced: dict[str, Any] | None, versions: list[dict[str, Any]] | None
) -> None:
    objects = s3._buckets[bucket_name]["objects"]
    if replaced is None:
        objects.pop(key, None)
    else:
        objects[key] = replaced
        s3._delete_version_file(bucket_name, key, replaced.get("version_id") or "null")
    if versions is None:
        s3._object_versions.pop((bucket_name, key), None)
    else:
        s3._object_versions[bucket_name, key] = versions


def _persist_displaced(bucket_name: str, key: str, replaced: dict[str, Any] | None, versioning: str) -> None:
    """Write the version that another one replaces, unless it is to be gone."""
    version_id = replaced and (replaced.get("version_id") or "null")
    if replaced is None or (versioning == "Suspended" and version_id == "null"):
        return
    path = s3._version_disk_path(bucket_name, key, version_id)
    write_all({path: read_body(bucket_name, key, replaced)})


def _persist_delete_marker(bucket_name: str, key: str, marker: dict[str, Any]) -> None:
    metadata = {
        "is_delete_marker": True,
        "version_id": marker.get("version_id"),
        "last_modified": marker.get("last_modified", ""),
        **s3._key_history_meta(bucket_name, key),
        "key": key,
    }
    write_all({f"{s3._object_disk_path(bucket_name, key)}.meta.json": json.dumps(metadata).encode()})


def _keeping_parts(complete: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(bucket_name: str, key: str, body: bytes, query: dict[str, Any], *more: Any) -> Any:
        upload_id = s3._qp(query, "uploadId")
        upload = s3._multipart_uploads.get(upload_id)
        try:
            return complete(bucket_name, key, body, query, *more)
        except OSError:
            if upload is not None:  # it can be completed later, or aborted
                s3._multipart_uploads[upload_id] = upload
            raise

    return wrapped


def _reads(path: str) -> bytes | None:
    try:
        return _content(path)
    except FileNotFoundError:
        return None


def _write(path: str, content: bytes) -> None:
    """Write a file, in few calls of the system: each gives the interpreter to another thread."""
    file = _created(path)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(file, left) :]
    finally:
        os.close(file)


def _content(path: str) -> bytes:
    """Return the content of a file, as `_write`."""
    file = os.open(path, os.O_RDONLY)
    try:
        pieces = [os.read(file, _SMALL_BYTES)]
        if len(pieces[0]) == _SMALL_BYTES:
            size = os.fstat(file).st_size
            while piece := os.read(file, size):
                pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(file)


def _created(path: str) -> int:
    """Open a file to write it. Its folder is made only where it is missing, which is seldom."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        folder = Path(path).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _folders.update((str(each), True) for each in (folder, *folder.parents))
        return os.open(path, flags, 0o600)


def _temporary(path: str) -> str:
    return f"{path}.tmp"
