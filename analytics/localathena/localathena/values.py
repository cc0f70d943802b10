"""Values: SQL for DuckDB with a Trino type; casts, arithmetic, comparison."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from localathena import types
from localathena.errors import QueryRefused
from localathena.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    INTEGER,
    JSON,
    UNKNOWN,
    VARCHAR,
    Type,
)


@dataclass(frozen=True)
class Value:
    """An expression: its SQL for DuckDB, in parentheses where it needs them, and its Trino type."""

    sql: str
    type: Type
    constant: str | None = None
    """Text of the literal, if it is one."""
    is_partition: bool = False
    """Whether it is the partition column."""
    instant: str | None = None
    """SQL of a timestamp that is right in any zone, where `sql` fails outside its type's zone."""


NULL = Value("NULL", UNKNOWN)

FAILURE = "~"
"""Prefix of the error text that a translated statement raises, by a cast that cannot succeed.

DuckDB's own `error()` is volatile, which its TRY does not allow.
"""
REFUSAL = "~~"
"""Prefix of the error text where Athena would answer."""


def fail_if(condition: str, message: str, otherwise: str) -> str:
    """Return SQL that fails with a message where a condition holds, and else is an expression."""
    failure = f"CAST({types.text(FAILURE + message.removeprefix(FAILURE))} AS BOOLEAN)"
    return f"(CASE WHEN (CASE WHEN {condition} THEN {failure} ELSE FALSE END) THEN NULL ELSE {otherwise} END)"


def refuse_if(condition: str, message: str, otherwise: str) -> str:
    """Return SQL that fails with a message where DuckDB cannot give Athena's answer."""
    return fail_if(condition, f"{REFUSAL}{message}", otherwise)


def attempt(value: Value) -> Value:
    """Return `TRY(value)`, which is NULL where it fails.

    Raises:
        QueryRefused: it may fail where Athena answers, and TRY would hide that.
    """
    refusal = re.search(f"'{REFUSAL}((?:[^']|'')*)'", value.sql)
    if refusal:
        raise QueryRefused(
            "TRY() is not supported around this expression: it would hide a limitation of the local engine. "
            "({}.)".format(refusal[1].replace("''", "'"))
        )
    return Value(f"TRY({value.sql})", value.type)


def without_nan(value: Value, what: str) -> Value:
    """Return a value that fails where it is NaN, which is the greatest number in DuckDB."""
    if not value.type.is_floating or value.constant is not None:
        return value
    return replace(value, sql=refuse_if(f"isnan({value.sql})", f"{what} of NaN is not supported", value.sql))


def ensure_simple(type_: Type, what: str) -> None:
    """Check that DuckDB compares and orders a type as Trino does.

    Raises:
        QueryRefused: it is an array, map, row or JSON.
    """
    if not type_.is_simple:
        raise QueryRefused(f"{what} of {type_} is not supported: use its elements or fields.")


def ensure_distinct(type_: Type, what: str) -> None:
    """Check that DuckDB finds the same values of a type distinct. Its maps are ordered.

    Raises:
        QueryRefused: there is a map or JSON in it.
    """
    if type_.contains("map", "json"):
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
    return Value(_cast(value.sql, value.type, target), target)


def expect(value: Value, target: Type, where: str) -> Value:
    """Return a value coerced to the type that is needed.

    Raises:
        QueryRefused: Trino does not coerce it.
    """
    if not types.coerces(value.type, target):
        raise QueryRefused(f"{where} needs {target}, not {value.type}.")
    return coerce(value, target)


