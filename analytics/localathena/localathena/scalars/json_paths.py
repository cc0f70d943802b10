"""json_value, json_query and json_exists: what is at a path of SQL's standard, which is `lax` or `strict`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localathena.scalars.failures import Failed, Refused
from localathena.scalars.json import Node, NotJson, first, kind, quote, unquoted, written
from localathena.scalars.numbers import double_text

Index = tuple[int, bool]
"""A position in an array, and whether it counts back from the last element."""


@dataclass(frozen=True)
class _Member:
    name: str | None
    """None for all members."""


@dataclass(frozen=True)
class _Elements:
    ranges: tuple[tuple[Index, Index], ...]
    """Nothing for all elements."""


@dataclass(frozen=True)
class Path:
    """A path that is read."""

    is_lax: bool
    steps: tuple[_Member | _Elements, ...]


class _NotFound(Exception):
    """A strict path does not fit the JSON."""


_INDEX = r"\s*(?:\d{1,9}|last(?:\s*-\s*\d{1,9})?)\s*"
_RANGE = rf"{_INDEX}(?:to\b{_INDEX})?"
_STEP = re.compile(
    r'\s*\.\s*(?:(?P<name>[A-Za-z_]\w*)(?!\s*\()|"(?P<quoted>[^"\\]*)"|(?P<any>\*))'
    rf"|\s*\[(?:\s*(?P<all>\*)\s*|(?P<ranges>{_RANGE}(?:,{_RANGE})*))\]",
    re.ASCII,
)
_MODE = re.compile(r"\s*(lax|strict)\b\s*\$", re.ASCII)


@lru_cache(maxsize=256)
def path_of(text: str) -> Path:
    """Read a path.

    Raises:
        Failed: it has no mode.
        Refused: it has a filter, a method, a variable or arithmetic.
    """
    mode = _MODE.match(text)
    if mode is None:
        raise Failed(f"The JSON path {text[:100]!r} must begin with lax $ or strict $")
    path, at, steps = text.rstrip(), mode.end(), []
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise Refused(
                f"The JSON path {text[:100]!r} is not supported from {text[at:][:100]!r} on: "
                'a path has the steps .name, ."name", .*, [0], [last], [0 to 2] and [*]'
            )
        steps.append(_step(step))
        at = step.end()
    return Path(mode[1] == "lax", tuple(steps))


def _step(found: "re.Match[str]") -> _Member | _Elements:
    if found["all"]:
        return _Elements(())
    if found["ranges"] is None:
        return _Member(None if found["any"] else found["quoted"] if found["name"] is None else found["name"])
    bounds = [[_index(bound) for bound in re.split(r"\bto\b", part)] for part in found["ranges"].split(",")]
    return _Elements(tuple((bound[0], bound[-1]) for bound in bounds))


def _index(text: str) -> Index:
    digits = re.search(r"\d+", text)
    return int(digits[0]) if digits else 0, "last" in text


def _found(text: str, path: str) -> list[Node]:
    """Return what a path leads to.

    Raises:
        NotJson: the text is not JSON.
        _NotFound: the path is strict, and does not fit.
    """
    read = path_of(path)
    nodes = [_document(text)]
    for step in read.steps:
        nodes = [found for node in nodes for found in _followed(node, step, read.is_lax)]
    return nodes


def _document(text: str) -> Node:
    """Read JSON, and nothing of what follows an array or an object."""
    if not text.strip():
        raise NotJson
    node, is_all = first(text)
    if not is_all and isinstance(node, str):
        raise Refused("More than a number or a word of JSON is not supported here")
    return node


def _followed(node: Node, step: _Member | _Elements, is_lax: bool) -> list[Node]:
    return _members(node, step, is_lax) if isinstance(step, _Member) else _elements(node, step, is_lax)


def _members(node: Node, step: _Member, is_lax: bool) -> list[Node]:
    if isinstance(node, list) and is_lax:
        return [
            found for element in node if isinstance(element, dict) for found in _members(element, step, True)
        ]
    if isinstance(node, dict) and step.name is None:
        return list(node.values())
    if isinstance(node, dict) and step.name in node:
        return [node[step.name]]
    if is_lax:
        return []
    raise _NotFound


def _elements(node: Node, step: _Elements, is_lax: bool) -> list[Node]:
    if not isinstance(node, list):
        if not is_lax:
            raise _NotFound
        node = [node]
    if not step.ranges:
        return node
    found = []
    for bounds in step.ranges:
        first, last = (len(node) - 1 - index if is_last else index for index, is_last in bounds)
        if not is_lax and not 0 <= first <= last < len(node):
            raise _NotFound
        found += node[max(first, 0) : max(last + 1, 0)]
    return found


_BIGINT_LENGTH = 20


def item(text: str, path: str) -> str:
    """Return what json_value finds: the first letter of its kind, and its text.

    S: a text, I: a whole number, D: another number, B: a boolean, N: null.
    E: nothing. X: an error, and which.
    """
    try:
        nodes = _found(text, path)
    except NotJson:
        return "Xit is not JSON"
    except _NotFound:
        return f"Xthe path {path} does not fit it"
    if not nodes:
        return "E"
    if len(nodes) > 1:
        return f"Xthe path {path} leads to several values"
    (node,) = nodes
    if not isinstance(node, str):
        return f"Xthe path {path} leads to an array or an object"
    is_ = kind(node)
    if is_ == "null":
        return "N"
    if is_ == "string":
        return f"S{unquoted(node)}"
    if is_ in ("true", "false"):
        return f"B{node}"
    if is_ == "float":
        return f"D{double_text(float(node), is_cast=True)}"
    is_bigint = len(node) <= _BIGINT_LENGTH and -(2**63) <= int(node) < 2**63
    return f"I{node}" if is_bigint else "Xthe number is too large"


def value(text: str, path: str, on_empty: str, on_error: str) -> str | None:
    """Return json_value as a text. NULL, ERROR or = and a default say what it is without one."""
    found = item(text, path)
    if found[0] not in "EXN":
        return found[1:]
    instead = {"E": on_empty, "X": on_error, "N": "NULL"}[found[0]]
    if instead == "ERROR":
        raise Refused(f"json_value finds no value: {found[1:] or f'the path {path} leads to nothing'}")
    return None if instead == "NULL" else instead.removeprefix("=")


def query(text: str, path: str, options: str, on_empty: str, on_error: str) -> str | None:
    """Return json_query. The options are the wrapper and what becomes of quotes."""
    wrapper, quotes = options.split()
    if not text.strip():
        raise Refused("json_query of a blank text is not supported")
    try:
        nodes = _found(text, path)
    except NotJson:
        return _instead(on_error, "it is not JSON")
    except _NotFound:
        return _instead(on_error, f"the path {path} does not fit it")
    if not nodes:
        return _instead(on_empty, f"the path {path} leads to nothing")
    is_one = len(nodes) == 1
    if wrapper == "UNCONDITIONAL" or (
        wrapper == "CONDITIONAL" and not (is_one and not isinstance(nodes[0], str))
    ):
        return written(nodes, is_sorted=False)
    if not is_one:
        return _instead(on_error, f"the path {path} leads to several values")
    (node,) = nodes
    if quotes == "OMIT" and isinstance(node, str) and node.startswith('"'):
        return unquoted(node)
    return written(node, is_sorted=False)


def _instead(behaviour: str, why: str) -> str | None:
    if behaviour == "ERROR":
        raise Refused(f"json_query cannot read this JSON: {why}")
    return {"NULL": None, "EMPTY ARRAY": "[]", "EMPTY OBJECT": "{}"}[behaviour]


def exists(text: str, path: str, on_error: str) -> bool | None:
    """Return json_exists."""
    if not text.strip():
        raise Refused("json_exists of a blank text is not supported")
    try:
        return bool(_found(text, path))
    except (NotJson, _NotFound):
        if on_error == "ERROR":
            raise Refused(f"json_exists cannot read this JSON with the path {path}") from None
        return {"TRUE": True, "FALSE": False, "UNKNOWN": None}[on_error]


def json_object(keys: list[str | None], values: list[str | None]) -> str:
    """Return json_object of values that are JSON, without NULLs, in the order of a Java HashMap."""
    members: dict[str, str] = {}
    for key, written_value in zip(keys, values, strict=True):
        if key is None:
            raise Refused("A key of json_object is NULL, which Athena does not allow")
        if key in members:
            raise Refused(f"json_object has the key {key!r} twice, which Athena does not support")
        if written_value is not None:
            members[key] = written_value
    size = _LEAST_BUCKETS
    while len(members) > size * _LOAD:
        size *= 2
    ordered = sorted(members, key=lambda key: _java_hash(key) % size)
    return "{" + ",".join(f"{quote(key)}:{members[key]}" for key in ordered) + "}"


_LEAST_BUCKETS, _LOAD = 16, 0.75


def _java_hash(text: str) -> int:
    units = text.encode("utf-16-le")
    hashed = 0
    for at in range(0, len(units), 2):
        hashed = (31 * hashed + units[at] + 256 * units[at + 1]) & 0xFFFFFFFF
    return hashed ^ (hashed >> 16)


FUNCTIONS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "json_exists": (exists, "varchar, varchar, varchar -> boolean"),
    "json_item": (item, "varchar, varchar -> varchar"),
    "json_value": (value, "varchar, varchar, varchar, varchar -> varchar"),
    "json_object": (json_object, "varchar[], varchar[] -> varchar"),
    "json_query": (query, "varchar, varchar, varchar, varchar, varchar -> varchar"),
}
