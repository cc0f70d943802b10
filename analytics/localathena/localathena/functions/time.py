"""Trino's functions of dates, times and intervals as DuckDB's."""

import re
import zoneinfo
from collections.abc import Mapping

from sqlglot import exp

from localathena import types
from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
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
from localathena.values import (
    Value,
    cast,
    common,
    expect,
    fail_if,
    from_local,
    in_its_precision,
    in_milliseconds,
    local_time,
    local_timestamp,
    refuse_if,
)

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
    zone = literal(node, "A time zone")
    if re.fullmatch(r"[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00", zone):
        return zone if zone[1:] != "00:00" else "UTC"
    if zone not in zoneinfo.available_timezones() or not re.fullmatch(r"UTC|[A-Za-z]+(/[A-Za-z_-]+)+", zone):
        raise QueryRefused(
            f"The time zone {zone!r} is not supported: use UTC, +02:00 or a name like Europe/Paris."
        )
    return zone


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
        value = expect(value, TIMESTAMP, "with_timezone")
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
    timestamp = _datetime(translator.value(node), "date_trunc")
    unit = _unit(unit_node, timestamp, "date_trunc")
    return from_local(f"date_trunc('{unit}', {local_timestamp(timestamp)})", timestamp.type)


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
        return from_local(f"({local_timestamp(timestamp)} + {interval})", timestamp.type)
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

_PARSED = frozenset("bcdefHhIikljMmprSsTY%")
"""Specifiers that mean the same in both engines."""

_JODA = {
    "yyyy": "%Y", "y": "%-Y", "yy": "%y", "YYYY": "%Y", "xxxx": "%G", "MM": "%m", "M": "%-m", "MMM": "%b",
    "MMMM": "%B", "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M",
    "ss": "%S", "SSS": "%g", "a": "%p", "EEE": "%a", "E": "%a", "EEEE": "%A", "DDD": "%j", "ww": "%V",
    "e": "%u",
}  # fmt: skip
"""Joda's letters in strftime's specifiers."""


def _mysql_form(node: exp.Expr, known: Mapping[str, str]) -> str:
    form = literal(node, "A date's form")
    for letter in re.findall(r"%(.?)", form):
        if letter not in known:
            raise QueryRefused(f"%{letter} in the form of a date is not supported.")
    return text(re.sub(r"%(.)", lambda found: known[found[1]], form))


_JODA_PIECE = re.compile(
    r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<other>.)", re.DOTALL
)


def _joda_form(node: exp.Expr) -> str:
    def specifier(found: "re.Match[str]") -> str:
        letters = found["letters"]
        if letters and letters not in _JODA:
            raise QueryRefused(f"{letters} in the form of a date is not supported.")
        if letters:
            return _JODA[letters]
        plain = found["other"] or found["quoted"].replace("''", "'") or "'"
        return plain.replace("%", "%%")

    return text(_JODA_PIECE.sub(specifier, literal(node, "A date's form")))


def _date_format(translator: Translator, arguments: Arguments) -> Value:
    node, form = arguments
    timestamp = local_timestamp(in_milliseconds(_datetime(translator.value(node), "date_format")))
    return Value(f"strftime({timestamp}, {_mysql_form(form, _MYSQL)})", VARCHAR)


def _date_parse(translator: Translator, arguments: Arguments) -> Value:
    node, form = arguments
    if "%Y" not in literal(form, "A date's form"):
        raise QueryRefused("date_parse without %Y is not supported: the engines differ on the year.")
    form_sql = _mysql_form(form, {letter: _MYSQL[letter] for letter in _PARSED})
    value = expect(translator.value(node), VARCHAR, "date_parse")
    if value.is_partition:  # as in a cast
        return Value(f"try_strptime({value.sql}, {form_sql})", TIMESTAMP)
    return Value(_parsed(value.sql, form_sql), TIMESTAMP)


def _parsed(sql: str, form: str) -> str:
    """Parse a text as a timestamp of milliseconds, with no spaces beyond those of the format."""
    timestamp = f"date_trunc('millisecond', strptime({sql}, {form}))"
    blanks = f"regexp_matches({sql}, '^\\s|\\s$|\\s\\s')"
    return refuse_if(blanks, "A date with spaces around it is not supported: use trim()", timestamp)


