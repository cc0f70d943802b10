"""The model's endpoint, in a thread of the tests' own process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from model.serving.connections import BoundedProtocol, listen
from model.serving.serve import create_app
from tests.waiting import PATIENCE_S


@contextmanager
def in_thread(
    load: Callable[[], Any], started: Callable[[Exception | None], None] = lambda _: None
) -> Iterator[httpx.Client]:
    """An endpoint in this very process, whose model the test can hold back or break."""
    app = create_app(load, workers=1, started=started)
    server = uvicorn.Server(uvicorn.Config(app, http=BoundedProtocol, log_level="critical"))
    with listen("127.0.0.1", 0) as sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{sock.getsockname()[1]}") as client:
                while not server.started:
                    time.sleep(0.01)
                yield client
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
