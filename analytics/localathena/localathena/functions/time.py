"""Trino's functions of dates, times and intervals as DuckDB's."""

import re
from collections.abc import Mapping
from datetime import datetime

from sqlglot import exp

from localathena import types
from localathena.casts import cast
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.moments import (
    from_local,
    in_its_precision,
    in_milliseconds,
    local_time,
    local_timestamp,
    moment_text,
)
from localathena.scalars.failures import Failed, Refused
from localathena.sql import Value, fail_if, in_python, refuse_if
from localathena.types import (
    BIGINT,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    TIMESTAMP,
    VARCHAR,
    YEAR_TO_MONTH,
    text,
)
from localathena.values import common, expect

_UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_DATE_UNITS = _UNITS[4:]


def _datetime(value: Value, where: str) -> Value:
    if not value.type.is_datetime:
        how = ": write CAST(x AS date)" if value.type == VARCHAR else ""
        raise QueryRefused(f"{where} needs a date or a timestamp, not {value.type}{how}.")
    return value


def _unit(node: exp.Expr, timestamp: Value, where: str) -> str:
    unit = literal(node, "A unit of time").lower()
    if unit not in (_DATE_UNITS if timestamp.type == DATE else _UNITS):
        raise QueryRefused(f"{where} of a {timestamp.type} has no unit {unit!r}.")
    return unit


def zone_of(node: exp.Expr) -> str:
    """Return a time zone's name, from a literal.

    Raises:
        QueryRefused: it is an expression, or a zone that the engines name differently.
    """
    zone = _zone_name(node)
    if re.fullmatch(r"[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00", zone):
        return zone if zone[1:] != "00:00" else "UTC"
    from zoneinfo import available_timezones  # it takes a fifth of the import of this package

    is_named = re.fullmatch(r"UTC|[A-Za-z]+(/[A-Za-z_-]+)+", zone) or zone in _WITHOUT_SLASH
    if zone not in available_timezones() or not is_named:
        raise QueryRefused(
            f"The time zone {zone!r} is not supported: use UTC, +02:00 or a name like Europe/Paris."
        )
    return zone


