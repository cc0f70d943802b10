"""Functions of values of any type: coalesce, nullif, greatest, typeof, rows and subscripts."""

import re
from collections.abc import Mapping, Sequence

from localathena.arithmetic import interval_of, interval_parts
from localathena.comparisons import comparison, ordered
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.sql import Value, fail_if, field, struct
from localathena.types import BIGINT, DAY_TO_SECOND, VARCHAR, map_of, row, text
from localathena.types import common as common_type
from localathena.values import coerce, common, expect, without_nan


def subscript(container: Value, key: Value) -> Value:
    """Return `container[key]`, which fails where there is no such element."""
    if container.type.name == "map":
        container = _for_key(container, key)
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


def _for_key(container: Value, key: Value) -> Value:
    """Return a map whose keys have the type that a key sought in it has: bigint for integer."""
    type_ = common_type(container.type.arguments[0], key.type)
    if type_ is None or type_ == container.type.arguments[0]:
        return container
    return coerce(container, map_of(type_, container.type.arguments[1]))


def _from_map(container: Value, key: Value) -> Value:
    key_type, value_type = container.type.arguments
    key = without_nan(expect(key, key_type, "The map's key"), "A map's key")
    return Value(f"map_extract_value({container.sql}, {key.sql})", value_type)


def _element_at(translator: Translator, arguments: Arguments) -> Value:
    container, key = map(translator.value, arguments)
    if container.type.name == "map":
        return _from_map(_for_key(container, key), key)
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
    (node,) = arguments
    return translator.attempt(node)


def _extreme(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        if not arguments:
            raise ValueError
        values, type_ = common([translator.value(argument) for argument in arguments], name)
        values = [ordered(value, name) for value in values]
        if type_ == DAY_TO_SECOND:  # DuckDB compares days before hours here
            values = [Value(interval_parts(value.sql, type_), BIGINT) for value in values]
        sql = f"{name}({', '.join(value.sql for value in values)})"
        if name == "greatest" and type_.is_floating:  # to Trino NaN is the smallest
            finite = ", ".join(f"CASE WHEN NOT isnan({value.sql}) THEN {value.sql} END" for value in values)
            sql = f"coalesce(greatest({finite}), {sql})"
        missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
        found = interval_of(sql, type_) if type_ == DAY_TO_SECOND else sql
        return Value(f"(CASE WHEN {sql} IS NULL OR {missing} THEN NULL ELSE {found} END)", type_)

    return handle


def _typeof(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    name = str(value.type)
    if value.type.contains("varchar"):
        if value.constant is None:
            raise QueryRefused("typeof of a text is not supported: Trino counts its characters.")
        name = f"varchar({len(value.constant)})"
    if value.constant is not None:
        return Value(text(name.replace('"', "")), VARCHAR)
    evaluated = f"(CASE WHEN ({value.sql}) IS NULL THEN 0 ELSE 1 END)"  # it may fail, or aggregate
    return Value(f"list_extract([{text(name.replace(chr(34), ''))}], sign({evaluated} + 1))", VARCHAR)


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
