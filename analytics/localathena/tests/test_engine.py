"""The local Athena over Parquet files: which it reads, and which it does not."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import localathena.engine
from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from localathena.process import Duck, DuckError
from support import SCHEMA, SCHEMAS

DAYS = [f"2026-11-{day:02d}" for day in range(1, 11)]
ROWS_A_DAY = 200


def rows(day: str, count: int = ROWS_A_DAY) -> list[dict[str, Any]]:
    at = datetime.fromisoformat(f"{day}T01:02:03.004")
    shared = dict.fromkeys(SCHEMA.names)
    return [
        shared
        | {
            "result_id": f"{day}-{index}",
            "upload_id": f"{day}-{index}",
            "bucket": "incoming",
            "key": f"{index}.png",
            "uploaded_at": at,
            "decided_at": at + timedelta(seconds=index),
            "outcome": "accepted",
            "label": "bicycle",
            "confidence": index / count,
            "probabilities": [("bicycle", index / count), ("poppy", 1 - index / count)],
        }
        for index in range(count)
    ]


def write(folder: Path, day: str, name: str = "a.parquet", without: tuple[str, ...] = ()) -> Path:
    path = folder / "predictions" / f"dt={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows(day), SCHEMA).drop_columns(list(without)), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day in DAYS:
        write(tmp_path, day)
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> Iterator[LocalAthena]:
    local = LocalAthena(folder, schemas=SCHEMAS, threads=1)
    yield local
    local.close()


PRUNING = [
    "SELECT count(*) FROM predictions WHERE dt = '2026-11-01'",
    "SELECT sum(confidence) FROM predictions WHERE dt <= '2026-11-03'",
    "SELECT count(*) FROM predictions WHERE dt BETWEEN '2026-11-01' AND '2026-11-03'",
    "SELECT count(*) FROM predictions WHERE dt IN ('2026-11-01', '2026-11-02')",
    "SELECT count(*) FROM predictions WHERE CAST(dt AS date) < DATE '2026-11-04'",
    "SELECT count(*) FROM predictions WHERE date(dt) < DATE '2026-11-07' - INTERVAL '3' DAY",
    "SELECT count(*) FROM predictions WHERE date_parse(dt, '%Y-%m-%d') < TIMESTAMP '2026-11-04'",
    "SELECT count(*) FROM predictions WHERE dt < date_format(DATE '2026-11-04', '%Y-%m-%d')",
    "SELECT count(*) FROM predictions WHERE dt < date_format(current_date - INTERVAL '100' YEAR, '%Y-%m-%d')",
    "SELECT k, avg(v) FROM predictions CROSS JOIN UNNEST(probabilities) AS t (k, v) "
    "WHERE dt = '2026-11-01' GROUP BY k",
    "SELECT p.dt, k FROM predictions AS p, UNNEST(map_keys(probabilities)) WITH ORDINALITY AS t (k, o) "
    "WHERE p.dt = '2026-11-01' AND k = 'poppy'",
    "SELECT label, count(*), sum(count(*)) OVER (PARTITION BY label) FROM predictions "
    "WHERE dt = '2026-11-01' GROUP BY label",
    "WITH w AS (SELECT *, row_number() OVER (PARTITION BY dt, upload_id ORDER BY decided_at DESC) AS n "
    "FROM predictions) SELECT count(*) FROM w WHERE n = 1 AND dt = '2026-11-01'",
    "SELECT d, count(upload_id) FROM UNNEST(sequence(DATE '2026-11-01', DATE '2026-11-03')) AS s (d) "
    "LEFT JOIN predictions ON dt = CAST(d AS varchar) AND dt <= '2026-11-03' GROUP BY d",
    "SELECT count(*) FROM predictions TABLESAMPLE BERNOULLI (50) WHERE dt = '2026-11-01'",
    "SELECT count(*) FROM predictions WHERE (dt, label) IN (('2026-11-01', 'bicycle'))",
    "SELECT count(*) FROM predictions WHERE dt < '2026-11-03' AND (upload_id, confidence) IN "
    "(SELECT upload_id, max(confidence) FROM predictions WHERE dt < '2026-11-03' GROUP BY upload_id)",
    "SELECT count(*) FROM (predictions AS p LEFT JOIN labels AS l ON l.upload_id = p.upload_id) "
    "WHERE p.dt = '2026-11-01'",
    "SELECT label, kurtosis(confidence), CAST(avg(confidence) AS varchar) FROM predictions "
    "WHERE dt = '2026-11-01' GROUP BY label",
]  # fmt: skip


@pytest.mark.parametrize("sql", PRUNING)
def test_a_partition_that_the_query_does_not_need_is_not_opened(folder: Path, sql: str):
    for day in DAYS[3:]:
        (folder / "predictions" / f"dt={day}" / "a.parquet").write_bytes(b"junk")
    engine = LocalAthena(folder, schemas=SCHEMAS, threads=1)
    engine.query(sql)
    with pytest.raises(QueryFailed, match=r"a\.parquet is not a Parquet file, or is damaged"):
        engine.query("SELECT count(confidence) FROM predictions")
    engine.close()


def test_a_file_whose_column_has_another_type_is_named(tmp_path: Path):
    file = tmp_path / "rides" / "dt=2026-11-01" / "a.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table({"km": ["far"]}), file)
    engine = LocalAthena(tmp_path, schemas={"rides": {"km": "bigint"}}, threads=1)
    with pytest.raises(QueryFailed, match=r"A column in .*a\.parquet has another type than the table's"):
        engine.query("SELECT sum(km) FROM rides")
    engine.close()


def test_a_view_passes_the_choice_of_partitions_on(folder: Path):
    (folder / "predictions" / "dt=2026-11-09" / "a.parquet").write_bytes(b"junk")
    views = {
        "latest": "SELECT dt, upload_id, max_by(outcome, decided_at) AS outcome "
        "FROM predictions GROUP BY dt, upload_id",
        "accepted": "SELECT * FROM latest WHERE outcome = 'accepted'",
    }
    engine = LocalAthena(folder, views, schemas=SCHEMAS, threads=1)
    sql = "SELECT count(*) AS n FROM accepted WHERE CAST(dt AS date) <= DATE '2026-11-02'"
    assert engine.query(sql).frame["n"].tolist() == [2 * ROWS_A_DAY]
    engine.close()


def test_the_scanned_bytes_grow_with_the_days_asked_for(engine: LocalAthena):
    one, three, again = (
        engine.query(f"SELECT avg(confidence) FROM predictions WHERE dt <= '{day}'").scanned_bytes
        for day in ("2026-11-01", "2026-11-03", "2026-11-01")
    )
    none = engine.query("SELECT avg(confidence) FROM predictions WHERE dt < '2026-11-01'").scanned_bytes
    assert one == again
    assert three - none == pytest.approx(3 * (one - none), rel=0.05)


COUNTS = [
    ("SELECT dt, count(*) FROM predictions WHERE dt < '2026-11-03' GROUP BY ROLLUP (dt) ORDER BY 1",
     [200, 200, 400]),
    ("SELECT d, count(*) FROM (VALUES '2026-11-01', '2030-01-01') AS s (d) LEFT JOIN predictions ON dt = d "
     "GROUP BY d ORDER BY d", [200, 1]),
    ("SELECT d, count(*) FROM predictions RIGHT JOIN (VALUES '2026-11-01', '2030-01-01') AS s (d) ON dt = d "
     "GROUP BY d ORDER BY d", [200, 1]),
    ("SELECT 'a', count(*) FILTER (WHERE label = 'bicycle') FROM predictions", [2000]),
    ("SELECT DISTINCT dt, count(*) OVER (PARTITION BY dt) FROM predictions WHERE dt < '2026-11-02'", [200]),
    ("SELECT 'a', count(*) FROM (SELECT dt FROM predictions UNION ALL SELECT NULL)", [2001]),
    ("SELECT 'a', count(*) FROM (SELECT dt FROM predictions GROUP BY ROLLUP (dt))", [11]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "counts"), COUNTS)
def test_rows_are_counted_whether_or_not_they_have_a_partition(engine: LocalAthena, sql, counts):
    assert engine.query(sql).frame.iloc[:, 1].tolist() == counts


def test_counting_the_rows_of_a_union_does_not_read_all_columns(folder: Path):
    views = {"twice": "SELECT * FROM predictions UNION ALL SELECT * FROM predictions"}
    engine = LocalAthena(folder, views, schemas=SCHEMAS, threads=1)
    counted = engine.query("SELECT count(*) AS n FROM twice WHERE dt <= '2026-11-05'")
    read = engine.query("SELECT * FROM twice WHERE dt <= '2026-11-05'")
    assert counted.frame["n"].tolist() == [2 * 5 * ROWS_A_DAY]
    assert counted.scanned_bytes < read.scanned_bytes
    engine.close()


def test_files_that_come_and_go_are_seen(tmp_path: Path):
    engine = LocalAthena(tmp_path, schemas=SCHEMAS, threads=1)

    def count() -> int:
        return int(engine.query("SELECT count(*) AS n FROM predictions").frame["n"].iloc[0])

    assert count() == 0
    path = write(tmp_path, "2026-11-01")
    assert count() == ROWS_A_DAY
    write(tmp_path, "2026-11-02", "b.parquet")
    assert count() == 2 * ROWS_A_DAY
    path.unlink()
    assert count() == ROWS_A_DAY
    engine.close()


@pytest.mark.parametrize("statement", ["CREATE", "SELECT"])
def test_a_statement_is_run_again_when_a_mirror_takes_a_file_away_meanwhile(
    statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB lists the files of a table, and opens them then."""
    write(tmp_path, "2026-11-01")
    executed = Duck.execute
    taken: list[str] = []

    def takes_a_file_away(duck: Duck, sql: str) -> None:
        if sql.startswith(statement) and not taken:
            taken.append(sql)
            raise DuckError(
                "IOException", 'IO Error: Cannot open file "a.parquet": No such file or directory'
            )
        executed(duck, sql)

    monkeypatch.setattr(Duck, "execute", takes_a_file_away)
    engine = LocalAthena(tmp_path, schemas=SCHEMAS, threads=1)
    assert engine.query("SELECT count(*) AS n FROM predictions").frame["n"].tolist() == [ROWS_A_DAY]
    assert taken
    engine.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            'Cannot open file "/t/a.parquet": No such file or directory',
            "Files of a table were deleted: run it again.",
        ),
        (
            'Cannot open file "/t/a.parquet": Too many open files',
            'Reading or writing files failed: Cannot open file "/t/a.parquet": Too many open files',
        ),
        (
            'Could not write file "/t/x": No space left on device',
            'Reading or writing files failed: Could not write file "/t/x": No space left on device',
        ),
    ],
)
def test_a_file_that_cannot_be_opened_is_not_called_deleted(error: str, said: str) -> None:
    assert localathena.engine._reason(f"IO Error: {error}\n\nLINE 1: SELECT", {}) == said


