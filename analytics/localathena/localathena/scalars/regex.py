"""Regular expressions as Trino reads them: Joni with Java's syntax.

`read` translates an expression to Python's `re`, and to RE2 where both agree, which DuckDB runs faster.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from localathena.scalars.failures import Failed, Refused

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\x0b\x0c\r "}
_OTHERS = {
    "D": r"\x00-/:-\U0010ffff",
    "W": r"\x00-/:-@\[-\^`{-\U0010ffff",
    "S": r"\x00-\x08\x0e-\x1f!-\U0010ffff",
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\x0c", "a": "\x07", "e": "\x1b"}
_PROPERTIES = frozenset(
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Mc",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Z",
        "Zs",
    ]
)
_MOST_REPEATS = 1000
"""Greatest number that RE2 takes in {}."""


@dataclass
class _Frame:
    """An open group."""

    number: int = 0
    within: set[int] = field(default_factory=set)
    """Numbers of the groups within it."""
    has_choice: bool = False
    can_be_empty: bool = True
    """Whether what was read of the current alternative may match nothing."""
    some_choice_empty: bool = False
    closes: str = ")"
    quantifiable: bool = True


@dataclass(frozen=True)
class Form:
    """A regular expression in Python's and, if it can be, in RE2's syntax."""

    python: str
    re2: str | None
    groups: int
    can_be_empty: bool
    """Whether it may match nothing."""
    optional: frozenset[int]
    """Groups that may take no part in a match, which DuckDB returns as an empty text."""
    names: tuple[tuple[str, int], ...]
    ignores_case: bool
    is_multiline: bool
    has_end: bool
    """Whether it has `$`, which matches before a last line feed in Joni and not in RE2."""
    has_property: bool
    r"""Whether it has \p{L}, which Python's `re` lacks."""


