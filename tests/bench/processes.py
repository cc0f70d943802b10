"""CPU time and memory of the processes of a system, by what each does."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.stack import Stack

CLIENT = "client"
"""This process, and what it starts beside the system: the local Athena."""

_TITLES = {"aws": "embedded AWS"}
_SUFFIX = re.compile("Function-[0-9A-F]+$")
"""What CloudFormation makes of the logical names of Scones' Lambdas."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Index of the CPU time in user mode among the fields of /proc/PID/stat after the name; that of the kernel is
next. Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
"""
_PPID = 1


class Processes:
    """The processes of one system, and the client."""

    def __init__(self, stack: Stack) -> None:
        self._names = {pid: _TITLES.get(name, name) for name, pid in stack.pids.items()}
        self._sessions = {os.getsid(pid) for pid in stack.pids.values()}
        self._roles: dict[int, str] = {}

    def cpu_s(self) -> dict[str, float]:
        """Return CPU seconds by role: of all that lives, and of the client's children that ended."""
        own = os.times()
        found: dict[str, float] = defaultdict(float)
        found[CLIENT] = time.process_time() + own.children_user + own.children_system
        for pid in _pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                cpu_s = (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / _TICKS_PER_S
                if os.getsid(pid) in self._sessions:
                    found[self._role(pid)] += cpu_s
                elif int(fields[_PPID]) == os.getpid():
                    found[CLIENT] += cpu_s
            except (OSError, IndexError):  # it has just ended
                continue
        return found

    def memory_mb(self) -> float:
        """Return the proportional set size of the system's processes: shared pages count once."""
        total_kb = 0
        for pid in _pids():
            try:
                if os.getsid(pid) in self._sessions:
                    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
                    total_kb += int(
                        next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]
                    )
            except (OSError, StopIteration):
                continue
        return total_kb / 1024

    def _role(self, pid: int) -> str:
        if pid not in self._roles:
            self._roles[pid] = self._names.get(pid) or _function_of(pid) or "others"
        return self._roles[pid]


def since(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Return what each role used since an earlier look; what ended in between counts for nothing."""
    return {role: max(0.0, now_s - before.get(role, 0.0)) for role, now_s in now.items()}


def _function_of(pid: int) -> str | None:
    """Return the Lambda that a worker of the embedded AWS runs, by its environment."""
    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    for each in variables:
        name, _, value = each.partition(b"=")
        if name == b"AWS_LAMBDA_FUNCTION_NAME":
            return f"Lambda {_SUFFIX.sub('', value.decode().removeprefix('scones-'))}"
    return None


def _pids() -> Iterator[int]:
    return (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
