"""No test meets an account, a profile or a network of whoever runs it."""

import os

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import socket_allow_hosts

import scones

scones.put_on_path()

# Hypothesis must not fail on a slow machine; so many examples keep the unit tests within a minute or two. In
# continuous integration they are always the same ones, since it judges a change; at a desk they are new.
settings.register_profile(
    "scones",
    max_examples=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("scones")

_FAKE_AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture(autouse=True, scope="session")
def fake_aws() -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(_FAKE_AWS)


@pytest.fixture(autouse=True)
def loopback_only(fake_aws: None) -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
