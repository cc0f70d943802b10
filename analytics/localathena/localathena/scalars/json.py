"""JSON as Trino reads and writes it: json_parse sorts keys, and a path is read only as far as needed."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from json.decoder import scanstring as _scanstring  # type: ignore[attr-defined]
from typing import Any

from localathena.scalars.failures import Failed, Refused
from localathena.scalars.numbers import double_text

_BLANK = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.eE])")
_WORDS = ("true", "false", "null")
_STEP = re.compile(r'\.(?P<name>[\w\-:]+)|\[(?P<bare>\w+)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]')
_MOST_NESTED = 400

Node = str | list["Node"] | dict[str, "Node"]
"""A scalar as it is written, an array or an object."""


class NotJson(Exception):
    """The text is not JSON."""


def _string(text: str, quote_at: int) -> tuple[str, int]:
    """Return the JSON text that begins at a quote, and where it ends."""
    value, end = _scanstring(text, quote_at + 1, True)
    return str(value), int(end)


class _Scanner:
    """Reads a text from a position on."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def peek(self) -> str:
        """Skip blanks, and return the next character."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def string(self) -> str:
        if self.peek() != '"':
            raise NotJson
        try:
            value, self.at = _string(self.text, self.at)
        except ValueError as error:
            raise NotJson from error
        return value

    def members(self) -> Iterator[str]:
        """Yield the keys of an object; the caller reads each value."""
        self.at += 1
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            key = self.string()
            if self.peek() != ":":
                raise NotJson
            self.at += 1
            yield key
            if self._ends("}"):
                return

    def elements(self) -> Iterator[int]:
        """Yield the positions of an array; the caller reads each value."""
        self.at += 1
        if self.peek() == "]":
            self.at += 1
            return
        index = 0
        while True:
            yield index
            index += 1
            if self._ends("]"):
                return

    def _ends(self, close: str) -> bool:
        character = self.peek()
        if character not in (",", close) or not character:
            raise NotJson
        self.at += 1
        return character == close

    def value(self) -> Node:
        """Read a value."""
        character = self.peek()
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise Refused(f"JSON that is nested more than {_MOST_NESTED} deep is not supported")
        node: Node
        if character == "{":
            node = {}
            for key in self.members():
                node[key] = self.value()
        elif character == "[":
            node = [self.value() for _ in self.elements()]
        else:
            node = self.scalar(character)
        self.depth -= 1
        return node

    def scalar(self, character: str) -> str:
        start = self.at
        if character == '"':
            self.string()
            return self.text[start : self.at]
        for word in _WORDS:
            if self.text.startswith(word, start):
                self.at += len(word)
                return word
        found = _NUMBER.match(self.text, start)
        if found is None:
            raise NotJson
        self.at = found.end()
        return found[0]

    def descend(self, steps: Sequence[str]) -> Node | None:
        """Return what a path leads to: the first member of a name, read no further."""
        for step in steps:
            character = self.peek()
            if character == "{":
                if not self._sought(step, self.members()):
                    return None
            elif character == "[" and step.isdecimal():
                if not self._sought(int(step), self.elements()):
                    return None
            else:
                self.value()
                return None
        return self.value()

    def _sought(self, step: str | int, found: Iterator[str] | Iterator[int]) -> bool:
        for key in found:
            if key == step:
                return True
            self.value()
        return False


_PLAIN = re.compile(r'[\x00-\x1f"\\\ud800-\udfff\U00010000-\U0010ffff]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escaped(found: "re.Match[str]") -> str:
    character = found[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2))


def quote(text: str) -> str:
    """Return a text as JSON."""
    return f'"{_PLAIN.sub(_escaped, text)}"'


def unquoted(scalar: str) -> str:
    """Return the text that a JSON text stands for."""
    text = _string(scalar, 0)[0]
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _number(scalar: str) -> str:
    """Return a number as Jackson writes it: a fraction as a double."""
    if not any(character in scalar for character in ".eE"):
        return scalar if scalar != "-0" else "0"
    value = float(scalar)
    return quote(double_text(value)) if value in (float("inf"), float("-inf")) else double_text(value)


def _sort_key(key: str) -> bytes | str:
    return key.encode("utf-16-be", "surrogatepass")


def written(node: Node, *, is_sorted: bool) -> str:
    """Return a node as JSON, with the keys of objects sorted or as they came."""
    if isinstance(node, dict):
        keys = sorted(node, key=_sort_key) if is_sorted else node
        return "{" + ",".join(f"{quote(k)}:{written(node[k], is_sorted=is_sorted)}" for k in keys) + "}"
    if isinstance(node, list):
        return "[" + ",".join(written(element, is_sorted=is_sorted) for element in node) + "]"
    if node.startswith('"'):
        return quote(_string(node, 0)[0])
    return node if node in _WORDS else _number(node)


def first(text: str) -> tuple[Node, bool]:
    """Read the JSON at the beginning of a text, and tell whether it is all.

    Raises:
        NotJson: it is something else.
    """
    scanner = _Scanner(text)
    node = scanner.value()
    return node, not scanner.peek()


def _whole(text: str) -> Node:
    node, is_all = first(text)
    if not is_all:
        raise NotJson
    return node


def parse(text: str) -> str:
    """Return `json_parse`: keys are sorted, of equal ones the last counts."""
    try:
        return written(_whole(text), is_sorted=True)
    except NotJson:
        raise Failed(f"A text cannot be converted to JSON: '{text[:100]}'") from None


@lru_cache(maxsize=256)
def steps_of(path: str) -> list[str]:
    """Return the steps of a JSON path.

    Raises:
        Failed: Trino cannot read it either.
        Refused: Trino reads it with another library.
    """
    found = list(_STEP.finditer(path, 1))
    if not path.startswith("$") or "".join(step[0] for step in found) != path[1:]:
        if re.search(r"\*|\.\.|\(|\[\?|'", path):
            raise Refused(f'The JSON path {path} is not supported: use $.name, [0] and ["name"]')
        raise Failed(f"Invalid JSON path: '{path}'. A path has the steps .name, [0] and [\"name\"]")
    if any(step["name"] and "-" in step["name"] for step in found):
        raise Failed(f"Invalid JSON path: '{path}'. A name with - is written [\"a-b\"]")
    return [step["name"] or step["bare"] or re.sub(r"\\(.)", r"\1", step["quoted"]) for step in found]


def _at_path(text: str, path: str) -> Node | None:
    steps = steps_of(path)
    try:
        return _Scanner(text).descend(steps)
    except NotJson:
        return None


def extract(text: str, path: str) -> str | None:
    """Return `json_extract`."""
    node = _at_path(text, path)
    return None if node is None else written(node, is_sorted=False)


def extract_scalar(text: str, path: str) -> str | None:
    """Return `json_extract_scalar`."""
    node = _at_path(text, path)
    if not isinstance(node, str) or node == "null":
        return None
    return unquoted(node) if node.startswith('"') else node


def size(text: str, path: str) -> int | None:
    """Return `json_size`."""
    node = _at_path(text, path)
    return None if node is None else 0 if isinstance(node, str) else len(node)


def _elements(text: str) -> list[Node] | None:
    scanner = _Scanner(text)
    try:
        node = scanner.value()
    except NotJson:
        return None
    return node if isinstance(node, list) else None


def array_length(text: str) -> int | None:
    """Return `json_array_length`."""
    elements = _elements(text)
    return None if elements is None else len(elements)


def array_get(text: str, index: int) -> str | None:
    """Return `json_array_get`: an element, counted from 0, or from the end where the index is negative."""
    elements = _elements(text)
    if elements is None or not -len(elements) <= index < len(elements):
        return None
    node = elements[index]
    if node == "null":
        return None
    if isinstance(node, str) and node.startswith('"'):
        raise Refused("json_array_get of a text is JSON that is not valid: use json_extract(x, '$[0]')")
    return node if isinstance(node, str) else written(node, is_sorted=False)  # a number as it is written


def array_contains(text: str, scalar: str) -> bool | None:
    """Return `json_array_contains`, where the value sought is given as JSON."""
    elements = _elements(text)
    if elements is None:
        return None
    if scalar.startswith('"'):
        return any(
            e.startswith('"') and unquoted(e) == unquoted(scalar) for e in elements if isinstance(e, str)
        )
    if scalar in _WORDS:
        return scalar in elements
    sought = kind(scalar)
    number = Decimal if sought == "integer" else float  # Python reads no integer of 5,000 digits
    return any(
        _NUMBER.fullmatch(e) and kind(e) == sought and number(e) == number(scalar)
        for e in elements
        if isinstance(e, str)
    )


def is_scalar(text: str) -> bool:
    """Return `is_json_scalar`."""
    try:
        return isinstance(_whole(text), str)
    except NotJson:
        raise Failed(f"Invalid JSON value: {text[:100]}") from None


def _cast(text: str, of: type, why: str) -> Any:
    """Return the array or the object that a cast needs; nothing for null."""
    node = _whole(text)
    if node == "null":
        return None
    if not isinstance(node, of):
        raise Failed(f"This JSON cannot be cast to {why}")
    return node


def elements(text: str) -> list[str] | None:
    """Return the elements of an array, each as JSON; nothing for null."""
    node = _cast(text, list, "array: it is not an array")
    return None if node is None else [written(element, is_sorted=False) for element in node]


def keys(text: str) -> list[str] | None:
    """Return the keys of an object; nothing for null."""
    node = _cast(text, dict, "map: it is not an object")
    return None if node is None else list(node)


def members(text: str) -> list[str] | None:
    """Return the values of an object, each as JSON; nothing for null."""
    node = _whole(text)
    if not isinstance(node, dict):
        return None
    return [written(value, is_sorted=False) for value in node.values()]


def fields(text: str, names: list[str]) -> list[str | None] | None:
    """Return what a cast to a row takes for each of its fields; nothing for null."""
    node = _whole(text)
    if node == "null":
        return None
    if isinstance(node, list):
        if len(node) != len(names):
            raise Failed(
                f"This JSON cannot be cast to a row of {len(names)} fields: it has {len(node)} elements"
            )
        return [written(value, is_sorted=False) for value in node]
    if not isinstance(node, dict) or not all(names):
        raise Failed("This JSON cannot be cast to row: it is neither an array nor an object")
    by_name = {key.lower(): value for key, value in node.items()}
    if len(by_name) < len(node):
        raise Refused("A cast to a row of JSON with keys that differ in case alone is not supported")
    return [
        written(by_name[name.lower()], is_sorted=False) if name.lower() in by_name else None for name in names
    ]


def kind(text: str) -> str:
    """Return what a JSON is: object, array, string, float, integer, true, false or null."""
    first = text[:1]
    if first in '{["':
        return {"{": "object", "[": "array", '"': "string"}[first]
    if text in _WORDS:
        return text
    return "float" if any(character in text for character in ".eE") else "integer"


def as_text(text: str) -> str | None:
    """Return a cast of JSON to varchar; a JSON text without its quotes."""
    is_ = kind(text)
    if is_ in ("object", "array"):
        raise Failed("Cannot cast a JSON object or array to varchar; use json_format")
    if is_ == "null":
        return None
    if is_ == "string":
        return unquoted(text)
    return double_text(float(text), is_cast=True) if is_ == "float" else text
