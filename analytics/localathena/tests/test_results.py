"""Values as texts of Athena's API, and the same read back."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localathena.results import frame_of, records_of, text_of, typed_rows
from localathena.types import DOUBLE, Column, parse, zoned

WRITTEN = [
    ("boolean", True, "true"),
    ("double", float("-inf"), "-Infinity"),
    ("double", float("nan"), "NaN"),
    ("double", 0.97, "0.97"),
    ("double", -0.0, "-0.0"),
    ("double", 1e-5, "1.0E-5"),
    ("double", -12345678.5, "-1.23456785E7"),
    ("decimal(5,2)", Decimal("1.50"), "1.50"),
    ("timestamp", datetime.fromisoformat("2026-11-16T09:30:00.123"), "2026-11-16 09:30:00.123"),
    ("timestamp(0)", datetime.fromisoformat("2026-11-16T09:30:00"), "2026-11-16 09:30:00"),
    ("timestamp(6)", datetime.fromisoformat("2026-11-16T09:30:00"), "2026-11-16 09:30:00.000000"),
    ("timestamp with time zone", datetime(2026, 11, 16, 9, tzinfo=UTC), "2026-11-16 09:00:00.000 UTC"),
    ("interval day to second", timedelta(days=1, hours=2, milliseconds=3), "1 02:00:00.003"),
    ("interval day to second", -timedelta(minutes=5), "-0 00:05:00.000"),
    ("date", date(2026, 11, 16), "2026-11-16"),
    ("time", time(9, 30, 0, 250000), "09:30:00.250"),
    ("time(0)", time(9, 30), "09:30:00"),
    ("array(varchar)", ["1", None, "a"], "[1, null, a]"),
    ("map(varchar, double)", {"bicycle": 0.97, "tulip": 1e-4}, "{bicycle=0.97, tulip=1.0E-4}"),
    ("row(a integer, b array(decimal(3,1)))", {"a": 1, "b": [Decimal("2.0")]}, "{a=1, b=[2.0]}"),
    ("varbinary", b"\x00\xff", "00 ff"),
]


@pytest.mark.parametrize(("type_", "value", "written"), WRITTEN)
def test_a_value_is_written_as_athena_writes_it(type_: str, value: Any, written: str) -> None:
    assert text_of(value, parse(type_)) == written


def test_a_timestamp_is_written_in_its_time_zone() -> None:
    moment = datetime(2026, 7, 16, 9, tzinfo=UTC)
    assert text_of(moment, zoned("Europe/Paris")) == "2026-07-16 11:00:00.000 Europe/Paris"


def test_a_timestamp_with_an_offset_is_read_back_as_it_was_written() -> None:
    moment = datetime(2026, 7, 16, 9, tzinfo=UTC)
    written = text_of(moment, zoned("-05:30"))
    assert written == "2026-07-16 03:30:00.000 -05:30"
    columns, rows = typed_rows([("x", "timestamp with time zone")], [[written]])
    assert frame_of(columns, rows)["x"].iloc[0] == moment


def test_a_time_of_the_day_is_read_back_as_it_was_written() -> None:
    assert typed_rows([("x", "time")], [["09:30:00.250"], [None]])[1] == [[time(9, 30, 0, 250000)], [None]]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        *((type_, value) for type_, value, _ in WRITTEN),
        ("bigint", 2**60),
        ("interval year to month", timedelta(days=420)),
    ],
)
def test_a_record_has_the_values_of_a_frame_as_values_of_python(type_: str, value: Any) -> None:
    zoned_or_not = zoned("Europe/Paris") if type_ == "timestamp with time zone" else parse(type_)
    columns, rows = [Column("x", zoned_or_not)], [[value], [None]]
    found = [row["x"] for row in records_of(columns, rows)]
    first = frame_of(columns, rows)["x"].astype(object).iloc[0]
    own = getattr(first, "to_pydatetime", getattr(first, "to_pytimedelta", lambda: first))()
    assert found == [None if value != value else own, None]
    assert type(found[0]) is (type(None) if value != value else type(own))


@given(st.floats(allow_nan=False))
def test_a_double_is_read_back_as_it_was_written(value: float) -> None:
    _, rows = typed_rows([("x", "double")], [[text_of(value, DOUBLE)]])
    assert rows == [[value]]


@given(
    st.timedeltas(timedelta(-9999), timedelta(9999)).map(lambda span: span - span % timedelta(milliseconds=1))
)
def test_an_interval_is_read_back_as_it_was_written(span: timedelta) -> None:
    type_ = parse("interval day to second")
    _, rows = typed_rows([("x", "interval day to second")], [[text_of(span, type_)]])
    assert rows == [[span]]
