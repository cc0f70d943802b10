"""Trino's scalar functions in DuckDB's words. What is not here is refused."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlglot import exp

from localathena import types
from localathena.aggregates import names as aggregate_names
from localathena.errors import QueryRefused
from localathena.types import BIGINT, BOOLEAN, DOUBLE, JSON, VARCHAR, Type, array, map_of, row, text
from localathena.unknown import advice
from localathena.values import (
    Value,
    as_java_writes,
    attempt,
    cast,
    coerce,
    common,
    comparison,
    ensure_distinct,
    ensure_simple,
    expect,
    fail_if,
    field,
    refuse_if,
    struct,
    without_nan,
)


class Translator(Protocol):
    """What a function needs of the translation that it is part of."""

    def value(self, node: exp.Expr) -> Value:
        """Translate an expression."""
        ...

    def parameter(self, type_: Type, role: str = "x") -> Value:
        """Return a parameter for one of DuckDB's lambdas, named for its role in it."""
        ...

    def apply(self, function: exp.Expr, *arguments: Value) -> Value:
        """Translate the body of a Trino lambda, its parameters replaced by expressions."""
        ...


Arguments = Sequence[exp.Expr]
Handler = Callable[[Translator, Arguments], Value]

_SIGNATURES = r"""
    abs(I) -> I = abs({0})
    abs(D) -> D = abs({0})
    abs(double) -> double = abs({0})
    cbrt(double) -> double = cbrt({0})
    ceil(I) -> I = {0}
    ceil(double) -> double = ceil({0})
    floor(I) -> I = {0}
    floor(double) -> double = floor({0})
    round(I) -> I = {0}
    round(I, integer) -> I = CAST(round({0}, {1}) AS {I})
    round(double) -> double = round({0})
    round(double, integer) -> double = round({0}, {1})
    truncate(double) -> double = trunc({0})
    degrees(double) -> double = degrees({0})
    radians(double) -> double = radians({0})
    e() -> double = exp(1e0)
    pi() -> double = pi()
    exp(double) -> double = exp({0})
    ln(double) -> double = ln({0})
    log2(double) -> double = log2({0})
    log10(double) -> double = log10({0})
    log(double, double) -> double = (ln({1}) / ln({0}))
    sqrt(double) -> double = sqrt({0})
    power(double, double) -> double = pow({0}, {1})
    sign(I) -> I = CAST(sign({0}) AS {I})
    sign(D) -> decimal(1,0) = CAST(sign({0}) AS DECIMAL(1, 0))
    sign(double) -> double = CAST(sign({0}) AS DOUBLE)
    sin(double) -> double = sin({0})
    cos(double) -> double = cos({0})
    tan(double) -> double = tan({0})
    asin(double) -> double = asin({0})
    acos(double) -> double = acos({0})
    atan(double) -> double = atan({0})
    atan2(double, double) -> double = atan2({0}, {1})
    sinh(double) -> double = sinh({0})
    cosh(double) -> double = cosh({0})
    tanh(double) -> double = tanh({0})
    infinity() -> double = CAST('inf' AS DOUBLE)
    nan() -> double = CAST('nan' AS DOUBLE)
    is_nan(double) -> boolean = isnan({0})
    is_finite(double) -> boolean = isfinite({0})
    is_infinite(double) -> boolean = isinf({0})
    random() -> double = random()
    random(I) -> I = CAST(floor(random() * {0}) AS {I})
    bitwise_and(bigint, bigint) -> bigint = ({0} & {1})
    bitwise_or(bigint, bigint) -> bigint = ({0} | {1})
    bitwise_xor(bigint, bigint) -> bigint = xor({0}, {1})
    bitwise_not(bigint) -> bigint = (~{0})

    chr(bigint) -> varchar = chr(CAST({0} AS INTEGER))
    codepoint(varchar) -> integer = unicode({0})
    ends_with(varchar, varchar) -> boolean = ends_with({0}, {1})
    starts_with(varchar, varchar) -> boolean = starts_with({0}, {1})
    length(varchar) -> bigint = length({0})
    levenshtein_distance(varchar, varchar) -> bigint = levenshtein({0}, {1})
    hamming_distance(varchar, varchar) -> bigint = hamming({0}, {1})
    lower(varchar) -> varchar = lower({0})
    upper(varchar) -> varchar = upper({0})
    trim(varchar) -> varchar = trim({0}, {blanks})
    ltrim(varchar) -> varchar = ltrim({0}, {blanks})
    rtrim(varchar) -> varchar = rtrim({0}, {blanks})
    trim(varchar, varchar) -> varchar = trim({0}, {1})
    ltrim(varchar, varchar) -> varchar = ltrim({0}, {1})
    rtrim(varchar, varchar) -> varchar = rtrim({0}, {1})
    replace(varchar, varchar) -> varchar = replace({0}, {1}, '')
    replace(varchar, varchar, varchar) -> varchar = replace({0}, {1}, {2})
    reverse(varchar) -> varchar = reverse({0})
    reverse(array(T)) -> array(T) = list_reverse({0})
    split(varchar, varchar) -> array(varchar) = (CASE WHEN {1} IS NOT NULL THEN string_split({0}, {1}) END)
    strpos(varchar, varchar) -> bigint = strpos({0}, {1})
    translate(varchar, varchar, varchar) -> varchar = translate({0}, {1}, {2})
    to_utf8(varchar) -> varbinary = encode({0})
    from_utf8(varbinary) -> varchar = decode({0})
    to_hex(varbinary) -> varchar = hex({0})
    from_hex(varchar) -> varbinary = unhex({0})
    to_base64(varbinary) -> varchar = to_base64({0})
    from_base64(varchar) -> varbinary = from_base64({0})
    md5(varbinary) -> varbinary = unhex(md5({0}))
    sha1(varbinary) -> varbinary = unhex(sha1({0}))
    sha256(varbinary) -> varbinary = unhex(sha256({0}))

    json_parse(varchar) -> json = CAST(json({0}) AS JSON)

    cardinality(array(T)) -> bigint = len({0})
    cardinality(map(K, V)) -> bigint = CAST(cardinality({0}) AS BIGINT)
    array_max(array(T)) -> T = (CASE WHEN len({0}) = list_count({0}) THEN list_max({0}) END)
    array_min(array(T)) -> T = (CASE WHEN len({0}) = list_count({0}) THEN list_min({0}) END)
    array_sort(array(T)) -> array(T) = list_sort({0}, 'ASC', 'NULLS LAST')
    array_first(array(T)) -> T = list_extract({0}, 1)
    array_last(array(T)) -> T = list_extract({0}, -1)
    flatten(array(array(T))) -> array(T) = flatten({0})
    trim_array(array(T), bigint) -> array(T) = list_slice({0}, 1, len({0}) - {1})
    repeat(T, bigint) -> array(T) = repeat([{0}], (CASE WHEN {1} <= 10000 THEN {1} END))
    euclidean_distance(array(double), array(double)) -> double = list_distance({0}, {1})
    dot_product(array(double), array(double)) -> double = list_dot_product({0}, {1})

    map_keys(map(K, V)) -> array(K) = map_keys({0})
    map_values(map(K, V)) -> array(V) = map_values({0})
"""
"""`name(parameters) -> result = DuckDB's expression`; T, K, V: any type, I: a whole number, D: a decimal.

What makes something large is bounded in itself: DuckDB works constants out before it looks at guards.
"""

