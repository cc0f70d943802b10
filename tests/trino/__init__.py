"""A real Trino that judges the local Athena: `make check-trino`.

`server.py` fetches and runs it, `client.py` asks it. `statements.py` has what both are asked, and `lake.py`
the project's own files. `check.py` compares the answers.
"""

import sys

import scones
from infra.installation import PROJECT

scones.put_on_path()
TESTS = PROJECT / "analytics" / "localathena" / "tests"
"""Folder of the local Athena's tests, whose facts and statements are compared."""
sys.path.append(str(TESTS))
