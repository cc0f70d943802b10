"""The mirror of the results bucket, on moto's S3."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from analytics.lake.aws import ResultsBucket
from analytics.lake.mirror import INDEX, MirrorFailed, MirrorReport, mirror

BUCKET = "results"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


def key(day: int, name: str = "a") -> str:
    return f"predictions/dt=2026-11-{day:02d}/{name}.parquet"


def put(s3: Any, key: str, body: bytes = b"rows") -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")}


class Meddled:
    """S3 with somebody else at work: something happens before some call."""

    def __init__(self, s3: Any, before_get: Callable[[str], None] = lambda key: None) -> None:
        self._s3 = s3
        self._before_get = before_get

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def get_object(self, **request: Any) -> Any:
        self._before_get(request["Key"])
        return self._s3.get_object(**request)


class Counting(Meddled):
    def __init__(self, s3: Any) -> None:
        self.got: list[str] = []
        self.listings = 0
        super().__init__(s3, self.got.append)

    def get_paginator(self, name: str) -> Any:
        self.listings += 1
        return self._s3.get_paginator(name)


def test_an_empty_bucket_gives_an_empty_folder(s3: Any, tmp_path: Path):
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path) == MirrorReport(0, 0, 0, 0)
    assert files(tmp_path) == {}


def test_a_folder_is_a_mirror_before_its_first_file(s3: Any, tmp_path: Path):
    there: list[bool] = []
    put(s3, key(1))
    s3 = Meddled(s3, lambda _: there.append((tmp_path / INDEX).exists()))
    mirror(ResultsBucket(s3, BUCKET), tmp_path)
    assert there == [True]


def test_files_come_under_the_same_paths(s3: Any, tmp_path: Path):
    for day in (1, 2):
        put(s3, key(day), b"x" * day)
    put(s3, "predictions/readme.txt")
    put(s3, "other/a.parquet")
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path / "new") == MirrorReport(2, 2, 3, 0)
    assert files(tmp_path / "new") == {key(1): b"x", key(2): b"xx"}


def test_a_listing_leaves_out_what_was_written_before(s3: Any):
    put(s3, key(1))
    written_at = s3.head_object(Bucket=BUCKET, Key=key(1))["LastModified"]
    for seconds, listed in ((0, [key(1)]), (1, [])):
        since = written_at + timedelta(seconds=seconds)
        assert [path for path, _ in ResultsBucket(s3, BUCKET).list_files("", since=since)] == listed


def test_only_what_changed_is_copied_and_what_is_gone_is_deleted(s3: Any, tmp_path: Path):
    for day in (1, 2, 3):
        put(s3, key(day))
    mirror(ResultsBucket(s3, BUCKET), tmp_path)
    put(s3, key(2), b"ROWS")  # of the same size
    put(s3, key(4))
    s3.delete_object(Bucket=BUCKET, Key=key(3))
    counting = Counting(s3)
    assert mirror(ResultsBucket(counting, BUCKET), tmp_path) == MirrorReport(3, 2, 8, 1)
    assert (sorted(counting.got), counting.listings) == ([key(2), key(4)], 1)
    assert files(tmp_path) == {key(1): b"rows", key(2): b"ROWS", key(4): b"rows"}


def test_nothing_new_is_one_listing(s3: Any, tmp_path: Path):
    put(s3, key(1))
    mirror(ResultsBucket(s3, BUCKET), tmp_path)
    index = (tmp_path / INDEX).stat()
    counting = Counting(s3)
    assert mirror(ResultsBucket(counting, BUCKET), tmp_path) == MirrorReport(1, 0, 0, 0)
    assert (counting.got, counting.listings) == ([], 1)
    assert (tmp_path / INDEX).stat().st_mtime_ns == index.st_mtime_ns


def test_a_file_that_was_lost_or_cut_in_the_folder_comes_again(s3: Any, tmp_path: Path):
    put(s3, key(1))
    put(s3, key(2))
    mirror(ResultsBucket(s3, BUCKET), tmp_path)
    (tmp_path / key(1)).unlink()
    (tmp_path / key(2)).write_bytes(b"ro")
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path).downloaded == 2
    assert files(tmp_path) == {key(1): b"rows", key(2): b"rows"}


def test_a_compaction_in_the_middle_leaves_its_own_file(s3: Any, tmp_path: Path):
    put(s3, key(1, "a"))
    put(s3, key(1, "b"))
    done: list[bool] = []

    def compact(_: str) -> None:
        if not done:
            done.append(True)
            put(s3, key(1, "once"), b"all rows")
            s3.delete_object(Bucket=BUCKET, Key=key(1, "a"))
            s3.delete_object(Bucket=BUCKET, Key=key(1, "b"))

    report = mirror(ResultsBucket(Meddled(s3, compact), BUCKET), tmp_path)
    assert files(tmp_path) == {key(1, "once"): b"all rows"}
    assert report.files == 1


def test_a_file_that_is_replaced_while_it_is_copied_is_copied_as_it_is_then(s3: Any, tmp_path: Path):
    put(s3, key(1), b"old")
    replaced: list[bool] = []

    def replace(_: str) -> None:
        if not replaced:
            replaced.append(True)
            put(s3, key(1), b"new")

    mirror(ResultsBucket(Meddled(s3, replace), BUCKET), tmp_path)
    assert files(tmp_path) == {key(1): b"new"}
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path).downloaded == 0  # it knows what it has


def test_a_bucket_of_several_pages_that_does_not_change_is_listed_twice(s3: Any, tmp_path: Path):
    for day in range(1, 6):
        put(s3, key(day))
    listings = []

    class Paginator:
        def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
            listings.append(request["Prefix"])
            everything = s3.list_objects_v2(**request)["Contents"]
            yield from ({"Contents": everything[at : at + 2]} for at in (0, 2, 4))

    paged = Meddled(s3)
    paged.get_paginator = lambda _: Paginator()  # type: ignore[attr-defined]
    assert mirror(ResultsBucket(paged, BUCKET), tmp_path).downloaded == 5
    assert len(listings) == 2


def test_a_row_that_moves_between_two_pages_of_the_listing_is_not_missed(s3: Any, tmp_path: Path):
    put(s3, key(1, "m"))
    put(s3, key(2, "z"), b"the rows")

    class Paginator:
        listings = 0

        def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
            Paginator.listings += 1
            everything = s3.list_objects_v2(**request)["Contents"]
            yield {"Contents": everything[:1]}
            if Paginator.listings == 1:  # the rows go to a file that would have been on the first page
                put(s3, key(1, "b"), b"the rows")
                s3.delete_object(Bucket=BUCKET, Key=key(2, "z"))
            yield {"Contents": s3.list_objects_v2(**request)["Contents"][1:]}

    meddled = Meddled(s3)
    meddled.get_paginator = lambda _: Paginator()  # type: ignore[attr-defined]
    mirror(ResultsBucket(meddled, BUCKET), tmp_path)
    assert b"the rows" in files(tmp_path).values()


def test_rows_that_move_during_one_listing_after_the_other_are_not_missed(s3: Any, tmp_path: Path):
    put(s3, key(1, "m"))
    for name in ("y", "z"):
        put(s3, key(2, name), name.encode())
    moves = iter([("z", "b"), ("y", "a")])

    class Paginator:
        def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
            yield {"Contents": s3.list_objects_v2(**request)["Contents"][:1]}
            for old, new in islice(moves, 1):
                put(s3, key(1, new), old.encode())
                s3.delete_object(Bucket=BUCKET, Key=key(2, old))
            yield {"Contents": s3.list_objects_v2(**request)["Contents"][1:]}

    meddled = Meddled(s3)
    meddled.get_paginator = lambda _: Paginator()  # type: ignore[attr-defined]
    mirror(ResultsBucket(meddled, BUCKET), tmp_path)
    assert sorted(files(tmp_path).values()) == [b"rows", b"y", b"z"]


def test_a_bucket_that_keeps_changing_is_given_up(s3: Any, tmp_path: Path):
    put(s3, key(1), b"0")
    versions: list[bytes] = []

    def replace(_: str) -> None:
        versions.append(b"x")
        put(s3, key(1), b"".join(versions))

    with pytest.raises(MirrorFailed, match="changed during each of"):
        mirror(ResultsBucket(Meddled(s3, replace), BUCKET), tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        "predictions/../../outside.parquet",
        "predictions/dt=2026-11-01/../../../outside.parquet",
        "predictions//outside.parquet",
        "predictions/dt=2026-11-01/.hidden.parquet",
        "predictions/dt=2026-11-01/_hidden.parquet",
        "predictions/dt=2026-11-01/a\\b.parquet",
        "predictions/dt=2026-11-01/a b.parquet",
        "predictions/dt=2026-11-01/aä.parquet",
    ],
)
def test_a_key_that_is_not_a_plain_path_is_ignored(s3: Any, tmp_path: Path, bad: str):
    put(s3, bad)
    put(s3, key(1))
    folder = tmp_path / "deep" / "mirror"
    assert mirror(ResultsBucket(s3, BUCKET), folder).files == 1
    assert list(files(tmp_path)) == [f"deep/mirror/{key(1)}"]


def test_a_folder_of_other_files_is_refused(s3: Any, tmp_path: Path):
    mine = tmp_path / key(1)
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(MirrorFailed, match="is not a mirror"):
        mirror(ResultsBucket(s3, BUCKET), tmp_path)
    assert mine.read_bytes() == b"mine"


def test_an_error_of_s3_is_raised_and_files_copied_before_it_are_kept(s3: Any, tmp_path: Path):
    put(s3, key(1))

    def refuse(_: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject")

    with pytest.raises(ClientError, match="AccessDenied"):
        mirror(ResultsBucket(Meddled(s3, refuse), BUCKET), tmp_path)
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path).downloaded == 1
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [INDEX, "a.parquet"]


def test_two_prefixes_share_a_folder(s3: Any, tmp_path: Path):
    put(s3, key(1))
    put(s3, "labels/dt=2026-11-01/a.parquet", b"truth")
    mirror(ResultsBucket(s3, BUCKET), tmp_path)
    mirror(ResultsBucket(s3, BUCKET), tmp_path, "labels/")
    assert mirror(ResultsBucket(s3, BUCKET), tmp_path) == MirrorReport(1, 0, 0, 0)
    assert len(files(tmp_path)) == 2
    assert len(json.loads((tmp_path / INDEX).read_text(encoding="utf-8"))) == 2
