"""A synthetic week of many rows: what the report and each of its questions take, in time and memory."""

import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from analytics.athena.local import LocalEngine
from analytics.lake.schema import SCHEMA
from analytics.questions.queries import views, week_query
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek

ROWS = 10_000_000
MONDAY = date(2026, 11, 16)
DAYS = 7

VANS = "printf('van-%02d', i % 40)"
"""40 folders."""
ORDERS = "printf('order-{dt}-%08d', i)"
"""A folder for each image."""
OF_FOLDERS = ("outcomes_by_folder", "unlike_by_folder", "sampling_frame")
"""Questions that have a group for each folder."""
REPORT = "the report"

_ROWS = """
COPY (
    WITH drawn AS (
        SELECT i, random() AS kind, random() AS a, random() AS b, random() AS c, random() AS d
        FROM range({rows}) AS rows (i)
    )
    SELECT
        md5('{dt}' || i) AS result_id, md5('{dt}' || i) AS upload_id, 'incoming' AS bucket,
        {folder} || printf('/{dt}/%08d.jpg', i) AS key,
        printf('%08x', i) AS version_id, NULL::VARCHAR AS etag,
        (20000 + 400000 * a * b)::BIGINT AS size_bytes,
        TIMESTAMP '{dt}' + to_milliseconds((i * (86400000.0 / {rows}))::BIGINT) AS uploaded_at,
        uploaded_at + to_milliseconds((200 - 2000 * ln(1 - b))::BIGINT) AS decided_at,
        NULL::TIMESTAMP AS first_decided_at,
        CASE WHEN kind < .8 THEN 'accepted' WHEN kind < .95 THEN 'needs_review'
             WHEN kind < .98 THEN 'rejected' ELSE 'failed' END AS outcome,
        CASE WHEN kind < .95 THEN if(a < .6, 'bicycle', 'motorcycle') END AS label,
        CASE WHEN kind < .8 THEN .95 + .05 * c WHEN kind < .95 THEN .5 + .45 * c END AS confidence,
        CASE WHEN kind < .95 THEN .95 END AS threshold,
        NULL::MAP(VARCHAR, DOUBLE) AS probabilities, NULL::DOUBLE AS other_probability,
        CASE WHEN kind < .95 THEN .9 * b END AS unfamiliarity,
        CASE WHEN kind >= .98 THEN 'EndpointFault' WHEN kind >= .95 THEN 'corrupt' END AS reason,
        NULL::VARCHAR AS detail, 'model-1' AS model_version, 'scones' AS endpoint, 'jpeg' AS image_format,
        640::INTEGER AS width_px, 480::INTEGER AS height_px,
        CASE WHEN kind < .95 THEN round(60 + 120 * a, 2) END AS brightness,
        CASE WHEN kind < .95 THEN round(2000 * c * d, 2) END AS sharpness,
        round(10 + 40 * d, 2) AS serialize_ms, round(20 + 80 * c * d, 2) AS classify_ms,
        'arn:aws:states:us-east-1:1:express:image:' || i AS execution_arn
    FROM drawn
) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
"""


@dataclass(frozen=True)
class Asked:
    """Time and memory of the report or of one of its questions, in a process of its own."""

    name: str
    seconds: float
    """Of a question, duration of the second run, which is warm."""
    cpu_s: float
    """CPU time of the process and of DuckDB's, with their start; of a question, of both runs."""
    peak_mb: float
    questions: tuple[str, ...] = ()
    """What the report asked."""


def write_week(folder: Path, rows: int = ROWS, *, folders: str = VANS) -> None:
    """Write a week of rows below `folder`, one file a day, as compaction does."""
    for day in range(DAYS):
        dt = MONDAY + timedelta(days=day)
        path = folder / "predictions" / f"dt={dt}" / f"rows-current-{day:032x}-0.parquet"
        path.parent.mkdir(parents=True)
        with duckdb.connect() as database:
            database.execute("SET threads = 2; SET memory_limit = '1GB'")
            named = folders.format(dt=dt)
            database.execute(_ROWS.format(rows=rows // DAYS, dt=dt, folder=named, path=path))
        names = pq.read_schema(path).names
        if names != SCHEMA.names:
            raise RuntimeError(f"the made-up rows have other columns than the table: {names}")


def ask_report(folder: Path) -> Iterator[Asked]:
    """Make the report of that week, then ask each of its questions about the week, one after the other."""
    report = _alone(folder, REPORT)
    yield report
    for name in report.questions:
        yield _alone(folder, name)


def ask_of_folders(folder: Path) -> Iterator[Asked]:
    """Ask the questions that have a group for each folder."""
    for name in OF_FOLDERS:
        yield _alone(folder, name)


def _alone(folder: Path, name: str) -> Asked:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_ask, folder, name).result()


def _ask(folder: Path, name: str) -> Asked:
    athena = LocalEngine(folder, views())
    questions: tuple[str, ...] = ()
    if name == REPORT:
        week = IsoWeek.of(MONDAY)
        started = time.perf_counter()
        now = datetime.combine(MONDAY + timedelta(days=DAYS), datetime.min.time(), UTC)
        numbers = build_report(athena, week, week.back(), now=now).numbers
        if numbers.unanswered:
            raise RuntimeError(f"the report has no answer to some questions: {numbers.unanswered}")
        questions = tuple(sorted({statement.name for statement in numbers.statements}))
    else:
        sql = week_query(name, MONDAY, MONDAY + timedelta(days=DAYS - 1))
        athena.query(sql)
        started = time.perf_counter()
        athena.query(sql)
    seconds = time.perf_counter() - started
    athena.close()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (own_kb,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    of_duckdb = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = time.process_time() + of_duckdb.ru_utime + of_duckdb.ru_stime
    return Asked(name, seconds, cpu_s, (own_kb + of_duckdb.ru_maxrss) / 1024, questions)
