"""Input and output of a translation."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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


class Tables(Mapping[str, Table]):
    """Tables and views by their names in lower case. A view is made when it is first asked for."""

    def __init__(self, tables: Mapping[str, Table], views: Mapping[str, Callable[[], Table]]) -> None:
        """Take the tables, and what returns each view."""
        self._tables = {name.lower(): table for name, table in tables.items()}
        self._views = {name.lower(): view for name, view in views.items()}

    def __getitem__(self, name: str) -> Table:
        """Return a table or view.

        Raises:
            KeyError: there is none of that name.
            QueryRefused: the view cannot be translated.
        """
        return self._views[name]() if name in self._views else self._tables[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is one of that name, without making it."""
        return name in self._views or name in self._tables

    def __iter__(self) -> Iterator[str]:
        """Yield the names, those of tables first."""
        return iter(self._tables | self._views)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._tables | self._views)


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
