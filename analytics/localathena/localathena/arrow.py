"""A result as an Arrow table, of which Parquet can be written as CTAS and UNLOAD write it."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from localathena.errors import QueryRefused
from localathena.results import items_of
from localathena.types import Column, Type

_ARROW = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double": pa.float64(),
    "varchar": pa.string(),
    "varbinary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("ms"),
}


def arrow_table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Return rows with DuckDB's values as a table.

    Raises:
        QueryRefused: Athena does not write a column's type: with a time zone, JSON, an interval, only NULL.
    """
    types = [_type_of(column.type, column.name) for column in columns]
    lists = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = [
        pa.array([_value(value, column.type) for value in values], type_)
        for values, column, type_ in zip(lists, columns, types, strict=True)
    ]
    return pa.Table.from_arrays(
        arrays, schema=pa.schema(list(zip([c.name for c in columns], types, strict=True)))
    )


def _type_of(type_: Type, name: str) -> pa.DataType:
    match type_.name:
        case "decimal":
            return pa.decimal128(type_.precision, type_.scale)
        case "array":
            return pa.list_(_type_of(type_.arguments[0], name))
        case "map":
            return pa.map_(*(_type_of(part, name) for part in type_.arguments))
        case "row" if all(type_.fields):
            fields = zip(type_.fields, type_.arguments, strict=True)
            return pa.struct([(field, _type_of(part, name)) for field, part in fields])
    if type_.name not in _ARROW:
        raise QueryRefused(f"The column {name} has the type {type_}, which Athena does not write: cast it.")
    return _ARROW[type_.name]


def _value(value: Any, type_: Type) -> Any:
    if value is None:
        return None
    if type_.name == "array":
        return [_value(element, type_.arguments[0]) for element in value]
    if type_.name == "map":
        key, item = type_.arguments
        return [(_value(k, key), _value(v, item)) for k, v in items_of(value, type_)]
    if type_.name == "row":
        fields = zip(type_.fields, value.values(), type_.arguments, strict=True)
        return {field: _value(part, of) for field, part, of in fields}
    return value