_ALIASES = {"ceiling": "ceil", "pow": "power", "rand": "random", "mod": "%"}
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
"""What Java calls white space."""

Signature = tuple[tuple[Type, ...], Type, str]


def _variable_type(spelling: str) -> Type:
    # A variable is spelled as a type that nothing else is.
    return types.parse(re.sub(r"\b([TKVID])\b", r"variable_\1", spelling))


def _read_signatures() -> dict[str, list[Signature]]:
    signatures: dict[str, list[Signature]] = {}
    for line in filter(str.strip, _SIGNATURES.splitlines()):
        head, _, template = line.strip().partition(" = ")
        call, _, result = head.partition(" -> ")
        name, _, parameters = call.removesuffix(")").partition("(")
        type_ = _variable_type(f"row({parameters})").arguments if parameters else ()
        signatures.setdefault(name, []).append((type_, _variable_type(result), template))
    return signatures


SIGNATURES = _read_signatures()


def call(translator: Translator, name: str, arguments: Arguments, others: Mapping[str, Handler]) -> Value:
    """Translate a call of a scalar function: of this module, or of some others.

    Raises:
        QueryRefused: no such function is known here, or not with these arguments.
    """
    name = _ALIASES.get(name, name)
    handler = HANDLERS.get(name) or others.get(name)
    if handler is None and name not in SIGNATURES:
        known = [*SIGNATURES, *HANDLERS, *others, *aggregate_names()]
        raise QueryRefused(f"The function {name} is not known here.{advice(name, known)}")
    if handler is None:
        return _by_signature(translator, name, arguments)
    try:
        return handler(translator, arguments)
    except (ValueError, IndexError) as error:  # a handler unpacks its arguments
        raise QueryRefused(f"{name} is not known here with {len(arguments)} arguments.") from error


