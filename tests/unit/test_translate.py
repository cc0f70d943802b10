"""Each expression with the value that Trino's documentation gives it, or its rules for the types at hand."""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from analytics.athena import LocalAthena

NAN, INF = math.nan, math.inf


def at(text: str, zone: str | None = None) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if zone is None else moment.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))


ARITHMETIC = [
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("-7 % 3", -1),
    ("7 / 2e0", 3.5),
    ("1 / 2 * 100", 0),
    ("1e0 / 0", INF),
    ("0e0 / 0", NAN),
    ("1.0 / 3", 0.3),
    ("2.0 / 3", 0.7),
    ("-2.0 / 3", -0.7),
    ("1.00 / 3", 0.33),
    ("100.0 * 2 / 3", 66.7),
    ("1 / 3.000", 0.333),
    ("typeof(1.0 / 3)", "decimal(2,1)"),
    ("typeof(0.94)", "decimal(2,2)"),
    ("typeof(1.25 * 2.5)", "decimal(5,3)"),
    ("typeof(1.25 + 2.5)", "decimal(4,2)"),
    ("typeof(1 + 0.5)", "decimal(12,1)"),
    ("typeof(10.5 % 3.25)", "decimal(3,2)"),
    ("10.5 % 3.25", 0.75),
    ("0.1 + 0.2 = 0.3", True),
    ("0.1e0 + 0.2e0 = 0.3e0", False),
    ("typeof(1)", "integer"),
    ("typeof(3000000000)", "bigint"),
    ("typeof(1e0)", "double"),
    ("typeof(1 + BIGINT '1')", "bigint"),
    ("typeof('abc')", "varchar(3)"),
    ("typeof(NULL)", "unknown"),
    ("typeof(ARRAY[1, 2.5])", "array(decimal(11,1))"),
    ("typeof(current_date)", "date"),
    ("typeof(TIMESTAMP '2026-11-24 09:30:00.123')", "timestamp(3)"),
    ("typeof(now())", "timestamp(3) with time zone"),
    ("typeof(count(*))", "bigint"),
    ("typeof(sum(1))", "bigint"),
    ("typeof(avg(1.50))", "decimal(3,2)"),
    ("typeof(sum(1.50))", "decimal(38,2)"),
    ("try(1 / 0)", None),
    ("try(CAST('x' AS integer))", None),
    ("coalesce(try(1 / 0), -1)", -1),
    ("1 + NULL", None),
]

MATH = [
    ("abs(-3)", 3),
    ("ceil(1.2e0)", 2.0),
    ("ceiling(-1.5)", -1.0),
    ("floor(-1.5)", -2.0),
    ("round(2.5e0)", 3.0),
    ("round(-2.5e0)", -3.0),
    ("round(2.345, 2)", 2.35),
    ("round(2.4)", 2.0),
    ("truncate(-2.7e0)", -2.0),
    ("mod(-7, 3)", -1),
    ("power(2, 10)", 1024.0),
    ("pow(2, -1)", 0.5),
    ("sqrt(16)", 4.0),
    ("cbrt(27)", 3.0),
    ("exp(0)", 1.0),
    ("ln(1)", 0.0),
    ("ln(0)", -INF),
    ("log2(8)", 3.0),
    ("log10(1000)", 3.0),
    ("log(2, 8)", 3.0),
    ("sign(-2)", -1),
    ("sign(-2.5e0)", -1.0),
    ("is_nan(nan())", True),
    ("is_finite(infinity())", False),
    ("is_infinite(infinity())", True),
    ("greatest(1, 2, 3)", 3),
    ("greatest(1, NULL)", None),
    ("least(2, NULL)", None),
    ("greatest(1, 2.5)", 2.5),
    ("bitwise_and(19, 25)", 17),
    ("bitwise_or(19, 25)", 27),
    ("bitwise_xor(19, 25)", 10),
    ("bitwise_not(-12)", 11),
    ("width_bucket(0.94, 0, 1, 20)", 19),
    ("width_bucket(-0.1, 0, 1, 20)", 0),
    ("width_bucket(1.0, 0, 1, 20)", 21),
    ("width_bucket(0.0, 0, 1, 20)", 1),
    ("width_bucket(0.25, 1, 0, 4)", 3),
    ("width_bucket(NULL, 0, 1, 4)", None),
    ("width_bucket(0.94, ARRAY[0.5, 0.8, 0.94])", 3),
    ("width_bucket(0.1, ARRAY[0.5, 0.8])", 0),
    ("round(wilson_interval_lower(1250, 1310, 1.96e0), 4)", 0.9415),
    ("round(wilson_interval_upper(1250, 1310, 1.96e0), 4)", 0.9643),
]