class _Reader:
    """Reads one expression."""

    def __init__(self, source: str) -> None:
        self.source, self.at = source, 0
        self.python: list[str] = []
        self.re2: list[str] | None = []
        self.frames = [_Frame(closes="")]
        self.groups = 0
        self.closed: set[int] = set()
        self.names: dict[str, int] = {}
        self.optional: set[int] = set()
        self.ignores_case = self.is_multiline = self.has_end = self.has_property = False
        self.last: tuple[str, bool, set[int]] | None = None
        """Kind of the item that a quantifier would repeat, whether it may be empty, and the groups in it."""

    def refuse(self, part: str) -> Refused:
        return Refused(f"The regular expression {self.source!r} has {part}, which is not supported")

    def invalid(self, why: str) -> Failed:
        return Failed(f"The regular expression {self.source!r} is not valid: {why}")

    def emit(self, python: str, re2: str | None = "") -> None:
        self.python.append(python)
        if re2 is None or self.re2 is None:
            self.re2 = None
        else:
            self.re2.append(re2 or python)

    def item(
        self, python: str, re2: str | None = "", *, kind: str = "character", empty: bool = False
    ) -> None:
        self.emit(python, re2)
        if not empty:
            self.frames[-1].can_be_empty = False
        self.last = (kind, empty, set())

    def literal(self, character: str) -> None:
        self.item(re.escape(character), _re2_literal(character))

    def read(self) -> Form:
        steps: dict[str, Callable[[], None]] = {
            "\\": self.escape, "[": self.bracket, "(": self.open, ")": self.close, "|": self.choice,
            "*": self.repeat, "+": self.repeat, "?": self.repeat, "{": self.repeat,
        }  # fmt: skip
        while self.at < len(self.source):
            character = self.source[self.at]
            self.at += 1
            if character in steps:
                steps[character]()
            elif character == ".":
                self.item(".")
            elif character == "^":
                self.item("^", kind="place", empty=True)
            elif character == "$":
                self.has_end = True
                self.item("$", kind="place", empty=True)
            else:
                self.literal(character)
        if len([frame for frame in self.frames if frame.quantifiable]) > 1:
            raise self.invalid("a parenthesis is not closed")
        while len(self.frames) > 1:
            self._end_flags()
        frame = self.frames[0]
        if frame.has_choice:
            self.optional |= frame.within
        can_be_empty = frame.can_be_empty or frame.some_choice_empty
        python = "".join(self.python)
        try:
            re.compile(python)
        except (re.error, OverflowError) as error:
            raise self.refuse("syntax that Python's re does not have") from error
        return Form(
            python=python,
            re2=None if self.re2 is None else "".join(self.re2),
            groups=self.groups,
            can_be_empty=can_be_empty,
            optional=frozenset(self.optional),
            names=tuple(self.names.items()),
            ignores_case=self.ignores_case,
            is_multiline=self.is_multiline,
            has_end=self.has_end,
            has_property=self.has_property,
        )

    def _found(self, pattern: str) -> "re.Match[str] | None":
        found = re.compile(pattern, re.DOTALL).match(self.source, self.at)
        if found:
            self.at = found.end()
        return found

    def escape(self) -> None:
        if self.at >= len(self.source):
            raise self.invalid("it ends with a backslash")
        character = self.source[self.at]
        self.at += 1
        if character in _CLASSES:
            self.item(f"[{_CLASSES[character]}]")
        elif character in _OTHERS:
            self.item(f"[^{_CLASSES[character.lower()]}]")
        elif character in "bB":
            self.item(f"\\{character}", None, kind="place", empty=True)
        elif character == "A":
            self.item(r"\A", kind="place", empty=True)
        elif character == "z":
            self.item(r"\Z", r"\z", kind="place", empty=True)
        elif character == "Z":
            self.item(r"(?=\n?\Z)", None, kind="place", empty=True)
        elif character == "Q":
            found = self._found(r"(.*?)(?:\\E|$)")
            for quoted in found[1] if found else "":
                self.literal(quoted)
        elif character in "pP" and (found := self._found(r"\{(\w+)\}")) and found[1] in _PROPERTIES:
            self.has_property = True
            self.item(".", f"\\{character}{{{found[1]}}}")
        elif character == "k" and (found := self._found(r"<(\w+)>")):
            self._reference(self.names.get(found[1], 0))
        elif character.isdigit():
            if character == "0" or self._found(r"\d"):
                raise self.refuse(f"\\{character}")
            self._reference(int(character))
        else:
            self.literal(self._character(character))

    def _character(self, after: str) -> str:
        """Return the character that an escape stands for."""
        if after in _CONTROLS:
            return _CONTROLS[after]
        if after == "x" and (found := self._found(r"([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\}")):
            return chr(int(found[1] or found[2], 16))
        if after == "u" and (found := self._found(r"([0-9A-Fa-f]{4})")):
            return chr(int(found[1], 16))
        if after.isascii() and after.isalnum():
            raise self.refuse(f"\\{after}")
        return after

    def _reference(self, number: int) -> None:
        if number not in self.closed:
            raise self.refuse("a reference to a group that is not closed before it")
        self.item(f"(?:\\{number})", None, kind="reference", empty=True)

    def bracket(self) -> None:
        negated = bool(self._found(r"\^"))
        parts: list[str] = []
        re2: list[str] = []
        first = True
        while True:
            if self.at >= len(self.source):
                raise self.invalid("a bracket is not closed")
            character = self.source[self.at]
            self.at += 1
            if character == "]" and not first:
                break
            if character == "]" and "]" not in self.source[self.at :]:
                raise self.invalid("a bracket is empty")
            first = False
            if character == "[" or (character == "&" and self.source[self.at : self.at + 1] == "&"):
                raise self.refuse("a bracket within a bracket, or &&")
            low = self._in_bracket(character)
            if len(low) > 1:
                parts.append(low)
                re2.append(low.replace(r"\U0010ffff", r"\x{10ffff}"))
                continue
            if self._found(r"-(?=[^\]])"):
                character = self.source[self.at]
                self.at += 1
                high = self._in_bracket(character) if character != "[" else "[["
                if len(high) > 1:
                    raise self.refuse("a range to a class")
                if ord(high) < ord(low):
                    raise self.invalid("a range is empty")
                self._check_case(low, high)
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
                re2.append(f"{_re2_literal(low)}-{_re2_literal(high)}")
            else:
                parts.append(re.escape(low))
                re2.append(_re2_literal(low))
        start = "[^" if negated else "["
        self.item(start + "".join(parts) + "]", start + "".join(re2) + "]")

    def _in_bracket(self, character: str) -> str:
        """Return one character, or the inside of a class."""
        if character != "\\":
            return character
        if self.at >= len(self.source):
            raise self.invalid("a bracket is not closed")
        after = self.source[self.at]
        self.at += 1
        if after in _CLASSES or after in _OTHERS:
            return _CLASSES.get(after) or _OTHERS[after]
        if after.isdigit() or after in "bBpPQEAzZk":
            raise self.refuse(f"\\{after} in brackets")
        return self._character(after)

    def _check_case(self, low: str, high: str) -> None:
        if self.ignores_case and not (low.isascii() and high.isascii()):
            raise self.refuse("a range beyond ASCII with (?i)")

    def open(self) -> None:
        frame = _Frame()
        if found := self._found(r"\?#[^)]*\)"):
            return
        if found := self._found(r"\?([ims]+)?(-[ims]+)?([:)])"):
            self._flags(found[1] or "", found[2] or "", is_scoped=found[3] == ":")
            return
        if found := self._found(r"\?(:|>|=|!|<=|<!)"):
            plain = found[1] == ":"
            self.emit(f"(?{found[1]}", "(?:" if plain else None)
            frame.closes = ")" if plain or found[1] == ">" else "look"
        elif found := self._found(r"\?<([A-Za-z_]\w*)>"):
            if found[1] in self.names:
                raise self.refuse("two groups of one name")
            self.groups += 1
            frame.number = self.names[found[1]] = self.groups
            self.emit("(")
        elif self._found(r"\?"):
            raise self.refuse("an unusual group (?…)")
        else:
            self.groups += 1
            frame.number = self.groups
            self.emit("(")
        self.frames.append(frame)
        self.last = None

    def _flags(self, on: str, off: str, *, is_scoped: bool) -> None:
        if "i" in on:
            self.ignores_case = True
        self.is_multiline |= "m" in on
        plain = on.strip("s") == "" and not off
        self.emit(f"(?{on}{off}:", f"(?{on}:" if plain else None)
        self.frames.append(_Frame(quantifiable=is_scoped))
        self.last = None

    def choice(self) -> None:
        frame = self.frames[-1]
        frame.has_choice = True
        frame.some_choice_empty |= frame.can_be_empty
        frame.can_be_empty = True
        self.emit("|")
        self.last = None

    def _pop(self) -> tuple[_Frame, bool]:
        frame = self.frames.pop()
        if frame.has_choice:
            self.optional |= frame.within
        if frame.number:
            frame.within.add(frame.number)
            self.closed.add(frame.number)
        self.frames[-1].within |= frame.within
        self.emit(")")
        empty = frame.can_be_empty or frame.some_choice_empty or frame.closes == "look"
        if not empty:
            self.frames[-1].can_be_empty = False
        return frame, empty

    def _end_flags(self) -> None:
        """Close the groups that flags opened, which end with the group around them."""
        while not self.frames[-1].quantifiable:
            self._pop()

    def close(self) -> None:
        self._end_flags()
        if len(self.frames) == 1:
            raise self.invalid("a parenthesis is not opened")
        frame, empty = self._pop()
        self.last = ("look" if frame.closes == "look" else "group", empty, set(frame.within))

    def repeat(self) -> None:
        self.at -= 1
        found = self._found(r"([*+?]|\{(\d+)(?:,(\d*))?\})([?+]?)")
        if found is None:  # `{` that begins no number
            self.at += 1
            self.literal("{")
            return
        if self.last is None:
            raise self.invalid("there is nothing to repeat")
        kind, empty, groups = self.last
        quantifier, least, most, suffix = found.groups()
        if kind in ("look", "place", "repeat"):
            raise self.refuse(f"{quantifier} after {kind}")
        if least is not None and (suffix == "+" or max(int(least), int(most or 0)) > _MOST_REPEATS):
            raise self.refuse(found[0])
        if least is not None and most and int(most) < int(least):
            raise self.refuse(found[0])
        if quantifier in "*?" or least == "0":
            self.optional |= groups
        is_plain = suffix != "+" and not (empty and quantifier != "?")
        self.emit(found[0], found[0] if is_plain else None)
        self.last = ("repeat", True, set())
        if not (quantifier == "+" or (least and int(least))):
            self._forget(empty=empty)

    def _forget(self, *, empty: bool) -> None:
        """Take back that the last item makes the alternative match something."""
        if not empty:
            self.frames[-1].can_be_empty = True


