"""Numbers and arithmetic."""

import re

from localathena import types
from localathena.errors import QueryRefused
from localathena.moments import from_local, local_timestamp, rounded_us
from localathena.sql import Value, fail_if, in_python
from localathena.types import BIGINT, DATE, DAY_TO_SECOND, DOUBLE, INTEGER, UNKNOWN, Type
from localathena.values import coerce, common


def number(literal: str) -> Value:
    """Return a numeric literal: `1` is an integer, `1.0` a decimal, `1e0` a double."""
    if re.fullmatch(r"\d+", literal):
        type_ = INTEGER if int(literal) < 2**31 else BIGINT if int(literal) < 2**63 else None
        if type_ is None:
            raise QueryRefused(
                f"The number {literal} is too large for bigint: write {literal}.0 or {literal}e0."
            )
        return Value(f"CAST({literal} AS BIGINT)" if type_ == BIGINT else literal, type_, literal)
    if re.fullmatch(r"\d*\.\d*", literal):
        whole, _, fraction = literal.partition(".")
        type_ = types.decimal(len(whole.lstrip("0")) + len(fraction), len(fraction))
        if len(whole.lstrip("0")) + len(fraction) > types.MAX_PRECISION:
            raise QueryRefused(f"The number {literal} has more than 38 digits.")
        return Value(f"CAST({types.text(literal)} AS {type_.duckdb})", type_, literal)
    return Value(f"CAST({types.text(literal)} AS DOUBLE)", DOUBLE, literal)


def arithmetic(operator: str, a: Value, b: Value) -> Value:
    """Return `a + b`, `a - b`, `a * b`, `a / b` or `a % b`.

    Decimals: https://trino.io/docs/current/functions/decimal.html

    Raises:
        QueryRefused: Trino does not define it on these types.
    """
    if UNKNOWN in (a.type, b.type):
        other = b.type if a.type == UNKNOWN else a.type
        if operator == "-" and a.type == DATE:
            return Value("CAST(NULL AS DATE)", DATE)
        if other.is_interval or other.is_datetime or (operator == "*" and other in (BIGINT, DOUBLE)):
            raise QueryRefused(f"{a.type} {operator} {b.type} is ambiguous on Athena: cast NULL to a type.")
        a, b = (coerce(x, y.type) if x.type == UNKNOWN else x for x, y in ((a, b), (b, a)))
    if a.type.is_number and b.type.is_number:
        return _numeric(operator, a, b)
    with_time = _with_time(operator, a, b)
    if with_time is None:
        raise QueryRefused(f"Athena does not define {a.type} {operator} {b.type}.")
    return with_time


def _numeric(operator: str, a: Value, b: Value) -> Value:
    if a.type.is_exact and b.type.is_exact and "decimal" in (a.type.name, b.type.name):
        return _decimal(operator, a, b)
    (a, b), type_ = common([a, b], operator)
    if operator == "/" and type_.is_integer:
        return Value(f"({a.sql} // {b.sql})", type_)
    sql = f"({a.sql} {operator} {b.sql})"
    if operator == "%" and type_.is_integer and (b.constant is None or b.constant == "-1"):
        sql = (
            f"(CASE WHEN {b.sql} = -1 THEN {a.sql} - {a.sql} ELSE {sql} END)"  # DuckDB overflows at the least
        )
    return Value(sql, type_)


def _decimal(operator: str, a: Value, b: Value) -> Value:
    x, y = types.as_decimal(a.type), types.as_decimal(b.type)
    a, b = coerce(a, x), coerce(b, y)
    scale = max(x.scale, y.scale)
    if operator in "+-":
        type_ = types.decimal(1 + scale + max(x.precision - x.scale, y.precision - y.scale), scale)
        a, b = coerce(a, type_), coerce(b, type_)
    elif operator == "*":
        type_ = types.decimal(x.precision + y.precision, x.scale + y.scale)
        if x.precision + y.precision > 18:  # DuckDB multiplies narrow decimals in 64 bits
            if x.scale + y.scale > types.MAX_PRECISION:
                raise QueryRefused(f"{x} * {y} has too many decimal places: cast them to decimals of fewer.")
            a, b = (coerce(v, types.decimal(types.MAX_PRECISION, v.type.scale)) for v in (a, b))
    elif operator == "%":
        if max(x.precision - x.scale, y.precision - y.scale) + scale > types.MAX_PRECISION:
            raise QueryRefused(f"{x} % {y} may overflow on Athena: cast them to decimals of fewer digits.")
        type_ = types.decimal(min(x.precision - x.scale, y.precision - y.scale) + scale, scale)
    else:
        type_ = types.decimal(x.precision + y.scale + max(0, y.scale - x.scale), scale)
        return Value(_divided(a, b, x, y, type_), type_)
    return Value(f"CAST(({a.sql} {operator} {b.sql}) AS {type_.duckdb})", type_)


