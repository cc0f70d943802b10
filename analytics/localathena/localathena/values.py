"""Values: coercion and comparison."""

from collections.abc import Sequence
from dataclasses import replace

from localathena import types
from localathena.casts import cast_sql
from localathena.errors import QueryRefused
from localathena.sql import Value, refuse_if
from localathena.types import Type


def without_nan(value: Value, what: str) -> Value:
    """Return a value that fails where it is NaN, which is the greatest number in DuckDB."""
    if not value.type.is_floating or value.constant is not None:
        return value
    return replace(value, sql=refuse_if(f"isnan({value.sql})", f"{what} of NaN is not supported", value.sql))


def ensure_simple(type_: Type, what: str) -> None:
    """Check that DuckDB compares and orders a type as Trino does.

    Raises:
        QueryRefused: it is an array, map or row.
    """
    if not type_.is_simple:
        raise QueryRefused(f"{what} of {type_} is not supported: use its elements or fields.")


def common(values: Sequence[Value], what: str) -> tuple[list[Value], Type]:
    """Return the values in the type that Trino coerces them to.

    Raises:
        QueryRefused: there is none.
    """
    type_ = types.common_of([value.type for value in values])
    if type_ is None:
        spelled = ", ".join(str(value.type) for value in values)
        raise QueryRefused(f"Athena cannot apply {what} to {spelled}: cast one to the other's type.")
    return [coerce(value, type_) for value in values], type_


def coerce(value: Value, target: Type) -> Value:
    """Return a value coerced to a type; check with `types.coerces` first."""
    if value.type == target:
        return value
    if value.constant is not None and value.type.is_number and target.is_floating:
        return Value(f"CAST('{value.constant}' AS {target.duckdb})", target, value.constant)
    return Value(cast_sql(value.sql, value.type, target), target)


def expect(value: Value, target: Type, where: str) -> Value:
    """Return a value coerced to the type that is needed.

    Raises:
        QueryRefused: Trino does not coerce it.
    """
    if not types.coerces(value.type, target):
        raise QueryRefused(f"{where} needs {target}, not {value.type}.")
    return coerce(value, target)
