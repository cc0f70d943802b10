"""Casts, as Trino casts."""

import re

from localathena import types
from localathena.errors import QueryRefused
from localathena.moments import between_moments, between_times, local_time, moment_text, rounded
from localathena.sql import Value, field, in_python, refuse_if, struct
from localathena.types import (
    BOOLEAN,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    JSON,
    UNKNOWN,
    VARBINARY,
    VARCHAR,
    YEAR_TO_MONTH,
    Type,
)


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
    if value.type == VARCHAR and value.constant is not None and target.name in _SHAPES:
        is_plain = re.fullmatch(_SHAPES[target.name], value.constant)
        return Value(_parsed(value.sql, target) if is_plain else _read(value.sql, target), target)
    return Value(cast_sql(value.sql, value.type, target), target)


def cast_sql(sql: str, source: Type, target: Type) -> str:
    """Return the SQL of a cast.

    Raises:
        QueryRefused: Trino has no such cast, or one whose result DuckDB cannot give.
    """
    if source == target:
        return sql
    if source == UNKNOWN or _is_plain(source, target):
        return f"CAST({sql} AS {target.duckdb})"
    if source == BOOLEAN and target.name == "decimal":
        raise QueryRefused(f"A cast from boolean to {target} is not supported: cast it to integer.")
    if source == DATE and target == VARCHAR:
        far = f"year({sql}) NOT BETWEEN 1 AND 9999"
        return refuse_if(
            far, "A date before the year 1 or after 9999 is not supported", f"CAST({sql} AS VARCHAR)"
        )
    if source.name == "decimal" and target == DOUBLE:
        unscaled = f"CAST(replace(CAST({sql} AS VARCHAR), '.', '') AS BIGINT)"
        return f"(CAST({unscaled} AS DOUBLE) / 1e{source.scale})"  # as Trino divides
    if target == JSON:
        return _to_json(sql, source)
    if source == JSON:
        return _from_json(sql, target)
    if source == VARCHAR:
        return _from_text(sql, target)
    if target == VARCHAR:
        return _to_text(sql, source)
    if source.is_floating and target.name == "decimal":  # Trino rounds the shortest digits
        return _read(in_python("double_text" if source == DOUBLE else "real_text", sql), target)
    if source == DOUBLE and target.name == "real":
        large = f"isfinite({sql}) AND abs({sql}) >= {_REAL_OVERFLOW}"
        infinite = f"CAST(CASE WHEN {sql} > 0 THEN 'inf' ELSE '-inf' END AS FLOAT)"
        return f"(CASE WHEN {large} THEN {infinite} ELSE TRY_CAST({sql} AS FLOAT) END)"
    if (source.is_floating or source.name == "decimal") and target == BOOLEAN:
        return f"({sql} <> 0)"
    if source.is_floating and target.is_integer:
        return (
            f"CAST(round({sql}) AS {target.duckdb})"  # half away from zero; DuckDB's cast rounds half to even
        )
    if {source.name, target.name} <= {"date", "timestamp", "timestamp with time zone"}:
        return between_moments(sql, source, target)
    if target.name == "time" and source.name in ("time", "timestamp", "timestamp with time zone"):
        return between_times(sql, source, target)
    if source.name == target.name == "array":
        element = cast_sql("x", source.arguments[0], target.arguments[0])
        return f"list_transform({sql}, lambda x: {element})"
    if source.name == target.name == "map":
        key, value = (cast_sql(f"e.{part}", *pair) for part, *pair in _entry_types(source, target))
        return f"map_from_entries(list_transform(map_entries({sql}), lambda e: {{'k': {key}, 'v': {value}}}))"
    if source.name == target.name == "row" and len(source.arguments) == len(target.arguments):
        fields = [
            cast_sql(field(Value(sql, source), index).sql, a, b)
            for index, (a, b) in enumerate(zip(source.arguments, target.arguments, strict=True))
        ]
        return f"(CASE WHEN {sql} IS NULL THEN NULL ELSE {struct(fields, target)} END)"
    raise QueryRefused(f"A cast from {source} to {target} is not supported.")


_REAL_OVERFLOW = "3.4028235677973366e38"
"""Smallest double that rounds to infinity as a real."""


def _entry_types(source: Type, target: Type) -> list[tuple[str, Type, Type]]:
    return [
        (part, source.arguments[index], target.arguments[index])
        for index, part in enumerate(("key", "value"))
    ]