def cast(value: Value, target: Type) -> Value:
    """Return `CAST(value AS target)`.

    Raises:
        QueryRefused: Trino has no such cast, or one whose result DuckDB cannot give.
    """
    if value.type.zone and target.zone:  # a zone is kept
        target = types.zoned(value.type.zone, target.precision)
    if value.is_partition and target.name in ("date", "timestamp"):
        # DuckDB does not choose partitions by an expression that may fail.
        return Value(f"TRY_CAST({value.sql} AS {target.duckdb})", target)
    shape = _SHAPES.get(target.name)
    if shape and value.type == VARCHAR and value.constant is not None:
        failure = f"CAST({types.text(_not_one(target))} AS {target.duckdb})"
        return Value(_parsed(value.sql, target) if re.fullmatch(shape, value.constant) else failure, target)
    return Value(_cast(value.sql, value.type, target), target)


def _cast(sql: str, source: Type, target: Type) -> str:
    if source == target:
        return sql
    if source == UNKNOWN or _is_plain(source, target):
        return f"CAST({sql} AS {target.duckdb})"
    if source == VARCHAR:
        return _from_text(sql, target)
    if target == VARCHAR:
        return _to_text(sql, source)
    if source == JSON or target == JSON:
        return _from_or_to_json(sql, source, target)
    if source.is_floating and target.name == "decimal":
        return f"CAST(CAST({sql} AS VARCHAR) AS {target.duckdb})"  # Trino rounds the shortest digits
    if source.is_floating and target.is_integer:
        return (
            f"CAST(round({sql}) AS {target.duckdb})"  # half away from zero; DuckDB's cast rounds half to even
        )
    if {source.name, target.name} <= {"date", "timestamp", "timestamp with time zone"}:
        return _between_moments(sql, source, target)
    if target.name == "time" and source.name in ("time", "timestamp", "timestamp with time zone"):
        return _between_times(sql, source, target)
    if source.name == target.name == "array":
        element = _cast("x", source.arguments[0], target.arguments[0])
        return f"list_transform({sql}, lambda x: {element})"
    if source.name == target.name == "map":
        key, value = (_cast(f"e.{part}", *pair) for part, *pair in _entry_types(source, target))
        return f"map_from_entries(list_transform(map_entries({sql}), lambda e: {{'k': {key}, 'v': {value}}}))"
    if source.name == target.name == "row" and len(source.arguments) == len(target.arguments):
        fields = [
            _cast(field(Value(sql, source), index).sql, a, b)
            for index, (a, b) in enumerate(zip(source.arguments, target.arguments, strict=True))
        ]
        return f"(CASE WHEN {sql} IS NULL THEN NULL ELSE {struct(fields, target)} END)"
    raise QueryRefused(f"A cast from {source} to {target} is not supported.")


def _entry_types(source: Type, target: Type) -> list[tuple[str, Type, Type]]:
    return [
        (part, source.arguments[index], target.arguments[index])
        for index, part in enumerate(("key", "value"))
    ]


def struct(fields: Sequence[str], type_: Type) -> str:
    """Return a row's value of its fields' SQL."""
    names = [name or f"field{index}" for index, name in enumerate(type_.fields)]
    return (
        "{" + ", ".join(f"{types.text(name)}: {sql}" for name, sql in zip(names, fields, strict=True)) + "}"
    )


def field(value: Value, index: int) -> Value:
    """Return a row's field."""
    name = value.type.fields[index] or f"field{index}"
    return Value(f"struct_extract({value.sql}, {types.text(name)})", value.type.arguments[index])


def _is_plain(source: Type, target: Type) -> bool:
    """Whether DuckDB's cast is Trino's."""
    if source.is_exact and target.is_number:
        return True
    if source.is_floating:
        return target.is_floating
    if source == BOOLEAN:
        return target.is_number or target == VARCHAR
    if source.is_integer:
        return target in (BOOLEAN, VARCHAR)
    if source == DATE:
        return target == VARCHAR
    if source.name == "row" and target.name == "row":
        return False
    if source.name == target.name and source.arguments and len(source.arguments) == len(target.arguments):
        pairs = zip(source.arguments, target.arguments, strict=True)
        return all(a in (b, UNKNOWN) or _is_plain(a, b) for a, b in pairs)
    return False


