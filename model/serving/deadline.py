"""A time limit for what a server's connection is to send: uvicorn would wait for ever."""

import asyncio


class Deadline:
    """Aborts a connection unless what is expected arrives in time."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, timeout_s: float) -> None:
        """Begin to wait, unless it waits already."""
        if self._timer is None:
            self._timer = self._loop.call_later(timeout_s, self._transport.abort)

    def end(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
