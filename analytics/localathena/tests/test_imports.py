"""What importing a module brings with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import localathena

HEAVY = {"duckdb", "numpy", "pandas", "pyarrow"}
MOST_TIMES_SQLGLOT = 1.3
"""Limit of the CPU time of importing the translator, measured against `import sqlglot`."""


def _printed(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(Path(localathena.__file__).parents[1])}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is measured is not the compiler
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize(
    ("module", "brought"),
    [
        ("localathena.errors", set()),
        ("localathena.statements", set()),
        ("localathena.translate", {"sqlglot"}),
    ],
)
def test_translating_needs_no_engine(module: str, brought: set[str]):
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    assert set(_printed(code).split()) & (HEAVY | {"sqlglot"}) == brought


def test_importing_the_translator_takes_little_more_than_importing_sqlglot() -> None:
    code = (
        "import time; times = [time.process_time()]\n"
        "import sqlglot; times.append(time.process_time())\n"
        "import localathena.translate; times.append(time.process_time())\n"
        "print((times[2] - times[0]) / (times[1] - times[0]))"
    )
    _printed(code)  # it writes the bytecode
    assert min(float(_printed(code)) for _ in range(3)) <= MOST_TIMES_SQLGLOT
