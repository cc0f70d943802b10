"""The free space of the disk that holds the laptop's system."""

import shutil
from pathlib import Path

from ingest.errors import SconesError


class NotEnoughSpace(SconesError):
    """The disk lacks free space. The text says how many bytes are needed, and how many are free."""


def check_space(folder: Path, needed_bytes: int) -> None:
    """Check that the disk of a folder has some bytes free.

    Raises:
        NotEnoughSpace: it has fewer.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise NotEnoughSpace(
            f"{folder}: {needed_bytes:,} bytes of disk are needed, {free_bytes:,} are free. "
            "Delete other files, or set SCONES_HOME to a folder on another disk."
        )
