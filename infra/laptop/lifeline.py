"""A pipe from one process to another, by which the second one ends when the first one is gone."""

import os
import signal
import threading
from collections.abc import Callable

STAY = b"stay\n"
"""Written into the pipe before it closes: the other process goes on alone."""


def at_end_of_input(end: Callable[[], None]) -> None:
    """Call `end` when standard input closes, unless `STAY` came out of it; in a thread of its own."""

    def wait() -> None:
        # Unbuffered: a thread that waits inside Python's own buffer cannot be left behind at the end.
        said = b""
        while read := os.read(0, 1024):
            said += read
        if said != STAY:
            end()

    threading.Thread(target=wait, daemon=True).start()


def end_with_parent() -> None:
    """Have this process get a SIGTERM when the one that started it is gone."""
    at_end_of_input(lambda: os.kill(os.getpid(), signal.SIGTERM))
