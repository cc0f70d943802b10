"""Whole statements: what they return, what is refused, what fails, and the frames that come out."""

import math
import re
from datetime import date

import pytest

from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from localathena.statements import ensure_it_reads
from support import plain

QUERIES = [
    ("SELECT x FROM (VALUES 2, NULL, 1) AS t (x) ORDER BY x", [[1], [2], [None]]),
    ("SELECT x FROM (VALUES 2, NULL, 1) AS t (x) ORDER BY x DESC", [[2], [1], [None]]),
    ("SELECT x FROM (VALUES 2, NULL, 1) AS t (x) ORDER BY x NULLS FIRST OFFSET 1 LIMIT 1", [[1]]),
    ("VALUES (1, 'a'), (2, 'b') ORDER BY 1 DESC", [[2, "b"], [1, "a"]]),
    ("SELECT 1 AS a, 2 AS a", [[1, 2]]),
    ("SELECT x AS y FROM (VALUES 1, 2) AS t (x) ORDER BY y DESC FETCH FIRST 1 ROW ONLY", [[2]]),
    ("SELECT -x AS x FROM (VALUES 1, 2) AS t (x) ORDER BY x", [[-2], [-1]]),
    ("SELECT -x AS x FROM (VALUES 1, 2) AS t (x) ORDER BY x + 0 DESC", [[-1], [-2]]),
    ("SELECT 1 UNION ALL SELECT 2.5", [[1.0], [2.5]]),
    ("SELECT x FROM (VALUES 1, 2, 3) AS t (x) EXCEPT SELECT 2 ORDER BY x", [[1], [3]]),
    ("SELECT 1 INTERSECT SELECT 1", [[1]]),
    ("(SELECT 1 AS a) UNION (SELECT 1) UNION ALL (SELECT 3 ORDER BY 1 LIMIT 1) ORDER BY a", [[1], [3]]),
    ("WITH a (n) AS (SELECT 1), b AS (SELECT n + 1 AS n FROM a) SELECT a.n, b.n FROM a, b", [[1, 2]]),
    ("SELECT k, v FROM UNNEST(MAP(ARRAY['a', 'b'], ARRAY[1, 2])) AS t (k, v)", [["a", 1], ["b", 2]]),
    ("SELECT * FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t (x, y)", [[1, "a"], [2, None]]),
    ("SELECT * FROM UNNEST(ARRAY['a', 'b']) WITH ORDINALITY AS t (x, n)", [["a", 1], ["b", 2]]),
    ("SELECT x, y FROM UNNEST(ARRAY[(1, 'a'), (2, 'b')]) AS t (x, y)", [[1, "a"], [2, "b"]]),
    (
        "SELECT n, k, v FROM (VALUES (1, MAP(ARRAY['a'], ARRAY[9]))) AS r (n, m) "
        "CROSS JOIN UNNEST(map_entries(m)) AS e (k, v)",
        [[1, "a", 9]],
    ),
    (
        "SELECT n, x FROM (VALUES (1, ARRAY[5, 6]), (2, ARRAY[])) AS r (n, a), UNNEST(a) AS t (x)",
        [[1, 5], [1, 6]],
    ),
    (
        "SELECT n, x, o FROM (VALUES (1, ARRAY[5]), (2, NULL)) AS r (n, a) "
        "LEFT JOIN UNNEST(a) WITH ORDINALITY AS t (x, o) ON TRUE ORDER BY n",
        [[1, 5, 1], [2, None, None]],
    ),
    (
        "SELECT n, (SELECT max(x) FROM UNNEST(a) AS t (x)) FROM (VALUES (1, ARRAY[5, 6])) AS r (n, a)",
        [[1, 6]],
    ),
    (
        "SELECT k, a, b FROM (VALUES (1, 2)) AS l (k, a) JOIN (VALUES (1, 3)) AS r (k, b) USING (k)",
        [[1, 2, 3]],
    ),
    (
        "SELECT * FROM (VALUES 1, 2) AS l (k) FULL JOIN (VALUES 2, 3) AS r (k) USING (k) ORDER BY k",
        [[1], [2], [3]],
    ),
    (
        "SELECT l.k, r.k FROM (VALUES 1, 2) AS l (k) LEFT JOIN (VALUES 2) AS r (k) ON l.k = r.k ORDER BY 1",
        [[1, None], [2, 2]],
    ),
    (
        "SELECT g, count(*) FROM (VALUES 'a', 'b', 'a') AS t (g) GROUP BY 1 HAVING count(*) > 1",
        [["a", 2]],
    ),
    (
        "SELECT a, b, grouping(a, b), sum(n) FROM (VALUES ('x', 'y', 1), ('x', 'z', 2)) AS t (a, b, n) "
        "GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY 3, 2",
        [["x", None, 1, 3], [None, "y", 2, 1], [None, "z", 2, 2], [None, None, 3, 3]],
    ),
    ("SELECT a, count(*) FROM (VALUES 1, 1) AS t (a) GROUP BY ROLLUP (a) ORDER BY 1", [[1, 2], [None, 2]]),
    (
        "SELECT if(x > 1, 'b', 's'), count(*) FROM (VALUES 1, 2) AS t (x) "
        "GROUP BY if(x > 1, 'b', 's') ORDER BY 1",
        [["b", 1], ["s", 1]],
    ),
    (
        "SELECT transform(ARRAY[x], y -> y + 1), count(*) FROM (VALUES 1, 1) AS t (x) "
        "GROUP BY transform(ARRAY[x], y -> y + 1)",
        [[[2], 2]],
    ),
    (
        "SELECT x, lag(x) OVER (ORDER BY x), sum(x) OVER w, rank() OVER (ORDER BY x DESC), "
        "first_value(x) OVER w FROM (VALUES 1, 3, 2) AS t (x) "
        "WINDOW w AS (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) ORDER BY x",
        [[1, None, 1, 3, 1], [2, 1, 3, 2, 1], [3, 2, 5, 1, 2]],
    ),
    (
        "SELECT x, last_value(x) IGNORE NULLS OVER (ORDER BY n) FROM (VALUES (1, 5), (2, NULL)) AS t (n, x)",
        [[5, 5], [None, 5]],
    ),
    (
        "SELECT g, x FROM (SELECT g, x, row_number() OVER (PARTITION BY g ORDER BY x DESC) AS n "
        "FROM (VALUES ('a', 1), ('a', 2), ('b', NULL)) AS t (g, x)) WHERE n = 1 ORDER BY g",
        [["a", 2], ["b", None]],
    ),
    (
        "SELECT g, count(*) * 100.0 / sum(count(*)) OVER () FROM (VALUES 'a', 'b', 'b') AS t (g) GROUP BY g "
        "ORDER BY g",
        [["a", 33.3], ["b", 66.7]],
    ),
    ("SELECT DISTINCT x FROM (VALUES 1, 1, NULL, NULL) AS t (x) ORDER BY x", [[1], [None]]),
    ("SELECT t.* FROM (VALUES (1, 2)) AS t (a, b), (VALUES 3) AS u (c)", [[1, 2]]),
    (
        "SELECT p.x FROM (VALUES 1) AS p (x) WHERE EXISTS (SELECT 1 FROM (VALUES 1) AS q (y) WHERE y = x)",
        [[1]],
    ),
    ("SELECT LABEL FROM (VALUES 'bicycle') AS t (Label)", [["bicycle"]]),
    ("-- a comment\nSELECT 1 /* another */;", [[1]]),
    ("SHOW TABLES", [["labels"], ["predictions"]]),
    ("SHOW TABLES IN scones 'pred*|x'", [["predictions"]]),
    ("SHOW TABLES LIKE 'nothing*'", []),
    ("-- what is there\nSHOW TABLES;", [["labels"], ["predictions"]]),
    ("WITH t AS (SELECT 1 AS x) SELECT x FROM t TABLESAMPLE BERNOULLI (100)", [[1]]),
    ("WITH t AS (SELECT 1 AS x) SELECT x FROM t TABLESAMPLE BERNOULLI (0)", []),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES)
