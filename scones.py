"""The `scones` command, and the folders that it consists of.

In a wheel this file is `scones/__init__.py`, with the five folders beside it: a user's site-packages gets one
name, `scones`, and none called `model` or `infra`. Here or there, the folders beside this file are the ones
that are imported: see docs/decisions/0067-one-name-in-site-packages.md.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATHS = tuple(str(path) for path in (HERE, HERE / "analytics" / "localathena"))
"""What Python has to search for the folders, and for the local Athena, which is a distribution of its own."""


def put_on_path() -> None:
    """Let this process, and those that it starts, import the folders before anything of the same name."""
    sys.path[:0] = [path for path in PATHS if path not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)


def main() -> None:
    """Run a command."""
    put_on_path()
    from infra.cli.commands import main as run

    run()


if __name__ == "__main__":
    main()
