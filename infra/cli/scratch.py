"""Temporary files of commands: below the state folder, where those of a killed command are found."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "lock"


@contextmanager
def temporary_files(below: Path) -> Iterator[Path]:
    """Have this process, and those that it starts, write temporary files to a folder of its own.

    It is deleted afterwards. What commands left there that were killed is deleted first.
    """
    below.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (below / _LOCK).open("wb") as turn:
        # One command at a time: another one's folder has no lock of its own for a moment.
        fcntl.flock(turn, fcntl.LOCK_EX)
        for left in below.iterdir():
            if left.is_dir() and not _is_in_use(left):
                shutil.rmtree(left, ignore_errors=True)
        own = Path(tempfile.mkdtemp(dir=below))
        lock = (own / _LOCK).open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
    before, variable = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(own)
    try:
        yield own
    finally:
        tempfile.tempdir = before
        os.environ.pop("TMPDIR")
        if variable is not None:
            os.environ["TMPDIR"] = variable
        shutil.rmtree(own, ignore_errors=True)
        lock.close()


def _is_in_use(folder: Path) -> bool:
    """Tell whether the command that made a folder holds its lock, whichever container it runs in."""
    try:
        with (folder / _LOCK).open("r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