def test_hidden_files_are_not_read(folder: Path, engine: LocalAthena):
    for name in (".a.parquet", "_a.parquet", "notes.txt"):
        (folder / "predictions" / "dt=2026-11-01" / name).write_bytes(b"no data")
    sql = "SELECT count(*) AS n FROM predictions WHERE dt = '2026-11-01'"
    assert engine.query(sql).frame["n"].tolist() == [ROWS_A_DAY]


def test_a_file_from_before_a_column_was_added_has_null_there(folder: Path, engine: LocalAthena):
    write(folder, "2026-11-02", without=("classify_ms", "label"))
    sql = "SELECT count(*) AS n, count(label) AS labels FROM predictions WHERE dt <= '2026-11-02'"
    assert engine.query(sql).frame.iloc[0].tolist() == [2 * ROWS_A_DAY, ROWS_A_DAY]


@pytest.mark.parametrize("name", ["it's", "env=prod", "with space", 'quo"te', "ünï", "a[1]", "[!b", "*c?"])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str):
    for folder in (name, "a1", "b", "c"):  # what these names would match as patterns
        write(tmp_path / folder, "2026-11-01")
    engine = LocalAthena(tmp_path / name, schemas=SCHEMAS, threads=1)
    found = engine.query('SELECT count(*) AS n, count_if("$file_size" > 0) AS sized FROM predictions').frame
    assert found.iloc[0].tolist() == [ROWS_A_DAY] * 2
    engine.close()


