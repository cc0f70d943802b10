"""Run one piece of work in a separate process, with limits of CPU time and memory.

A decoder written in C cannot be interrupted, and a crash of it ends its process. What it costs is known only
from what the file says of itself, which may be a lie.
"""

import gc
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

MAX_CPU_S = 3.0
"""Limit of CPU time. The costliest image that is accepted takes 1.5 s."""
MAX_MEMORY_BYTES = 384 * 1024 * 1024
"""Limit of additional memory. The costliest image that is accepted takes 220 MB."""


class TooCostly(Exception):
    """The work exceeded its limits."""


class Crashed(Exception):
    """The work ended its process."""


def run_isolated(work: Callable[[], bytes]) -> bytes:
    """Return what the work returns. It must not raise, and whatever else it does is lost.

    The process is a fork, so the work has at hand all that is in memory. Only bytes come back: a decoder that
    a hostile image has taken over cannot make more of them.

    Raises:
        TooCostly: it took more than `MAX_CPU_S` or `MAX_MEMORY_BYTES`.
        Crashed: it ended its process.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _run_in_child(work, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            result = pipe.read()
    finally:
        _, status = os.waitpid(pid, 0)
    if status == 0:
        return result
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGPROF:
        raise TooCostly(f"decoding takes more than {MAX_CPU_S:g} s of CPU time")
    if code in {-signal.SIGKILL, _OUT_OF_MEMORY}:
        raise TooCostly(f"decoding takes more than {MAX_MEMORY_BYTES >> 20} MB of memory")
    raise Crashed(f"its decoder crashed ({signal.strsignal(-code) if code < 0 else code})")


_OUT_OF_MEMORY = 3


def _run_in_child(work: Callable[[], bytes], writing: int) -> NoReturn:
    code = 1
    try:
        # Leave the parent's objects alone, so that their pages are not copied.
        gc.disable()
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
        _limit_memory()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(work())
        code = 0
    except MemoryError:
        code = _OUT_OF_MEMORY
    finally:
        os._exit(code)


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except OSError:
        return  # not on Linux, where the limit would not hold either
    most = pages * resource.getpagesize() + MAX_MEMORY_BYTES
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
    # A crash of a decoder must not write a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