TEXT = [
    ("'a' || 'b'", "ab"),
    ("'a' || NULL", None),
    ("concat('a', 'b', 'c')", "abc"),
    ("concat('a', NULL)", None),
    ("concat_ws(',', 'a', NULL, 'b')", "a,b"),
    ("concat_ws('-', ARRAY['a', 'b'])", "a-b"),
    ("length('né☃')", 3),
    ("lower('ABC')", "abc"),
    ("upper('abc')", "ABC"),
    ("reverse('abc')", "cba"),
    ("replace('banana', 'an')", "ba"),
    ("replace('banana', 'an', 'x')", "bxxa"),
    ("lpad('7', 3, '0')", "007"),
    ("lpad('hello', 3, 'x')", "hel"),
    ("rpad('ab', 5, 'xy')", "abxyx"),
    ("strpos('hello', 'l')", 3),
    ("strpos('hello', 'z')", 0),
    ("position('l' IN 'hello')", 3),
    ("substr('hello', 2)", "ello"),
    ("substr('hello', 2, 3)", "ell"),
    ("substr('hello', -3)", "llo"),
    ("substr('hello', -3, 2)", "ll"),
    ("substr('hello', 0)", ""),
    ("substr('hello', -9)", ""),
    ("substring('hello' FROM 2 FOR 2)", "el"),
    ("split('a,b,c', ',')", ["a", "b", "c"]),
    ("split('a,b,c', ',', 2)", ["a", "b,c"]),
    ("split_part('incoming/bike/1.png', '/', 2)", "bike"),
    ("split_part('a/b', '/', 3)", None),
    ("split_part('a//b', '/', 2)", ""),
    ("trim('  a\t')", "a"),
    ("trim(BOTH '$' FROM '$var$')", "var"),
    ("trim(LEADING FROM '  abcd')", "abcd"),
    ("starts_with('abc', 'ab')", True),
    ("translate('abcd', 'ac', 'z')", "zbd"),
    ("codepoint('a')", 97),
    ("chr(9731)", "☃"),
    ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
    ("to_base64(to_utf8('a'))", "YQ=="),
    ("from_utf8(from_base64('YQ=='))", "a"),
    ("levenshtein_distance('kitten', 'sitting')", 3),
    ("'abc' LIKE 'a%'", True),
    ("'a%c' LIKE 'a\\%c'", False),
    ("'a%c' LIKE 'a\\%c' ESCAPE '\\'", True),
    ("'abc' NOT LIKE '_b_'", False),
    ("format('%.2f', 0.945e0)", "0.95"),
    ("format('%.1f %%', 12.25)", "12.3 %"),
    ("format('%s has %d', 'x', 3)", "x has 3"),
    ("format('%05d|%-4s|%,d', 42, 'ab', 1234567)", "00042|ab  |1,234,567"),
    ("format('%s', CAST(NULL AS varchar))", "null"),
    ("regexp_like('1a 2b 14m', '\\d+b')", True),
    ("regexp_extract('1a 2b 14m', '\\d+')", "1"),
    ("regexp_extract('1a 2b 14m', '(\\d+)([a-z]+)', 2)", "a"),
    ("regexp_extract('abc', '\\d+')", None),
    ("regexp_extract_all('1a 2b 14m', '\\d+')", ["1", "2", "14"]),
    ("regexp_extract_all('1a 2b 14m', '(\\d+)([a-z]+)', 2)", ["a", "b", "m"]),
    ("regexp_replace('1a 2b 14m', '\\d+[ab] ')", "14m"),
    ("regexp_replace('1a 2b 14m', '(\\d+)([ab]) ', '3c$2 ')", "3ca 3cb 14m"),
    ("regexp_split('1a 2b 14m', '\\s*[a-z]+\\s*')", ["1", "2", "14", ""]),
    ("regexp_count('1a 2b 14m', '\\s*[a-z]+\\s*')", 3),
]

