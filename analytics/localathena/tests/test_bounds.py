"""Types and bounds of arguments, and values, as Trino 476 has them."""

import math
from typing import Any

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused

DAYS = "(VALUES DATE '2026-01-01', DATE '2026-01-02') AS t (d)"

REFUSED = [
    ("SELECT approx_distinct(x, 0.3) FROM (VALUES 1) AS t (x)", "standard error"),
    ("SELECT approx_percentile(x, 0.5) FROM (VALUES 1e0, nan()) AS t (x)", "finite"),
    ("SELECT max(x, 10002) FROM (VALUES 1) AS t (x)", "at most"),
    ("SELECT max_by(x, x, 10002) FROM (VALUES 1) AS t (x)", "at most"),
    ("SELECT split_to_map('k=1,,l=2', ',', '=')", "exactly once"),
    ("SELECT wilson_interval_upper(3, 2, 1)", "successes"),
    ("SELECT wilson_interval_lower(1, 2, -3)", "z of 0"),
    ("SELECT width_bucket(1, -infinity(), 3, 2)", "bad bounds"),
    ("SELECT width_bucket(1, ARRAY[infinity()])", "Bins"),
    ("SELECT round(7, -19)", "overflow"),
    ("SELECT round(7.5, -39)", "overflow"),
    ("SELECT sequence(DATE '2026-01-01', DATE '2026-01-03', INTERVAL '30' HOUR)", "day interval"),
    ("SELECT date_add('second', BIGINT '3000000000', TIMESTAMP '2026-01-01 00:00:00')", "2147483647"),
    ("SELECT INTERVAL '3000000000' MINUTE", "2147483647"),
    ("SELECT concat(ARRAY[1], ARRAY[2], 3)", "not both"),
    ("SELECT ARRAY[] || ARRAY[2]", "ambiguous"),
    ("SELECT TIMESTAMP '2026-01-01 00:00:00' - NULL", "ambiguous"),
    ("SELECT INTERVAL '2' HOUR + NULL", "ambiguous"),
    ("SELECT NULL * BIGINT '3'", "ambiguous"),
    ("SELECT concat_ws('-', NULL)", "ambiguous"),
    ("SELECT filter(ARRAY[1], x -> NULL)", "boolean"),
    ("SELECT all_match(ARRAY[], x -> x)", "boolean"),
    ("SELECT CAST(ARRAY['abc'] AS array(varchar(2)))", "length within a type"),
    ("SELECT -x FROM (VALUES INTEGER '-2147483648') AS t (x)", ""),
    ("SELECT rank() OVER (ORDER BY d ROWS UNBOUNDED PRECEDING) FROM " + DAYS, "no frame"),
    ("SELECT count(*) OVER (ORDER BY d RANGE 2 PRECEDING) FROM " + DAYS, "INTERVAL '6' DAY"),
    ("SELECT count(*) OVER (ORDER BY d ROWS 2.5 PRECEDING) FROM " + DAYS, "whole number"),
    ("SELECT d FROM " + DAYS + " WINDOW w AS (ORDER BY nothing)", "cannot be found"),
    ("SELECT 1 FROM (VALUES 1) AS a (x) JOIN (VALUES 1) AS b (x), (VALUES 1) AS c (x) ON a.x = b.x", "comma"),
]

ANSWERED = [
    ("-2147483648", "integer", -2147483648),
    ("-9223372036854775808", "bigint", -9223372036854775808),
    ("hour(DATE '2026-01-01')", "bigint", 0),
    ("DATE '2026-01-01' - NULL", "date", None),
    ("CAST(-(0e0) AS varchar)", "varchar", "-0E0"),
    ("1e0 * - -5", "double", 5.0),
    ("truncate(BIGINT '7')", "decimal(19,0)", 7),
    ("ARRAY[2] || CAST(NULL AS integer)", "array(integer)", None),
    ("array_join(ARRAY[CAST(NULL AS varchar)], '-')", "varchar", ""),
    ("concat_ws(CAST(NULL AS varchar), ARRAY['x', 'y'])", "varchar", None),
    ("substr('xyz', 0, CAST(NULL AS bigint))", "varchar", None),
    ("power(1, nan())", "double", math.nan),
    ("sign(nan())", "double", math.nan),
    ("format('%7s|', CAST(NULL AS varchar))", "varchar", "   null|"),
    ("split_to_map('k=1,', ',', '=')", "map(varchar, varchar)", {"k": "1"}),
]

ROWS = "(VALUES 1, 2, 3, 4) AS t (x)"
AGGREGATES = [
    ("approx_percentile(x, 0.5)", "bigint", 3),
    ("approx_percentile(CAST(x AS double), 0.25)", "double", 2.0),
    ("approx_percentile(CAST(x AS decimal(5, 2)), 0.5)", "real", 3.0),
    ("corr(x, x * 2)", "real", 1.0),
    ("covar_pop(x, x * 2e0)", "double", 2.5),
    ("count()", "bigint", 4),
    ("covar_pop(x, x)", "real", 1.25),
]


@pytest.mark.parametrize(("sql", "why"), REFUSED)
def test_what_trino_refuses_or_fails_on_is_not_answered(engine: LocalAthena, sql: str, why: str) -> None:
    with pytest.raises((QueryRefused, QueryFailed)) as refusal:
        engine.rows(sql)
    assert why in str(refusal.value)


@pytest.mark.parametrize(("expression", "type_", "expected"), ANSWERED)
def test_an_expression_has_trinos_type_and_value(
    engine: LocalAthena, expression: str, type_: str, expected: Any
) -> None:
    columns, ((value,),) = engine.rows(f"SELECT {expression}")
    assert str(columns[0].type) == type_
    assert value == expected or (value != value and expected != expected)


@pytest.mark.parametrize(("expression", "type_", "expected"), AGGREGATES)
def test_an_aggregate_has_trinos_type_and_value(
    engine: LocalAthena, expression: str, type_: str, expected: Any
) -> None:
    columns, ((value,),) = engine.rows(f"SELECT {expression} FROM {ROWS}")
    assert (str(columns[0].type), value) == (type_, expected)


def test_columns_are_named_as_on_athena(engine: LocalAthena) -> None:
    columns, _ = engine.rows("SELECT (s), (t.s), CAST(ROW(1) AS row(n integer)).n FROM (VALUES 'a') AS t (s)")
    assert [column.name for column in columns] == ["s", "s", "_col2"]


MESSAGES = [
    ("SELECT x FROM t WHERE", "cannot be read at line 1"),
    ("SELECT 'x", "not closed"),
]


@pytest.mark.parametrize(("sql", "why"), MESSAGES)
def test_no_message_is_duckdbs_or_sqlglots(engine: LocalAthena, sql: str, why: str) -> None:
    with pytest.raises((QueryRefused, QueryFailed)) as refusal:
        engine.rows(sql)
    said = str(refusal.value)
    assert why in said
    assert not any(
        word in said for word in ("Binder", "Conversion Error", "Out of Range", "Expecting", "Error:")
    )