def _by_signature(translator: Translator, name: str, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    return _of_values(name, values)


def _of_values(name: str, values: Sequence[Value]) -> Value:
    if any(value.type.name == "real" for value in values):
        raise QueryRefused(f"{name} of a real is not known here: cast it to double.")
    for parameters, result, template in SIGNATURES[name]:
        bound = _bind(parameters, values)
        if bound is not None:
            parts = {key: type_.duckdb for key, type_ in bound.items()}
            coerced = [coerce(v, _fill(p, bound)).sql for v, p in zip(values, parameters, strict=True)]
            return Value(template.format(*coerced, blanks=_BLANKS, **parts), _fill(result, bound))
    spelled = ", ".join(str(value.type) for value in values)
    raise QueryRefused(f"{name} is not known here with arguments of the types ({spelled}).")


_MOST_ELEMENTS = 10_000
"""That sequence and repeat make on Athena."""


def _guarded(name: str, guard: Callable[[str, str, str], str], condition: str, why: str) -> Handler:
    """Return a function that has a signature, and fails or is refused where a condition holds."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        values = [translator.value(argument) for argument in arguments]
        value = _of_values(name, values)
        return replace(value, sql=guard(condition.format(*(v.sql for v in values)), why, value.sql))

    return handle


def _padded(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        types_ = (VARCHAR, BIGINT, VARCHAR)
        values = zip(map(translator.value, arguments), types_, strict=True)
        string, length, pad = (expect(value, type_, name).sql for value, type_ in values)
        few = f"CAST(CASE WHEN {length} <= {_MOST_ELEMENTS} THEN {length} END AS INTEGER)"
        many = f"{name} to more than {_MOST_ELEMENTS} is not known here"
        sql = refuse_if(f"{length} > {_MOST_ELEMENTS}", many, f"{name}({string}, {few}, {pad})")
        why = "A text is padded to a length of 0 or more, with a text that is not empty"
        return Value(fail_if(f"{length} < 0 OR {pad} = ''", why, sql), VARCHAR)

    return handle


_NO_JSON = r"""regexp_matches(regexp_replace({0}, '"(\\.|[^"\\])*"', '""', 'g'), ',\s*[\]}}]|(?i:nan|inf)')"""
"""A comma before a bracket, NaN and Infinity, which DuckDB lets pass."""
_IS_NOT_ASCII = "strlen({0}) <> length({0})"


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


def literal(node: exp.Expr, what: str) -> str:
    """Return the text of a character literal.

    Raises:
        QueryRefused: the node is something else.
    """
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise QueryRefused(f"{what} has to be a text in quotes here, not an expression.")


def unless_null(values: Sequence[Value], sql: str) -> str:
    """Return SQL that is NULL where one of the values is."""
    missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
    return f"(CASE WHEN {missing} THEN NULL ELSE {sql} END)"


def concatenate(a: Value, b: Value) -> Value:
    """Return `a || b`: of texts, of arrays, or of an array and an element."""
    if "array" in (a.type.name, b.type.name):
        if types.UNKNOWN in (a.type, b.type):
            raise QueryRefused("An array || NULL may mean two things: cast NULL to what it is.")
        if a.type.name != "array":
            a = Value(f"[{a.sql}]", array(a.type))
        if b.type.name != "array":
            b = Value(f"[{b.sql}]", array(b.type))
        (a, b), type_ = common([a, b], "||")
        return Value(f"({a.sql} || {b.sql})", type_)
    a, b = (_text_in_concat(value) for value in (a, b))
    return Value(f"({a.sql} || {b.sql})", VARCHAR)


def _text_in_concat(value: Value) -> Value:
    if not types.coerces(value.type, VARCHAR):
        raise QueryRefused(f"|| and concat want varchar, not {value.type}: write CAST(x AS varchar).")
    return coerce(value, VARCHAR)


def subscript(container: Value, key: Value) -> Value:
    """Return `container[key]`, which fails where there is no such element."""
    if container.type.name == "map":
        found = _from_map(container, key)
        key = expect(key, container.type.arguments[0], "The map's key")
        missing = f"NOT map_contains({container.sql}, {key.sql})"
        return Value(fail_if(missing, "Key not present in map", found.sql), found.type)
    if container.type.name == "array":
        index = expect(key, BIGINT, "The array's index")
        missing = f"{index.sql} < 1 OR {index.sql} > len({container.sql})"
        sql = fail_if(missing, "Array subscript out of bounds", f"list_extract({container.sql}, {index.sql})")
        return Value(sql, container.type.arguments[0])
    if container.type.name == "row" and re.fullmatch("[0-9]+", key.constant or ""):
        position = int(key.constant or 0)
        if 1 <= position <= len(container.type.arguments):
            return field(container, position - 1)
    raise QueryRefused(f"{container.type} has no element to take with [{key.sql}].")


def _from_map(container: Value, key: Value) -> Value:
    key_type, value_type = container.type.arguments
    key = expect(key, key_type, "The map's key")
    return Value(f"map_extract_value({container.sql}, {key.sql})", value_type)


def _element_at(translator: Translator, arguments: Arguments) -> Value:
    container, key = map(translator.value, arguments)
    if container.type.name == "map":
        return _from_map(container, key)
    if container.type.name != "array":
        raise QueryRefused(f"element_at wants an array or a map, not {container.type}.")
    index = expect(key, BIGINT, "element_at")
    sql = fail_if(
        f"{index.sql} = 0", "SQL array indices start at 1", f"list_extract({container.sql}, {index.sql})"
    )
    return Value(sql, container.type.arguments[0])


def _coalesce(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) < 2:
        raise ValueError
    values, type_ = common([translator.value(argument) for argument in arguments], "coalesce")
    return Value(f"coalesce({', '.join(value.sql for value in values)})", type_)


def _nullif(translator: Translator, arguments: Arguments) -> Value:
    a, b = map(translator.value, arguments)
    return Value(f"(CASE WHEN {comparison('=', a, b).sql} THEN NULL ELSE {a.sql} END)", a.type)


def _try(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    return attempt(value)


def _extreme(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        if not arguments:
            raise ValueError
        values, type_ = common([translator.value(argument) for argument in arguments], name)
        ensure_simple(type_, name)
        if name == "greatest":
            values = [without_nan(value, name) for value in values]
        sql = f"{name}({', '.join(value.sql for value in values)})"
        return Value(unless_null(values, sql), type_)  # DuckDB's ignores NULL

    return handle


def _typeof(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    if value.type.contains("varchar"):
        if value.constant is None:
            raise QueryRefused("typeof of a text is not known here: Trino counts its characters.")
        return Value(text(f"varchar({len(value.constant)})"), VARCHAR)
    return Value(text(str(value.type)), VARCHAR)


def _modulo(translator: Translator, arguments: Arguments) -> Value:
    a, b = arguments
    return translator.value(exp.Mod(this=a.copy(), expression=b.copy()))


def _whole(name: str, sql: str) -> Handler:
    """Round a decimal to a whole one; other numbers have a signature."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        values = [translator.value(argument) for argument in arguments]
        if len(values) == 1 and values[0].type.name == "decimal":
            precision, scale = values[0].type.precision, values[0].type.scale
            type_ = types.decimal(precision - scale + min(scale, 0 if name == "truncate" else 1), 0)
            return Value(f"CAST({sql.format(values[0].sql)} AS {type_.duckdb})", type_)
        if len(values) == 2 and name == "round" and values[0].type.name == "decimal":
            type_ = types.decimal(values[0].type.precision + 1, values[0].type.scale)
            places = expect(values[1], types.INTEGER, "round").sql
            return Value(f"CAST(round({coerce(values[0], type_).sql}, {places}) AS {type_.duckdb})", type_)
        return _of_values(name, values)

    return handle


def _reverse(translator: Translator, arguments: Arguments) -> Value:
    value = _by_signature(translator, "reverse", arguments)
    (of,) = map(translator.value, arguments)
    if value.type != VARCHAR:
        return value
    composed = f"length_grapheme({of.sql}) <> length({of.sql})"  # DuckDB keeps what looks like one character
    return replace(
        value, sql=refuse_if(composed, "reverse of composed characters is not known here", value.sql)
    )


def _random(translator: Translator, arguments: Arguments) -> Value:
    value = _by_signature(translator, "random", arguments)
    if not arguments:
        return value
    (bound,) = map(translator.value, arguments)
    return replace(value, sql=fail_if(f"{bound.sql} <= 0", "bound must be positive", value.sql))


def _concat(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) < 2:
        raise ValueError
    first, *others = map(translator.value, arguments)
    for other in others:
        first = concatenate(first, other)
    return first


def _concat_ws(translator: Translator, arguments: Arguments) -> Value:
    separator, *values = map(translator.value, arguments)
    separator = expect(separator, VARCHAR, "concat_ws")
    if len(values) == 1 and values[0].type == array(VARCHAR):
        return Value(f"array_to_string({values[0].sql}, {separator.sql})", VARCHAR)
    texts = ", ".join(expect(value, VARCHAR, "concat_ws").sql for value in values)
    return Value(f"concat_ws({separator.sql}, {texts})", VARCHAR)


def _substr(translator: Translator, arguments: Arguments) -> Value:
    string, start, *length = map(translator.value, arguments)
    string = expect(string, VARCHAR, "substr")
    start = expect(start, BIGINT, "substr")
    empty = [f"{start.sql} = 0", f"-{start.sql} > length({string.sql})"]
    sql = f"substr({string.sql}, {start.sql})"
    if length:
        (count,) = (expect(value, BIGINT, "substr") for value in length)
        empty.append(f"{count.sql} <= 0")
        sql = f"substr({string.sql}, {start.sql}, {count.sql})"
    return Value(f"(CASE WHEN {' OR '.join(empty)} THEN '' ELSE {sql} END)", VARCHAR)


def _strpos(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    if len(values) != 3:
        return _of_values("strpos", values)
    wanted = zip(values, (VARCHAR, VARCHAR, BIGINT), strict=True)
    string, part, instance = (expect(value, type_, "strpos").sql for value, type_ in wanted)
    starts = f"lambda p: starts_with(substr({string}, p), {part})"
    places = f"list_filter(generate_series(1, length({string})), {starts})"
    found = f"(CASE WHEN {part} = '' THEN 1 ELSE coalesce(list_extract({places}, {instance}), 0) END)"
    found = fail_if(f"{instance} = 0", "strpos: 'instance' must be a positive or negative number", found)
    return Value(unless_null(values, found), BIGINT)


def _split(translator: Translator, arguments: Arguments) -> Value:
    string, delimiter, *limits = map(translator.value, arguments)
    value = _of_values("split", [string, delimiter])
    empty, why = f"{delimiter.sql} = ''", "The delimiter may not be the empty string"
    if not limits:
        return replace(value, sql=fail_if(empty, why, value.sql))
    (limit,) = limits
    parts = fail_if(empty, why, value.sql)
    limit = expect(limit, BIGINT, "split")
    rest = f"array_to_string(list_slice({parts}, {limit.sql}, len({parts})), {delimiter.sql})"
    first = f"list_slice({parts}, 1, {limit.sql} - 1)"
    whole = f"(CASE WHEN len({parts}) <= {limit.sql} THEN {parts} ELSE {first} || [{rest}] END)"
    return Value(fail_if(f"{limit.sql} < 1", "Limit must be positive", whole), array(VARCHAR))


def _split_part(translator: Translator, arguments: Arguments) -> Value:
    string, delimiter, index = map(translator.value, arguments)
    string, delimiter = (expect(value, VARCHAR, "split_part") for value in (string, delimiter))
    index = expect(index, BIGINT, "split_part")
    part = f"list_extract({_of_values('split', [string, delimiter]).sql}, {index.sql})"
    return Value(fail_if(f"{index.sql} < 1", "Index must be greater than zero", part), VARCHAR)


_ODD_NUMBERS = r"\.[0-9]+0([^0-9]|$)|[0-9][eE][+-]?[0-9]|[0-9]{8,}\.|(^|[^0-9])0\.000"
"""Numbers in JSON that DuckDB may write otherwise than Java."""


def _json_format(translator: Translator, arguments: Arguments) -> Value:
    (json,) = map(translator.value, arguments)
    json = expect(json, JSON, "json_format")
    written = f"CAST({json.sql} AS VARCHAR)"
    # Trino sorts the keys of every object; here, only those of the outermost one can be looked at.
    nested = f"contains(substr({written}, 2), '{{')"
    keys = f"json_keys({json.sql})"
    mixed = f"json_type({json.sql}) = 'OBJECT' AND {keys} <> list_sort(list_distinct({keys}))"
    why = "Athena would sort these keys: take the values out with json_extract_scalar"
    odd = f"regexp_matches({written}, {text(_ODD_NUMBERS)})"
    sql = refuse_if(odd, "Athena may write these numbers otherwise: take them out with CAST", written)
    return Value(refuse_if(f"{nested} OR ({mixed})", why, sql), VARCHAR)


def _width_bucket(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    x = expect(values[0], DOUBLE, "width_bucket").sql
    if len(values) == 2:
        bins = expect(values[1], array(DOUBLE), "width_bucket").sql
        bucket = f"len(list_filter({bins}, lambda b: b <= {x}))"
        unsorted = f"len({bins}) <> list_count({bins}) OR {bins} <> list_sort({bins})"
        bad = f"len({bins}) = 0 OR isnan({x}) OR {unsorted}"
        bucket = unless_null(values, bucket)
        return Value(fail_if(bad, "Bins cannot be an empty array, and are sorted", bucket), BIGINT)
    low, high = (expect(value, DOUBLE, "width_bucket").sql for value in values[1:3])
    count = expect(values[3], BIGINT, "width_bucket").sql
    least, most = f"least({low}, {high})", f"greatest({low}, {high})"
    bucket = (
        f"(CASE WHEN {x} < {least} THEN 0 WHEN {x} >= {most} THEN {count} + 1 "
        f"ELSE CAST(trunc({count} * ({x} - {least}) / ({most} - {least}) + 1) AS BIGINT) END)"
    )
    bad = f"{count} < 1 OR isnan({x}) OR {low} = {high}"
    bucket = f"(CASE WHEN {low} > {high} THEN {count} - {bucket} + 1 ELSE {bucket} END)"
    nulls = [*values[:3], values[3]]
    return Value(fail_if(bad, "width_bucket: bad bounds or bucket count", unless_null(nulls, bucket)), BIGINT)


def _wilson(sign: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        k, n, z = (expect(translator.value(node), DOUBLE, "wilson_interval").sql for node in arguments)
        spread = f"{z} * sqrt({k} / {n} * (1 - {k} / {n}) / {n} + {z} * {z} / (4 * {n} * {n}))"
        return Value(f"(({k} / {n} + {z} * {z} / (2 * {n}) {sign} {spread}) / (1 + {z} * {z} / {n}))", DOUBLE)

    return handle


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
            raise QueryRefused(f"format({form!r}) has more directives than arguments, or one not known here.")
        pieces.append("'%'" if found[1] else _formatted(found, values.pop(0)))
    pieces.append(text(form[end:]))
    if values or "%" in _DIRECTIVE.sub("", form):
        raise QueryRefused(f"format({form!r}) is not known here: use %s, %d and %.2f, one for each argument.")
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
        string = cast(string, VARCHAR) if string.type.name == "date" else string
        string = Value(as_java_writes(string.sql), VARCHAR) if string.type == DOUBLE else string
        sql = f"printf('%{left}{width}s', {expect(string, VARCHAR, '%s in format()').sql})"
    else:
        raise QueryRefused(f"format() with {found[0]} for {value.type} is not known here.")
    return f"coalesce({sql}, 'null')"


_MOST_PLACES = 18


def _with_places(value: Value, places: int, comma: str, filled: int) -> str:
    """Return a number with so many places after its point, and with zeros before it.

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
    return refuse_if(
        too_large, "format() of NaN or of such a number is not known here", f"({sign} || {size})"
    )


@dataclass(frozen=True)
class _Pattern:
    """A regular expression that RE2, which DuckDB has, reads as Java does."""

    sql: str
    groups: int
    string: str
    """The SQL of what is looked through."""

    def guarded(self, sql: str, *, repeated: bool = False) -> str:
        """Return SQL that is refused for the texts in which the two would find something else."""
        if repeated:
            empty = f"regexp_full_match('', {self.sql})"
            sql = refuse_if(empty, "A regular expression that matches nothing at all is not known here", sql)
        if self._has(r"\\[dDwWsSbB]"):
            other = f"regexp_matches({self.string}, '[^\\x00-\\x0a\\x0c-\\x7f]')"
            sql = refuse_if(other, "\\w, \\d, \\s and \\b beyond ASCII are not known here", sql)
        if self._has(r"\$"):
            ends = f"ends_with({self.string}, chr(10))"
            sql = refuse_if(ends, "$ before a line feed at the end of a text is not known here", sql)
        return sql

    def _has(self, part: str) -> bool:
        return re.search(part, self.sql) is not None


_CLASS = re.compile(r"\[[^\]]*\]")
_UNLIKE = re.compile(r"\(\?(?!:|[ims]+[:)])|[*+?}]\+|\{,")
"""Look-around, names, possessive quantifiers, other flags and `{,n}`: not in RE2, or something else there."""


def _pattern(string: Value, node: exp.Expr, where: str) -> _Pattern:
    form = literal(node, "A regular expression")
    bare = re.sub(r"\\.", "_", form, flags=re.DOTALL)
    outside = _CLASS.sub("_", bare)
    if (
        re.search(r"\\[^dDwWsSbBntrfpPxzAQE\W]", form)
        or re.search(r"\[\^?\]", bare)
        or any("[" in inside[1:] or "&&" in inside for inside in _CLASS.findall(bare))
        or _UNLIKE.search(outside)
    ):
        raise QueryRefused(f"The regular expression {form!r} uses more than both engines read alike.")
    if _repeats_nothing(form):
        raise QueryRefused(
            f"The regular expression {form!r} repeats a group that may be empty, which is not known here."
        )
    groups = len(re.findall(r"\((?!\?)", outside))
    return _Pattern(text(form), groups, expect(string, VARCHAR, where).sql)


def _repeats_nothing(form: str) -> bool:
    """Whether a group that may be empty is repeated, as `(a*)+`: engines end that differently."""
    bare = _bare_in_place(form)
    opened: list[int] = []
    for place, character in enumerate(bare):
        if character == "(":
            opened.append(place)
        elif character == ")" and opened:
            group = form[opened.pop() : place + 1]
            try:
                if bare[place + 1 : place + 2] in ("*", "+", "{") and re.fullmatch(group, ""):
                    return True
            except re.error:  # it has something in it that Python's has not
                return True
    return False


def _bare_in_place(form: str) -> str:
    """Return a regular expression with `_` for what is escaped or within brackets, as long as it is."""
    return _CLASS.sub(lambda found: "_" * len(found[0]), re.sub(r"\\.", "__", form, flags=re.DOTALL))


def _regexp_like(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_like")
    return Value(pattern.guarded(f"regexp_matches({pattern.string}, {pattern.sql})"), BOOLEAN)


def _regexp_extract(translator: Translator, arguments: Arguments) -> Value:
    pattern = _pattern(translator.value(arguments[0]), arguments[1], "regexp_extract")
    found = f"regexp_extract({pattern.string}, {pattern.sql}, {_group(pattern, arguments)})"
    sql = f"(CASE WHEN regexp_matches({pattern.string}, {pattern.sql}) THEN {found} END)"
    return Value(pattern.guarded(sql), VARCHAR)


def _regexp_extract_all(translator: Translator, arguments: Arguments) -> Value:
    pattern = _pattern(translator.value(arguments[0]), arguments[1], "regexp_extract_all")
    sql = f"regexp_extract_all({pattern.string}, {pattern.sql}, {_group(pattern, arguments)})"
    return Value(pattern.guarded(sql, repeated=True), array(VARCHAR))


def _group(pattern: _Pattern, arguments: Arguments) -> int:
    if len(arguments) == 2:
        return 0
    if not isinstance(arguments[2], exp.Literal) or not arguments[2].this.isdecimal():
        raise QueryRefused("The group of a regular expression has to be a number here.")
    group = int(arguments[2].this)
    if group > pattern.groups:
        raise QueryRefused(f"The regular expression {pattern.sql} has no group {group}.")
    if group and group in _optional_groups(pattern.sql[1:-1]):
        raise QueryRefused(
            f"A group of {pattern.sql} may take no part in a match: NULL on Athena, empty here."
        )
    return group


def _optional_groups(form: str) -> set[int]:
    """Return the numbers of a regular expression's groups that may take no part in a match."""
    bare = _bare_in_place(form)
    optional: set[int] = set()
    opened: list[tuple[int, set[int]]] = [(0, set())]
    """Of each group that is open: its number, and those of all groups within it."""
    choices = [False]
    groups = 0
    for place, character in enumerate(bare):
        if character == "(":
            captures = not bare.startswith("(?", place)
            groups += captures
            opened.append((groups if captures else 0, set()))
            choices.append(False)
        elif character == "|":
            choices[-1] = True
        elif character == ")" and len(opened) > 1:
            number, within = opened.pop()
            if choices.pop():
                optional |= within
            within |= {number} - {0}
            if re.match(r"\)([?*]|\{0)", bare[place:]):
                optional |= within
            opened[-1][1].update(within)
    return optional | (opened[0][1] if choices[0] else set())


def _regexp_replace(translator: Translator, arguments: Arguments) -> Value:
    string, node, *new = arguments
    pattern = _pattern(translator.value(string), node, "regexp_replace")
    replacement = literal(new[0], "What regexp_replace puts in") if new else ""
    if re.search(r"\\|\$(?!\d)|\$\d\d", replacement):
        raise QueryRefused(f"regexp_replace with {replacement!r} is not known here: use $1 to $9.")
    if any(int(group) > pattern.groups for group in re.findall(r"\$(\d)", replacement)):
        raise QueryRefused(f"The regular expression {pattern.sql} has fewer groups than {replacement!r}.")
    replacement = re.sub(r"\$(\d)", r"\\\1", replacement)
    sql = f"regexp_replace({pattern.string}, {pattern.sql}, {text(replacement)}, 'g')"
    return Value(pattern.guarded(sql, repeated=True), VARCHAR)


def _regexp_split(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_split")
    sql = f"string_split_regex({pattern.string}, {pattern.sql})"
    return Value(pattern.guarded(sql, repeated=True), array(VARCHAR))


def _regexp_count(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_count")
    sql = f"len(regexp_extract_all({pattern.string}, {pattern.sql}))"
    return Value(pattern.guarded(sql, repeated=True), BIGINT)


_JSON_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d+)\]|\["([^"\\]*)"\]""")


def _json(translator: Translator, arguments: Arguments) -> tuple[str, str]:
    document, node = arguments
    value = translator.value(document)
    sql = (
        value.sql if value.type == JSON else f"TRY_CAST({expect(value, VARCHAR, 'json_extract').sql} AS JSON)"
    )
    path = literal(node, "A JSON path")
    steps = list(_JSON_STEP.finditer(path, 1))
    if not path.startswith("$") or "".join(step[0] for step in steps) != path[1:]:
        raise QueryRefused(f'The JSON path {path} is not known here: use $.name, [0] and ["name"].')
    keys = [f"[{step[2]}]" if step[2] else f'."{step[1] or step[3]}"' for step in steps]
    return sql, text("$" + "".join(keys))


def _json_array_length(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    sql = f"TRY_CAST({value.sql} AS JSON)" if value.type == VARCHAR else expect(value, JSON, "an array").sql
    length = f"CAST(json_array_length({sql}) AS BIGINT)"
    return Value(f"(CASE json_type({sql}) WHEN 'ARRAY' THEN {length} END)", BIGINT)


def _json_extract(translator: Translator, arguments: Arguments) -> Value:
    sql, path = _json(translator, arguments)
    return Value(f"json_extract({sql}, {path})", JSON)


def _json_extract_scalar(translator: Translator, arguments: Arguments) -> Value:
    sql, path = _json(translator, arguments)
    nested = f"json_type({sql}, {path}) IN ('OBJECT', 'ARRAY', 'NULL')"
    odd_number = text(_ODD_NUMBERS)
    document, number = f"CAST({sql} AS VARCHAR)", f"json_extract_string({sql}, {path})"
    rewritten = f"regexp_matches({document}, {odd_number}) OR NOT contains({document}, {number})"
    found = refuse_if(
        f"json_type({sql}, {path}) = 'DOUBLE' AND ({rewritten})",
        "Athena may write this number otherwise: use CAST(json_extract(...) AS double)",
        number,
    )
    return Value(f"(CASE WHEN {nested} THEN NULL ELSE {found} END)", VARCHAR)


def _array(value: Value, where: str) -> tuple[str, Type]:
    if value.type.name != "array":
        raise QueryRefused(f"{where} wants an array, not {value.type}.")
    return value.sql, value.type.arguments[0]


def _same_arrays(translator: Translator, arguments: Arguments, where: str) -> tuple[list[Value], Type]:
    values, type_ = common([translator.value(argument) for argument in arguments], where)
    _array(values[0], where)
    ensure_distinct(type_, where)
    return values, type_


def _with_element(translator: Translator, arguments: Arguments, where: str) -> tuple[str, str, Type]:
    container, element = map(translator.value, arguments)
    _array(container, where)
    (container, _), type_ = common([container, Value(f"[{element.sql}]", array(element.type))], where)
    ensure_simple(type_.arguments[0], where)
    return container.sql, without_nan(coerce(element, type_.arguments[0]), where).sql, type_


def _distinct(translator: Translator, sql: str, type_: Type) -> str:
    element = translator.parameter(type_.arguments[0]).sql
    first = f"list_position({sql}, {element}) = {element}i"
    return f"list_filter({sql}, lambda {element}, {element}i: {first})"


def _array_distinct(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    _array(value, "array_distinct")
    ensure_distinct(value.type, "array_distinct")
    return Value(_distinct(translator, value.sql, value.type), value.type)


def _array_union(translator: Translator, arguments: Arguments) -> Value:
    (a, b), type_ = _same_arrays(translator, arguments, "array_union")
    return Value(_distinct(translator, f"({a.sql} || {b.sql})", type_), type_)


def _array_filtered(name: str, condition: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        (a, b), type_ = _same_arrays(translator, arguments, name)
        element = translator.parameter(type_.arguments[0]).sql
        kept = f"list_filter({a.sql}, lambda {element}: list_position({b.sql}, {element}) {condition})"
        return Value(unless_null([b], _distinct(translator, kept, type_)), type_)

    return handle


def _arrays_overlap(translator: Translator, arguments: Arguments) -> Value:
    (a, b), type_ = _same_arrays(translator, arguments, "arrays_overlap")
    ensure_simple(type_.arguments[0], "arrays_overlap")
    unknown = f"len({a.sql}) <> list_count({a.sql}) OR len({b.sql}) <> list_count({b.sql})"
    element = translator.parameter(type_.arguments[0]).sql
    shared = f"list_filter({a.sql}, lambda {element}: list_contains({b.sql}, {element}))"
    if type_.arguments[0].is_floating:
        shared = refuse_if(
            f"list_contains({a.sql}, 'nan')", "arrays_overlap of NaN is not known here", shared
        )
    overlap = f"(CASE WHEN len({shared}) > 0 THEN TRUE WHEN {unknown} THEN NULL ELSE FALSE END)"
    return Value(unless_null([a, b], overlap), BOOLEAN)


def _contains(translator: Translator, arguments: Arguments) -> Value:
    container, element, _ = _with_element(translator, arguments, "contains")
    return Value(
        f"(CASE WHEN {container} IS NULL OR {element} IS NULL THEN NULL "
        f"WHEN list_contains({container}, {element}) THEN TRUE "
        f"WHEN len({container}) <> list_count({container}) THEN NULL ELSE FALSE END)",
        BOOLEAN,
    )


def _of_sorted(name: str) -> Handler:
    """Return a function of an array's order, which has a signature."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        (container,) = map(translator.value, arguments)
        value = _of_values(name, [container])
        element = _array(container, name)[1]
        ensure_simple(element, name)
        if name == "array_max" and element.is_floating:
            why = "array_max of NaN is not known here"
            return replace(value, sql=refuse_if(f"list_contains({container.sql}, 'nan')", why, value.sql))
        return value

    return handle


_MOST_COMPARED = 1000
"""Elements that array_sort compares by a function: each is compared with each."""


def _array_sort(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) == 1:
        return _of_sorted("array_sort")(translator, arguments)
    container, function = arguments
    value = translator.value(container)
    type_ = _array(value, "array_sort")[1]
    sorted_, new, old = (
        translator.parameter(of, role) for of, role in ((value.type, "s"), (type_, "x"), (type_, "y"))
    )
    order, reverse = (
        expect(translator.apply(function, *pair), types.INTEGER, "array_sort's function").sql
        for pair in ((old, new), (new, old))
    )
    order = fail_if(
        f"{order} NOT IN (-1, 0, 1) OR {order} IS NULL",
        "A function for array_sort must return -1, 0 or 1",
        order,
    )
    undecided = f"{order} + {reverse} <> 0 AND {old.sql} IS DISTINCT FROM {new.sql}"
    why = (
        "The order is not known here of two elements that the function for array_sort puts before each other"
    )
    kept = [
        f"list_filter({sorted_.sql}, lambda {old.sql}: {test})"
        for test in (refuse_if(undecided, why, f"{order} <= 0"), f"{order} > 0")
    ]
    merged = f"{kept[0]} || [{new.sql}] || {kept[1]}"
    nothing = f"CAST([] AS {value.type.duckdb})"
    sql = f"list_reduce({value.sql}, lambda {sorted_.sql}, {new.sql}: {merged}, {nothing})"
    many = f"array_sort of more than {_MOST_COMPARED} elements by a function is not known here"
    return Value(refuse_if(f"len({value.sql}) > {_MOST_COMPARED}", many, sql), value.type)


def _array_position(translator: Translator, arguments: Arguments) -> Value:
    container, element, _ = _with_element(translator, arguments, "array_position")
    position = f"coalesce(list_position({container}, {element}), 0)"
    return Value(
        f"(CASE WHEN {container} IS NOT NULL AND {element} IS NOT NULL THEN CAST({position} AS BIGINT) END)",
        BIGINT,
    )


def _array_remove(translator: Translator, arguments: Arguments) -> Value:
    container, element, type_ = _with_element(translator, arguments, "array_remove")
    other = translator.parameter(type_.arguments[0]).sql
    kept = f"list_filter({container}, lambda {other}: {other} IS DISTINCT FROM {element})"
    return Value(f"(CASE WHEN {element} IS NOT NULL THEN {kept} END)", type_)


def _array_join(translator: Translator, arguments: Arguments) -> Value:
    sql, element = _array(translator.value(arguments[0]), "array_join")
    separator, *replacement = (
        expect(translator.value(node), VARCHAR, "array_join").sql for node in arguments[1:]
    )
    parameter = translator.parameter(element)
    string = cast(parameter, VARCHAR).sql
    if replacement:
        string = f"coalesce({string}, {replacement[0]})"
    texts = f"list_transform({sql}, lambda {parameter.sql}: {string})"
    given = " AND ".join(f"{part} IS NOT NULL" for part in (separator, *replacement))
    joined = f"(CASE WHEN {given} THEN array_to_string({texts}, {separator}) END)"
    return Value(joined, VARCHAR)


def _slice(translator: Translator, arguments: Arguments) -> Value:
    container, start, length = map(translator.value, arguments)
    sql, _ = _array(container, "slice")
    first, count = (expect(value, BIGINT, "slice").sql for value in (start, length))
    first = f"(CASE WHEN {first} < 0 THEN len({sql}) + {first} + 1 ELSE {first} END)"
    part = f"list_slice({sql}, {first}, {first} + {count} - 1)"
    part = f"(CASE WHEN {first} < 1 THEN list_slice({sql}, 2, 1) ELSE {part} END)"
    return Value(
        fail_if(f"{start.sql} = 0 OR {count} < 0", "slice: start is 0 or length negative", part),
        container.type,
    )


def _sequence(translator: Translator, arguments: Arguments) -> Value:
    start, stop, *steps = map(translator.value, arguments)
    (start, stop), type_ = common([start, stop], "sequence")
    if type_.is_integer:
        start, stop = coerce(start, BIGINT), coerce(stop, BIGINT)
        step = expect(steps[0], BIGINT, "sequence").sql if steps else None
        type_ = BIGINT
        backwards = f"sign({stop.sql} - {start.sql}) * sign({step}) < 0 OR {step} = 0"
        default = f"(CASE WHEN {start.sql} <= {stop.sql} THEN 1 ELSE -1 END)"
        taken = f"abs(CAST({stop.sql} AS HUGEINT) - {start.sql}) // abs({step or 1})"
        ends = [start.sql, stop.sql]
    elif type_.name in ("date", "timestamp"):
        if not steps and type_.name == "timestamp":
            raise QueryRefused("sequence of timestamps wants a step, as an interval.")
        if steps and steps[0].type == types.YEAR_TO_MONTH:
            return _months(start, stop, steps[0])
        if steps:
            expect(steps[0], types.DAY_TO_SECOND, "sequence's step")
        step = steps[0].sql if steps else None
        default = f"to_days(CASE WHEN {start.sql} <= {stop.sql} THEN 1 ELSE -1 END)"
        backwards = f"epoch_ms({step}) = 0 OR (epoch_ms({step}) > 0) <> ({start.sql} <= {stop.sql})"
        ends = [f"CAST({value.sql} AS TIMESTAMP)" for value in (start, stop)]
        step_ms = f"abs(epoch_ms({step}))" if step else "86400000"
        taken = f"abs(epoch_ms({ends[1]}) - epoch_ms({ends[0]})) // {step_ms}"
    else:
        raise QueryRefused(f"sequence of {type_} is not known here.")
    many = f"{taken} >= {_MOST_ELEMENTS}"
    end = f"(CASE WHEN {many} THEN NULL ELSE {ends[1]} END)"
    sql = f"CAST(generate_series({ends[0]}, {end}, {step or default}) AS {type_.duckdb}[])"
    sql = fail_if(many, f"result of sequence function must not have more than {_MOST_ELEMENTS} entries", sql)
    if step:
        backwards = f"({backwards}) AND {start.sql} <> {stop.sql}"
        sql = fail_if(backwards, "sequence stop value should be on the step's side of the start value", sql)
    return Value(sql, array(type_))


def _months(start: Value, stop: Value, step: Value) -> Value:
    """Return the moments that are whole steps of months after the start: each counts from there."""
    months = f"(CAST(year({step.sql}) AS BIGINT) * 12 + month({step.sql}))"
    backwards = (
        f"{months} = 0 OR ({start.sql} <> {stop.sql} AND ({months} > 0) <> ({start.sql} < {stop.sql}))"
    )
    count = f"date_sub('month', {start.sql}, {stop.sql}) // {months}"
    many = f"{count} >= {_MOST_ELEMENTS}"
    moved = f"CAST({start.sql} + to_months(CAST(i * {months} AS INTEGER)) AS {start.type.duckdb})"
    sql = f"list_transform(generate_series(0, CASE WHEN NOT ({many}) THEN {count} END), lambda i: {moved})"
    sql = fail_if(many, f"result of sequence function must not have more than {_MOST_ELEMENTS} entries", sql)
    why = "sequence stop value should be on the step's side of the start value"
    return Value(fail_if(backwards, why, sql), array(start.type))


def _split_to_map(translator: Translator, arguments: Arguments) -> Value:
    string, *delimiters = arguments
    entry, pair = (literal(node, "A delimiter of split_to_map") for node in delimiters)
    if not entry or not pair or entry == pair:
        raise QueryRefused("split_to_map wants two different delimiters.")
    sql = expect(translator.value(string), VARCHAR, "split_to_map").sql
    x = translator.parameter(VARCHAR).sql
    parts = f"string_split({x}, {text(pair)})"
    entries = f"list_filter(string_split({sql}, {text(entry)}), lambda {x}: {x} <> '')"
    bad = f"len(list_filter({entries}, lambda {x}: len({parts}) <> 2)) > 0"
    made = f"map_from_entries(list_transform({entries}, lambda {x}: {{'k': {parts}[1], 'v': {parts}[2]}}))"
    why = "Key-value delimiter must appear exactly once in each entry"
    return Value(fail_if(bad, why, made), map_of(VARCHAR, VARCHAR))


def _zip(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    elements = [_array(value, "zip")[1] for value in values]
    type_ = row(elements, [None] * len(elements))
    zipped = translator.parameter(type_).sql
    fields = struct([f"{zipped}[{index}]" for index in range(1, len(values) + 1)], type_)
    lists = ", ".join(value.sql for value in values)
    sql = f"list_transform(list_zip({lists}), lambda {zipped}: {fields})"
    return Value(unless_null(values, sql), array(type_))


def _zip_with(translator: Translator, arguments: Arguments) -> Value:
    a, b = map(translator.value, arguments[:2])
    zipped = translator.parameter(BOOLEAN).sql
    pair = [Value(f"{zipped}[{i + 1}]", _array(value, "zip_with")[1]) for i, value in enumerate((a, b))]
    body = translator.apply(arguments[2], *pair)
    sql = f"list_transform(list_zip({a.sql}, {b.sql}), lambda {zipped}: {body.sql})"
    return Value(unless_null([a, b], sql), array(body.type))


def _mapped(translator: Translator, arguments: Arguments, where: str) -> tuple[str, Value, str]:
    container, function = arguments
    sql, type_ = _array(translator.value(container), where)
    element = translator.parameter(type_)
    body = translator.apply(function, element)
    return sql, body, f"lambda {element.sql}: {body.sql}"


def _transform(translator: Translator, arguments: Arguments) -> Value:
    sql, body, function = _mapped(translator, arguments, "transform")
    return Value(f"list_transform({sql}, {function})", array(body.type))


def _filter(translator: Translator, arguments: Arguments) -> Value:
    sql, body, function = _mapped(translator, arguments, "filter")
    expect(body, BOOLEAN, "filter")
    return Value(f"list_filter({sql}, {function})", translator.value(arguments[0]).type)


def _match_elements(name: str, decisive: str, decided: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        sql, body, function = _mapped(translator, arguments, name)
        expect(body, BOOLEAN, name)
        answers = f"list_transform({sql}, {function})"
        return Value(
            f"(CASE WHEN {sql} IS NULL THEN NULL WHEN list_contains({answers}, {decisive}) THEN {decided} "
            f"WHEN len({answers}) <> list_count({answers}) THEN NULL ELSE NOT {decided} END)",
            BOOLEAN,
        )

    return handle


def _reduce(translator: Translator, arguments: Arguments) -> Value:
    container, start, step, finish = arguments
    value = translator.value(container)
    reduced = fold(translator, value, start, step, "reduce")
    end = translator.parameter(reduced.type)
    last = translator.apply(finish, end)
    finished = f"list_extract(list_transform([{reduced.sql}], lambda {end.sql}: {last.sql}), 1)"
    return Value(f"(CASE WHEN {value.sql} IS NOT NULL THEN {finished} END)", last.type)


def fold(translator: Translator, container: Value, start: exp.Expr, step: exp.Expr, where: str) -> Value:
    """Return what a function makes of a start and one element of an array after the other.

    Raises:
        QueryRefused: the function returns another type than the start's.
    """
    sql, type_ = _array(container, where)
    first = translator.value(start)
    state, element = translator.parameter(first.type, "s"), translator.parameter(type_)
    body = translator.apply(step, state, element)
    if not types.coerces(body.type, first.type):
        raise QueryRefused(
            f"{where} starts with {first.type} and goes on with {body.type}: cast the start to {body.type}."
        )
    initial = f"CAST({first.sql} AS {first.type.duckdb})"
    function = f"lambda {state.sql}, {element.sql}: {coerce(body, first.type).sql}"
    return Value(f"list_reduce({sql}, {function}, {initial})", first.type)


def _map(translator: Translator, arguments: Arguments) -> Value:
    if not arguments:
        return Value("MAP([], [])", map_of(types.UNKNOWN, types.UNKNOWN))
    keys, values = map(translator.value, arguments)
    type_ = map_of(_array(keys, "map")[1], _array(values, "map")[1])
    return Value(f"CAST(MAP({keys.sql}, {values.sql}) AS {type_.duckdb})", type_)


def _map_of(value: Value, where: str) -> tuple[Type, Type]:
    if value.type.name != "map":
        raise QueryRefused(f"{where} wants a map, not {value.type}.")
    key, item = value.type.arguments
    return key, item


def _map_from_entries(translator: Translator, arguments: Arguments) -> Value:
    (entries,) = map(translator.value, arguments)
    _, type_ = _array(entries, "map_from_entries")
    if type_.name != "row" or len(type_.arguments) != 2:
        raise QueryRefused(f"map_from_entries wants an array of rows of two, not {entries.type}.")
    return Value(f"map_from_entries({entries.sql})", map_of(*type_.arguments))


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


def row_of(values: Sequence[Value]) -> Value:
    """Return `ROW(a, b)`, whose fields have no names."""
    type_ = row([value.type for value in values], [None] * len(values))
    return Value(struct([value.sql for value in values], type_), type_)


def _row(translator: Translator, arguments: Arguments) -> Value:
    return row_of([translator.value(argument) for argument in arguments])


HANDLERS: dict[str, Handler] = {
    "%": _modulo,
    "array_max": _of_sorted("array_max"),
    "array_min": _of_sorted("array_min"),
    "array_sort": _array_sort,
    "codepoint": _guarded("codepoint", fail_if, "length({0}) <> 1", "codepoint wants one character"),
    "from_hex": _guarded(
        "from_hex", fail_if, "length({0}) % 2 = 1", "from_hex wants two digits for each byte"
    ),
    "json_parse": _guarded("json_parse", fail_if, _NO_JSON, "A text cannot be converted to JSON"),
    "hamming_distance": _guarded(
        "hamming_distance",
        refuse_if,
        f"{_IS_NOT_ASCII} OR {_IS_NOT_ASCII.replace('0', '1')}",
        "hamming_distance beyond ASCII is not known here",
    ),
    "levenshtein_distance": _guarded(
        "levenshtein_distance",
        refuse_if,
        f"{_IS_NOT_ASCII} OR {_IS_NOT_ASCII.replace('0', '1')}",
        "levenshtein_distance beyond ASCII is not known here",
    ),
    "lpad": _padded("lpad"),
    "rpad": _padded("rpad"),
    "repeat": _guarded(
        "repeat",
        fail_if,
        f"{{1}} < 0 OR {{1}} > {_MOST_ELEMENTS}",
        f"repeat makes 0 to {_MOST_ELEMENTS} elements",
    ),
    "replace": _guarded("replace", refuse_if, "{1} = ''", "replace of the empty text is not known here"),
    "random": _random,
    "reverse": _reverse,
    "split_to_map": _split_to_map,
    "trim_array": _guarded(
        "trim_array", fail_if, "{1} < 0 OR {1} > len({0})", "size must be 0 to the length"
    ),
    "upper": _guarded("upper", refuse_if, "contains({0}, 'ß')", "upper of ß is not known here"),
    "array_distinct": _array_distinct,
    "array_except": _array_filtered("array_except", "IS NULL"),
    "array_intersect": _array_filtered("array_intersect", "IS NOT NULL"),
    "array_join": _array_join,
    "array_position": _array_position,
    "array_remove": _array_remove,
    "array_union": _array_union,
    "arrays_overlap": _arrays_overlap,
    "all_match": _match_elements("all_match", "FALSE", "FALSE"),
    "any_match": _match_elements("any_match", "TRUE", "TRUE"),
    "none_match": _match_elements("none_match", "TRUE", "FALSE"),
    "ceil": _whole("ceil", "ceil({0})"),
    "floor": _whole("floor", "floor({0})"),
    "round": _whole("round", "round({0})"),
    "truncate": _whole("truncate", "trunc({0})"),
    "coalesce": _coalesce,
    "concat": _concat,
    "concat_ws": _concat_ws,
    "contains": _contains,
    "element_at": _element_at,
    "filter": _filter,
    "format": _format,
    "greatest": _extreme("greatest"),
    "json_array_length": _json_array_length,
    "json_extract": _json_extract,
    "json_extract_scalar": _json_extract_scalar,
    "least": _extreme("least"),
    "map": _map,
    "map_concat": _map_concat,
    "map_entries": _map_entries,
    "map_filter": _map_filter,
    "map_from_entries": _map_from_entries,
    "nullif": _nullif,
    "reduce": _reduce,
    "regexp_count": _regexp_count,
    "regexp_extract": _regexp_extract,
    "regexp_extract_all": _regexp_extract_all,
    "regexp_like": _regexp_like,
    "regexp_replace": _regexp_replace,
    "regexp_split": _regexp_split,
    "row": _row,
    "sequence": _sequence,
    "slice": _slice,
    "split": _split,
    "strpos": _strpos,
    "json_format": _json_format,
    "split_part": _split_part,
    "substr": _substr,
    "substring": _substr,
    "transform": _transform,
    "transform_keys": _transform_keys,
    "transform_values": _transform_values,
    "try": _try,
    "typeof": _typeof,
    "width_bucket": _width_bucket,
    "wilson_interval_lower": _wilson("-"),
    "wilson_interval_upper": _wilson("+"),
    "zip": _zip,
    "zip_with": _zip_with,
}
