"""What commands on AWS ask for does not grow with history: requests, bytes scanned, rows fetched."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from analytics.athena.engine import QueryFailed, QueryResult, SideBySide
from analytics.athena.local import LocalEngine
from analytics.lake.columns import PREFIX
from analytics.lake.schema import to_table
from analytics.questions.queries import views
from analytics.reconciliation import Settled, reconciled
from analytics.report.isoweek import IsoWeek
from infra.operations import drop
from infra.operations.drop import Dropped, settle
from infra.operations.listing import listed
from infra.operations.tail import POLL_ON_AWS_S
from infra.operations.write_report import LISTED_MOST, uploaded_in
from tests.builders import an_upload
from tests.builders_table import a_row
from workflow.outcome import Outcome

DAYS, ROWS_A_DAY = 100, 10_000
NOW = datetime.now(UTC).replace(tzinfo=None)
BUCKET = str(a_row()["bucket"])
NEW = [f"new/{number:03}.png" for number in range(20)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A million rows of earlier days, and those of a drop."""
    folder = tmp_path_factory.mktemp("results")
    day = to_table([a_row(number, uploaded_at=NOW) for number in range(100)])
    whole = pa.concat_tables([day] * (ROWS_A_DAY // 100)).combine_chunks()
    for back in range(1, DAYS + 1):
        path = folder / f"{PREFIX}dt={NOW - timedelta(days=back + 2):%Y-%m-%d}" / "a.parquet"
        path.parent.mkdir(parents=True)
        if back == 1:
            parquet.write_table(whole, path)
            first = path
        else:
            path.hardlink_to(first)
    path = folder / f"{PREFIX}dt={NOW:%Y-%m-%d}" / "a.parquet"
    path.parent.mkdir(parents=True)
    rows = [a_row(number, uploaded_at=NOW, key=key, version_id="v") for number, key in enumerate(NEW)]
    parquet.write_table(to_table(rows), path)
    return folder


class Counting:
    """Athena, as far as a command's cost goes."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.queries = self.scanned_bytes = self.rows = 0

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        result = self.engine.query(sql, parameters)
        self.queries += 1
        self.scanned_bytes += result.scanned_bytes
        self.rows += len(result.frame)
        return result


class Answers:
    def __init__(self, counting: Counting) -> None:
        self.counting = counting

    def __enter__(self) -> Counting:
        return self.counting

    def __exit__(self, *_: Any) -> None:
        self.counting.engine.close()


def test_a_drop_reads_its_own_days_and_fetches_its_own_rows(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(LocalEngine(table, views()))
    monkeypatch.setattr(drop, "engine", lambda stack: Answers(counting))
    progress = SimpleNamespace(add_task=lambda *_, **__: 0, update=lambda *_, **__: None)
    stack: Any = SimpleNamespace(endpoint_url=None, home=None)
    settled = settle(stack, [Dropped(key, "v") for key in NEW], progress, 60)  # type: ignore[arg-type]
    assert (settled.missing, settled.duplicates, settled.outcomes["accepted"]) == ([], 0, len(NEW))
    assert counting.queries == 2
    assert counting.rows == 1 + len(NEW)
    assert counting.scanned_bytes < 1_000_000  # the table has a hundred times as much


def test_rows_of_others_under_the_same_prefix_are_no_news(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = iter(range(1_000))

    class Growing(Counting):
        def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
            result = super().query(sql, parameters)
            if list(result.frame.columns) == ["stored"]:
                result.frame["stored"] += next(more)
            return result

    monkeypatch.setattr(drop, "engine", lambda stack: Answers(Growing(LocalEngine(table, views()))))
    monkeypatch.setattr(drop, "POLL_ON_AWS_S", 0.01)
    progress: Any = SimpleNamespace(add_task=lambda *_, **__: 0, update=lambda *_, **__: None)
    stack: Any = SimpleNamespace(endpoint_url=None, home=None)
    settled = settle(stack, [Dropped("new/000.png", "another version")], progress, 0.1)
    assert len(settled.missing) == 1
    assert next(more) < 900


def test_a_question_about_a_drop_is_asked_seldom_on_aws() -> None:
    assert POLL_ON_AWS_S >= 10


def test_a_reconciliation_fetches_counts_of_what_nothing_is_wrong_with(table: Path) -> None:
    fetched: list[tuple[Any, ...]] = []
    uploads = [an_upload(bucket=BUCKET, key=key, version_id="v") for key in [*NEW, "new/missing.png"]]
    with reconciled(table, BUCKET, uploads, "new/") as reconciliation:
        stream = reconciliation.stream

        def counting(sql: str) -> Iterator[tuple[Any, ...]]:
            for row in stream(sql):
                fetched.append(row)
                yield row

        found = list(replace(reconciliation, stream=counting).summarized())
    assert Settled(True, Outcome.ACCEPTED, len(NEW)) in found
    assert len(found) == len(fetched) == 2


class Bucket:
    """Ten million versions, listed a thousand at a time."""

    def __init__(self) -> None:
        self.requests = 0

    def get_paginator(self, _: str) -> "Bucket":
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        one = {"Key": "a", "VersionId": "v", "ETag": '"e"', "Size": 1, "LastModified": datetime.now(UTC)}
        for _page in range(10_000):
            self.requests += 1
            yield {"Versions": [one] * 1_000}


def test_a_report_lists_a_large_bucket_no_further_than_a_hundred_requests() -> None:
    bucket = Bucket()
    week = IsoWeek.of(datetime.now(UTC).date())
    assert uploaded_in(week, listed(bucket, "incoming"), LISTED_MOST, "*.png") == (None, 0)
    assert bucket.requests <= LISTED_MOST / 1_000 + 1


def test_the_questions_of_a_report_are_asked_side_by_side() -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    class Athena:
        queries_at_once = 10

        def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.01)
            with lock:
                under_way -= 1
            return QueryResult(pd.DataFrame({"sql": [sql]}), 1, 1.0)

    class Failing(Athena):
        asked = 0

        def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
            Failing.asked += 1
            raise QueryFailed("Athena is away.")

    statements = [f"SELECT {number}" for number in range(30)]
    together = SideBySide(Athena(), [*statements, *statements])
    assert [together.query(sql).frame["sql"][0] for sql in statements] == statements
    assert 2 <= most <= 10
    with pytest.raises(QueryFailed):
        SideBySide(Failing(), statements)
    assert Failing.asked == 1
    assert together.query("SELECT 'another'").frame["sql"][0] == "SELECT 'another'"
