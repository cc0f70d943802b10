"""Functions of JSON, and casts to and from it. Values are texts in DuckDB, written as Trino writes them."""

from collections.abc import Mapping

from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.scalars.failures import Failed, Refused
from localathena.sql import Value, in_python
from localathena.types import BIGINT, BOOLEAN, JSON, VARCHAR, text
from localathena.values import expect


def _document(value: Value, where: str) -> Value:
    """Return JSON, or a text that holds it."""
    if value.type == JSON:
        return value
    if value.constant is None and value.sql == "NULL":
        raise QueryRefused(f"{where} of NULL is ambiguous on Athena: write CAST(NULL AS varchar).")
    return expect(value, VARCHAR, where)


def _at_path(name: str, result: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        document, node = arguments
        value = _document(translator.value(document), name)
        path = expect(translator.value(node), VARCHAR, name)
        if path.constant is not None:
            from localathena.scalars import json  # few statements need it

            try:
                json.steps_of(path.constant)
            except (Failed, Refused) as error:
                raise QueryRefused(f"{error}.") from error
        else:
            literal(node, "A JSON path")
        types = {"json": JSON, "varchar": VARCHAR, "bigint": BIGINT}
        return Value(in_python(name, value.sql, path.sql), types[result])

    return handle


def _json_parse(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    value = expect(value, VARCHAR, "json_parse")
    if value.constant is not None:
        from localathena.scalars import json

        try:
            written = json.parse(value.constant)
        except (Failed, Refused):
            pass  # it fails when it is run, so that TRY can catch it
        else:
            return Value(text(written), JSON)
    return Value(in_python("json_parse", value.sql), JSON)


def _json_format(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    return Value(expect(value, JSON, "json_format").sql, VARCHAR)


def _json_array_length(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    return Value(in_python("json_array_length", _document(value, "json_array_length").sql), BIGINT)


def _json_array_contains(translator: Translator, arguments: Arguments) -> Value:
    document, sought = map(translator.value, arguments)
    sql = _document(document, "json_array_contains").sql
    if sought.type == VARCHAR:
        scalar = in_python("json_quote", sought.sql)
    elif sought.type.is_integer or sought.type == BOOLEAN:
        scalar = f"CAST({sought.sql} AS VARCHAR)"
    elif sought.type.is_number:
        scalar = in_python("double_text", f"CAST({sought.sql} AS DOUBLE)")
    else:
        raise QueryRefused(f"json_array_contains does not look for {sought.type}.")
    return Value(in_python("json_array_contains", sql, scalar), BOOLEAN)


def _json_array_get(translator: Translator, arguments: Arguments) -> Value:
    document, index = map(translator.value, arguments)
    sql = _document(document, "json_array_get").sql
    return Value(in_python("json_array_get", sql, expect(index, BIGINT, "json_array_get").sql), JSON)


def _is_json_scalar(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    return Value(in_python("json_is_scalar", _document(value, "is_json_scalar").sql), BOOLEAN)


HANDLERS: Mapping[str, Handler] = {
    "is_json_scalar": _is_json_scalar,
    "json_array_contains": _json_array_contains,
    "json_array_get": _json_array_get,
    "json_array_length": _json_array_length,
    "json_extract": _at_path("json_extract", "json"),
    "json_extract_scalar": _at_path("json_extract_scalar", "varchar"),
    "json_format": _json_format,
    "json_parse": _json_parse,
    "json_size": _at_path("json_size", "bigint"),
}
