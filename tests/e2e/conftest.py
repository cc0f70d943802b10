"""One system for the tests of a module: its own home, its own ports, ended afterwards in every case."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.laptop.local import running
from infra.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("system")
    with running(folder / "home", folder / "stack.json") as stack:
        yield stack
