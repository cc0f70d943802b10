"""Input and output of a translation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from localathena.types import Column


@dataclass(frozen=True)
class Table:
    """A table or view: its name in DuckDB, and its columns."""

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
    """DuckDB's name of a column → the statement's, for error messages."""
