"""Trino's types: spelling, coercion, and DuckDB's type for each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

MAX_PRECISION = 38
"""Largest precision of a decimal, in Trino and DuckDB."""
MAX_FRACTION = 6
"""Most digits of a second's fraction. Trino has up to 12, DuckDB has microseconds."""


@dataclass(frozen=True)
class Type:
    """A Trino type: `bigint`, `decimal(5, 2)`, `array(varchar)`, `row(x bigint)`, ..."""

    name: str
    arguments: tuple["Type", ...] = ()
    fields: tuple[str | None, ...] = ()
    """Names of a row's fields; an anonymous field has none."""
    precision: int = 0
    """Precision of a decimal, or digits of the second's fraction of a timestamp or time."""
    scale: int = 0
    zone: str = ""
    """Time zone of all values of a timestamp with time zone, as UTC, Europe/Paris or +02:00, or MIXED.
    DuckDB stores instants only."""

    def __str__(self) -> str:
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        if self.name == "row":
            fields = zip(self.fields, self.arguments, strict=True)
            return (
                "row("
                + ", ".join(f'"{name}" {type_}' if name else str(type_) for name, type_ in fields)
                + ")"
            )
        if self.name in ("timestamp", "time"):
            return f"{self.name}({self.precision})"
        if self.name == "timestamp with time zone":
            return f"timestamp({self.precision}) with time zone"
        arguments = ", ".join(map(str, self.arguments))
        return f"{self.name}({arguments})" if arguments else self.name

    @property
    def duckdb(self) -> str:
        """DuckDB's type for its values."""
        if self.name == "array":
            return f"{self.arguments[0].duckdb}[]"
        if self.name == "map":
            return f"MAP({self.arguments[0].duckdb}, {self.arguments[1].duckdb})"
        if self.name == "row":
            names = [name or f"field{index}" for index, name in enumerate(self.fields)]
            fields = zip(names, self.arguments, strict=True)
            return "STRUCT(" + ", ".join(f"{quoted(name)} {type_.duckdb}" for name, type_ in fields) + ")"
        if self.name == "decimal":
            return f"DECIMAL({self.precision}, {self.scale})"
        return _DUCKDB[self.name]

    @property
    def is_integer(self) -> bool:
        """Whether it is a whole number."""
        return self.name in INTEGERS

    @property
    def is_exact(self) -> bool:
        """Whether it is a whole number or a decimal."""
        return self.is_integer or self.name == "decimal"

    @property
    def is_number(self) -> bool:
        """Whether arithmetic is defined on it."""
        return self.is_exact or self.is_floating

    @property
    def is_floating(self) -> bool:
        """Whether it is a double or a real."""
        return self.name in ("double", "real")

    @property
    def is_datetime(self) -> bool:
        """Whether it is a date or a timestamp."""
        return self.name in _DATETIMES

    @property
    def is_simple(self) -> bool:
        """Whether it is not an array, map or row."""
        return self.name not in ("array", "map", "row")

    def contains(self, *names: str) -> bool:
        """Whether it, or a type in it, has one of the names."""
        return self.name in names or any(argument.contains(*names) for argument in self.arguments)

    @property
    def is_interval(self) -> bool:
        """Whether it is an interval."""
        return self.name.startswith("interval")


@dataclass(frozen=True)
class Column:
    """A column of a table or a result."""

    name: str
    type: Type
    is_partition: bool = False
    """Whether it is the partition column."""


INTEGERS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
"""Types of whole numbers, and the precision of the decimal that holds each."""
_NUMBERS = [*INTEGERS, "decimal", "real", "double"]
_DATETIMES = ["date", "timestamp", "timestamp with time zone"]

_DUCKDB = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double": "DOUBLE",
    "varchar": "VARCHAR",
    "varbinary": "BLOB",
    "json": "VARCHAR",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
    "interval day to second": "INTERVAL",
    "interval year to month": "INTERVAL",
    "unknown": "INTEGER",
}

MIXED = "?"
"""Zone of a type whose values are in different time zones."""

BOOLEAN = Type("boolean")
INTEGER = Type("integer")
BIGINT = Type("bigint")
DOUBLE = Type("double")
VARCHAR = Type("varchar")
VARBINARY = Type("varbinary")
JSON = Type("json")
DATE = Type("date")
TIMESTAMP = Type("timestamp", precision=3)
UNKNOWN = Type("unknown")
DAY_TO_SECOND = Type("interval day to second")
YEAR_TO_MONTH = Type("interval year to month")


def zoned(zone: str = "UTC", precision: int = 3) -> Type:
    """Return `timestamp with time zone`, in one zone."""
    return Type("timestamp with time zone", precision=precision, zone=zone)


def decimal(precision: int, scale: int) -> Type:
    """Return a decimal, with the precision limited to Trino's range."""
    return Type("decimal", precision=min(MAX_PRECISION, max(precision, 1)), scale=scale)


def array(element: Type) -> Type:
    """Return an array's type."""
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    """Return a map's type."""
    return Type("map", (key, value))


def row(types: Sequence[Type], names: Sequence[str | None]) -> Type:
    """Return a row's type."""
    return Type("row", tuple(types), tuple(names))


def as_decimal(type_: Type) -> Type:
    """Return the decimal that holds every value of a whole number's type; a decimal as it is."""
    return type_ if type_.name == "decimal" else decimal(INTEGERS[type_.name], 0)


