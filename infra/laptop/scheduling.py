"""The order in which Linux lets the laptop's processes run.

The embedded AWS hands out all work, and is one process among a dozen on a few cores. Where a Lambda or the
endpoint interrupts it, the others soon have nothing to do.
"""

import os
import sys
from contextlib import suppress


def run_without_interrupting(pid: int = 0) -> None:
    """Let a process (0: this one) have its share of the cores, and interrupt nothing that runs when it wakes.

    Source: https://man7.org/linux/man-pages/man7/sched.7.html (SCHED_BATCH)
    """
    if sys.platform == "linux":
        with suppress(OSError):  # it has ended, or a container does not allow it
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
