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
ENGINES = (OF_PAGES, OF_QUESTIONS) = ("mirror", "mirror-of-questions")
"""Names of the engines, and of the folder of each, in which a laptop's keeps its copy of the results."""


class System:
    """A stack, with what all pages reach it by."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        """Take the stack, and a folder of the console's own."""
        self.stack = stack
        self.is_closing = False
        """Whether the console ends: what streams to a browser then ends, too."""
        self._folder = folder
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="console")
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()
        self._asking = {of: threading.Lock() for of in ENGINES}
        self._open = ExitStack()
        self._engines: dict[str, Engine] = {}

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service. It is made once; threads share it."""
        with self._making:  # a boto3 session makes no two clients at once
            if service not in self._clients:
                self._clients[service] = self.stack.client(service)
            return self._clients[service]

    @contextmanager
    def engine(self, of: str = OF_PAGES) -> Iterator[Engine]:
        """Have one of the `ENGINES` that answer SQL for the duration of a `with` block.

        A laptop's answers one statement at a time. What people ask may take minutes, and has an engine of its
        own, so that it holds up no page.
        """
        from infra.operations.answers import engine  # DuckDB: not before somebody asks

        with self._asking[of]:
            if of not in self._engines:
                self._engines[of] = self._open.enter_context(engine(self.stack, self._folder / of))
            found = self._engines[of]
            if getattr(found, "queries_at_once", 1) == 1:
                yield found
                return
        yield found

    async def in_thread(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a function that waits, without holding up other requests."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*arguments, **named))

    def close(self) -> None:
        """End what was opened, and with it a statement that is running: it may take minutes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._open.close()
