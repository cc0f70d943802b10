"""The weekly report: axe-core finds nothing, at any width and in both themes."""

import itertools
from pathlib import Path

import pytest

from tests.builders_report import written_report
from tests.chromium import browsing
from tests.pages.axe import violations


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_report(tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("report"))


def test_axe_finds_nothing(page: Path) -> None:
    with browsing() as browser:
        for width_px, theme in itertools.product((360, 768, 1280), ("light", "dark")):
            browser.look(width_px, theme=theme)
            browser.open(page)
            assert violations(browser) == [], (width_px, theme)
