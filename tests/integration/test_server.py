"""The server before the embedded AWS: what it passes on, and what it does not wait for or keep."""

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import uvicorn

from infra.laptop import server

_seen: ContextVar[str] = ContextVar("seen", default="nothing")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what came."""
    if scope["path"] == "/refused":
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    seen_before = _seen.get()
    _seen.set(scope["path"])
    await asyncio.sleep(0.5 if scope["path"] == "/slow" else 0)
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    told = {"raw_path": scope["raw_path"].decode(), "path": scope["path"], "body_bytes": len(body)}
    content = json.dumps({**told, "query": scope["query_string"].decode(), "seen": seen_before}).encode()
    length = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture
def port() -> Iterator[int]:
    config = server.configured(echo, lifespan="off", log_level="warning")
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        yield listener.getsockname()[1]
        running.should_exit = True
        thread.join()


def test_a_request_is_passed_on_as_it_was_sent(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(3):
        body = b"a" * number * 300_000
        connection.request("PUT", "/a%2Fb//c%20d+e?x=1%2B2&y", body)
        answer = connection.getresponse()
        assert json.loads(answer.read()) == {
            "raw_path": "/a%2Fb//c%20d+e",
            "path": "/a/b//c d+e",
            "query": "x=1%2B2&y",
            "body_bytes": len(body),
            "seen": "nothing",
        }
    connection.close()


def seconds_until_closed(connection: socket.socket) -> float:
    began = time.monotonic()
    with connection:
        connection.settimeout(20)
        try:
            while connection.recv(65_536):
                pass
        except ConnectionResetError:
            pass
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_head_that_does_not_come_ends_the_connection(port, monkeypatch, sent):
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(sent)
    assert 0.2 < seconds_until_closed(connection) < 10


def test_a_later_head_that_does_not_come_ends_the_connection_too(port, monkeypatch):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    connection.sendall(b"GET / HT")
    assert 0.2 < seconds_until_closed(connection) < 10


def test_what_comes_during_an_answer_does_not_end_it(port, monkeypatch):
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.2)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.1)
        connection.sendall(b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_body_that_nobody_reads_does_not_keep_the_connection(port, monkeypatch):
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"PUT /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    assert connection.recv(65_536).startswith(b"HTTP/1.1 403")
    connection.sendall(b"a")
    assert seconds_until_closed(connection) < 10


def test_a_body_may_take_longer_than_a_head(port, monkeypatch):
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        for part in (b"a", b"b"):
            time.sleep(0.4)
            connection.sendall(part)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("line", [b"a" * 65_536, b"X: " + b"a" * 1_000 + b"\r\n"])
def test_a_head_without_an_end_is_not_kept(port, line):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError, match=r"reset|Broken"):
            connection.sendall(line * 10_000)


def test_many_requests_of_one_connection_do_not_add_up_to_a_head(port, monkeypatch):
    monkeypatch.setattr(server, "HEAD_BYTES", 400)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(20):
        connection.request("PUT", "/a", b"b" * 1_000)
        assert connection.getresponse().read()
    connection.close()
