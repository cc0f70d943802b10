"""Uploads with rows on more than one day: readers count them on each of these days until the duplicates are
removed.

A row is stored on the day of its upload's time. The event's time and the one in the bucket's listing differ:
around midnight, and for a multipart upload, of which the listing says when it began. So an upload that a
redrive or a backfill found in the listing gets a second row if its event arrives after all.

The current row is the one that the view `outcomes` would choose if all were on one day. Only rows after it in
that order are removed. So the best row always stays, even if two redrives with different knowledge do this at
once.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from analytics.lake.compaction import Files, compact_day, day_of
from analytics.lake.order import SortKey, sort_key


@dataclass(frozen=True)
class VisibleRow:
    """The row of an upload that readers see on one of its days."""

    upload_id: str
    dt: str
    outcome: str
    decided_at: datetime
    result_id: str
    execution_arn: str | None

    @property
    def sort_key(self) -> SortKey:
        """Its sort key among all rows of its upload; the smallest wins."""
        return sort_key(self.outcome, self.decided_at, self.result_id, self.execution_arn)


def duplicates(rows: Iterable[VisibleRow]) -> dict[str, dict[str, SortKey]]:
    """Return the days with rows to remove: day → upload id → sort key of the current row."""
    by_upload: dict[str, list[VisibleRow]] = defaultdict(list)
    for row in rows:
        by_upload[row.upload_id].append(row)
    days: dict[str, dict[str, SortKey]] = defaultdict(dict)
    for upload_id, visible in by_upload.items():
        first = min(row.sort_key for row in visible)
        for row in visible:
            if row.sort_key > first:
                days[row.dt][upload_id] = first
    return dict(days)


def remove_duplicates(files: Files, days: dict[str, dict[str, SortKey]]) -> None:
    """Rewrite each of the days without the rows that come after the current ones.

    It is a compaction, and as safe: a row exists twice until the day's old files are deleted.

    Raises:
        analytics.lake.merge.UnreadableFile: a file is not one of the table's; that day is unchanged.
    """
    for dt, keep_to in sorted(days.items()):
        compact_day(files, day_of(files, dt), keep_to)