TIME = [
    ("date_trunc('week', DATE '2026-11-29')", date(2026, 11, 23)),
    ("date_trunc('month', TIMESTAMP '2026-11-29 10:11:12.345')", at("2026-11-01")),
    ("date_trunc('hour', TIMESTAMP '2026-11-29 10:11:12.345')", at("2026-11-29T10:00")),
    ("date_trunc('quarter', DATE '2026-11-29')", date(2026, 10, 1)),
    ("DATE '2026-01-31' + INTERVAL '1' MONTH", date(2026, 2, 28)),
    ("DATE '2012-08-08' + INTERVAL '2' DAY", date(2012, 8, 10)),
    ("DATE '2012-08-08' - INTERVAL '2' DAY", date(2012, 8, 6)),
    ("CAST(DATE '2026-11-24' - INTERVAL '7' DAY AS varchar)", "2026-11-17"),
    ("TIMESTAMP '2012-08-08 01:00' + INTERVAL '29' HOUR", at("2012-08-09T06:00")),
    ("TIMESTAMP '2012-10-31 01:00' - INTERVAL '1' MONTH", at("2012-09-30T01:00")),
    ("INTERVAL '2' DAY + INTERVAL '3' HOUR", timedelta(days=2, hours=3)),
    ("DATE '2026-11-23' - DATE '2026-11-20'", timedelta(days=3)),
    ("day(DATE '2026-11-23' - DATE '2026-11-20')", 3),
    ("TIMESTAMP '2026-11-23 03:00' - TIMESTAMP '2026-11-22'", timedelta(days=1, hours=3)),
    ("to_milliseconds(INTERVAL '1' DAY)", 86_400_000),
    ("2 * INTERVAL '1' DAY", timedelta(days=2)),
    ("date_add('day', 7, DATE '2026-11-24')", date(2026, 12, 1)),
    ("date_add('month', 1, DATE '2026-01-31')", date(2026, 2, 28)),
    ("date_add('second', 86, TIMESTAMP '2020-03-01 00:00:00')", at("2020-03-01T00:01:26")),
    ("date_add('week', -1, TIMESTAMP '2026-11-24 01:00')", at("2026-11-17T01:00")),
    ("date_diff('day', TIMESTAMP '2026-11-22 23:00', TIMESTAMP '2026-11-23 01:00')", 0),
    ("date_diff('day', DATE '2020-03-01', DATE '2020-03-02')", 1),
    ("date_diff('hour', TIMESTAMP '2026-11-22 23:30', TIMESTAMP '2026-11-23 01:00')", 1),
    ("date_diff('second', TIMESTAMP '2020-06-01 12:30:45', TIMESTAMP '2020-06-02 12:30:45.123')", 86_400),
    (
        "date_diff('millisecond', TIMESTAMP '2020-06-01 12:30:45', TIMESTAMP '2020-06-02 12:30:45.123')",
        86_400_123,
    ),
    ("date_diff('month', DATE '2026-01-31', DATE '2026-02-28')", 1),
    ("date_diff('month', DATE '2026-01-15', DATE '2026-02-14')", 0),
    ("date_diff('week', DATE '2026-11-29', DATE '2026-11-23')", 0),
    ("date_diff('day', DATE '2026-11-29', TIMESTAMP '2026-11-27 12:00')", -1),
    ("year(DATE '2026-11-24')", 2026),
    ("quarter(DATE '2026-11-24')", 4),
    ("week(DATE '2026-11-23')", 48),
    ("day_of_week(DATE '2026-11-23')", 1),
    ("dow(DATE '2026-11-29')", 7),
    ("day_of_year(DATE '2026-02-01')", 32),
    ("year_of_week(DATE '2027-01-01')", 2026),
    ("hour(TIMESTAMP '2026-11-24 09:30:01.123')", 9),
    ("second(TIMESTAMP '2026-11-24 09:30:01.123')", 1),
    ("millisecond(TIMESTAMP '2026-11-24 09:30:01.123')", 123),
    ("extract(DOW FROM DATE '2026-11-24')", 2),
    ("extract(MINUTE FROM TIMESTAMP '2026-11-24 09:30:01')", 30),
    ("last_day_of_month(TIMESTAMP '2024-02-03 04:05')", date(2024, 2, 29)),
    ("date('2026-11-24')", date(2026, 11, 24)),
    ("date(TIMESTAMP '2026-11-24 23:59:59.999')", date(2026, 11, 24)),
    (
        "date_format(TIMESTAMP '2026-11-04 09:05:06.789', '%Y-%m-%d %H:%i:%s.%f')",
        "2026-11-04 09:05:06.789000",
    ),
    (
        "date_format(DATE '2026-11-04', '%x-W%v %a %b %e %M %c %k %y %%')",
        "2026-W45 Wed Nov 4 November 11 0 26 %",
    ),
    ("date_format(TIMESTAMP '2026-11-04 21:05', '%r %T %p %l')", "09:05:00 PM 21:05:00 PM 9"),
    ("date_parse('2026-10-05 01:02', '%Y-%m-%d %H:%i')", at("2026-10-05T01:02")),
    ("date_parse('5/1/2026', '%c/%e/%Y')", at("2026-05-01")),
    (
        "format_datetime(TIMESTAMP '2026-11-04 09:05:06.789', 'yyyy-MM-dd''T''HH:mm:ss.SSS')",
        "2026-11-04T09:05:06.789",
    ),
    ("format_datetime(DATE '2026-11-04', 'xxxx-''W''ww EEE d MMM yy')", "2026-W45 Wed 4 Nov 26"),
    ("parse_datetime('2026-10-05 01:02', 'yyyy-MM-dd HH:mm')", at("2026-10-05T01:02", "UTC")),
    ("from_iso8601_timestamp('2020-05-11')", at("2020-05-11", "UTC")),
    ("from_iso8601_timestamp('2020-05-11T11:15:05')", at("2020-05-11T11:15:05", "UTC")),
    ("from_iso8601_timestamp('2026-11-24T09:30:00.123Z')", at("2026-11-24T09:30:00.123", "UTC")),
    ("from_iso8601_date('2020-05-11')", date(2020, 5, 11)),
    ("to_iso8601(TIMESTAMP '2026-11-24 09:30:00.123')", "2026-11-24T09:30:00.123"),
    ("to_iso8601(from_iso8601_timestamp('2026-11-24T09:30:00Z'))", "2026-11-24T09:30:00.000Z"),
    ("to_iso8601(DATE '2026-11-24')", "2026-11-24"),
    ("from_unixtime(0)", at("1970-01-01", "UTC")),
    ("from_unixtime(1.5)", at("1970-01-01T00:00:01.5", "UTC")),
    ("to_unixtime(TIMESTAMP '1970-01-02 00:00:00.500')", 86_400.5),
    (
        "TIMESTAMP '2026-10-31 01:00 UTC' AT TIME ZONE 'America/Los_Angeles'",
        at("2026-10-30T18:00", "America/Los_Angeles"),
    ),
    ("hour(TIMESTAMP '2026-07-01 01:00 UTC' AT TIME ZONE 'Europe/Paris')", 3),
    (
        "date_trunc('day', TIMESTAMP '2026-07-01 23:00 UTC' AT TIME ZONE 'Europe/Paris')",
        at("2026-07-02", "Europe/Paris"),
    ),
    ("CAST(TIMESTAMP '2026-07-01 23:00 UTC' AT TIME ZONE 'Europe/Paris' AS date)", date(2026, 7, 2)),
    (
        "TIMESTAMP '2026-07-01 01:00 Europe/Paris' = at_timezone(from_unixtime(1782860400), 'Europe/Paris')",
        True,
    ),
    (
        "at_timezone(TIMESTAMP '2022-11-01 09:08:07.321', 'America/Los_Angeles')",
        at("2022-11-01T02:08:07.321", "America/Los_Angeles"),
    ),
    (
        "with_timezone(TIMESTAMP '2022-11-01 09:08:07.321', 'America/Los_Angeles')",
        at("2022-11-01T09:08:07.321", "America/Los_Angeles"),
    ),
    ("date_add('day', 1, TIMESTAMP '2026-10-24 12:00 Europe/Paris')", at("2026-10-25T12:00", "Europe/Paris")),
    ("TIMESTAMP '2026-10-24 12:00 Europe/Paris' + INTERVAL '1' DAY", at("2026-10-25T11:00", "Europe/Paris")),
    ("current_timezone()", "UTC"),
    ("current_timestamp - INTERVAL '1' HOUR < now()", True),
    ("date_diff('day', current_date, CAST(localtimestamp AS date))", 0),
]

