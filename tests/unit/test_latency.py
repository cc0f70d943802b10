"""An image took as long as its first answer did, whatever is decided anew, delivered again and compacted."""

import io
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as parquet
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics.athena.local import LocalEngine
from analytics.lake.columns import PREFIX
from analytics.lake.compaction import compact
from analytics.lake.schema import to_table
from analytics.questions.queries import saved_query, views
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from tests.builders_bucket import Bucket, Row
from tests.builders_table import a_failed_row, a_rejected_row, a_row

MONDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 22)
NOON = datetime.fromisoformat("2026-11-16T12:00")
IMAGES = 5
KINDS = ["accepted", "needs_review", "rejected", "failed"]


class Table:
    """The results as they lie in the bucket, and what a reader is told of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.athena = LocalEngine(folder, views())

    def holds(self, bucket: Bucket) -> "Table":
        shutil.rmtree(self._folder / "predictions", ignore_errors=True)
        for path, body in bucket.files.items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / path).write_bytes(body)
        return self

    def ask(self, name: str) -> pd.DataFrame:
        return self.athena.query(saved_query(name, from_dt=MONDAY, to_dt=SUNDAY)).frame

    def times(self) -> list[Any]:
        """Return how long images took, as each question about it says, and how many were late."""
        totals = [f"total_{p}_ms" for p in ("p50", "p95", "p99")]
        week, day = self.ask("latency").to_dict("records")
        summaries = self.ask("weekly_summary")
        (summary,) = summaries[summaries["outcome"].isna()].to_dict("records")
        return [
            *(row[of] for row in (week, day) for of in totals),
            *(summary[of] for of in totals[:2]),
            *self.ask("completeness")["late"],
        ]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    table = Table(tmp_path_factory.mktemp("results"))
    yield table
    table.athena.close()


def decision(upload: int, kind: str, after: timedelta, model: str = "m1") -> Row:
    facts: dict[str, Any] = {
        "uploaded_at": NOON + timedelta(minutes=upload),
        "decided_at": NOON + timedelta(minutes=upload) + after,
        "execution_arn": f"{upload} {kind} {after} {model}",
    }
    if kind == "rejected":
        return a_rejected_row(upload, **facts)
    if kind == "failed":
        return a_failed_row(upload, **facts)
    return a_row(upload, outcome=kind, model_version=model, **facts)


def first_answers() -> list[Row]:
    """Return of each image what was said at first: within a second, or, of the last one, in two hours."""
    return [
        decision(upload, "accepted", timedelta(hours=2) if upload == IMAGES - 1 else timedelta(seconds=1))
        for upload in range(IMAGES)
    ]


anew = st.builds(
    decision,
    st.integers(0, IMAGES - 1),
    st.sampled_from(KINDS),
    st.integers(1, 6).map(lambda days: timedelta(days=days)),
    st.sampled_from(["m1", "m2"]),
)
steps = st.lists(
    st.sampled_from(["compact", "deliver again"]) | st.lists(anew, min_size=1, max_size=IMAGES),
    min_size=1,
    max_size=6,
)


@settings(max_examples=12, phases=[Phase.generate])
@given(steps=steps)
def test_whatever_is_decided_anew_and_compacted_in_any_order_images_took_as_long_as_at_first(
    table: Table, steps: Sequence[str | list[Row]]
) -> None:
    bucket = Bucket()
    bucket.record(first_answers())
    took = table.holds(bucket).times()
    assert took[-1] == 1
    for step in steps:
        if step == "compact":
            list(compact(bucket))
        else:
            bucket.record(first_answers() if isinstance(step, str) else step)
        assert table.holds(bucket).times() == took


@settings(max_examples=12, phases=[Phase.generate])
@given(
    rows=st.permutations([*first_answers(), *(decision(n, "accepted", timedelta(days=3)) for n in range(4))])
)
def test_an_answer_that_is_written_down_late_is_still_the_first(table: Table, rows: list[Row]) -> None:
    bucket = Bucket()
    for row in rows:
        bucket.record([row])
        list(compact(bucket))
    expected = Bucket()
    expected.record(first_answers())
    took = table.holds(expected).times()
    assert table.holds(bucket).times() == took


def test_what_failed_took_until_it_was_answered_after_all(table: Table) -> None:
    bucket = Bucket()
    bucket.record([decision(0, "failed", timedelta(minutes=5)), decision(0, "accepted", timedelta(days=4))])
    for _ in range(2):
        assert table.holds(bucket).ask("latency")["total_p95_ms"][0] == 4 * 86_400_000
        list(compact(bucket))


@pytest.mark.parametrize("name", ["rows-current-" + "a" * 32 + "-0000", "a" * 64])
def test_files_from_before_there_was_a_first_decision_say_what_they_said(table: Table, name: str) -> None:
    body = io.BytesIO()
    parquet.write_table(to_table(first_answers()).drop_columns(["first_decided_at"]), body)
    old, new = Bucket(), Bucket()
    old.files[f"{PREFIX}dt={MONDAY}/{name}.parquet"] = body.getvalue()
    new.record(first_answers())
    took = table.holds(new).times()
    assert table.holds(old).times() == took
    old.record([decision(0, "accepted", timedelta(days=4))])
    assert table.holds(old).times() == took
    list(compact(old))
    assert table.holds(old).times() == took


def test_a_backfill_on_friday_does_not_slow_mondays_images_in_the_report(table: Table) -> None:
    bucket = Bucket()
    bucket.record(first_answers()[:-1])
    bucket.record([decision(n, "accepted", timedelta(days=4), model="m2") for n in range(IMAGES - 1)])
    report = build_report(table.holds(bucket).athena, IsoWeek.of(MONDAY), None)
    assert report.numbers.summary.total_p95_ms == 1_000
    assert report.numbers.completeness.late == 0
    assert [model.model_version for model in report.numbers.models] == ["m2"]
    assert "95 % of the images were decided within 1.0 s" in report.to_text().replace("\u00a0", " ")
