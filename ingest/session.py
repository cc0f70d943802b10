"""A session for botocore's clients by the standard library's HTTP, in half of the CPU time of urllib3.

It is for small requests to AWS: their body is bytes, and connections are kept. Whatever else a client may ask
for, such as a proxy or a certificate of its own, is left to the session that botocore made.
"""

import http.client
import io
import select
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import create_urllib3_context, get_cert_path

_Idle = deque[http.client.HTTPConnection]


def use_lean_session(client: "boto3.client") -> None:
    """Let a client send by a `LeanSession`, unless its release of botocore lacks what that needs."""
    try:
        usual = client._endpoint.http_session
        if not isinstance(usual, LeanSession):
            client._endpoint.http_session = LeanSession(usual)
    except AttributeError:
        return


class LeanSession:
    """Takes the place of botocore's `URLLib3Session`, with its settings. All threads may use it.

    The requests that a client makes by itself have headers of bytes, and stay with botocore's session.
    """

    def __init__(self, usual: Any) -> None:
        """Take the session of a client.

        Raises:
            AttributeError: it is of a release with other attributes.
        """
        self._usual = usual
        self._connect_timeout_s: float = usual._timeout.connect_timeout
        self._read_timeout_s: float = usual._timeout.read_timeout
        self._proxy_of, self._verify = usual._proxy_config.proxy_url_for, usual._verify
        self._has_certificate, self._socket_options = bool(usual._cert_file), usual._socket_options
        self._tls: ssl.SSLContext | None = None
        self._idle: dict[tuple[str, str], _Idle] = {}
        weakref.finalize(self, _close_all, self._idle)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send a request and return the answer, whose body is read later if the request has `stream_output`.

        Raises:
            botocore.exceptions.BotoCoreError: as botocore's session.
        """
        if not self._can_send(request):
            return self._usual.send(request)
        scheme, host, path, query, _ = urlsplit(request.url)
        idle = self._idle.setdefault((scheme, host), deque())
        connection = _usable(idle) or self._connected(scheme, host, request.url)
        target = f"{path or '/'}?{query}" if query else path or "/"
        answer = http.client.HTTPResponse(_socket_of(connection), method=request.method)
        try:
            connection.send(_head(request, host, target) + (request.body or b""))
            answer.begin()
        except BaseException as error:
            answer.close()  # which has the socket, too
            connection.close()
            raise _told(error, request.url) from error
        body = _Body(answer, connection, idle, request.url)
        answered = AWSResponse(request.url, answer.status, answer.headers, body)
        if not request.stream_output:
            _ = answered.content  # which reads it
        return answered

    def close(self) -> None:
        """Close the connections that nobody uses."""
        _close_all(self._idle)
        self._usual.close()

    def _can_send(self, request: AWSPreparedRequest) -> bool:
        """Tell whether a request needs nothing special, and no text in it ends a line of its head."""
        texts = [request.url, *request.headers.values()]
        return (
            not self._has_certificate
            and isinstance(request.body or b"", bytes)
            and all(isinstance(text, str) and text.isascii() and text.isprintable() for text in texts)
            and " " not in request.url
            and (request.url.startswith("http:") or bool(self._verify))
            and not self._proxy_of(request.url)
        )

    def _connected(self, scheme: str, host: str, url: str) -> http.client.HTTPConnection:
        if scheme == "https":
            if self._tls is None:
                self._tls = _tls_context(self._verify, url)
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, timeout=self._connect_timeout_s, context=self._tls
            )
        else:
            made = http.client.HTTPConnection(host, timeout=self._connect_timeout_s)
        try:
            made.connect()
        except TimeoutError as error:
            made.close()
            raise ConnectTimeoutError(endpoint_url=url, error=error) from error
        except ssl.SSLError as error:
            made.close()
            raise SSLError(endpoint_url=url, error=error) from error
        except OSError as error:
            made.close()
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        for option in self._socket_options:
            _socket_of(made).setsockopt(*option)
        _socket_of(made).settimeout(self._read_timeout_s)
        return made


class _Body(io.IOBase):
    """The body of an answer. What has been read to its end gives its connection back."""

    def __init__(
        self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, idle: _Idle, url: str
    ) -> None:
        self._answer, self._connection, self._idle, self._url = answer, connection, idle, url
        self._is_done = False

    def read(self, size: int | None = None) -> bytes:
        try:
            data = self._answer.read(size)
            if size and len(data) < size and self._answer.length and not self._answer.isclosed():
                raise http.client.IncompleteRead(data, self._answer.length)
        except BaseException as error:
            self.close()
            raise _told(error, self._url) from error
        if self._answer.isclosed() and not self._is_done:
            self._is_done = True
            if self._answer.will_close:
                self._connection.close()
            else:
                self._idle.append(self._connection)
        return data

    def stream(self, *_: Any) -> Iterator[bytes]:
        """Give the rest in one piece, as `AWSResponse` asks for it."""
        yield self.read()

    def close(self) -> None:
        if not self._is_done:
            self._answer.close()
            self._connection.close()
        super().close()


def _tls_context(verify: bool | str, url: str) -> ssl.SSLContext:
    """Return botocore's settings of TLS. They leave the name of the host to urllib3, and here to `ssl`.

    Raises:
        botocore.exceptions.SSLError: the file of certificates cannot be read.
    """
    context: ssl.SSLContext = create_urllib3_context()
    context.check_hostname = True
    try:
        context.load_verify_locations(get_cert_path(verify))
    except OSError as error:
        raise SSLError(endpoint_url=url, error=error) from error
    return context


def _head(request: AWSPreparedRequest, host: str, target: str) -> bytes:
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _usable(idle: _Idle) -> http.client.HTTPConnection | None:
    """Return a connection that the server has not closed meanwhile."""
    while idle:
        try:
            connection = idle.pop()
        except IndexError:  # another thread was first
            return None
        poll = select.poll()
        poll.register(_socket_of(connection), select.POLLIN)
        if not poll.poll(0):
            return connection
        connection.close()
    return None


def _told(error: BaseException, url: str) -> BaseException:
    """Return the error of botocore for one of a connection; others as they are."""
    told = error
    if isinstance(error, TimeoutError):
        told = ReadTimeoutError(endpoint_url=url, error=error)
    elif isinstance(error, OSError | http.client.HTTPException):
        told = ConnectionClosedError(endpoint_url=url, error=error)
    return told


def _socket_of(connection: http.client.HTTPConnection) -> socket.socket:
    found: socket.socket = connection.sock
    return found


def _close_all(idle: dict[tuple[str, str], _Idle]) -> None:
    for connections in idle.values():
        while connections:
            connections.pop().close()