CASTS = [
    ("CAST(2.5e0 AS integer)", 3),
    ("CAST(-2.5e0 AS bigint)", -3),
    ("CAST(2.5 AS integer)", 3),
    ("CAST('12' AS integer)", 12),
    ("try_cast('12.5' AS integer)", None),
    ("try_cast('abc' AS double)", None),
    ("CAST('1e3' AS double)", 1000.0),
    ("CAST('0.94' AS decimal(3, 2))", 0.94),
    ("CAST(1.005 AS decimal(3, 2))", 1.01),
    ("try_cast('yes' AS boolean)", None),
    ("CAST('T' AS boolean)", True),
    ("CAST(0 AS boolean)", False),
    ("CAST(true AS varchar)", "true"),
    ("CAST(0.50 AS varchar)", "0.50"),
    ("CAST(12 AS varchar)", "12"),
    ("CAST(lower('ABCDEF') AS varchar(3))", "abc"),
    ("CAST(DATE '2026-11-24' AS varchar)", "2026-11-24"),
    ("CAST(TIMESTAMP '2026-11-24 09:30:00.000' AS varchar)", "2026-11-24 09:30:00.000"),
    ("CAST(TIMESTAMP '2026-11-24 09:30:00' AS varchar)", "2026-11-24 09:30:00"),
    ("CAST(DATE '2026-11-24' AS timestamp)", at("2026-11-24")),
    ("CAST('2026-11-24 9:30' AS timestamp)", at("2026-11-24T09:30")),
    ("CAST(lower('2026-11-24 09:30:00.1236') AS timestamp)", at("2026-11-24T09:30:00.124")),
    ("try_cast('2026-11-24T09:30' AS timestamp)", None),
    ("(SELECT try_cast(s AS date) FROM (VALUES '2026-11-24 09:30:00') AS t (s))", None),
    ("try_cast('2026-13-01' AS date)", None),
    ("CAST(now() AS varchar) LIKE '%.___ UTC'", True),
    ("CAST(ROW(1, 'a') AS ROW(x integer, y varchar)).y", "a"),
    ("CAST(ROW(1, 2.5) AS ROW(x double, y double))", {"x": 1.0, "y": 2.5}),
    ("CAST(ARRAY[1, 2] AS array(varchar))", ["1", "2"]),
    ("CAST(ARRAY[0.5e0, 2.5e0] AS array(integer))", [1, 3]),
    ("CAST(MAP(ARRAY['a'], ARRAY[1]) AS map(varchar, double))", {"a": 1.0}),
    ("CAST(JSON '{\"a\": 1}' AS map(varchar, bigint))", {"a": 1}),
    ("CAST(json_parse('[1, 2]') AS array(bigint))", [1, 2]),
    ("json_format(json_parse('{\"a\": [1, 2]}'))", '{"a":[1,2]}'),
    ("nan() = nan()", False),
    ("nan() <> nan()", True),
    ("nan() > 1e0", False),
    ("1e0 <= nan()", False),
    ("nan() >= CAST(NULL AS double)", None),
    ("0e0 / 0e0 > 0.5", False),
    ("CAST(json_extract('{\"a\": \"x\"}', '$.a') AS varchar)", "x"),
    ("json_format(CAST(MAP(ARRAY['a'], ARRAY[1]) AS json))", '{"a":1}'),
    ('json_format(json_parse(\'{"a": 1, "b": [2]}\'))', '{"a":1,"b":[2]}'),
    ("json_format(CAST(NULL AS json))", None),
    ("json_format(CAST('abc' AS json))", '"abc"'),
    ("json_extract_scalar('{\"a\": {\"b\": [1, 2]}}', '$.a.b[1]')", "2"),
    ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a')", None),
    ("json_extract_scalar('{\"a b\": true}', '$[\"a b\"]')", "true"),
    ("json_extract_scalar('not json', '$.a')", None),
    ("json_array_length(json_parse('[1, 2, 3]'))", 3),
]