_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?"
_TIME = r"([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,9})?)?"
"""Pattern of 24:00, which DuckDB accepts as the next day's midnight."""
_SHAPES = {
    "decimal": _NUMBER,
    "real": rf"\s*({_NUMBER}|NaN|[+-]?Infinity)\s*",
    "double": rf"\s*({_NUMBER}|NaN|[+-]?Infinity)\s*",
    "boolean": r"(?i)t|f|true|false|1|0",
    "date": r"\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\s*",
    "time": _TIME,
    "timestamp": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}" + f"( {_TIME})?",
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "[+-]?[0-9]+"),
}
"""Pattern of the texts that Trino casts to a type. DuckDB casts more."""


def _from_text(sql: str, target: Type) -> str:
    if target == JSON:
        return f"to_json({sql})"
    shape = _SHAPES.get(target.name)
    if shape is None:
        raise QueryRefused(f"A cast from varchar to {target} is not supported.")
    return fail_if(
        f"NOT regexp_full_match({sql}, {types.text(shape)})",
        _not_one(target),
        _parsed(sql, target),
    )


def _not_one(target: Type) -> str:
    return f"{FAILURE}A text cannot be cast to {target}"


def _parsed(sql: str, target: Type) -> str:
    """Return the cast of a text that matches its type's pattern."""
    if target.name == "timestamp":
        # DuckDB needs two digits where Trino takes one, except in the fraction.
        padded = f"regexp_replace({sql}, '([^0-9.])([0-9])\\b', '\\10\\2', 'g')"
        stamp = f"CAST({padded} AS TIMESTAMP)"
        if target.precision == types.MAX_FRACTION:  # DuckDB truncates further digits
            up = f"regexp_matches({sql}, '\\.[0-9]{{6}}[5-9]')"
            return f"({stamp} + to_microseconds(CASE WHEN {up} THEN 1 ELSE 0 END))"
        return _rounded(stamp, target.precision)
    if target.name == "time":
        timestamp = Type("timestamp", precision=target.precision)
        dated = f"('2000-01-01 ' || {sql})"
        return f"CAST({_parsed(dated, timestamp)} AS TIME)"
    return f"CAST({sql} AS {target.duckdb})"


def _rounded(sql: str, precision: int) -> str:
    unit_us = 10 ** (6 - precision)
    if unit_us == 1:
        return sql
    return f"make_timestamp({_rounded_us(f'epoch_us({sql})', unit_us)})"


_FAR_BEFORE_US = 10**18
"""Offset that makes timestamps positive: DuckDB's // truncates towards zero, which rounds 1969 up."""


def _rounded_us(sql: str, unit_us: int) -> str:
    return f"(({sql} + {_FAR_BEFORE_US + unit_us // 2}) // {unit_us} * {unit_us} - {_FAR_BEFORE_US})"


def in_milliseconds(value: Value) -> Value:
    """Return a timestamp truncated to the millisecond."""
    if value.type.precision <= 3:
        return value
    return replace(value, sql=f"date_trunc('millisecond', {value.sql})")


def in_its_precision(value: Value) -> Value:
    """Return a timestamp rounded to the precision of its type."""
    if value.type.precision >= 3:
        return value
    if value.type.zone:
        utc = _rounded(local_time(value.sql, "UTC"), value.type.precision)
        return replace(value, sql=_instant(utc, "UTC"))
    return replace(value, sql=_rounded(value.sql, value.type.precision))


