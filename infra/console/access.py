"""Who may use the console: its owner, from its own pages.

A request needs the token of the console, in a cookie that the first visit sets. Host must be this server's,
against DNS rebinding. `Origin` and `Sec-Fetch-Site`, which a page can neither leave out nor change, must be
the console's own: pages of other ports of this machine are of the same site, so that a cookie would not keep
them away. A request that changes something must say by `Origin` where it comes from.
"""

import hmac
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.requests import cookie_parser

from infra.console.address import TOKEN
from model.serving.loopback import Application, Message, Receive, Send, answer, wrong_host

READING = frozenset({"GET", "HEAD"})
"""Methods that change nothing."""

_DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _DIRECTIVES.items()),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every response that does not set them itself."""


class OwnerOnly:
    """Wraps an ASGI application: passes on what its owner's browser sends from the console's own pages."""

    def __init__(self, application: Application, token: str) -> None:
        self._application = application
        self._token = token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        send = _with_headers(send)
        headers = [
            (name.lower().decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        if why := wrong_host(scope) or _foreign(scope, dict(headers)):
            await _refuse(send, why)
        elif given := _token_of(scope):
            await self._first_visit(scope, send, given)
        elif not self._is_token(_cookie(headers, _cookie_name(scope))):
            await _refuse(send, "Open the address that `scones console` prints: it has the token.")
        else:
            await self._application(scope, receive, send)

    async def _first_visit(self, scope: Message, send: Send, given: str) -> None:
        """Turn the token of the address into a cookie, so that it does not stay in the address."""
        if not self._is_token(given):
            await _refuse(send, "The token is not this console's: `scones console` prints its address.")
            return
        cookie = f"{_cookie_name(scope)}={self._token.decode()}; Path=/; HttpOnly; SameSite=Strict"
        await answer(send, HTTPStatus.SEE_OTHER, {"location": "/", "set-cookie": cookie}, b"")

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)


def _foreign(scope: Message, headers: dict[str, str]) -> str | None:
    """Return why a request is not one of the console's own pages, if it is not."""
    origin = headers.get("origin")
    if origin is None and scope["method"] not in READING:
        return f"A {scope['method']} must say by Origin that it is the console's own."
    if origin is not None and origin != f"{scope['scheme']}://{headers['host']}":
        return "Requests of other pages are refused: Origin is not the console's own."
    if headers.get("sec-fetch-site", "none").strip().lower() not in ("none", "same-origin"):
        return "Requests of other pages are refused: Sec-Fetch-Site is not same-origin."
    return None


def _token_of(scope: Message) -> str:
    """Return the token in the address of a first visit, or nothing."""
    if scope["method"] not in READING or scope["path"] != "/":
        return ""
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get(TOKEN, [""])[0]


def _cookie_name(scope: Message) -> str:
    """Return the cookie's name. Cookies are shared by all ports of a host, and a port has one console."""
    return f"scones-console-{scope['server'][1]}"


def _cookie(headers: list[tuple[str, str]], wanted: str) -> str:
    for name, value in headers:
        if name == "cookie" and (found := cookie_parser(value).get(wanted)):
            return str(found)
    return ""


async def _refuse(send: Send, why: str) -> None:
    headers = {"content-type": "text/plain; charset=utf-8"}
    await answer(send, HTTPStatus.FORBIDDEN, headers, f"{why}\n".encode())


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        await send(message)

    return wrapped
