"""The embedded S3 on a disk that refuses: what it acknowledges is on the disk, and what is not is refused."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ministack.services import s3

from infra.laptop import durable

BUCKET = "images"
HALF_WRITTEN_BYTES = 3_000

COMPLETE = (
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part>"
    b"</CompleteMultipartUpload>"
)
REPLACED = (
    "_persist_object",
    "_persist_displaced_version",
    "_persist_delete_marker",
    "_read_body",
    "_version_body",
    "_record_object_version",
    "_record_delete_marker",
    "_complete_multipart_upload",
    "_dispatch",
    "_key_disk_path",
    "_other_key_disk_path",
    "_remove_key_files",
)
MINISTACKS = s3._key_disk_path


class Disk:
    """S3's disk, which can be filled, and read by another process as after a restart."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.events: list[str] = []
        self._patch = patch
        self._fails_after: int | None = None

    def refuse(self, number: int = errno.ENOSPC, after_writes: int = 0) -> None:
        """Refuse every new file, after some that are still written."""
        left = after_writes
        opened = os.open

        def full(path: Any, flags: int, *more: Any, **options: Any) -> int:
            nonlocal left
            if flags & os.O_CREAT and str(path).startswith(str(self.folder)):
                if left == 0:
                    raise OSError(number, os.strerror(number), path)
                left -= 1
            return opened(path, flags, *more, **options)

        self._patch.setattr(os, "open", full)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    for name in REPLACED:
        monkeypatch.setattr(s3, name, getattr(s3, name))
    monkeypatch.setattr(s3, "S3_PERSIST", True)
    monkeypatch.setattr(s3, "DATA_DIR", str(tmp_path))
    found = Disk(tmp_path, monkeypatch)
    monkeypatch.setattr(s3, "_fire_s3_event_async", lambda _, key, *more, **options: found.events.append(key))
    s3.reset()
    durable.install()
    request("PUT", "")
    request(
        "PUT",
        "",
        b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        versioning="",
    )
    yield found
    monkeypatch.undo()
    s3.reset()


def request(
    method: str, key: str, body: bytes = b"", headers: dict[str, str] | None = None, **query: str
) -> Any:
    said = {name: [value] for name, value in query.items()}
    status, answered, content = s3._dispatch(method, BUCKET, key, headers or {}, body, said)
    return SimpleNamespace(status=status, headers=answered, body=content)


def put(key: str, body: bytes) -> Any:
    return request("PUT", key, body)


def versions() -> Any:
    return request("GET", "", versions="").body.count(b"<Version>")


def uploads(key: str) -> str:
    found = request("POST", key, uploads="").body
    return str(found.partition(b"<UploadId>")[2].partition(b"<")[0].decode())


def complete(key: str, body: bytes) -> Callable[[], Any]:
    upload_id = uploads(key)
    part = request("PUT", key, body, uploadId=upload_id, partNumber="1")
    return lambda: request("POST", key, COMPLETE % part.headers["ETag"].encode(), uploadId=upload_id)


def form(key: str, body: bytes) -> Any:
    lines = [
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + key.encode(),
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + body,
        b"--b--\r\n",
    ]
    return request("POST", "", b"\r\n".join(lines), {"content-type": "multipart/form-data; boundary=b"})


def copy(key: str, source: str) -> Any:
    return request("PUT", key, headers={"x-amz-copy-source": f"/{BUCKET}/{source}"})


