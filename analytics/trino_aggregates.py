"""Trino's aggregate and window functions in DuckDB's words. What is not here is refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analytics import trino_types as types
from analytics.trino_types import BIGINT, BOOLEAN, DOUBLE, VARCHAR, Type, array, map_of
from analytics.trino_values import QueryRefused, Value, arithmetic, cast, coerce, expect


@dataclass(frozen=True)
class Call:
    """A call of an aggregate: what it is applied to, and what stands around its parentheses."""

    name: str
    arguments: Sequence[Value]
    distinct: str = ""
    """`DISTINCT ` or nothing."""
    order: str = ""
    """` ORDER BY ...` within the parentheses, or nothing."""
    condition: str = ""
    """What FILTER asks, or nothing."""
    over: str = ""
    """` OVER (...)`, or nothing."""
    nulls: str = ""
    """` IGNORE NULLS`, or nothing."""

    def of(self, function: str, *arguments: str, condition: str = "") -> str:
        """Return DuckDB's call of a function with the same surroundings."""
        conditions = " AND ".join(filter(None, (self.condition, condition)))
        where = f" FILTER (WHERE {conditions})" if conditions else ""
        inside = f"{self.distinct}{', '.join(arguments)}{self.order}{self.nulls}"
        return f"{function}({inside}){where}{self.over}"


Handler = Callable[[Call], Value]


def aggregate(call: Call) -> Value:
    """Translate a call of an aggregate or window function.

    Raises:
        QueryRefused: it is not known here, or not with these arguments.
    """
    if call.name in _WINDOW and not call.over:
        raise QueryRefused(f"{call.name} wants OVER (...).")
    if call.nulls and call.name not in _WINDOW:
        raise QueryRefused(f"{call.name} has no IGNORE NULLS.")
    try:
        return _HANDLERS[call.name](call)
    except (ValueError, IndexError) as error:  # a handler unpacks its arguments
        raise QueryRefused(f"{call.name} is not known here with {len(call.arguments)} arguments.") from error


def is_aggregate(name: str) -> bool:
    """Whether a function is one of these."""
    return name in _HANDLERS


def _count(call: Call) -> Value:
    if not call.arguments:
        return Value(call.of("count", "*"), BIGINT)
    (value,) = call.arguments
    return Value(call.of("count", value.sql), BIGINT)


def _count_if(call: Call) -> Value:
    (value,) = call.arguments
    return Value(call.of("count", f"CASE WHEN {expect(value, BOOLEAN, 'count_if').sql} THEN 1 END"), BIGINT)


def _number(value: Value, where: str) -> Value:
    if not value.type.is_number:
        raise QueryRefused(f"{where} wants numbers, not {value.type}.")
    return value


def _sum(call: Call) -> Value:
    (value,) = call.arguments
    type_ = _number(value, "sum").type
    if type_.is_integer:
        type_ = BIGINT
    if type_.name == "decimal":
        type_ = types.decimal(types.MAX_PRECISION, type_.scale)
    return Value(f"CAST({call.of('sum', value.sql)} AS {type_.duckdb})", type_)


def _avg(call: Call) -> Value:
    (value,) = call.arguments
    if _number(value, "avg").type.name != "decimal":
        return Value(call.of("avg", value.sql), DOUBLE)
    count = Value(call.of("count", value.sql), BIGINT)
    return cast(arithmetic("/", _sum(call), count), value.type)


def _extreme(call: Call) -> Value:
    value, *count = call.arguments
    if not count:
        return Value(call.of(call.name, value.sql), value.type)
    (number,) = count
    return Value(call.of(call.name, value.sql, expect(number, BIGINT, call.name).sql), array(value.type))


def _extreme_by(function: str) -> Handler:
    def handle(call: Call) -> Value:
        value, by = call.arguments
        return Value(call.of(function, value.sql, by.sql), value.type)

    return handle


def _same(function: str) -> Handler:
    def handle(call: Call) -> Value:
        (value,) = call.arguments
        return Value(call.of(function, value.sql), value.type)

    return handle


def _array_agg(call: Call) -> Value:
    (value,) = call.arguments
    return Value(call.of("list", value.sql), array(value.type))


def _boolean(function: str) -> Handler:
    def handle(call: Call) -> Value:
        (value,) = call.arguments
        return Value(call.of(function, expect(value, BOOLEAN, call.name).sql), BOOLEAN)

    return handle


def _bits(function: str) -> Handler:
    def handle(call: Call) -> Value:
        (value,) = call.arguments
        return Value(call.of(function, expect(value, BIGINT, call.name).sql), BIGINT)

    return handle


def _statistic(function: str, arguments: int) -> Handler:
    """Return a statistic of doubles, which is NULL where it is not defined, and not NaN."""

    def handle(call: Call) -> Value:
        if len(call.arguments) != arguments:
            raise ValueError
        numbers = [expect(value, DOUBLE, call.name).sql for value in call.arguments]
        return Value(f"nullif({call.of(function, *numbers)}, CAST('nan' AS DOUBLE))", DOUBLE)

    return handle


