"""Compaction never loses a row, never counts one twice, and ends as one generation, whatever happens."""

import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analytics.athena.local import LocalEngine
from analytics.lake.columns import PREFIX
from analytics.lake.compaction import CompactionFailed, compact, compact_day, day_of, to_compact
from analytics.lake.merge import _load, merge
from analytics.lake.order import generation_of
from analytics.lake.schema import to_table
from analytics.questions.queries import views
from tests.builders_bucket import Actor, Bucket, Row, best, ending, rows_of, sort_key
from tests.builders_table import a_failed_row, a_rejected_row, a_row

NOON = datetime.fromisoformat("2026-11-16T12:00")
GENERATION = "0123456789abcdef" * 2


def decision(upload: int, minute: int, kind: str, model: str, day: int = 0) -> Row:
    """Return what one execution said of an upload."""
    at = NOON + timedelta(days=day)
    facts: dict[str, Any] = {
        "uploaded_at": at,
        "decided_at": at + timedelta(minutes=minute),
        "execution_arn": f"{upload} {minute} {kind} {model}",
    }
    if kind == "rejected":
        return a_rejected_row(upload, **facts)
    if kind == "failed":
        return a_failed_row(upload, **facts)
    return a_row(upload, outcome=kind, model_version=model, **facts)


decisions = st.builds(
    decision,
    st.integers(0, 4),
    st.integers(0, 3),
    st.sampled_from(["accepted", "needs_review", "rejected", "failed"]),
    st.sampled_from(["m1", "m2"]),
)
batches = st.lists(st.lists(decisions, min_size=1, max_size=4), min_size=1, max_size=4)


def assert_counts_right(bucket: Bucket, written: Sequence[Row]) -> None:
    expected = best(written)
    found = bucket.outcomes()
    assert {upload: (sort_key(row), row["first_decided_at"]) for upload, row in found.items()} == {
        upload: (sort_key(row), row["first_decided_at"]) for upload, row in expected.items()
    }
    assert {row["result_id"] for row in bucket.rows()} == {row["result_id"] for row in written}


def compact_all(bucket: Bucket, *, keep_inputs: bool = False) -> list[str]:
    return [day.dt for day in compact(bucket, keep_inputs=keep_inputs)]


def bucket_of(*batches: Sequence[Row]) -> Bucket:
    bucket = Bucket()
    for batch in batches:
        bucket.record(batch)
    return bucket


@settings(max_examples=60, phases=[Phase.generate])  # shrinking a failure would take minutes
@given(data=st.data(), written_before=batches, written_beside=batches, compactors=st.integers(1, 3))
def test_readers_count_right_at_every_step_whoever_goes_next_and_whoever_dies(
    data: st.DataObject, written_before: list[list[Row]], written_beside: list[list[Row]], compactors: int
) -> None:
    bucket = bucket_of(*written_before)
    written = [row for batch in written_before for row in batch]
    turn: list[Actor] = []
    bucket.step = lambda: turn[0].pause()

    def record(actor: Actor) -> None:
        for batch in [*written_beside, *written_before[:1]]:  # the last is delivered again
            bucket.record(batch)
            written.extend(batch)

    def night(actor: Actor) -> None:
        compact_all(bucket, keep_inputs=True)

    actors = [
        Actor(record),
        *(Actor(night if number % 2 else lambda actor: compact_all(bucket)) for number in range(compactors)),
    ]
    with ending(actors):
        while alive := [actor for actor in actors if not actor.done]:
            actor = data.draw(st.sampled_from(alive))
            dies = actor is not actors[0] and data.draw(st.integers(0, 19)) == 0
            turn[:] = [actor]
            before = dict(bucket.files)
            actor.go_on(dies=dies)
            if bucket.files != before:
                assert_counts_right(bucket, written)

    bucket.step = lambda: None
    compact_all(bucket)
    assert_counts_right(bucket, written)
    assert compact_all(bucket) == []
    assert len({generation_of(path) for path in bucket.files}) == 1
    assert len(bucket.rows()) == len({row["result_id"] for row in written})


