"""Trino's aggregate and window functions as DuckDB's. A function that is not listed is refused."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from localathena import types
from localathena.arithmetic import arithmetic, interval_of, interval_parts
from localathena.casts import cast
from localathena.comparisons import distinct, ordered
from localathena.errors import QueryRefused
from localathena.sql import Value, fail_if, in_python, refuse_if
from localathena.types import BIGINT, BOOLEAN, DATE, DOUBLE, VARCHAR, Type, array, map_of
from localathena.values import coerce, ensure_simple, expect, without_nan


@dataclass(frozen=True)
class Call:
    """A call of an aggregate: its arguments and the clauses around it."""

    name: str
    arguments: Sequence[Value]
    distinct: str = ""
    """`DISTINCT `, or empty."""
    order: str = ""
    """` ORDER BY ...` in the parentheses, or empty."""
    condition: str = ""
    """Condition of FILTER, or empty."""
    over: str = ""
    """` OVER (...)`, or empty."""
    nulls: str = ""
    """` IGNORE NULLS`, or empty."""

    def of(self, function: str, *arguments: str, condition: str = "") -> str:
        """Return DuckDB's call of a function with the same clauses."""
        conditions = " AND ".join(filter(None, (self.condition, condition)))
        where = f" FILTER (WHERE {conditions})" if conditions else ""
        inside = f"{self.distinct}{', '.join(arguments)}{self.order}{self.nulls}"
        return f"{function}({inside}){where}{self.over}"


Handler = Callable[[Call], Value]


def aggregate(call: Call) -> Value:
    """Translate a call of an aggregate or window function.

    Raises:
        QueryRefused: it is not supported, or not with these arguments.
    """
    if call.name in _WINDOW and not call.over:
        raise QueryRefused(f"{call.name} needs OVER (...).")
    if call.nulls and call.name not in _WINDOW:
        raise QueryRefused(f"{call.name} has no IGNORE NULLS.")
    if call.over and call.name not in _WINDOW and (call.condition or call.distinct or call.order):
        raise QueryRefused(
            f"{call.name} with OVER takes no FILTER, DISTINCT or ORDER BY in its parentheses on Athena: "
            "use CASE in it, or aggregate in a query of its own first."
        )
    try:
        return _HANDLERS[call.name](call)
    except (ValueError, IndexError) as error:  # a handler unpacks its arguments
        raise QueryRefused(f"{call.name} is not supported with {len(call.arguments)} arguments.") from error


def is_aggregate(name: str) -> bool:
    """Whether a function is one of these."""
    return name in _HANDLERS


def is_window(name: str) -> bool:
    """Whether a function needs OVER."""
    return name in _WINDOW


def names() -> list[str]:
    """Return the names of these functions."""
    return list(_HANDLERS)


def _count(call: Call) -> Value:
    if not call.arguments:
        return Value(call.of("count", "*"), BIGINT)
    (value,) = call.arguments
    if call.distinct:
        value = distinct(value)
    return Value(call.of("count", value.sql), BIGINT)


def _count_if(call: Call) -> Value:
    (value,) = call.arguments
    return Value(call.of("count", f"CASE WHEN {expect(value, BOOLEAN, 'count_if').sql} THEN 1 END"), BIGINT)


def _number(value: Value, where: str) -> Value:
    if not value.type.is_number:
        raise QueryRefused(f"{where} needs numbers, not {value.type}.")
    return value


def _sum(call: Call) -> Value:
    (value,) = call.arguments
    if value.type.is_interval:
        total = call.of("sum", interval_parts(value.sql, value.type))
        return Value(interval_of(total, value.type), value.type)
    type_ = _number(value, "sum").type
    if type_.is_integer:
        type_ = BIGINT
    if type_.name == "decimal":
        type_ = types.decimal(types.MAX_PRECISION, type_.scale)
    return Value(f"CAST({call.of('sum', value.sql)} AS {type_.duckdb})", type_)