def _re2_literal(character: str) -> str:
    if character.isascii() and not character.isalnum() and character.isprintable() and character != " ":
        return "\\" + character
    return character if character.isprintable() else f"\\x{{{ord(character):x}}}"


_ODD_LETTERS = "\u0130\u0131\u017f\u212a"
"""Letters whose other case is in ASCII: Turkish ones, the long s and the Kelvin sign."""


@lru_cache(maxsize=256)
def read(source: str) -> Form:
    """Translate a regular expression.

    Raises:
        Failed: Trino cannot read it either.
        Refused: it has syntax that Python's `re` lacks or reads differently.
    """
    return _Reader(source).read()


@lru_cache(maxsize=256)
def _compiled(source: str) -> "re.Pattern[str]":
    form = read(source)
    if form.has_property:
        raise Refused(f"The regular expression {source!r} with \\p is not supported as an expression")
    return re.compile(form.python)


def _pattern(text: str, source: str) -> "re.Pattern[str]":
    """Return the expression for a text in which the engines find the same.

    Raises:
        Refused: Joni may find something else.
    """
    form = read(source)
    if form.ignores_case and any(len(c.casefold()) > 1 or c in _ODD_LETTERS for c in text + source):
        raise Refused(f"(?i) of such letters as in {text!r} is not supported: use lower()")
    if form.is_multiline and text.endswith("\n"):
        raise Refused("(?m) of a text that ends with a line feed is not supported")
    return _compiled(source)


