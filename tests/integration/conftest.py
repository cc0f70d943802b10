"""AWS as moto plays it, and Lambdas whose lines can be read."""

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends


@pytest.fixture(scope="module")
def moto_s3(fake_aws: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("s3")  # a client costs a quarter of a second: one does for many tests


@pytest.fixture
def s3(moto_s3: Any) -> Any:
    s3_backends.reset()
    return moto_s3


@pytest.fixture
def lines_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what a Lambda's logger and metrics write, as text and as the JSON of each line."""

    def listen(module: ModuleType) -> Any:
        # The logger took hold of the stream as the module was imported.
        monkeypatch.setattr(module.logger.registered_handler, "stream", sys.stdout)

        def read() -> tuple[str, list[dict[str, Any]]]:
            text = capsys.readouterr().out
            return text, [json.loads(line) for line in text.splitlines()]

        return read

    return listen
