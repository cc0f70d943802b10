"""`format`: Java's directives."""

import re
from collections.abc import Mapping

from localathena.casts import cast
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.sql import Value, in_python, refuse_if
from localathena.types import BOOLEAN, DOUBLE, VARCHAR, text
from localathena.values import expect

_DIRECTIVE = re.compile(r"%(?:([%n])|(?:(\d+)\$)?(-?)(\+?)(0?)(,?)(\d*)(?:\.(\d+))?([a-zA-Z]))")


def _format(translator: Translator, arguments: Arguments) -> Value:
    """Translate `format`: Java's directives %s, %d, %f, %x and %b, with a width and `-`, `+`, `0` or `,`."""
    form = literal(arguments[0], "The form of format()")
    values = [translator.value(argument) for argument in arguments[1:]]
    if not values:
        raise QueryRefused("format() needs an argument after its form.")
    pieces: list[str] = []
    end = following = 0
    for found in _DIRECTIVE.finditer(form):
        pieces.append(text(form[end : found.start()]))
        end = found.end()
        if found[1]:
            pieces.append("'%'" if found[1] == "%" else "chr(10)")
            continue
        index = int(found[2]) - 1 if found[2] else following
        following += not found[2]
        if not 0 <= index < len(values):
            raise QueryRefused(
                f"format({form!r}) has more directives than arguments, or one that is not supported."
            )
        pieces.append(_formatted(found, values[index]))
    pieces.append(text(form[end:]))
    if "%" in _DIRECTIVE.sub("", form):
        raise QueryRefused(f"format({form!r}) is not supported: use %s, %d and %.2f.")
    return Value(
        "(" + " || ".join(piece for piece in pieces if piece != "''") + ")" if form else "''", VARCHAR
    )


def _formatted(found: "re.Match[str]", value: Value) -> str:
    _, _, left, plus, zero, comma, width, digits, kind = found.groups()
    if max(len(width), len(digits or "")) > _WIDTH_DIGITS:
        raise QueryRefused(f"format() with {found[0][:30]}: the width or the precision is too large.")
    if ((left or zero) and not width) or (left and zero):
        raise QueryRefused(f"format() with {found[0]}: one of '-' and '0', and it needs a width.")
    if kind == "d" and value.type.is_integer and digits is None:
        sql = f"printf('%{left}{plus}{zero}{comma}{width}d', CAST({value.sql} AS BIGINT))"
    elif kind in "xX" and value.type.is_integer and digits is None and not plus and not comma:
        sql = f"printf('%{left}{zero}{width}{kind}', CAST({value.sql} AS BIGINT))"
        sql = refuse_if(f"{value.sql} < 0", "%x of a negative number is not supported in format()", sql)
    elif kind == "b" and not plus and not zero and not comma and digits is None:
        sql = value.sql if value.type == BOOLEAN else f"({value.sql} IS NOT NULL)"
        return f"printf('%{left}{width}s', CAST(coalesce({sql}, FALSE) AS VARCHAR))"
    elif (
        kind == "f"
        and not plus
        and value.type.name in ("double", "decimal")
        and int(digits or 6) <= _MOST_PLACES
    ):
        sql = _with_places(value, int(digits or 6), comma, int(width or 0) if zero else 0)
        sql = f"printf('%{left}{width}s', {sql})"
    elif kind in "sS" and not plus and not zero and not comma:
        string = cast(value, VARCHAR) if value.type.is_exact or value.type == BOOLEAN else value
        if value.type.name == "decimal":
            string = Value(in_python("decimal_text", string.sql), VARCHAR)
        string = cast(string, VARCHAR) if string.type.name == "date" else string
        string = Value(in_python("double_text", string.sql), VARCHAR) if string.type == DOUBLE else string
        sql = expect(string, VARCHAR, "%s in format()").sql
        sql = in_python("format_upper", sql) if kind == "S" else sql
        sql = f"left({sql}, {digits})" if digits else sql
        if width:
            sql = in_python("padded", sql, f"{left}{width}")
    else:
        raise QueryRefused(f"format() with {found[0]} for {value.type} is not supported.")
    null = "NULL" if kind == "S" else "null"
    null = null[: int(digits)] if digits else null  # Java takes the digits for the length of a text
    return f"coalesce({sql}, printf('%{left}{width}s', '{null}'))"


_MOST_PLACES = 18
_WIDTH_DIGITS = 6


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
