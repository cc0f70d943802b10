"""Functions of the local Athena against the same in Python."""

import contextlib
import math
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from localathena.engine import LocalAthena
from localathena.errors import QueryFailed, QueryRefused
from support import plain

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNITS = {
    "week": 604_800_000,
    "day": 86_400_000,
    "hour": 3_600_000,
    "minute": 60_000,
    "second": 1000,
    "millisecond": 1,
}
MOMENTS = st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01")).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def stamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat(sep=' ', timespec='milliseconds')}'"


def one(engine: LocalAthena, expression: str) -> Any:
    return plain(engine.query(f"SELECT {expression}").frame.iloc[0, 0])


@FEW
@given(MOMENTS, MOMENTS, st.sampled_from(sorted(UNITS)))
def test_date_diff_counts_complete_units(engine: LocalAthena, a, b, unit):
    ms = (b - a) // timedelta(milliseconds=1)
    expected = abs(ms) // UNITS[unit] * (1 if ms >= 0 else -1)
    assert one(engine, f"date_diff('{unit}', {stamp(a)}, {stamp(b)})") == expected


@FEW
@given(MOMENTS)
def test_a_week_begins_on_monday(engine: LocalAthena, moment):
    monday = datetime.combine(moment.date() - timedelta(days=moment.weekday()), datetime.min.time())
    assert one(engine, f"date_trunc('week', {stamp(moment)})") == monday
    assert one(engine, f"week({stamp(moment)})") == moment.isocalendar().week
    assert one(engine, f"year_of_week({stamp(moment)})") == moment.isocalendar().year


@FEW
@given(
    st.floats(-2, 3),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)).filter(lambda b: b[0] != b[1]),
    st.integers(1, 50),
)
def test_width_bucket_is_trinos(engine: LocalAthena, x, bounds, count):
    low, high = min(bounds), max(bounds)
    bucket = 0 if x < low else count + 1 if x >= high else int(count * (x - low) / (high - low) + 1)
    expected = count - bucket + 1 if bounds[0] > bounds[1] else bucket
    a, b = (f"CAST('{bound!r}' AS double)" for bound in bounds)
    assert one(engine, f"width_bucket(CAST('{x!r}' AS double), {a}, {b}, {count})") == expected


DECIMALS = st.decimals(-9999, 9999, allow_nan=False, places=2)


@FEW
@given(DECIMALS, DECIMALS.filter(bool), st.integers(0, 3))
def test_a_decimal_is_divided_to_the_wider_scale_and_rounded_half_up(engine: LocalAthena, a, b, places):
    b = b.quantize(Decimal(1).scaleb(-places)) or Decimal(1).scaleb(-places)
    scale = max(2, places)
    expected = (a / b).quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    quotient = f"(CAST('{a}' AS decimal(6, 2)) / CAST('{b}' AS decimal(8, {places})))"
    assert one(engine, f"CAST({quotient} AS varchar)") == f"{expected + 0:.{scale}f}"


@FEW
@given(st.integers(-(10**6), 10**6), st.integers(-1000, 1000).filter(bool))
def test_whole_numbers_are_divided_towards_zero(engine: LocalAthena, a, b):
    expected = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    assert one(engine, f"{a} / ({b})") == expected
    assert one(engine, f"{a} % ({b})") == a - b * expected


@FEW
@given(st.text(st.sampled_from("ab☃/"), max_size=8), st.integers(-10, 10), st.none() | st.integers(-2, 10))
def test_substr_is_trinos(engine: LocalAthena, text, start, length):
    begin = start - 1 if start > 0 else len(text) + start
    end = len(text) if length is None else begin + length
    expected = "" if start == 0 or begin < 0 or (length is not None and length <= 0) else text[begin:end]
    rest = "" if length is None else f", {length}"
    assert one(engine, f"substr('{text}', {start}{rest})") == expected


@FEW
@given(
    st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=8),
    st.floats(0, 1) | st.sampled_from([0.25, 1 / 3, 0.5, 0.75]),
)
def test_approx_percentile_has_its_share_of_the_values_before_it(engine: LocalAthena, values, share):
    present = sorted(value for value in values if value is not None)
    rows = ", ".join("CAST(NULL AS bigint)" if value is None else f"BIGINT '{value}'" for value in values)
    query = f"(SELECT approx_percentile(x, CAST('{share!r}' AS double)) FROM (VALUES {rows}) AS t (x))"
    expected = present[min(math.floor(share * len(present)), len(present) - 1)] if present else None
    got = one(engine, query)
    assert (None if got is None or got != got else got) == expected


NUMBERS = st.floats(-1e9, 1e9) | st.integers(-(10**6), 10**6).map(lambda n: n / 1000)


def rounded(number: float, places: int) -> Decimal:
    """Round the shortest decimal that stands for a double, half away from zero, as Java does."""
    return Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


@FEW
@given(NUMBERS, st.integers(0, 6))
def test_format_rounds_as_java_does(engine: LocalAthena, number, places):
    written = f"{rounded(number, places):,.{places}f}"
    assert one(engine, f"format('%,.{places}f', CAST('{number!r}' AS double))") == written


@FEW
@given(NUMBERS, st.integers(0, 6))
def test_a_double_becomes_the_decimal_that_its_digits_say(engine: LocalAthena, number, places):
    decimal = rounded(number, places) + 0
    text = one(engine, f"CAST(CAST(CAST('{number!r}' AS double) AS decimal(20, {places})) AS varchar)")
    assert Decimal(text) == decimal


@FEW
@given(
    st.lists(st.sampled_from(["a", "b", None, "nan"]), max_size=5).map(
        lambda names: [{"a": 1.5, "b": -2.0, "nan": math.nan, None: None}[name] for name in names]
    )
)
def test_max_and_min_ignore_nan(engine: LocalAthena, values):
    rows = ", ".join(
        "CAST(NULL AS double)" if x is None else "nan()" if math.isnan(x) else f"{x}e0"
        for x in [None, *values]
    )
    numbers = [x for x in values if x is not None and not math.isnan(x)]
    query = f"FROM (VALUES {rows}) AS t (x)"
    for name, of in (("max", max), ("min", min)):
        got = one(engine, f"(SELECT {name}(x) {query})")
        if numbers:
            assert got == of(numbers)
        else:
            assert got is None or math.isnan(got)


PIECES = (
    "SELECT FROM WHERE GROUP BY ORDER LIMIT OFFSET 1 2.5 'a' NULL x t key labels ( ) [ ] , . * + = < IN NOT "
    "CASE WHEN THEN END CAST AS integer array row JOIN ON UNION count sum OVER ARRAY MAP -> DISTINCT VALUES ?"
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES.split()), max_size=12).map(" ".join))
def test_any_statement_is_answered_or_refused_or_fails_with_a_message(engine: LocalAthena, rest):
    with contextlib.suppress(QueryRefused, QueryFailed):
        engine.query(f"SELECT {rest}")