def _avg(call: Call) -> Value:
    (value,) = call.arguments
    if value.type.is_interval:
        mean = f"round({call.of('avg', interval_parts(value.sql, value.type))})"
        return Value(interval_of(mean, value.type), value.type)
    if _number(value, "avg").type.name == "real":
        return Value(f"CAST({call.of('avg', value.sql)} AS FLOAT)", value.type)
    if value.type.name != "decimal":
        return Value(call.of("avg", value.sql), DOUBLE)
    count = Value(call.of("count", value.sql), BIGINT)
    return cast(arithmetic("/", _sum(call), count), value.type)


def _extreme(call: Call) -> Value:
    value, *count = call.arguments
    value = ordered(value, call.name)
    if count:
        (number,) = count
        _ensure_few(number, call.name)
        most = expect(number, BIGINT, call.name).sql
        return Value(call.of(call.name, without_nan(value, call.name).sql, most), array(value.type))
    sql = call.of(call.name, value.sql)
    if (
        call.name == "max" and value.type.is_floating
    ):  # NaN is the greatest number in DuckDB, and is ignored by Trino
        sql = f"coalesce({call.of('max', value.sql, condition=f'NOT isnan({value.sql})')}, {sql})"
    return Value(sql, value.type)


def _ensure_few(number: Value, name: str) -> None:
    if number.constant is not None and float(number.constant) > _MOST_EXTREMES:
        raise QueryRefused(f"{name} returns {_MOST_EXTREMES} values at most.")


_MOST_EXTREMES = 10_000


def _extreme_by(function: str, direction: str) -> Handler:
    def handle(call: Call) -> Value:
        value, by, *count = call.arguments
        by = ordered(by, call.name)
        if not count and by.type.is_floating:  # Trino passes NaN over, unless there is nothing else
            finite = f"NOT isnan({by.sql})"
            found, any_ = (
                call.of(function, value.sql, by.sql, condition=finite),
                call.of(function, value.sql, by.sql),
            )
            there_is = f"{call.of('count', by.sql, condition=finite)} > 0"
            return Value(f"(CASE WHEN {there_is} THEN {found} ELSE {any_} END)", value.type)
        by = without_nan(by, call.name)
        if not count:
            return Value(call.of(function, value.sql, by.sql), value.type)
        (number,) = count
        if call.order or call.distinct or call.over:
            raise QueryRefused(f"{call.name} of several values is supported without ORDER BY and OVER only.")
        _ensure_few(number, call.name)
        most = _written_out(number, call.name, least=1)
        sorted_call = replace(call, order=f" ORDER BY {by.sql} {direction}")
        found = sorted_call.of("list", value.sql, condition=f"{by.sql} IS NOT NULL")
        return Value(f"list_slice({found}, 1, {most})", array(value.type))

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


_LEAST_FOR_NAN = {
    **dict.fromkeys(("stddev_pop", "var_pop", "covar_pop"), 1),
    **dict.fromkeys(("stddev_samp", "var_samp", "covar_samp"), 2),
}
"""Fewest values, NaN or infinity among them, of which a statistic is NaN; others are NULL then."""


def _statistic(function: str, arguments: int) -> Handler:
    """Return a statistic of doubles, which is NULL where it is not defined, and not NaN."""

    def handle(call: Call) -> Value:
        if len(call.arguments) != arguments:
            raise ValueError
        numbers = [expect(value, DOUBLE, call.name).sql for value in call.arguments]
        is_finite = " AND ".join(f"isfinite({number})" for number in numbers)
        sql = f"nullif({call.of(function, *numbers, condition=is_finite)}, CAST('nan' AS DOUBLE))"
        if any(value.type.is_floating for value in call.arguments):
            there_is = " AND ".join(f"{number} IS NOT NULL" for number in numbers)
            values, finite = (call.of("count", numbers[0], condition=c) for c in (there_is, is_finite))
            least = _LEAST_FOR_NAN.get(function)
            odd = f"CASE WHEN {values} >= {least} THEN CAST('nan' AS DOUBLE) END" if least else "NULL"
            sql = f"(CASE WHEN {values} > {finite} THEN {odd} ELSE {sql} END)"
        if arguments == 2 and all(value.type != DOUBLE for value in call.arguments):
            return Value(f"CAST({sql} AS FLOAT)", Type("real"))
        return Value(sql, DOUBLE)

    return handle


