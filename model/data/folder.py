"""A folder of labelled images: `class/…` or, already split, `train/class/…` and `test/class/…`.

The test images may also be in a folder `val`, `valid` or `validation`, if there is no `test`.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath

import numpy as np

from ingest.errors import MAX_BYTES, RejectedImage, too_large
from ingest.image import as_a_model_sees
from ingest.model_input import ModelInput
from ingest.system_files import system_part, twins
from model.data.dataset import DEFAULT_FORM, DataError, Dataset

Progress = Callable[[int, int], None]
"""Called with the images read and the images in total."""

_PART_NAMES = {"train": ("train", "training"), "test": ("test", "testing", "val", "valid", "validation")}
"""Names of the folder of a part; the first that exists counts, in any case."""


def parts_of(path: Path) -> set[str]:
    """Return the parts, `train` and `test`, of the folder; an unsplit one is all `train`."""
    return set(_split(path)) or {"train"}


def read(
    path: Path, classes: Sequence[str], part: str, progress: Progress, form: ModelInput = DEFAULT_FORM
) -> Dataset:
    """Return the images of these classes; if none is given, of every class that has a folder.

    An image is prepared exactly like one that is classified by a model of this form. A file that cannot be is
    listed as unreadable. Hidden files, files of operating systems and folders of such names are not read. The
    notes name everything that was not read.

    Raises:
        DataError: there is no such folder, part or class, or no readable image.
    """
    split = _split(path)
    root = split.get(part, path / part) if split else path
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    folders = _class_folders(root)
    chosen = tuple(classes) or tuple(sorted(folders))
    for name in chosen:
        if _nfc(name) not in folders:
            raise DataError(f"{root} has no folder for the class {name!r}; it has {_there(root, folders)}")
    notes = _notes_on_parts(path, split, part) + _notes_on_root(root, folders, chosen)
    files: list[tuple[Path, int]] = []
    skipped: list[str] = []
    linked: list[str] = []
    for label, name in enumerate(chosen):
        for file in sorted(folders[_nfc(name)].rglob("*")):
            made_by = _skipped(file.relative_to(folders[_nfc(name)]))
            if file.is_dir():
                if file.is_symlink() and not made_by:
                    linked.append(f"{file.relative_to(root).as_posix()}/")
            elif file.is_file() or file.is_symlink():
                if made_by:
                    skipped.append(made_by)
                else:
                    files.append((file, label))
    notes += _counted(skipped)
    if linked:
        notes.append(f"links to folders, not read: {_listed(linked)}")
    pixels = np.empty((len(files), form.height_px, form.width_px, 3), np.uint8)
    labels: list[int] = []
    names: list[str] = []
    unreadable: list[str] = []
    for done, (file, label) in enumerate(files, start=1):
        name = file.relative_to(root).as_posix()
        try:
            if file.stat().st_size > MAX_BYTES:
                raise too_large(file.stat().st_size)
            pixels[len(labels)] = np.asarray(as_a_model_sees(form, file.read_bytes()))
            labels.append(label)
            names.append(name)
        except RejectedImage as error:
            unreadable.append(f"{name}: {error}")
        except OSError as error:
            unreadable.append(f"{name}: {error.strerror or error}")
        progress(done, len(files))
    if not labels:
        raise DataError(f"{root} has no readable image of {', '.join(chosen) or _there(root, folders)}")
    return Dataset(
        pixels[: len(labels)],
        np.array(labels, dtype=np.int64),
        chosen,
        tuple(names),
        tuple(unreadable),
        tuple(notes),
        form,
    )


def _split(path: Path) -> dict[str, Path]:
    """Return the folder of each part, or nothing for an unsplit folder.

    A folder `train` without subfolders, beside folders that are not parts, holds images of trains.
    """
    folders = {_nfc(folder.name).casefold(): folder for folder in _folders(path)}
    split = {
        part: next(folders[name] for name in names if name in folders)
        for part, names in _PART_NAMES.items()
        if not folders.keys().isdisjoint(names)
    }
    others = folders.keys() - {name for names in _PART_NAMES.values() for name in names}
    if "train" in split:
        return {} if others and not _folders(split["train"]) else split
    return {} if others else split


def _folders(path: Path) -> list[Path]:
    return [folder for folder in _children(path) if folder.is_dir() and not _skipped(PurePath(folder.name))]


def _children(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []


def _class_folders(root: Path) -> dict[str, Path]:
    """Return the folders by the NFC form of their names: macOS writes `é` as two characters.

    Raises:
        DataError: two names look the same.
    """
    folders = _folders(root)
    for group in twins(folder.name for folder in folders):
        written = " and ".join(ascii(name) for name in group)
        raise DataError(
            f"{root} has {len(group)} folders named {group[0]!r}, which differ only in Unicode normalisation "
            f"({written}): merge them"
        )
    return {_nfc(folder.name): folder for folder in folders}


def _there(root: Path, folders: Iterable[str]) -> str:
    """Return what a folder has, for people."""
    if there := sorted(folders):
        return ", ".join(there[:10])
    if files := [child for child in _children(root) if child.is_file()]:
        say = "put the images of each class into a folder of its name"
        return f"no folders at all, but {len(files)} files: {say}"
    return "no folders at all"


def _notes_on_parts(path: Path, split: dict[str, Path], part: str) -> list[str]:
    if not split:
        return []
    notes = []
    if part == "test" and split["test"].name.casefold() != "test":
        notes.append(f"the test images are those of {split['test'].name}/")
    if others := [folder.name for folder in _folders(path) if folder not in split.values()]:
        used = " and ".join(f"{folder.name}/" for folder in split.values())
        notes.append(f"not read, beside {used}: {_listed(f'{name}/' for name in others)}")
    return notes


def _notes_on_root(root: Path, folders: Iterable[str], chosen: Sequence[str]) -> list[str]:
    notes = []
    if others := sorted(set(folders) - {_nfc(name) for name in chosen}):
        notes.append(f"folders that are not of a class, not read: {_listed(f'{name}/' for name in others)}")
    children = _children(root)
    if files := [child.name for child in children if child.is_file() and not _skipped(PurePath(child.name))]:
        notes.append(f"{len(files)} files in no folder of a class, not read: {_listed(files)}")
    return notes + _counted(made_by for child in children if (made_by := _skipped(PurePath(child.name))))


def _counted(skipped: Iterable[str]) -> list[str]:
    """Return one note on hidden files and those of operating systems."""
    counts = sorted(Counter(skipped).items())
    named = _listed(f"{name} ({count})" if count > 1 else name for name, count in counts)
    return [f"hidden files and those of operating systems, not read: {named}"] if counts else []


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _skipped(path: PurePath) -> str | None:
    """Return the part of a path that is hidden or of an operating system; None if there is none."""
    return system_part(path) or next((part for part in path.parts if part.startswith(".")), None)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