# ── refused ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("writes", [0, 1])
@pytest.mark.parametrize("how", ["put", "form", "copy", "multipart"])
def test_an_upload_that_the_disk_does_not_take_is_refused_and_leaves_nothing(
    disk: Disk, how: str, writes: int
) -> None:
    put("there.png", b"there")
    ways: dict[str, Callable[[], Any]] = {
        "put": lambda: put("new.png", b"new"),
        "form": lambda: form("new.png", b"new"),
        "copy": lambda: copy("new.png", "there.png"),
        "multipart": complete("new.png", b"new"),
    }
    before = disk.files()
    with pytest.MonkeyPatch.context() as patch:
        disk._patch = patch
        disk.refuse(after_writes=writes)
        refused = ways[how]()
    assert refused.status == 507
    assert b"<Code>InsufficientStorage</Code>" in refused.body
    assert b"No space left on device" in refused.body
    assert request("GET", "new.png").status == 404
    assert (versions(), disk.events) == (1, ["there.png"])
    assert disk.files() == before
    # With space again, the same request is taken: a multipart upload has kept its parts.
    assert ways[how]().status in (200, 204)
    assert disk.events == ["there.png", "new.png"]


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_version_that_was_to_be_replaced_stands_where_the_new_one_is_refused(
    disk: Disk, writes: int
) -> None:
    first = put("a.png", b"first").headers["x-amz-version-id"]
    before = disk.files()
    with pytest.MonkeyPatch.context() as patch:
        disk._patch = patch
        disk.refuse(after_writes=writes)
        assert put("a.png", b"second").status == 507
    assert request("GET", "a.png").body == b"first"
    assert request("GET", "a.png").headers["x-amz-version-id"] == first
    assert (versions(), disk.files()) == (1, before)


def test_a_deletion_that_the_disk_does_not_take_is_refused(disk: Disk) -> None:
    put("a.png", b"first")
    with pytest.MonkeyPatch.context() as patch:
        disk._patch = patch
        disk.refuse()
        assert request("DELETE", "a.png").status == 507
    assert request("GET", "a.png").body == b"first"


def test_where_files_run_out_a_later_retry_is_asked_for(disk: Disk) -> None:
    with pytest.MonkeyPatch.context() as patch:
        disk._patch = patch
        disk.refuse(errno.EMFILE)
        refused = put("a.png", b"first")
    assert refused.status == 503
    assert b"<Code>ServiceUnavailable</Code>" in refused.body


def test_a_body_that_cannot_be_read_is_an_error_and_not_an_empty_image(disk: Disk) -> None:
    """ministack answers with an empty body, which would be rejected as `empty`."""
    put("a.png", b"first")
    (file,) = (path for path in disk.folder.rglob("a.png"))
    file.unlink()
    assert request("GET", "a.png").status == 503


# ── kept ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_bodies_are_on_the_disk_and_not_in_memory(disk: Disk) -> None:
    ids = [put("a.png", body).headers["x-amz-version-id"] for body in (b"first", b"second", b"third")]
    assert all(version["data"] is None for version in s3._object_versions[BUCKET, "a.png"])
    assert s3._buckets[BUCKET]["objects"]["a.png"]["body"] is None
    bodies = [request("GET", "a.png", versionId=version_id).body for version_id in ids]
    assert bodies == [b"first", b"second", b"third"]


def test_an_older_version_is_read_after_the_newest_is_deleted(disk: Disk) -> None:
    put("a.png", b"first")
    second = put("a.png", b"second").headers["x-amz-version-id"]
    assert request("DELETE", "a.png", versionId=second).status == 204
    assert request("GET", "a.png").body == b"first"


WRITE_UNTIL_FULL = """
import os, resource, sys
os.environ.update(S3_PERSIST="1", S3_DATA_DIR=sys.argv[1])
from ministack.services import s3
from infra.laptop import durable
durable.install()
s3._dispatch("PUT", "images", "", {}, b"", {})
versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
s3._dispatch("PUT", "images", "", {}, versioning, {"versioning": [""]})
for size in map(int, sys.argv[2:]):
    print(s3._dispatch("PUT", "images", f"{size}.png", {}, bytes(size), {})[0], flush=True)
os.kill(os.getpid(), 9)
"""
READ_AGAIN = """
import os, sys
os.environ.update(S3_PERSIST="1", S3_DATA_DIR=sys.argv[1])
from ministack.services import s3
print(*sorted(len(s3._get_object_data("images", key)) for key in s3._buckets["images"]["objects"]))
"""


