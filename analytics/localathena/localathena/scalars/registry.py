"""Registry of the functions in Python, which the worker registers in DuckDB under the prefix `athena_`."""

from collections.abc import Callable, Mapping
from typing import Any

from localathena.scalars import json, json_paths, numbers, readers, regex, texts, times, units, urls
from localathena.scalars.failures import FAILURE, REFUSAL, Failed, Refused


def _refused(why: str, _: bool) -> bool:
    raise Refused(why)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "double_text": (numbers.double_text, "double -> varchar"),
    "cast_double": (numbers.cast_double, "double -> varchar"),
    "real_text": (numbers.real_text, "float -> varchar"),
    "cast_real": (numbers.cast_real, "float -> varchar"),
    "decimal_text": (numbers.decimal_text, "varchar -> varchar"),
    "interval_text": (numbers.interval_text, "bigint -> varchar"),
    "months_text": (numbers.months_text, "bigint -> varchar"),
    "json_array_contains": (json.array_contains, "varchar, varchar -> boolean"),
    "json_array_get": (json.array_get, "varchar, bigint -> varchar"),
    "json_array_length": (json.array_length, "varchar -> bigint"),
    "json_elements": (json.elements, "varchar -> varchar[]"),
    "json_extract": (json.extract, "varchar, varchar -> varchar"),
    "json_extract_scalar": (json.extract_scalar, "varchar, varchar -> varchar"),
    "json_fields": (json.fields, "varchar, varchar[] -> varchar[]"),
    "json_is_scalar": (json.is_scalar, "varchar -> boolean"),
    "json_keys": (json.keys, "varchar -> varchar[]"),
    "json_kind": (json.kind, "varchar -> varchar"),
    "json_members": (json.members, "varchar -> varchar[]"),
    "json_parse": (json.parse, "varchar -> varchar"),
    "json_quote": (json.quote, "varchar -> varchar"),
    "json_size": (json.size, "varchar, varchar -> bigint"),
    "json_text": (json.as_text, "varchar -> varchar"),
    "refused": (_refused, "varchar, boolean -> boolean"),
    "regexp_count": (regex.count, "varchar, varchar -> bigint"),
    "regexp_extract": (regex.extract, "varchar, varchar, integer -> varchar"),
    "regexp_extract_all": (regex.extract_all, "varchar, varchar, integer -> varchar[]"),
    "regexp_groups": (regex.groups, "varchar, varchar -> varchar[][]"),
    "regexp_like": (regex.like, "varchar, varchar -> boolean"),
    "regexp_position": (regex.position, "varchar, varchar, integer, integer -> integer"),
    "regexp_replace": (regex.replace, "varchar, varchar, varchar -> varchar"),
    "regexp_split": (regex.split, "varchar, varchar -> varchar[]"),
    **json_paths.FUNCTIONS,
    **readers.FUNCTIONS,
    **texts.FUNCTIONS,
    **times.FUNCTIONS,
    **units.FUNCTIONS,
    **urls.FUNCTIONS,
}
"""Functions by name, each with DuckDB's types of its parameters and its result. Of NULL they are NULL.

None has a double for its result, because DuckDB takes NaN for NULL: a number is a text.
"""


def marked(name: str, refuse: Callable[[str], None]) -> tuple[Callable[..., Any], list[Any], str]:
    """Return a function with marked errors that is NULL for NULL, its parameters' types and its result's.

    `refuse` is told of each refusal: TRY must not hide one.
    """
    function, signature = FUNCTIONS[name]
    parameters, _, result = signature.partition(" -> ")

    def call(*arguments: Any) -> Any:
        if None in arguments:
            return None
        try:
            return function(*arguments)
        except Failed as error:
            raise ValueError(f"{FAILURE}{error}") from None
        except Refused as error:
            refuse(str(error))
            raise ValueError(f"{REFUSAL}{error}") from None
        except RecursionError:
            refuse("This is nested too deeply")
            raise ValueError(f"{REFUSAL}This is nested too deeply") from None

    types = parameters.split(", ")
    return _OF_ARITY[len(types)](call), types, result


_OF_ARITY: Mapping[int, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    1: lambda call: lambda a: call(a),
    2: lambda call: lambda a, b: call(a, b),
    3: lambda call: lambda a, b, c: call(a, b, c),
    4: lambda call: lambda a, b, c, d: call(a, b, c, d),
    5: lambda call: lambda a, b, c, d, e: call(a, b, c, d, e),
}
"""Functions with so many parameters: DuckDB counts them."""
