"""Functions of numbers."""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from localathena import types
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, unless_null
from localathena.functions.signatures import by_signature, of_values
from localathena.sql import Value, fail_if, in_python, refuse_if
from localathena.types import BIGINT, DOUBLE, INTEGER, array
from localathena.values import coerce, expect


def _modulo(translator: Translator, arguments: Arguments) -> Value:
    a, b = arguments
    return translator.value(exp.Mod(this=a.copy(), expression=b.copy()))


def _plus(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    if not (value.type.is_integer or value.type.is_floating):
        raise QueryRefused(f"Athena does not define +{value.type}.")
    return value


def _whole(name: str, sql: str) -> Handler:
    """Round a decimal to a whole number; other numbers have a signature."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        values = [translator.value(argument) for argument in arguments]
        if len(values) == 1 and values[0].type.name == "decimal":
            precision, scale = values[0].type.precision, values[0].type.scale
            type_ = types.decimal(precision - scale + min(scale, 0 if name == "truncate" else 1), 0)
            return Value(f"CAST({sql.format(values[0].sql)} AS {type_.duckdb})", type_)
        if len(values) == 2 and values[1].type == types.UNKNOWN and name == "round":
            wider = types.decimal(values[0].type.precision + 1, values[0].type.scale)
            type_ = wider if values[0].type.name == "decimal" else values[0].type
            return Value(f"CAST(NULL AS {type_.duckdb})", type_)
        if len(values) == 2 and name == "truncate" and values[0].type.name == "decimal":
            type_, places = values[0].type, expect(values[1], BIGINT, "truncate").sql
            cut = in_python("decimal_truncate", f"CAST({values[0].sql} AS VARCHAR)", places)
            return Value(f"CAST({cut} AS {type_.duckdb})", type_)
        if len(values) == 2 and name == "round" and values[0].type.name == "decimal":
            type_ = types.decimal(values[0].type.precision + 1, values[0].type.scale)
            positions = expect(values[1], types.INTEGER, "round").sql
            rounded = f"CAST(round({coerce(values[0], type_).sql}, {positions}) AS {type_.duckdb})"
            return Value(fail_if(f"{positions} < -38", "round: decimal overflow", rounded), type_)
        if len(values) == 2 and name == "round" and values[0].type.is_integer:
            value = of_values(name, values)
            return replace(
                value, sql=fail_if(f"{values[1].sql} < -18", "round: numerical overflow", value.sql)
            )
        if len(values) == 1 and name == "truncate" and values[0].type.is_integer:
            return coerce(values[0], types.as_decimal(values[0].type))
        return of_values(name, values)

    return handle


def _random(translator: Translator, arguments: Arguments) -> Value:
    value = by_signature(translator, "random", arguments)
    if not arguments:
        return value
    low, high = [Value("0", INTEGER), *map(translator.value, arguments)][-2:]
    why = "bound must be positive" if len(arguments) == 1 else "start value must be less than stop value"
    return replace(value, sql=fail_if(f"{high.sql} <= {low.sql}", why, value.sql))


def _width_bucket(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    x = expect(values[0], DOUBLE, "width_bucket").sql
    if len(values) == 2:
        bins = expect(values[1], array(DOUBLE), "width_bucket").sql
        bucket = f"len(list_filter({bins}, lambda b: b <= {x}))"
        holes = f"len({bins}) <> list_count({bins})"
        unsorted = f"NOT ({holes}) AND {bins} <> list_sort({bins})"
        infinite = f"len(list_filter({bins}, lambda b: NOT isfinite(b))) > 0"
        bad = f"len({bins}) = 0 OR {infinite} OR isnan({x}) OR {unsorted}"
        bucket = unless_null(values, bucket)
        bucket = fail_if(bad, "Bins must be a sorted array that is not empty", bucket)
        return Value(
            refuse_if(holes, "width_bucket with NULL among its bins is not supported", bucket), BIGINT
        )
    low, high = (expect(value, DOUBLE, "width_bucket").sql for value in values[1:3])
    count = expect(values[3], BIGINT, "width_bucket").sql
    infinite = f"NOT isfinite({low}) OR NOT isfinite({high})"
    least, most = f"least({low}, {high})", f"greatest({low}, {high})"
    bucket = (
        f"(CASE WHEN {x} < {least} THEN 0 WHEN {x} >= {most} THEN {count} + 1 "
        f"ELSE CAST(trunc({count} * ({x} - {least}) / ({most} - {least}) + 1) AS BIGINT) END)"
    )
    bad = f"{count} < 1 OR isnan({x}) OR {infinite} OR {low} = {high}"
    bucket = f"(CASE WHEN {low} > {high} THEN {count} - {bucket} + 1 ELSE {bucket} END)"
    nulls = [*values[:3], values[3]]
    return Value(fail_if(bad, "width_bucket: bad bounds or bucket count", unless_null(nulls, bucket)), BIGINT)


def _shifted(kind: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        value, by = map(translator.value, arguments)
        if not value.type.is_integer:
            raise QueryRefused(f"A shift needs a whole number, not {value.type}.")
        distance = expect(by, BIGINT, "A shift").sql
        sql = in_python("shift", value.sql, distance, f"'{kind}'", f"'{value.type.name}'")
        return Value(f"CAST({sql} AS {value.type.duckdb})", value.type)

    return handle


def _wilson(sign: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        k, n, z = (expect(translator.value(node), DOUBLE, "wilson_interval").sql for node in arguments)
        spread = f"{z} * sqrt({k} / {n} * (1 - {k} / {n}) / {n} + {z} * {z} / (4 * {n} * {n}))"
        bad = f"{k} < 0 OR {n} <= 0 OR {k} > {n} OR {z} < 0"
        why = "wilson_interval needs 0 <= successes <= trials, trials above 0, and z of 0 or more"
        interval = f"(({k} / {n} + {z} * {z} / (2 * {n}) {sign} {spread}) / (1 + {z} * {z} / {n}))"
        return Value(fail_if(bad, why, interval), DOUBLE)

    return handle


HANDLERS: Mapping[str, Handler] = {
    "%": _modulo,
    "+": _plus,
    "bitwise_left_shift": _shifted("left"),
    "bitwise_right_shift": _shifted("right"),
    "bitwise_right_shift_arithmetic": _shifted("arithmetic"),
    "random": _random,
    "ceil": _whole("ceil", "ceil({0})"),
    "floor": _whole("floor", "floor({0})"),
    "round": _whole("round", "round({0})"),
    "truncate": _whole("truncate", "trunc({0})"),
    "width_bucket": _width_bucket,
    "wilson_interval_lower": _wilson("-"),
    "wilson_interval_upper": _wilson("+"),
}
