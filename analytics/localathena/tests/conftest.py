"""Settings and the engine that the tests share."""

from collections.abc import Iterator

import pytest

from localathena.engine import LocalAthena
from support import SCHEMAS


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAthena]:
    """Return a local Athena whose tables are empty."""
    athena = LocalAthena(tmp_path_factory.mktemp("empty"), schemas=SCHEMAS, threads=1)
    yield athena
    athena.close()
