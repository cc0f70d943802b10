"""The weekly report: axe-core finds nothing, at any width and in both themes."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics.athena.local import LocalEngine
from analytics.lake.schema import partition
from analytics.questions.queries import views
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from analytics.review.thumbnails import small_jpeg
from tests.builders import noise, png_bytes
from tests.builders_table import Week, a_label, weeks_of_rows, write_labels, write_rows
from tests.chromium import browsing
from tests.pages.axe import violations

WEEK = IsoWeek.parse("2026-W47")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A week that needs attention, with every section."""
    folder = tmp_path_factory.mktemp("results")
    rows = weeks_of_rows(Week(WEEK.monday, images_a_day=50, certainty=6, brightness=90))
    write_rows(folder, rows)
    sunday = str(WEEK.sunday)
    write_labels(folder, sunday, [a_label(row, "bicycle") for row in rows if partition(row) == sunday])
    report = build_report(
        LocalEngine(folder, views()),
        WEEK,
        WEEK.back(),
        thumbnail=lambda *_: small_jpeg(png_bytes(noise(32, 32))),
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
    return report.write(tmp_path_factory.mktemp("report"))


def test_axe_finds_nothing(page: Path) -> None:
    with browsing() as browser:
        for width_px, theme in itertools.product((360, 768, 1280), ("light", "dark")):
            browser.look(width_px, theme=theme)
            browser.open(page)
            assert violations(browser) == [], (width_px, theme)
