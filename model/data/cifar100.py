"""CIFAR-100: the official archive → labelled images of any of its classes; small archives in its layout.

The archive (https://www.cs.toronto.edu/~kriz/cifar.html, "CIFAR-100 python version") holds `meta`, `train`
and `test` in `cifar-100-python/`, each a pickled dictionary. Its files are not written to disk, and the
unpickler cannot be made to run code.
"""

import codecs
import difflib
import hashlib
import http
import http.client
import io
import lzma
import pickle
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from model.data.dataset import DataError, Dataset

URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
"""MD5 of the file at `URL`, from its page: it detects damage, not malice."""

FOLDER = "cifar-100-python"
PART_MAX_BYTES = 256 * 1024 * 1024
"""The largest official part, `train`, has 155 MB."""
_SIZE_PX = 32
"""Width and height of its images."""
_CHUNK_BYTES = 1024 * 1024
_TIMEOUT_S = 30

Part = Literal["train", "test"]
Progress = Callable[[int, int], None]
"""Called with the bytes received and the bytes in total."""


def download(path: Path, progress: Progress, url: str = URL, md5: str = MD5) -> None:
    """Download the official archive to `path`, unless it exists; an interrupted download is continued.

    Raises:
        DataError: the server cannot be reached, or what it sent is not the archive.
    """
    if path.exists():
        return
    partial = path.with_name(path.name + ".part")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, partial, progress)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(
            f"downloading {url} failed ({error}): run it again to continue where it stopped"
        ) from error
    with partial.open("rb") as file:
        actual = hashlib.file_digest(file, "md5").hexdigest()
    if actual != md5:
        partial.unlink()
        raise DataError(f"{url} sent a file with the MD5 {actual}, not {md5}: it was deleted; try again")
    partial.rename(path)


