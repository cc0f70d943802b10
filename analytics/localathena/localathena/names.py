"""Name resolution: tables, columns, parameters of lambdas, results."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlglot import exp

from localathena.correlation import Kind, Place, check_place
from localathena.errors import QueryRefused
from localathena.sql import TRIED, Value
from localathena.tables import Table
from localathena.types import Column


@dataclass(frozen=True)
class Seen:
    """A column that an expression can name."""

    name: str
    table: str | None
    value: Value
    is_hidden: bool = False


@dataclass
class Scope:
    """What the expressions of one SELECT can name."""

    outer: "Scope | None"
    columns: list[Seen] = field(default_factory=list)
    windows: Sequence[exp.Expr] = ()
    outputs: Mapping[str, Value] = field(default_factory=dict)
    """Names of the results, which ORDER BY resolves first."""
    aliases: Sequence[str] = ()
    """Aliases of the SELECT, which only ORDER BY can use."""
    place: Place = Place.OTHER
    """Where in the SELECT the translation is."""
    outer_places: list[Place] = field(default_factory=list)
    """Where columns of an outer query stand."""
    is_grouped: bool = False
    """Whether it has GROUP BY."""
    sampled: Sequence[str] = ()
    """Conditions that keep a random sample of the rows."""


@dataclass(frozen=True)
class Relation:
    """A query's SQL for DuckDB, and its columns."""

    sql: str
    columns: Sequence[Column]


@dataclass(frozen=True)
class Derived:
    """A relation's SQL with a generated alias, and its columns."""

    sql: str
    columns: Sequence[Seen]


With = Mapping[str, Table]


class Names:
    """Resolves names at the current position in a statement."""

    def __init__(self, tables: Mapping[str, Table], database: str | None) -> None:
        self.tables = tables
        self.database = database
        self.scope = Scope(None)
        self.with_: With = {}
        self.lambdas: list[dict[str, Value]] = []
        self.are_outer: list[bool] = []
        """For each column resolved so far: whether it belongs to an outer query."""
        self.called: dict[str, str] = {}
        """DuckDB's name of a column → the statement's."""
        self.hoisted: list[Value] | None = None
        """Within TRY: its aggregates and subqueries, which are computed outside."""
        self.kind = Kind.RELATION
        """What the next query is there for."""
        self._count = 0

    def is_in_database(self, node: exp.Table) -> bool:
        """Tell whether a table is qualified with this catalog and database, or not at all."""
        return node.catalog.lower() in ("", "awsdatacatalog") and (not node.db or self.is_database(node.db))

    def is_database(self, name: str) -> bool:
        """Tell whether a name is that of the database."""
        return self.database is None or name.lower() == self.database.lower()

    def derived(self, sql: str, columns: Sequence[Column]) -> Derived:
        """Name a query's columns by position: in Trino two can have the same name."""
        local = self.fresh("t")
        names = [f"{local}c{index}" for index in range(1, len(columns) + 1)]
        seen = [
            Seen(column.name, None, reference(f"{local}.{name}", column))
            for name, column in zip(names, columns, strict=True)
        ]
        return Derived(f"{sql} AS {local}({', '.join(names)})", seen)

    def fresh(self, prefix: str) -> str:
        """Return an unused name."""
        self._count += 1
        return f"{prefix}{self._count}"

    @contextmanager
    def within(self, scope: Scope) -> Iterator[Scope]:
        """Enter a scope."""
        outside, self.scope = self.scope, scope
        try:
            yield scope
        finally:
            self.scope = outside

    def find(self, name: str, table: str | None) -> Value | None:
        """Resolve a name: a lambda's parameter, a result in ORDER BY, a column of this or an outer query."""
        if table is None:
            for parameters in reversed(self.lambdas):
                if name.lower() in parameters:
                    return parameters[name.lower()]
            if name.lower() in self.scope.outputs:
                return self.scope.outputs[name.lower()]
        scope: Scope | None = self.scope
        inner: list[Scope] = []
        while scope is not None:
            found = only(name, table, scope.columns)
            if found is not None:
                self.are_outer.append(scope is not self.scope)
                for below in inner:
                    check_place(below.place, len(inner))
                    below.outer_places.append(below.place)
                if inner and scope.place == Place.OUTER_ON:
                    check_place(scope.place, 1)
                return found.value
            inner.append(scope)
            scope = scope.outer
        return None

    @contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """Enter a part of a SELECT."""
        scope = self.scope
        outside, scope.place = scope.place, place
        try:
            yield
        finally:
            scope.place = outside

    @contextmanager
    def hoisting(self, hoisted: list[Value] | None) -> Iterator[None]:
        """Collect in a list what `hoist` is given; with None, leave everything in its place."""
        outside, self.hoisted = self.hoisted, hoisted
        try:
            yield
        finally:
            self.hoisted = outside

    def hoist(self, value: Value) -> Value:
        """Return a value that DuckDB's TRY cannot contain, or what stands for it within TRY."""
        if self.hoisted is None:
            return value
        self.hoisted.append(value)
        return Value(f"struct_extract({TRIED}, 'h{len(self.hoisted)}')", value.type)

    def hint(self, name: exp.Identifier) -> str:
        """Suggest what an unknown column may mean."""
        if name.name.lower() in self.scope.aliases:
            return (
                " It is an alias of this SELECT, which Athena accepts in ORDER BY only: repeat the "
                "expression, or, in GROUP BY, write its position."
            )
        if name.name.startswith("$"):
            return ' There are "$path", "$file_size" and "$file_modified_time".'
        from difflib import get_close_matches  # only messages need it

        near = get_close_matches(name.name.lower(), [seen.name for seen in self.scope.columns], 1)
        if near:
            return f" Perhaps {near[0]}?"
        return " A text is in single quotes." if name.quoted else ""


