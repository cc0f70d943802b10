"""GROUP BY: which expressions of a SELECT it covers, by Trino's rule.

An expression is covered if it is spelled like one in GROUP BY, if it is an aggregate, or if all its parts are
covered. `hour(x)` and `extract(hour FROM x)` are two expressions.
"""

from collections.abc import Callable, Collection, Hashable
from typing import Any

from sqlglot import exp

from localathena.aggregates import is_aggregate
from localathena.errors import QueryRefused
from localathena.nodes import spelled

Resolve = Callable[[exp.Expr], str]
"""SQL of a column, which is the same however its name is qualified."""


def form(node: Any, resolve: Resolve) -> Hashable:
    """Return what two expressions share if Trino takes them for the same."""
    if isinstance(node, exp.Paren):
        return form(node.this, resolve)
    if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
        return resolve(node)
    if isinstance(node, exp.Query | exp.Lambda):  # which have columns of their own
        return spelled(node)
    if isinstance(node, exp.Anonymous):
        return node.name.lower(), tuple(form(part, resolve) for part in node.expressions)
    if isinstance(node, exp.Literal):
        return node.is_string, node.this
    if isinstance(node, exp.Expr):
        parts = ((name, form(part, resolve)) for name, part in sorted(node.args.items()) if part)
        return type(node).__name__, tuple(parts)
    if isinstance(node, list):
        return tuple(form(part, resolve) for part in node)
    return str(node).lower()


def check(node: exp.Expr, groups: Collection[Hashable], resolve: Resolve) -> None:
    """Check that GROUP BY covers an expression.

    Raises:
        QueryRefused: it does not.
    """
    if isinstance(node, exp.Query | exp.Lambda | exp.Star) or form(node, resolve) in groups:
        return
    if isinstance(node, exp.Filter | exp.GroupConcat | exp.WithinGroup):
        return
    if isinstance(node, exp.Anonymous) and (is_aggregate(node.name.lower()) or _is_other(node)):
        return
    if isinstance(node, exp.Column):
        if resolve(node):
            raise QueryRefused(
                f"The column {node.name} is neither in GROUP BY, spelled the same, nor in an aggregate: "
                f"add it to GROUP BY, or write arbitrary({spelled(node)})."
            )
        return
    if isinstance(node, exp.Window):
        for part in _calls_parts(node):
            check(part, groups, resolve)
        return
    for part in node.iter_expressions():
        check(part, groups, resolve)


def _is_other(node: exp.Anonymous) -> bool:
    return node.name.lower() in ("grouping", "reduce_agg") or any(
        isinstance(part, exp.Lambda) for part in node.expressions
    )


def _calls_parts(window: exp.Window) -> list[exp.Expr]:
    """Return what a call with OVER takes: its own arguments, and those of PARTITION BY and ORDER BY."""
    called = window.this
    while isinstance(called, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        called = called.this
    parts = [part for part in called.iter_expressions() if not isinstance(part, exp.Star)]
    return [*parts, *(part for name in ("partition_by", "order") for part in _listed(window.args.get(name)))]


def _listed(part: Any) -> list[exp.Expr]:
    return part if isinstance(part, list) else [part] if part is not None else []
