"""A proxy between the Lambdas and S3 or the endpoint, which injects the faults of the plan.

It identifies an image by its key in a request to S3, and by its pixels in a request to the endpoint. To
kill a Lambda, it looks up the process at the other end of the connection.
"""

import hashlib
import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from analytics.lake.columns import PREFIX
from analytics.lake.order import generation_of
from infra.stack import REGION
from ingest.image import PreparedImage
from tests.torture.faults import Fault, Lasts, Reply, Seam
from tests.torture.plan import Injection

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
_NOT_PASSED_ON = _HOP_BY_HOP | {"host", "authorization", "x-amz-date", "x-amz-security-token"}
_TIMEOUT_S = 60


@dataclass(frozen=True)
class Occurrence:
    """A fault that occurred."""

    name: str
    image: int | None
    """Number of the image that the request was about."""


class Script:
    """The faults to inject, and those that occurred. Threads share it."""

    def __init__(self, writes: Mapping[int, Fault]) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[str, tuple[int, Injection]] = {}
        self._by_pixels: dict[str, tuple[int, Injection]] = {}
        self._writes = writes
        self._written = 0
        self._outage: tuple[Fault, float] | None = None
        self._spent: set[int] = set()
        self._compact_requests = 0
        self._compactor_dies_at: int | None = None
        self.is_redriving = False
        self.occurrences: list[Occurrence] = []

    def inject(self, number: int, key: str, image: PreparedImage, injection: Injection) -> None:
        """Inject a fault into every request about an image."""
        self._by_key[key] = number, injection
        self._by_pixels[_digest(image.pixels.tobytes())] = number, injection

    def for_read(self, key: str) -> Fault | None:
        """Return the fault of a read of this object."""
        return self._for(Seam.READ, [self._by_key[key]] if key in self._by_key else [])

    def for_invocation(self, images: Iterable[bytes]) -> dict[int, Fault]:
        """Return the faults of an invocation with the pixels of these images: index → fault."""
        found = {}
        for place, pixels in enumerate(images):
            known = self._by_pixels.get(_digest(pixels))
            if known and (fault := self._for(Seam.INVOKE, [known])):
                found[place] = fault
        return found

    def for_write(self) -> Fault | None:
        """Return the fault of the next write of Record."""
        with self._lock:
            if self._outage and time.monotonic() < self._outage[1]:
                return self._outage[0]
            fault = self._writes.get(self._written)
            self._written += 1
            if fault:
                self.occurrences.append(Occurrence(fault.name, None))
                if fault.lasts_s:
                    self._outage = fault, time.monotonic() + fault.lasts_s
            return fault

    def let_compactor_die(self, at: int | None) -> None:
        """Kill the compactor at its request of this number, from 0; None lets it run."""
        self._compact_requests, self._compactor_dies_at = 0, at

    def compactor_dies(self) -> bool:
        """Tell whether the compactor is to be killed at this request."""
        with self._lock:
            dies = self._compact_requests == self._compactor_dies_at
            self._compact_requests += 1
            if dies:
                self.occurrences.append(Occurrence("compactor killed", None))
            return dies

    def note(self, name: str, image: int | None = None) -> None:
        """Record a fault that is injected elsewhere."""
        with self._lock:
            self.occurrences.append(Occurrence(name, image))

    def counts(self) -> Counter[str]:
        """Return how often each fault occurred; repetitions for one image count once."""
        of_images = {each for each in self.occurrences if each.image is not None}
        return Counter(
            each.name for each in [*of_images, *(each for each in self.occurrences if each.image is None)]
        )

    def _for(self, seam: Seam, known: list[tuple[int, Injection]]) -> Fault | None:
        with self._lock:
            for number, injection in known:
                if injection.fault.seam is not seam or not self._is_due(number, injection):
                    continue
                self._spent.add(number)
                self.occurrences.append(Occurrence(injection.fault.name, number))
                return injection.fault
        return None

    def _is_due(self, number: int, injection: Injection) -> bool:
        if injection.lasts is Lasts.ONCE:
            return number not in self._spent
        return injection.lasts is Lasts.ALWAYS or not self.is_redriving