def _is_plain(source: Type, target: Type) -> bool:
    """Whether DuckDB's cast is Trino's for every value."""
    if source.name == "decimal" and target == DOUBLE:
        return not (15 < source.precision <= 18 and source.scale)
    if source.is_exact and target.is_number:
        return True
    if source.is_floating:
        return target == DOUBLE
    if source == BOOLEAN and target.name == "decimal":
        return target.precision > target.scale
    if source == BOOLEAN:
        return target.is_number or target == VARCHAR
    if source.is_integer:
        return target in (BOOLEAN, VARCHAR)
    if source.name == "row" and target.name == "row":
        return False
    if source.name == target.name and source.arguments and len(source.arguments) == len(target.arguments):
        pairs = zip(source.arguments, target.arguments, strict=True)
        return all(a in (b, UNKNOWN) or _is_plain(a, b) for a, b in pairs)
    return False


_NUMBER = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)"
_TIME = r"([01]?[0-9]|2[0-3]):[0-9]{1,2}(:[0-9]{1,2}(\.[0-9]{1,9})?)?"
"""Pattern of a time of day. It excludes 24:00, which DuckDB accepts as the next day's midnight."""
_SHAPES = {
    "decimal": _NUMBER,
    "real": rf"{_NUMBER}([eE][+-]?[0-9]{{1,2}})?",
    "double": rf"{_NUMBER}([eE][+-]?[0-9]{{1,2}})?",
    "boolean": r"(?i)t|f|true|false|1|0",
    "date": r"\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\s*",
    "time": _TIME,
    "timestamp": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}" + f"( {_TIME})?",
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "[+-]?[0-9]+"),
}
"""Pattern of the texts that DuckDB casts as Trino does."""


def _from_text(sql: str, target: Type) -> str:
    if target == VARBINARY:
        return f"encode({sql})"
    shape = _SHAPES.get(target.name)
    if shape is None:
        raise QueryRefused(f"A cast from varchar to {target} is not supported.")
    plain = f"regexp_full_match({sql}, {types.text(shape)})"
    return f"(CASE WHEN {plain} THEN {_parsed(sql, target)} ELSE {_read(sql, target)} END)"


def _read(sql: str, target: Type) -> str:
    """Return the cast of a text that DuckDB does not read as Trino does."""
    if target.is_integer:
        return f"CAST({in_python('read_integer', sql, types.text(target.name))} AS {target.duckdb})"
    if target.name == "decimal":
        number = in_python("read_decimal", sql, str(target.precision), str(target.scale))
        return f"CAST({number} AS {target.duckdb})"
    if target.is_floating:
        return f"CAST({in_python('read_double', sql)} AS {target.duckdb})"
    precision = [str(target.precision)] if target.name in ("time", "timestamp") else []
    return in_python(f"read_{target.name}", sql, *precision)


def _parsed(sql: str, target: Type) -> str:
    """Return the cast of a text that matches its type's pattern."""
    if target.name == "timestamp":
        # DuckDB needs two digits where Trino takes one, except in the fraction.
        padded = f"regexp_replace({sql}, '([^0-9.])([0-9])\\b', '\\10\\2', 'g')"
        stamp = f"CAST({padded} AS TIMESTAMP)"
        if target.precision == types.MAX_FRACTION:  # DuckDB truncates further digits
            up = f"regexp_matches({sql}, '\\.[0-9]{{6}}[5-9]')"
            return f"({stamp} + to_microseconds(CASE WHEN {up} THEN 1 ELSE 0 END))"
        return rounded(stamp, target.precision)
    if target.name == "time":
        timestamp = Type("timestamp", precision=target.precision)
        dated = f"('2000-01-01 ' || {sql})"
        return f"CAST({_parsed(dated, timestamp)} AS TIME)"
    return f"CAST({sql} AS {target.duckdb})"


def _to_text(sql: str, source: Type) -> str:
    if source.name == "decimal":
        wider = types.decimal(source.precision + 1, source.scale)  # otherwise 0.50 is written .50
        return f"CAST(CAST({sql} AS {wider.duckdb}) AS VARCHAR)"
    if source.name == "timestamp":
        return moment_text(sql, source.precision)
    if source.name == "timestamp with time zone":
        local = local_time(sql, source.zone)
        return f"({moment_text(local, source.precision)} || {types.text(' ' + source.zone)})"
    if source.name == "time":
        return moment_text(f"(DATE '2000-01-01' + {sql})", source.precision, "%H:%M:%S")
    if source.is_floating:
        return in_python("cast_double" if source == DOUBLE else "cast_real", sql)
    if source == DAY_TO_SECOND:
        return in_python("interval_text", f"epoch_ms({sql})")
    if source == YEAR_TO_MONTH:
        return in_python("months_text", f"(CAST(year({sql}) AS BIGINT) * 12 + month({sql}))")
    raise QueryRefused(f"A cast from {source} to varchar is not supported.")


