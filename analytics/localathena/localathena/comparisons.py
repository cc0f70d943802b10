"""Comparison, equality and order of values, also of arrays, maps, rows and JSON."""

from collections.abc import Sequence
from dataclasses import replace

from localathena import types
from localathena.errors import QueryRefused
from localathena.sql import Value, fail_if, field, refuse_if, struct
from localathena.types import BOOLEAN, Type
from localathena.values import common

_ORDERING = ("<", "<=", ">", ">=")


def distinct(value: Value) -> Value:
    """Return a value of which equal ones are the same to DuckDB, whose maps are ordered."""
    if not value.type.contains("map"):
        return value
    return replace(value, sql=_canonical(value.sql, value.type, 0))


def _canonical(sql: str, type_: Type, depth: int) -> str:
    if not type_.contains("map"):
        return sql
    part = f"_c{depth}"
    if type_.name == "array":
        return f"list_transform({sql}, lambda {part}: {_canonical(part, type_.arguments[0], depth + 1)})"
    if type_.name == "map":
        key, item = (
            _canonical(f"{part}.{name}", of, depth + 1)
            for name, of in zip(("key", "value"), type_.arguments, strict=True)
        )
        entries = f"list_transform(map_entries({sql}), lambda {part}: {{'k': {key}, 'v': {item}}})"
        return f"map_from_entries(list_sort({entries}))"
    fields = [field(Value(sql, type_), index) for index in range(len(type_.arguments))]
    parts = [_canonical(of.sql, of.type, depth + 1) for of in fields]
    return f"(CASE WHEN {sql} IS NOT NULL THEN {struct(parts, type_)} END)"


def has_hole(sql: str, type_: Type, depth: int = 0) -> str:
    """Return SQL that tells whether there is NULL or NaN within an array, map or row; it is not NULL."""
    part = f"_h{depth}"
    if type_.name == "array":
        inside = f"{part} IS NULL OR {has_hole(part, type_.arguments[0], depth + 1)}"
        return f"coalesce(len(list_filter({sql}, lambda {part}: {inside})) > 0, FALSE)"
    if type_.name == "map":
        key, item = (f"map_{name}({sql})" for name in ("keys", "values"))
        return " OR ".join(
            has_hole(of, types.array(argument), depth)
            for of, argument in zip((key, item), type_.arguments, strict=True)
        )
    if type_.name == "row":
        fields = [field(Value(sql, type_), index) for index in range(len(type_.arguments))]
        inside = " OR ".join(f"{of.sql} IS NULL OR {has_hole(of.sql, of.type, depth + 1)}" for of in fields)
        return f"({sql} IS NOT NULL AND ({inside}))"
    return f"coalesce(isnan({sql}), FALSE)" if type_.is_floating else "FALSE"


def ordered(value: Value, what: str) -> Value:
    """Return a value by which DuckDB orders as Trino does; it fails where Trino compares NULL within a row.

    Raises:
        QueryRefused: Trino does not order such values.
    """
    if value.type.contains("json", "map"):
        raise QueryRefused(f"Athena does not order {value.type} ({what}): use its elements or fields.")
    if value.type.is_simple:
        return value
    why = f"{what} of arrays or rows with NULL or NaN in them is not supported"
    return replace(value, sql=refuse_if(has_hole(value.sql, value.type), why, value.sql))


def comparison(operator: str, a: Value, b: Value) -> Value:
    """Return `a < b`, `a IS DISTINCT FROM b` and the like.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (a, b), type_ = common([a, b], operator)
    if operator in _ORDERING and type_.contains("json", "map"):
        raise QueryRefused(f"Athena does not order {type_}: {operator} needs its elements or fields.")
    if type_.name == "row" and operator in ("=", "<>"):
        fields = [comparison("=", field(a, i), field(b, i)).sql for i in range(len(type_.arguments))]
        return Value(f"({'' if operator == '=' else 'NOT '}({' AND '.join(fields)}))", BOOLEAN)
    if type_.name == "row" and operator in _ORDERING:
        return _ordered_rows(operator, a, b)
    if operator.startswith("IS"):
        return Value(f"({distinct(a).sql} {operator} {distinct(b).sql})", BOOLEAN)
    sql = f"({a.sql} {operator} {b.sql})"
    if type_.is_floating:
        return Value(_with_nan(operator, a, b, sql), BOOLEAN)
    if type_.name in ("array", "map"):
        # Trino returns NULL where a NULL decides. DuckDB compares NULL and NaN like other values.
        holes = " OR ".join(has_hole(side.sql, type_) for side in (a, b))
        why = "A comparison of arrays or maps with NULL or NaN in them is not supported"
        return Value(refuse_if(holes, why, f"({distinct(a).sql} {operator} {distinct(b).sql})"), BOOLEAN)
    return Value(sql, BOOLEAN)


def _ordered_rows(operator: str, a: Value, b: Value) -> Value:
    """Compare rows field by field; Trino fails where a NULL would decide."""
    count = len(a.type.arguments)
    sql = ""
    for index in reversed(range(count)):
        x, y = field(a, index), field(b, index)
        last = index == count - 1
        decided = comparison(operator if last else operator[0], x, y).sql
        step = decided if last else f"(CASE WHEN {comparison('=', x, y).sql} THEN {sql} ELSE {decided} END)"
        hole = f"{x.sql} IS NULL OR {y.sql} IS NULL"
        sql = fail_if(hole, "ROW comparison not supported for fields with null elements", step)
    return Value(f"(CASE WHEN {a.sql} IS NULL OR {b.sql} IS NULL THEN NULL ELSE {sql} END)", BOOLEAN)


def between(value: Value, low: Value, high: Value) -> Value:
    """Return `value BETWEEN low AND high`.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (value, low, high), type_ = common([value, low, high], "BETWEEN")
    if not type_.is_simple or (type_.is_floating and high.constant is None):
        return Value(f"({comparison('>=', value, low).sql} AND {comparison('<=', value, high).sql})", BOOLEAN)
    return Value(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", BOOLEAN)


def one_of(value: Value, options: Sequence[Value]) -> Value:
    """Return `value IN (options)`.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (value, *options), type_ = common([value, *options], "IN")
    has_nan = type_.is_floating and any(option.constant is None for option in options)
    if type_.name in ("array", "map", "row") or has_nan:
        return Value(f"({' OR '.join(comparison('=', value, option).sql for option in options)})", BOOLEAN)
    listed = ", ".join(option.sql for option in options)
    return Value(evaluated(options, f"({value.sql} IN ({listed}))"), BOOLEAN)


def evaluated(values: Sequence[Value], sql: str) -> str:
    """Return SQL before which DuckDB evaluates values: one that fails does so where `sql` alone skips it."""
    if all(value.constant is not None or "(" not in value.sql for value in values):
        return sql
    return f"(CASE WHEN len([{', '.join(value.sql for value in values)}]) = 0 THEN NULL ELSE {sql} END)"


def _with_nan(operator: str, a: Value, b: Value, sql: str) -> str:
    """Return a comparison in which NaN equals nothing, not even itself. In DuckDB it is the greatest number.

    The comparison stays a condition of its own, by which DuckDB can skip rows.
    """
    greater, other = (b, a) if operator in ("<", "<=") else (a, b)
    if operator not in ("=", "<>", *_ORDERING) or greater.constant is not None:
        return sql
    if operator == "<>":
        return f"({sql} OR (isnan({a.sql}) AND {b.sql} IS NOT NULL))"
    return f"({sql} AND NOT (isnan({greater.sql}) AND {other.sql} IS NOT NULL))"
