"""Functions of values of any type: coalesce, nullif, greatest, typeof, rows and subscripts."""

import re
from collections.abc import Mapping, Sequence

from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, unless_null
from localathena.types import BIGINT, VARCHAR, row, text
from localathena.values import (
    Value,
    attempt,
    common,
    comparison,
    ensure_simple,
    expect,
    fail_if,
    field,
    struct,
    without_nan,
)


def subscript(container: Value, key: Value) -> Value:
    """Return `container[key]`, which fails where there is no such element."""
    if container.type.name == "map":
        found = _from_map(container, key)
        key = expect(key, container.type.arguments[0], "The map's key")
        missing = f"NOT map_contains({container.sql}, {key.sql})"
        return Value(fail_if(missing, "Key not present in map", found.sql), found.type)
    if container.type.name == "array":
        index = expect(key, BIGINT, "The array's index")
        missing = f"{index.sql} < 1 OR {index.sql} > len({container.sql})"
        sql = fail_if(missing, "Array subscript out of bounds", f"list_extract({container.sql}, {index.sql})")
        return Value(sql, container.type.arguments[0])
    if container.type.name == "row" and re.fullmatch("[0-9]+", key.constant or ""):
        position = int(key.constant or 0)
        if 1 <= position <= len(container.type.arguments):
            return field(container, position - 1)
    raise QueryRefused(f"{container.type} has no element to take with [{key.sql}].")


def _from_map(container: Value, key: Value) -> Value:
    key_type, value_type = container.type.arguments
    key = expect(key, key_type, "The map's key")
    return Value(f"map_extract_value({container.sql}, {key.sql})", value_type)


def _element_at(translator: Translator, arguments: Arguments) -> Value:
    container, key = map(translator.value, arguments)
    if container.type.name == "map":
        return _from_map(container, key)
    if container.type.name != "array":
        raise QueryRefused(f"element_at needs an array or a map, not {container.type}.")
    index = expect(key, BIGINT, "element_at")
    sql = fail_if(
        f"{index.sql} = 0", "SQL array indices start at 1", f"list_extract({container.sql}, {index.sql})"
    )
    return Value(sql, container.type.arguments[0])


def _coalesce(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) < 2:
        raise ValueError
    values, type_ = common([translator.value(argument) for argument in arguments], "coalesce")
    return Value(f"coalesce({', '.join(value.sql for value in values)})", type_)


def _nullif(translator: Translator, arguments: Arguments) -> Value:
    a, b = map(translator.value, arguments)
    return Value(f"(CASE WHEN {comparison('=', a, b).sql} THEN NULL ELSE {a.sql} END)", a.type)


def _try(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    return attempt(value)


def _extreme(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        if not arguments:
            raise ValueError
        values, type_ = common([translator.value(argument) for argument in arguments], name)
        ensure_simple(type_, name)
        if name == "greatest":
            values = [without_nan(value, name) for value in values]
        sql = f"{name}({', '.join(value.sql for value in values)})"
        return Value(unless_null(values, sql), type_)  # DuckDB's ignores NULL

    return handle


def _typeof(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    if value.type.contains("varchar"):
        if value.constant is None:
            raise QueryRefused("typeof of a text is not supported: Trino counts its characters.")
        return Value(text(f"varchar({len(value.constant)})"), VARCHAR)
    return Value(text(str(value.type)), VARCHAR)


def row_of(values: Sequence[Value]) -> Value:
    """Return `ROW(a, b)`, whose fields have no names."""
    type_ = row([value.type for value in values], [None] * len(values))
    return Value(struct([value.sql for value in values], type_), type_)


def _row(translator: Translator, arguments: Arguments) -> Value:
    return row_of([translator.value(argument) for argument in arguments])


HANDLERS: Mapping[str, Handler] = {
    "coalesce": _coalesce,
    "element_at": _element_at,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
    "nullif": _nullif,
    "row": _row,
    "try": _try,
    "typeof": _typeof,
}
