"""Parquet by way of Arrow: a result as a table, as CTAS and UNLOAD write it, and the columns of a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from localathena.errors import QueryRefused
from localathena.results import items_of
from localathena.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DOUBLE,
    INTEGER,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    Column,
    Type,
    array,
    decimal,
    map_of,
    row,
)

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


def columns_of(file: Path) -> dict[str, str]:
    """Return the columns of a Parquet file, each with Trino's type.

    Raises:
        KeyError: Athena has no such type.
    """
    return {field.name: str(trino_type(field.type)) for field in parquet.read_schema(file)}


def trino_type(type_: pa.DataType) -> Type:
    """Return the Trino type of an Arrow type.

    Raises:
        KeyError: Athena has no such type.
    """
    if pa.types.is_map(type_):
        return map_of(trino_type(type_.key_type), trino_type(type_.item_type))
    if pa.types.is_list(type_):
        return array(trino_type(type_.value_type))
    if pa.types.is_struct(type_):
        return row([trino_type(field.type) for field in type_], [field.name.lower() for field in type_])
    if pa.types.is_timestamp(type_):
        return TIMESTAMP
    if pa.types.is_decimal(type_):
        return decimal(type_.precision, type_.scale)
    return {
        pa.string(): VARCHAR,
        pa.large_string(): VARCHAR,
        pa.binary(): VARBINARY,
        pa.bool_(): BOOLEAN,
        pa.int8(): Type("tinyint"),
        pa.int16(): Type("smallint"),
        pa.int32(): INTEGER,
        pa.int64(): BIGINT,
        pa.float32(): Type("real"),
        pa.float64(): DOUBLE,
        pa.date32(): DATE,
    }[type_]
