"""Where and when Linux lets the laptop's processes run.

The embedded AWS hands out all work, and is one process among a dozen on a few cores. Its threads take turns
with one interpreter: spread over cores, they wait for each other's core as well. And where a Lambda or the
endpoint interrupts it, the others soon have nothing to do. Elsewhere than on Linux, nothing changes.

Source: https://man7.org/linux/man-pages/man7/sched.7.html
"""

import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FEW_CORES = 4
"""With more, there is an idle one to wake up on, and they may differ in speed."""
_CORES = os.sched_getaffinity(0) if sys.platform == "linux" else set[int]()
"""Those that this process was started on; none on other systems."""


def run_without_interrupting(pid: int = 0) -> None:
    """Let a process (0: this one) have its share of the cores, and interrupt nothing when it wakes."""
    if sys.platform == "linux":
        with suppress(OSError):  # it has ended, or a container does not allow it
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def stay_on_one_core() -> None:
    """Let this thread run on one core, of few, and all that it starts."""
    if 0 < len(_CORES) <= FEW_CORES:
        _use({random.choice(sorted(_CORES))})


@contextmanager
def on_all_cores() -> Iterator[None]:
    """Let this thread run on every core, and what it starts meanwhile: processes, and libraries' threads."""
    before = os.sched_getaffinity(0) if sys.platform == "linux" else _CORES
    _use(_CORES)
    try:
        yield
    finally:
        _use(before)


def _use(cores: set[int]) -> None:
    if sys.platform == "linux":
        with suppress(OSError):  # a container does not allow it, or has other cores by now
            os.sched_setaffinity(0, cores)