def reference(sql: str, column: Column) -> Value:
    """Return the value of a column."""
    return Value(sql, column.type, is_partition=column.is_partition)


def optional(column: Seen) -> Seen:
    """Return a column that an outer join may fill with NULL: it does not choose partitions then."""
    return replace(column, value=replace(column.value, is_partition=False))


def only(name: str, table: str | None, columns: Sequence[Seen]) -> Seen | None:
    """Find the one column of a name, ignoring case."""
    found = [
        column
        for column in columns
        if column.name.lower() == name.lower()
        and (table is None or (column.table or "").lower() == table.lower())
    ]
    if len(found) > 1:
        raise QueryRefused(f"The column {name} is ambiguous: more than one table has it.")
    return found[0] if found else None


def renamed(columns: Sequence[Column], alias: exp.Expr | None) -> list[Column]:
    """Give columns the names that an alias lists, if it lists any."""
    names = [identifier.name for identifier in (alias.args.get("columns") or ())] if alias is not None else []
    if not names:
        return list(columns)
    if len(names) != len(columns):
        raise QueryRefused(f"{alias} names {len(names)} columns, but there are {len(columns)}.")
    return [replace(column, name=name) for column, name in zip(columns, names, strict=True)]


def aliased(columns: Sequence[Seen], alias: exp.Expr | None, name: str | None) -> list[Seen]:
    """Give columns the table's name and, if the alias lists them, their own."""
    if alias is not None and alias.args.get("columns") and not alias.name:
        raise QueryRefused("A list of columns needs the table's name before it: AS t (a, b).")
    if alias is not None and alias.name:
        name = alias.name
    names = [identifier.name for identifier in (alias.args.get("columns") or ())] if alias is not None else []
    if names and len(names) != sum(not column.is_hidden for column in columns):
        raise QueryRefused(f"{alias} names another number of columns than there are.")
    shown = [replace(column, table=name) for column in columns if not column.is_hidden]
    if names:
        return [replace(column, name=own) for column, own in zip(shown, names, strict=True)]
    return shown + [replace(column, table=name) for column in columns if column.is_hidden]
