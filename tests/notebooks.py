"""Runs a notebook as Jupyter does, in a kernel of its own.

    python -m tests.notebooks docs/tour.ipynb [OUT]

It writes the notebook with its outputs to OUT, or back to where it was.
"""

import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

from infra.installation import PROJECT

TIMEOUT_S = 900
"""For one cell."""
SHUTDOWN_S = 60
"""For the kernel to end: the embedded AWS writes its state down first."""


def main(path: str, out: str | None = None) -> int:
    """Run all cells; return an exit status."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        config=Config({"KernelManager": {"shutdown_wait_time": SHUTDOWN_S}}),
        timeout=TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": str(PROJECT)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    nbformat.write(notebook, out or path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