def _divided(a: Value, b: Value, x: Type, y: Type, type_: Type) -> str:
    """Return the exact quotient, rounded half away from zero to its scale, computed in whole numbers."""
    shift = type_.scale - x.scale + y.scale
    if x.precision + shift + type_.scale >= types.MAX_PRECISION or y.precision == types.MAX_PRECISION:
        texts = (f"CAST({value.sql} AS VARCHAR)" for value in (a, b))
        exact = in_python("decimal_divide", *texts, str(type_.precision), str(type_.scale))
        return f"CAST({exact} AS {type_.duckdb})"
    n = f"({_unscaled(a.sql, x)} * CAST({10**shift} AS HUGEINT))"
    d = _unscaled(b.sql, y)
    up = f"(CASE WHEN 2 * abs({n} % {d}) >= abs({d}) THEN sign({n}) * sign({d}) ELSE 0 END)"
    whole = types.decimal(types.MAX_PRECISION - type_.scale, 0).duckdb
    quotient = f"CAST({n} // {d} + {up} AS {whole})"
    if type_.scale == 0:
        return f"CAST({quotient} AS {type_.duckdb})"
    unit = f"CAST('0.{'1'.zfill(type_.scale)}' AS DECIMAL({type_.scale}, {type_.scale}))"
    return f"CAST({quotient} * {unit} AS {type_.duckdb})"


def _unscaled(sql: str, type_: Type) -> str:
    if type_.scale == 0:
        return f"CAST({sql} AS HUGEINT)"
    # By text: the product of a wide decimal and a power of ten does not fit a decimal.
    return f"CAST(replace(CAST({sql} AS VARCHAR), '.', '') AS HUGEINT)"


def _with_time(operator: str, a: Value, b: Value) -> Value | None:
    if operator == "+" and a.type.is_interval and b.type.is_datetime:
        a, b = b, a
    if operator in "+-" and a.type.is_datetime and b.type.is_interval:
        return _moved(operator, a, b)
    if operator == "-" and a.type.is_datetime and b.type.is_datetime:
        (a, b), type_ = common([a, b], "-")
        difference = f"({a.sql} - {b.sql})"
        if type_ == DATE:
            difference = f"to_days(CAST({difference} AS INTEGER))"
        elif type_.precision > 3:  # an interval has milliseconds
            difference_us = f"(epoch_us({a.sql}) - epoch_us({b.sql}))"
            if type_.zone:
                difference_us = f"({difference_us} // 1000 * 1000)"
            else:
                difference_us = rounded_us(difference_us, 1000)
            difference = f"to_microseconds({difference_us})"
        return Value(difference, DAY_TO_SECOND)
    if operator in "+-" and a.type.is_interval and a.type == b.type:
        return Value(f"({a.sql} {operator} {b.sql})", a.type)
    if operator == "*" and b.type.is_interval:
        a, b = b, a
    if operator == "*" and a.type.is_interval and b.type.is_integer:
        return Value(f"({a.sql} * {b.sql})", a.type)
    if operator in "*/" and a.type.is_interval and b.type.is_number:
        return _scaled(operator, a, coerce(b, DOUBLE))
    if (
        operator == "-"
        and a.type.name == b.type.name == "time"
        and max(a.type.precision, b.type.precision) <= 3
    ):
        epoch = "DATE '2000-01-01' + "
        return Value(f"(({epoch}{a.sql}) - ({epoch}{b.sql}))", DAY_TO_SECOND)
    if operator in "+-" and a.type.name == "time" and b.type == DAY_TO_SECOND:
        moved = f"CAST((DATE '2000-01-01' + {a.sql}) {operator} {b.sql} AS TIME)"
        return Value(moved, Type("time", precision=max(3, a.type.precision)))
    if operator == "+" and a.type == DAY_TO_SECOND and b.type.name == "time":
        return _with_time(operator, b, a)
    return None


def interval_parts(sql: str, type_: Type) -> str:
    """Return an interval as a whole number: of milliseconds, or of months."""
    if type_ == DAY_TO_SECOND:
        return f"epoch_ms({sql})"
    return f"(CAST(year({sql}) AS BIGINT) * 12 + month({sql}))"


def interval_of(parts: str, type_: Type) -> str:
    """Return the interval of so many milliseconds or months."""
    if type_ == DAY_TO_SECOND:
        return f"to_milliseconds(CAST({parts} AS BIGINT))"
    return f"to_months(CAST({parts} AS INTEGER))"


def _scaled(operator: str, interval: Value, factor: Value) -> Value:
    """Return an interval times or divided by a double, cut to whole milliseconds or months."""
    scaled = f"trunc({interval_parts(interval.sql, interval.type)} {operator} {factor.sql})"
    sql = interval_of(scaled, interval.type)
    if operator == "/":
        sql = fail_if(f"{factor.sql} = 0", "Cannot divide an interval by 0", sql)
    return Value(sql, interval.type)


def _moved(operator: str, timestamp: Value, interval: Value) -> Value:
    if timestamp.type == DATE:
        moved = f"({timestamp.sql} {operator} {interval.sql})"
        if interval.type == DAY_TO_SECOND:
            not_days = f"epoch_ms({interval.sql}) % 86400000 <> 0"
            return Value(
                fail_if(not_days, "Cannot add hour, minutes or seconds to a date", f"CAST({moved} AS DATE)"),
                DATE,
            )
        return Value(f"CAST({moved} AS DATE)", DATE)
    type_ = timestamp.type
    if interval.type == DAY_TO_SECOND:  # a day is 24 hours, also when daylight saving time changes
        type_ = Type(type_.name, precision=max(3, type_.precision), zone=type_.zone)
        return Value(f"({timestamp.sql} {operator} {interval.sql})", type_)
    return from_local(f"({local_timestamp(timestamp)} {operator} {interval.sql})", type_)