def _to_text(sql: str, source: Type) -> str:
    if source.name == "decimal":
        wider = types.decimal(source.precision + 1, source.scale)  # otherwise 0.50 is written .50
        return f"CAST(CAST({sql} AS {wider.duckdb}) AS VARCHAR)"
    if source.name == "timestamp":
        return _moment_text(sql, source.precision)
    if source.name == "timestamp with time zone":
        local = local_time(sql, source.zone)
        return f"({_moment_text(local, source.precision)} || {types.text(' ' + source.zone)})"
    if source.name == "time":
        return _moment_text(f"(DATE '2000-01-01' + {sql})", source.precision, "%H:%M:%S")
    if source == JSON:
        number = scientific(f"TRY_CAST({sql} AS DOUBLE)")
        string = (
            f"(CASE json_type({sql}) WHEN 'DOUBLE' THEN {number} ELSE json_extract_string({sql}, '$') END)"
        )
        return fail_if(
            f"json_type({sql}) IN ('OBJECT', 'ARRAY')",
            "Cannot cast a JSON object or array to varchar; use json_format",
            string,
        )
    if source == DOUBLE:
        return scientific(sql)
    if source.is_floating:
        raise QueryRefused("A cast from real to varchar is not supported: cast it to double first.")
    raise QueryRefused(f"A cast from {source} to varchar is not supported.")


def scientific(sql: str) -> str:
    """Return SQL for a double as Trino's cast writes it: a digit, a fraction, and E with the power of ten."""
    parts = (
        f"list_transform([CAST(abs({sql}) AS VARCHAR)], lambda t: {{'m': split_part(t, 'e', 1), "
        "'e': coalesce(TRY_CAST(split_part(t, 'e', 2) AS INTEGER), 0)})"
    )
    digits = "replace(p.m, '.', '')"
    shown = (
        f"list_transform({parts}, lambda p: {{'d': trim({digits}, '0'), "
        f"'e': p.e + strpos(p.m || '.', '.') - 2 - length({digits}) + length(ltrim({digits}, '0'))}})"
    )
    written = (
        f"list_extract(list_transform({shown}, lambda p: "
        "left(p.d, 1) || '.' || rpad(substr(p.d, 2), CAST(greatest(1, length(p.d) - 1) AS INTEGER), '0') "
        "|| 'E' || p.e), 1)"
    )
    sign = f"(CASE WHEN signbit({sql}) THEN '-' ELSE '' END)"
    size = f"(CASE WHEN isinf({sql}) THEN 'Infinity' WHEN {sql} = 0 THEN '0E0' ELSE {written} END)"
    return f"(CASE WHEN {sql} IS NULL THEN NULL WHEN isnan({sql}) THEN 'NaN' ELSE {sign} || {size} END)"


def as_java_writes(sql: str) -> str:
    """Return SQL for a double as Java writes it: as Trino's cast only if it is very small or large."""
    plain = f"{sql} = 0 OR (abs({sql}) >= 1e-3 AND abs({sql}) < 1e7)"
    return f"(CASE WHEN {plain} THEN CAST({sql} AS VARCHAR) ELSE {scientific(sql)} END)"


