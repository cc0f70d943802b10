"""infra.laptop.scheduling: which cores processes and threads have, and what they interrupt."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems schedule on their own")

PROGRAM = """
import json, os, subprocess, sys, threading
from infra.laptop import scheduling

if len(sys.argv) > 1:
    scheduling._CORES = set(range(int(sys.argv[1])))
found = {}

def of_a_thread(name):
    def look():
        found[name] = sorted(os.sched_getaffinity(0))
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

started = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
scheduling.stay_on_one_core()
found["itself"] = sorted(os.sched_getaffinity(0))
of_a_thread("a thread")
with scheduling.on_all_cores():
    of_a_thread("a library's thread")
    found["a process"] = json.loads(subprocess.check_output(started))
found["afterwards"] = sorted(os.sched_getaffinity(0))
print(json.dumps(found))
"""


def cores_of(*, given: set[int], pretended: int | None = None) -> dict[str, list[int]]:
    """Return the cores that a program on some cores finds; it may take them for another number."""
    arguments = [str(pretended)] if pretended else []
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, given),
    )
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def test_of_few_cores_one_has_the_threads_and_all_have_what_they_start():
    given = set(sorted(os.sched_getaffinity(0))[:2])
    found = cores_of(given=given)
    assert len(found["itself"]) == 1
    assert set(found["itself"]) <= given
    assert found["a thread"] == found["afterwards"] == found["itself"]
    assert set(found["a library's thread"]) == set(found["a process"]) == given


def test_a_process_that_was_given_one_core_takes_no_other():
    given = {max(os.sched_getaffinity(0))}
    assert all(set(cores) == given for cores in cores_of(given=given).values())


def test_of_many_cores_nothing_is_taken():
    given = set(sorted(os.sched_getaffinity(0))[:2])
    found = cores_of(given=given, pretended=8)
    assert set(found["itself"]) == set(found["a thread"]) == given


def test_what_runs_without_interrupting_says_so_and_what_has_ended_is_no_error():
    script = """
import os
from infra.laptop.scheduling import run_without_interrupting
run_without_interrupting()
assert os.sched_getscheduler(0) == os.SCHED_BATCH
child = os.fork() or os._exit(0)
os.waitpid(child, 0)
run_without_interrupting(child)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