def test_a_query_returns_what_it_returns_on_athena(engine: LocalAthena, sql, expected):
    frame = engine.query(sql).frame
    got = [[plain(cell) for cell in row] for row in frame.astype(object).to_numpy().tolist()]
    got = [[None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row] for row in got]
    assert got == expected


REFUSED = [
    ("WITH a (y) AS (SELECT key FROM labels) SELECT y AS z FROM a GROUP BY y || 'a'", "The column y is"),
    (
        "SELECT k, v, count(*) FROM predictions CROSS JOIN UNNEST(probabilities) AS t (k, v) GROUP BY k",
        "column v",
    ),
    ('SELECT * FROM "/etc/passwd"', "There is no table"),
    ("SELECT * FROM read_csv('/etc/passwd')", "no function can be read from"),
    ("SELECT * FROM read_parquet('/tmp/x.parquet')", "no function can be read from"),
    ("SELECT * FROM glob('/*')", "no function can be read from"),
    ("SELECT * FROM duckdb_settings()", "no function can be read from"),
    ("SELECT read_text('/etc/passwd')", "The function read_text is not supported"),
    ("SELECT getenv('HOME')", "getenv"),
    ("SELECT current_setting('memory_limit')", "current_setting"),
    ("SELECT 1; SELECT 2", "Only one statement can run at a time"),
    ("SELECT 1; DROP TABLE predictions", "Only one statement can run at a time"),
    ("DROP TABLE predictions", "reads"),
    ("INSERT INTO predictions SELECT 1", "reads"),
    ("CREATE TABLE t AS SELECT 1", "reads"),
    ("COPY predictions TO '/tmp/x'", "reads"),
    ("ATTACH '/tmp/x'", "reads"),
    ("SET threads = 1", "reads"),
    ("PRAGMA version", "reads"),
    ("INSTALL httpfs", "reads"),
    ("UNLOAD (SELECT 1) TO 's3://x' WITH (format = 'PARQUET')", "reads"),
    ("", "reads"),
    ("SELEC 1", "reads"),
    ("SELECT 1 +", "The statement cannot be read"),
    ("SELECT checksum(ARRAY[1])", "checksum of array(integer)"),
    ("SELECT format('%.99999999999999999999s', 'a')", "too large"),
    ("SELECT array_agg(DISTINCT x ORDER BY -x) FROM (VALUES 1) AS t (x)", "ordered by these values alone"),
    ("SELECT listagg(DISTINCT x, ',') WITHIN GROUP (ORDER BY y) FROM (VALUES ('a', 1)) AS t (x, y)", "alone"),
    ("SELECT numeric_histogram(10, 1e0)", "numeric_histogram"),
    ("SELECT ST_Point(1, 2)", "st_point"),
    ("SELECT list_aggregate(ARRAY[1], 'sum')", "list_aggregate"),
    ("SELECT nothing FROM predictions", "cannot be found"),
    ("SELECT lable FROM (VALUES 1) AS t (label)", "lable cannot be found. Perhaps label?"),
    ('SELECT 1 FROM (VALUES 1) AS t (label) WHERE label = "bicycle"', "single quotes"),
    ("SELECT label FROM predictions GROUP BY 2", "no such column"),
    ("SELECT count(*) FROM predictions AS a, predictions AS b WHERE dt = '2026-11-24'", "ambiguous"),
    ("SELECT count(*) FROM predictions WHERE dt = 5", "cannot apply = to varchar, integer"),
    ("SELECT count(*) FROM predictions WHERE uploaded_at > '2026-11-24'", "timestamp(3), varchar"),
    ("SELECT 'a' || 1", "need varchar, not integer: write CAST(x AS varchar)"),
    ("SELECT if('x', 1)", "needs boolean"),
    ("SELECT 1 WHERE 1", "needs boolean"),
    ("SELECT lower(5)", "lower is not supported with arguments of the types (integer)"),
    ("SELECT date_trunc('hour', DATE '2026-11-24')", "no unit 'hour'"),
    ("SELECT date_format(current_date, '%D')", "%D"),
    ("SELECT format_datetime(current_date, 'ZZ')", "ZZ"),
    ("SELECT format('%o', 1)", "not supported"),
    ("SELECT format('%s %s', 'a')", "not supported"),
    ("SELECT json_extract('{}', '$..a')", "JSON path"),
    ("SELECT now() AT TIME ZONE '+15:00'", "time zone"),
    ("SELECT x FROM (VALUES 1) AS t (x) QUALIFY row_number() OVER () = 1", "no QUALIFY"),
    ("SELECT * FROM predictions TABLESAMPLE SYSTEM (10)", "use BERNOULLI"),
    ("SELECT * FROM predictions TABLESAMPLE BERNOULLI (101)", "from 0 to 100"),
    ("SELECT * FROM predictions AS p TABLESAMPLE BERNOULLI (10) JOIN labels AS l ON true", "beside a join"),
    ("SELECT * FROM labels, (predictions AS p TABLESAMPLE BERNOULLI (10))", "beside a join"),
    (
        "SELECT a.x FROM (VALUES 1) AS a (x), (VALUES 1) AS b (y) JOIN (VALUES 1) AS c (z) ON a.x = c.z",
        "a.x cannot",
    ),
    (
        "SELECT e FROM (VALUES ARRAY[1]) AS a (x), UNNEST(a.x) AS t (e) JOIN (VALUES 1) AS z (w) ON e = w",
        "write CROSS JOIN for the comma",
    ),
    ("EXPLAIN SELECT 1", "running it what was scanned"),
    ("EXPLAIN INSERT INTO labels SELECT 1", "reads"),
    ("PREPARE q FROM SELECT 1", "a `?` for each parameter"),
    ("EXECUTE q USING 1", "a `?` for each parameter"),
    ("SELECT upper(label) AS l, count(*) FROM predictions GROUP BY l", "write its position"),
    ("SELECT confidence AS c FROM predictions WHERE c > 0.5", "repeat the expression"),
    (
        "SELECT aprox_distinct(label) FROM predictions",
        "aprox_distinct is not supported. Perhaps approx_distinct?",
    ),
    ("SELECT regexp_extrat(key, 'a') FROM predictions", "Perhaps regexp_extract?"),
    ("SELECT dat_trunc('day', uploaded_at) FROM predictions", "Perhaps date_trunc?"),
    ("SELECT nvl(label, 'x') FROM predictions", "Athena has none of that name: write coalesce(x, y)."),
    ("SELECT median(confidence) FROM predictions", "write approx_percentile(x, 0.5)."),
    ("SELECT label FROM predictions WHERE label ILIKE 'b%'", "lower(x) LIKE"),
    ("SELECT label FROM predictions WHERE label RLIKE 'b'", "regexp_like"),
    ("SELECT * EXCEPT (label) FROM predictions", "list the columns"),
    ("SELECT * EXCEPT () FROM predictions", "list the columns"),
    ("SELECT key, * EXCLUDE () FROM labels", "list the columns"),
    ("SELECT l.* REPLACE () FROM labels AS l", "list the columns"),
    ("SELECT label, count(*) FROM predictions GROUP BY ALL", "no GROUP BY ALL"),
    ("SELECT TOP 5 label FROM predictions", "no TOP"),
    ("SELECT label FROM predictions MINUS SELECT true_label FROM labels", "write EXCEPT"),
    ("SELECT `label` FROM predictions", "backticks"),
    ("SELECT year(dt) FROM predictions", "not varchar: write CAST(x AS date)"),
    ("SELECT DISTINCT ON (label) label FROM predictions", "DISTINCT ON"),
    ("WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", "RECURSIVE"),
    ("SELECT row_number()", "needs OVER"),
    ("SELECT sum(x) FROM (VALUES 'a') AS t (x)", "needs numbers"),
    ("SELECT * FROM predictions LIMIT ?", "needs a number"),
    ("SELECT true IS TRUE", "IS NULL only"),
]


@pytest.mark.parametrize(("sql", "why"), REFUSED)
def test_a_statement_that_is_not_supported_is_refused(engine: LocalAthena, sql, why):
    with pytest.raises(QueryRefused, match=re.escape(why)):
        engine.query(sql, ["10"] if "?" in sql else [])


FAILING = [
    ("SELECT * FROM UNNEST(ARRAY[count(*)])", "^UNNEST and VALUES cannot contain aggregates"),
    ("SELECT count(*) FILTER (WHERE count(*) > 1)", "^Aggregates cannot be nested"),
    ("SELECT sum(sum(1) OVER ()) OVER ()", "^A window function cannot contain another one"),
    ("SELECT grouping(x) FROM (VALUES 1) AS t (x)", r"^grouping\(\) needs columns of GROUP BY"),
    ("SELECT 1 / x FROM (VALUES 0) AS t (x)", "^Division by zero; TRY"),
    ("SELECT x % 0 FROM (VALUES 1) AS t (x)", "^Division by zero; TRY"),
    ("SELECT 1.0 / x FROM (VALUES 0.0) AS t (x)", "^Division by zero; TRY"),
    ("SELECT MAP(ARRAY['a'], ARRAY[1])[x] FROM (VALUES 'b') AS t (x)", "^Key not present in map$"),
    ("SELECT ARRAY[1][x] FROM (VALUES 2) AS t (x)", "^Array subscript out of bounds$"),
    ("SELECT element_at(ARRAY[1], x) FROM (VALUES 0) AS t (x)", "^SQL array indices start at 1$"),
    ("SELECT CAST('x' AS timestamp)", "^A text cannot be cast to timestamp"),
    (
        "SELECT from_iso8601_timestamp(x) FROM (VALUES '2026-11-24T09:30:00+02:00') AS t (x)",
        "AT TIME ZONE 'UTC' after the call$",
    ),
    ("SELECT DATE '2026-11-24' + i FROM (VALUES INTERVAL '1' HOUR) AS t (i)", "Cannot add hour"),
    ("SELECT x + 1 FROM (VALUES 2147483647) AS t (x)", "[Oo]verflow"),
    ("SELECT sum(x) FROM (VALUES 9223372036854775807, 1) AS t (x)", "out of range"),
    ("SELECT (SELECT x FROM (VALUES 1, 2) AS t (x))", "[Mm]ore than one row"),
    ("SELECT label, count(*) FROM predictions", "^The column label is neither in GROUP BY"),
    ("SELECT x, count(*) FROM (SELECT key AS x FROM labels)", r"^The column x is .* arbitrary\(x\)\.$"),
    ("SELECT * FROM UNNEST(ARRAY[1]) AS t (only) GROUP BY only + 1", "^The column only is"),
    ("SELECT count(*) FROM labels WHERE max(key) = 'a'", "write HAVING"),
    ("SELECT key FROM labels WHERE rank() OVER (ORDER BY key) = 1", "compute it in a subquery"),
    ("SELECT max(count(*)) FROM labels GROUP BY key", "move one into a subquery"),
    ("SELECT MAP(ARRAY['a', 'a'], ARRAY[1, 2])", "^A map's keys must be unique"),
]


@pytest.mark.parametrize(("sql", "why"), FAILING)
def test_a_statement_that_fails_or_would_differ_on_athena_fails_and_says_why(engine: LocalAthena, sql, why):
    with pytest.raises(QueryFailed, match=why):
        engine.query(sql)


@pytest.mark.parametrize("value", ["a", "it's", "x' OR '1'='1", "?", "--", "☃\n", ""])
def test_a_parameter_is_a_text_whatever_is_in_it(engine: LocalAthena, value):
    frame = engine.query("SELECT ?, ? || '!' AS loud, '?' AS mark", [value, value]).frame
    assert frame.iloc[0].tolist() == [value, value + "!", "?"]


def test_parameters_are_taken_in_the_order_of_their_marks(engine: LocalAthena):
    sql = "WITH a AS (SELECT ? AS x) SELECT x, ?, (SELECT ?) FROM a WHERE x = ?"
    assert engine.query(sql, ["1", "2", "3", "1"]).frame.iloc[0].tolist() == ["1", "2", "3"]


def test_a_parameter_too_few_or_too_many_is_refused(engine: LocalAthena):
    with pytest.raises(QueryRefused, match="2 `\\?`, and 1 parameters"):
        engine.query("SELECT ?, ?", ["a"])


@pytest.mark.parametrize(
    "name", ["predictions", "scones.predictions", '"awsdatacatalog"."scones"."predictions"']
)
def test_a_table_may_be_qualified_with_the_database_and_the_catalog(engine: LocalAthena, name):
    assert engine.query(f"SELECT count(*) AS n FROM {name}").frame["n"].tolist() == [0]


