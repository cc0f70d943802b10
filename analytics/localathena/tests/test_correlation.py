"""Subqueries with an outer query's columns, as Trino 476 plans them or does not."""

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryRefused

INNER = "(VALUES (1, 'a'), (2, 'b'), (2, 'c')) AS v (x, n)"
OUTER = "FROM (VALUES 1, 2, 3) AS t (y) ORDER BY y"
LISTS = "FROM (VALUES (1, ARRAY[1, 2, 5])) AS t (y, a)"

PLANNED = [
    (f"SELECT (SELECT max(x) FROM {INNER} WHERE x < t.y) {OUTER}", [None, 1, 2]),
    (f"SELECT (SELECT count(*) FROM {INNER} WHERE x + 1 = t.y) {OUTER}", [0, 1, 2]),
    (f"SELECT (SELECT n FROM {INNER} WHERE x = t.y ORDER BY n DESC LIMIT 1) {OUTER}", ["a", "c", None]),
    (f"SELECT (SELECT x FROM {INNER} WHERE x = t.y LIMIT 1) {OUTER}", [1, 2, None]),
    (f"SELECT EXISTS (SELECT n FROM {INNER} WHERE x = t.y LIMIT 1) {OUTER}", [True, True, False]),
    (f"SELECT EXISTS (SELECT n FROM {INNER} WHERE x > t.y LIMIT 0) {OUTER}", [False, False, False]),
    (
        f"SELECT EXISTS (SELECT x FROM {INNER} WHERE x = t.y GROUP BY x HAVING count(*) > 1) {OUTER}",
        [False, True, False],
    ),
    (f"SELECT y IN (SELECT x FROM {INNER} WHERE n <> 'b' AND x = t.y) {OUTER}", [True, True, False]),
    (f"SELECT (SELECT sum(x) FROM UNNEST(t.a) AS u (x)) {LISTS}", [8]),
    (
        f"SELECT (SELECT count(*) FROM {INNER} JOIN (VALUES 2, 3) AS w (z) ON x < z AND z = t.y) {OUTER}",
        [0, 1, 3],
    ),
    (f"SELECT (SELECT max(x) FROM (SELECT x FROM {INNER} WHERE x = t.y) AS s) {OUTER}", [1, 2, None]),
    (f"SELECT (SELECT max(x) FROM {INNER}) {OUTER}", [2, 2, 2]),
    (f"SELECT y IN (SELECT max(x) FROM {INNER}) {OUTER}", [False, True, False]),
]

NOT_PLANNED = [
    (f"SELECT (SELECT min(x * t.y) FROM {INNER}) {OUTER}", "within an aggregate"),
    (f"SELECT (SELECT count(*) FILTER (WHERE x = t.y) FROM {INNER}) {OUTER}", "within an aggregate"),
    (f"SELECT (SELECT x FROM {INNER} WHERE x < t.y ORDER BY x LIMIT 1) {OUTER}", "max_by, min_by"),
    (f"SELECT (SELECT n FROM {INNER} WHERE abs(x) = abs(t.y) ORDER BY n LIMIT 1) {OUTER}", "max_by, min_by"),
    (f"SELECT (SELECT n FROM {INNER} WHERE x = t.y ORDER BY n OFFSET 1 LIMIT 1) {OUTER}", "OFFSET"),
    (f"SELECT (SELECT n FROM {INNER} WHERE x = t.y LIMIT 1) {OUTER}", "LIMIT without ORDER BY"),
    (f"SELECT (SELECT count(*) FROM {INNER} WHERE x = t.y HAVING count(*) > 1) {OUTER}", "HAVING"),
    (f"SELECT EXISTS (SELECT n FROM {INNER} WHERE x > t.y LIMIT 1) {OUTER}", "LIMIT"),
    (f"SELECT EXISTS (SELECT x FROM {INNER} WHERE x = t.y UNION SELECT 7) {OUTER}", "UNION"),
    (f"SELECT EXISTS (SELECT x FROM {INNER} WHERE x = t.y INTERSECT SELECT 2) {OUTER}", "INTERSECT"),
    (f"SELECT y IN (SELECT max(x) FROM {INNER} WHERE x = t.y) {OUTER}", "plain SELECT"),
    (f"SELECT y IN (SELECT x FROM {INNER} WHERE x = t.y GROUP BY x) {OUTER}", "plain SELECT"),
    (f"SELECT y = ANY (SELECT DISTINCT x FROM {INNER} WHERE x = t.y) {OUTER}", "plain SELECT"),
    (f"SELECT y IN (SELECT x FROM {INNER} WHERE x = t.y ORDER BY x LIMIT 1) {OUTER}", "plain SELECT"),
    (f"SELECT y IN (SELECT x FROM UNNEST(t.a) AS u (x)) {LISTS}", "contains"),
    (f"SELECT (SELECT sum(x) FROM UNNEST(t.a) AS u (x) WHERE x > 1) {LISTS}", "any_match, filter or reduce"),
    (f"SELECT (SELECT max(o) FROM UNNEST(t.a) WITH ORDINALITY AS u (x, o)) {LISTS}", "any_match"),
    ("SELECT y, u.x FROM (VALUES 1) AS t (y) CROSS JOIN LATERAL (VALUES t.y, 0) AS u (x)", "UNNEST(ARRAY"),
    (
        f"SELECT (SELECT max(x) FROM {INNER} LEFT JOIN (VALUES 2) AS w (z) ON w.z = t.y) {OUTER}",
        "ON of an outer join",
    ),
    (
        f"SELECT t.y FROM (VALUES 1) AS t (y) LEFT JOIN (VALUES 1) AS b (z) "
        f"ON b.z = t.y AND EXISTS (SELECT 1 FROM {INNER} WHERE x = b.z)",
        "ON of an outer join",
    ),
    (
        f"SELECT EXISTS (SELECT 1 FROM {INNER} WHERE EXISTS "
        f"(SELECT 1 FROM (VALUES 1) AS w (z) WHERE z = v.x AND z = t.y)) {OUTER}",
        "two queries up",
    ),
    (
        f"SELECT (SELECT max(r) FROM (SELECT rank() OVER (ORDER BY n) AS r FROM {INNER} WHERE x = t.y) AS s) "
        f"{OUTER}",
        "window function",
    ),
]


@pytest.mark.parametrize(("sql", "expected"), PLANNED)
def test_a_correlated_subquery_that_trino_plans_is_answered(
    engine: LocalAthena, sql: str, expected: list[object]
) -> None:
    assert [value for (value,) in engine.rows(sql)[1]] == expected


@pytest.mark.parametrize(("sql", "why"), NOT_PLANNED)
def test_a_correlated_subquery_that_trino_does_not_plan_is_refused_with_what_to_write(
    engine: LocalAthena, sql: str, why: str
) -> None:
    with pytest.raises(QueryRefused, match="Athena cannot plan this subquery") as refusal:
        engine.rows(sql)
    assert why in str(refusal.value)
