"""Calls of functions, aggregates and window functions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localathena import aggregates
from localathena.correlation import Place
from localathena.errors import QueryRefused
from localathena.functions import call
from localathena.names import Names
from localathena.nodes import refuse_others, spelled
from localathena.ordering import order_by
from localathena.sql import Value, refuse_if
from localathena.types import INTEGER, VARCHAR, Type
from localathena.values import coerce, expect

if TYPE_CHECKING:
    from localathena.expressions import Expressions


class Calls:
    """Translates what is written as a call."""

    def __init__(self, names: Names, expressions: "Expressions") -> None:
        self.names = names
        self.expressions = expressions

    def call(self, node: exp.Expr, condition: str = "", over: str = "", nulls: str = "") -> Value:
        """Translate a call, with the SQL of FILTER, OVER and IGNORE NULLS that stand around it."""
        if self.names.hoisted is not None and _aggregates(node):
            with self.names.hoisting(None):
                value = self.call(node, condition, over, nulls)
            return self.names.hoist(value)
        if isinstance(node, exp.Filter):
            with self.names.at(Place.AGGREGATE):
                condition = self.expressions.condition(node.expression.this, "FILTER")
            return self.call(node.this, condition, over, nulls)
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
            if not (isinstance(node.this, exp.Anonymous) and aggregates.is_window(node.this.name.lower())):
                raise QueryRefused(f"{spelled(node)}: an aggregate takes neither IGNORE nor RESPECT NULLS.")
            word = " IGNORE NULLS" if isinstance(node, exp.IgnoreNulls) else ""
            return self.call(node.this, condition, over, word)
        if isinstance(node, exp.GroupConcat):
            return self._listagg(node, condition, over)
        if not isinstance(node, exp.Anonymous):
            raise QueryRefused(f"{spelled(node)} is not supported.")
        refuse_others(node, "this", "expressions")
        name = node.name.lower()
        if name in ("all", "some", "any"):
            raise QueryRefused(
                f"{name.upper()} is supported before a query that begins with SELECT; write ANY for SOME."
            )
        if name == "reduce_agg":
            return self._reduced(node.expressions, condition, over)
        if aggregates.is_aggregate(name):
            return self._aggregate(name, node.expressions, condition, over, nulls)
        if condition or over or nulls:
            raise QueryRefused(f"{name} is not a supported aggregate.")
        if name == "grouping":
            if not all(isinstance(key, exp.Column) for key in node.expressions):
                raise QueryRefused("grouping() needs columns, by their names.")
            keys = ", ".join(self.expressions.value(key).sql for key in node.expressions)
            return Value(f"CAST(GROUPING({keys}) AS INTEGER)", INTEGER)
        return call(self.expressions, name, node.expressions)

    def _aggregate(
        self, name: str, arguments: Sequence[exp.Expr], condition: str, over: str, nulls: str
    ) -> Value:
        distinct = order = ""
        if name == "count" and (not arguments or isinstance(arguments[0], exp.Star)):
            return aggregates.aggregate(
                aggregates.Call("count", self._never_null(bool(over)), "", "", condition, over, nulls)
            )
        if arguments and isinstance(arguments[-1], exp.Order):
            order = self._order_within(arguments[-1])
            arguments = [*arguments[:-1], arguments[-1].this]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            distinct, arguments = "DISTINCT ", arguments[0].expressions
        before = len(self.names.are_outer)
        with self.names.at(self.names.scope.place if over else Place.AGGREGATE):
            values = [self.expressions.value(node) for node in arguments]
        is_share = name == "approx_percentile" and len(arguments) == 2
        if is_share and arguments[1].find(exp.Column) and not self.names.scope.is_grouped:
            raise QueryRefused(
                "The percentage of approx_percentile must be a number: it cannot differ from row to row."
            )
        if self.names.are_outer[before:] and all(self.names.are_outer[before:]):
            # DuckDB would aggregate the rows of the outer query.
            raise QueryRefused(f"{name} of nothing but an outer query's columns is not allowed on Athena.")
        return aggregates.aggregate(aggregates.Call(name, values, distinct, order, condition, over, nulls))

    def _reduced(self, arguments: Sequence[exp.Expr], condition: str, over: str) -> Value:
        """Translate reduce_agg, whose start has to change nothing: Athena starts with it several times."""
        from localathena.functions.arrays import fold  # few statements need it

        if len(arguments) != 4 or over or isinstance(arguments[0], exp.Distinct):
            raise QueryRefused(
                "reduce_agg is supported with a value, a start and two functions, without OVER."
            )
        value, start, step, combine = arguments
        values = self._aggregate("array_agg", [value], condition, "", "")
        kept = Value(f"list_filter({values.sql}, lambda x: x IS NOT NULL)", values.type)
        kept = replace(kept, sql=f"(CASE WHEN len({kept.sql}) > 0 THEN {kept.sql} END)")
        reduced = fold(self.expressions, kept, start, step, "reduce_agg")
        first = coerce(self.expressions.value(start), reduced.type)
        again = expect(
            self.expressions.apply(combine, first, first), first.type, "reduce_agg's second function"
        )
        if not first.type.is_simple or first.type.name in ("decimal", "varchar", "varbinary", "unknown"):
            raise QueryRefused(f"reduce_agg cannot start with {first.type} on Athena.")
        why = "reduce_agg with this start has no defined result on Athena: start with a neutral value"
        return replace(reduced, sql=refuse_if(f"{again.sql} IS DISTINCT FROM {first.sql}", why, reduced.sql))

    def _never_null(self, is_window: bool) -> list[Value]:
        """Return a column to count rows by, if there is one that is never NULL.

        Where a query counts the rows of a UNION and names no column, DuckDB reads all of them.
        """
        if is_window and self.names.scope.is_grouped:
            return []  # it counts groups
        return [column.value for column in self.names.scope.columns if column.value.is_partition][:1]

    def _order_within(self, order: exp.Order) -> str:
        """Translate the order of an aggregate's values; distinct ones have no other than their own."""
        if isinstance(order.this, exp.Distinct):
            values = {self.expressions.value(node).sql for node in order.this.expressions}
            if any(self.expressions.value(key.this).sql not in values for key in order.expressions):
                raise QueryRefused("An aggregate of DISTINCT values is ordered by these values alone.")
        return order_by(self.expressions, order)

    def _listagg(self, node: exp.GroupConcat, condition: str, over: str) -> Value:
        order, distinct, value = "", "", node.this
        if isinstance(value, exp.Order):
            order, value = self._order_within(value), value.this
        if isinstance(value, exp.Distinct) and len(value.expressions) == 1:
            distinct, value = "DISTINCT ", value.expressions[0]
        separator = (
            self.expressions.value(node.args["separator"])
            if node.args.get("separator")
            else Value("''", VARCHAR)
        )
        values = [self.expressions.value(value), separator]
        return aggregates.aggregate(aggregates.Call("listagg", values, distinct, order, condition, over))

    def window(self, node: exp.Window) -> Value:
        """Translate a call with OVER."""
        if self.names.hoisted is not None:
            with self.names.hoisting(None):
                value = self.window(node)
            return self.names.hoist(value)
        pieces = []
        keys, order, frame = self._window_parts(node)
        if keys:
            pieces.append("PARTITION BY " + ", ".join(self.expressions.value(key).sql for key in keys))
        pieces.append(order_by(self.expressions, order).strip())
        if frame is not None and _called(node) in _RANKING:
            raise QueryRefused(f"{_called(node)} takes no frame on Athena: leave {frame.args['kind']} out.")
        pieces.append(
            self._frame(
                frame, [self.expressions.value(key.this).type for key in order.expressions] if order else []
            )
        )
        return self.call(node.this, over=f" OVER ({' '.join(filter(None, pieces))})")

    def check_window(self, node: exp.Expr) -> None:
        """Resolve the names in the definition of a window that no function may use."""
        keys, order, _ = self._window_parts(node)
        for key in keys or ():
            self.expressions.value(key)
        order_by(self.expressions, order)

    def _window_parts(self, node: exp.Expr) -> tuple[Any, Any, Any]:
        """Return a window's PARTITION BY, ORDER BY and frame, with what it takes from a named one.

        Source: https://trino.io/docs/current/sql/select.html#window-clause
        """
        parts = [node.args.get(part) for part in ("partition_by", "order", "spec")]
        alias = node.args.get("alias")
        if alias is None:
            return tuple(parts)  # type: ignore[return-value]
        named = [
            window for window in self.names.scope.windows if window.this.name.lower() == alias.name.lower()
        ]
        if not named or named[0] is node:
            raise QueryRefused(
                f"There is no window {alias.name}: define it after WINDOW, at the query's end."
            )
        base = self._window_parts(named[0])
        if not any(parts):
            return base
        if parts[0] or base[2] or (parts[1] and base[1]):
            raise QueryRefused(
                f"A window built on {alias.name} can add the ORDER BY or the frame that {alias.name} lacks."
            )
        return base[0], parts[1] or base[1], parts[2]

    def _frame(self, spec: exp.WindowSpec | None, keys: Sequence[Type]) -> str:
        if spec is None:
            return ""
        refuse_others(spec, "kind", "start", "start_side", "end", "end_side")
        _check_sides(spec)

        def bound(side: str) -> str:
            value = spec.args.get(side) or "CURRENT ROW"
            sql = str(value)
            if isinstance(value, exp.Expr):
                distance = self.expressions.value(value)
                _check_distance(str(spec.args["kind"]).upper(), distance.type, keys)
                sql = distance.sql
            return f"{sql} {spec.args.get(f'{side}_side') or ''}".strip()

        return f"{spec.args['kind']} BETWEEN {bound('start')} AND {bound('end')}"


