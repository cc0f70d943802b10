"""infra.operations.arrivals: the rows of a drop are found in the files as in the answers of the questions."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from analytics.athena.local import LocalEngine
from analytics.lake.columns import PREFIX
from analytics.lake.schema import to_table
from analytics.questions.queries import internal_query, views
from infra.operations.arrivals import Arrivals, Bounds, Found
from tests.builders_table import a_row

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC).replace(tzinfo=None)
BOUNDS = Bounds(
    from_dt=NOON.date() - timedelta(days=1),
    to_dt=NOON.date() + timedelta(days=1),
    uploaded_since=NOON,
    decided_since=NOON + timedelta(minutes=1),
    prefix="a/",
)


class Bucket:
    """The table's files in a folder. Downloads none twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloaded: list[str] = []

    def write(self, name: str, *rows: dict[str, Any], day: str = "2026-11-16") -> None:
        path = self.folder / f"{PREFIX}dt={day}" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(to_table(rows), path)

    def list_files(self, prefix: str, after: str, since: datetime | None) -> Any:
        for file in sorted((self.folder / prefix).glob("*/*.parquet")):
            is_old = since and datetime.fromtimestamp(file.stat().st_mtime, UTC) < since
            if (path := file.relative_to(self.folder).as_posix()) > after and not is_old:
                yield path, file.stat().st_size

    def download(self, paths: list[str], folder: Path) -> dict[str, Path]:
        self.downloaded += paths
        return {path: self.folder / path for path in paths}


def row(key: str, minute: int, outcome: str = "accepted", **more: Any) -> dict[str, Any]:
    at = NOON + timedelta(minutes=minute)
    said = {"uploaded_at": NOON, "decided_at": at, "version_id": "v", "upload_id": f"{ord(key[-1]):064x}"}
    return a_row(**{**said, "key": key, "outcome": outcome, "result_id": f"{key} of m", **more})


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(tmp_path)


def test_the_files_say_what_the_questions_say(bucket: Bucket) -> None:
    bucket.write("1", row("a/1", 2), row("a/2", 2, "failed", execution_arn="x"), row("b/1", 2))
    bucket.write("2", row("a/2", 0), row("a/3", 0), row("a/4", 2, uploaded_at=NOON - timedelta(hours=1)))
    bucket.write("3", row("a/1", 3, execution_arn="again"), row("a/5", 2, version_id=None, etag="e"))
    arrivals = Arrivals(bucket, lambda: BOUNDS)  # type: ignore[arg-type]
    answers = LocalEngine(bucket.folder, views())
    try:
        counted = answers.query(internal_query("dropped_count", **BOUNDS.parameters)).frame["stored"][0]
        rows = answers.records(internal_query("dropped_rows", **BOUNDS.parameters))
    finally:
        answers.close()
    assert arrivals.count() == counted == 4
    found = arrivals.found()
    assert found == {
        (r["key"], r["version"]): Found(r["stored"], r["outcome"], r["latency_ms"]) for r in rows
    }
    assert found["a/2", "v"] == Found(1, "accepted", 0)  # of before, which a failure does not replace
    assert found["a/5", "e"].latency_ms == 120_000


def test_a_file_is_read_once_and_a_row_that_is_compacted_counts_once(bucket: Bucket) -> None:
    arrivals = Arrivals(bucket, lambda: BOUNDS)  # type: ignore[arg-type]
    bucket.write("1", row("a/1", 2))
    assert arrivals.count() == 1
    bucket.write("compacted", row("a/1", 2), row("a/2", 2))
    assert [arrivals.count(), arrivals.count()] == [2, 2]
    assert len(bucket.downloaded) == 2


def test_files_from_before_a_drop_are_not_read(bucket: Bucket) -> None:
    began = datetime.now(UTC)
    for name, at in (("before", began - timedelta(seconds=1)), ("after", began)):
        bucket.write(name, row(f"a/{name}", 2))
        os.utime(bucket.folder / f"{PREFIX}dt=2026-11-16" / f"{name}.parquet", (at.timestamp(),) * 2)
    assert Arrivals(bucket, lambda: replace(BOUNDS, written_since=began)).count() == 1  # type: ignore[arg-type]
    assert [Path(path).stem for path in bucket.downloaded] == ["after"]


def test_files_of_other_days_are_not_read(bucket: Bucket) -> None:
    for number, day in enumerate(("2026-11-14", "2026-11-15", "2026-11-17", "2026-11-18")):
        bucket.write(f"{number}", row(f"a/{number}", 2), day=day)
    assert Arrivals(bucket, lambda: BOUNDS).count() == 2  # type: ignore[arg-type]
    assert [path.split("/")[1] for path in bucket.downloaded] == ["dt=2026-11-15", "dt=2026-11-17"]
