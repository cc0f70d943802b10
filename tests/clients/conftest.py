"""A laptop's system with some weeks of rows, for clients that people use: started as a user starts it.

The clients are in an environment of their own, because they need other versions of botocore and pyarrow. The
system runs in the project's: `make test-clients`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infra.installation import PROJECT

MONDAY = date(2026, 11, 16)
VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return what stack.json says of a running system with a week of rows."""
    home = tmp_path_factory.mktemp("home")
    command = [PROJECT / ".venv" / "bin" / "python", PROJECT / "scones.py"]
    environment = {**os.environ, "SCONES_HOME": str(home)}
    subprocess.run([*command, "up"], env=environment, check=True, cwd=PROJECT)
    try:
        stack = json.loads((home / "stack.json").read_text(encoding="utf-8"))
        _put_rows(stack, tmp_path_factory.mktemp("rows"))
        yield stack
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, cwd=PROJECT)


def _put_rows(stack: dict[str, Any], folder: Path) -> None:
    from tests.builders_table import Week, rows_of, write_rows

    write_rows(folder, rows_of(Week(MONDAY, images_a_day=30, rejected=0.1, failed=0.1)))
    s3 = _session(stack).client("s3", endpoint_url=stack["endpoint_url"])
    for file in folder.rglob("*.parquet"):
        s3.upload_file(str(file), stack["results_bucket"], file.relative_to(folder).as_posix())


def _session(stack: dict[str, Any]) -> Any:
    import boto3

    return boto3.Session(stack["access_key_id"], stack["secret_access_key"], region_name=stack["region"])


@pytest.fixture
def aws(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a boto3 session, with the environment set as for every client of AWS."""
    values = (
        stack["endpoint_url"],
        stack["access_key_id"],
        stack["secret_access_key"],
        stack["region"],
    )
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    return _session(stack)