def _matches(text: str, source: str, start: int = 0) -> "Iterator[re.Match[str]]":
    """Yield the matches. After an empty one, Joni goes on behind the next character."""
    pattern = _pattern(text, source)
    while start <= len(text) and (found := pattern.search(text, start)):
        yield found
        start = found.end() + (found.end() == found.start())


def like(text: str, source: str) -> bool:
    """Return `regexp_like`."""
    return _pattern(text, source).search(text) is not None


def _checked_group(source: str, group: int) -> int:
    if not 0 <= group <= read(source).groups:
        raise Failed(f"Pattern has {read(source).groups} groups. Cannot access group {group}")
    return group


def extract(text: str, source: str, group: int) -> str | None:
    """Return `regexp_extract`."""
    found = _pattern(text, source).search(text)
    _checked_group(source, group)
    return None if found is None else found[group]


def extract_all(text: str, source: str, group: int) -> list[str | None]:
    """Return `regexp_extract_all`."""
    _checked_group(source, group)
    return [found[group] for found in _matches(text, source)]


def count(text: str, source: str) -> int:
    """Return `regexp_count`."""
    return sum(1 for _ in _matches(text, source))


def position(text: str, source: str, start: int, occurrence: int) -> int:
    """Return `regexp_position`: where the match begins, from 1; -1 for none."""
    if start < 1 or occurrence < 1:
        raise Failed("start and occurrence of regexp_position must be 1 or more")
    if start > len(text):
        return -1
    for number, found in enumerate(_matches(text, source, start - 1), 1):
        if number == occurrence:
            return found.start() + 1
    return -1


def split(text: str, source: str) -> list[str]:
    """Return `regexp_split`."""
    pieces, end = [], 0
    for found in _matches(text, source):
        pieces.append(text[end : found.start()])
        end = found.end()
    return [*pieces, text[end:]]


def groups(text: str, source: str) -> list[list[str | None]]:
    """Return the groups of each match, but for the whole match."""
    return [list(found.groups()) for found in _matches(text, source)]


def replace(text: str, source: str, replacement: str) -> str:
    """Return `regexp_replace`."""
    parts = _template(source, replacement)
    pieces, end = [], 0
    for found in _matches(text, source):
        pieces.append(text[end : found.start()])
        pieces += [part if isinstance(part, str) else found[part] or "" for part in parts]
        end = found.end()
    return "".join([*pieces, text[end:]])


@lru_cache(maxsize=256)
def _template(source: str, replacement: str) -> list[str | int]:
    """Return a replacement's texts, and the numbers of the groups between them."""
    form = read(source)
    names = dict(form.names)
    bad = Failed(f"Illegal replacement sequence: {replacement}")
    parts: list[str | int] = []
    at = 0
    while at < len(replacement):
        found = re.compile(r"\\(.)|\$(\d)|\$\{(\w+)\}|([^\\$])", re.DOTALL).match(replacement, at)
        if found is None:
            raise bad
        at = found.end()
        if found[2]:
            group = int(found[2])
            while at < len(replacement) and replacement[at].isdigit():
                longer = group * 10 + int(replacement[at])
                if longer > form.groups:
                    break
                group, at = longer, at + 1
            if group > form.groups:
                raise bad
            parts.append(group)
        elif found[3]:
            if found[3] not in names:
                raise bad
            parts.append(names[found[3]])
        else:
            parts.append(found[1] or found[4])
    return parts
