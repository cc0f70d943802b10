"""Trino's scalar functions as DuckDB's, by family. A function that is not listed is refused."""

from collections.abc import Mapping

from localathena.aggregates import names as aggregate_names
from localathena.errors import QueryRefused
from localathena.functions import arrays, formats, general, json, maps, numbers, regex, sequences, text, time
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.functions.signatures import ALIASES, SIGNATURES, by_signature
from localathena.suggestions import suggestion
from localathena.values import Value

_HANDLERS: Mapping[str, Handler] = {
    **general.HANDLERS,
    **numbers.HANDLERS,
    **text.HANDLERS,
    **formats.HANDLERS,
    **json.HANDLERS,
    **regex.HANDLERS,
    **arrays.HANDLERS,
    **sequences.HANDLERS,
    **maps.HANDLERS,
    **time.HANDLERS,
}
"""Functions that need more than a signature."""


def call(translator: Translator, name: str, arguments: Arguments) -> Value:
    """Translate a call of a scalar function.

    Raises:
        QueryRefused: no such function is supported, or not with these arguments.
    """
    name = ALIASES.get(name, name)
    handler = _HANDLERS.get(name)
    if handler is None and name not in SIGNATURES:
        known = [*SIGNATURES, *_HANDLERS, *aggregate_names()]
        raise QueryRefused(f"The function {name} is not supported.{suggestion(name, known)}")
    if handler is None:
        return by_signature(translator, name, arguments)
    try:
        return handler(translator, arguments)
    except (ValueError, IndexError) as error:  # a handler unpacks its arguments
        raise QueryRefused(f"{name} is not supported with {len(arguments)} arguments.") from error