class Proxy:
    """Two ports, in front of S3 and of the endpoint, in threads of this process."""

    def __init__(self, script: Script, incoming_bucket: str, results_bucket: str) -> None:
        self.script = script
        self.incoming_bucket = incoming_bucket
        self.results_bucket = results_bucket
        self.s3_upstream = self.model_upstream = ""
        self.credentials = Credentials("", "")
        """Credentials of the embedded AWS."""
        self.session_id = 0
        """Session of the embedded AWS and its Lambdas: no other process is killed."""
        self._servers = [_Server(self, _S3), _Server(self, _Model)]
        self.s3_url, self.model_url = (
            f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers
        )

    def __enter__(self) -> "Proxy":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: Proxy, handler: type["_Handler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.proxy = proxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that are gone: the proxy kills them itself."""


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on, or injects a fault."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing."""

    def do(self) -> None:
        """Answer one request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer."""
        self.do()

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    @property
    def script(self) -> Script:
        """The faults to inject."""
        return self.server.proxy.script

    def body(self) -> bytes:
        """Return the request's body."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def ask(self, upstream: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        """Return the real response."""
        where = urlsplit(upstream)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_TIMEOUT_S)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
        request = AWSRequest(self.command, upstream + self.path, {**kept, "Host": where.netloc}, body)
        # The signature was made for the proxy's address, and the upstream refuses other hosts than its own.
        S3SigV4Auth(self.server.proxy.credentials, "s3", REGION).add_auth(request)
        try:
            # Not by URL, which would normalise a key that contains `..`.
            connection.putrequest(
                self.command, where.path + self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def pass_on(self, response: http.client.HTTPResponse, body: bytes, sent: int | None = None) -> None:
        """Send the real response, or the first bytes of it."""
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        length = response.getheader("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(body if sent is None else body[:sent])
        if sent is not None:
            self.close_connection = True

    def reply(self, reply: Reply) -> None:
        """Send another response."""
        self.send_response_only(reply.status)
        for name, value in (("Content-Type", reply.content_type), *reply.headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def kill_peer(self) -> None:
        """Kill the process at the other end of the connection."""
        pid = _pid_of(self.client_address[1], self.server.server_address[1])
        if pid is not None and os.getsid(pid) == self.server.proxy.session_id:
            os.kill(pid, signal.SIGKILL)
        self.close_connection = True

    def apply(self, fault: Fault, upstream: str, body: bytes) -> None:
        """Inject a fault in place of the response."""
        if fault.reply:
            self.reply(fault.reply)
        elif fault.kills:
            self.kill_peer()
        elif fault.resets:
            self.close_connection = True
        else:
            time.sleep(fault.slow_s)
            response, answer = self.ask(upstream, body)
            self.pass_on(response, answer, len(answer) // 2 if fault.ends_early else None)


class _S3(_Handler):
    """In front of S3."""

    def do(self) -> None:
        body = self.body()
        upstream = self.server.proxy.s3_upstream
        bucket, _, key = unquote(urlsplit("http://s3" + self.path).path).removeprefix("/").partition("/")
        if bucket == self.server.proxy.incoming_bucket:
            fault = self.script.for_read(key)
            if fault:
                self.apply(fault, upstream, body)
                return
        elif self.command == "PUT" and key.startswith(PREFIX) and not generation_of(key):
            if fault := self.script.for_write():
                self._apply_to_write(fault, upstream, body)
                return
        elif self.script.compactor_dies():
            self.kill_peer()
            return
        self.pass_on(*self.ask(upstream, body))

    def _apply_to_write(self, fault: Fault, upstream: str, body: bytes) -> None:
        if fault.kills and not fault.resets:
            self.ask(upstream, body)
        self.apply(fault, upstream, body)


class _Model(_Handler):
    """In front of the endpoint."""

    def do(self) -> None:
        body = self.body()
        upstream = self.server.proxy.model_upstream
        faults = self.script.for_invocation(_images_of(body))
        for fault in faults.values():
            if not fault.scores:
                self.apply(fault, upstream, body)
                return
        response, answer = self.ask(upstream, body)
        if faults and response.status == 200:
            answer = _with_other_scores(answer, faults)
        self.pass_on(response, answer)


def _with_other_scores(answer: bytes, faults: Mapping[int, Fault]) -> bytes:
    texts = [
        faults[place].scores if place in faults else json.dumps(each)
        for place, each in enumerate(json.loads(answer))
    ]
    return f"[{','.join(map(str, texts))}]".encode()


def _images_of(batch: bytes) -> list[bytes]:
    """Return the pixels of each image of an `.npy` file."""
    start = 10 + int.from_bytes(batch[8:10], "little")
    header = batch[10:start].decode("ascii")
    count, *shape = (int(each) for each in header.partition("'shape': (")[2].partition(")")[0].split(","))
    size = shape[0] * shape[1] * shape[2]
    return [batch[start + place * size : start + (place + 1) * size] for place in range(count)]


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _pid_of(port: int, peer_port: int) -> int | None:
    """Return the process that holds the connection from one local port to another; only Linux tells."""
    wanted = f":{port:04X}", f":{peer_port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split()
        if (fields[1][-5:], fields[2][-5:]) == wanted:
            return _holder_of(f"socket:[{fields[9]}]")
    return None


def _holder_of(socket: str) -> int | None:
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(file) == socket for file in folder.iterdir()):  # noqa: PTH115 - no file
                return int(folder.parent.name)
        except OSError:
            continue
    return None
