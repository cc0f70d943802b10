"""The server before the embedded AWS: uvicorn, whose parser of HTTP is in C.

ministack comes with Hypercorn and h11, which take a third of the CPU time of a small request. Here the head
of a request has a limit of its size and of its time, as it has there.
"""

import asyncio
import os
import signal
import sys
from typing import Any

import uvicorn
from ministack.core import tls
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from model.serving.deadline import Deadline

HEAD_BYTES = 1_048_576
"""Most bytes that a connection may send before the head of a request is whole."""
HEAD_TIMEOUT_S = 75.0
"""Time for a head to arrive, from the start of the connection or from its first byte."""
_KEEP_ALIVE_S = 75
_GRACE_S = 3
"""Time for the requests in flight when the server is to stop."""


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol, with the limits of a head. It would wait for ever, and keep all that comes."""

    _deadline: Deadline
    _is_in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._deadline = Deadline(transport, self.loop)
        self._deadline.begin(HEAD_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self.cycle is None or self.cycle.response_complete:
            self._deadline.begin(HEAD_TIMEOUT_S)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._is_in_head = False
        self._deadline.end()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the head of another request."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._deadline.end()
        super().connection_lost(exc)


def configured(application: Any, **where: Any) -> uvicorn.Config:
    """Return what uvicorn needs to serve an application; `where` are options of one server."""
    return uvicorn.Config(
        application,
        http=BoundedHeads,
        loop="asyncio",
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        reset_contextvars=True,  # ministack has the caller in them
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        **where,
    )


def serve(application: Any) -> None:
    """Serve the embedded AWS until SIGTERM or SIGINT, on the port and with the TLS of its environment."""
    certificate, key = tls.resolve_tls_material() if tls.use_ssl_enabled() else (None, None)
    config = configured(
        application,
        host=os.environ["BIND_HOST"],
        port=int(os.environ["GATEWAY_PORT"]),
        lifespan="on",
        log_level=os.environ["LOG_LEVEL"].lower(),
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    # uvicorn finishes the requests in flight and then raises the signal again: this makes it a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    uvicorn.Server(config).run()