def _moment_text(sql: str, precision: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    seconds = f"strftime({sql}, '{form}')"
    if precision == 0:
        return seconds
    return f"({seconds} || left(strftime({sql}, '.%f'), {precision + 1}))"


def _from_or_to_json(sql: str, source: Type, target: Type) -> str:
    if target == JSON:
        odd = _is_odd_json(sql, source)
        why = "Athena writes such a number as 1.0E-5 in JSON, which is not supported"
        entries = f"map_from_entries(list_sort(map_entries({sql})))" if source.name == "map" else sql
        return refuse_if(odd, why, f"to_json({entries})") if odd else f"to_json({entries})"
    return _from_json(sql, target)


def _from_json(sql: str, target: Type) -> str:
    """Return JSON as a value of another type. Elements and fields are cast one by one."""
    kind = f"json_type({sql})"
    if target.name in ("json", "varchar"):
        return sql if target == JSON else _to_text(sql, JSON)
    if target.is_number or target == BOOLEAN:
        string = f"json_extract_string({sql}, '$')"
        plain = f"CAST({string if target.name == 'decimal' else sql} AS {target.duckdb})"
        if target.is_integer:  # half away from zero; DuckDB's cast rounds half to even
            rounded = f"CAST(round(CAST({sql} AS DOUBLE)) AS {target.duckdb})"
            plain = f"(CASE {kind} WHEN 'DOUBLE' THEN {rounded} ELSE {plain} END)"
        shape = types.text(_SHAPES[target.name])
        bad = f"{kind} = 'VARCHAR' AND NOT regexp_full_match({string}, {shape})"
        return fail_if(bad, _not_one(target), plain)
    why = f"This JSON cannot be cast to {target.name}"
    if target.name == "array":
        made = f"list_transform(CAST({sql} AS JSON[]), lambda j: {_from_json('j', target.arguments[0])})"
        return fail_if(f"{kind} NOT IN ('ARRAY', 'NULL')", why, made)
    if target.name == "map" and not target.arguments[0].is_datetime:
        key, item = _cast("e.key", VARCHAR, target.arguments[0]), _from_json("e.value", target.arguments[1])
        entries = f"map_entries(CAST({sql} AS MAP(VARCHAR, JSON)))"
        made = f"map_from_entries(list_transform({entries}, lambda e: {{'k': {key}, 'v': {item}}}))"
        return fail_if(f"{kind} NOT IN ('OBJECT', 'NULL')", why, made)
    if target.name == "row" and all(target.fields):
        fields = [
            _from_json(f"json_extract({sql}, {types.text('$.' + types.quoted(name or ''))})", part)
            for name, part in zip(target.fields, target.arguments, strict=True)
        ]
        made = f"(CASE {kind} WHEN 'OBJECT' THEN {struct(fields, target)} END)"
        capital = f"len(list_filter(json_keys({sql}), lambda k: k <> lower(k))) > 0"
        odd = f"{kind} NOT IN ('OBJECT', 'NULL') OR {capital}"
        return refuse_if(odd, "A cast of such JSON to a row is not supported", made)
    raise QueryRefused(f"A cast from json to {target} is not supported.")


def _is_odd_json(sql: str, type_: Type) -> str:
    """Return SQL that is true of values that DuckDB writes as other JSON than Trino, or an empty text."""
    if type_.name in ("boolean", "varchar", "unknown") or type_.is_integer:
        return ""
    if type_ == DOUBLE:
        return f"NOT ({sql} = 0 OR (abs({sql}) >= 1e-3 AND abs({sql}) < 1e7))"
    if type_.name == "array" and type_.arguments[0].is_simple:
        odd = _is_odd_json("v", type_.arguments[0])
        return odd and f"len(list_filter({sql}, lambda v: {odd})) > 0"
    if type_.name == "map" and type_.arguments[0] == VARCHAR and type_.arguments[1].is_simple:
        return _is_odd_json(f"map_values({sql})", types.array(type_.arguments[1]))
    if type_.name == "row" and all(type_.fields) and all(part.is_simple for part in type_.arguments):
        fields = [field(Value(sql, type_), index) for index in range(len(type_.fields))]
        return " OR ".join(filter(None, (_is_odd_json(part.sql, part.type) for part in fields)))
    raise QueryRefused(
        f"A cast from {type_} to json is not supported: cast its elements to varchar or double."
    )


def _between_moments(sql: str, source: Type, target: Type) -> str:
    if source.zone and target.zone:
        if target.precision >= source.precision:
            return sql
        return f"timezone('UTC', {_rounded(local_time(sql, 'UTC'), target.precision)})"
    local = local_timestamp(Value(sql, source))
    if target == DATE:
        return f"CAST({local} AS DATE)"
    if source.name != "date" and target.precision < source.precision:
        local = _rounded(local, target.precision)
    if target.name == "timestamp":
        return local
    return _instant(local, "UTC" if target.zone == types.MIXED else target.zone)


def _between_times(sql: str, source: Type, target: Type) -> str:
    """Return the time of the day of a timestamp, or a time in another precision. 24:00 becomes 0:00."""
    timestamp = (
        f"(DATE '2000-01-01' + {sql})" if source.name == "time" else local_timestamp(Value(sql, source))
    )
    if target.precision < source.precision:
        timestamp = _rounded(timestamp, target.precision)
    return f"CAST({timestamp} AS TIME)"


def local_time(instant: str, zone: str) -> str:
    """Return SQL for the local time of an instant in a zone.

    Raises:
        QueryRefused: it is not one zone.
    """
    if zone == types.MIXED:
        raise QueryRefused(
            "These timestamps are not all in one time zone: write AT TIME ZONE 'UTC' after them."
        )
    minutes = offset_minutes(zone)
    if minutes is None:
        return f"timezone({types.text(zone)}, {instant})"
    return f"(timezone('UTC', {instant}) + to_minutes({minutes}))"


def offset_minutes(zone: str) -> int | None:
    """Return the offset of a zone like +02:00; None if the zone has a name."""
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", zone)
    return None if found is None else int(f"{found[1]}1") * (60 * int(found[2]) + int(found[3]))


def local_timestamp(value: Value) -> str:
    """Return SQL for the local timestamp in the value's own zone."""
    if value.type == DATE:
        return f"CAST({value.sql} AS TIMESTAMP)"
    return local_time(value.sql, value.type.zone) if value.type.zone else value.sql


def from_local(local: str, like: Type) -> Value:
    """Return a timestamp with time zone from the local time in its zone."""
    if like == DATE:
        return Value(f"CAST({local} AS DATE)", DATE)
    return Value(_instant(local, like.zone) if like.zone else local, like)


_SUMMER_MINUTES = {"Australia/Lord_Howe": 30, "Antarctica/Troll": 120}
"""Zones whose daylight saving time is not one hour, in minutes."""


def _instant(local: str, zone: str) -> str:
    """Return the instant of a local time. The engines differ on those that occur twice or never."""
    minutes = offset_minutes(zone)
    if minutes is not None:
        return f"timezone('UTC', {local} - to_minutes({minutes}))"
    instant = f"timezone({types.text(zone)}, {local})"
    if zone == "UTC":
        return instant
    earlier = f"({instant} - to_minutes({_SUMMER_MINUTES.get(zone, 60)}))"
    back, before = (f"timezone({types.text(zone)}, {timestamp})" for timestamp in (instant, earlier))
    why = f"A local time that occurs twice or never in {zone} is not supported"
    return refuse_if(f"{back} <> {local} OR {before} = {local}", why, instant)


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
    return Value(f"({a.sql} {operator} {b.sql})", type_)


def _decimal(operator: str, a: Value, b: Value) -> Value:
    x, y = types.as_decimal(a.type), types.as_decimal(b.type)
    a, b = coerce(a, x), coerce(b, y)
    scale = max(x.scale, y.scale)
    if operator in "+-":
        type_ = types.decimal(1 + scale + max(x.precision - x.scale, y.precision - y.scale), scale)
        a, b = coerce(a, type_), coerce(b, type_)
    elif operator == "*":
        type_ = types.decimal(x.precision + y.precision, x.scale + y.scale)
    elif operator == "%":
        type_ = types.decimal(min(x.precision - x.scale, y.precision - y.scale) + scale, scale)
    else:
        type_ = types.decimal(x.precision + y.scale + max(0, y.scale - x.scale), scale)
        return Value(_divided(a, b, x, y, type_), type_)
    return Value(f"CAST(({a.sql} {operator} {b.sql}) AS {type_.duckdb})", type_)


def _divided(a: Value, b: Value, x: Type, y: Type, type_: Type) -> str:
    """Return the exact quotient, rounded half away from zero to its scale, computed in whole numbers."""
    shift = type_.scale - x.scale + y.scale
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
            difference_us = _rounded_us(f"epoch_us({a.sql}) - epoch_us({b.sql})", 1000)
            difference = f"to_microseconds({difference_us})"
        return Value(difference, DAY_TO_SECOND)
    if operator in "+-" and a.type.is_interval and a.type == b.type:
        return Value(f"({a.sql} {operator} {b.sql})", a.type)
    if operator == "*" and b.type.is_interval:
        a, b = b, a
    if operator == "*" and a.type.is_interval and b.type.is_integer:
        return Value(f"({a.sql} * {b.sql})", a.type)
    if operator == "*" and a.type == DAY_TO_SECOND and b.type == DOUBLE:
        return Value(f"to_milliseconds(CAST(trunc(epoch_ms({a.sql}) * {b.sql}) AS BIGINT))", a.type)
    return None


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


def comparison(operator: str, a: Value, b: Value) -> Value:
    """Return `a < b`, `a IS DISTINCT FROM b` and the like.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (a, b), type_ = common([a, b], operator)
    if type_.name == "row" and operator in ("=", "<>"):
        fields = [comparison("=", field(a, i), field(b, i)).sql for i in range(len(type_.arguments))]
        return Value(f"({'' if operator == '=' else 'NOT '}({' AND '.join(fields)}))", BOOLEAN)
    sql = f"({a.sql} {operator} {b.sql})"
    if operator.startswith("IS"):
        ensure_distinct(type_, operator)
        return Value(sql, BOOLEAN)
    if type_.is_floating:
        return Value(_with_nan(operator, a, b, sql), BOOLEAN)
    if type_.name == "array" and type_.arguments[0].is_simple:
        # Trino returns NULL where a NULL decides. DuckDB compares NULL and NaN like other values.
        holes = " OR ".join(
            f"len({side.sql}) <> list_count({side.sql})"
            + (f" OR list_contains({side.sql}, 'nan')" if type_.arguments[0].is_floating else "")
            for side in (a, b)
        )
        why = "A comparison of arrays with NULL or NaN in them is not supported"
        return Value(refuse_if(holes, why, sql), BOOLEAN)
    ensure_simple(type_, operator)
    return Value(sql, BOOLEAN)


def between(value: Value, low: Value, high: Value) -> Value:
    """Return `value BETWEEN low AND high`.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (value, low, high), type_ = common([value, low, high], "BETWEEN")
    ensure_simple(type_, "BETWEEN")
    if type_.is_floating and high.constant is None:
        return Value(f"({comparison('>=', value, low).sql} AND {comparison('<=', value, high).sql})", BOOLEAN)
    return Value(f"({value.sql} BETWEEN {low.sql} AND {high.sql})", BOOLEAN)


def one_of(value: Value, options: Sequence[Value]) -> Value:
    """Return `value IN (options)`.

    Raises:
        QueryRefused: Trino does not compare these types.
    """
    (value, *options), type_ = common([value, *options], "IN")
    if type_.name == "row":
        return Value(f"({' OR '.join(comparison('=', value, option).sql for option in options)})", BOOLEAN)
    ensure_simple(type_, "IN")
    if type_.is_floating and any(option.constant is None for option in options):
        return Value(f"({' OR '.join(comparison('=', value, option).sql for option in options)})", BOOLEAN)
    return Value(f"({value.sql} IN ({', '.join(option.sql for option in options)}))", BOOLEAN)


def _with_nan(operator: str, a: Value, b: Value, sql: str) -> str:
    """Return a comparison in which NaN equals nothing, not even itself. In DuckDB it is the greatest number.

    The comparison stays a condition of its own, by which DuckDB can skip rows.
    """
    greater, other = (b, a) if operator in ("<", "<=") else (a, b)
    if operator not in ("=", "<>", "<", "<=", ">", ">=") or greater.constant is not None:
        return sql
    if operator == "<>":
        return f"({sql} OR (isnan({a.sql}) AND {b.sql} IS NOT NULL))"
    return f"({sql} AND NOT (isnan({greater.sql}) AND {other.sql} IS NOT NULL))"