def _aggregates(node: exp.Expr) -> bool:
    return not isinstance(node, exp.Anonymous) or (
        node.name.lower() in ("reduce_agg", "grouping") or aggregates.is_aggregate(node.name.lower())
    )


_RANKING = ("rank", "dense_rank", "row_number", "percent_rank", "cume_dist", "ntile")


def _called(window: exp.Window) -> str:
    return window.this.name.lower() if isinstance(window.this, exp.Anonymous) else ""


_SIDES = ("UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW", "FOLLOWING", "UNBOUNDED FOLLOWING")


def _check_sides(spec: exp.WindowSpec) -> None:
    """Check that a frame does not end before it starts."""
    start, end = (_side(spec, side) for side in ("start", "end"))
    if _SIDES.index(start) > _SIDES.index(end) or (start == end and "UNBOUNDED" in start):
        raise QueryRefused(f"A frame that starts with {start} cannot end with {end}.")


def _side(spec: exp.WindowSpec, side: str) -> str:
    value, word = spec.args.get(side) or "CURRENT ROW", spec.args.get(f"{side}_side") or ""
    return str(word) if isinstance(value, exp.Expr) else f"{value} {word}".strip()


def _check_distance(kind: str, distance: Type, keys: Sequence[Type]) -> None:
    """Check the type of a frame's bound: how many rows or groups, or how far from the row's own key."""
    if kind != "RANGE":
        if not distance.is_integer:
            raise QueryRefused(f"The bound of a frame of {kind} must be a whole number, not {distance}.")
        return
    if len(keys) != 1:
        raise QueryRefused("A frame of RANGE with a distance needs ORDER BY one expression.")
    (key,) = keys
    if not (distance.is_interval if key.is_datetime else key.is_number and distance.is_number):
        raise QueryRefused(
            f"The bound of a frame of RANGE is {distance}, which does not fit ORDER BY {key}: "
            "a date needs INTERVAL '6' DAY."
        )
