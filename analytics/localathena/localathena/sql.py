"""SQL for DuckDB with a Trino type, and SQL that fails with a message."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from localathena import types
from localathena.scalars.failures import FAILURE, REFUSAL
from localathena.types import UNKNOWN, Type

TRIED = "_tried"
"""Parameter of the lambda around TRY, which holds what TRY cannot contain."""


@dataclass(frozen=True)
class Value:
    """An expression: its SQL for DuckDB, in parentheses where it needs them, and its Trino type."""

    sql: str
    type: Type
    constant: str | None = None
    """Text of the literal, if it is one."""
    is_partition: bool = False
    """Whether it is the partition column."""
    instant: str | None = None
    """SQL of a timestamp that is right in any zone, where `sql` fails outside its type's zone."""


NULL = Value("NULL", UNKNOWN)


def fail_if(condition: str, message: str, otherwise: str) -> str:
    """Return SQL that fails with a message where a condition holds, and else is an expression."""
    failure = f"CAST({types.text(FAILURE + message.removeprefix(FAILURE))} AS BOOLEAN)"
    return f"(CASE WHEN (CASE WHEN {condition} THEN {failure} ELSE FALSE END) THEN NULL ELSE {otherwise} END)"


def refuse_if(condition: str, message: str, otherwise: str) -> str:
    """Return SQL that fails with a message where DuckDB cannot give Athena's answer."""
    return fail_if(condition, f"{REFUSAL}{message}", otherwise)


def attempt(value: Value, parameter: str, argument: str) -> Value:
    """Return TRY(value), which is NULL where it fails, in a lambda of one parameter.

    In a lambda DuckDB does not work out constants before it tries. The worker counts a refusal within TRY,
    which then does not hide it.
    """
    refused = rf"CAST\('{REFUSAL}((?:[^']|'')*)' AS BOOLEAN\)"
    told = re.sub(refused, lambda found: f"athena_refused('{found[1]}', {parameter} IS NULL)", value.sql)
    sql = f"list_extract(list_transform([{argument}], lambda {parameter}: TRY({told})), 1)"
    return Value(sql, value.type)


def in_python(name: str, *arguments: str) -> str:
    """Return the call of one of `localathena.scalars`, which is NULL where an argument is."""
    return f"athena_{name}({', '.join(arguments)})"


def struct(fields: Sequence[str], type_: Type) -> str:
    """Return a row's value of its fields' SQL."""
    names = [name or f"field{index}" for index, name in enumerate(type_.fields)]
    return (
        "{" + ", ".join(f"{types.text(name)}: {sql}" for name, sql in zip(names, fields, strict=True)) + "}"
    )


def field(value: Value, index: int) -> Value:
    """Return a row's field."""
    name = value.type.fields[index] or f"field{index}"
    return Value(f"struct_extract({value.sql}, {types.text(name)})", value.type.arguments[index])