CONDITIONS = [
    ("5 IN (1, NULL)", None),
    ("1 IN (1, NULL)", True),
    ("NULL IS NOT DISTINCT FROM NULL", True),
    ("1 IS DISTINCT FROM NULL", True),
    ("NOT NULL", None),
    ("NULL AND false", False),
    ("NULL OR true", True),
    ("2 BETWEEN 1 AND 2.5", True),
    ("if(1 > 2, 'a')", None),
    ("if(1 < 2, 'a', 'b')", "a"),
    ("coalesce(NULL, NULL, 3)", 3),
    ("nullif(1, 1)", None),
    ("nullif(1, 2)", 1),
    ("CASE 2 WHEN 1 THEN 'a' WHEN 2 THEN 'b' ELSE 'c' END", "b"),
    ("CASE WHEN false THEN 1 END", None),
    ("(SELECT max(x) FROM (VALUES 1, 3, 2) AS t (x))", 3),
    ("EXISTS (SELECT 1 WHERE false)", False),
    ("3 IN (SELECT x FROM (VALUES 1, 3) AS t (x))", True),
    ("'a' < 'b'", True),
    ("ARRAY[1, 2] = ARRAY[1, 2]", True),
]

CONTAINERS = [
    ("ARRAY[1, 1.2, 4]", [1.0, 1.2, 4.0]),
    ("ARRAY[1, 1.2, 4][2]", 1.2),
    ("ARRAY[1] || ARRAY[2]", [1, 2]),
    ("ARRAY[1] || 2", [1, 2]),
    ("2 || ARRAY[1]", [2, 1]),
    ("element_at(ARRAY['a', 'b', 'c'], -1)", "c"),
    ("element_at(ARRAY['a'], 2)", None),
    ("cardinality(ARRAY[1, NULL])", 2),
    ("cardinality(MAP(ARRAY['a', 'b'], ARRAY[1, 2]))", 2),
    ("contains(ARRAY[1, 2], 2)", True),
    ("contains(ARRAY[1, NULL], 2)", None),
    ("array_distinct(ARRAY[3, 1, 3, NULL, NULL])", [3, 1, None]),
    ("array_intersect(ARRAY[1, 2, 2, 3], ARRAY[2, 3, 4])", [2, 3]),
    ("array_union(ARRAY[1, 2], ARRAY[2, 3])", [1, 2, 3]),
    ("array_except(ARRAY[1, 2, 2, 3], ARRAY[3])", [1, 2]),
    ("array_join(ARRAY['a', NULL, 'b'], ',')", "a,b"),
    ("array_join(ARRAY[1, NULL, 2], '-', '?')", "1-?-2"),
    ("array_max(ARRAY[1, 3, 2])", 3),
    ("array_max(ARRAY[1, NULL])", None),
    ("array_min(ARRAY['b', 'a'])", "a"),
    ("array_position(ARRAY[5, 7], 7)", 2),
    ("array_position(ARRAY[5, 7], 9)", 0),
    ("array_remove(ARRAY[1, NULL, 2, 1], 1)", [None, 2]),
    ("array_sort(ARRAY[3, NULL, 1])", [1, 3, None]),
    ("arrays_overlap(ARRAY[1, 2], ARRAY[2])", True),
    ("arrays_overlap(ARRAY[1, NULL], ARRAY[2])", None),
    ("flatten(ARRAY[ARRAY[1], ARRAY[2, 3]])", [1, 2, 3]),
    ("repeat('a', 3)", ["a", "a", "a"]),
    ("reverse(ARRAY[1, 2])", [2, 1]),
    ("sequence(1, 3)", [1, 2, 3]),
    ("sequence(3, 1)", [3, 2, 1]),
    ("sequence(1, 6, 2)", [1, 3, 5]),
    (
        "sequence(DATE '2026-11-29', DATE '2026-12-01')",
        [date(2026, 11, 29), date(2026, 11, 30), date(2026, 12, 1)],
    ),
    ("cardinality(sequence(TIMESTAMP '2026-11-24', TIMESTAMP '2026-11-25', INTERVAL '6' HOUR))", 5),
    ("slice(ARRAY[1, 2, 3, 4], 2, 2)", [2, 3]),
    ("slice(ARRAY[1, 2, 3, 4], -2, 2)", [3, 4]),
    ("slice(ARRAY[1, 2], 3, 1)", []),
    ("trim_array(ARRAY[1, 2, 3, 4], 1)", [1, 2, 3]),
    ("filter(ARRAY[5, -6, NULL, 7], x -> x > 0)", [5, 7]),
    ("filter(ARRAY[5, NULL, 7, NULL], x -> x IS NOT NULL)", [5, 7]),
    ("transform(ARRAY[5, NULL, 6], x -> coalesce(x, 0) + 1)", [6, 1, 7]),
    ("transform(ARRAY['x', 'abc'], x -> x || '0')", ["x0", "abc0"]),
    (
        "transform(ARRAY[ARRAY[1, NULL, 2], ARRAY[3, NULL]], a -> filter(a, x -> x IS NOT NULL))",
        [[1, 2], [3]],
    ),
    ("reduce(ARRAY[5, 20, 50], 0, (s, x) -> s + x, s -> s)", 75),
    ("reduce(ARRAY[5, 20, NULL, 50], 0, (s, x) -> s + x, s -> s)", None),
    ("reduce(ARRAY[5, 20, NULL, 50], 0, (s, x) -> if(x IS NULL, s, s + x), s -> s)", 75),
    ("reduce(ARRAY[2147483647, 1], BIGINT '0', (s, x) -> s + x, s -> s)", 2147483648),
    (
        "reduce(ARRAY[5, 6, 10, 20], CAST(ROW(0.0, 0) AS ROW(sum DOUBLE, count INTEGER)), "
        "(s, x) -> CAST(ROW(x + s.sum, s.count + 1) AS ROW(sum DOUBLE, count INTEGER)), "
        "s -> IF(s.count = 0, NULL, s.sum / s.count))",
        10.25,
    ),
    ("zip_with(ARRAY[1, 2], ARRAY[3, 4], (x, y) -> x + y)", [4, 6]),
    ("zip_with(ARRAY['a'], ARRAY['d', NULL, 'f'], (x, y) -> coalesce(x, y))", ["a", None, "f"]),
    ("transform(zip(ARRAY[1, 2], ARRAY['b']), r -> r IS NULL)", [False, False]),
    ("any_match(ARRAY[1, NULL], x -> x > 1)", None),
    ("any_match(ARRAY[1, 2], x -> x > 1)", True),
    ("all_match(ARRAY[2, NULL], x -> x > 1)", None),
    ("all_match(ARRAY[1, NULL], x -> x > 1)", False),
    ("none_match(ARRAY[1], x -> x > 1)", True),
    ("MAP(ARRAY['k1', 'k2'], ARRAY[23, 34.63])", {"k1": 23.0, "k2": 34.63}),
    ("MAP(ARRAY['k1', 'k2'], ARRAY['v1', 'v2'])['k2']", "v2"),
    ("element_at(MAP(ARRAY['a'], ARRAY[1]), 'b')", None),
    ("map_keys(MAP(ARRAY['a', 'b'], ARRAY[1, 2]))", ["a", "b"]),
    ("map_values(MAP(ARRAY['a', 'b'], ARRAY[1, 2]))", [1, 2]),
    ("map_concat(MAP(ARRAY['a'], ARRAY[1]), MAP(ARRAY['a', 'b'], ARRAY[2, 3]))", {"a": 2, "b": 3}),
    ("map_from_entries(ARRAY[(1, 'x'), (2, 'y')])", {1: "x", 2: "y"}),
    ("cardinality(map_entries(MAP(ARRAY[1, 2], ARRAY['x', 'y'])))", 2),
    (
        "map_filter(MAP(ARRAY[10, 20, 30], ARRAY['a', NULL, 'c']), (k, v) -> v IS NOT NULL)",
        {10: "a", 30: "c"},
    ),
    ("map_filter(MAP(ARRAY['k1', 'k2', 'k3'], ARRAY[20, 3, 15]), (k, v) -> v > 10)", {"k1": 20, "k3": 15}),
    ("transform_keys(MAP(ARRAY['a', 'b', 'c'], ARRAY[1, 2, 3]), (k, v) -> v * v)", {1: 1, 4: 2, 9: 3}),
    ("transform_values(MAP(ARRAY[1, 2, 3], ARRAY[10, 20, 30]), (k, v) -> v + k)", {1: 11, 2: 22, 3: 33}),
]

