"""The engine that answers SQL: Athena on AWS, DuckDB over a mirror of the results on the laptop."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from analytics.athena.engine import Engine, QueryResult, Record
from analytics.athena.frames import Athena
from analytics.athena.local import LocalEngine
from analytics.lake.columns import TABLES
from analytics.lake.mirror import mirror
from analytics.questions.queries import views
from infra.installation import state_folder
from infra.stack import Stack


@contextmanager
def engine(stack: Stack, folder: Path | None = None) -> Iterator[Engine]:
    """Open an engine that sees what the stack has recorded by the time of each query.

    Args:
        stack: whose results to ask for.
        folder: of the mirror, for the laptop; kept, and brought up to date from one time to the next.
    """
    if stack.endpoint_url is None:
        with closing(Athena(stack.client("athena"), stack.database, stack.workgroup)) as athena:
            yield athena
        return
    with closing(_Mirrored(stack, folder or state_folder() / "mirror" / stack.results_bucket)) as mirrored:
        yield mirrored


class _Mirrored:
    """The local Athena, which brings its copy of the bucket up to date before it answers."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._athena = LocalEngine(folder, views(), database=stack.database)
        self._athena.load()  # while boto3 is loaded, the client is made and the files are looked at
        from analytics.lake.aws import ResultsBucket

        self._bucket = ResultsBucket(stack.client("s3"), stack.results_bucket)

    def query(self, sql: str, parameters: Sequence[str] = ()) -> QueryResult:
        self._bring_up_to_date()
        return self._athena.query(sql, parameters)

    def records(self, sql: str) -> Sequence[Record]:
        self._bring_up_to_date()
        return self._athena.records(sql)

    def _bring_up_to_date(self) -> None:
        for table in TABLES:
            mirror(self._bucket, self._folder, f"{table}/")

    def close(self) -> None:
        self._athena.close()