SIZES = ("10", "9999", "2000", "5000", "20")


def written_until_full(script: str, folder: Path) -> list[str]:
    """Return the statuses of uploads to a disk that takes the beginning of a file, and not its end.

    A limit of file size stands for it.
    """

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (HALF_WRITTEN_BYTES, HALF_WRITTEN_BYTES))

    written = subprocess.run(
        [sys.executable, "-c", script, folder, *SIZES],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert written.returncode == -signal.SIGKILL
    return written.stdout.split()


def test_ministack_acknowledges_what_it_could_not_write(tmp_path: Path) -> None:
    alone = WRITE_UNTIL_FULL.replace("durable.install()\n", "")
    assert written_until_full(alone, tmp_path) == ["200"] * len(SIZES)


def test_what_is_acknowledged_is_there_after_a_kill_and_a_restart_and_nothing_else(tmp_path: Path) -> None:
    assert written_until_full(WRITE_UNTIL_FULL, tmp_path) == ["200", "507", "200", "507", "200"]
    read = subprocess.run(
        [sys.executable, "-c", READ_AGAIN, tmp_path], capture_output=True, text=True, check=True
    )
    assert read.stdout.split() == ["10", "20", "2000"]


KILLED_AT_RENAME = """
import os, sys
os.environ.update(S3_PERSIST="1", S3_DATA_DIR=sys.argv[1])
from pathlib import Path
from ministack.services import s3
from infra.laptop import durable
durable.install()
s3._dispatch("PUT", "images", "", {}, b"", {})
versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
s3._dispatch("PUT", "images", "", {}, versioning, {"versioning": [""]})
s3._dispatch("PUT", "images", "a.png", {}, b"first", {})
left, replace = int(sys.argv[2]), Path.replace
def dying(self, target):
    global left
    if left == 0:
        os.kill(os.getpid(), 9)
    left -= 1
    return replace(self, target)
Path.replace = dying
s3._dispatch("PUT", "images", sys.argv[3], {}, b"second", {})
print("acknowledged", flush=True)
"""
READ_VERSIONS = """
import os, sys
os.environ.update(S3_PERSIST="1", S3_DATA_DIR=sys.argv[1])
from ministack.services import s3
for (bucket, key), versions in s3._object_versions.items():
    for version in versions:
        body = s3._version_body(s3._buckets[bucket], bucket, key, version)
        assert len(body) == version["size"]
        print(key, body.decode())
"""


@pytest.mark.parametrize(("key", "renames"), [("b.png", 2), ("a.png", 3)], ids=["new", "replaced"])
def test_a_kill_between_two_renames_leaves_what_was_acknowledged(
    tmp_path: Path, key: str, renames: int
) -> None:
    for number in range(renames + 1):
        folder = tmp_path / str(number)
        arguments = [sys.executable, "-c", KILLED_AT_RENAME, str(folder), str(number), key]
        killed = subprocess.run(arguments, capture_output=True, text=True, check=False)
        read = subprocess.run(
            [sys.executable, "-c", READ_VERSIONS, folder], capture_output=True, text=True, check=True
        )
        is_acknowledged = number == renames
        assert killed.stdout == ("acknowledged\n" if is_acknowledged else "")
        assert read.stdout.splitlines() == [
            "a.png first",
            *([f"{key} second"] if is_acknowledged else []),
        ]


def test_a_folder_s_real_path_is_looked_up_once_and_a_link_is_followed_each_time(tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.touch()
    (folder / "link").symlink_to(elsewhere)
    names = ["file", "other", "link", "missing"]
    expected = [os.path.realpath(folder / name) for name in names]
    real_path = Mock(side_effect=os.path.realpath)
    monkeypatch.setattr(os.path, "realpath", real_path)
    assert [durable.real_path(str(folder / name)) for name in names] == expected
    assert [call.args[0] for call in real_path.mock_calls] == [str(folder), str(folder / "link")]
    # Whose paths end in no name, so that their folder is not enough.
    assert not any(map(s3._plain_path_key, ("..", ".", "a/..", "a/.", "a/", "a/../b")))


NAMES = ["a", "b", "c.jpg", "a.meta.json", "x.tmp", "..", "", "é", "n" * 201]
_keys = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


@given(
    made=st.lists(st.tuples(_keys, st.sampled_from(["file", "folder", "link", "sidecar"])), max_size=4),
    key=_keys,
)
@settings(max_examples=300, deadline=None)
def test_a_key_s_file_is_where_ministack_finds_it(made, key):
    with TemporaryDirectory() as folder:
        root, elsewhere = Path(folder, "bucket"), Path(folder, "elsewhere")
        root.mkdir()
        elsewhere.touch()
        for name, kind in made:
            path = Path(MINISTACKS(str(root), name))
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                if kind == "folder":
                    path.mkdir()
                elif kind == "link":
                    path.symlink_to(elsewhere)
                elif kind == "sidecar":
                    Path(f"{path}.meta.json").touch()
                else:
                    path.touch()
        durable._folders.clear()
        durable._real_folder.cache_clear()
        assert durable.finding(MINISTACKS)(str(root), key) == MINISTACKS(str(root), key)


def test_a_folder_that_an_object_is_the_first_in_is_noticed(tmp_path):
    file = tmp_path / "new" / "a"
    assert not durable._is_folder(str(file.parent))
    durable.write_all({str(file): b"first"})
    assert durable._is_folder(str(file.parent))


def test_a_folder_that_is_made_while_it_is_asked_about_is_noticed(tmp_path, monkeypatch):
    file = tmp_path / "new" / "deep" / "a"

    def late(path):
        durable.write_all({str(file): b"first"})
        return False

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "isdir", late)
        assert durable._is_folder(str(file.parent.parent))
    assert durable._is_folder(str(file.parent))


def test_folders_are_not_remembered_without_bound(tmp_path):
    for number in range(durable._FOLDERS + 10):
        assert not durable._is_folder(str(tmp_path / f"{number}"))
    assert len(durable._folders) <= durable._FOLDERS


@pytest.fixture
def in_a_bucket(tmp_path, monkeypatch):
    """Return an object's record, whose file `persist` writes."""
    monkeypatch.setattr(s3, "DATA_DIR", str(tmp_path))
    durable._last_written.clear()
    return {"body": b"image", "etag": "e", "size": 5}


def test_what_was_written_last_is_not_written_or_read_once_more(in_a_bucket, monkeypatch):
    durable.persist("bucket", "a.png", in_a_bucket)
    assert in_a_bucket["body"] is None
    opened = Mock(side_effect=os.open)
    monkeypatch.setattr(os, "open", opened)
    durable.persist("bucket", "a.png", in_a_bucket)
    assert not opened.called
    durable.persist("bucket", "a.png", {**in_a_bucket, "etag": "other"})
    assert opened.called


def test_what_others_wrote_meanwhile_is_replaced(in_a_bucket, tmp_path):
    durable.persist("bucket", "a.png", in_a_bucket)
    sidecar = Path(f"{s3._object_disk_path('bucket', 'a.png')}.meta.json")
    stored = sidecar.read_bytes()
    durable.write_all({str(sidecar): b"{}"})
    durable.persist("bucket", "a.png", in_a_bucket)
    assert sidecar.read_bytes() == stored


@pytest.mark.parametrize(
    "size", [0, 1, durable._SMALL_BYTES - 1, durable._SMALL_BYTES, 3 * durable._SMALL_BYTES + 1]
)
def test_a_file_is_written_and_read_whole_at_any_size(tmp_path, size):
    content = os.urandom(size)
    durable.write_all({str(tmp_path / "a"): content})
    assert durable._content(str(tmp_path / "a")) == content