def assert_view_reads_the_same(bucket: Bucket, folder: Path, athena: LocalEngine) -> None:
    shutil.rmtree(folder / "predictions", ignore_errors=True)
    for path, body in bucket.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    columns = ("upload_id", "result_id", "decided_at", "first_decided_at")
    frame = athena.query(f"SELECT {', '.join(columns)} FROM outcomes").frame
    assert sorted(frame.itertuples(index=False, name=None)) == sorted(
        tuple(row[column] for column in columns) for row in bucket.outcomes().values()
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def athena(folder: Path) -> Iterator[LocalEngine]:
    engine = LocalEngine(folder, views())
    yield engine
    engine.close()


@settings(max_examples=25, phases=[Phase.generate])
@given(data=st.data(), rows=st.lists(decisions, min_size=1, max_size=12))
def test_the_view_reads_what_these_tests_read(
    data: st.DataObject, rows: list[Row], folder: Path, athena: LocalEngine
) -> None:
    half = len(rows) // 2
    bucket = bucket_of(*filter(None, (rows[:half], rows[half:])))
    compactor = Actor(lambda actor: compact_all(bucket))
    bucket.step = compactor.pause
    with ending([compactor]):
        for _ in range(data.draw(st.integers(1, 12))):
            if not compactor.done:
                compactor.go_on()
    assert_view_reads_the_same(bucket, folder, athena)


def test_two_compactions_at_once_may_leave_two_generations_which_count_once(
    folder: Path, athena: LocalEngine
) -> None:
    rows = [decision(number, 0, "accepted", "m1") for number in range(3)]
    bucket = bucket_of(rows[:1], rows[1:2])
    slow = Actor(lambda actor: compact_all(bucket))
    bucket.step = slow.pause
    for _ in range(4):  # listed, and read both files
        slow.go_on()
    bucket.step = lambda: None
    bucket.record(rows[2:])
    compact_all(bucket)
    bucket.step = slow.pause
    while not slow.done:
        slow.go_on()
    assert len({generation_of(path) for path in bucket.files} - {None}) == 2
    assert_counts_right(bucket, rows)
    assert_view_reads_the_same(bucket, folder, athena)
    bucket.step = lambda: None
    compact_all(bucket)
    assert len(bucket.files) == 1


def test_a_day_becomes_one_sorted_file(tmp_path: Path) -> None:
    bucket = bucket_of(*([a_row(number)] for number in range(30)))
    (day,) = compact(bucket)
    assert (day.dt, day.files_before, day.files) == ("2026-11-16", 30, 1)
    (path,) = bucket.files
    assert path.startswith(f"{PREFIX}dt=2026-11-16/rows-current-")
    ids = [row["upload_id"] for row in bucket.rows()]
    assert ids == sorted(ids)
    assert len(ids) == 30


def test_a_day_that_is_one_generation_is_left_alone() -> None:
    bucket = bucket_of([a_row(1)], [a_row(2)])
    assert compact_all(bucket) == ["2026-11-16"]
    before = dict(bucket.files)
    assert compact_all(bucket) == []
    assert bucket.files == before


def test_what_a_generation_was_made_of_is_deleted_by_the_next_run() -> None:
    """A query that has listed the files still reads them while the night's run goes on."""
    bucket = bucket_of([a_row(1)], [a_row(2)])
    listed = dict(bucket.files)
    assert compact_all(bucket, keep_inputs=True) == ["2026-11-16"]
    assert listed.items() <= bucket.files.items()
    (generation,) = bucket.files.keys() - listed.keys()
    assert compact_all(bucket, keep_inputs=True) == ["2026-11-16"]
    assert [*bucket.files] == [generation]
    assert compact_all(bucket, keep_inputs=True) == []


def test_inputs_stay_while_rows_of_their_day_still_come() -> None:
    first, late = decision(1, 0, "accepted", "m1"), decision(2, 5, "accepted", "m1")
    bucket = bucket_of([first])
    compact_all(bucket, keep_inputs=True)
    bucket.record([late])
    before = dict(bucket.files)
    compact_all(bucket, keep_inputs=True)
    assert before.items() <= bucket.files.items()
    assert_counts_right(bucket, [first, late])
    compact_all(bucket, keep_inputs=True)
    assert len(bucket.files) == 1
    assert_counts_right(bucket, [first, late])


def test_a_late_row_reopens_its_day_and_no_other() -> None:
    days = [decision(day, 0, "accepted", "m1", day) for day in range(3)]
    bucket = bucket_of(days)
    compact_all(bucket)
    bucket.record([decision(7, 5, "accepted", "m1", day=1)])
    assert compact_all(bucket) == ["2026-11-17"]
    assert len(bucket.rows()) == 4


def test_the_same_rows_make_the_same_names_however_they_were_spread() -> None:
    rows = [decision(number, 0, "accepted", model, 0) for number in range(20) for model in ("m1", "m2")]
    one, many = bucket_of(rows), bucket_of(*([row] for row in reversed(rows)), rows[:7])
    compact_all(one)
    compact_all(many)
    assert one.files.keys() == many.files.keys()
    assert len(one.files) == 2  # what counts, and what the other model said


def test_another_decision_about_the_same_uploads_makes_another_name() -> None:
    one, other = (
        bucket_of([decision(1, minute, "accepted", "m1")], [decision(2, 0, "accepted", "m1")])
        for minute in (0, 1)
    )
    compact_all(one)
    compact_all(other)
    assert not one.files.keys() & other.files.keys()


def test_a_generation_that_knows_of_an_earlier_answer_is_not_overwritten_by_one_that_does_not() -> None:
    late = decision(1, 5, "accepted", "m1")
    knowing, unknowing = bucket_of([decision(1, 0, "accepted", "m1"), late]), bucket_of([late])
    compact_all(knowing)
    compact_all(unknowing)
    assert not knowing.files.keys() & unknowing.files.keys()
    knowing.files |= unknowing.files
    compact_all(knowing)
    (row,) = knowing.rows()
    assert (row["first_decided_at"], row["decided_at"]) == (NOON, NOON + timedelta(minutes=5))


def test_a_late_failure_does_not_take_the_place_of_an_answer() -> None:
    bucket = bucket_of([decision(1, 0, "rejected", "")], [decision(1, 9, "failed", "")])
    compact_all(bucket)
    assert [row["outcome"] for row in bucket.rows()] == ["rejected"]  # the two have the same result id


@pytest.mark.parametrize("known", ["accepted", "rejected", "failed"])
def test_an_outcome_that_is_not_known_takes_the_place_of_no_other(known: str) -> None:
    bucket = bucket_of([decision(1, 0, known, "m1")], [decision(1, 9, "unheard_of", "m2")])
    compact_all(bucket)
    counting = [
        row for path in bucket.files if "/rows-current-" in path for row in rows_of(bucket.files[path])
    ]
    assert [row["outcome"] for row in counting] == [known]


def test_what_other_models_said_is_kept_beside_what_counts() -> None:
    bucket = bucket_of([decision(1, 0, "accepted", "m1"), decision(1, 5, "accepted", "m2")])
    compact_all(bucket)
    by_kind = {
        path.split("/")[2][5:12]: [row["model_version"] for row in bucket.rows()] for path in bucket.files
    }
    assert sorted(by_kind) == ["current", "history"]
    assert [row["model_version"] for row in bucket.outcomes().values()] == ["m2"]
    assert sorted(row["model_version"] for row in bucket.rows()) == ["m1", "m2"]


def test_a_large_day_is_cut_into_files_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.lake.merge.ROWS_PER_FILE", 100)
    rows = [a_row(number) for number in range(250)]
    names = []
    for rows_at_once in (1000, 30):  # in memory as a whole, or in many parts
        monkeypatch.setattr("analytics.lake.merge.ROWS_AT_ONCE", rows_at_once)
        source, folder = tmp_path / "source.parquet", tmp_path / str(rows_at_once)
        folder.mkdir()
        parquet.write_table(to_table(rows), source)
        merged = merge([source], folder, "day/")
        assert [parquet.read_metadata(file).num_rows for file in merged.files.values()] == [100, 100, 50]
        ids = [
            id_ for file in merged.files.values() for id_ in parquet.read_table(file)["upload_id"].to_pylist()
        ]
        assert ids == sorted(row["upload_id"] for row in rows)
        names.append([*merged.files])
    assert names[0] == names[1]


def test_a_large_day_is_never_in_memory_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.lake.merge.ROWS_AT_ONCE", 50)
    loaded: list[int] = []
    load = _load

    def counting(part: Path) -> pa.Table:
        table = load(part)
        loaded.append(table.num_rows)
        return table

    monkeypatch.setattr("analytics.lake.merge._load", counting)
    source = tmp_path / "source.parquet"
    parquet.write_table(to_table([a_row(number) for number in range(500)]), source)
    merge([source], tmp_path, "day/")
    assert (len(loaded), sum(loaded)) == (10, 500)
    assert max(loaded) < 100


def test_columns_that_are_younger_than_a_file_are_null(tmp_path: Path) -> None:
    old = tmp_path / "old.parquet"
    parquet.write_table(to_table([a_row(1)]).drop_columns(["sharpness", "execution_arn"]), old)
    (file,) = merge([old], tmp_path, "day/").files.values()
    (row,) = parquet.read_table(file).to_pylist()
    assert (row["sharpness"], row["execution_arn"], row["label"]) == (None, None, "bicycle")


@pytest.mark.parametrize("what", ["no Parquet", "an unknown column"])
def test_a_day_with_an_unreadable_file_stays_as_it_is_and_the_others_are_compacted(
    what: str, tmp_path: Path
) -> None:
    bucket = bucket_of([decision(1, 0, "accepted", "m1", 0)], [decision(1, 0, "accepted", "m1", 1)])
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and no more")
    if what == "an unknown column":
        parquet.write_table(to_table([a_row(3)]).append_column("new", pa.array([1])), bad)
    bucket.files[f"{PREFIX}dt=2026-11-16/bad.parquet"] = bad.read_bytes()
    of_bad_day = {path for path in bucket.files if "dt=2026-11-16" in path}
    with pytest.raises(CompactionFailed, match=r"^not compacted: 2026-11-16: UnreadableFile"):
        compact_all(bucket)
    assert {path for path in bucket.files if "dt=2026-11-16" in path} == of_bad_day
    assert [generation_of(path) is None for path in bucket.files if "dt=2026-11-17" in path] == [False]


def test_a_generation_s_files_are_listed_after_those_of_record() -> None:
    """A reader who lists page by page while a day is compacted must not miss both."""
    rows = [decision(1, 0, "accepted", "m1"), decision(1, 5, "accepted", "m2")]
    bucket = bucket_of(rows)
    compact_all(bucket)
    assert len(bucket.files) == 2
    assert min(bucket.files) > f"{PREFIX}dt=2026-11-16/{'f' * 64}.parquet"


def test_files_of_an_earlier_version_s_generation_are_read_and_compacted(
    folder: Path, athena: LocalEngine
) -> None:
    """Earlier versions called their files once- and rest-."""
    rows = [decision(1, 0, "accepted", "m1"), decision(1, 5, "accepted", "m2"), decision(2, 0, "failed", "")]
    bucket = bucket_of(rows)
    compact_all(bucket)
    bucket.files = {
        path.replace("/rows-current-", "/once-").replace("/rows-history-", "/rest-"): body
        for path, body in bucket.files.items()
    }
    assert_counts_right(bucket, rows)
    assert_view_reads_the_same(bucket, folder, athena)
    assert compact_all(bucket) == ["2026-11-16"]
    assert_counts_right(bucket, rows)
    assert all("/rows-current-" in path or "/rows-history-" in path for path in bucket.files)


def test_files_without_rows_vanish() -> None:
    bucket = Bucket()
    body = pa.BufferOutputStream()
    parquet.write_table(to_table([]), body)
    bucket.files = {f"{PREFIX}dt=2026-11-16/{'0' * 64}.parquet": body.getvalue().to_pybytes()}
    compact_all(bucket)
    assert bucket.files == {}


def test_days_are_chosen_by_their_generations_and_the_smallest_comes_first() -> None:
    def path(day: int, name: str) -> str:
        return f"{PREFIX}dt=2026-11-{day:02}/{name}.parquet"

    current, history = (f"rows-{kind}-{GENERATION}-0000" for kind in ("current", "history"))
    other = f"rows-current-{'f' * 32}-0000"
    files = [
        *((path(1, name), 10) for name in (current, history)),
        *((path(2, name), 30) for name in (current, other)),
        *((path(3, name), 10) for name in (current, "a" * 64)),
        (path(4, "a" * 64), 5),
        (path(20, "a" * 64), 1),
    ]
    assert [day.dt for day in to_compact(files, date(2026, 11, 20))] == [
        "2026-11-04",
        "2026-11-03",
        "2026-11-02",
    ]
    assert to_compact(files)[0].dt == "2026-11-20"


def test_only_what_was_read_is_deleted() -> None:
    """A file that another compaction has deleted, and that Record writes again under the same name, stays."""
    rows = [decision(number, 0, "accepted", "m1") for number in range(3)]
    bucket = bucket_of(*([row] for row in rows))
    gone = max(bucket.files)
    body = bucket.files[gone]
    slow = Actor(lambda actor: compact_all(bucket))
    bucket.step = slow.pause
    with ending([slow]):
        for _ in range(2):  # listed
            slow.go_on()
        del bucket.files[gone]
        while len(bucket.files) == 2:  # read, until the generation is written
            slow.go_on()
        bucket.files[gone] = body
        while not slow.done:
            slow.go_on()
    assert gone in bucket.files
    assert_counts_right(bucket, rows)


@pytest.mark.parametrize("what", ["a day", "a day without its duplicates"])
def test_what_is_written_while_a_day_is_compacted_stays(what: str) -> None:
    bucket = bucket_of([decision(0, 0, "accepted", "m1")], [decision(1, 0, "accepted", "m1")])
    day = day_of(bucket, "2026-11-16")
    late = decision(2, 0, "accepted", "m1")
    bucket.record([late])
    first = {a_row(9)["upload_id"]: (0, 0.0, "", "")} if "duplicates" in what else {}
    compact_day(bucket, day, first)
    assert late["upload_id"] in {row["upload_id"] for row in bucket.rows()}
    assert len(bucket.rows()) == 3
