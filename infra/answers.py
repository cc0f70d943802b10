"""The engine that answers SQL: Athena on AWS, DuckDB over a mirror of the results on the laptop."""

from pathlib import Path

from analytics.athena import Athena, Engine, LocalAthena
from analytics.aws import mirror
from analytics.queries import views
from infra.stack import BUILD, Stack


def engine(stack: Stack, folder: Path | None = None) -> Engine:
    """Return an engine that sees what the stack has recorded by now.

    Args:
        stack: whose results to ask for.
        folder: of the mirror, for the laptop; kept and brought up to date from one call to the next.
    """
    if stack.endpoint_url is None:
        return Athena(stack.client("athena"), stack.database, stack.workgroup)
    folder = folder or BUILD / "mirror" / stack.results_bucket
    mirror(stack.client("s3"), stack.results_bucket, folder)
    return LocalAthena(folder, views())
