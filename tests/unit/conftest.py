"""Unit tests are pure: one that opens a socket fails."""

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def no_network(loopback_only: None) -> None:
    disable_socket(allow_unix_socket=True)  # asyncio talks to itself through one