def _moments(least: int, form: str) -> Handler:
    """Return the handler of a statistic of the sums {m2}, {m3} and {m4} of powers of (x - mean).

    DuckDB's own loses digits where values are far from zero. Equal values have none, which is NaN.
    Source: https://trino.io/docs/current/functions/aggregate.html#statistical-aggregate-functions
    """

    def handle(call: Call) -> Value:
        (value,) = call.arguments
        x = expect(value, DOUBLE, call.name).sql
        count, mean, low, high = (call.of(function, x) for function in ("count", "avg", "min", "max"))
        values = call.of("list", x, condition=f"{x} IS NOT NULL")
        sums = {
            f"m{power}": f"list_sum(list_transform({values}, lambda v: pow(v - {mean}, {power})))"
            for power in (2, 3, 4)
        }
        statistic = form.format(n=f"CAST({count} AS DOUBLE)", **sums)
        few = f"WHEN {count} < {least} THEN NULL WHEN {low} = {high} THEN CAST('nan' AS DOUBLE)"
        return Value(f"(CASE {few} ELSE {statistic} END)", DOUBLE)

    return handle


_SKEWNESS = "(sqrt({n}) * {m3} / pow({m2}, 1.5))"
_KURTOSIS = "(({n} - 1) / (({n} - 2) * ({n} - 3)) * ({n} * ({n} + 1) * {m4} / ({m2} * {m2}) - 3 * ({n} - 1)))"


def _geometric_mean(call: Call) -> Value:
    (value,) = call.arguments
    logarithm = f"ln({expect(value, DOUBLE, call.name).sql})"
    mean = f"exp({call.of('avg', logarithm)})"
    if value.type.name in ("decimal", "real"):
        return Value(f"CAST({mean} AS FLOAT)", Type("real"))
    return Value(mean, DOUBLE)


def _histogram(call: Call) -> Value:
    (value,) = call.arguments
    value = distinct(value)
    type_ = map_of(value.type, BIGINT)
    return Value(f"CAST({call.of('histogram', value.sql)} AS {type_.duckdb})", type_)


_TWICE = "A key comes twice, and Athena keeps any of its values: group by the key first"


def _map_agg(call: Call) -> Value:
    key, value = call.arguments
    key = distinct(key)
    keys, values = (call.of("list", side.sql, condition=f"{key.sql} IS NOT NULL") for side in (key, value))
    twice = f"len(list_distinct({keys})) <> len({keys})"
    return Value(refuse_if(twice, _TWICE, f"MAP({keys}, {values})"), map_of(key.type, value.type))


def _multimap_agg(call: Call) -> Value:
    key, value = call.arguments
    ensure_simple(key.type, "multimap_agg")
    keys, values = (call.of("list", side.sql, condition=f"{key.sql} IS NOT NULL") for side in (key, value))
    of_key = f"list_filter(list_zip({keys}, {values}), lambda p: p[1] IS NOT DISTINCT FROM k)"
    entry = f"{{'k': k, 'v': list_transform({of_key}, lambda p: p[2])}}"
    sql = f"map_from_entries(list_transform(list_sort(list_distinct({keys})), lambda k: {entry}))"
    return Value(sql, map_of(key.type, array(value.type)))


