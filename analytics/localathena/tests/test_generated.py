"""Generated expressions and statements: no crash, the announced types, literals and columns agree."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from localathena.types import Column, Type

LITERALS: dict[str, Sequence[str]] = {
    "integer": ["0", "1", "-7", "2147483647", "CAST(NULL AS integer)"],
    "bigint": ["BIGINT '3'", "BIGINT '-9223372036854775808'", "CAST(NULL AS bigint)"],
    "double": ["1e0", "-2.5e0", "nan()", "1e300", "CAST(NULL AS double)"],
    "decimal(5,2)": ["CAST('1.50' AS decimal(5,2))", "CAST('-999.99' AS decimal(5,2))"],
    "varchar": ["'a'", "''", "'späť 12'", "'2026-11-24'", "'{\"a\":[1,2.50]}'", "CAST(NULL AS varchar)"],
    "boolean": ["true", "false", "CAST(NULL AS boolean)"],
    "date": ["DATE '2026-11-24'", "DATE '1969-12-31'", "CAST(NULL AS date)"],
    "timestamp(3)": ["TIMESTAMP '2026-10-25 02:30:00.125'", "CAST(NULL AS timestamp)"],
    "array(integer)": ["ARRAY[1, 2, 3]", "ARRAY[2, NULL]", "CAST(ARRAY[] AS array(integer))"],
    "map(varchar, integer)": ["MAP(ARRAY['a', 'b'], ARRAY[1, 2])"],
}
FORMS: dict[str, Sequence[tuple[str, str]]] = {
    "integer": [
        ("({} + {})", "integer integer"),
        ("({} / {})", "integer integer"),
        ("({} % {})", "integer integer"),
        ("abs({})", "integer"),
        ("if({}, {}, {})", "boolean integer integer"),
        ("element_at({}, {})", "array(integer) integer"),
        ("try_cast({} AS integer)", "varchar"),
        ("try({} / {})", "integer integer"),
        ("coalesce({}, {})", "integer integer"),
        ("greatest({}, {})", "integer integer"),
        ("reduce({}, 0, (s, x) -> s + x, s -> s)", "array(integer)"),
    ],
    "bigint": [
        ("length({})", "varchar"),
        ("strpos({}, {})", "varchar varchar"),
        ("cardinality({})", "array(integer)"),
        ("({} - {})", "bigint integer"),
        ("year({})", "date"),
        ("hour({})", "timestamp(3)"),
        ("json_array_length({})", "varchar"),
        ("regexp_count({}, '\\d')", "varchar"),
        ("bit_count({}, 64)", "bigint"),
        ("date_diff('day', {}, {})", "date date"),
        ("levenshtein_distance({}, {})", "varchar varchar"),
    ],
    "double": [
        ("({} * {})", "double double"),
        ("({} / {})", "double integer"),
        ("sqrt({})", "double"),
        ("round({}, 2)", "double"),
        ("power({}, 2)", "double"),
        ("CAST({} AS double)", "decimal(5,2)"),
        ("least({}, {})", "double double"),
    ],
    "decimal(5,2)": [
        ("CAST({} AS decimal(5,2))", "integer"),
        ("nullif({}, {})", "decimal(5,2) decimal(5,2)"),
    ],
    "varchar": [
        ("({} || {})", "varchar varchar"),
        ("upper({})", "varchar"),
        ("reverse({})", "varchar"),
        ("substr({}, 2)", "varchar"),
        ("replace({}, 'a', {})", "varchar varchar"),
        ("CAST({} AS varchar)", "double"),
        ("CAST({} AS varchar)", "date"),
        ("CAST({} AS varchar)", "decimal(5,2)"),
        ("regexp_replace({}, '(\\w)(?=\\d)', '$1-')", "varchar"),
        ("regexp_extract({}, '\\b(\\d+)', 1)", "varchar"),
        ("json_extract_scalar({}, '$.a[1]')", "varchar"),
        ("json_format(CAST({} AS json))", "map(varchar, integer)"),
        ("format('%s|%5d', {}, {})", "varchar integer"),
        ("date_format({}, '%Y-%m-%d %T')", "timestamp(3)"),
        ("array_join({}, '-', '?')", "array(integer)"),
        ("lpad({}, 5, 'x')", "varchar"),
        ("normalize({})", "varchar"),
        ("split_part({}, ' ', 1)", "varchar"),
    ],
    "boolean": [
        ("({} = {})", "integer bigint"),
        ("({} < {})", "double double"),
        ("({} AND {})", "boolean boolean"),
        ("({} IN (1, {}))", "integer integer"),
        ("({} BETWEEN {} AND {})", "date date timestamp(3)"),
        ("({} IS NULL)", "varchar"),
        ("({} LIKE '%a%')", "varchar"),
        ("regexp_like({}, '(.)\\1')", "varchar"),
        ("contains({}, {})", "array(integer) integer"),
        ("any_match({}, x -> x > {})", "array(integer) integer"),
        ("(ROW({}, {}) = ROW(1, 'a'))", "integer varchar"),
        ("({} = {})", "map(varchar, integer) map(varchar, integer)"),
        ("is_nan({})", "double"),
        ("(NOT {})", "boolean"),
    ],
    "date": [
        ("try_cast({} AS date)", "varchar"),
        ("({} + INTERVAL '1' DAY)", "date"),
        ("date_trunc('month', {})", "date"),
        ("last_day_of_month({})", "timestamp(3)"),
        ("try(CAST({} AS date))", "varchar"),
    ],
    "timestamp(3)": [
        ("CAST({} AS timestamp)", "date"),
        ("try(date_parse({}, '%Y-%m-%d'))", "varchar"),
        ("date_add('hour', 5, {})", "timestamp(3)"),
        ("({} - INTERVAL '1' MONTH)", "timestamp(3)"),
    ],
    "array(integer)": [
        ("array_sort({})", "array(integer)"),
        ("filter({}, x -> x > 1)", "array(integer)"),
        ("({} || {})", "array(integer) integer"),
        ("array_distinct({})", "array(integer)"),
        ("slice({}, 1, 2)", "array(integer)"),
        ("map_values({})", "map(varchar, integer)"),
    ],
    "map(varchar, integer)": [("map_filter({}, (k, v) -> v > 1)", "map(varchar, integer)")],
}
"""Expressions of each type, and the types of what goes into their places."""

EXPRESSIONS = 240
STATEMENTS = 60
LEAST_ANSWERED = 0.8
"""Share of them that is answered, at the least: the others fail or are refused, as on Athena."""

Leaf = Callable[[str], str]


def _expression(rng: random.Random, type_: str, depth: int, leaf: Leaf) -> str:
    if depth == 0 or rng.random() < 0.15:
        return leaf(type_)
    form, parts = rng.choice(FORMS[type_])
    kinds = ["map(varchar, integer)" if part == "map" else part for part in _kinds(parts)]
    return form.format(*(_expression(rng, kind, depth - 1, leaf) for kind in kinds))


def _kinds(parts: str) -> list[str]:
    return parts.replace("map(varchar, integer)", "map").split()


def _pair(seed: int) -> tuple[str, str, str]:
    """Return a type, an expression of it over literals, and the same over the columns of one row."""
    type_ = random.Random(seed).choice(list(FORMS))
    leaves = random.Random(seed + 1_000_000)
    literals: list[str] = []

    def literal(kind: str) -> str:
        literals.append(leaves.choice(LITERALS[kind]))
        return literals[-1]

    over_literals = _expression(random.Random(seed), type_, 3, literal)
    numbers = count(1)
    over_columns = _expression(random.Random(seed), type_, 3, lambda _: f"t.c{next(numbers)}")
    names = ", ".join(f"c{number}" for number in range(1, len(literals) + 1))
    rows = f"FROM (VALUES ({', '.join(literals)})) AS t ({names})"
    return type_, f"SELECT {over_literals} AS x", f"SELECT {over_columns} AS x {rows}"


PYTHON: dict[str, type | tuple[type, ...]] = {
    "integer": int, "bigint": int, "double": float, "decimal": Decimal, "varchar": str, "boolean": bool,
    "date": date, "timestamp": datetime, "array": list, "map": dict, "interval day to second": timedelta,
}  # fmt: skip


def _answer(engine: LocalAthena, sql: str) -> tuple[Sequence[Column], list[tuple[Any, ...]]] | None:
    """Return a statement's answer, or None if it is refused or fails: for a reason that is known."""
    message = ""
    try:
        return engine.rows(sql)
    except (QueryRefused, QueryFailed) as error:
        message = str(error)
    assert "though Athena may" not in message, (sql, message)
    return None


