"""Serves a console on the loopback until it is told to end."""

import signal
import socket
import sys
from pathlib import Path

import uvicorn

from infra.console.app import create_app
from infra.console.system import System
from infra.stack import Stack
from model.serving.connections import BoundedProtocol

_GRACE_S = 2
"""Time for the requests that are being answered, when the console ends. A page that watches never ends by
itself, and connects again."""


class _Server(uvicorn.Server):
    """uvicorn's server; what streams to a browser is told when it ends."""

    def __init__(self, config: uvicorn.Config, system: System) -> None:
        super().__init__(config)
        self._system = system

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the server."""
        self._system.is_closing = True
        await super().shutdown(sockets)


def serve(sock: socket.socket, stack: Stack, token: str, folder: Path) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT.

    Args:
        sock: that it listens on.
        stack: the system to show.
        token: what a browser has to have.
        folder: of what the console keeps.
    """
    # uvicorn finishes the requests in flight and then raises the signal again: this makes it a clean exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    system = System(stack, folder)
    config = uvicorn.Config(
        create_app(system, token),
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,  # it would have the token
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, system).run(sockets=[sock])
