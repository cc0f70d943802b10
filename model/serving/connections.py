"""A server's socket, and clients that send slowly: a request has to arrive within a time, however it is cut.

uvicorn closes a connection that is silent between two requests. One that has sent nothing yet, or a byte now
and then, it would keep for ever.
"""

import asyncio
import socket

import h11
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from model.serving.deadline import Deadline

REQUEST_TIMEOUT_S = 35.0
"""Seconds from the first byte of a request, or from the start of the connection, to its last byte."""

BODY_TIMEOUT_S = 30
"""Time for a body to arrive: a client that stops sending must not occupy a slot for ever."""

_ARRIVING = (h11.IDLE, h11.SEND_BODY)


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol for HTTP/1.1 with a time limit for each request to arrive."""

    _deadline: Deadline

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._deadline = Deadline(transport, self.loop)
        self._deadline.begin(REQUEST_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        self._deadline.begin(REQUEST_TIMEOUT_S)
        super().data_received(data)
        if self.conn.their_state not in _ARRIVING:
            self._deadline.end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._deadline.end()
        super().connection_lost(exc)


class Refused(Exception):
    """A request that is refused: status, a reason for machines, a detail for people."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body of a request.

    Raises:
        Refused: it is too large, of which nothing is read if its length is declared, or comes too slowly.
        starlette.requests.ClientDisconnect: the client is gone.
    """
    body = bytearray()
    too_large = Refused(413, "body_too_large", f"more than {max_bytes:,} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise too_large
    except TimeoutError as error:
        detail = f"after {BODY_TIMEOUT_S} s, {len(body):,} bytes of the body had come"
        raise Refused(408, "body_too_slow", detail) from error
    return bytes(body)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket.

    asyncio sends at once, instead of waiting 40 ms for more (Nagle), only where the protocol is spelled out.

    Raises:
        OSError: the port is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock
