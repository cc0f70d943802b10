"""The README's commands for the laptop run as they stand there, one after the other, and so does pandas."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.demo_images import write_images
from infra.installation import PROJECT
from infra.laptop import local
from tests.e2e.test_up_and_down import wait_until_none

IMAGES = 24
TIMEOUT_S = 900


def block(document: str, first_word: str, language: str = "sh") -> str:
    """Return the code block of a document that begins with this text."""
    text = (PROJECT / document).read_text(encoding="utf-8")
    blocks = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    found: str = next(each for each in blocks if each.startswith(first_word))
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    local._end_all(tmp_path / "state" / "home")


def run(script: str, home: Path) -> str:
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=PROJECT,
        env={**os.environ, "SCONES_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_commands_for_the_laptop_run(home: Path, tmp_path: Path) -> None:
    write_images(tmp_path / "images", IMAGES, seed=7)
    laptop = block("README.md", "make up ").replace("folder ", f"{tmp_path}/images ")
    *before, down = laptop.strip().splitlines()
    assert down.startswith("make down")
    # A report on broken images asks for attention, which make turns into an exit code of 2.
    before = [f"{line.partition('#')[0]} || [ $? = 2 ]" if "report" in line else line for line in before]
    parquet = f"{tmp_path}/outcomes.parquet"
    before.append(block("docs/results.md", 'make query SQL="SELECT * ').replace("outcomes.parquet", parquet))
    said = run("\n".join(before), home)
    assert "bicycle" in said

    pandas = block("docs/results.md", "import pandas", "python").replace("outcomes.parquet", parquet)
    described = subprocess.run(
        [sys.executable, "-c", pandas], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert "accepted" in described
    run(down, home)
    wait_until_none(home)
