"""DuckDB in a process of its own.

DuckDB's memory limit does not count the texts and lists within one vector, and its interrupt is not heard
within one function: `printf('%2000000000d', 1)` takes gigabytes and minutes. A process can be given a limit,
and be ended.
"""

import contextlib
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

_WORKER = Path(__file__).with_name("worker.py")
_SHARE_OF_BUFFERS = 0.25
"""Part of the memory that DuckDB may take for what it counts. Beyond it, it spills to disk, which is hardly
slower for groups. The rest is for what it does not count: texts and lists at work."""

_START_S = 60.0


class DuckError(Exception):
    """DuckDB's error: its class, and its text. The class is Timeout or Died where the process was ended."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Duck:
    """A DuckDB in a process of its own, which can be started again after it was ended."""

    def __init__(self, *, threads: int, memory_bytes: int, timeout_s: float) -> None:
        """A statement that is not through after `timeout_s`, or that needs more memory, ends the process."""
        self.buffers_bytes = int(memory_bytes * _SHARE_OF_BUFFERS)
        """Memory for what DuckDB counts."""
        self._config = {"threads": threads, "memory_limit": f"{self.buffers_bytes}B"}
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._is_starting = False
        self._end: Callable[[], object] = lambda: None
        self.fetched_bytes = 0
        """Size of the last statement's rows so far."""
        self.ends_at = 0.0
        """Monotonic time at which the last statement has taken too long."""

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def start(self, statements: Sequence[str], *, ahead: bool = False) -> None:
        """Start a process that executes statements before any other, and do not wait for it.

        If it is `ahead` of the first statement, it loads as well what only some statements need.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],  # -P: this folder has a module named types
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._end = weakref.finalize(self, _ended, self._process)
        self._is_starting = True
        with contextlib.suppress(BrokenPipeError):  # it has died: its answer is missing
            self._send((self._config, self._memory_bytes, statements, ahead))

    def execute(self, sql: str) -> None:
        """Execute a statement.

        Raises:
            DuckError: it failed, or one of those that come before any other.
        """
        if self._is_starting:
            self._is_starting = False
            try:
                self._answer_to(None, max(self._timeout_s, _START_S))
            except DuckError:
                self.end()
                raise
        self.fetched_bytes = 0
        self.ends_at = time.monotonic() + self._timeout_s
        self._answer_to(("execute", sql), self._timeout_s)

    def fetch(self, most_rows: int, within_s: float | None = None) -> list[tuple[Any, ...]]:
        """Return the next rows of the last statement, none after the last.

        Raises:
            DuckError: the statement failed.
        """
        pickled = self._answer_to(("fetch", most_rows), self._timeout_s if within_s is None else within_s)
        self.fetched_bytes += len(pickled)
        rows: list[tuple[Any, ...]] = pickle.loads(pickled)  # noqa: S301 - what `worker` wrote
        return rows

    def profile(self) -> str:
        """Return the profile of the last statement, as JSON."""
        return str(self._answer_to(("profile", "json"), self._timeout_s))

    def end(self) -> None:
        """End the process, also within a statement."""
        self._process = None
        self._end()

    def _answer_to(self, request: tuple[str, Any] | None, timeout_s: float) -> Any:
        """Send a request, and return its answer; None waits for the answer to the start."""
        assert self._process is not None, "start() comes first"  # noqa: S101
        late = threading.Event()
        process = self._process

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        try:
            if request:
                self._send(request)
            error, answer = pickle.load(_pipe(process.stdout))  # noqa: S301 - what `worker` wrote
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            self.end()
            raise DuckError("Timeout" if late.is_set() else "Died", "") from None
        except BaseException:  # Ctrl-C: its answer would be taken for the next one's
            self.end()
            raise
        finally:
            timer.cancel()
        if error is not None:
            raise DuckError(error, answer)
        return answer

    def _send(self, request: Any) -> None:
        pipe = _pipe(self._process.stdin if self._process else None)
        pickle.dump(request, pipe)
        pipe.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - Popen was asked for one
    return pipe


def _ended(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(BrokenPipeError):  # what it has not read
            _pipe(pipe).close()
