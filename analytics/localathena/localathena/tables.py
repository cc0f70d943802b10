"""Input and output of a translation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localathena.types import Column


@dataclass(frozen=True)
class Table:
    """A table or view: its name in DuckDB, and its columns."""

    name: str
    columns: Sequence[Column]
    hidden: Sequence[Column] = ()
    """Columns that `*` leaves out, as `"$path"`."""
    view_sql: str | None = None
    """The SELECT of a view, None for a table."""
    glue: Mapping[str, Any] | None = None
    """The table as Glue's GetTable returns it, where that is known."""

    @property
    def is_projected(self) -> bool:
        """Whether Athena computes the partitions, so that Glue has none."""
        parameters: Mapping[str, str] = (self.glue or {}).get("Parameters", {})
        return parameters.get("projection.enabled") == "true"


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, and the columns of its result as Trino names and types them."""

    sql: str
    columns: Sequence[Column]
    names: Mapping[str, str] = field(default_factory=dict)
    """DuckDB's name of a column → the statement's, for error messages."""


@dataclass(frozen=True)
class Sql:
    """A parameter that is a literal in SQL, as Athena's API takes it: `5`, `'a'`, `DATE '2026-11-24'`."""

    text: str


Parameter = str | Sql
"""What a `?` stands for: a text, or a literal in SQL."""
