"""Reads a folder of images to drop: its files by their keys, and what is left out or looks odd."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from analytics.text import first_of
from infra.operations.listing import matches
from ingest.errors import RejectedImage, SconesError
from ingest.formats import HEAD_BYTES, format_of
from ingest.system_files import system_part, twins

_IMAGE = "an image"


class NothingToDrop(SconesError):
    """The folder has no images."""


@dataclass(frozen=True)
class ImageFolder:
    """What a folder has."""

    files: dict[str, Path]
    """Every file by its key: its path from the folder, with slashes.

    A key is UTF-8. Other bytes of a name are written as in Python, `\\xff`.
    """
    notes: list[str]
    """Sentences on files and links that are left out or lead elsewhere, and on names that look the same."""


def read_folder(folder: Path) -> ImageFolder:
    """Look at every file below a folder, and leave out those of systems and links that lead to no image.

    Raises:
        NothingToDrop: no file is left.
    """
    by_system: Counter[str] = Counter()
    files: list[Path] = []
    closed_folders: list[Path] = []
    closed_files: list[Path] = []
    links: dict[Path, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        is_link = path.is_symlink()
        # With os.path: a link may lead to where this user must not even look, which Path raises.
        is_file = os.path.isfile(path)  # noqa: PTH113
        if made_by := system_part(name):
            if is_file:
                by_system[made_by] += 1
        elif is_link:
            links[name] = _leads_to(path)
        elif is_file:
            (files if os.access(path, os.R_OK) else closed_files).append(name)
        elif path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
            closed_folders.append(name)
    followed = [name for name, what in links.items() if what == _IMAGE]
    used = sorted(files + followed)
    notes = [
        *_closed("Folders", closed_folders),
        *_closed("Files", closed_files),
        *_of_systems(by_system),
        *_left_out({name: what for name, what in links.items() if what != _IMAGE}),
        *_outside(folder, followed),
        *_twins(used),
    ]
    if not used:
        raise NothingToDrop(". ".join([f"{folder}: there are no images in it", *notes]))
    return ImageFolder({_key(name): folder / name for name in used}, notes)


def keyed(files: dict[str, Path], pattern: str) -> dict[str, Path]:
    """Return files by keys that a stack classifies: below its prefix, without those of another ending.

    Raises:
        NothingToDrop: none has the ending.
    """
    prefix = pattern.partition("*")[0]
    below = {key if key.startswith(prefix) else f"{prefix}{key}": path for key, path in files.items()}
    fitting = {key: path for key, path in below.items() if matches(key, pattern)}
    if not fitting:
        raise NothingToDrop(f"none of the files is an image of this stack: its keys are like {pattern}")
    return fitting


def _key(name: Path) -> str:
    return os.fsencode(name.as_posix()).decode("utf-8", "backslashreplace")


def _leads_to(link: Path) -> str:
    """Return what a link leads to.

    An unpacked archive may have links to any file of this machine: what is no image must not be sent.
    """
    try:
        if link.is_dir():
            return "a folder"
        if not link.is_file():
            return "no file"
        with link.open("rb") as file:
            format_of(file.read(HEAD_BYTES))
    except OSError:
        return "nothing that can be read"
    except RejectedImage as rejected:
        return "no image" if rejected.reason == "not_an_image" else _IMAGE
    return _IMAGE


def _closed(what: str, names: list[Path]) -> list[str]:
    return [f"{what} that cannot be read are left out ({len(names):,}): {first_of(names)}"] if names else []


def _of_systems(counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    named = ", ".join(f"{part} ({count:,})" for part, count in sorted(counts.items()))
    return [f"Files of operating systems and of version control are left out: {named}"]


def _left_out(links: dict[Path, str]) -> list[str]:
    if not links:
        return []
    named = first_of(f"{name} ({what})" for name, what in links.items())
    return [f"Links that lead to no image are left out ({len(links):,}): {named}"]


def _outside(folder: Path, links: Iterable[Path]) -> list[str]:
    root = folder.resolve()
    targets = {name: (folder / name).resolve() for name in links}
    outside = [f"{name} → {to}" for name, to in targets.items() if not to.is_relative_to(root)]
    if not outside:
        return []
    return [f"Links to images outside of the folder are followed ({len(outside):,}): {first_of(outside)}"]


def _twins(names: Iterable[Path]) -> list[str]:
    groups = twins(name.as_posix() for name in names)
    if not groups:
        return []
    return [
        "Names that look the same, and differ only in Unicode normalisation "
        f"({len(groups):,}, each is an image of its own): {first_of(group[0] for group in groups)}"
    ]
