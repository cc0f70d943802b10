"""An upload that is seen on two days is seen on one again, and its best row is never lost on the way."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics.athena.local import LocalEngine
from analytics.lake.compaction import compact
from analytics.lake.cross_day import VisibleRow, duplicates, remove_duplicates
from analytics.lake.schema import partition
from analytics.questions.queries import internal_query, views
from tests.builders_bucket import Actor, Bucket, Row, best, ending, sort_key
from tests.builders_table import a_failed_row, a_row

NOON = datetime.fromisoformat("2026-11-16T12:00")


def decision(upload: int, day: int, minute: int = 0, outcome: str = "accepted") -> Row:
    """Return what was decided on an upload, with its time as one of two sources says it."""
    facts: dict[str, Any] = {
        "uploaded_at": NOON + timedelta(days=day),
        "decided_at": NOON + timedelta(minutes=minute),
        "execution_arn": f"{upload} {day} {minute} {outcome}",
    }
    return a_failed_row(upload, **facts) if outcome == "failed" else a_row(upload, outcome=outcome, **facts)


def visible(rows: Sequence[Row]) -> list[VisibleRow]:
    """Return what the view says of each day."""
    days: dict[str, list[Row]] = {}
    for row in rows:
        days.setdefault(partition(row), []).append(row)
    return [
        VisibleRow(upload, dt, row["outcome"], row["decided_at"], row["result_id"], row["execution_arn"])
        for dt, of_day in days.items()
        for upload, row in best(of_day).items()
    ]


def mend(bucket: Bucket) -> None:
    remove_duplicates(bucket, duplicates(visible(bucket.rows())))


def bucket_of(*batches: Sequence[Row]) -> Bucket:
    bucket = Bucket()
    for batch in batches:
        bucket.record(batch)
    return bucket


def test_the_row_that_counts_stays_and_the_one_of_the_other_day_goes() -> None:
    early, late = decision(1, day=0), decision(1, day=-1, minute=9)
    other = decision(2, day=0)
    bucket = bucket_of([early, other], [late])
    mend(bucket)
    assert {row["execution_arn"] for row in bucket.rows()} == {
        late["execution_arn"],
        other["execution_arn"],
    }


def test_a_late_failure_on_another_day_does_not_take_the_place_of_an_answer() -> None:
    bucket = bucket_of([decision(1, day=0)], [decision(1, day=1, minute=9, outcome="failed")])
    mend(bucket)
    assert [row["outcome"] for row in bucket.rows()] == ["accepted"]


def test_a_day_of_nothing_else_vanishes() -> None:
    bucket = bucket_of([decision(1, day=0)], [decision(1, day=1, minute=9)])
    mend(bucket)
    assert [path.split("/")[1] for path in bucket.files] == ["dt=2026-11-17"]


def test_a_row_that_came_since_and_is_better_stays() -> None:
    bucket = bucket_of([decision(1, day=0)], [decision(1, day=1, minute=5, outcome="failed")])
    known = duplicates(visible(bucket.rows()))
    bucket.record([decision(1, day=1, minute=9)])
    remove_duplicates(bucket, known)
    assert sorted(row["decided_at"] for row in bucket.rows()) == [NOON, NOON + timedelta(minutes=9)]
    mend(bucket)
    assert [row["decided_at"] for row in bucket.rows()] == [NOON + timedelta(minutes=9)]


def test_days_without_duplicates_are_left_alone() -> None:
    bucket = bucket_of([decision(1, day=0)], [decision(2, day=1)], [decision(1, day=0, minute=3)])
    before = dict(bucket.files)
    mend(bucket)
    assert bucket.files == before


def test_sql_finds_what_these_tests_find(tmp_path: Path) -> None:
    rows = [
        decision(1, day=0),
        decision(1, day=1, minute=9),
        decision(2, day=0),
        decision(2, day=0, minute=1),
    ]
    for path, body in bucket_of(rows).files.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(body)
    engine = LocalEngine(tmp_path, views())
    found = [
        VisibleRow(*row)
        for row in engine.query(internal_query("seen_on_several_days")).frame.itertuples(
            index=False, name=None
        )
    ]
    engine.close()
    assert duplicates(found) == duplicates(visible(rows))
    assert list(duplicates(found)) == ["2026-11-16"]


decisions = st.builds(
    decision,
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 3),
    st.sampled_from(["accepted", "needs_review", "failed"]),
)
batches = st.lists(st.lists(decisions, min_size=1, max_size=4), min_size=1, max_size=3)


@settings(max_examples=25, phases=[Phase.generate])
@given(data=st.data(), before=batches, beside=batches)
def test_the_best_row_is_there_at_every_step_whoever_goes_next_and_whoever_dies(
    data: st.DataObject, before: list[list[Row]], beside: list[list[Row]]
) -> None:
    bucket = bucket_of(*before)
    written = [row for batch in before for row in batch]
    turn: list[Actor] = []
    bucket.step = lambda: turn[0].pause()

    def record(actor: Actor) -> None:
        for batch in beside:
            # Day by day: a row counts as soon as its file is there, before the batch's other days are.
            for _, of_day in groupby(sorted(batch, key=partition), key=partition):
                rows = list(of_day)
                bucket.record(rows)
                written.extend(rows)

    def mend_twice(actor: Actor) -> None:
        for _ in range(2):
            mend(bucket)

    actors = [Actor(record), Actor(mend_twice), Actor(mend_twice), Actor(lambda actor: list(compact(bucket)))]
    with ending(actors):
        while alive := [actor for actor in actors if not actor.done]:
            turn[:] = [data.draw(st.sampled_from(alive))]
            turn[0].go_on(dies=turn[0] is not actors[0] and data.draw(st.integers(0, 19)) == 0)
            there = {sort_key(row) for row in bucket.rows()}
            assert {sort_key(row) for row in best(written).values()} <= there

    bucket.step = lambda: None
    mend(bucket)
    assert {upload: sort_key(row) for upload, row in bucket.outcomes().items()} == {
        upload: sort_key(row) for upload, row in best(written).items()
    }


@pytest.mark.parametrize("parts", [1, 40])
def test_rows_are_taken_out_of_a_day_of_any_size(monkeypatch: pytest.MonkeyPatch, parts: int) -> None:
    monkeypatch.setattr("analytics.lake.merge.ROWS_AT_ONCE", 400 // parts)
    rows = [decision(number, day=0) for number in range(400)]
    bucket = bucket_of(rows, [decision(number, day=1, minute=1) for number in range(0, 400, 4)])
    mend(bucket)
    assert len(bucket.outcomes()) == len(bucket.rows()) == 400
