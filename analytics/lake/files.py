"""Files of the results bucket: what a listing says about one, and writing one whole."""

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """One version of a file in the bucket."""

    etag: str
    size_bytes: int


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that a reader sees all of it or the file before it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
        os.replace(name, path)  # noqa: PTH105 - Path.replace is the same call, with one more object
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise
