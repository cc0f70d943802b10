"""GROUP BY as Trino compares it with the SELECT: by how an expression is spelled."""

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryRefused

ROWS = "(TIMESTAMP '2026-03-01 10:00:00', 'a', 5), (TIMESTAMP '2026-03-01 10:30:00', 'a', 6)"
T = f"FROM (VALUES {ROWS}) AS t (d, s, n)"

COVERED = [
    (f"SELECT HOUR(d), count(*) {T} GROUP BY hour(t.d)", [(10, 2)]),
    (f"SELECT (n % 2) + 1 AS m, count(*) {T} GROUP BY n % 2 ORDER BY m", [(1, 1), (2, 1)]),
    (f"SELECT s || '!' AS x, count(*) {T} GROUP BY 1", [("a!", 2)]),
    (f"SELECT upper(s), max(n) - min(n) {T} GROUP BY s", [("A", 1)]),
    (f"SELECT s, count(*) OVER () {T} GROUP BY s, n", [("a", 2), ("a", 2)]),
    (f"SELECT s, sum(sum(n)) OVER (PARTITION BY s) {T} GROUP BY s", [("a", 11)]),
    (
        f"SELECT s, n, grouping(s) {T} GROUP BY GROUPING SETS ((s), (s, n)) ORDER BY n NULLS FIRST LIMIT 1",
        [("a", None, 0)],
    ),
]

NOT_COVERED = [
    (f"SELECT date(d), count(*) {T} GROUP BY CAST(d AS date)", "The column d is neither in GROUP BY"),
    (f"SELECT hour(d), count(*) {T} GROUP BY extract(hour FROM d)", "The column d"),
    (f"SELECT mod(n, 2), count(*) {T} GROUP BY n % 2", "The column n"),
    (f"SELECT concat(s, '!'), count(*) {T} GROUP BY s || '!'", "The column s"),
    (f"SELECT if(n > 5, 1, 2), count(*) {T} GROUP BY CASE WHEN n > 5 THEN 1 ELSE 2 END", "The column n"),
    (f"SELECT week(d), count(*) {T} GROUP BY week_of_year(d)", "The column d"),
    (f"SELECT day(d), count(*) {T} GROUP BY day_of_month(d)", "The column d"),
    (f"SELECT lower(s), count(*) {T} GROUP BY ROLLUP (lower(s))", "columns alone"),
    (f"SELECT s, count(*) {T} GROUP BY CUBE (1)", "columns alone"),
    (f"SELECT s, count(*) {T} GROUP BY GROUPING SETS ((s, n + 1), ())", "columns alone"),
]


@pytest.mark.parametrize(("sql", "expected"), COVERED)
def test_what_group_by_covers_is_answered(engine: LocalAthena, sql: str, expected: list[object]) -> None:
    assert engine.rows(sql)[1] == expected


@pytest.mark.parametrize(("sql", "why"), NOT_COVERED)
def test_what_is_spelled_otherwise_than_in_group_by_is_refused(
    engine: LocalAthena, sql: str, why: str
) -> None:
    with pytest.raises(QueryRefused, match=why):
        engine.rows(sql)