def _map_union(call: Call) -> Value:
    (value,) = call.arguments
    if value.type.name != "map":
        raise QueryRefused(f"map_union needs maps, not {value.type}.")
    maps = call.of("list", f"map_entries({value.sql})", condition=f"{value.sql} IS NOT NULL")
    entries = f"flatten({maps})"
    keys = f"list_transform({entries}, lambda e: e.key)"
    twice = f"len(list_distinct({keys})) <> len({keys})"
    return Value(refuse_if(twice, _TWICE, f"map_from_entries({entries})"), value.type)


def _approx_distinct(call: Call) -> Value:
    """Count exactly: the result is the same on every run, and within the requested error."""
    value, *error = call.arguments
    if len(error) > 1:
        raise ValueError
    if error and error[0].constant is not None and not 0.0040625 <= float(error[0].constant) <= 0.26:
        raise QueryRefused("The standard error of approx_distinct must be from 0.0040625 to 0.26.")
    value = distinct(value)
    return Value(replace(call, distinct="DISTINCT ").of("count", value.sql), BIGINT)


_SHORT_DECIMAL = 18
"""Most digits of a decimal that Trino keeps in 64 bits."""
_CHECKSUM_OF_NULL = -7046029288634856825
"""What NULL adds to a checksum: the first prime of xxHash64, as a signed number."""


def _checksum(call: Call) -> Value:
    """Add what each value adds, modulo 2^64, so that the order of the rows does not matter."""
    (value,) = call.arguments
    type_, sql = value.type, value.sql
    if type_.is_integer or type_ == BOOLEAN:
        part = in_python("checksum_of_integer", f"CAST({sql} AS BIGINT)")
    elif type_ == DATE:
        part = in_python("checksum_of_integer", f"CAST({sql} - DATE '1970-01-01' AS BIGINT)")
    elif type_.name == "timestamp":
        part = in_python("checksum_of_integer", f"epoch_us({sql})")
    elif type_.name == "decimal" and (type_.precision or 0) <= _SHORT_DECIMAL:
        part = in_python("checksum_of_integer", f"CAST({sql} * 1{'0' * (type_.scale or 0)} AS BIGINT)")
    elif type_ == DOUBLE:
        part = in_python("checksum_of_double", sql)
    elif type_ == VARCHAR:
        part = in_python("checksum_of_bytes", f"encode({sql})")
    elif type_.name == "varbinary":
        part = in_python("checksum_of_bytes", sql)
    else:
        raise QueryRefused(f"checksum of {type_} is not supported: cast it to varchar on both sides.")
    total = call.of("sum", f"coalesce({part}, {_CHECKSUM_OF_NULL})")
    return Value(in_python("checksum", f"CAST({total} AS VARCHAR)"), Type("varbinary"))


def _approx_percentile(call: Call) -> Value:
    """Take the exact percentile: the value that has n * p others below it, as Trino does with few values."""
    if len(call.arguments) > 2:
        raise QueryRefused(
            "approx_percentile with weights is not supported: write sum(w) OVER (ORDER BY x) in a subquery, "
            "and take min(x) where the sum reaches the share."
        )
    value, share = call.arguments
    source = _number(value, call.name).type
    type_ = BIGINT if source.is_integer else Type("real") if source.name == "decimal" else source
    value = coerce(value, type_)
    values, count = (
        call.of("list", value.sql, condition=f"{value.sql} IS NOT NULL"),
        call.of("count", value.sql),
    )
    if type_.is_floating:
        finite = f"{call.of('count', value.sql, condition=f'NOT isfinite({value.sql})')} > 0"
        values = fail_if(finite, "approx_percentile needs finite values", values)
    if share.type.name == "array":
        shares = expect(share, array(DOUBLE), call.name).sql
        outside = f"list_min({shares}) < 0 OR list_max({shares}) > 1"
        shares = fail_if(outside, _SHARE, shares)
        ranked = _of_rank("p.o", "p.n", "s")
        each = f"list_transform(p.s, lambda s: {ranked})"
        given = f"{{'o': list_sort({values}), 'n': {count}, 's': {shares}}}"
        found = f"list_extract(list_transform([{given}], lambda p: {each}), 1)"
        return Value(f"(CASE WHEN {count} > 0 THEN {found} END)", array(type_))
    one = expect(share, DOUBLE, call.name).sql
    one = fail_if(f"{one} < 0 OR {one} > 1", _SHARE, one)
    return Value(_of_rank(f"list_sort({values})", count, one), type_)


