"""The lean session: what reaches a server, what comes back, and what is left to botocore's session."""

import gc
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ingest.session import LeanSession, use_lean_session

TIMEOUTS_S = (5, 0.3)
"""To connect, and to read."""


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"method": self.command, "path": self.path, "body": body.decode("latin-1")}
        headers = {name: value for name, value in self.headers.items() if name != "User-Agent"}
        answer = json.dumps({**told, "headers": headers}).encode()
        self.send_response(404 if "missing" in self.path else 200)
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(f"{len(answer):x}\r\n".encode() + answer + b"\r\n0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(answer)))
        if "close" in self.path:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)
        self.close_connection |= "silently" in self.path

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _echo

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    connections = 0

    def process_request(self, *arguments: Any) -> None:
        self.connections += 1
        super().process_request(*arguments)


@contextmanager
def serving(context: SSLContext | None = None) -> Iterator[tuple[Server, str]]:
    with Server(("127.0.0.1", 0), Echo) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def served() -> Iterator[tuple[Server, str]]:
    with serving() as both:
        yield both


@pytest.fixture
def session() -> Iterator[LeanSession]:
    lean = LeanSession(URLLib3Session(timeout=TIMEOUTS_S))
    yield lean
    lean.close()


def a_request(
    url: str,
    method: str = "GET",
    body: Any = None,
    headers: dict[str, Any] | None = None,
    *,
    later: bool = False,
) -> AWSPreparedRequest:
    length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
    return AWSPreparedRequest(method, url, HeadersDict({**length, **(headers or {})}), body, later)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/a%20b/%C3%B6?versionId=v%2B1", None),
        ("GET", "/missing", None),
        ("GET", "/chunked", None),
        ("GET", "/close", None),
        ("HEAD", "/a", None),
        ("DELETE", "/a", None),
        ("PUT", "/empty", b""),
        ("PUT", "/a", b"\x00\xff" * 100_000),
        ("POST", "/a?", b"question"),
    ],
)
def test_a_server_gets_and_gives_what_it_does_with_botocore_s_session(served, session, method, path, body):
    usual = URLLib3Session()
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b", "X-Amz-Date": "20261130T000000Z"}
    request = a_request(f"{served[1]}{path}", method, body, headers)
    mine, other = session.send(request), usual.send(request)
    assert (mine.status_code, mine.url) == (other.status_code, other.url)
    assert dict(mine.headers) | {"Date": ""} == dict(other.headers) | {"Date": ""}
    if method == "HEAD":
        assert mine.content == other.content == b""
    else:
        assert json.loads(mine.content) == json.loads(other.content)
    usual.close()


def test_a_body_is_read_when_it_is_asked_for_in_parts_too(served, session):
    answer = session.send(a_request(f"{served[1]}/a", later=True))
    assert answer.raw.read(2) == b'{"'
    assert json.loads(b'{"' + answer.raw.read())["path"] == "/a"
    assert answer.raw.read() == b""


def test_a_connection_is_used_again_once_its_answer_was_read(served, session):
    server, url = served
    for number in range(5):
        assert session.send(a_request(f"{url}/{number}", later=number % 2 == 0)).content
    assert server.connections == 1
    first, second = (session.send(a_request(f"{url}/{number}", later=True)) for number in range(2))
    assert server.connections == 2
    assert json.loads(first.content)["path"] == "/0"
    assert json.loads(second.content)["path"] == "/1"
    assert [session.send(a_request(url)).status_code for _ in range(3)] == [200] * 3
    assert server.connections == 2


def test_what_nobody_read_to_its_end_closes_its_connection(served, session):
    server, url = served
    session.send(a_request(f"{url}/a", later=True)).raw.read(1)
    gc.collect()
    with session.send(a_request(f"{url}/b", later=True)).raw as body:
        body.read(1)
    assert session.send(a_request(f"{url}/c")).status_code == 200
    assert server.connections == 3


@pytest.mark.parametrize("path", ["close", "silently"])
def test_a_connection_that_the_server_closed_is_replaced(served, session, path):
    server, url = served
    for number in range(1, 4):
        assert session.send(a_request(f"{url}/{path}")).status_code == 200
        while path == "silently" and not _is_closed(session):
            pass
        assert server.connections == number
    if path == "close":
        assert not any(session._idle.values())


def _is_closed(session: LeanSession) -> bool:
    ((connection,),) = session._idle.values()
    return connection.sock.recv(1, socket.MSG_PEEK) == b""