def _ask(engine: LocalAthena, sql: str) -> tuple[Type, Any] | None:
    """Return the type and the value of one column and row, or None if the statement fails or is refused."""
    answer = _answer(engine, sql)
    if answer is None:
        return None
    columns, rows = answer
    value = rows[0][0]
    assert value is None or isinstance(value, PYTHON[columns[0].type.name]), (sql, columns, value)
    return columns[0].type, value


@pytest.mark.parametrize("start", range(0, EXPRESSIONS, 40))
def test_an_expression_is_answered_alike_over_literals_and_over_columns(
    engine: LocalAthena, start: int
) -> None:
    answered = 0
    for seed in range(start, start + 40):
        type_, over_literals, over_columns = _pair(seed)
        first, second = _ask(engine, over_literals), _ask(engine, over_columns)
        if first is None or second is None:
            continue  # DuckDB may work a constant out that no row needs
        assert str(first[0]).replace(", ", ",") == type_.replace(", ", ","), over_literals
        assert repr(first) == repr(second), (over_literals, over_columns)
        answered += 1
    assert answered >= LEAST_ANSWERED * 40, answered


def _statements(seed: int) -> Iterator[str]:
    """Yield whole statements over the same few rows."""
    rng = random.Random(seed)
    rows = "(VALUES (1, 'a', 1e0), (2, 'b', NULL), (2, NULL, -1.5e0), (NULL, 'a', 2e0)) AS t (i, s, d)"
    columns = {"integer": "i", "varchar": "s", "double": "d"}

    def leaf(kind: str) -> str:
        return columns.get(kind) or rng.choice(LITERALS[kind])

    for _ in range(10):
        key = _expression(rng, rng.choice(["integer", "varchar", "boolean"]), 1, leaf)
        value = _expression(rng, rng.choice(["integer", "double"]), 1, leaf)
        where = _expression(rng, "boolean", 2, leaf)
        yield rng.choice(
            [
                f"SELECT {key}, sum({value}), count(*) OVER () FROM {rows} WHERE {where} GROUP BY 1",
                f"SELECT DISTINCT {key} AS k FROM {rows} WHERE {where} ORDER BY k",
                f"SELECT {key} AS k, max({value}) OVER (PARTITION BY {key} ORDER BY i) FROM {rows}",
                f"SELECT {key} AS k FROM {rows} UNION SELECT {key} FROM {rows} WHERE {where} ORDER BY k",
                f"SELECT {key}, try(sum({value}) / count_if({where})) FROM {rows} GROUP BY {key}",
                f"SELECT i, d FROM {rows} WHERE {where} AND i IN (SELECT u.x FROM (VALUES 1, 2) AS u (x))",
                f"SELECT o.n, (SELECT max({value}) FROM {rows} WHERE t.i = o.n) FROM (VALUES 1, 2) AS o (n)",
                f"SELECT grouping(s), s, count(*) FROM {rows} WHERE {where} GROUP BY ROLLUP (s)",
            ]
        )


@pytest.mark.parametrize("seed", range(STATEMENTS // 10))
def test_a_statement_is_answered_or_refused_in_words(engine: LocalAthena, seed: int) -> None:
    answers = [(sql, _answer(engine, sql)) for sql in _statements(seed)]
    answered = sum(answer is not None for _, answer in answers)
    assert answered >= LEAST_ANSWERED * len(answers), answered
    for sql, answer in answers:
        columns, rows = answer or ((), [])
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                assert value is None or isinstance(value, PYTHON[column.type.name]), (sql, column, value)