def test_a_column_may_be_qualified_with_its_table_and_the_database(engine: LocalAthena):
    frame = engine.query("SELECT scones.labels.key FROM scones.labels WHERE labels.dt > '2026'").frame
    assert list(frame.columns) == ["key"]


def test_a_listing_may_name_the_database(engine: LocalAthena):
    plain, qualified = (engine.query(f"{form}labels").frame for form in ("DESCRIBE ", "DESC scones."))
    assert plain.equals(qualified)


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT 1",
        "explain analyze verbose WITH a AS (SELECT 1) TABLE a",
        "EXPLAIN (FORMAT JSON) SELECT 1",
    ],
)
def test_explain_of_a_statement_that_reads_only_reads(sql):
    ensure_it_reads(sql)


def test_a_mistyped_first_word_is_named():
    said = (
        "Only a statement that reads can run: SELECT, WITH, VALUES, DESCRIBE or SHOW. It begins with 'SELEC'."
    )
    with pytest.raises(QueryRefused, match=f"^{re.escape(said)}$"):
        ensure_it_reads("-- a comment\nSELEC 1")


def test_a_sample_is_of_about_the_share_that_is_asked_for(engine: LocalAthena):
    many = "WITH t AS (SELECT x FROM UNNEST(sequence(1, 10000)) AS t (x))"
    sql = f"{many} SELECT count(*) AS n FROM t TABLESAMPLE BERNOULLI (10)"
    assert 700 < engine.query(sql).frame["n"].iloc[0] < 1300