def read(path: Path, classes: Sequence[str], part: Part = "train") -> Dataset:
    """Return the images of these classes; if none is given, of all classes that have images.

    Labels are indices into `classes`. An archive may lack classes or a part.

    Raises:
        DataError: the file is not such an archive, is damaged, lacks the part, or has no such class.
    """
    members = _members(path, ("meta", part))
    for name in ("meta", part):
        if name not in members:
            raise DataError(
                f"{path.name} has no {FOLDER}/{name}: it is not a CIFAR-100 archive, or only a part of one"
            )
    meta, content = (_unpickle(members[name], f"{path.name}: {FOLDER}/{name}") for name in ("meta", part))
    known = _texts(meta, "fine_label_names", path)
    for name in classes:
        if name not in known:
            close = difflib.get_close_matches(name, known)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(known[:5])}, …"
            raise DataError(f"{path.name} has no class {name!r}: {hint}")
    data, fine = content.get("data"), content.get("fine_labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3 * _SIZE_PX**2,):
        raise DataError(f"{path.name}: the images of {FOLDER}/{part} are not rows of {3 * _SIZE_PX**2} bytes")
    if not isinstance(fine, list) or len(fine) != len(data) or not all(_is_index(i, known) for i in fine):
        raise DataError(f"{path.name}: the labels of {FOLDER}/{part} do not fit its images and classes")
    chosen = tuple(classes) or tuple(name for i, name in enumerate(known) if i in set(fine))
    place = {known.index(name): i for i, name in enumerate(chosen)}
    rows = np.array([i for i, label in enumerate(fine) if label in place], dtype=np.int64)
    if not len(rows):
        raise DataError(f"{path.name}: {FOLDER}/{part} has no image of {' or '.join(chosen) or 'anything'}")
    names = (
        _texts(content, "filenames", path)
        if "filenames" in content
        else [f"{part} {i}" for i in range(len(data))]
    )
    if len(names) != len(data):
        raise DataError(f"{path.name}: {FOLDER}/{part} has {len(data)} images, but {len(names)} file names")
    return Dataset(
        pixels=np.ascontiguousarray(data[rows].reshape(-1, 3, _SIZE_PX, _SIZE_PX).transpose(0, 2, 3, 1)),
        labels=np.array([place[fine[i]] for i in rows], dtype=np.int64),
        classes=chosen,
        names=tuple(names[i] for i in rows),
    )


def write(path: Path, parts: Mapping[Part, Dataset]) -> None:
    """Write a small archive in the official layout, pickled the way Python 2 pickled it.

    All parts must have the same classes.
    """
    classes = next(iter(parts.values())).classes
    contents: dict[str, dict[bytes, Any]] = {
        "meta": {b"fine_label_names": [name.encode() for name in classes], b"coarse_label_names": []}
    }
    for part, dataset in parts.items():
        contents[part] = {
            b"filenames": [name.encode() for name in dataset.names],
            b"batch_label": f"{part}ing batch 1 of 1".encode(),
            b"fine_labels": dataset.labels.tolist(),
            b"coarse_labels": [0] * len(dataset.labels),
            b"data": np.ascontiguousarray(dataset.pixels.transpose(0, 3, 1, 2)).reshape(
                len(dataset.labels), -1
            ),
        }
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            data = pickle.dumps(content, protocol=2)
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def parts_of(path: Path) -> set[str]:
    """Return which of `meta`, `train` and `test` the archive holds.

    Raises:
        DataError: the file is not a sound archive.
    """
    return set(_members(path, ()))


def _fetch(url: str, partial: Path, progress: Progress) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})  # noqa: S310 - fixed URL
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - fixed URL
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # the file is complete already
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            there = 0  # the server sends all of it again
        total = there + int(response.headers.get("Content-Length", 0))
        with partial.open("ab" if there else "wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                there += len(chunk)
                progress(there, total)
    if there < total:
        raise ConnectionError(f"the connection ended after {there:,} of {total:,} bytes")


def _members(path: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Return the archive's parts by name, with the content of the wanted ones only."""
    members = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for entry in archive:
                folder, _, name = entry.name.removeprefix("./").rpartition("/")
                if folder != FOLDER or name not in ("meta", "train", "test") or not entry.isfile():
                    continue
                if entry.size > PART_MAX_BYTES:
                    raise DataError(
                        f"{path.name}: {entry.name} has {entry.size:,} bytes, far more than it should"
                    )
                file = archive.extractfile(entry) if name in wanted else None
                members[name] = file.read() if file else b""
            while archive.fileobj and archive.fileobj.read(_CHUNK_BYTES):
                pass  # the checksum is behind the last entry
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        first_line = str(error).partition("\n")[0].rstrip(":")
        raise DataError(
            f"{path.name} is damaged, cut short or no tar archive ({first_line}): get it again"
        ) from error
    return members


class _Unpickler(pickle.Unpickler):
    """Unpickles lists, dictionaries, numbers, texts and plain numpy arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return np.empty(0).__reduce__()[0]
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return np.dtype
            case "_codecs", "encode":
                return _latin1  # how Python 3 writes bytes for Python 2
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _latin1(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return codecs.encode(text, "latin1")


def _unpickle(data: bytes, where: str) -> dict[str, Any]:
    """Return a pickled dictionary with text keys, whichever version of Python wrote it."""
    try:
        content = _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a hostile or damaged pickle raises anything
        raise DataError(f"{where} is not a part of CIFAR-100 ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{where} is not a part of CIFAR-100 (no dictionary)")
    return {_text(key): value for key, value in content.items()}


def _texts(content: Mapping[str, Any], key: str, path: Path) -> list[str]:
    values = content.get(key)
    if not isinstance(values, list) or not all(isinstance(value, bytes | str) for value in values):
        raise DataError(f"{path.name}: {key} is not a list of names")
    return [_text(value) for value in values]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _is_index(label: Any, known: Sequence[str]) -> bool:
    return isinstance(label, int) and 0 <= label < len(known)
