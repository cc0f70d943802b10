"""Functions of maps."""

from collections.abc import Mapping
from dataclasses import replace

from localathena import types
from localathena.comparisons import has_hole
from localathena.errors import QueryRefused
from localathena.functions.arrays import array_of
from localathena.functions.handlers import Arguments, Handler, Translator, literal, unless_null
from localathena.sql import Value, fail_if, field, struct
from localathena.types import BOOLEAN, VARCHAR, Type, array, map_of, row, text
from localathena.values import coerce, common, ensure_simple, expect


def _split_to_map(translator: Translator, arguments: Arguments) -> Value:
    entries, type_ = _split(translator, arguments, "split_to_map"), map_of(VARCHAR, VARCHAR)
    return Value(f"map_from_entries({entries})", type_)


def _split_to_multimap(translator: Translator, arguments: Arguments) -> Value:
    entries = _split(translator, arguments, "split_to_multimap")
    return _grouped(translator, Value(entries, array(row([VARCHAR, VARCHAR], ["k", "v"]))))


def _split(translator: Translator, arguments: Arguments, where: str) -> str:
    """Return SQL for the keys `k` and values `v` of a text."""
    string, *delimiters = arguments
    entry, pair = (literal(node, f"A delimiter of {where}") for node in delimiters)
    if not entry or not pair or entry == pair:
        raise QueryRefused(f"{where} needs two different delimiters.")
    sql = expect(translator.value(string), VARCHAR, where).sql
    x = translator.parameter(VARCHAR).sql
    parts = f"string_split({x}, {text(pair)})"
    split = f"string_split({sql}, {text(entry)})"
    entries = f"(CASE WHEN {split}[-1] = '' THEN list_slice({split}, 1, len({split}) - 1) ELSE {split} END)"
    bad = f"len(list_filter({entries}, lambda {x}: len({parts}) <> 2)) > 0"
    made = f"list_transform({entries}, lambda {x}: {{'k': {parts}[1], 'v': {parts}[2]}})"
    return fail_if(bad, "Key-value delimiter must appear exactly once in each entry", made)


def _map(translator: Translator, arguments: Arguments) -> Value:
    if not arguments:
        return Value("MAP([], [])", map_of(types.UNKNOWN, types.UNKNOWN))
    keys, values = map(translator.value, arguments)
    type_ = map_of(array_of(keys, "map")[1], array_of(values, "map")[1])
    sql = f"CAST(MAP({keys.sql}, {values.sql}) AS {type_.duckdb})"
    if not type_.arguments[0].is_simple:
        key = translator.parameter(type_.arguments[0])
        holes = f"len(list_filter({keys.sql}, lambda {key.sql}: {has_hole(key.sql, key.type)})) > 0"
        sql = fail_if(holes, "map key cannot be indeterminate: it has NULL in it", sql)
    return Value(sql, type_)


def _map_of(value: Value, where: str) -> tuple[Type, Type]:
    if value.type.name != "map":
        raise QueryRefused(f"{where} needs a map, not {value.type}.")
    key, item = value.type.arguments
    return key, item


def _map_from_entries(translator: Translator, arguments: Arguments) -> Value:
    entries = _entries(translator, arguments, "map_from_entries")
    return Value(f"map_from_entries({entries.sql})", map_of(*entries.type.arguments[0].arguments))


def _multimap_from_entries(translator: Translator, arguments: Arguments) -> Value:
    entries = _entries(translator, arguments, "multimap_from_entries")
    entry = translator.parameter(entries.type.arguments[0])
    missing = f"len(list_filter({entries.sql}, lambda {entry.sql}: {field(entry, 0).sql} IS NULL)) > 0"
    return _grouped(
        translator, replace(entries, sql=fail_if(missing, "A map's key cannot be NULL", entries.sql))
    )


def _entries(translator: Translator, arguments: Arguments, where: str) -> Value:
    (entries,) = map(translator.value, arguments)
    _, type_ = array_of(entries, where)
    if type_.name != "row" or len(type_.arguments) != 2:
        raise QueryRefused(f"{where} needs an array of rows of two, not {entries.type}.")
    return entries


