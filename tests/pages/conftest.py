"""A system with its console, and a real browser that has opened it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.laptop.local import running, start_console
from infra.stack import Stack
from tests.chromium import CHROMIUM, Page, browsing

# They need axe-core and minutes: `make test-pages` runs them, `make test` does not.
collect_ignore_glob = [] if "SCONES_TEST_PAGES" in os.environ else ["test_*.py"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a system for all tests of pages: what one test drops, another one sees."""
    folder: Path = tmp_path_factory.mktemp("system")
    with running(folder / "home", folder / "stack.json") as stack:
        start_console(stack)
        yield stack


@pytest.fixture
def page(stack: Stack) -> Iterator[Page]:
    """Return the console's first page, in a browser of its own."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium or Chrome")
    with browsing() as page:
        page.look(1280)
        page.open_url(str(stack.console_url))
        yield page
