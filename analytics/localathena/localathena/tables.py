"""What a statement can read from, and what a translation gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from localathena.types import Column


@dataclass(frozen=True)
class Table:
    """What a statement can read from: its name in DuckDB, and its columns."""

    name: str
    columns: Sequence[Column]
    hidden: Sequence[Column] = ()
    """Columns that `*` leaves out, as `"$path"`."""


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, and the columns of its result as Trino names and types them."""

    sql: str
    columns: Sequence[Column]
    names: Mapping[str, str] = field(default_factory=dict)
    """What DuckDB's errors call a column → what the statement calls it."""
