"""Functions of arrays."""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from localathena import types
from localathena.casts import cast
from localathena.comparisons import distinct
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, unless_null
from localathena.functions.signatures import MOST_ELEMENTS, guarded, of_values
from localathena.sql import Value, fail_if, in_python, refuse_if, struct
from localathena.types import BIGINT, BOOLEAN, VARCHAR, Type, array, row
from localathena.values import coerce, common, ensure_simple, expect


def array_of(value: Value, where: str) -> tuple[str, Type]:
    """Return the SQL of an array and the type of its elements.

    Raises:
        QueryRefused: the value is not an array.
    """
    if value.type.name != "array":
        raise QueryRefused(f"{where} needs an array, not {value.type}.")
    return value.sql, value.type.arguments[0]


def _same_arrays(translator: Translator, arguments: Arguments, where: str) -> tuple[list[Value], Type]:
    values, type_ = common([translator.value(argument) for argument in arguments], where)
    array_of(values[0], where)
    return [distinct(value) for value in values], type_


def _with_element(translator: Translator, arguments: Arguments, where: str) -> tuple[str, str, Type]:
    container, element = map(translator.value, arguments)
    array_of(container, where)
    (container, _), type_ = common([container, Value(f"[{element.sql}]", array(element.type))], where)
    ensure_simple(type_.arguments[0], where)
    return container.sql, coerce(element, type_.arguments[0]).sql, type_


def _unless_nan(element: str, type_: Type, found: str, otherwise: str) -> str:
    """Return what a function finds, unless it looks for NaN, which equals nothing."""
    return f"(CASE WHEN isnan({element}) THEN {otherwise} ELSE {found} END)" if type_.is_floating else found


def _distinct(translator: Translator, sql: str, type_: Type) -> str:
    element = translator.parameter(type_.arguments[0]).sql
    first = f"list_position({sql}, {element}) = {element}i"
    return f"list_filter({sql}, lambda {element}, {element}i: {first})"


def _array_distinct(translator: Translator, arguments: Arguments) -> Value:
    (value,) = map(translator.value, arguments)
    array_of(value, "array_distinct")
    value = distinct(value)
    return Value(_distinct(translator, value.sql, value.type), value.type)


def _array_union(translator: Translator, arguments: Arguments) -> Value:
    (a, b), type_ = _same_arrays(translator, arguments, "array_union")
    return Value(_distinct(translator, f"({a.sql} || {b.sql})", type_), type_)


