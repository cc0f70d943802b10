"""Statements that would take all memory or go on for minutes: each ends in time, with a sentence."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import localathena
from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from support import SCHEMAS

LIMIT_S = 5.0
TEXT = "array_join(repeat('0123456789', 10000), '')"
MANY = "UNNEST(sequence(1, 10000)) AS m (i)"
DOUBLING = "reduce(sequence(1, {}), {}, (s, x) -> {}, s -> s)"

COSTLY = [
    "SELECT format('%2000000000d', 1)",
    "SELECT format('%02000000000d', i) FROM (VALUES 1) AS t (i)",
    "SELECT format('%-2000000000s|', 'a')",
    "SELECT format('%2000000000.2f', 1.5e0)",
    "SELECT lpad('a', 2000000000, 'b')",
    f"SELECT {TEXT} || CAST(i AS varchar) FROM {MANY}",
    f"SELECT max(lpad('a', i * 1000000, 'b')) FROM {MANY}",
    f"SELECT max(length({DOUBLING.format(40, repr('x'), 's || s')}))",
    f"SELECT cardinality({DOUBLING.format(40, 'ARRAY[1]', 's || s')})",
    f"SELECT max(length(replace({TEXT}, '0', {TEXT})))",
    f"SELECT max(levenshtein_distance({TEXT} || CAST(i AS varchar), reverse({TEXT}))) FROM {MANY}",
    f"SELECT max(length(concat({', '.join([TEXT] * 20)}, CAST(i AS varchar)))) FROM {MANY}",
    f"SELECT max(regexp_replace({TEXT} || CAST(i AS varchar), '(.)', '$1{'x' * 500}')) FROM {MANY}",
    f"SELECT sum(a.i * b.i % c.i) FROM {MANY.replace('m (', 'a (')}, {MANY.replace('m (', 'b (')}, "
    f"{MANY.replace('m (', 'c (')}",
    f"SELECT array_agg(a.i), map_agg(a.i * 10000 + b.i, {TEXT} || CAST(b.i AS varchar)) "
    f"FROM {MANY.replace('m (', 'a (')}, {MANY.replace('m (', 'b (')}",
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAthena]:
    athena = LocalAthena(tmp_path_factory.mktemp("empty"), schemas=SCHEMAS, threads=1, timeout_s=LIMIT_S)
    athena.query("SELECT 1")
    yield athena
    athena.close()


@pytest.mark.parametrize("sql", COSTLY)
def test_a_costly_statement_ends_in_time_with_a_sentence(engine: LocalAthena, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(
        (QueryFailed, QueryRefused), match=r"(took longer|GB of memory|more than|wide|too large)"
    ):
        engine.rows(sql)
    assert time.monotonic() - started < LIMIT_S + 10
    assert engine.rows("SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize("is_asked", [True, False])
def test_duckdb_is_loaded_before_the_first_statement_and_once(tmp_path: Path, is_asked: bool) -> None:
    engine = LocalAthena(tmp_path)
    engine.load()
    engine.load()
    process = engine._duck._process
    assert process
    if is_asked:
        assert engine.rows("SELECT 1")[1] == [(1,)]
        assert engine._duck._process is process
    engine.close()
    assert process.poll() is not None


def test_a_duckdb_that_dies_while_it_is_loaded_is_started_again(tmp_path: Path) -> None:
    engine = LocalAthena(tmp_path)
    engine.load()
    assert engine._duck._process
    engine._duck._process.kill()
    with pytest.raises(QueryFailed):
        engine.rows("SELECT 1")
    assert engine.rows("SELECT 1")[1] == [(1,)]
    engine.close()


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
def test_files_may_come_and_go_while_duckdb_is_loaded(tmp_path: Path, before: bool, after: bool) -> None:
    file = tmp_path / "rides" / "dt=2026-11-01" / "a.parquet"
    file.parent.mkdir(parents=True)
    if before:
        parquet.write_table(pa.table({"km": [5]}), file)
    engine = LocalAthena(tmp_path, schemas={"rides": {"km": "bigint"}})
    engine.load()
    if after:
        parquet.write_table(pa.table({"km": [5]}), file)
    else:
        file.unlink()
    assert engine.rows("SELECT km FROM rides")[1] == [(5,)] * after
    engine.close()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit of memory holds on Linux alone")
def test_a_lower_limit_of_the_user_s_own_is_kept(tmp_path: Path) -> None:
    code = (
        "import pathlib, resource, sys\n"
        "from localathena.engine import LocalAthena\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "engine = LocalAthena(pathlib.Path(sys.argv[1]), threads=1, memory_bytes=4 << 30)\n"
        "print(engine.rows('SELECT 1')[1])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(localathena.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[(1,)]\n", "")


def test_duckdbs_process_ends_with_the_one_that_started_it_also_within_a_query(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, threading\n"
        "from localathena.engine import LocalAthena\n"
        "engine = LocalAthena(pathlib.Path(sys.argv[1]))\n"
        "engine.rows('SELECT 1')\n"
        "print(engine._duck._process.pid, flush=True)\n"
        "threading.Timer(0.5, os._exit, [0]).start()\n"
        f"engine.rows({COSTLY[-2]!r})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(localathena.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True
    )
    worker = int(done.stdout)
    ends_at = time.monotonic() + 10
    while time.monotonic() < ends_at:
        try:
            os.kill(worker, 0)
            if Path(f"/proc/{worker}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z":
                return  # nobody has collected it yet
        except (ProcessLookupError, FileNotFoundError):
            return
        time.sleep(0.05)
    pytest.fail("DuckDB's process is still there")
