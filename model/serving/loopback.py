"""Refuses requests that a web page could have sent to a server on the loopback.

Every page that the user opens may send requests to 127.0.0.1. A browser says so by itself, in `Origin` or
`Sec-Fetch-Site`, which no page can leave out or change. A page whose name was made to point to 127.0.0.1 (DNS
rebinding) counts as of the same origin, but its name is in `Host`.

Sources: https://developer.mozilla.org/en-US/docs/Glossary/Forbidden_request_header,
https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class LoopbackOnly:
    """Wraps an ASGI application: answers 403 to requests of web pages, and to those for another host."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http" and (why := refusal(scope)):
            await answer(send, 403, {"content-type": "text/plain; charset=utf-8"}, f"{why}\n".encode())
        else:
            await self._application(scope, receive, _without_cors(send))


def refusal(scope: Message) -> str | None:
    """Return why a request is refused, if it is."""
    if why := wrong_host(scope):
        return why
    headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    if any(name == b"origin" for name, _ in headers):
        return "Requests of web pages are refused: this one has an Origin."
    if any(name == b"sec-fetch-site" and value.strip().lower() != "none" for name, value in headers):
        return "Requests of web pages are refused: Sec-Fetch-Site is not none."
    return None


def wrong_host(scope: Message) -> str | None:
    """Return why the Host of a request is not this server's, if it is not."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
    port = str(scope["server"][1])
    if len(hosts) == 1 and _is_own(hosts[0].lower(), port, _DEFAULT_PORTS.get(scope["scheme"], "")):
        return None
    return f"Host must be 127.0.0.1:{port} or localhost:{port}, not {', '.join(hosts) or 'missing'}."


def _is_own(host: str, port: str, default_port: str) -> bool:
    """Tell whether a Host is this server's; `bucket.localhost` is how clients address a bucket of S3."""
    name, colon, given = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, given = host, default_port
    return given == port and (name in _NAMES or name.endswith(".localhost"))


async def answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    """Send a whole response."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _without_cors(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": list(_not_of_cors(message.get("headers", ())))}
        await send(message)

    return wrapped


def _not_of_cors(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    return (header for header in headers if not header[0].lower().startswith(b"access-control-"))
