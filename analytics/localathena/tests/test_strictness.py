"""What sqlglot or DuckDB would accept and Trino 476 refuses, each with the reason that is given."""

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused

T = "(VALUES (1, 'a'), (2, 'b')) AS t (n, s)"

SYNTAX = [
    ("SELECT count(*, 1)", "takes nothing else"),
    ("SELECT extract(year, DATE '2026-11-24')", "is written extract"),
    ('SELECT 1 AS ""', "must not be empty"),
    ("SELECT json_value('{}', 'lax $' RETURNING)", "at or before '\\)'"),
    ("SELECT json_value('{}', 'lax $' NULL)", "at or before '\\)'"),
    ("SELECT json_query('{}', 'lax $' WITH)", "at or before '\\)'"),
    ("SELECT json_object('a')", "at or before '\\)'"),
    ("""SELECT "json_value"('{}', 'lax $')""", "not a function in quotes"),
    (f"SELECT n FROM {T} LIMIT 1 ORDER BY n", "stands too late"),
    (f"SELECT s, count(*) FROM {T} GROUP BY s WHERE n > 1", "stands too late"),
    (f"SELECT s, count(*) FROM {T} HAVING count(*) > 0 GROUP BY s", "stands too late"),
    (f"SELECT n FROM {T} ORDER BY n FETCH FIRST 1 ONLY", "ROWS ONLY"),
    (f"SELECT n FROM {T} ORDER BY n ASC DESC", "alternatives"),
    (f"SELECT (n > 1) IS UNKNOWN FROM {T}", "IS NULL"),
    (f"SELECT (n > 1) IS NOT UNKNOWN FROM {T}", "IS NOT NULL"),
    (f"SELECT n IN [1] FROM {T}", "parentheses"),
    (f"SELECT 1 FROM {T} JOIN (VALUES 1) AS u (n) USING n", "USING"),
    ("SELECT 1 AS länge", "not a name"),
    ("SELECT 1 AS a$b", "not a name"),
    ("SELECT 1 {# note #}", "comments"),
    ("SELECT 1 AS skip", "not a name"),
    ("SELECT listagg FROM (VALUES 1) AS t (listagg)", "not a name"),
    ("WITH localtime AS (SELECT 1 AS x) SELECT x FROM localtime", "not a name"),
    ("SELECT TEXT 'a'", "no TEXT literal"),
    ("SELECT TIMESTAMP WITH TIME ZONE '2026-01-01 00:00:00 UTC'", "TIMESTAMP '"),
    ("SELECT CAST(1 AS decimal(39, 2))", "not supported"),
    ("SELECT CAST(1 AS decimal(3, 2, 1))", "not supported"),
    ("SELECT CAST('2026-01-01' AS date(3))", "not supported"),
    ("SELECT ()", "not an expression"),
    ("WITH a AS (SELECT 1 AS x) WITH b AS (SELECT 2 AS y) SELECT x FROM a", "one WITH"),
    ("WITH a AS NOT MATERIALIZED (SELECT 1 AS x) SELECT x FROM a", "MATERIALIZED"),
    ("(WITH a AS (SELECT 1 AS x) SELECT x FROM a)", "parentheses"),
    ("SELECT substring('abc' FOR 1)", "FROM before FOR"),
    (f"SELECT listagg(s, '-' ORDER BY n) FROM {T}", "WITHIN GROUP"),
    ("SELECT label FROM predictions TABLESAMPLE BERNOULLI (5 PERCENT)", "PERCENT"),
    (f"SELECT sum(n) RESPECT NULLS OVER () FROM {T}", "RESPECT NULLS"),
    ("SELECT extract(millisecond FROM TIMESTAMP '2026-01-01 00:00:00')", r"millisecond\(x\)"),
    ("SELECT +1.5", r"does not define \+decimal"),
    ("SELECT +'1'", r"does not define \+varchar"),
    ("SELECT array_first(ARRAY[1])", "element_at"),
    ("SELECT ends_with('ab', 'b')", "LIKE"),
]

RIGHT = [
    ("SELECT +1 + +2e0", 3.0),
    (f"SELECT max(n) FROM {T} WHERE s > '' GROUP BY s HAVING max(n) > 1 ORDER BY 1 OFFSET 0 LIMIT 1", 2),
    (f"SELECT count(*) FROM (SELECT n FROM {T} LIMIT 1) AS a WHERE n > 0 GROUP BY n ORDER BY 1", 1),
    ("SELECT limit FROM (VALUES 1) AS t (limit)", 1),
    ("SELECT extract(dow FROM DATE '2026-01-01')", 4),
]


@pytest.mark.parametrize(("sql", "why"), SYNTAX)
def test_what_trino_cannot_read_is_refused(engine: LocalAthena, sql: str, why: str) -> None:
    with pytest.raises((QueryRefused, QueryFailed), match=why):
        engine.rows(sql)


@pytest.mark.parametrize(("sql", "expected"), RIGHT)
def test_what_looks_alike_is_answered(engine: LocalAthena, sql: str, expected: object) -> None:
    assert engine.rows(sql)[1] == [(expected,)]
