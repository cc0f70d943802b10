"""A command that does little costs little: what takes long to import is imported where it is used."""

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from infra.installation import PROJECT

HEAVY = (
    *("PIL", "boto3", "botocore", "duckdb", "ministack"),
    *("numpy", "onnxruntime", "pandas", "pyarrow", "sqlglot"),
)
LITTLE = {
    "help": ["--help"],
    "help of a command": ["query", "--help"],
    "version": ["--version"],
    "down": ["down"],
    "nothing is up": ["query", "SELECT 1"],
    "a wrong value": ["drop", "no-folder"],
}
MOST_RATIO = 6.0
"""CPU of a command over that of importing click and rich; measured: 3 to 4, and 35 before."""


def cpu_s(command: list[str], home: Path) -> float:
    """Return the CPU seconds that a command takes, with a warm bytecode cache."""
    environment = {**os.environ, "SCONES_HOME": str(home)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", LITTLE.values(), ids=LITTLE)
def test_a_command_that_does_little_imports_little(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import atexit, sys, scones\n"
        f"heavy = {HEAVY!r}\n"
        "atexit.register(lambda: print('HEAVY', *sorted(set(heavy) & set(sys.modules)), file=sys.stderr))\n"
        "scones.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT,
        env={**os.environ, "SCONES_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "HEAVY"


def test_a_command_that_ends_does_not_look_for_garbage() -> None:
    code = (
        "import atexit, gc, scones\n"
        "atexit.register(lambda: print(len(gc.get_objects()) < gc.get_freeze_count()))\n"
        "scones.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("arguments", [["--help"], ["down"], ["query", "SELECT 1"]], ids=str)
def test_a_command_that_does_little_costs_a_few_times_its_libraries(
    arguments: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, "scones.py", *arguments]
    libraries = [sys.executable, "-c", "import click, rich"]
    cpu_s(command, tmp_path)
    pairs = [(cpu_s(command, tmp_path), cpu_s(libraries, tmp_path)) for _ in range(5)]
    assert statistics.median(mine / least for mine, least in pairs) < MOST_RATIO
