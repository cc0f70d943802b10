"""The order of an upload's rows, and the generation of a file: what a reader needs to know of a merge."""

import re
from datetime import UTC, datetime

from workflow.outcome import rank_of

_GENERATION = re.compile(r"/rows-(?:current|history)-([0-9a-f]{32})-\d{4}\.parquet$")

SortKey = tuple[int, float, str, str]
"""Sort key of a row among the rows of its upload, in the view's order. The smallest wins."""


def generation_of(path: str) -> str | None:
    """Return the generation of a file; None for one that the Record Lambda wrote."""
    found = _GENERATION.search(path)
    return found[1] if found else None


def sort_key(outcome: str, decided_at: datetime, result_id: str, execution_arn: str | None) -> SortKey:
    """Return a row's sort key among the rows of its upload; no two decisions have the same."""
    return rank_of(outcome), -decided_at.replace(tzinfo=UTC).timestamp(), result_id, execution_arn or ""
