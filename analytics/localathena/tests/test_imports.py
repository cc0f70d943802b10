"""What importing a module brings with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import localathena

HEAVY = {"duckdb", "numpy", "pandas", "pyarrow"}


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
    environment = {**os.environ, "PYTHONPATH": str(Path(localathena.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & (HEAVY | {"sqlglot"}) == brought
