"""No test meets an account, a profile or a network of whoever runs it."""

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import socket_allow_hosts

import scones

scones.put_on_path()

# A job's or a desk's own terminal. The consoles of commands ask for it while they are imported.
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)

# Hypothesis must not fail on a slow machine; so many examples keep the unit tests within a minute or two. In
# continuous integration they are always the same ones, since it judges a change; at a desk they are new.
settings.register_profile(
    "scones",
    max_examples=30,
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
def commands_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test's stack on AWS stay in the commands that a later one reads."""
    monkeypatch.setattr("analytics.commands._stacks_on_aws", [])


@pytest.fixture(autouse=True)
def loopback_only(fake_aws: None) -> None:
    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True, scope="session")
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep all temporary files below pytest's folder, which later runs delete, also after a test was killed.

    That of a browser, of a system's worker or of the local Athena would stay for ever elsewhere.
    """
    tempfile.tempdir = os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("t"))