# Over (g, x, y): two groups, a NULL in each column, x unordered.
ROWS = (
    "(VALUES ('a', 3, 1e0), ('a', 1, 2e0), ('b', 2, NULL), ('b', NULL, 9e0), (NULL, 2, 4e0)) AS t (g, x, y)"
)
AGGREGATES = [
    ("count(*)", 5),
    ("count(x)", 4),
    ("count(DISTINCT x)", 3),
    ("count_if(x > 1)", 3),
    ("count(*) FILTER (WHERE g = 'a')", 2),
    ("sum(x)", 8),
    ("sum(x) FILTER (WHERE g = 'z')", None),
    ("avg(x)", 2.0),
    ("avg(CAST(x AS decimal(3, 1)))", 2.0),
    ("avg(CAST(x AS decimal(3, 1)) / 3)", 0.7),
    ("min(g)", "a"),
    ("max(x, 2)", [3, 2]),
    ("max_by(x, y)", None),
    ("min_by(g, y)", "a"),
    ("max_by(g, x)", "a"),
    ("arbitrary(x) IS NOT NULL", True),
    ("array_agg(x ORDER BY x DESC)", [3, 2, 2, 1, None]),
    ("array_agg(g ORDER BY y) FILTER (WHERE g IS NOT NULL)", ["a", "a", "b", "b"]),
    ("bool_and(x > 0)", True),
    ("every(x > 1)", False),
    ("bool_or(x > 2)", True),
    ("histogram(x)", {3: 1, 1: 1, 2: 2}),
    ("map_agg(y, x)", {1.0: 3, 2.0: 1, 9.0: None, 4.0: 2}),
    ("approx_distinct(x)", 3),
    ("approx_percentile(x, 0.5)", 2),
    ("approx_percentile(y, ARRAY[0.0, 0.5, 1.0])", [1.0, 2.0, 9.0]),
    ("stddev(x)", math.sqrt(2 / 3)),
    ("stddev_pop(x)", math.sqrt(0.5)),
    ("variance(x)", 2 / 3),
    ("var_pop(x)", 0.5),
    ("covar_pop(y, x)", -1 / 3),
    ("corr(x, x)", 1.0),
    ("corr(x, 1)", None),
    ("geometric_mean(x)", 12**0.25),
    ("kurtosis(y)", 1.5),
    ("listagg(g, ',') WITHIN GROUP (ORDER BY x)", "a,b,a,b"),
    ("bitwise_or_agg(x)", 3),
    ("bitwise_and_agg(x)", 0),
    ("sum(x) / count(x)", 2),
    ("sum(-(x / 8e0) * ln(x / 8e0))", 1.3208883431493221),
    ("round(100.0 * count_if(x > 1) / count(*), 1)", 60.0),
    ("regr_slope(y, y)", 1.0),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAthena]:
    athena = LocalAthena(tmp_path_factory.mktemp("empty"), threads=1)
    yield athena
    athena.close()


