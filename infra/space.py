"""The free space of the disk that holds the laptop's system."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

from ingest.errors import SconesError

BLOCK_BYTES = 4_096
BLOCKS_BESIDE = 4
"""Blocks of disk that an image takes on this machine besides its own: S3's metadata, and its outcome."""


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


def disk_bytes(sizes_bytes: Iterable[int]) -> int:
    """Return how many bytes of disk the images and their outcomes take on this machine."""
    return sum(
        math.ceil(size_bytes / BLOCK_BYTES + BLOCKS_BESIDE) * BLOCK_BYTES for size_bytes in sizes_bytes
    )
