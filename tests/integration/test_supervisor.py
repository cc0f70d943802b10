"""infra.laptop.supervisor: what it started ends with it, whether it wants to or not."""

import signal
import subprocess
import sys
import time

import pytest

from infra.laptop import supervisor

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"


def test_processes_that_do_not_end_share_one_time_to_do_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE_S", 1)
    processes = [
        subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True)
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
    began = time.monotonic()
    supervisor._stop(processes)
    assert time.monotonic() - began < 3
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 4