def test_a_folder_with_a_backslash_in_its_name_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="Rename it"):
        LocalAthena(tmp_path / "a\\b")


def test_another_folder_of_parquet_files_is_another_table(folder: Path):
    other = folder / "other" / "dt=2026-11-01"
    other.mkdir(parents=True)
    pq.write_table(pa.table({"upload_id": ["2026-11-01-0"], "truth": ["poppy"]}), other / "a.parquet")
    engine = LocalAthena(folder, schemas=SCHEMAS, threads=1)
    sql = "SELECT label, truth FROM predictions JOIN other USING (upload_id) WHERE other.dt = '2026-11-01'"
    assert engine.query(sql).frame.iloc[0].tolist() == ["bicycle", "poppy"]
    engine.close()


def test_the_path_names_the_file(folder: Path, engine: LocalAthena):
    sql = """SELECT DISTINCT "$path" AS path FROM predictions WHERE dt = '2026-11-01'"""
    expected = folder / "predictions" / "dt=2026-11-01" / "a.parquet"
    assert engine.query(sql).frame["path"].tolist() == [str(expected)]


def test_maps_come_back_as_dicts(engine: LocalAthena):
    sql = "SELECT probabilities FROM predictions WHERE dt = '2026-11-01' AND key = '50.png'"
    assert engine.query(sql).frame["probabilities"].tolist() == [{"bicycle": 0.25, "poppy": 0.75}]


