"""Unit tests are pure: one that opens a socket fails."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket

if TYPE_CHECKING:
    from analytics.athena.client import LocalAthena


@pytest.fixture(autouse=True)
def no_network(loopback_only: None) -> None:
    disable_socket(allow_unix_socket=True)  # asyncio talks to itself through one


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LocalAthena]":
    """Return a local Athena without a table."""
    from analytics.athena.client import LocalAthena  # brings DuckDB, which most tests do without

    athena = LocalAthena(tmp_path_factory.mktemp("empty"), threads=1)
    yield athena
    athena.close()
