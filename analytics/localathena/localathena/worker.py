"""The process in which DuckDB runs: it can be ended at any time, and its memory has a limit.

`process` starts this file by its path. It reads requests from stdin and writes answers to stdout, pickled.
"""

import contextlib
import os
import pickle
import queue
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
from duckdb.func import FunctionNullHandling

with contextlib.suppress(ImportError):  # Windows has none
    import resource

_ADDRESSES = Path("/proc/self/statm")
_CALL = re.compile(r"\bathena_(\w+)\(")
"""A call of one of `localathena.scalars`."""


def _limit_memory(limit_bytes: int) -> None:
    """Let this process take so much more memory than it has now. Without /proc nothing holds it."""
    if _ADDRESSES.exists():
        taken_bytes = int(_ADDRESSES.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        most, hard = taken_bytes + limit_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]
        # The user's own limit may be lower.
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _receive(requests: "queue.SimpleQueue[Any]", source: BinaryIO) -> None:
    """Pass the requests on, and end this process with the one that started it, also within a query."""
    with contextlib.suppress(EOFError):
        while True:
            requests.put(pickle.load(source))  # noqa: S301 - what `process` wrote
    os._exit(0)


def main() -> None:
    """Open a DuckDB and answer requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what DuckDB prints is no answer
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, sys.stdin.buffer), daemon=True).start()
    config, limit_bytes, statements, ahead = requests.get()
    duck = _Duck(duckdb.connect(config=config))
    if ahead:  # DuckDB needs it for the first function in Python
        import numpy  # noqa: F401
    _limit_memory(limit_bytes)
    answer = duck.answers_to(statements)
    while True:
        pickle.dump(answer, answers)
        answers.flush()
        answer = duck.answer(*requests.get())


class _Duck:
    """A connection, and the functions in Python that it knows."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.known: set[str] = set()
        self.refusals: list[str] = []
        """What functions in Python refused during the statement, also within TRY."""

    def answers_to(self, statements: Sequence[str]) -> tuple[str | None, Any]:
        """Execute statements up to the first that fails, and return its error, or None twice."""
        answers = (self.answer("execute", sql) for sql in statements)
        return next((answer for answer in answers if answer[0] is not None), (None, None))

    def answer(self, what: str, argument: Any) -> tuple[str | None, Any]:
        """Return the name of the error, if there was one, and its text or the answer."""
        done: dict[str, Callable[[Any], Any]] = {
            "execute": self._execute,
            "fetch": lambda most_rows: pickle.dumps(self.connection.fetchmany(most_rows)),
            "profile": self.connection.get_profiling_information,
        }
        try:
            answer = done[what](argument)
        except MemoryError as error:
            return "OutOfMemoryException", str(error)
        except duckdb.Error as error:
            return type(error).__name__, str(error)
        if self.refusals:
            return "Refused", f"ValueError: ~~{self.refusals[0]}"
        return None, answer

    def _execute(self, sql: str) -> None:
        self.refusals.clear()
        for name in set(_CALL.findall(sql)) - self.known:
            self._register(name)
        self.connection.execute(sql)

    def _register(self, name: str) -> None:
        """Let DuckDB call a function in Python. Importing them takes time, so it waits for the first use."""
        if not self.known:
            sys.path.insert(0, str(Path(__file__).parents[1]))
        from localathena.scalars import registry

        if name not in registry.FUNCTIONS:
            return
        function, parameters, result = registry.marked(name, self.refusals.append)
        self.connection.create_function(
            f"athena_{name}", function, parameters, result, null_handling=FunctionNullHandling.SPECIAL
        )
        self.known.add(name)


main()
