"""What importing a Lambda takes, in a process of its own: the part of a cold start that the code decides."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from infra.installation import PROJECT

HOT = ("ingest.serialize", "workflow.classify", "workflow.decide", "workflow.classify_batch")
"""Lambdas that an image passes."""
ROUNDS = 5

_IMPORT = """
import sys, time
started = time.process_time()
__import__(sys.argv[1])
seconds = time.process_time() - started
status = open("/proc/self/status").read()  # getrusage remembers the process that forked this one
print(seconds, status.partition("VmHWM:")[2].split()[0])
"""


@dataclass(frozen=True)
class Imported:
    """One module, imported into an empty process."""

    name: str
    seconds: float
    """CPU time, the least of several processes: it is the same beside other work."""
    peak_mb: float


def imported(name: str, rounds: int = ROUNDS) -> Imported:
    """Import a module in as many processes."""
    command = [sys.executable, "-c", _IMPORT, name]
    said = [
        subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(rounds)
    ]
    return Imported(name, min(float(seconds) for seconds, _ in said), max(int(kb) for _, kb in said) / 1024)


def imports() -> Iterator[tuple[Imported, float]]:
    """Yield each hot Lambda, and how many times as long as the module json it takes."""
    json = imported("json")
    for name in HOT:
        found = imported(name)
        yield found, found.seconds / json.seconds
