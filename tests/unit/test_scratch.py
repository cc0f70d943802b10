"""Temporary files of a command are in a folder of its own, which ends with it, or with the next command."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from infra.cli.scratch import temporary_files
from infra.installation import PROJECT

HOLDS = (
    "import sys, tempfile, time; from pathlib import Path; from infra.cli.scratch import temporary_files\n"
    "with temporary_files(Path(sys.argv[1])):\n"
    "    print(tempfile.mkdtemp(), flush=True); time.sleep(3600)\n"
)


def test_what_is_written_is_in_the_folder_and_gone_afterwards(tmp_path: Path) -> None:
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with temporary_files(tmp_path / "tmp") as own:
        assert own.parent == tmp_path / "tmp"
        assert Path(tempfile.mkdtemp()).parent == own
        written = subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout
        assert Path(written.strip()).parent == own
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["lock"]


def test_only_what_a_killed_command_left_is_deleted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            held = Path(process.stdout.readline().strip())
            with temporary_files(tmp_path):
                assert held.is_dir()
        finally:
            process.send_signal(signal.SIGKILL)
    assert held.is_dir()
    with temporary_files(tmp_path):
        assert not held.exists()