def test_columns_without_a_name_are_numbered_as_on_athena(engine: LocalAthena):
    frame = engine.query("SELECT 1, 2 AS two, count(*), t.x FROM (VALUES 1) AS t (x) GROUP BY t.x").frame
    assert list(frame.columns) == ["_col0", "two", "_col2", "x"]


def test_the_path_can_be_selected_and_is_not_in_a_star(engine: LocalAthena):
    assert list(engine.query('SELECT "$path" FROM predictions').frame.columns) == ["$path"]
    assert "$path" not in engine.query("SELECT * FROM predictions").frame.columns


def test_a_frame_has_the_types_that_its_users_expect(engine: LocalAthena):
    frame = engine.query(
        "SELECT x AS int_null, 1 AS int, 0.5 AS dec, 1e0 AS dbl, true AS bool, 'a' AS text, "
        "TIMESTAMP '2026-11-24 09:30:00' AS ts, now() AS tz, DATE '2026-11-24' AS d, "
        "DATE '2026-11-24' - DATE '2026-11-23' AS span, MAP(ARRAY['a'], ARRAY[0.5]) AS m, ARRAY[1] AS a, "
        "CAST(NULL AS varchar) AS no_text FROM (VALUES NULL, 1) AS t (x)"
    ).frame
    assert frame.dtypes.astype(str).to_dict() == {
        "int_null": "Int64", "int": "int64", "dec": "float64", "dbl": "float64", "bool": "bool",
        "text": "object", "ts": "datetime64[us]", "tz": "datetime64[us, UTC]", "d": "object",
        "span": "timedelta64[us]", "m": "object", "a": "object", "no_text": "object",
    }  # fmt: skip
    assert frame["d"].iloc[0] == date(2026, 11, 24)
    assert frame["m"].iloc[0] == {"a": 0.5}
    assert isinstance(frame["a"].iloc[0], list)
    assert frame["no_text"].iloc[0] is None


def test_an_empty_result_has_its_columns_and_their_types(engine: LocalAthena):
    frame = engine.query("SELECT label, width_px, uploaded_at FROM predictions").frame
    assert len(frame) == 0
    assert frame.dtypes.astype(str).to_dict() == {
        "label": "object", "width_px": "int64", "uploaded_at": "datetime64[us]"
    }  # fmt: skip


def test_a_refusal_is_all_that_is_said(engine: LocalAthena, caplog: pytest.LogCaptureFixture):
    with pytest.raises(QueryRefused, match="its locks"):
        engine.query("SELECT key FROM labels FOR UPDATE")
    assert caplog.text == ""
