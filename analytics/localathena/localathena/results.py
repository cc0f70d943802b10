"""Rows as DataFrames, values as the texts of Athena's API, and the texts as values."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from localathena import types
from localathena.moments import offset_minutes
from localathena.scalars.numbers import double_text, months_text, real_text
from localathena.types import Column, Type

if TYPE_CHECKING:  # it takes half a second, and not every answer becomes a DataFrame
    import pandas as pd

_DAYS_OF_A_MONTH = 30
"""Days of a month in the timedelta that DuckDB's client makes of an interval."""


def frame_of(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> "pd.DataFrame":
    """Return rows as a DataFrame.

    Whole numbers are int64, or Int64 where NULL is among them; decimals are float64, as doubles are;
    timestamps are datetime64, with their zone if they have one; dates are `datetime.date`, times of the day
    `datetime.time`, intervals timedelta64, but of months texts like 1-2; maps and rows are dicts, arrays
    lists, texts str. NULL is None, NaN or NaT.
    """
    import pandas as pd

    lists = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    series = {
        index: _series(values, column.type)
        for index, (column, values) in enumerate(zip(columns, lists, strict=True))
    }
    frame = pd.DataFrame(series, index=range(len(rows)))
    frame.columns = pd.Index([column.name for column in columns], dtype=object)
    return frame


def records_of(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return rows as dicts of what `frame_of` has, as values of Python's own. NULL and NaN are None."""
    readers = [(column.name, _reader(column.type)) for column in columns]
    return [
        {
            name: None if value is None or value != value else read(value)
            for (name, read), value in zip(readers, row, strict=True)
        }
        for row in rows
    ]


def _reader(type_: Type) -> Callable[[Any], Any]:
    if type_.zone:
        clock = _clock(type_.zone)
        return lambda moment: moment.astimezone(clock)
    if type_.name == "interval year to month":
        return lambda interval: text_of(interval, type_)
    return _without_decimals


def _series(values: Sequence[Any], type_: Type) -> "pd.Series":
    import pandas as pd

    if type_.is_integer:
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if type_.is_floating or type_.name == "decimal":
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if type_.name == "boolean":
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if type_.zone:
        return pd.Series(values, dtype=pd.DatetimeTZDtype("us", _clock(type_.zone)))
    if type_.name == "timestamp":
        return pd.Series(values, dtype="datetime64[us]")
    if type_.name == "interval day to second":
        return pd.Series(values, dtype="timedelta64[us]")
    if type_.name == "interval year to month":
        values = [None if value is None else text_of(value, type_) for value in values]
    return pd.Series([_without_decimals(value) for value in values], dtype="object")


def _clock(zone: str) -> tzinfo:
    """Return the zone of a name, or of an offset like +02:00."""
    minutes = offset_minutes(zone)
    return ZoneInfo(zone) if minutes is None else timezone(timedelta(minutes=minutes))


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_without_decimals(element) for element in value]
    if isinstance(value, dict):
        return {_without_decimals(key): _without_decimals(item) for key, item in value.items()}
    return value


def text_of(value: Any, type_: Type) -> str:
    """Return a value as a text of Athena's API."""
    if value is None:
        return "null"
    if type_.name == "row":
        names = [name or f"field{position}" for position, name in enumerate(type_.fields)]
        fields = zip(names, value.values(), type_.arguments, strict=True)
        return "{" + ", ".join(f"{name}={text_of(part, of)}" for name, part, of in fields) + "}"
    if type_.name == "real":
        return real_text(value)
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return double_text(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            local = value.astimezone(_clock(type_.zone)) if type_.zone else value
            seconds = local.replace(tzinfo=None).isoformat(" ", "seconds")  # %Y does not pad the year
            fraction = f".{local:%f}"[: type_.precision + 1] if type_.precision else ""
            return seconds + fraction + (f" {type_.zone}" if type_.zone else "")
        case time():
            return value.isoformat("microseconds")[: 9 + type_.precision if type_.precision else 8]
        case timedelta() if type_.name == "interval year to month":
            return months_text(value.days // _DAYS_OF_A_MONTH)
        case timedelta():
            return _interval_text(value)
        case list():
            return f"[{', '.join(text_of(element, type_.arguments[0]) for element in value)}]"
        case dict():
            key, item = type_.arguments
            return (
                "{"
                + ", ".join(f"{text_of(k, key)}={text_of(v, item)}" for k, v in items_of(value, type_))
                + "}"
            )
        case bytes():
            return value.hex(" ")
    return str(value)


def items_of(value: Mapping[Any, Any], type_: Type) -> list[tuple[Any, Any]]:
    """Return the keys and values of a map. DuckDB returns two lists where Python cannot hash the keys."""
    if type_.arguments[0].name in ("array", "row", "map"):
        return list(zip(value["key"], value["value"], strict=True))
    return list(value.items())


def _interval_text(interval: timedelta) -> str:
    ms = round(abs(interval) / timedelta(milliseconds=1))
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{'-' if interval < timedelta(0) else ''}{days} {hours:02}:{minutes:02}:{seconds:02}.{ms:03}"


def typed_rows(
    names_and_types: Sequence[tuple[str, str]], texts: Sequence[Sequence[str | None]]
) -> tuple[list[Column], list[list[Any]]]:
    """Return the columns and the values of a result, of which Athena gives the texts and the types' names.

    Of a map, an array or a row Athena tells neither the types inside nor where a text in it ends: numbers are
    taken for numbers, and a text with `, ` or `=` in it may be cut there. Select such texts on their own.
    """
    columns, lists = [], []
    for index, (name, spelling) in enumerate(names_and_types):
        values = [row[index] for row in texts]
        type_ = _type_of(spelling, values)
        read = _READERS.get(type_.name, str)
        columns.append(Column(name, type_))
        lists.append([None if value is None else read(value) for value in values])
    return columns, [list(row) for row in zip(*lists, strict=True)]


def _type_of(spelling: str, values: Sequence[str | None]) -> Type:
    if spelling == "timestamp with time zone":
        first = next((value for value in values if value), " UTC")
        return types.zoned(first.rpartition(" ")[2])
    if spelling in ("array", "map", "row"):
        return Type(spelling)
    try:
        return types.parse(spelling)
    except ValueError:
        return types.VARCHAR


def _timestamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _zoned_timestamp(text: str) -> datetime:
    timestamp, _, zone = text.rpartition(" ")
    return datetime.fromisoformat(timestamp).replace(tzinfo=_clock(zone))


def _interval(text: str) -> timedelta:
    sign, days, hours, minutes, seconds, ms = re.fullmatch(
        r"(-?)(\d+) (\d+):(\d+):(\d+)\.(\d+)", text
    ).groups()  # type: ignore[union-attr]
    interval = timedelta(
        days=int(days), hours=int(hours), minutes=int(minutes), seconds=int(seconds), milliseconds=int(ms)
    )
    return -interval if sign else interval


def _container(text: str) -> Any:
    value, rest = _value(text)
    return value if not rest else text


def _value(text: str) -> tuple[Any, str]:
    """Read a value from the front of a text, and return the rest."""
    if text.startswith("["):
        return _elements(text[1:], "]")
    if text.startswith("{"):
        items, rest = _elements(text[1:], "}")
        if all(isinstance(item, tuple) for item in items):
            return dict(items), rest
        return {f"field{index}": item for index, item in enumerate(items)}, rest
    end = re.search(r", |=|[\]}]|$", text)
    front = text[: end.start()] if end else text
    return _scalar(front), text[len(front) :]


def _elements(text: str, close: str) -> tuple[list[Any], str]:
    elements: list[Any] = []
    while text and not text.startswith(close):
        value, text = _value(text.removeprefix(", "))
        if text.startswith("="):
            item, text = _value(text[1:])
            value = (value, item)
        elements.append(value)
        if text and not text.startswith((", ", close)):
            return elements, text
    return elements, text.removeprefix(close)


def _scalar(text: str) -> Any:
    if text == "null":
        return None
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


_READERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), int),
    **dict.fromkeys(("real", "double", "decimal"), float),
    **dict.fromkeys(("array", "map", "row"), _container),
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": _timestamp,
    "timestamp with time zone": _zoned_timestamp,
    "interval day to second": _interval,
    "varbinary": bytes.fromhex,
}