def _array_filtered(name: str, condition: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        (a, b), type_ = _same_arrays(translator, arguments, name)
        element = translator.parameter(type_.arguments[0]).sql

        def kept(a: str, b: str) -> str:
            found = f"list_filter({a}, lambda {element}: list_position({b}, {element}) {condition})"
            return _distinct(translator, found, type_)

        sql = kept(a.sql, b.sql)
        if name == "array_intersect":  # its elements are in the order of the longer array
            sql = f"(CASE WHEN len({a.sql}) < len({b.sql}) THEN {kept(b.sql, a.sql)} ELSE {sql} END)"
        return Value(unless_null([b], sql), type_)

    return handle


def _arrays_overlap(translator: Translator, arguments: Arguments) -> Value:
    (a, b), type_ = _same_arrays(translator, arguments, "arrays_overlap")
    ensure_simple(type_.arguments[0], "arrays_overlap")
    unknown = f"len({a.sql}) <> list_count({a.sql}) OR len({b.sql}) <> list_count({b.sql})"
    element = translator.parameter(type_.arguments[0]).sql
    shared = f"list_filter({a.sql}, lambda {element}: list_contains({b.sql}, {element}))"
    nothing = f"len({a.sql}) = 0 OR len({b.sql}) = 0"
    found = f"WHEN len({shared}) > 0 THEN TRUE WHEN {unknown} THEN NULL ELSE FALSE END"
    overlap = f"(CASE WHEN {nothing} THEN FALSE {found})"
    return Value(unless_null([a, b], overlap), BOOLEAN)


def _contains(translator: Translator, arguments: Arguments) -> Value:
    container, element, type_ = _with_element(translator, arguments, "contains")
    found = f"list_contains({container}, {element})"
    return Value(
        f"(CASE WHEN {container} IS NULL OR {element} IS NULL THEN NULL "
        f"WHEN {_unless_nan(element, type_.arguments[0], found, 'FALSE')} THEN TRUE "
        f"WHEN len({container}) <> list_count({container}) THEN NULL ELSE FALSE END)",
        BOOLEAN,
    )


def _of_sorted(name: str) -> Handler:
    """Return a function of an array's order, which has a signature."""

    def handle(translator: Translator, arguments: Arguments) -> Value:
        (container,) = map(translator.value, arguments)
        value = of_values(name, [container])
        element = array_of(container, name)[1]
        ensure_simple(element, name)
        if name == "array_max" and element.is_floating:  # to Trino NaN is the smallest
            finite = f"list_max(list_filter({container.sql}, lambda x: NOT isnan(x)))"
            nulls = f"len({container.sql}) <> list_count({container.sql})"
            return replace(
                value, sql=f"(CASE WHEN {nulls} THEN NULL ELSE coalesce({finite}, {value.sql}) END)"
            )
        return value

    return handle


_MOST_COMPARED = 1000
"""Limit of elements that array_sort compares by a function: each is compared with each."""


def _array_sort(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) == 1:
        return _of_sorted("array_sort")(translator, arguments)
    container, function = arguments
    value = translator.value(container)
    type_ = array_of(value, "array_sort")[1]
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
    why = "The function for array_sort puts two elements before each other, which is not supported"
    kept = [
        f"list_filter({sorted_.sql}, lambda {old.sql}: {test})"
        for test in (refuse_if(undecided, why, f"{order} <= 0"), f"{order} > 0")
    ]
    merged = f"{kept[0]} || [{new.sql}] || {kept[1]}"
    nothing = f"CAST([] AS {value.type.duckdb})"
    sql = f"list_reduce({value.sql}, lambda {sorted_.sql}, {new.sql}: {merged}, {nothing})"
    many = f"array_sort of more than {_MOST_COMPARED} elements by a function is not supported"
    return Value(refuse_if(f"len({value.sql}) > {_MOST_COMPARED}", many, sql), value.type)


def _array_position(translator: Translator, arguments: Arguments) -> Value:
    container, element, type_ = _with_element(translator, arguments, "array_position")
    position = f"coalesce(list_position({container}, {element}), 0)"
    position = _unless_nan(element, type_.arguments[0], position, "0")
    return Value(
        f"(CASE WHEN {container} IS NOT NULL AND {element} IS NOT NULL THEN CAST({position} AS BIGINT) END)",
        BIGINT,
    )


def _array_remove(translator: Translator, arguments: Arguments) -> Value:
    container, element, type_ = _with_element(translator, arguments, "array_remove")
    other = translator.parameter(type_.arguments[0]).sql
    kept = f"list_filter({container}, lambda {other}: {other} IS DISTINCT FROM {element})"
    kept = _unless_nan(element, type_.arguments[0], kept, container)
    return Value(f"(CASE WHEN {element} IS NOT NULL THEN {kept} END)", type_)


def _array_join(translator: Translator, arguments: Arguments) -> Value:
    sql, element = array_of(translator.value(arguments[0]), "array_join")
    separator, *replacement = (
        expect(translator.value(node), VARCHAR, "array_join").sql for node in arguments[1:]
    )
    parameter = translator.parameter(element)
    string = cast(parameter, VARCHAR).sql
    if replacement:
        string = f"coalesce({string}, {replacement[0]})"
    texts = f"list_transform({sql}, lambda {parameter.sql}: {string})"
    joined = in_python("join", texts, separator)
    if replacement:
        joined = f"(CASE WHEN {replacement[0]} IS NOT NULL THEN {joined} END)"
    return Value(joined, VARCHAR)


def _slice(translator: Translator, arguments: Arguments) -> Value:
    container, start, length = map(translator.value, arguments)
    sql, _ = array_of(container, "slice")
    first, count = (expect(value, BIGINT, "slice").sql for value in (start, length))
    first = f"(CASE WHEN {first} < 0 THEN len({sql}) + {first} + 1 ELSE {first} END)"
    part = f"list_slice({sql}, {first}, {first} + {count} - 1)"
    part = f"(CASE WHEN {first} < 1 THEN list_slice({sql}, 2, 1) ELSE {part} END)"
    return Value(
        fail_if(f"{start.sql} = 0 OR {count} < 0", "slice: start is 0 or length negative", part),
        container.type,
    )


def _zip(translator: Translator, arguments: Arguments) -> Value:
    values = [translator.value(argument) for argument in arguments]
    elements = [array_of(value, "zip")[1] for value in values]
    type_ = row(elements, [None] * len(elements))
    zipped = translator.parameter(type_).sql
    fields = struct([f"{zipped}[{index}]" for index in range(1, len(values) + 1)], type_)
    lists = ", ".join(value.sql for value in values)
    sql = f"list_transform(list_zip({lists}), lambda {zipped}: {fields})"
    return Value(unless_null(values, sql), array(type_))


def _zip_with(translator: Translator, arguments: Arguments) -> Value:
    a, b = map(translator.value, arguments[:2])
    zipped = translator.parameter(BOOLEAN).sql
    pair = [Value(f"{zipped}[{i + 1}]", array_of(value, "zip_with")[1]) for i, value in enumerate((a, b))]
    body = translator.apply(arguments[2], *pair)
    sql = f"list_transform(list_zip({a.sql}, {b.sql}), lambda {zipped}: {body.sql})"
    return Value(unless_null([a, b], sql), array(body.type))


def _mapped(translator: Translator, arguments: Arguments, where: str) -> tuple[str, Value, str]:
    container, function = arguments
    sql, type_ = array_of(translator.value(container), where)
    element = translator.parameter(type_)
    body = translator.apply(function, element)
    return sql, body, f"lambda {element.sql}: {body.sql}"


def _transform(translator: Translator, arguments: Arguments) -> Value:
    sql, body, function = _mapped(translator, arguments, "transform")
    return Value(f"list_transform({sql}, {function})", array(body.type))


def _ensure_boolean(body: Value, name: str) -> None:
    if body.type != BOOLEAN:
        raise QueryRefused(f"The function in {name} must return a boolean, not {body.type}.")


def _filter(translator: Translator, arguments: Arguments) -> Value:
    sql, body, function = _mapped(translator, arguments, "filter")
    _ensure_boolean(body, "filter")
    return Value(f"list_filter({sql}, {function})", translator.value(arguments[0]).type)


def _match_elements(name: str, decisive: str, decided: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        sql, body, function = _mapped(translator, arguments, name)
        _ensure_boolean(body, name)
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
    sql, type_ = array_of(container, where)
    first = translator.value(start)
    for _ in range(2):  # the start takes the type that the function returns
        state, element = translator.parameter(first.type, "s"), translator.parameter(type_)
        body = translator.apply(step, state, element)
        if types.coerces(body.type, first.type) or not types.coerces(first.type, body.type):
            break
        if body.type.name != "decimal":
            first = coerce(first, body.type)
    if not types.coerces(body.type, first.type):
        raise QueryRefused(
            f"{where} starts with {first.type} and continues with {body.type}: cast the start to {body.type}."
        )
    initial = f"CAST({first.sql} AS {first.type.duckdb})"
    function = f"lambda {state.sql}, {element.sql}: {coerce(body, first.type).sql}"
    return Value(f"list_reduce({sql}, {function}, {initial})", first.type)


HANDLERS: Mapping[str, Handler] = {
    "ngrams": guarded("ngrams", fail_if, "{1} <= 0", "N must be positive"),
    "array_max": _of_sorted("array_max"),
    "array_min": _of_sorted("array_min"),
    "array_sort": _array_sort,
    "repeat": guarded(
        "repeat",
        fail_if,
        f"{{1}} < 0 OR {{1}} > {MOST_ELEMENTS}",
        f"repeat makes 0 to {MOST_ELEMENTS} elements",
    ),
    "trim_array": guarded(
        "trim_array", fail_if, "{1} < 0 OR {1} > len({0})", "size must be from 0 to the length of the array"
    ),
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
    "contains": _contains,
    "filter": _filter,
    "reduce": _reduce,
    "slice": _slice,
    "transform": _transform,
    "zip": _zip,
    "zip_with": _zip_with,
}
