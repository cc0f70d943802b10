"""The wheel: one name in site-packages, with all that the commands read."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.installation import PROJECT

FOLDERS = ("ingest", "workflow", "analytics", "model", "infra")
TOOLS = ("localathena/tests", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=PROJECT, capture_output=True, check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def run(installed: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the wheel, from another folder, with nothing of the checkout on Python's path."""
    code = "import sys; sys.argv[0] = 'scones'; from scones import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("SCONES")},
            "PYTHONPATH": str(installed),
            "XDG_DATA_HOME": str(home / "data"),
            "HOME": str(home),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_one_name_lands_in_site_packages(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"scones"}


def test_every_file_of_the_folders_is_in_the_wheel(installed: Path) -> None:
    ours = {
        path.relative_to(PROJECT).as_posix()
        for folder in FOLDERS
        for path in (PROJECT / folder).rglob("*")
        if path.is_file() and not any(tool in path.as_posix() for tool in TOOLS)
    }
    theirs = {
        path.relative_to(installed / "scones").as_posix()
        for path in (installed / "scones").rglob("*")
        if path.is_file()
    }
    assert ours <= theirs
    assert "requirements.lock" in theirs


def test_its_commands_run_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed, tmp_path, "--version").stdout.startswith("scones ")
    assert "backfill" in run(installed, tmp_path, "--help").stdout
    assert run(installed, tmp_path, "down").stdout == "Nothing is up.\n"
    assert run(installed, tmp_path, "query").returncode == 0


def test_its_words_name_its_own_command(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "audit")
    assert done.stderr == "error: nothing is running here: start it with `scones up`\n"
    assert done.returncode == 1


def test_its_state_is_in_the_user_s_folder_for_data(installed: Path, tmp_path: Path) -> None:
    folder = run(installed, tmp_path, "up", "--model", "none").stderr
    assert "none" in folder
    imports = "import scones; scones.put_on_path(); from infra.installation import state_folder"
    code = f"{imports}; print(state_folder())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.strip().startswith(str(tmp_path))
    assert done.stdout.strip().endswith("scones")
