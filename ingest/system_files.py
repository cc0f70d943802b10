"""Names of files and folders that systems leave beside people's images: network drives, version control."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath

_NAMES = frozenset(
    {
        ".appledouble",
        ".ds_store",
        ".fseventsd",
        ".spotlight-v100",
        ".trashes",
        "__macosx",  # macOS, in archives
        "desktop.ini",
        "ehthumbs.db",
        "thumbs.db",
        "$recycle.bin",
        "system volume information",
        "@eadir",  # Synology: thumbnails, which are sound images
        "#recycle",
        "@recycle",  # QNAP
        "lost+found",
        ".dvc",  # the same images once more
        ".dvcignore",
        ".git",  # git-annex has the images there, and .git/config may have a password
        ".gitattributes",
        ".gitignore",
        ".hg",
        ".svn",
    }
)
_APPLE_DOUBLE = "._"


def system_part(path: PurePath) -> str | None:
    """Return the part of a path that a system made, as in `@eaDir`; None if no part is one."""
    for part in path.parts:
        if part.casefold() in _NAMES or part.startswith(_APPLE_DOUBLE):
            return f"{_APPLE_DOUBLE}*" if part.startswith(_APPLE_DOUBLE) else part
    return None


def twins(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of names that look the same and differ only in Unicode normalisation."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[unicodedata.normalize("NFC", name)].append(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]
