"""A weekly report with every section, and with keys as long as S3 allows, in files."""

from datetime import UTC, datetime
from pathlib import Path

from analytics.athena.local import LocalEngine
from analytics.lake.schema import partition
from analytics.questions.queries import views
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from analytics.review.thumbnails import small_jpeg
from tests.builders import noise, png_bytes
from tests.builders_table import (
    Week,
    a_failed_row,
    a_label,
    a_rejected_row,
    weeks_of_rows,
    write_labels,
    write_rows,
)

WEEK = IsoWeek.parse("2026-W47")
LONG = "a-folder-of-a-very-long-name-without-any-space/" * 6 + "x" * 200 + ".jpg"


def written_report(results: Path, folder: Path) -> Path:
    """Write the rows of a week that needs attention, and its report; return the page."""
    rows = weeks_of_rows(Week(WEEK.monday, images_a_day=50, certainty=6, brightness=90))
    at = rows[-1]["uploaded_at"]
    rows += [
        a_rejected_row(99_991, "unsupported_format", key=LONG, uploaded_at=at),
        a_failed_row(99_992, "EndpointUnavailable", key=LONG, uploaded_at=at),
    ]
    write_rows(results, rows)
    sunday = str(WEEK.sunday)
    write_labels(results, sunday, [a_label(row, "bicycle") for row in rows if partition(row) == sunday])
    report = build_report(
        LocalEngine(results, views()),
        WEEK,
        WEEK.back(),
        thumbnail=lambda *_: small_jpeg(png_bytes(noise(32, 32))),
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return report.write(folder)
