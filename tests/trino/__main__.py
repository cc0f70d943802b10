"""`make check-trino`. Exit code 3: an answer differs from the local Athena's, or facts were stale."""

import signal
import sys
import tempfile
from pathlib import Path

import facts

from analytics.lake.columns import LISTING_COLUMNS, LISTING_TABLE, TABLES
from analytics.questions.queries import views
from infra.cli.command_line import ATTENTION
from infra.laptop.local import running
from infra.stack import Stack
from localathena.engine import LocalAthena
from tests.trino import server, statements
from tests.trino.check import GLUE, HIVE, Judge, over_files, over_glue
from tests.trino.lake import MONDAY, SUNDAY, write_lake


def main() -> int:
    """Compare the local Athena with a Trino: its facts, its tests, the saved questions and the views."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # Trino ends with it
    try:
        server.java_home()
        folder = statements.folder_of()
        folder.mkdir(parents=True, exist_ok=True)
        server.fetched(folder)
        with tempfile.TemporaryDirectory(prefix="scones-trino-") as scratch:
            return 0 if _agrees(folder, Path(scratch)) else ATTENTION
    except server.CannotJudge as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _agrees(folder: Path, scratch: Path) -> bool:
    store, lake = scratch / "store", scratch / "lake"
    (store / "meta").mkdir(parents=True)
    facts.write_tables(store / facts.DATABASE)
    write_lake(lake)
    with running(scratch / "home", scratch / "stack.json") as stack:
        _upload(lake, stack)
        keys = stack.access_key_id, stack.secret_access_key
        catalogs = {
            HIVE: over_files(store),
            GLUE: over_glue(str(stack.endpoint_url), stack.region, *keys),
        }
        with server.running(folder, catalogs) as address:
            judge = Judge(address, lambda line: print(line, flush=True))
            judge.declare_facts()
            about_facts = LocalAthena(store / facts.DATABASE, schemas=facts.COLUMNS, database=facts.DATABASE)
            about_lake = LocalAthena(
                lake,
                views(),
                schemas={**TABLES, LISTING_TABLE: LISTING_COLUMNS},
                database=stack.database,
                location=f"s3://{stack.results_bucket}",
            )
            try:
                return all(
                    [
                        judge.renew_facts(),
                        judge.compare_tests(about_facts),
                        judge.compare_project(
                            statements.of_the_project(MONDAY, SUNDAY), about_lake, stack.database
                        ),
                    ]
                )
            finally:
                about_facts.close()
                about_lake.close()


def _upload(lake: Path, stack: Stack) -> None:
    s3 = stack.client("s3")
    for file in sorted(lake.rglob("*.parquet")):
        s3.upload_file(str(file), stack.results_bucket, file.relative_to(lake).as_posix())


if __name__ == "__main__":
    sys.exit(main())
