"""`format`: Java's directives."""

import re
from collections.abc import Mapping

from localathena.casts import cast
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.sql import Value, in_python, refuse_if
from localathena.types import BOOLEAN, DOUBLE, VARCHAR, text
from localathena.values import expect

_DIRECTIVE = re.compile(r"%(?:(%)|(-?)(0?)(,?)(\d*)(?:\.(\d+))?([a-zA-Z]))")


def _format(translator: Translator, arguments: Arguments) -> Value:
    """Translate `format`: Java's directives %s, %d, %f, with a width and `-`, `0` or `,`."""
    form = literal(arguments[0], "The form of format()")
    values = [translator.value(argument) for argument in arguments[1:]]
    pieces: list[str] = []
    end = 0
    for found in _DIRECTIVE.finditer(form):
        pieces.append(text(form[end : found.start()]))
        end = found.end()
        if not found[1] and not values:
            raise QueryRefused(
                f"format({form!r}) has more directives than arguments, or one that is not supported."
            )
        pieces.append("'%'" if found[1] else _formatted(found, values.pop(0)))
    pieces.append(text(form[end:]))
    if values or "%" in _DIRECTIVE.sub("", form):
        raise QueryRefused(f"format({form!r}) is not supported: use %s, %d and %.2f, one for each argument.")
    return Value(
        "(" + " || ".join(piece for piece in pieces if piece != "''") + ")" if form else "''", VARCHAR
    )


def _formatted(found: "re.Match[str]", value: Value) -> str:
    _, left, zero, comma, width, digits, kind = found.groups()
    if kind == "d" and value.type.is_integer and digits is None:
        sql = f"printf('%{left}{zero}{comma}{width}d', CAST({value.sql} AS BIGINT))"
    elif kind == "f" and value.type.name in ("double", "decimal") and int(digits or 6) <= _MOST_PLACES:
        sql = _with_places(value, int(digits or 6), comma, int(width or 0) if zero else 0)
        sql = f"printf('%{left}{width}s', {sql})"
    elif kind == "s" and not zero and not comma and digits is None:
        string = cast(value, VARCHAR) if value.type.is_exact or value.type == BOOLEAN else value
        if value.type.name == "decimal":
            string = Value(in_python("decimal_text", string.sql), VARCHAR)
        string = cast(string, VARCHAR) if string.type.name == "date" else string
        string = Value(in_python("double_text", string.sql), VARCHAR) if string.type == DOUBLE else string
        sql = expect(string, VARCHAR, "%s in format()").sql
        if width:
            sql = in_python("padded", sql, f"{left}{width}")
    else:
        raise QueryRefused(f"format() with {found[0]} for {value.type} is not supported.")
    null = "null"[: int(digits)] if digits else "null"  # Java takes the digits for the length of a text
    return f"coalesce({sql}, printf('%{left}{width}s', '{null}'))"


_MOST_PLACES = 18


def _with_places(value: Value, places: int, comma: str, filled: int) -> str:
    """Return a number with a fixed number of decimal places, padded with zeros on the left.

    Java rounds the shortest decimal that stands for a double, half away from zero, where C rounds its binary
    value; and -0.04 is -0.0 to it.
    """
    is_negative = f"signbit({value.sql})" if value.type == DOUBLE else f"{value.sql} < 0"
    sign = f"(CASE WHEN {is_negative} THEN '-' ELSE '' END)"
    exact = f"abs(CAST(CAST({value.sql} AS VARCHAR) AS DECIMAL(38, 20)))"
    size = f"CAST(CAST(round({exact}, {places}) AS DECIMAL(38, {places})) AS VARCHAR)"
    if comma:
        whole = f"printf('%,d', CAST(split_part({size}, '.', 1) AS BIGINT))"
        size = f"({whole} || substr({size}, length(split_part({size}, '.', 1)) + 1))"
    if filled:
        size = f"lpad({size}, CAST(greatest({filled} - length({sign}), length({size})) AS INTEGER), '0')"
    too_large = f"NOT abs({value.sql}) < 1e18"
    return refuse_if(too_large, "format() of NaN or of such a number is not supported", f"({sign} || {size})")


HANDLERS: Mapping[str, Handler] = {
    "format": _format,
}
