"""Takes the picture of the weekly report in the README: `python -m tests.picture` writes docs/report.png.

The week is drawn at random from a fixed seed, so that the picture changes only with the page.
"""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

from PIL import Image

from analytics.athena.local import LocalEngine
from analytics.questions.queries import views
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from infra.installation import PROJECT
from tests.builders_table import Week, weeks_of_rows, write_rows
from tests.chromium import browsing

PICTURE = PROJECT / "docs" / "report.png"
WIDTH_PX, HEIGHT_PX = 1100, 1560


def main() -> None:
    """Write the picture."""
    week = IsoWeek(2026, 47)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_rows(folder / "results", weeks_of_rows(Week(date(2026, 11, 16))))
        report = build_report(
            LocalEngine(folder / "results", views()),
            week,
            week.back(),
            now=datetime(2026, 11, 23, 6, tzinfo=UTC),
        )
        page = report.write(folder / "report")
        with browsing() as browser:
            browser.look(WIDTH_PX, HEIGHT_PX)
            browser.open(page)
            browser.screenshot(PICTURE)
    # A third of the size, and the same to the eye.
    Image.open(PICTURE).convert("RGB").quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
