"""Watch: what is dropped reaches the bucket, and a browser hears of each image, whenever it listens."""

import asyncio
import io
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as parquet
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from analytics.lake.aws import ResultsBucket
from analytics.lake.columns import PREFIX
from analytics.lake.schema import to_table
from infra.console import feed as feed_module
from infra.console.board import Board
from infra.console.feed import Feed
from infra.console.pages import watch
from infra.operations import tail as tail_module
from infra.operations.tail import Tail
from ingest.errors import MAX_BYTES
from ingest.upload import Upload
from tests.builders_table import a_failed_row, a_rejected_row, a_row
from tests.console import A_STACK, MadeUp, a_client

NOW = datetime.now(UTC).replace(microsecond=0)
UPLOAD = "00000000-0000-0000-0000-000000000001"
LATELY: dict[str, Any] = {"uploaded_at": NOW.replace(tzinfo=None), "bucket": "incoming"}


class S3:
    """Both buckets: objects of the incoming one by key and version, files of the results one."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.current: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.reads: list[str] = []

    def put_object(self, Bucket: str, Key: str, Body: bytes, Metadata: dict[str, str]) -> Any:
        assert Bucket == "incoming"
        version = f"v{len(self.objects)}"
        self.objects[Key, version] = Body
        self.current[Key] = {"VersionId": version, "Metadata": Metadata}
        return {"ETag": '"e"', "VersionId": version}

    def head_object(self, Bucket: str, Key: str) -> Any:
        assert Bucket == "incoming"
        if Key not in self.current:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return {"ETag": '"e"', "ContentLength": 1, "LastModified": NOW, **self.current[Key]}

    def get_object(self, Bucket: str, Key: str, VersionId: str = "") -> Any:
        found = self.files.get(Key) if Bucket == "results" else self.objects.get((Key, VersionId))
        if found is None:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        self.reads.append(Key)
        body = io.BytesIO(found)
        body.iter_chunks = lambda size: [found]  # type: ignore[attr-defined]
        return {"Body": body, "ContentLength": len(found)}

    def get_paginator(self, name: str) -> Any:
        def listed(Bucket: str, Prefix: str, StartAfter: str) -> Any:
            keys = [key for key in self.files if key.startswith(Prefix) and key > StartAfter]
            found = [_item(key, self.files[key]) for key in keys]
            return [{"Contents": found}]

        def versions(Bucket: str, Prefix: str) -> Any:
            return [{"Versions": [_version(key, each) for (key, each) in self.objects]}]

        return SimpleNamespace(paginate=listed if name == "list_objects_v2" else versions)

    def record(self, *rows: dict[str, Any], name: str = "a") -> str:
        """Have a file of rows in the table."""
        path = f"{PREFIX}dt={rows[0]['uploaded_at'].date()}/{name}.parquet"
        written = io.BytesIO()
        parquet.write_table(to_table(rows), written)
        self.files[path] = written.getvalue()
        return path


def _item(key: str, body: bytes) -> dict[str, Any]:
    return {"Key": key, "ETag": "e", "Size": len(body)}


def _version(key: str, version: str) -> dict[str, Any]:
    return {"Key": key, "VersionId": version, "ETag": '"e"', "Size": 1, "LastModified": NOW}


@pytest.fixture
def s3() -> S3:
    return S3()


@pytest.fixture
def system(tmp_path: Path, s3: S3) -> MadeUp:
    def attributes(QueueUrl: str, AttributeNames: list[str]) -> Any:
        return {"Attributes": dict.fromkeys(AttributeNames, "1")}

    return MadeUp(tmp_path, {"s3": s3, "sqs": SimpleNamespace(get_queue_attributes=attributes)})


@pytest.fixture
def owner(system: MadeUp):
    with a_client(system) as client:
        yield client


# ── the board ──────────────────────────────────────────────────────────────────────────────────────────────


def an_image(number: int) -> Upload:
    return Upload("incoming", f"{number}.png", "v", "e", "", 1, NOW)


def row_of(number: int, outcome: str, after_s: int) -> dict[str, Any]:
    upload = an_image(number)
    at = NOW.replace(tzinfo=None) + timedelta(seconds=after_s)
    make = {"rejected": a_rejected_row, "failed": a_failed_row}.get(outcome, a_row)
    row = make(number, **LATELY, upload_id=upload.upload_id, key=upload.key, version_id="v")
    pairs = row["probabilities"] and list(row["probabilities"].items())
    return {
        **row,
        "probabilities": pairs,
        "outcome": outcome,
        "decided_at": at,
        "result_id": f"{outcome} {after_s}",
    }


happenings = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["put", "accepted", "needs_review", "rejected", "failed"]),
        st.integers(0, 3),
    )
)


@given(happenings, st.integers(1, 3), st.sets(st.integers(0, 20)))
@settings(max_examples=50)
def test_a_browser_has_the_whole_board_however_it_listens(happened, at_once, away):
    board, cursor = Board(), 0
    seen: dict[str, Any] = {}
    for number, (image, what, after_s) in enumerate(happened):
        if what == "put":
            board.uploaded(an_image(image))
        else:
            board.decided([row_of(image, what, after_s)])
        if number not in away:
            images, cursor = board.since(cursor, at_once)
            seen |= {each["id"]: each for each in images}
    while (heard := board.since(cursor, 2))[0]:
        seen |= {each["id"]: each for each in heard[0]}
        cursor = heard[1]
    whole, _ = board.since(0, 1_000)
    assert seen == {each["id"]: each for each in whole}
    assert len(whole) == len({image for image, _, _ in happened})


def test_the_row_that_counts_is_that_of_the_view():
    board = Board()
    board.decided([row_of(1, "accepted", 5), row_of(1, "failed", 9), row_of(1, "needs_review", 4)])
    board.decided([row_of(1, "rejected", 12)])
    (image,), _ = board.since(0, 10)
    assert (image["outcome"], image["label"]) == ("accepted", "bicycle")


def test_the_board_is_bounded_and_drops_what_changed_longest_ago():
    board = Board(most=3)
    for number in range(5):
        board.uploaded(an_image(number))
    images, _ = board.since(0, 10)
    assert [each["key"] for each in images] == ["2.png", "3.png", "4.png"]


def test_text_of_others_is_printable_and_the_key_exact():
    board = Board()
    hostile = "a\u202e\x1b[31m<b>.png"
    board.decided([{**row_of(1, "failed", 1), "key": hostile, "reason": "\u2066x", "detail": "\x00y"}])
    (image,), _ = board.since(0, 1)
    assert image["key"] == hostile
    assert (image["name"], image["reason"], image["detail"]) == ("a��[31m<b>.png", "�x", "�y")


# ── the tail of the table ──────────────────────────────────────────────────────────────────────────────────


def tail(s3: S3) -> Tail:
    return Tail(ResultsBucket(s3, "results"), "incoming")


def keys(rows: list[dict[str, Any]]) -> list[str]:
    return [row["version_id"] for row in rows]


def test_each_file_of_the_table_is_read_once(s3):
    new = tail(s3)
    s3.record(a_row(1, **LATELY), a_rejected_row(2, **LATELY), name="a")
    assert sorted(keys(new.new_rows(NOW))) == ["v1", "v2"]
    late = a_row(3, **LATELY, decided_at=NOW.replace(tzinfo=None) - timedelta(hours=3))
    path = s3.record(late, name="b")
    assert keys(new.new_rows(NOW)) == ["v3"], "whenever it was decided"
    assert new.new_rows(NOW) == []
    assert s3.reads.count(path) == 1


def test_rows_of_another_day_or_bucket_are_no_news(s3):
    old = NOW.replace(tzinfo=None) - timedelta(days=1, minutes=1)
    s3.record(a_row(1, uploaded_at=old, bucket="incoming"), name="old")
    s3.record(a_row(2, uploaded_at=LATELY["uploaded_at"], bucket="data-capture"), name="other")
    assert tail(s3).new_rows(NOW) == []


def test_a_file_that_is_not_the_table_s_is_passed_over(s3):
    path = s3.record(a_row(1, **LATELY))
    s3.files[path.replace("/a.", "/b.")] = b"PAR1 not at all"
    assert keys(tail(s3).new_rows(NOW)) == ["v1"]


def test_of_many_rows_the_latest_are_taken(s3, monkeypatch):
    monkeypatch.setattr(tail_module, "MOST_ROWS", 2)
    at = NOW.replace(tzinfo=None)
    s3.record(*[a_row(n, **LATELY, decided_at=at + timedelta(seconds=n)) for n in range(5)])
    assert keys(tail(s3).new_rows(NOW)) == ["v3", "v4"]


# ── the stream ─────────────────────────────────────────────────────────────────────────────────────────────


def heard(feed: Feed, cursor: str, system: MadeUp, until: str) -> tuple[list[dict[str, Any]], str]:
    """Listen until something is said; return the images, and the last id."""

    async def listen() -> tuple[list[dict[str, Any]], str]:
        images, last = [], cursor
        async with asyncio.timeout(5), aclosing(feed.events(cursor)) as stream:
            async for event in stream:
                if "event: images" in event:
                    id_, _, data = event.strip().split("\n")
                    images += json.loads(data.removeprefix("data: "))
                    last = id_.removeprefix("id: ")
                if until in event:
                    break
        return images, last

    return asyncio.run(listen())


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(feed_module, "POLL_S", 0.01)
    monkeypatch.setattr(feed_module, "TICK_S", 0.01)


def test_a_browser_hears_what_it_missed_and_nothing_twice(system, s3):
    s3.record(a_row(1, **LATELY), a_row(2, **LATELY))
    feed = Feed(system)
    first, cursor = heard(feed, "", system, "images")
    assert sorted(image["version"] for image in first) == ["v1", "v2"]
    s3.record(a_failed_row(3, **LATELY), name="b")
    missed, cursor = heard(feed, cursor, system, "images")
    assert [(image["version"], image["outcome"]) for image in missed] == [("v3", "failed")]


@pytest.mark.parametrize("cursor", ["", "00000000-99", "nonsense", "-1", "\u0663"])
def test_a_browser_without_a_cursor_of_this_run_hears_everything(system, s3, cursor):
    s3.record(a_row(1, **LATELY))
    images, _ = heard(Feed(system), cursor, system, "images")
    assert len(images) == 1


def test_after_a_restart_the_images_that_are_on_their_way_are_in_the_listing(system, s3):
    s3.objects["a.png", "v9"] = b""
    images, _ = heard(Feed(system), "", system, "images")
    (image,) = images
    assert (image["key"], image["version"], "outcome" in image) == ("a.png", "v9", False)


def test_what_the_stack_does_not_classify_is_no_image_that_waits(tmp_path, system, s3):
    stack = A_STACK.__class__(**{**A_STACK.__dict__, "key_pattern": "in/*.png"})
    system = MadeUp(tmp_path, system._clients, stack=stack)
    s3.objects |= {("in/notes.txt", "v1"): b"", ("in/a.png", "v2"): b""}
    images, _ = heard(Feed(system), "", system, '"results"')
    assert [image["key"] for image in images] == ["in/a.png"]


def test_what_the_queues_hold_is_told_and_a_fault_too(system, s3, monkeypatch):
    feed = Feed(system)
    heard(feed, "", system, '"queues": {"results": 2, "waiting": 2, "undelivered": 2, "unrecorded": 2}')
    error = ClientError({"Error": {"Code": "ExpiredToken", "Message": "it is over"}}, "ListObjectsV2")
    monkeypatch.setattr(s3, "get_paginator", lambda name: (_ for _ in ()).throw(error))
    heard(feed, "", system, "it is over")


def test_nobody_watches_nobody_asks(system, s3):
    feed = Feed(system)
    heard(feed, "", system, "queues")

    async def later() -> bool:
        async with aclosing(feed.events("")) as stream:
            await anext(stream)
            looking = feed._looking
        assert looking
        async with asyncio.timeout(5):
            await looking
        return True

    assert asyncio.run(later())


def test_the_stream_ends_with_the_console(system):
    async def listen() -> None:
        async with asyncio.timeout(5):
            async for _ in Feed(system).events(""):
                system.is_closing = True

    asyncio.run(listen())


# ── uploads and pictures ───────────────────────────────────────────────────────────────────────────────────


def test_what_is_put_is_in_the_bucket_byte_for_byte_under_its_key(owner, s3):
    key, body = "van 07/ü+%2F?&#.png", bytes(range(256))
    answer = owner.request("PUT", "/upload", params={"key": key, "upload": UPLOAD}, content=body)
    assert answer.status_code == 200
    assert s3.objects == {(key, "v0"): body}
    assert answer.json()["version"] == "v0"
    again = owner.request("PUT", "/upload", params={"key": key, "upload": UPLOAD}, content=body)
    assert again.json()["id"] != answer.json()["id"], "a version of its own"


def test_an_upload_whose_answer_was_lost_is_put_once(owner, s3):
    def put(upload: str, **more: str) -> Any:
        params = {"key": "a", "upload": upload, **more}
        return owner.request("PUT", "/upload", params=params, content=b"x").json()

    other = UPLOAD.replace("1", "2")
    assert put(UPLOAD, again="1")["version"] == "v0", "it did not arrive"
    assert put(UPLOAD, again="1") == put(UPLOAD, again="1")
    assert len(s3.objects) == 1
    assert put(other, again="1")["version"] == "v1", "another image of the same name"
    assert "no name" in put("a name\r\nof: its own")["detail"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "1 to 1,024 bytes"),
        ("é" * 513, "1 to 1,024 bytes"),
        ("holiday/.DS_Store", ".DS_Store"),
        ("other/a.png", r"in/*.png"),
        ("in/a.jpg", r"in/*.png"),
    ],
)
def test_what_would_not_be_classified_is_refused_with_the_reason(tmp_path, s3, key, said):
    stack = A_STACK.__class__(**{**A_STACK.__dict__, "key_pattern": "in/*.png"})
    with a_client(MadeUp(tmp_path, {"s3": s3}, stack=stack)) as owner:
        answer = owner.request("PUT", "/upload", params={"key": key, "upload": UPLOAD}, content=b"x")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert not s3.objects


def test_a_body_beyond_what_is_read_is_refused_unread(owner, s3):
    async def endless():
        yield b"x"
        raise AssertionError("it was read")

    headers = {"content-length": str(MAX_BYTES + 1)}
    answer = owner.request(
        "PUT", "/upload", params={"key": "a", "upload": UPLOAD}, content=endless(), headers=headers
    )
    assert answer.status_code == 413
    assert not s3.objects


def test_what_s3_says_is_passed_on(owner, s3, monkeypatch):
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "PutObject")
    monkeypatch.setattr(s3, "put_object", lambda **_: (_ for _ in ()).throw(error))
    answer = owner.request("PUT", "/upload", params={"key": "a", "upload": UPLOAD}, content=b"x")
    assert answer.status_code == 502
    assert "not you" in answer.json()["detail"]


def test_no_other_page_uploads(owner, s3):
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = owner.request(
            "PUT", "/upload", params={"key": "a", "upload": UPLOAD}, content=b"x", headers=headers
        )
        assert answer.status_code == 403
    assert owner.get("/upload", params={"key": "a"}).status_code == 405
    assert not s3.objects


def test_a_picture_is_made_anew_and_never_the_object(owner, s3):
    written = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(written, "GIF", comment=b"<script>alert(1)</script>")
    s3.objects["a.html", "v1"] = written.getvalue()
    answer = owner.get("/picture", params={"key": "a.html", "version": "v1"})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (96, 96)
    assert b"script" not in answer.content


@pytest.mark.parametrize(
    ("version", "kept"), [("v1", "private, max-age=86400"), ("null", "no-store"), ("", "no-store")]
)
def test_a_browser_keeps_the_picture_of_a_version_that_never_changes(owner, s3, version, kept):
    written = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(written, "PNG")
    s3.objects["a.png", version or "null"] = written.getvalue()
    answer = owner.get("/picture", params={"key": "a.png", "version": version})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, kept)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"key": "page.html", "version": "v1"}, 404),
        ({"key": "page.html", "version": "v2"}, 404),
        ({"key": "page.html", "version": "v1", "size": "9999"}, 400),
        ({}, 400),
    ],
)
def test_what_is_no_image_has_no_picture(owner, s3, asked, status):
    s3.objects["page.html", "v1"] = b"<script>alert(1)</script>"
    answer = owner.get("/picture", params=asked)
    assert answer.status_code == status
    assert b"script" not in answer.content


def test_the_page_knows_the_outcomes_and_the_stack_s_own_prefix(tmp_path):
    stack = A_STACK.__class__(**{**A_STACK.__dict__, "key_pattern": 'in"><b>/*.png', "endpoint_url": None})
    with a_client(MadeUp(tmp_path, {}, stack=stack)) as owner:
        text = owner.get("/").text
    assert 'value="in&#34;&gt;&lt;b&gt;/"' in text
    assert f"over {watch.RATE_ON_AWS_S} s" in text
    assert "For review" in text