def test_threads_do_not_share_a_connection(served, session):
    server, url = served
    found: list[bool] = []

    def ask(name: str) -> None:
        found.extend(
            json.loads(session.send(a_request(f"{url}/{name}")).content)["path"] == f"/{name}"
            for _ in range(50)
        )

    threads = [threading.Thread(target=ask, args=(f"{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 400
    assert server.connections <= 8


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def answering(answer: bytes, then: Callable[[socket.socket], Any]) -> Iterator[str]:
    """Serve one connection: read a request, send some bytes, and go on with `then`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
                then(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def wait_for_its_end(connection: socket.socket) -> None:
    connection.recv(1)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "then", "error"),
    [
        (b"", lambda _: None, ConnectionClosedError),
        (b"HTTP", lambda _: None, ConnectionClosedError),
        (b"SSH-2.0-OpenSSH\r\n", lambda _: None, ConnectionClosedError),
        (HEAD + b"imag", lambda _: None, ConnectionClosedError),
        (b"", wait_for_its_end, ReadTimeoutError),
        (HEAD + b"imag", wait_for_its_end, ReadTimeoutError),
    ],
)
def test_an_answer_that_breaks_off_or_does_not_come_is_botocore_s_error(session, answer, then, error):
    with answering(answer, then) as url, pytest.raises(error):
        _ = session.send(a_request(url, later=True)).content


def test_an_answer_that_breaks_off_is_not_taken_for_a_shorter_one(session):
    with answering(HEAD + b"imag", lambda _: None) as url:
        body = session.send(a_request(url, later=True)).raw
        with pytest.raises(ConnectionClosedError):
            body.read(1_000)


def test_where_nobody_listens_the_error_is_botocore_s(session):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(EndpointConnectionError):
        session.send(a_request(url))


def test_a_connection_that_takes_too_long_is_botocore_s_error(session, monkeypatch):
    monkeypatch.setattr("http.client.HTTPConnection.connect", Mock(side_effect=TimeoutError))
    with pytest.raises(ConnectTimeoutError):
        session.send(a_request("http://127.0.0.1:1"))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for 127.0.0.1, with its key."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one")]),
    )
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    file = tmp_path / "server.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + secret)
    return file


def test_a_server_s_certificate_is_verified(certificate):
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as (server, url):
        trusting = LeanSession(URLLib3Session(verify=str(certificate), timeout=TIMEOUTS_S))
        assert [trusting.send(a_request(f"{url}/a")).status_code for _ in range(2)] == [200, 200]
        assert server.connections == 1
        with pytest.raises(SSLError):
            trusting.send(a_request(url.replace("127.0.0.1", "localhost")))
        with pytest.raises(SSLError):
            LeanSession(URLLib3Session(timeout=TIMEOUTS_S)).send(a_request(url))
        trusting.close()


@pytest.mark.parametrize("name", ["missing.pem", ".", "empty.pem"])
def test_certificates_that_cannot_be_read_are_botocore_s_error(tmp_path, name):
    (tmp_path / "empty.pem").touch()
    with pytest.raises(SSLError):
        LeanSession(URLLib3Session(verify=str(tmp_path / name), timeout=TIMEOUTS_S)).send(
            a_request("https://127.0.0.1:1")
        )


# ── what is left to botocore ───────────────────────────────────────────────────────────────────────────────

URL = "http://127.0.0.1:1/a"


@pytest.mark.parametrize(
    ("settings", "request_"),
    [
        ({"proxies": {"http": "http://127.0.0.1:2"}}, a_request(URL)),
        ({"client_cert": "certificate.pem"}, a_request(URL)),
        ({"verify": False}, a_request("https://127.0.0.1:1/a")),
        ({}, a_request(URL, "PUT", io.BytesIO(b"file"))),
        ({}, a_request(URL, headers={"If-Match": "a\r\nX-Injected: 1"})),
        ({}, a_request(URL, headers={"If-Match": "é"})),
        ({}, a_request(URL, headers={"If-Match": b"bytes"})),
        ({}, a_request(f"{URL} HTTP/1.1\r\nX-Injected: 1")),
        ({}, a_request("http://127.0.0.1:1/two words")),
    ],
)
def test_what_is_not_simple_is_left_to_botocore_s_session(monkeypatch, settings, request_):
    usual = URLLib3Session(timeout=TIMEOUTS_S, **settings)
    monkeypatch.setattr(usual, "send", Mock())
    assert LeanSession(usual).send(request_) is usual.send.return_value
    usual.send.assert_called_once_with(request_)


def test_a_client_gets_one_lean_session_with_its_settings():
    client = boto3.client("s3", region_name="us-east-1")
    usual = client._endpoint.http_session
    for _ in range(2):
        use_lean_session(client)
        assert isinstance(client._endpoint.http_session, LeanSession)
        assert client._endpoint.http_session._usual is usual
    client.close()


@pytest.mark.parametrize("session", [None, SimpleNamespace(), SimpleNamespace(_timeout=SimpleNamespace())])
def test_a_client_of_another_release_keeps_its_session(session):
    client = SimpleNamespace(_endpoint=SimpleNamespace(http_session=session))
    use_lean_session(client)
    assert client._endpoint.http_session is session
    use_lean_session(SimpleNamespace())
