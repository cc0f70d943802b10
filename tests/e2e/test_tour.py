"""docs/tour.ipynb runs from its first cell to its last, and leaves nothing behind, also when a cell fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat

from infra.installation import PROJECT
from tests.e2e.test_up_and_down import wait_until_none

TOUR = PROJECT / "docs" / "tour.ipynb"
TIMEOUT_S = 900


def run(notebook: Path, out: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook in a process of its own, whose temporary folders are in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "tests.notebooks", str(notebook), str(out)],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def nothing_is_left(folder: Path) -> bool:
    wait_until_none(folder)
    return not list(folder.glob("scones-tour-*"))


def outputs_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def test_the_tour_goes_through(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    done = run(TOUR, tmp_path / "ran.ipynb", tmp_path / "tmp")
    assert done.returncode == 0, done.stderr
    ran = nbformat.read(tmp_path / "ran.ipynb", as_version=4)
    outputs = outputs_of(ran)
    said = "\n".join(o.text if "text" in o else o.data["text/plain"] for o in outputs)
    assert "64 dropped, 0 without an outcome, 0 counted twice" in said
    assert "'rejected': 9, 'failed': 0" in said
    assert "report.html" in said
    assert len([o for o in outputs if "image/svg+xml" in o.get("data", {})]) == 2
    committed = nbformat.read(TOUR, as_version=4)
    assert [cell.source for cell in ran.cells] == [cell.source for cell in committed.cells]
    assert nothing_is_left(tmp_path / "tmp")


def test_a_tour_that_fails_brings_down_what_it_started(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    code = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    system = nbformat.v4.new_code_cell(
        "from infra.laptop.local import running\n"
        "stack = tour.enter_context(running(folder / 'home', folder / 'stack.json'))\n"
        "raise RuntimeError(f'up at {stack.endpoint_url}')"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[*code[:2], system]), tmp_path / "broken.ipynb")
    done = run(tmp_path / "broken.ipynb", tmp_path / "ran.ipynb", tmp_path / "tmp")
    assert done.returncode == 1
    assert re.search(r"RuntimeError.*: up at http://127\.0\.0\.1", done.stderr)
    assert not (tmp_path / "ran.ipynb").exists()
    assert nothing_is_left(tmp_path / "tmp")