def _grouped(translator: Translator, entries: Value) -> Value:
    """Return the map of each key to the array of its values."""
    type_ = entries.type.arguments[0]
    key, item = type_.arguments
    ensure_simple(key, "A map of arrays")
    one, other = translator.parameter(type_, "e"), translator.parameter(key, "k")
    of_key = f"list_filter({entries.sql}, lambda {one.sql}: {field(one, 0).sql} = {other.sql})"
    values = f"list_transform({of_key}, lambda {one.sql}: {field(one, 1).sql})"
    keys = f"list_distinct(list_transform({entries.sql}, lambda {one.sql}: {field(one, 0).sql}))"
    made = f"list_transform({keys}, lambda {other.sql}: {{'k': {other.sql}, 'v': {values}}})"
    return Value(f"map_from_entries({made})", map_of(key, array(item)))


def _map_zip_with(translator: Translator, arguments: Arguments) -> Value:
    a, b = (translator.value(node) for node in arguments[:2])
    (key, x), (other_key, y) = _map_of(a, "map_zip_with"), _map_of(b, "map_zip_with")
    both = types.common(key, other_key)
    if both is None:
        raise QueryRefused(f"map_zip_with needs maps with keys of one type, not {key} and {other_key}.")
    a, b = coerce(a, map_of(both, x)), coerce(b, map_of(both, y))
    one = translator.parameter(both, "k")
    body = translator.apply(
        arguments[2], one, Value(f"{a.sql}[{one.sql}]", x), Value(f"{b.sql}[{one.sql}]", y)
    )
    new = f"list_filter(map_keys({b.sql}), lambda {one.sql}: NOT list_contains(map_keys({a.sql}), {one.sql}))"
    made = (
        f"list_transform(map_keys({a.sql}) || {new}, lambda {one.sql}: {{'k': {one.sql}, 'v': {body.sql}}})"
    )
    return Value(unless_null([a, b], f"map_from_entries({made})"), map_of(both, body.type))


def _map_entries(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    type_ = row(_map_of(value, "map_entries"), [None, None])
    entry = translator.parameter(type_).sql
    fields = struct([f"{entry}.key", f"{entry}.value"], type_)
    return Value(f"list_transform(map_entries({value.sql}), lambda {entry}: {fields})", array(type_))


def _map_concat(translator: Translator, arguments: Arguments) -> Value:
    values, type_ = common([translator.value(argument) for argument in arguments], "map_concat")
    _map_of(values[0], "map_concat")
    return Value(unless_null(values, f"map_concat({', '.join(value.sql for value in values)})"), type_)


def _over_entries(translator: Translator, arguments: Arguments, where: str) -> tuple[Value, str, Value]:
    container, function = arguments
    value = translator.value(container)
    key, item = _map_of(value, where)
    entry = translator.parameter(BOOLEAN).sql
    body = translator.apply(function, Value(f"{entry}.key", key), Value(f"{entry}.value", item))
    return value, entry, body


def _map_filter(translator: Translator, arguments: Arguments) -> Value:
    value, entry, body = _over_entries(translator, arguments, "map_filter")
    expect(body, BOOLEAN, "map_filter")
    kept = f"list_filter(map_entries({value.sql}), lambda {entry}: {body.sql})"
    return Value(f"map_from_entries({kept})", value.type)


def _transform_values(translator: Translator, arguments: Arguments) -> Value:
    value, entry, body = _over_entries(translator, arguments, "transform_values")
    entries = (
        f"list_transform(map_entries({value.sql}), lambda {entry}: {{'k': {entry}.key, 'v': {body.sql}}})"
    )
    return Value(f"map_from_entries({entries})", map_of(value.type.arguments[0], body.type))


def _transform_keys(translator: Translator, arguments: Arguments) -> Value:
    value, entry, body = _over_entries(translator, arguments, "transform_keys")
    pair = f"{{'k': {body.sql}, 'v': {entry}.value}}"
    entries = f"list_transform(map_entries({value.sql}), lambda {entry}: {pair})"
    return Value(f"map_from_entries({entries})", map_of(body.type, value.type.arguments[1]))


HANDLERS: Mapping[str, Handler] = {
    "split_to_map": _split_to_map,
    "split_to_multimap": _split_to_multimap,
    "map": _map,
    "map_concat": _map_concat,
    "map_entries": _map_entries,
    "map_filter": _map_filter,
    "map_from_entries": _map_from_entries,
    "map_zip_with": _map_zip_with,
    "multimap_from_entries": _multimap_from_entries,
    "transform_keys": _transform_keys,
    "transform_values": _transform_values,
}
