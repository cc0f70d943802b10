"""Functions of texts."""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from localathena import types
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, unless_null
from localathena.functions.signatures import MOST_ELEMENTS, by_signature, guarded, of_values
from localathena.sql import Value, fail_if, in_python, refuse_if
from localathena.types import BIGINT, VARCHAR, array
from localathena.values import coerce, common, expect


def _padded(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        types_ = (VARCHAR, BIGINT, VARCHAR)
        values = zip(map(translator.value, arguments), types_, strict=True)
        string, length, pad = (expect(value, type_, name).sql for value, type_ in values)
        few = f"CAST(CASE WHEN {length} <= {MOST_ELEMENTS} THEN {length} END AS INTEGER)"
        many = f"{name} to more than {MOST_ELEMENTS} is not supported"
        sql = refuse_if(f"{length} > {MOST_ELEMENTS}", many, f"{name}({string}, {few}, {pad})")
        why = "The length of a padded text must be 0 or more, and the padding must not be empty"
        return Value(fail_if(f"{length} < 0 OR {pad} = ''", why, sql), VARCHAR)

    return handle


def concatenate(a: Value, b: Value) -> Value:
    """Return `a || b`: of texts, of arrays, or of an array and an element."""
    if "array" in (a.type.name, b.type.name):
        if types.UNKNOWN in (a.type, b.type):
            raise QueryRefused(
                "An array || NULL is ambiguous: cast NULL to the element's type or the array's."
            )
        if array(types.UNKNOWN) in (a.type, b.type):
            raise QueryRefused("ARRAY[] || is ambiguous: write CAST(ARRAY[] AS array(type)).")
        elements = [value.sql for value in (a, b) if value.type.name != "array"]
        if a.type.name != "array":
            a = Value(f"[{a.sql}]", array(a.type))
        if b.type.name != "array":
            b = Value(f"[{b.sql}]", array(b.type))
        (a, b), type_ = common([a, b], "||")
        joined = f"({a.sql} || {b.sql})"
        if elements:  # NULL is taken for an array
            joined = f"(CASE WHEN {elements[0]} IS NOT NULL THEN {joined} END)"
        return Value(joined, type_)
    if types.UNKNOWN in (a.type, b.type):
        raise QueryRefused("|| and concat of NULL are ambiguous on Athena: cast NULL to varchar.")
    if a.type == b.type == types.VARBINARY:
        return Value(f"({a.sql} || {b.sql})", a.type)
    a, b = (_text_in_concat(value) for value in (a, b))
    return Value(f"({a.sql} || {b.sql})", VARCHAR)


def _text_in_concat(value: Value) -> Value:
    if not types.coerces(value.type, VARCHAR):
        raise QueryRefused(f"|| and concat need varchar, not {value.type}: write CAST(x AS varchar).")
    return coerce(value, VARCHAR)


def _reverse(translator: Translator, arguments: Arguments) -> Value:
    value = by_signature(translator, "reverse", arguments)
    (of,) = map(translator.value, arguments)
    if value.type != VARCHAR:
        return value
    composed = f"length_grapheme({of.sql}) <> length({of.sql})"  # DuckDB does not reverse within a grapheme
    slow = in_python("reverse", of.sql)
    return replace(value, sql=f"(CASE WHEN {composed} THEN {slow} ELSE {value.sql} END)")


def _in_ascii(name: str, function: str, condition: str = "") -> Handler:
    """Return a function with a signature: DuckDB computes it for texts in ASCII, Python for others.

    With a condition, Python also has the texts for which it does not hold: they fail.
    """

    def handle(translator: Translator, arguments: Arguments) -> Value:
        values = [translator.value(argument) for argument in arguments]
        fast = of_values(name, values)
        texts = [value.sql for value in values]
        is_ascii = " AND ".join(f"strlen({text}) = length({text})" for text in texts)
        is_ascii += f" AND {condition.format(*texts)}" if condition else ""
        slow = in_python(function, *texts)
        return replace(fast, sql=f"(CASE WHEN {is_ascii} THEN {fast.sql} ELSE {slow} END)")

    return handle


def _replace(translator: Translator, arguments: Arguments) -> Value:
    value = by_signature(translator, "replace", arguments)
    string, part, *new = (translator.value(argument).sql for argument in arguments)
    around = in_python("replace_empty", string, *(new or ["''"]))
    return replace(value, sql=f"(CASE WHEN {part} = '' THEN {around} ELSE {value.sql} END)")


_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def _normalize(translator: Translator, arguments: Arguments) -> Value:
    node, *forms = arguments
    form = forms[0].name if forms else "NFC"
    if len(forms) > 1 or form not in _FORMS:
        raise QueryRefused(f"normalize takes one of the forms, in capitals: {', '.join(_FORMS)}.")
    string = expect(translator.value(node), VARCHAR, "normalize").sql
    return Value(in_python("normalize", string, f"'{form}'"), VARCHAR)


def _concat(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) < 2:
        raise ValueError
    first, *others = map(translator.value, arguments)
    if others[1:] and len({value.type.name == "array" for value in (first, *others)}) > 1:
        raise QueryRefused("concat of three or more takes texts or arrays, not both: write ARRAY[x].")
    for other in others:
        first = concatenate(first, other)
    return first


def _concat_ws(translator: Translator, arguments: Arguments) -> Value:
    separator, *values = map(translator.value, arguments)
    separator = expect(separator, VARCHAR, "concat_ws")
    if not values:
        raise ValueError
    if len(values) == 1 and values[0].type == array(VARCHAR):
        return Value(in_python("join", values[0].sql, separator.sql), VARCHAR)
    if [value.type for value in values] == [types.UNKNOWN]:
        raise QueryRefused("concat_ws of NULL is ambiguous: write CAST(NULL AS varchar).")
    texts = ", ".join(expect(value, VARCHAR, "concat_ws").sql for value in values)
    return Value(f"concat_ws({separator.sql}, {texts})", VARCHAR)


def _substr(translator: Translator, arguments: Arguments) -> Value:
    string, start, *length = map(translator.value, arguments)
    values = [string, start, *length]
    string = expect(string, VARCHAR, "substr")
    start = expect(start, BIGINT, "substr")
    empty = [f"{start.sql} = 0", f"-{start.sql} > length({string.sql})"]
    sql = f"substr({string.sql}, {start.sql})"
    if length:
        (count,) = (expect(value, BIGINT, "substr") for value in length)
        empty.append(f"{count.sql} <= 0")
        sql = f"substr({string.sql}, {start.sql}, {count.sql})"
    return Value(unless_null(values, f"(CASE WHEN {' OR '.join(empty)} THEN '' ELSE {sql} END)"), VARCHAR)


def _codepoint(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    value = translator.value(node)
    is_one = (
        len(value.constant) == 1 if value.constant is not None else isinstance(node, exp.Cast | exp.Column)
    )
    if not is_one:
        raise QueryRefused(
            "codepoint takes a text of the type varchar(1) on Athena: write CAST(x AS varchar(1))."
        )
    value = of_values("codepoint", [value])
    return replace(
        value,
        sql=fail_if(f"length({translator.value(node).sql}) <> 1", "codepoint needs one character", value.sql),
    )


def _strpos(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    if len(values) != 3:
        return of_values("strpos", values)
    wanted = zip(values, (VARCHAR, VARCHAR, BIGINT), strict=True)
    string, part, instance = (expect(value, type_, "strpos").sql for value, type_ in wanted)
    starts = f"lambda p: starts_with(substr({string}, p), {part})"
    positions = f"list_filter(generate_series(1, length({string})), {starts})"
    found = f"(CASE WHEN {part} = '' THEN 1 ELSE coalesce(list_extract({positions}, {instance}), 0) END)"
    found = fail_if(f"{instance} = 0", "strpos: 'instance' must be a positive or negative number", found)
    return Value(unless_null(values, found), BIGINT)


def _split(translator: Translator, arguments: Arguments) -> Value:
    string, delimiter, *limits = map(translator.value, arguments)
    value = of_values("split", [string, delimiter])
    empty, why = f"{delimiter.sql} = ''", "The delimiter may not be the empty string"
    if not limits:
        return replace(value, sql=fail_if(empty, why, value.sql))
    (limit,) = limits
    parts = fail_if(empty, why, value.sql)
    limit = expect(limit, BIGINT, "split")
    rest = in_python("join", f"list_slice({parts}, {limit.sql}, len({parts}))", delimiter.sql)
    first = f"list_slice({parts}, 1, {limit.sql} - 1)"
    whole = f"(CASE WHEN len({parts}) <= {limit.sql} THEN {parts} ELSE {first} || [{rest}] END)"
    return Value(fail_if(f"{limit.sql} < 1", "Limit must be positive", whole), array(VARCHAR))


def _split_part(translator: Translator, arguments: Arguments) -> Value:
    string, delimiter, index = map(translator.value, arguments)
    is_first = bool(delimiter.constant) and index.constant == "1"
    string, delimiter = (expect(value, VARCHAR, "split_part") for value in (string, delimiter))
    if is_first:  # in half the time of a list
        end = f"strpos({string.sql}, {delimiter.sql})"
        first = f"left({string.sql}, {end} - 1)"
        return Value(f"(CASE WHEN {end} = 0 THEN {string.sql} ELSE {first} END)", VARCHAR)
    index = expect(index, BIGINT, "split_part")
    part = f"list_extract({of_values('split', [string, delimiter]).sql}, {index.sql})"
    return Value(fail_if(f"{index.sql} < 1", "Index must be greater than zero", part), VARCHAR)


HANDLERS: Mapping[str, Handler] = {
    "codepoint": _codepoint,
    "from_hex": guarded(
        "from_hex", fail_if, "length({0}) % 2 = 1", "from_hex needs two digits for each byte"
    ),
    "hamming_distance": _in_ascii("hamming_distance", "hamming", "length({0}) = length({1})"),
    "levenshtein_distance": _in_ascii(
        "levenshtein_distance", "levenshtein", "length({0}) * (length({1}) - 1) <= 1000000"
    ),
    "normalize": _normalize,
    "lpad": _padded("lpad"),
    "rpad": _padded("rpad"),
    "replace": _replace,
    "reverse": _reverse,
    "upper": _in_ascii("upper", "upper"),
    "concat": _concat,
    "concat_ws": _concat_ws,
    "split": _split,
    "strpos": _strpos,
    "split_part": _split_part,
    "substr": _substr,
    "substring": _substr,
}
