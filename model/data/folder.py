"""A folder of labelled images: `class/…` or, already split, `train/class/…` and `test/class/…`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ingest.errors import RejectedImage
from ingest.image import MAX_BYTES, prepare, too_large
from model.data.dataset import SIZE_PX, DataError, Dataset

Progress = Callable[[int, int], None]
"""Called with the images read so far and the images there are."""


def parts_of(path: Path) -> set[str]:
    """Return the parts, `train` and `test`, that the folder is split into; an unsplit one is all `train`."""
    split = {name for name in ("train", "test") if (path / name).is_dir()}
    return split if "train" in split else {"train"}


def read(path: Path, classes: Sequence[str], part: str, progress: Progress) -> Dataset:
    """Return the images of these classes; if none is given, of every class that has a folder.

    An image is prepared exactly as it is when it is served. A file that cannot be is listed as unreadable,
    one whose name begins with a dot is none, nor is what a folder of such a name holds.

    Raises:
        DataError: there is no such folder, part or class, or no readable image.
    """
    root = path / part if (path / "train").is_dir() else path
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    known = sorted(child.name for child in root.iterdir() if child.is_dir() and not _hidden(child))
    chosen = tuple(classes) or tuple(known)
    for name in chosen:
        if name not in known:
            there = ", ".join(known[:10]) or "no folders at all"
            raise DataError(f"{root} has no folder for the class {name!r}; it has {there}")
    files = [
        (file, label)
        for label, name in enumerate(chosen)
        for file in sorted((root / name).rglob("*"))
        if (file.is_file() or (file.is_symlink() and not file.is_dir()))
        and not any(part.startswith(".") for part in file.relative_to(root / name).parts)
    ]
    pixels, labels, names, unreadable = [], [], [], []
    for done, (file, label) in enumerate(files, start=1):
        name = file.relative_to(root).as_posix()
        try:
            if file.stat().st_size > MAX_BYTES:
                raise too_large(file.stat().st_size)
            pixels.append(np.asarray(prepare(file.read_bytes(), SIZE_PX).pixels))
            labels.append(label)
            names.append(name)
        except RejectedImage as error:
            unreadable.append(f"{name}: {error}")
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror or error}")
        progress(done, len(files))
    if not pixels:
        raise DataError(f"{root} has no readable image of {', '.join(chosen) or 'any class'}")
    return Dataset(
        np.stack(pixels), np.array(labels, dtype=np.int64), chosen, tuple(names), tuple(unreadable)
    )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")
