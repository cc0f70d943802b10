"""ORDER BY, LIMIT and OFFSET."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from localathena.comparisons import ordered
from localathena.errors import QueryRefused
from localathena.nodes import refuse_others
from localathena.sql import Value
from localathena.values import without_nan

if TYPE_CHECKING:
    from localathena.expressions import Expressions


def order_by(
    expressions: "Expressions",
    order: exp.Expr | None,
    outputs: Sequence[tuple[str, Value]] = (),
    results_only: str = "",
) -> str:
    """Translate ORDER BY of a query (with `outputs`), or of a window or an aggregate (without).

    After `results_only` (DISTINCT, UNION, ...) it can only name results.
    """
    if order is None:
        return ""
    keys = []
    for item in order.expressions:
        refuse_others(item, "this", "desc", "nulls_first")
        if _is_constant(item.this) and outputs:
            if results_only == "DISTINCT":
                raise QueryRefused(
                    "ORDER BY after DISTINCT needs a column of the result, by name or position."
                )
            continue  # it is the same for all rows
        position = _position(item.this, outputs)
        value = (
            outputs[position - 1][1]
            if position
            else _order_key(expressions, item.this, outputs, results_only)
        )
        value = ordered(value, "ORDER BY")
        key = str(position) if position and value.type.is_simple else value.sql
        if item.args.get("nulls_first") and value.type.is_floating:
            # Trino sorts NaN next to NULL then.
            if position and results_only:
                raise QueryRefused(f"NULLS FIRST on a double after {results_only} is not supported.")
            key = without_nan(value, "NULLS FIRST").sql
        nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
        keys.append(f"{key} {'DESC' if item.args.get('desc') else 'ASC'} NULLS {nulls}")
    return f" ORDER BY {', '.join(keys)}" if keys else ""


def _is_constant(node: exp.Expr) -> bool:
    return isinstance(node, exp.Null | exp.Boolean) or (
        isinstance(node, exp.Literal) and (node.is_string or not node.this.isdecimal())
    )


def _order_key(
    expressions: "Expressions", node: exp.Expr, outputs: Sequence[tuple[str, Value]], results_only: str
) -> Value:
    refusal = QueryRefused(
        f"ORDER BY after {results_only} needs a column of the result, by name or position."
    )
    value = expressions.value(node)
    if results_only and value.sql not in [output.sql for _, output in outputs]:
        raise refusal
    return value


def limit(node: exp.Expr) -> str:
    """Translate LIMIT, FETCH and OFFSET."""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    sql = ""
    if limit is not None:
        options = limit.args.get("limit_options")
        if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
            raise QueryRefused("FETCH WITH TIES is not supported: use rank() OVER (ORDER BY ...) and WHERE.")
        count = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression
        sql += f" LIMIT {1 if count is None else _whole_number(count, 'LIMIT')}"
    if offset is not None:
        sql += f" OFFSET {_whole_number(offset.expression, 'OFFSET')}"
    return sql


def _position(node: exp.Expr, outputs: Sequence[tuple[str, Value]]) -> int:
    """Return the position of the output that an item of ORDER BY names or numbers, from 1; else 0."""
    if not outputs:
        return 0
    if isinstance(node, exp.Literal) and not node.is_string:
        position = _whole_number(node, "ORDER BY")
        if not 1 <= position <= len(outputs):
            raise QueryRefused(f"ORDER BY {position}: there is no such column in the result.")
        return position
    if not isinstance(node, exp.Column) or node.table:
        return 0
    positions = [
        position for position, (name, _) in enumerate(outputs, 1) if name.lower() == node.name.lower()
    ]
    if len(positions) > 1:
        raise QueryRefused(
            f"ORDER BY {node.name} is ambiguous: the result has {len(positions)} such columns."
        )
    return positions[0] if positions else 0


def _whole_number(node: exp.Expr | None, where: str) -> int:
    if not isinstance(node, exp.Literal) or node.is_string or not node.this.isdecimal():
        raise QueryRefused(f"{where} needs a number, as a literal.")
    return int(node.this)