_UTC = ("UTC", "Etc/UTC", "GMT", "UCT", "UT", "Z", "Zulu", "Greenwich", "Universal")
_WITHOUT_SLASH = ("CET", "EET", "MET", "WET", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT")


def _zone_name(node: exp.Expr) -> str:
    """Return the name that Trino gives a zone: each name of UTC is UTC, an interval is an offset."""
    if isinstance(node, exp.Interval) and isinstance(node.this, exp.Literal):
        hours = {"HOUR": 60, "MINUTE": 1}.get(node.args["unit"].name.upper())
        if hours is None or not re.fullmatch(r"[+-]?\d+", node.this.name):
            raise QueryRefused("AT TIME ZONE takes an interval of hours or minutes.")
        return _offset("0", str(int(node.this.name) * hours))
    zone = literal(node, "A time zone")
    if zone.startswith("Etc/") and zone not in _UTC:
        raise QueryRefused(f"The time zone {zone!r} is not supported: use UTC or an offset like +02:00.")
    return "UTC" if zone in _UTC else zone


def at_time_zone(value: Value, zone: str) -> Value:
    """Return the same instant in another time zone."""
    if value.type.name == "timestamp":
        value = cast(value, types.zoned(precision=value.type.precision))
    if not value.type.zone:
        raise QueryRefused(f"AT TIME ZONE needs a timestamp, not {value.type}.")
    return Value(value.instant or value.sql, types.zoned(zone, value.type.precision))


def _at_timezone(translator: Translator, arguments: Arguments) -> Value:
    value, zone = arguments
    return at_time_zone(translator.value(value), zone_of(zone))


def _with_timezone(translator: Translator, arguments: Arguments) -> Value:
    node, zone = arguments
    value = translator.value(node)
    if value.type.name != "timestamp":
        without = types.Type("timestamp", precision=0) if value.type == DATE else TIMESTAMP
        value = expect(value, without, "with_timezone")
    type_ = types.zoned(zone_of(zone), value.type.precision)
    return from_local(value.sql, type_)


def now() -> Value:
    """Return `current_timestamp`: the start of the query, to the millisecond."""
    return Value("date_trunc('millisecond', now())", types.zoned())


def _now(translator: Translator, arguments: Arguments) -> Value:
    if arguments:
        raise ValueError
    return now()


def _current_timezone(translator: Translator, arguments: Arguments) -> Value:
    if arguments:
        raise ValueError
    return Value("'UTC'", VARCHAR)


def _date(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    return cast(translator.value(node), DATE)


def _date_trunc(translator: Translator, arguments: Arguments) -> Value:
    unit_node, node = arguments
    value = translator.value(node)
    if value.type.name == "time":
        unit = literal(unit_node, "A unit of time").lower()
        if unit not in _UNIT_US:
            raise QueryRefused(f"date_trunc of a time has no unit {unit!r}.")
        moment = f"date_trunc('{unit}', DATE '2000-01-01' + {value.sql})"
        return Value(f"CAST({moment} AS TIME)", value.type)
    timestamp = _datetime(value, "date_trunc")
    unit = _unit(unit_node, timestamp, "date_trunc")
    local = local_timestamp(timestamp)
    if timestamp.type.zone and unit not in _DATE_UNITS:  # the offset stays, also where an hour occurs twice
        within = f"(epoch_us({local}) % {_UNIT_US[unit]} + {_UNIT_US[unit]}) % {_UNIT_US[unit]}"
        return Value(f"({timestamp.sql} - to_microseconds({within}))", timestamp.type)
    return from_local(f"date_trunc('{unit}', {local})", timestamp.type)


_UNIT_US = {"millisecond": 1000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}


def _interval(unit: str, count: str) -> str:
    whole = f"CAST({count} AS INTEGER)"
    return {
        "week": f"to_days({whole} * 7)",
        "quarter": f"to_months({whole} * 3)",
        "day": f"to_days({whole})",
        "month": f"to_months({whole})",
        "year": f"to_years({whole})",
        "second": f"to_seconds({count})",
        "millisecond": f"to_milliseconds({count})",
    }.get(unit, f"to_{unit}s({count})")


def _date_add(translator: Translator, arguments: Arguments) -> Value:
    unit_node, count_node, node = arguments
    timestamp = _datetime(translator.value(node), "date_add")
    unit = _unit(unit_node, timestamp, "date_add")
    count = translator.value(count_node)
    sql = expect(count, BIGINT, "date_add").sql
    if count.type == BIGINT:
        why = "date_add takes numbers up to 2147483647; from_unixtime takes a double"
        sql = fail_if(f"abs({sql}) > 2147483647", why, sql)
    interval = _interval(unit, sql)
    if unit in _DATE_UNITS:
        moved = f"({local_timestamp(timestamp)} + {interval})"
        return from_local(moved, timestamp.type)
    return in_its_precision(Value(f"({timestamp.sql} + {interval})", timestamp.type))


def _date_diff(translator: Translator, arguments: Arguments) -> Value:
    """Count the complete units between two timestamps, where DuckDB's date_diff counts crossed boundaries."""
    unit_node, first, second = arguments
    start, end = (_datetime(translator.value(node), "date_diff") for node in (first, second))
    zone = start.type.zone or "UTC"
    (start, end), type_ = common([start, end], "date_diff")
    unit = _unit(unit_node, start, "date_diff")
    start, end = in_milliseconds(start), in_milliseconds(end)
    a, b = start.sql, end.sql
    if unit in _DATE_UNITS and type_.zone:  # days are those of the first value's time zone
        a, b = (local_time(value.sql, zone) for value in (start, end))
    elif unit in _DATE_UNITS:
        a, b = local_timestamp(start), local_timestamp(end)
    return Value(f"date_sub('{unit}', {a}, {b})", BIGINT)


_FIELDS = {
    "year": "year({0})",
    "quarter": "quarter({0})",
    "month": "month({0})",
    "week": "week({0})",
    "day": "day({0})",
    "day_of_week": "isodow({0})",
    "day_of_year": "dayofyear({0})",
    "year_of_week": "isoyear({0})",
    "hour": "hour({0})",
    "minute": "minute({0})",
    "second": "second({0})",
    "millisecond": "(millisecond({0}) % 1000)",
}
_FIELD_ALIASES = {
    "week_of_year": "week",
    "day_of_month": "day",
    "dow": "day_of_week",
    "doy": "day_of_year",
    "yow": "year_of_week",
}
_TIME_FIELDS = ("hour", "minute", "second", "millisecond")
_INTERVAL_FIELDS = {
    "day": "epoch_ms({0}) // 86400000",
    "hour": "epoch_ms({0}) // 3600000 % 24",
    "minute": "epoch_ms({0}) // 60000 % 60",
    "second": "epoch_ms({0}) // 1000 % 60",
    "millisecond": "epoch_ms({0}) % 1000",
}


def extract(name: str, value: Value) -> Value:
    """Return `extract(name FROM value)`, which is the function `name(value)` too.

    Raises:
        QueryRefused: the value has no such field.
    """
    field = _FIELD_ALIASES.get(name, name)
    if value.type == DAY_TO_SECOND and field in _INTERVAL_FIELDS:
        return Value(f"CAST({_INTERVAL_FIELDS[field].format(value.sql)} AS BIGINT)", BIGINT)
    if value.type == YEAR_TO_MONTH and field in ("year", "month"):
        return Value(f"CAST({field}({value.sql}) AS BIGINT)", BIGINT)
    if field in _TIME_FIELDS and value.type == DATE:
        return Value(f"(CASE WHEN {value.sql} IS NOT NULL THEN CAST(0 AS BIGINT) END)", BIGINT)
    if value.type.name == "time" and field in _TIME_FIELDS:
        return Value(f"CAST({_FIELDS[field].format(value.sql)} AS BIGINT)", BIGINT)
    if field in ("timezone_hour", "timezone_minute"):
        if not value.type.zone:
            raise QueryRefused(f"{name} needs a timestamp with time zone, not {value.type}.")
        ahead = (
            f"(epoch_us({local_time(value.sql, value.type.zone)}) - epoch_us(timezone('UTC', {value.sql})))"
        )
        divided = "// 3600000000" if field == "timezone_hour" else "% 3600000000 // 60000000"
        return Value(f"CAST(trunc({ahead} {divided}) AS BIGINT)", BIGINT)
    if field not in _FIELDS:
        raise QueryRefused(f"extract({name} FROM ...) is not supported.")
    local = local_timestamp(_datetime(value, name))
    return Value(f"CAST({_FIELDS[field].format(local)} AS BIGINT)", BIGINT)


def _field(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        (node,) = arguments
        return extract(name, translator.value(node))

    return handle


_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I", "I": "%I",
    "i": "%M", "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p",
    "S": "%S", "s": "%S", "T": "%H:%M:%S", "v": "%V", "W": "%A", "x": "%G", "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip
"""MySQL's specifiers in strftime's."""


def _mysql_form(node: exp.Expr, known: Mapping[str, str]) -> str:
    form = literal(node, "A date's form")
    for letter in re.findall(r"%(.?)", form):
        if letter and letter in "DUuVwX":
            raise QueryRefused(f"Athena's date_format has no %{letter}.")
    return text(re.sub(r"%(.?)", lambda found: known.get(found[1], found[1]), form))


def _date_format(translator: Translator, arguments: Arguments) -> Value:
    node, form = arguments
    timestamp = _written_moment(translator.value(node), "date_format")
    return Value(f"strftime({timestamp}, {_mysql_form(form, _MYSQL)})", VARCHAR)


def _date_parse(translator: Translator, arguments: Arguments) -> Value:
    value, form = (expect(translator.value(node), VARCHAR, "date_parse") for node in arguments)
    if form.constant is not None:
        _check_form("date_parse", form.constant)
    if value.is_partition:  # as in a cast
        if form.constant != "%Y-%m-%d":
            raise QueryRefused("date_parse of the partition column takes '%Y-%m-%d'.")
        return Value(f"try_strptime({value.sql}, {form.sql})", TIMESTAMP)
    return Value(in_python("date_parse", value.sql, form.sql), TIMESTAMP)


def _check_form(name: str, form: str) -> None:
    from localathena.scalars import times  # few statements need it

    try:
        if name == "format_datetime":
            times.format_datetime(datetime(2000, 1, 1), form)  # noqa: DTZ001 - a local timestamp
        else:
            times.FUNCTIONS[name][0]("", form)
    except Refused as error:
        raise QueryRefused(f"{error}.") from error
    except Failed:
        pass  # the form is read, and no text is not a date


def _written_moment(value: Value, where: str) -> str:
    """Return the local timestamp that a form is applied to."""
    value = _datetime(value, where)
    if value.type.precision > 3 and value.type != DATE:
        raise QueryRefused(f"{where} takes timestamps of milliseconds on Athena: cast it to timestamp(3).")
    local = local_timestamp(value)
    far = f"year({local}) NOT BETWEEN 1 AND 9999"
    return refuse_if(far, f"{where} of a year before 1 or after 9999 is not supported", local)


def _format_datetime(translator: Translator, arguments: Arguments) -> Value:
    value, form = (translator.value(node) for node in arguments)
    form = expect(form, VARCHAR, "format_datetime")
    if form.constant is not None:
        _check_form("format_datetime", form.constant)
    moment = _written_moment(value, "format_datetime")
    return Value(in_python("format_datetime", moment, form.sql), VARCHAR)


def _parse_datetime(translator: Translator, arguments: Arguments) -> Value:
    value, form = (expect(translator.value(node), VARCHAR, "parse_datetime") for node in arguments)
    if form.constant is not None:
        _check_form("parse_datetime", form.constant)
    return Value(f"timezone('UTC', {in_python('parse_datetime', value.sql, form.sql)})", types.zoned())


_ISO_TIMESTAMP = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T(?:[01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(ZONE)?)?"
)
_ISO_UTC = _ISO_TIMESTAMP.replace("ZONE", "Z|[+-]00:?00")
_ISO_ANY = _ISO_TIMESTAMP.replace("ZONE", "Z|[+-][0-9]{2}:?[0-9]{2}")


def _from_iso8601_timestamp(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    value = expect(translator.value(node), VARCHAR, "from_iso8601_timestamp")
    found = re.fullmatch(_ISO_ANY, value.constant or "")
    if found and found[4] and found[4] != "Z":
        zone = zone_of(exp.Literal.string(f"{found[4][:3]}:{found[4][-2:]}"))
        return from_local(_iso_clock(text(found[0])), types.zoned(zone))
    # DuckDB has no type for time zones that differ from value to value.
    timestamp = f"timezone('UTC', {_iso_clock(value.sql)})"
    offset = "regexp_extract({0}, 'T.*([+-])([0-9]{{2}}):?([0-9]{{2}})$', {1})"
    minutes = "60 * CAST({0} || {1} AS INTEGER) + CAST({0} || {2} AS INTEGER)".format(
        *(offset.format(value.sql, part) for part in (1, 2, 3))
    )
    ahead = f"to_minutes(CASE WHEN regexp_matches({value.sql}, 'T.*[+-]') THEN {minutes} ELSE 0 END)"
    return Value(
        refuse_if(
            f"NOT regexp_full_match({value.sql}, {text(_ISO_UTC)})",
            "from_iso8601_timestamp is supported for timestamps like 2026-11-24T09:30:00.123Z; "
            "for one with an offset, write AT TIME ZONE 'UTC' after the call",
            timestamp,
        ),
        types.zoned(),
        instant=refuse_if(
            f"NOT regexp_full_match({value.sql}, {text(_ISO_ANY)})",
            "from_iso8601_timestamp is supported for timestamps like 2026-11-24T09:30:00.123+01:00",
            f"({timestamp} - {ahead})",
        ),
    )


def _iso_clock(sql: str) -> str:
    """Return SQL for the date and the time in an ISO 8601 text, whatever zone it names."""
    without_zone = f"regexp_replace(replace({sql}, ',', '.'), '(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$', '')"
    # the end of 2026-11-24 looks like an offset
    dated = f"(CASE WHEN contains({sql}, 'T') THEN {without_zone} ELSE {sql} END)"
    return f"date_trunc('millisecond', CAST({dated} AS TIMESTAMP))"


def _to_iso8601(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    timestamp = _datetime(translator.value(node), "to_iso8601")
    if timestamp.type == DATE:
        return cast(timestamp, VARCHAR)
    if timestamp.type.zone == types.MIXED:
        local_time(timestamp.sql, timestamp.type.zone)  # which is refused
    local = local_timestamp(timestamp)
    written = moment_text(local, timestamp.type.precision, "%Y-%m-%dT%H:%M:%S")
    if timestamp.type.zone == "UTC":
        written = f"({written} || 'Z')"
    elif timestamp.type.zone:
        minutes = f"(epoch({local}) - epoch(timezone('UTC', {timestamp.sql}))) / 60"
        size = f"CAST(abs({minutes}) AS INTEGER)"
        sign = f"(CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END)"
        written = f"({written} || {sign} || printf('%02d:%02d', {size} // 60, {size} % 60))"
    return Value(written, VARCHAR)


def _from_unixtime(translator: Translator, arguments: Arguments) -> Value:
    node, *zone = arguments
    seconds = expect(translator.value(node), DOUBLE, "from_unixtime").sql
    if len(zone) == 2:
        hours, minutes = (translator.value(part).constant or "" for part in zone)
        zone = [exp.Literal.string(_offset(hours, minutes))]
    type_ = types.zoned(zone_of(zone[0]) if zone else "UTC")
    milliseconds = f"CAST(floor({seconds} * 1000 + 0.5) AS BIGINT)"  # as Java rounds: half up
    return Value(f"timezone('UTC', make_timestamp_ms({milliseconds}))", type_)


def _offset(hours: str, minutes: str) -> str:
    """Return the name of a time zone so many hours and minutes ahead of UTC."""
    if not re.fullmatch(r"-?\d+", hours) or not re.fullmatch(r"-?\d+", minutes):
        raise QueryRefused("The hours and minutes of from_unixtime must be numbers, not expressions.")
    total = int(hours) * 60 + int(minutes)
    return f"{'-' if total < 0 else '+'}{abs(total) // 60:02}:{abs(total) % 60:02}"


def _to_unixtime(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    timestamp = _datetime(translator.value(node), "to_unixtime")
    if timestamp.type == DATE:
        raise QueryRefused("to_unixtime needs a timestamp, not a date.")
    return Value(f"(epoch_us({timestamp.instant or timestamp.sql}) / 1e6)", DOUBLE)


def _to_milliseconds(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    interval = expect(translator.value(node), DAY_TO_SECOND, "to_milliseconds")
    return Value(f"CAST(epoch_ms({interval.sql}) AS BIGINT)", BIGINT)


def _last_day_of_month(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    timestamp = _datetime(translator.value(node), "last_day_of_month")
    return Value(f"last_day({local_timestamp(timestamp)})", DATE)


def interval(count: str, unit: str) -> Value:
    """Return `INTERVAL 'count' unit`.

    Raises:
        QueryRefused: this form is not supported.
    """
    fraction = re.fullmatch(r"([+-]?)(\d+)\.(\d{1,3})", count)
    if fraction and unit.lower() == "second":
        ms = int(fraction[2]) * 1000 + int(fraction[3].ljust(3, "0"))
        return Value(f"to_milliseconds({fraction[1]}{ms})", DAY_TO_SECOND)
    if not re.fullmatch(r"[+-]?\d+", count):
        raise QueryRefused(f"INTERVAL '{count}' {unit} is not supported: write a whole number of one unit.")
    if abs(int(count)) > 2147483647:
        raise QueryRefused(f"INTERVAL '{count}' {unit}: the number must be 2147483647 at most.")
    unit = unit.lower()
    if unit not in ("second", "minute", "hour", "day", "month", "year"):
        raise QueryRefused(f"Athena has no INTERVAL of the unit {unit}.")
    return Value(_interval(unit, count), YEAR_TO_MONTH if unit in ("month", "year") else DAY_TO_SECOND)


_SPANS = {
    ("day", "hour"): r"(?P<day>\d+) (?P<hour>\d+)",
    ("day", "minute"): r"(?P<day>\d+) (?P<hour>\d+):(?P<minute>\d+)",
    ("day", "second"): r"(?P<day>\d+) (?P<hour>\d+):(?P<minute>\d+):(?P<second>\d+)(?:\.(?P<ms>\d{1,3}))?",
    ("hour", "minute"): r"(?P<hour>\d+):(?P<minute>\d+)",
    ("hour", "second"): r"(?P<hour>\d+):(?P<minute>\d+):(?P<second>\d+)(?:\.(?P<ms>\d{1,3}))?",
    ("minute", "second"): r"(?P<minute>\d+):(?P<second>\d+)(?:\.(?P<ms>\d{1,3}))?",
    ("year", "month"): r"(?P<year>\d+)-(?P<month>\d+)",
}
"""Forms of intervals of several units."""
_MS = {"day": 86_400_000, "hour": 3_600_000, "minute": 60_000, "second": 1000}


def interval_span(count: str, first: str, last: str) -> Value:
    """Return `INTERVAL '1 12:30' DAY TO MINUTE`.

    Raises:
        QueryRefused: the text is not of this form.
    """
    form = _SPANS.get((first.lower(), last.lower()))
    found = re.fullmatch(rf"([+-]*){form}", count) if form else None
    if found is None:
        raise QueryRefused(f"'{count}' is not an INTERVAL of {first.upper()} TO {last.upper()}.")
    sign = -1 if found[1].count("-") % 2 else 1
    parts = {unit: int(digits) for unit, digits in found.groupdict(default="0").items() if unit != "ms"}
    if "month" in parts:
        return Value(f"to_months({sign * (parts['year'] * 12 + parts['month'])})", YEAR_TO_MONTH)
    fraction_ms = int((found.groupdict().get("ms") or "0").ljust(3, "0"))
    total_ms = sign * (sum(_MS[unit] * number for unit, number in parts.items()) + fraction_ms)
    return Value(f"to_milliseconds({total_ms})", DAY_TO_SECOND)


def _current(name: str) -> Handler:
    def handle(translator: Translator, arguments: Arguments) -> Value:
        """Translate current_timestamp(3) or localtimestamp(3); DuckDB and Athena have milliseconds."""
        (digits,) = arguments
        precision = digits.name if isinstance(digits, exp.Literal) and digits.name.isdecimal() else "9"
        if int(precision) > types.MAX_FRACTION:
            raise QueryRefused(f"{name} is supported with 0 to {types.MAX_FRACTION} digits.")
        if name == "current_timestamp":
            return cast(now(), types.zoned(precision=int(precision)))
        return cast(cast(now(), TIMESTAMP), types.Type("timestamp", precision=int(precision)))

    return handle


HANDLERS: dict[str, Handler] = {
    "current_timestamp": _current("current_timestamp"),
    "localtimestamp": _current("localtimestamp"),
    "at_timezone": _at_timezone,
    "current_timezone": _current_timezone,
    "date": _date,
    "date_add": _date_add,
    "date_diff": _date_diff,
    "date_format": _date_format,
    "date_parse": _date_parse,
    "date_trunc": _date_trunc,
    "format_datetime": _format_datetime,
    "from_iso8601_timestamp": _from_iso8601_timestamp,
    "from_unixtime": _from_unixtime,
    "last_day_of_month": _last_day_of_month,
    "now": _now,
    "parse_datetime": _parse_datetime,
    "to_iso8601": _to_iso8601,
    "to_milliseconds": _to_milliseconds,
    "to_unixtime": _to_unixtime,
    "with_timezone": _with_timezone,
    **{name: _field(name) for name in (*_FIELDS, *_FIELD_ALIASES, "timezone_hour", "timezone_minute")},
}
