"""Uploads with rows on more than one day: each of their days counts them, until all but one are taken out.

A row lies on the day of its upload's time. The event's time and the one in the bucket's listing differ:
around midnight, and for an upload in parts, of which the listing says when it began. So an upload that
a redrive or a backfill has found in the listing is seen a second time if its event comes after all.

The row that counts is the one that the view `outcomes` would choose if they all lay on one day. Only rows
that come after it in that order are taken out: whoever does so at the same time, knowing more or less, the
first of all rows stays.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from analytics.lake.compaction import Files, compact_day, day_of
from analytics.lake.merge import Place, place_of


@dataclass(frozen=True)
class Sighting:
    """What readers see of an upload on one of its days."""

    upload_id: str
    dt: str
    outcome: str
    decided_at: datetime
    result_id: str
    execution_arn: str | None

    @property
    def place(self) -> Place:
        """Where its row stands among all of its upload; the first counts."""
        return place_of(self.outcome, self.decided_at, self.result_id, self.execution_arn)


def strays(sightings: Iterable[Sighting]) -> dict[str, dict[str, Place]]:
    """Return the days with rows to be taken out: day → upload id → the place of the row that counts."""
    by_upload: dict[str, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        by_upload[sighting.upload_id].append(sighting)
    days: dict[str, dict[str, Place]] = defaultdict(dict)
    for upload_id, seen in by_upload.items():
        first = min(each.place for each in seen)
        for each in seen:
            if each.place > first:
                days[each.dt][upload_id] = first
    return dict(days)


def take_out(files: Files, days: dict[str, dict[str, Place]]) -> None:
    """Write each of the days anew, without the rows that come after the ones that count.

    It is a compaction, and as safe: what is there twice is so until the day's old files are deleted.

    Raises:
        analytics.lake.merge.UnreadableFile: a file is no file of the table; that day is as it was.
    """
    for dt, first in sorted(days.items()):
        compact_day(files, day_of(files, dt), first)
