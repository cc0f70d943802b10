"""Connections of clients that send slowly: a request has to arrive within a time, however it is cut.

uvicorn closes a connection that is silent between two requests. One that has sent nothing yet, or a byte now
and then, it would keep for ever.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_TIMEOUT_S = 35.0
"""Seconds from the first byte of a request, or from the start of the connection, to its last byte."""

_ARRIVING = (h11.IDLE, h11.SEND_BODY)


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol for HTTP/1.1 with a time limit for each request to arrive."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect_a_request()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self._deadline is None:
            self._expect_a_request()
        super().data_received(data)
        if self.conn.their_state not in _ARRIVING:
            self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_a_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