def test_a_view_is_translated_with_the_first_statement_that_names_it(folder: Path):
    views = {
        "labelled": "SELECT dt, label FROM predictions",
        "broken": "SELECT nothing FROM predictions",
        "itself": "SELECT * FROM itself",
    }
    engine = LocalAthena(folder, views, schemas=SCHEMAS, threads=1)
    all_rows = [len(DAYS) * ROWS_A_DAY]
    assert engine.query("SELECT count(*) AS n FROM predictions").frame["n"].tolist() == all_rows
    assert engine.query("SELECT count(*) AS n FROM Labelled").frame["n"].tolist() == all_rows
    for _ in range(2):
        with pytest.raises(QueryRefused, match="The view broken: The column nothing"):
            engine.query("SELECT * FROM broken")
    with pytest.raises(QueryRefused, match="The view itself: There is no table itself"):
        engine.query("SELECT * FROM itself")
    assert set(engine.query("SHOW TABLES").frame["tab_name"]) >= views.keys()
    engine.close()


def test_a_database_other_than_its_own_is_refused(folder: Path):
    engine = LocalAthena(folder, schemas=SCHEMAS, database="scones", threads=1)
    assert len(engine.query("SELECT DISTINCT dt FROM scones.predictions").frame) == len(DAYS)
    with pytest.raises(QueryRefused, match="There is no table"):
        engine.query("SELECT 1 FROM other.predictions")
    engine.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '{folder}/../x.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
    ],
)
def test_duckdb_itself_is_locked_in_case_the_translation_lets_something_through(
    folder: Path, engine: LocalAthena, sql: str
):
    engine.query("SELECT 1")
    with pytest.raises(DuckError):
        engine._duck.execute(sql.format(folder=folder))


def test_duckdb_draws_no_progress_bar_into_what_is_printed(engine: LocalAthena):
    engine.query("SELECT 1")
    engine._duck.execute("SELECT current_setting('enable_progress_bar')")
    assert engine._duck.fetch(1) == [(False,)]


def test_the_time_zone_is_utc_whatever_the_machine_uses(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    engine = LocalAthena(folder, schemas=SCHEMAS, threads=1)
    sql = "SELECT hour(CAST(TIMESTAMP '2026-11-24 09:30:00 UTC' AS timestamp)) AS h, current_timezone() AS z"
    assert engine.query(sql).frame.iloc[0].tolist() == [9, "UTC"]
    engine.close()


def test_a_query_that_takes_too_long_is_stopped(folder: Path):
    engine = LocalAthena(folder, schemas=SCHEMAS, threads=1, timeout_s=0.2)
    many = "UNNEST(sequence(1, 10000))"
    with pytest.raises(QueryFailed, match="The query took longer than"):
        engine.query(f"SELECT sum(x * y % z) FROM {many} AS a (x), {many} AS b (y), {many} AS c (z)")
    assert engine.query("SELECT 1 AS one").frame["one"].tolist() == [1]
    engine.close()


def test_a_result_that_is_too_large_for_memory_is_refused(
    engine: LocalAthena, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(localathena.engine, "_MOST_CELLS", 10)
    with pytest.raises(QueryFailed, match="more than 5 rows: aggregate them, or write LIMIT 5"):
        engine.query("SELECT key, label FROM predictions")
    assert len(engine.query("SELECT key, label FROM predictions LIMIT 5").frame) == 5


def test_a_result_can_be_written_as_json(engine: LocalAthena):
    sql = (
        "SELECT dt, count(*) AS n, avg(confidence) AS c FROM predictions WHERE dt = '2026-11-01' GROUP BY dt"
    )
    records = engine.query(sql).frame.to_dict(orient="records")
    assert json.loads(json.dumps(records)) == [{"dt": "2026-11-01", "n": ROWS_A_DAY, "c": 0.4975}]


def test_a_stream_yields_the_rows_of_a_query_some_at_a_time(engine: LocalAthena, monkeypatch):
    monkeypatch.setattr(localathena.engine, "_ROWS_AT_ONCE", 3)
    monkeypatch.setattr(localathena.engine, "_MOST_CELLS", 10)
    sql = "SELECT key, confidence FROM predictions WHERE dt = ? ORDER BY confidence"
    rows = list(engine.stream(sql, ["2026-11-01"]))
    assert len(rows) == ROWS_A_DAY
    assert rows[:2] == [("0.png", 0.0), ("1.png", 0.005)]


def test_a_stream_fails_as_a_query_does(folder: Path):
    engine = LocalAthena(folder, schemas=SCHEMAS, threads=1, timeout_s=0.2)
    with pytest.raises(QueryFailed, match=r"^Division by zero"):
        list(engine.stream("SELECT 1 / (size_bytes - size_bytes) FROM (VALUES 1) AS t (size_bytes)"))
    with pytest.raises(QueryRefused, match="list the columns"):
        next(engine.stream("SELECT * EXCEPT (label) FROM predictions"))
    many = "UNNEST(sequence(1, 10000))"
    with pytest.raises(QueryFailed, match="took longer than"):
        list(engine.stream(f"SELECT sum(x * y % z) FROM {many} AS a (x), {many} AS b (y), {many} AS c (z)"))
    engine.close()
