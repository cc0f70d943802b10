"""Timestamps, dates and times of the day: local times, zones and precisions."""

import re
from dataclasses import replace

from localathena import types
from localathena.errors import QueryRefused
from localathena.sql import Value, in_python, refuse_if
from localathena.types import DATE, Type


def rounded(sql: str, precision: int) -> str:
    """Return a timestamp rounded to so many digits of a second's fraction."""
    unit_us = 10 ** (6 - precision)
    if unit_us == 1:
        return sql
    return f"make_timestamp({rounded_us(f'epoch_us({sql})', unit_us)})"


_FAR_BEFORE_US = 10**18
"""Offset that makes timestamps positive: DuckDB's // truncates towards zero, which rounds 1969 up."""


def rounded_us(sql: str, unit_us: int) -> str:
    """Return microseconds rounded to a unit, half up also before 1970."""
    return f"(({sql} + {_FAR_BEFORE_US + unit_us // 2}) // {unit_us} * {unit_us} - {_FAR_BEFORE_US})"


def in_milliseconds(value: Value) -> Value:
    """Return a timestamp truncated to the millisecond."""
    if value.type.precision <= 3:
        return value
    return replace(value, sql=f"date_trunc('millisecond', {value.sql})")


def in_its_precision(value: Value) -> Value:
    """Return a timestamp rounded to the precision of its type."""
    if value.type.precision >= 3:
        return value
    if value.type.zone:
        utc = rounded(local_time(value.sql, "UTC"), value.type.precision)
        return replace(value, sql=instant_of(utc, "UTC"))
    return replace(value, sql=rounded(value.sql, value.type.precision))


def moment_text(sql: str, precision: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """Return a timestamp as a text with so many digits of a second's fraction."""
    seconds = f"strftime({sql}, '{form}')"
    if precision == 0:
        return seconds
    return f"({seconds} || left(strftime({sql}, '.%f'), {precision + 1}))"


def between_moments(sql: str, source: Type, target: Type) -> str:
    """Return the cast of a date or timestamp to another such type."""
    if source.zone and target.zone:
        if target.precision >= source.precision:
            return sql
        return f"timezone('UTC', {rounded(local_time(sql, 'UTC'), target.precision)})"
    local = local_timestamp(Value(sql, source))
    if target == DATE:
        return f"CAST({local} AS DATE)"
    if source.name != "date" and target.precision < source.precision:
        local = rounded(local, target.precision)
    if target.name == "timestamp":
        return local
    return instant_of(local, "UTC" if target.zone == types.MIXED else target.zone)


def between_times(sql: str, source: Type, target: Type) -> str:
    """Return the time of the day of a timestamp, or a time in another precision. 24:00 becomes 0:00."""
    timestamp = (
        f"(DATE '2000-01-01' + {sql})" if source.name == "time" else local_timestamp(Value(sql, source))
    )
    if target.precision < source.precision:
        timestamp = rounded(timestamp, target.precision)
    time = f"CAST({timestamp} AS TIME)"
    if source.name == "time":
        return time
    early = f"epoch_us({timestamp}) < 0 AND epoch_us({timestamp}) % 1000000 <> 0"
    return refuse_if(early, "The time of a timestamp before 1970 with a fraction is not supported", time)


def local_time(instant: str, zone: str) -> str:
    """Return SQL for the local time of an instant in a zone.

    Raises:
        QueryRefused: it is not one zone.
    """
    if zone == types.MIXED:
        raise QueryRefused(
            "These timestamps are not all in one time zone: write AT TIME ZONE 'UTC' after them."
        )
    minutes = offset_minutes(zone)
    if minutes is None:
        return f"timezone({types.text(zone)}, {instant})"
    return f"(timezone('UTC', {instant}) + to_minutes({minutes}))"


def offset_minutes(zone: str) -> int | None:
    """Return the offset of a zone like +02:00; None if the zone has a name."""
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", zone)
    return None if found is None else int(f"{found[1]}1") * (60 * int(found[2]) + int(found[3]))


def local_timestamp(value: Value) -> str:
    """Return SQL for the local timestamp in the value's own zone."""
    if value.type == DATE:
        return f"CAST({value.sql} AS TIMESTAMP)"
    return local_time(value.sql, value.type.zone) if value.type.zone else value.sql


def from_local(local: str, like: Type, *, is_literal: bool = False) -> Value:
    """Return a timestamp with time zone from the local time in its zone.

    A literal that occurs twice is the first of the two instants; of others Trino takes one or the other.
    """
    if like == DATE:
        return Value(f"CAST({local} AS DATE)", DATE)
    return Value(instant_of(local, like.zone, is_literal=is_literal) if like.zone else local, like)


_SUMMER_MINUTES = {"Australia/Lord_Howe": 30, "Antarctica/Troll": 120}
"""Zones whose daylight saving time is not one hour, in minutes."""


def instant_of(local: str, zone: str, *, is_literal: bool = False) -> str:
    """Return the instant of a local time. DuckDB differs on those that occur twice or never."""
    minutes = offset_minutes(zone)
    if minutes is not None:
        return f"timezone('UTC', {local} - to_minutes({minutes}))"
    instant = f"timezone({types.text(zone)}, {local})"
    if zone == "UTC":
        return instant
    earlier = f"({instant} - to_minutes({_SUMMER_MINUTES.get(zone, 60)}))"
    back, before = (f"timezone({types.text(zone)}, {timestamp})" for timestamp in (instant, earlier))
    odd = in_python("local_instant", local, types.text(zone))
    found = (
        f"(CASE WHEN {back} <> {local} OR {before} = {local} THEN timezone('UTC', {odd}) ELSE {instant} END)"
    )
    if is_literal:
        return found
    return refuse_if(
        f"{before} = {local}", f"A local time that occurs twice in {zone} is not supported", found
    )