def _to_json(sql: str, source: Type) -> str:
    """Return a value as JSON; of NULL it is NULL, which becomes null within an array, map or row."""
    if source.name == "array":
        element = source.arguments[0]
        return _listed(
            f"list_transform({sql}, lambda j: coalesce({_to_json('j', element)}, 'null'))", "[", "]"
        )
    if source.name == "map":
        key, item = source.arguments
        written = f"coalesce({_to_json('j.value', item)}, 'null')"
        pair = f"lambda j: {{'k': {_json_key('j.key', key)}, 'v': {written}}}"
        entries = f"list_sort(list_transform(map_entries({sql}), {pair}))"
        return _listed(
            f"list_transform({entries}, lambda j: {in_python('json_quote', 'j.k')} || ':' || j.v)", "{", "}"
        )
    if source.name == "row":
        from localathena.scalars import json  # few statements need it

        row = Value(sql, source)
        parts = [
            f"{types.text(json.quote(name or '') + ':')} || coalesce({_to_json(part.sql, part.type)}, 'null')"
            for name, part in zip(
                source.fields, (field(row, i) for i in range(len(source.fields))), strict=True
            )
        ]
        joined = " || ',' || ".join(parts)
        return f"(CASE WHEN {sql} IS NOT NULL THEN '{{' || {joined} || '}}' END)"
    if source in (JSON, UNKNOWN) or source.is_integer or source == BOOLEAN:
        return f"CAST({sql} AS VARCHAR)"
    if source == VARCHAR:
        return in_python("json_quote", sql)
    if source.is_floating:
        written = in_python("double_text" if source == DOUBLE else "real_text", sql)
        return f"(CASE WHEN isfinite({sql}) THEN {written} ELSE '\"' || {written} || '\"' END)"
    if source.name == "decimal":
        return in_python("decimal_text", _to_text(sql, source))
    if source.name in ("date", "timestamp"):
        return f"('\"' || {cast_sql(sql, source, VARCHAR)} || '\"')"
    raise QueryRefused(f"Athena does not cast {source} to json: cast it to varchar first.")


def _listed(texts: str, left: str, right: str) -> str:
    nothing = f"CASE WHEN {texts} IS NOT NULL THEN '' END"
    return f"('{left}' || coalesce(array_to_string({texts}, ','), {nothing}) || '{right}')"


def _json_key(sql: str, type_: Type) -> str:
    if type_.is_floating:
        return in_python("double_text" if type_ == DOUBLE else "real_text", sql)
    if type_.is_exact or type_ in (VARCHAR, BOOLEAN):
        return cast_sql(sql, type_, VARCHAR)
    raise QueryRefused(f"Athena does not cast a map with keys of {type_} to json.")


def _from_json(sql: str, target: Type) -> str:
    """Return JSON as a value of another type. Elements and fields are cast one by one."""
    if target == JSON:
        return sql
    if target == VARCHAR:
        return in_python("json_text", sql)
    if target.is_number or target == BOOLEAN:
        return f"CAST({in_python('json_number', sql, types.text(target.name))} AS {target.duckdb})"
    if target.name == "array":
        element = _from_json("j", target.arguments[0])
        return f"list_transform({in_python('json_elements', sql)}, lambda j: {element})"
    if target.name == "map" and _is_json_key(target.arguments[0]):
        key, item = cast_sql("j", VARCHAR, target.arguments[0]), _from_json("j", target.arguments[1])
        keys = f"list_transform({in_python('json_keys', sql)}, lambda j: {key})"
        items = f"list_transform({in_python('json_members', sql)}, lambda j: {item})"
        return f"(CASE WHEN {sql} <> 'null' THEN MAP({keys}, {items}) END)"
    if target.name == "row":
        names = ", ".join(types.text(name or "") for name in target.fields)
        parts = in_python("json_fields", sql, f"[{names}]")
        parts_of = [_from_json(f"j[{index}]", type_) for index, type_ in enumerate(target.arguments, 1)]
        made = struct(parts_of, target)
        taken = f"list_extract(list_transform([{parts}], lambda j: {made}), 1)"
        return f"(CASE WHEN {sql} <> 'null' THEN {taken} END)"
    raise QueryRefused(f"Athena does not cast json to {target}: cast it to varchar first.")


def _is_json_key(type_: Type) -> bool:
    return type_.is_number or type_ in (VARCHAR, BOOLEAN)
