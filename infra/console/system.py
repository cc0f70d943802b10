"""The system that a console shows: its stack, clients and engine, shared by all pages."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from analytics.athena.engine import Engine
from infra.stack import Stack

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 12
"""Requests to AWS at once, of all pages together."""


class System:
    """A stack, with what all pages reach it by."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        """Take the stack, and a folder of the console's own, for its copy of the results on a laptop."""
        self.stack = stack
        self.is_closing = False
        """Whether the console ends: what streams to a browser then ends, too."""
        self._folder = folder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="console")
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()
        self._asking = threading.Lock()
        self._open = ExitStack()
        self._engine: Engine | None = None

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service. It is made once; threads share it."""
        with self._making:  # a boto3 session makes no two clients at once
            if service not in self._clients:
                self._clients[service] = self.stack.client(service)
            return self._clients[service]

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Have the engine that answers SQL for the duration of a `with` block: alone, on a laptop.

        Athena takes several statements at once, so that a long one holds up no other page.
        """
        from infra.operations.answers import engine  # pandas and DuckDB: not before somebody asks

        with self._asking:
            if self._engine is None:
                self._engine = self._open.enter_context(engine(self.stack, self._folder / "mirror"))
            if getattr(self._engine, "queries_at_once", 1) == 1:
                yield self._engine
                return
        yield self._engine

    async def in_thread(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a function that waits, without holding up other requests."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*arguments, **named))

    def close(self) -> None:
        """End what was opened, and with it a statement that is running: it may take minutes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._open.close()