def _of_rank(ordered: str, count: str, share: str) -> str:
    """Return SQL for the value with so many of the others below it."""
    return f"list_extract({ordered}, CAST(least(floor({share} * {count}) + 1, {count}) AS BIGINT))"


_SHARE = "Percentile must be between 0 and 1"


def _listagg(call: Call) -> Value:
    value, separator = call.arguments
    if not call.order:
        raise QueryRefused("listagg needs WITHIN GROUP (ORDER BY ...).")
    texts = [expect(side, VARCHAR, "listagg").sql for side in (value, separator)]
    joined = call.of("string_agg", *texts)
    why = "listagg of more than a megabyte is not supported: Athena fails or truncates it"
    return Value(refuse_if(f"strlen({joined}) > 1048576", why, joined), VARCHAR)


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
    if "ORDER BY" not in call.over or re.search(" (ROWS|RANGE|GROUPS) ", call.over):
        raise QueryRefused(f"{call.name} needs OVER (... ORDER BY ...), without a frame.")
    arguments = [value.sql]
    for other, type_ in zip(others, (BIGINT, value.type), strict=False):
        arguments.append(expect(other, type_, call.name).sql)
    if len(others) > 2:
        raise ValueError
    if others:
        arguments[1] = _offset(others[0], call.name, least=0)
    return Value(call.of(call.name, *arguments), value.type)


def _nth_value(call: Call) -> Value:
    value, position = call.arguments
    return Value(call.of("nth_value", value.sql, _offset(position, call.name, least=1)), value.type)


def _offset(value: Value, where: str, *, least: int) -> str:
    """Return how far away a row is, checked at once if it is a literal. NULL is no distance."""
    if value.constant is not None:
        return _written_out(value, where, least=least)
    offset = expect(value, BIGINT, where).sql
    why = f"The offset of {where} must be a number of {least} or more"
    null = least if where == "nth_value" else -1
    return refuse_if(f"coalesce({offset}, {null}) < {least}", why, offset)


def _written_out(value: Value, where: str, *, least: int) -> str:
    if not re.fullmatch("[0-9]+", value.constant or "") or int(value.constant or 0) < least:
        raise QueryRefused(f"The offset of {where} must be a number of {least} or more, as a literal.")
    return str(value.constant)


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
    "checksum": _checksum,
    "corr": _statistic("corr", 2),
    "count": _count,
    "count_if": _count_if,
    "covar_pop": _statistic("covar_pop", 2),
    "covar_samp": _statistic("covar_samp", 2),
    "every": _boolean("bool_and"),
    "geometric_mean": _geometric_mean,
    "histogram": _histogram,
    "kurtosis": _moments(4, _KURTOSIS),
    "listagg": _listagg,
    "map_agg": _map_agg,
    "map_union": _map_union,
    "multimap_agg": _multimap_agg,
    "max": _extreme,
    "max_by": _extreme_by("arg_max_null", "DESC"),
    "min": _extreme,
    "min_by": _extreme_by("arg_min_null", "ASC"),
    "regr_intercept": _statistic("regr_intercept", 2),
    "regr_slope": _statistic("regr_slope", 2),
    "skewness": _moments(3, _SKEWNESS),
    "stddev": _statistic("stddev_samp", 1),
    "stddev_pop": _statistic("stddev_pop", 1),
    "stddev_samp": _statistic("stddev_samp", 1),
    "sum": _sum,
    "var_pop": _statistic("var_pop", 1),
    "var_samp": _statistic("var_samp", 1),
    "variance": _statistic("var_samp", 1),
}
