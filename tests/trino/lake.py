"""Weeks of decisions and labels for a Trino to read: compacted, mixed, doubled, and as they came."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from analytics.lake.compaction import compact
from analytics.lake.schema import partition
from tests.builders_bucket import Bucket
from tests.builders_table import Week, a_label, rows_of, write_labels

MONDAY = date(2026, 11, 2)
WEEKS = 3
SUNDAY = MONDAY + timedelta(days=7 * WEEKS - 1)


def write_lake(folder: Path) -> None:
    """Write the files of a results bucket, of which the first ten days are compacted."""
    weeks = [_week(MONDAY + timedelta(days=7 * number), number) for number in range(WEEKS)]
    bucket = Bucket()
    bucket.record([row for week in weeks[:2] for row in week])
    list(compact(bucket, before=MONDAY + timedelta(days=10)))
    bucket.record(weeks[1][::7])  # late and doubled: into days that are compacted already, and others
    bucket.record(weeks[2])
    bucket.record(weeks[2][:40])
    for path, body in bucket.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    labelled: dict[str, list[dict[str, Any]]] = {}
    for row in (row for week in weeks for row in week[::5]):
        labelled.setdefault(partition(row), []).append(a_label(row, row["label"]))
    for dt, labels in labelled.items():
        write_labels(folder, dt, [*labels, *labels[:1]])


def _week(monday: date, number: int) -> list[dict[str, Any]]:
    week = Week(monday, images_a_day=25, rejected=0.08, failed=0.08)
    return rows_of(week, seed=number, first_number=10_000 * number)
