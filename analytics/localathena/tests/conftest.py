"""Settings and the engine that the tests share."""

import os
import tempfile
from collections.abc import Iterator

import pytest

from localathena.engine import LocalAthena
from support import SCHEMAS


@pytest.fixture(autouse=True, scope="session")
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep temporary files below pytest's folder, which later runs delete, also after a test was killed."""
    tempfile.tempdir = os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("t"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAthena]:
    """Return a local Athena whose tables are empty."""
    athena = LocalAthena(tmp_path_factory.mktemp("empty"), schemas=SCHEMAS, threads=1)
    yield athena
    athena.close()
