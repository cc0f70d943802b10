"""Functions of JSON."""

import re
from collections.abc import Mapping

from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.functions.signatures import guarded
from localathena.types import BIGINT, JSON, VARCHAR, text
from localathena.values import (
    Value,
    expect,
    fail_if,
    refuse_if,
)

_NO_JSON = r"""regexp_matches(regexp_replace({0}, '"(\\.|[^"\\])*"', '""', 'g'), ',\s*[\]}}]|(?i:nan|inf)')"""
"""A comma before a bracket, NaN and Infinity, which DuckDB lets pass."""
_ODD_NUMBERS = r"\.[0-9]+0([^0-9]|$)|[0-9][eE][+-]?[0-9]|[0-9]{8,}\.|(^|[^0-9])0\.000"
"""Numbers in JSON that DuckDB may write differently from Java."""


def _json_format(translator: Translator, arguments: Arguments) -> Value:
    (json,) = map(translator.value, arguments)
    json = expect(json, JSON, "json_format")
    written = f"CAST({json.sql} AS VARCHAR)"
    # Trino sorts the keys of every object. DuckDB lists the keys of the outermost object only.
    nested = f"contains(substr({written}, 2), '{{')"
    keys = f"json_keys({json.sql})"
    mixed = f"json_type({json.sql}) = 'OBJECT' AND {keys} <> list_sort(list_distinct({keys}))"
    why = "Athena would sort these keys: extract the values with json_extract_scalar"
    odd = f"regexp_matches({written}, {text(_ODD_NUMBERS)})"
    sql = refuse_if(odd, "Athena may write these numbers differently: extract them with CAST", written)
    return Value(refuse_if(f"{nested} OR ({mixed})", why, sql), VARCHAR)


_JSON_STEP = re.compile(r"""\.([A-Za-z_]\w*)|\[(\d+)\]|\["([^"\\]*)"\]""")


def _json(translator: Translator, arguments: Arguments) -> tuple[str, str]:
    document, node = arguments
    value = translator.value(document)
    sql = (
        value.sql if value.type == JSON else f"TRY_CAST({expect(value, VARCHAR, 'json_extract').sql} AS JSON)"
    )
    path = literal(node, "A JSON path")
    steps = list(_JSON_STEP.finditer(path, 1))
    if not path.startswith("$") or "".join(step[0] for step in steps) != path[1:]:
        raise QueryRefused(f'The JSON path {path} is not supported: use $.name, [0] and ["name"].')
    keys = [f"[{step[2]}]" if step[2] else f'."{step[1] or step[3]}"' for step in steps]
    return sql, text("$" + "".join(keys))


def _json_array_length(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    sql = f"TRY_CAST({value.sql} AS JSON)" if value.type == VARCHAR else expect(value, JSON, "an array").sql
    length = f"CAST(json_array_length({sql}) AS BIGINT)"
    return Value(f"(CASE json_type({sql}) WHEN 'ARRAY' THEN {length} END)", BIGINT)


def _json_extract(translator: Translator, arguments: Arguments) -> Value:
    sql, path = _json(translator, arguments)
    return Value(f"json_extract({sql}, {path})", JSON)


def _json_extract_scalar(translator: Translator, arguments: Arguments) -> Value:
    sql, path = _json(translator, arguments)
    nested = f"json_type({sql}, {path}) IN ('OBJECT', 'ARRAY', 'NULL')"
    odd_number = text(_ODD_NUMBERS)
    document, number = f"CAST({sql} AS VARCHAR)", f"json_extract_string({sql}, {path})"
    rewritten = f"regexp_matches({document}, {odd_number}) OR NOT contains({document}, {number})"
    found = refuse_if(
        f"json_type({sql}, {path}) = 'DOUBLE' AND ({rewritten})",
        "Athena may write this number differently: use CAST(json_extract(...) AS double)",
        number,
    )
    return Value(f"(CASE WHEN {nested} THEN NULL ELSE {found} END)", VARCHAR)


HANDLERS: Mapping[str, Handler] = {
    "json_parse": guarded("json_parse", fail_if, _NO_JSON, "A text cannot be converted to JSON"),
    "json_array_length": _json_array_length,
    "json_extract": _json_extract,
    "json_extract_scalar": _json_extract_scalar,
    "json_format": _json_format,
}
