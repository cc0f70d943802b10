import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from model.data import cifar100
from model.data.dataset import DataError

CONTENT = bytes(range(256)) * 20_000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server:
    """Serves CONTENT, from any byte on; may hang up early or ignore that a part is asked for."""

    def __init__(self):
        self.ranges: list[str | None] = []
        self.stop_after: int | None = None
        self.knows_ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                start = int(asked.split("=")[1].rstrip("-")) if asked and outer.knows_ranges else 0
                if start >= len(CONTENT):
                    self.send_error(416)
                    return
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(CONTENT) - start))
                self.end_headers()
                self.wfile.write(CONTENT[start:][: outer.stop_after])

            def log_message(self, format, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/archive"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def test_a_download_is_checked_and_reports_its_progress(server, tmp_path):
    seen = []
    path = tmp_path / "new folder" / "archive"
    cifar100.download(path, lambda done, total: seen.append((done, total)), server.url, MD5)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(seen) > 1


def test_a_broken_download_is_continued_where_it_stopped(server, tmp_path):
    path = tmp_path / "archive"
    server.stop_after = 1_000_000
    with pytest.raises(DataError, match="run it again to continue"):
        cifar100.download(path, lambda done, total: None, server.url, MD5)
    assert not path.exists()
    server.stop_after = None
    cifar100.download(path, lambda done, total: None, server.url, MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    path = tmp_path / "archive"
    (tmp_path / "archive.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    cifar100.download(path, lambda done, total: None, server.url, MD5)
    assert path.read_bytes() == CONTENT


def test_a_download_that_was_complete_but_not_checked_is_not_repeated(server, tmp_path):
    path = tmp_path / "archive"
    (tmp_path / "archive.part").write_bytes(CONTENT)
    cifar100.download(path, lambda done, total: None, server.url, MD5)
    assert path.read_bytes() == CONTENT


def test_another_file_than_the_archive_is_deleted(server, tmp_path):
    path = tmp_path / "archive"
    with pytest.raises(DataError, match=f"the MD5 {MD5}, not 0000"):
        cifar100.download(path, lambda done, total: None, server.url, "0000")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_downloaded(server, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(b"there")
    cifar100.download(path, lambda done, total: None, server.url, MD5)
    assert server.ranges == []


def test_a_server_out_of_reach_is_one_clear_sentence(tmp_path):
    with pytest.raises(DataError, match=r"downloading http://127\.0\.0\.1:9/x failed"):
        cifar100.download(tmp_path / "archive", lambda done, total: None, "http://127.0.0.1:9/x", MD5)