def _geometric_mean(call: Call) -> Value:
    (value,) = call.arguments
    logarithm = f"ln({expect(value, DOUBLE, call.name).sql})"
    return Value(f"exp({call.of('avg', logarithm)})", DOUBLE)


def _histogram(call: Call) -> Value:
    (value,) = call.arguments
    type_ = map_of(value.type, BIGINT)
    return Value(f"CAST({call.of('histogram', value.sql)} AS {type_.duckdb})", type_)


def _map_agg(call: Call) -> Value:
    key, value = call.arguments
    lists = [call.of("list", side.sql, condition=f"{key.sql} IS NOT NULL") for side in (key, value)]
    return Value(f"MAP({lists[0]}, {lists[1]})", map_of(key.type, value.type))


def _approx_distinct(call: Call) -> Value:
    return Value(call.of("approx_count_distinct", call.arguments[0].sql), BIGINT)


def _approx_percentile(call: Call) -> Value:
    """Take the exact percentile, which is one of the values: the same on every run."""
    value, share = call.arguments
    if _number(value, call.name).type.name == "decimal":
        value = coerce(value, DOUBLE)
    if share.type.name == "array":
        shares = expect(share, array(DOUBLE), call.name)
        return Value(call.of("quantile_disc", value.sql, shares.sql), array(value.type))
    return Value(call.of("quantile_disc", value.sql, expect(share, DOUBLE, call.name).sql), value.type)


def _listagg(call: Call) -> Value:
    value, separator = call.arguments
    texts = [expect(side, VARCHAR, "listagg").sql for side in (value, separator)]
    return Value(call.of("string_agg", *texts), VARCHAR)


def _rank(type_: Type) -> Handler:
    def handle(call: Call) -> Value:
        if call.arguments:
            raise ValueError
        return Value(call.of(call.name), type_)

    return handle


def _ntile(call: Call) -> Value:
    (buckets,) = call.arguments
    return Value(call.of("ntile", expect(buckets, BIGINT, "ntile").sql), BIGINT)


def _neighbour(call: Call) -> Value:
    value, *others = call.arguments
    arguments = [value.sql]
    for other, type_ in zip(others, (BIGINT, value.type), strict=False):
        arguments.append(expect(other, type_, call.name).sql)
    if len(others) > 2:
        raise ValueError
    return Value(call.of(call.name, *arguments), value.type)


def _nth_value(call: Call) -> Value:
    value, position = call.arguments
    return Value(call.of("nth_value", value.sql, expect(position, BIGINT, call.name).sql), value.type)


_WINDOW: dict[str, Handler] = {
    "row_number": _rank(BIGINT),
    "rank": _rank(BIGINT),
    "dense_rank": _rank(BIGINT),
    "percent_rank": _rank(DOUBLE),
    "cume_dist": _rank(DOUBLE),
    "ntile": _ntile,
    "lag": _neighbour,
    "lead": _neighbour,
    "first_value": _same("first_value"),
    "last_value": _same("last_value"),
    "nth_value": _nth_value,
}

_HANDLERS: dict[str, Handler] = {
    **_WINDOW,
    "any_value": _same("any_value"),
    "approx_distinct": _approx_distinct,
    "approx_percentile": _approx_percentile,
    "arbitrary": _same("any_value"),
    "array_agg": _array_agg,
    "avg": _avg,
    "bitwise_and_agg": _bits("bit_and"),
    "bitwise_or_agg": _bits("bit_or"),
    "bitwise_xor_agg": _bits("bit_xor"),
    "bool_and": _boolean("bool_and"),
    "bool_or": _boolean("bool_or"),
    "corr": _statistic("corr", 2),
    "count": _count,
    "count_if": _count_if,
    "covar_pop": _statistic("covar_pop", 2),
    "covar_samp": _statistic("covar_samp", 2),
    "every": _boolean("bool_and"),
    "geometric_mean": _geometric_mean,
    "histogram": _histogram,
    "kurtosis": _statistic("kurtosis", 1),
    "listagg": _listagg,
    "map_agg": _map_agg,
    "max": _extreme,
    "max_by": _extreme_by("arg_max_null"),
    "min": _extreme,
    "min_by": _extreme_by("arg_min_null"),
    "regr_intercept": _statistic("regr_intercept", 2),
    "regr_slope": _statistic("regr_slope", 2),
    "stddev": _statistic("stddev_samp", 1),
    "stddev_pop": _statistic("stddev_pop", 1),
    "stddev_samp": _statistic("stddev_samp", 1),
    "sum": _sum,
    "var_pop": _statistic("var_pop", 1),
    "var_samp": _statistic("var_samp", 1),
    "variance": _statistic("var_samp", 1),
}
