"""json_value, json_query, json_exists, json_object and json_array, as `json_syntax` reads them."""

from collections.abc import Mapping

from sqlglot import exp

from localathena import types
from localathena.aggregates import is_aggregate
from localathena.casts import cast
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.scalars.failures import Failed, Refused
from localathena.sql import Value, attempt, fail_if, in_python
from localathena.types import BIGINT, BOOLEAN, DOUBLE, JSON, VARCHAR, Type, text
from localathena.values import coerce, ensure_simple, expect

_KINDS = {"S": VARCHAR, "I": BIGINT, "D": DOUBLE, "B": BOOLEAN}
"""Types of what json_value finds, by its first letter."""


def _document(translator: Translator, document: exp.Expr, path: exp.Expr, name: str) -> tuple[str, str]:
    from localathena.scalars import json_paths  # few statements need it

    value = translator.value(document)
    if value.type not in (VARCHAR, types.UNKNOWN):
        raise QueryRefused(
            f"{name} needs JSON as varchar, not {value.type}: write json_format(x) or from_utf8(x)."
        )
    where = literal(path, f"The path of {name}")
    try:
        json_paths.path_of(where)
    except (Failed, Refused) as error:
        raise QueryRefused(f"{error}.") from error
    return coerce(value, VARCHAR).sql, text(where)


def _returned(node: exp.Expr) -> Type:
    if isinstance(node, exp.Null):
        return VARCHAR
    spelling = node.sql("trino")
    try:
        type_ = types.parse(spelling)
    except ValueError as error:
        raise QueryRefused(f"RETURNING {spelling} is not supported.") from error
    if not type_.is_simple or type_.name in ("json", "varbinary") or spelling.upper().startswith("VARCHAR("):
        raise QueryRefused(f"RETURNING {spelling} is not supported: take varchar, and cast it.")
    return type_


def _json_value(translator: Translator, arguments: Arguments) -> Value:
    document, path, type_, *behaviours = arguments
    target = _returned(type_)
    where = _document(translator, document, path, "json_value")
    words = [_word(behaviour) for behaviour in behaviours]
    if target == VARCHAR and None not in words:
        return Value(in_python("json_value", *where, *(text(word) for word in words if word)), VARCHAR)
    found = translator.parameter(VARCHAR, "found")
    on_empty, on_error = (_instead(translator, node, target, found.sql) for node in behaviours)
    branches = f"WHEN 'E' THEN {on_empty} WHEN 'X' THEN {on_error}"
    for letter, kind in _KINDS.items():
        value = _converted(translator, found.sql, kind, target)
        branches += f" WHEN '{letter}' THEN {f'coalesce({value}, {on_error})' if value else on_error}"
    sql = f"CASE substr({found.sql}, 1, 1) {branches} END"
    item = in_python("json_item", *where)
    return Value(f"list_extract(list_transform([{item}], lambda {found.sql}: {sql}), 1)", target)


def _word(behaviour: exp.Expr) -> str | None:
    """Return NULL, ERROR or = and a default, None where the default is an expression."""
    if isinstance(behaviour, exp.Var):
        return behaviour.name
    return f"={behaviour.name}" if isinstance(behaviour, exp.Literal) and behaviour.is_string else None


def _instead(translator: Translator, behaviour: exp.Expr, target: Type, found: str) -> str:
    """Return the SQL of what json_value returns in place of a value."""
    if not isinstance(behaviour, exp.Var):
        if behaviour.find(exp.Query) or any(is_aggregate(name) for name in _called(behaviour)):
            raise QueryRefused("DEFAULT in json_value cannot contain an aggregate or a query here.")
        return expect(translator.value(behaviour), target, "DEFAULT in json_value").sql
    if behaviour.name == "ERROR":
        return fail_if(f"{found} IS NOT NULL", "json_value finds no single value", "NULL")
    return "NULL"


def _called(node: exp.Expr) -> list[str]:
    return [call.name.lower() for call in node.find_all(exp.Anonymous)]


def _converted(translator: Translator, found: str, kind: Type, target: Type) -> str | None:
    """Return the SQL of what json_value found in the type of RETURNING, None if there is no such cast."""
    tried = translator.parameter(VARCHAR, "tried")
    string = Value(f"substr({tried.sql}, 2)", VARCHAR)
    try:
        value = cast(string if kind == VARCHAR else cast(string, kind), target)
    except QueryRefused:
        return None
    return attempt(value, tried.sql, found).sql


def _json_query(translator: Translator, arguments: Arguments) -> Value:
    document, path, type_, *options = arguments
    _ensure_text(type_)
    if options[0].name == "UNCONDITIONAL OMIT":
        raise QueryRefused("OMIT QUOTES does not go with an array wrapper: leave one of them out.")
    where = _document(translator, document, path, "json_query")
    return Value(in_python("json_query", *where, *(text(option.name) for option in options)), VARCHAR)


def _json_exists(translator: Translator, arguments: Arguments) -> Value:
    document, path, on_error = arguments
    where = _document(translator, document, path, "json_exists")
    return Value(in_python("json_exists", *where, text(on_error.name)), BOOLEAN)


def _ensure_text(type_: exp.Expr) -> None:
    if _returned(type_) != VARCHAR:
        raise QueryRefused("RETURNING here is supported for varchar only.")


def _json_object(translator: Translator, arguments: Arguments) -> Value:
    options, type_, *parts = arguments
    _ensure_text(type_)
    keys = [translator.value(key) for key in parts[::2]]
    if not all(key.type == VARCHAR for key in keys):
        raise QueryRefused("The keys of json_object must be varchar.")
    values = [_written(translator, value, options.name) for value in parts[1::2]]
    if not keys:
        return Value("'{}'", VARCHAR, "{}")
    lists = (f"[{', '.join(key.sql for key in keys)}]", f"[{', '.join(values)}]")
    return Value(in_python("json_object", *lists), VARCHAR)


def _json_array(translator: Translator, arguments: Arguments) -> Value:
    on_null, type_, *elements = arguments
    _ensure_text(type_)
    written = [_written(translator, element, on_null.name) for element in elements]
    return Value(f"('[' || {_joined(written)} || ']')", VARCHAR)


def _joined(parts: list[str]) -> str:
    """Return SQL that joins texts by commas, without those that are NULL."""
    return f"concat_ws(',', {', '.join(parts)})" if parts else "''"


_WRITERS = ("format_json", "json_array", "json_object", "json_query")
"""Functions whose result is put in as JSON, and not as a text."""


def _written(translator: Translator, node: exp.Expr, on_null: str) -> str:
    """Return the SQL of a value as JSON, which is NULL where it is left out."""
    is_json = isinstance(node, exp.Anonymous) and node.name.lower() in _WRITERS
    value = translator.value(node)
    if is_json or value.type == types.UNKNOWN:
        sql = value.sql
    elif value.type.is_number or value.type == BOOLEAN:
        sql = cast(value, JSON).sql
    else:
        ensure_simple(value.type, "JSON")
        sql = in_python("json_quote", cast(value, VARCHAR).sql)
    return sql if on_null == "ABSENT" else f"coalesce({sql}, 'null')"


def _format_json(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    sql = expect(value, VARCHAR, "FORMAT JSON").sql
    return Value(in_python("json_query", sql, "'lax $'", "'WITHOUT KEEP'", "'ERROR'", "'ERROR'"), VARCHAR)


HANDLERS: Mapping[str, Handler] = {
    "format_json": _format_json,
    "json_array": _json_array,
    "json_exists": _json_exists,
    "json_object": _json_object,
    "json_query": _json_query,
    "json_value": _json_value,
}