def plain(value: Any) -> Any:
    """Return pandas' scalar as Python's."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if isinstance(value, dict | list | str) or value is None:
        return value
    return None if value is pd.NA or value is pd.NaT else value.item() if hasattr(value, "item") else value


def is_same(got: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return (math.isnan(expected) and math.isnan(got)) or got == pytest.approx(expected, rel=1e-12)
    if isinstance(expected, list) and isinstance(got, list):
        return len(got) == len(expected) and all(map(is_same, got, expected))
    if isinstance(expected, dict) and isinstance(got, dict):
        return got.keys() == expected.keys() and all(is_same(got[k], expected[k]) for k in expected)
    return type(got) is type(expected) and got == expected


@pytest.mark.parametrize(
    ("expression", "expected"), ARITHMETIC + MATH + TEXT + TIME + CASTS + CONDITIONS + CONTAINERS
)
def test_an_expression_has_the_value_that_trino_gives_it(engine: LocalAthena, expression, expected):
    got = plain(engine.query(f"SELECT {expression}").frame.iloc[0, 0])
    if expected is None:
        assert got is None or got != got
    else:
        assert is_same(got, expected), f"{got!r} is not {expected!r}"


@pytest.mark.parametrize(("expression", "expected"), AGGREGATES)
def test_an_aggregate_has_the_value_that_trino_gives_it(engine: LocalAthena, expression, expected):
    got = plain(engine.query(f"SELECT {expression} FROM {ROWS}").frame.iloc[0, 0])
    if expected is None:
        assert got is None or got != got
    else:
        assert is_same(got, expected), f"{got!r} is not {expected!r}"