def _format_datetime(translator: Translator, arguments: Arguments) -> Value:
    node, form = arguments
    timestamp = local_timestamp(_datetime(translator.value(node), "format_datetime"))
    return Value(f"strftime({timestamp}, {_joda_form(form)})", VARCHAR)


def _parse_datetime(translator: Translator, arguments: Arguments) -> Value:
    node, form = arguments
    form_sql = _joda_form(form)
    if "%Y" not in form_sql or re.search("%[GVjuaA]", form_sql):
        raise QueryRefused(f"parse_datetime with {literal(form, 'A form')!r} is not supported.")
    sql = expect(translator.value(node), VARCHAR, "parse_datetime").sql
    parsed = _parsed(sql, form_sql.replace("%g", "%f"))
    return Value(f"timezone('UTC', {parsed})", types.zoned())


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


def _from_iso8601_date(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    sql = expect(translator.value(node), VARCHAR, "from_iso8601_date").sql
    shape = text("[0-9]{4}-[0-9]{2}-[0-9]{2}")
    return Value(
        refuse_if(
            f"NOT regexp_full_match({sql}, {shape})",
            "from_iso8601_date is supported for dates like 2026-11-24",
            f"CAST({sql} AS DATE)",
        ),
        DATE,
    )


def _to_iso8601(translator: Translator, arguments: Arguments) -> Value:
    (node,) = arguments
    timestamp = _datetime(translator.value(node), "to_iso8601")
    if timestamp.type == DATE:
        return cast(timestamp, VARCHAR)
    if timestamp.type.precision != 3 or timestamp.type.zone not in ("", "UTC"):
        raise QueryRefused(f"to_iso8601 of {timestamp.type} is only supported for timestamp(3) and UTC.")
    end = "Z" if timestamp.type.zone else ""
    return Value(f"strftime({local_timestamp(timestamp)}, '%Y-%m-%dT%H:%M:%S.%g{end}')", VARCHAR)


def _from_unixtime(translator: Translator, arguments: Arguments) -> Value:
    node, *zone = arguments
    seconds = expect(translator.value(node), DOUBLE, "from_unixtime").sql
    type_ = types.zoned(zone_of(zone[0]) if zone else "UTC")
    milliseconds = f"CAST(floor({seconds} * 1000 + 0.5) AS BIGINT)"  # as Java rounds: half up
    return Value(f"timezone('UTC', make_timestamp_ms({milliseconds}))", type_)


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
    if not re.fullmatch(r"[+-]?\d+", count):
        raise QueryRefused(f"INTERVAL '{count}' {unit} is not supported: write a whole number of one unit.")
    if abs(int(count)) > 2147483647:
        raise QueryRefused(f"INTERVAL '{count}' {unit}: the number must be 2147483647 at most.")
    unit = unit.lower()
    if unit not in ("second", "minute", "hour", "day", "month", "year"):
        raise QueryRefused(f"Athena has no INTERVAL of the unit {unit}.")
    return Value(_interval(unit, count), YEAR_TO_MONTH if unit in ("month", "year") else DAY_TO_SECOND)


HANDLERS: dict[str, Handler] = {
    "at_timezone": _at_timezone,
    "current_timezone": _current_timezone,
    "date": _date,
    "date_add": _date_add,
    "date_diff": _date_diff,
    "date_format": _date_format,
    "date_parse": _date_parse,
    "date_trunc": _date_trunc,
    "format_datetime": _format_datetime,
    "from_iso8601_date": _from_iso8601_date,
    "from_iso8601_timestamp": _from_iso8601_timestamp,
    "from_unixtime": _from_unixtime,
    "last_day_of_month": _last_day_of_month,
    "now": _now,
    "parse_datetime": _parse_datetime,
    "to_iso8601": _to_iso8601,
    "to_milliseconds": _to_milliseconds,
    "to_unixtime": _to_unixtime,
    "with_timezone": _with_timezone,
    **{name: _field(name) for name in (*_FIELDS, *_FIELD_ALIASES)},
}
