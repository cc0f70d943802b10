"""Trino's scalar functions as DuckDB's, by family. A function that is not listed is refused."""

from collections.abc import Mapping
from functools import cache

from localathena.aggregates import names as aggregate_names
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.functions.signatures import ALIASES, SIGNATURES, by_signature
from localathena.sql import Value


@cache
def _handlers() -> Mapping[str, Handler]:
    """Return the functions that need more than a signature. They are imported with the first call of one."""
    from localathena.functions import (
        arrays,
        formats,
        general,
        json,
        json_paths,
        maps,
        numbers,
        regex,
        sequences,
        text,
        time,
    )

    families = (general, numbers, text, formats, json, json_paths, regex, arrays, sequences, maps, time)
    return {name: handler for family in families for name, handler in family.HANDLERS.items()}


def call(translator: Translator, name: str, arguments: Arguments) -> Value:
    """Translate a call of a scalar function.

    Raises:
        QueryRefused: no such function is supported, or not with these arguments.
    """
    name = ALIASES.get(name, name)
    handler = _handlers().get(name)
    if handler is None and name not in SIGNATURES:
        from localathena.suggestions import suggestion  # only messages need it

        known = [*SIGNATURES, *_handlers(), *aggregate_names()]
        raise QueryRefused(f"The function {name} is not supported.{suggestion(name, known)}")
    if handler is None:
        return by_signature(translator, name, arguments)
    try:
        return handler(translator, arguments)
    except (ValueError, IndexError) as error:  # a handler unpacks its arguments
        raise QueryRefused(f"{name} is not supported with {len(arguments)} arguments.") from error
