"""Interface between the translator and the functions."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlglot import exp

from localathena.errors import QueryRefused
from localathena.sql import Value
from localathena.types import Type


class Translator(Protocol):
    """What a function needs of the translator."""

    def value(self, node: exp.Expr) -> Value:
        """Translate an expression."""
        ...

    def parameter(self, type_: Type, role: str = "x") -> Value:
        """Return a parameter for one of DuckDB's lambdas, named for its role in it."""
        ...

    def attempt(self, node: exp.Expr) -> Value:
        """Translate TRY(node)."""
        ...

    def apply(self, function: exp.Expr, *arguments: Value) -> Value:
        """Translate the body of a Trino lambda, its parameters replaced by expressions."""
        ...


Arguments = Sequence[exp.Expr]
Handler = Callable[[Translator, Arguments], Value]


def literal(node: exp.Expr, what: str) -> str:
    """Return the text of a character literal.

    Raises:
        QueryRefused: the node is something else.
    """
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise QueryRefused(f"{what} must be a string literal, not an expression.")


def unless_null(values: Sequence[Value], sql: str) -> str:
    """Return SQL that is NULL where one of the values is."""
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
    return f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)"