def common(a: Type, b: Type) -> Type | None:
    """Return the type that Trino coerces both to implicitly, or None."""
    if a == b or b == UNKNOWN:
        return a
    if a == UNKNOWN:
        return b
    if a.is_number and b.is_number:
        if a.is_exact and b.is_exact and "decimal" in (a.name, b.name):
            a, b = as_decimal(a), as_decimal(b)
            scale = max(a.scale, b.scale)
            return decimal(max(a.precision - a.scale, b.precision - b.scale) + scale, scale)
        return a if _NUMBERS.index(a.name) >= _NUMBERS.index(b.name) else b
    if a.is_datetime and b.is_datetime:
        return _common_datetime(a, b)
    if a.name == b.name == "time":
        return a if a.precision >= b.precision else b
    if a.name == b.name and len(a.arguments) == len(b.arguments):
        arguments = [common(x, y) for x, y in zip(a.arguments, b.arguments, strict=True)]
        if None not in arguments:
            fields = tuple(x if x == y else None for x, y in zip(a.fields, b.fields, strict=True))
            return Type(a.name, tuple(type_ for type_ in arguments if type_), fields)
    return None


def _common_datetime(a: Type, b: Type) -> Type:
    low, high = sorted((a, b), key=lambda type_: _DATETIMES.index(type_.name))
    zone = high.zone
    if zone and (low.zone or "UTC") != zone:  # a timestamp without zone is in the session's zone, UTC
        zone = MIXED
    return Type(high.name, precision=max(low.precision, high.precision), zone=zone)


def common_of(types: Sequence[Type]) -> Type | None:
    """Return the type that Trino coerces all to, or None."""
    return reduce(lambda a, b: common(a, b) if a else None, types, UNKNOWN)  # type: ignore[arg-type,return-value]


def coerces(source: Type, target: Type) -> bool:
    """Whether Trino coerces one type to another implicitly."""
    return common(source, target) == target


def quoted(name: str) -> str:
    """Return an identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a character literal as SQL."""
    return "'" + value.replace("'", "''") + "'"


def in_hive(type_: Type) -> str:
    """Return how DESCRIBE writes a type: `map<string,double>`."""
    if type_.name == "row":
        fields = zip(type_.fields, type_.arguments, strict=True)
        return "struct<" + ",".join(f"{name}:{in_hive(field)}" for name, field in fields) + ">"
    if type_.arguments:
        return f"{type_.name}<{','.join(map(in_hive, type_.arguments))}>"
    names = {"varchar": "string", "integer": "int", "real": "float", "varbinary": "binary"}
    return str(type_) if type_.name == "decimal" else names.get(type_.name, type_.name)


_PART = re.compile(r'\s*("(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*|\d+|[(),])')
_SPELLINGS = {"int": "integer", "string": "varchar", "char": "varchar", "float": "real"}
_INTERVALS = {"day": DAY_TO_SECOND, "year": YEAR_TO_MONTH}


def parse(spelling: str) -> Type:
    """Read a type as Trino writes it, `map(varchar, array(decimal(5,2)))`.

    Raises:
        ValueError: it is not a supported type.
    """
    parts = _PART.findall(spelling) if _PART.sub("", spelling).strip() == "" else []
    try:
        type_, rest = _parse(parts)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"unknown type {spelling}") from error
    if rest:
        raise ValueError(f"unknown type {spelling}")
    return type_


def _parse(parts: list[str]) -> tuple[Type, list[str]]:
    name, parts = parts[0].lower(), parts[1:]
    name = _SPELLINGS.get(name, name)
    if name == "interval":
        return _INTERVALS[parts[0].lower()], parts[3:]
    arguments: list[list[str]] = []
    if parts[:1] == ["("]:
        arguments, parts = _split(parts)
    if name == "timestamp":
        precision = _fraction(arguments)
        if [part.lower() for part in parts[:4]] == ["with", "time", "zone"] or parts[:1] == ["with"]:
            return zoned(precision=precision), parts[3:]
        return Type("timestamp", precision=precision), parts
    if name == "time":
        return Type("time", precision=_fraction(arguments)), parts
    if name == "decimal":
        digits = [int(argument[0]) for argument in arguments] or [38]
        if len(digits) > 2 or not 1 <= digits[0] <= MAX_PRECISION or digits[-1] > digits[0]:
            raise ValueError(digits)
        return decimal(digits[0], digits[1] if len(digits) > 1 else 0), parts
    if name == "row":
        return row(*zip(*[_parse_field(argument) for argument in arguments], strict=True)), parts
    if name in ("array", "map"):
        if len(arguments) != {"array": 1, "map": 2}[name]:
            raise KeyError(name)
        return Type(name, tuple(_parse(argument)[0] for argument in arguments)), parts
    if arguments and name != "varchar":
        raise KeyError(name)
    if name not in _DUCKDB and not name.startswith("variable_"):
        raise KeyError(name)
    return Type(name), parts


def _fraction(arguments: list[list[str]]) -> int:
    digits = int(arguments[0][0]) if arguments else 3
    if digits > MAX_FRACTION:
        raise ValueError(digits)
    return digits


def _parse_field(parts: list[str]) -> tuple[Type, str | None]:
    if len(parts) > 1 and parts[1] not in ("(",) and parts[0].lower() not in ("timestamp", "interval"):
        name = parts[0][1:-1].replace('""', '"') if parts[0].startswith('"') else parts[0].lower()
        return _parse(parts[1:])[0], name
    return _parse(parts)[0], None


def _split(parts: list[str]) -> tuple[list[list[str]], list[str]]:
    """Split `( a , b ( c ) ) rest` into its arguments and the rest."""
    arguments: list[list[str]] = [[]]
    depth = 0
    for index, part in enumerate(parts):
        depth += {"(": 1, ")": -1}.get(part, 0)
        if depth == 0:
            return arguments, parts[index + 1 :]
        if depth == 1 and part == ",":
            arguments.append([])
        elif depth > 1 or part != "(":
            arguments[-1].append(part)
    raise KeyError("unbalanced")
