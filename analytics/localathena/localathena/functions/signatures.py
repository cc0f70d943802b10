"""Functions with a signature: the lines of `signatures.txt`, and which line a call matches."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from localathena import types
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.sql import Value
from localathena.types import DOUBLE, Type
from localathena.values import coerce

ALIASES = {"ceiling": "ceil", "pow": "power", "rand": "random", "mod": "%"}
_BLANKS = " || ".join(
    f"chr({code})"
    for code in (
        *range(9, 14),
        *range(28, 33),
        0x1680,
        *range(0x2000, 0x2007),
        *range(0x2008, 0x200B),
        0x2028,
        0x2029,
        0x205F,
        0x3000,
    )
)
"""White space as Java defines it."""

Signature = tuple[tuple[Type, ...], Type, str]


def _read() -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("signatures.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            lines.setdefault(line.partition("(")[0], []).append(line)
    return lines


_OF_ANY_NUMBER = ("abs", "ceil", "floor", "round", "sign", "truncate")

SIGNATURES = _read()
"""Lines of `signatures.txt` by the function's name."""


@cache
def _signatures(name: str) -> list[Signature]:
    return [_parsed(line) for line in SIGNATURES[name]]


def _parsed(line: str) -> Signature:
    head, _, template = line.partition(" = ")
    call, _, result = head.partition(" -> ")
    _, _, parameters = call.removesuffix(")").partition("(")
    types_ = _variable_type(f"row({parameters})").arguments if parameters else ()
    return types_, _variable_type(result), template


def _variable_type(spelling: str) -> Type:
    # A variable becomes a type of a name that no other type has.
    return types.parse(re.sub(r"\b([TKVID])\b", r"variable_\1", spelling))


def by_signature(translator: Translator, name: str, arguments: Arguments) -> Value:
    """Translate a call of a function that has a signature; see `of_values`."""
    values = [translator.value(argument) for argument in arguments]
    return of_values(name, values)


def of_values(name: str, values: Sequence[Value]) -> Value:
    """Apply a function that has a signature to values.

    Raises:
        QueryRefused: none of its signatures takes values of these types.
    """
    if any(value.type.name == "real" for value in values):
        of_double = of_values(name, [coerce(v, DOUBLE) if v.type.name == "real" else v for v in values])
        if name in _OF_ANY_NUMBER and of_double.type == DOUBLE:
            return Value(f"CAST({of_double.sql} AS FLOAT)", Type("real"))
        return of_double
    if any(value.type == types.UNKNOWN for value in values) and name in _OF_ANY_NUMBER:
        raise QueryRefused(f"{name} of NULL is ambiguous on Athena: cast NULL to a type.")
    for parameters, result, template in _signatures(name):
        bound = _bind(parameters, values)
        if bound is not None:
            parts = {key: type_.duckdb for key, type_ in bound.items()}
            coerced = [coerce(v, _fill(p, bound)).sql for v, p in zip(values, parameters, strict=True)]
            return Value(template.format(*coerced, blanks=_BLANKS, **parts), _fill(result, bound))
    spelled = ", ".join(str(value.type) for value in values)
    raise QueryRefused(f"{name} is not supported with arguments of the types ({spelled}).")


MOST_ELEMENTS = 10_000
"""Limit of sequence and repeat on Athena."""


def guarded(name: str, guard: Callable[[str, str, str], str], condition: str, why: str) -> Handler:
    """Return a function that has a signature, and fails or is refused where a condition holds."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        values = [translator.value(argument) for argument in arguments]
        value = of_values(name, values)
        return replace(value, sql=guard(condition.format(*(v.sql for v in values)), why, value.sql))

    return handle


def _bind(parameters: Sequence[Type], values: Sequence[Value]) -> dict[str, Type] | None:
    """Return what the parameters' variables stand for, or None if the values do not fit."""
    if len(parameters) != len(values):
        return None
    bound: dict[str, Type] = {}
    for parameter, value in zip(parameters, values, strict=True):
        if not _match(parameter, value.type, bound):
            return None
    return bound


def _match(parameter: Type, type_: Type, bound: dict[str, Type]) -> bool:
    if parameter.name.startswith("variable_"):
        name = parameter.name.removeprefix("variable_").upper()
        if (name == "I" and not type_.is_integer) or (name == "D" and type_.name != "decimal"):
            return False
        together = types.common(bound.get(name, types.UNKNOWN), type_)
        bound[name] = together or type_
        return together is not None
    if not any("variable" in str(argument) for argument in parameter.arguments):
        return types.coerces(type_, parameter)
    if type_.name != parameter.name:
        return False
    return all(_match(p, t, bound) for p, t in zip(parameter.arguments, type_.arguments, strict=True))


def _fill(type_: Type, bound: dict[str, Type]) -> Type:
    if type_.name.startswith("variable_"):
        return bound[type_.name.removeprefix("variable_").upper()]
    if not type_.arguments:
        return type_
    return Type(type_.name, tuple(_fill(argument, bound) for argument in type_.arguments), type_.fields)
