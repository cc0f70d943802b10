"""Regular expressions: those that RE2 (DuckDB) and Java (Trino) interpret alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator, literal
from localathena.types import BIGINT, BOOLEAN, VARCHAR, array, text
from localathena.values import (
    Value,
    expect,
    refuse_if,
)


@dataclass(frozen=True)
class _Pattern:
    """A regular expression that RE2 and Java interpret alike."""

    sql: str
    groups: int
    string: str
    """SQL of the text that is searched."""

    def guarded(self, sql: str, *, repeated: bool = False) -> str:
        """Return SQL that fails for texts in which the two would match differently."""
        if repeated:
            empty = f"regexp_full_match('', {self.sql})"
            sql = refuse_if(empty, "A regular expression that matches nothing at all is not supported", sql)
        if self._has(r"\\[dDwWsSbB]"):
            other = f"regexp_matches({self.string}, '[^\\x00-\\x0a\\x0c-\\x7f]')"
            sql = refuse_if(other, "\\w, \\d, \\s and \\b beyond ASCII are not supported", sql)
        if self._has(r"\$"):
            ends = f"ends_with({self.string}, chr(10))"
            sql = refuse_if(ends, "$ before a line feed at the end of a text is not supported", sql)
        return sql

    def _has(self, part: str) -> bool:
        return re.search(part, self.sql) is not None


_CLASS = re.compile(r"\[[^\]]*\]")
_UNLIKE = re.compile(r"\(\?(?!:|[ims]+[:)])|[*+?}]\+|\{,")
"""Look-around, names, possessive quantifiers, other flags and `{,n}`: not in RE2, or different there."""


def _pattern(string: Value, node: exp.Expr, where: str) -> _Pattern:
    form = literal(node, "A regular expression")
    bare = re.sub(r"\\.", "_", form, flags=re.DOTALL)
    outside = _CLASS.sub("_", bare)
    if (
        re.search(r"\\[^dDwWsSbBntrfpPxzAQE\W]", form)
        or re.search(r"\[\^?\]", bare)
        or any("[" in inside[1:] or "&&" in inside for inside in _CLASS.findall(bare))
        or _UNLIKE.search(outside)
    ):
        raise QueryRefused(
            f"The regular expression {form!r} uses syntax that Trino and DuckDB interpret differently."
        )
    if _repeats_nothing(form):
        raise QueryRefused(
            f"The regular expression {form!r} repeats a group that may be empty, which is not supported."
        )
    groups = len(re.findall(r"\((?!\?)", outside))
    return _Pattern(text(form), groups, expect(string, VARCHAR, where).sql)


def _repeats_nothing(form: str) -> bool:
    """Whether a group that may be empty is repeated, as `(a*)+`: engines match that differently."""
    bare = _bare_in_place(form)
    opened: list[int] = []
    for position, character in enumerate(bare):
        if character == "(":
            opened.append(position)
        elif character == ")" and opened:
            group = form[opened.pop() : position + 1]
            try:
                if bare[position + 1 : position + 2] in ("*", "+", "{") and re.fullmatch(group, ""):
                    return True
            except re.error:  # it uses syntax that Python's re does not have
                return True
    return False


def _bare_in_place(form: str) -> str:
    """Return a regular expression of the same length with `_` for escapes and brackets."""
    return _CLASS.sub(lambda found: "_" * len(found[0]), re.sub(r"\\.", "__", form, flags=re.DOTALL))


def _regexp_like(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_like")
    return Value(pattern.guarded(f"regexp_matches({pattern.string}, {pattern.sql})"), BOOLEAN)


def _regexp_extract(translator: Translator, arguments: Arguments) -> Value:
    pattern = _pattern(translator.value(arguments[0]), arguments[1], "regexp_extract")
    found = f"regexp_extract({pattern.string}, {pattern.sql}, {_group(pattern, arguments)})"
    sql = f"(CASE WHEN regexp_matches({pattern.string}, {pattern.sql}) THEN {found} END)"
    return Value(pattern.guarded(sql), VARCHAR)


def _regexp_extract_all(translator: Translator, arguments: Arguments) -> Value:
    pattern = _pattern(translator.value(arguments[0]), arguments[1], "regexp_extract_all")
    sql = f"regexp_extract_all({pattern.string}, {pattern.sql}, {_group(pattern, arguments)})"
    return Value(pattern.guarded(sql, repeated=True), array(VARCHAR))


def _group(pattern: _Pattern, arguments: Arguments) -> int:
    if len(arguments) == 2:
        return 0
    if not isinstance(arguments[2], exp.Literal) or not arguments[2].this.isdecimal():
        raise QueryRefused("The group of a regular expression must be a number.")
    group = int(arguments[2].this)
    if group > pattern.groups:
        raise QueryRefused(f"The regular expression {pattern.sql} has no group {group}.")
    if group and group in _optional_groups(pattern.sql[1:-1]):
        raise QueryRefused(
            f"A group of {pattern.sql} may take no part in a match: it is NULL on Athena and empty in DuckDB."
        )
    return group


def _optional_groups(form: str) -> set[int]:
    """Return the numbers of a regular expression's groups that may take no part in a match."""
    bare = _bare_in_place(form)
    optional: set[int] = set()
    opened: list[tuple[int, set[int]]] = [(0, set())]
    """Each open group: its number, and the numbers of all groups within it."""
    choices = [False]
    groups = 0
    for position, character in enumerate(bare):
        if character == "(":
            captures = not bare.startswith("(?", position)
            groups += captures
            opened.append((groups if captures else 0, set()))
            choices.append(False)
        elif character == "|":
            choices[-1] = True
        elif character == ")" and len(opened) > 1:
            number, within = opened.pop()
            if choices.pop():
                optional |= within
            within |= {number} - {0}
            if re.match(r"\)([?*]|\{0)", bare[position:]):
                optional |= within
            opened[-1][1].update(within)
    return optional | (opened[0][1] if choices[0] else set())


def _regexp_replace(translator: Translator, arguments: Arguments) -> Value:
    string, node, *new = arguments
    pattern = _pattern(translator.value(string), node, "regexp_replace")
    replacement = literal(new[0], "What regexp_replace puts in") if new else ""
    if re.search(r"\\|\$(?!\d)|\$\d\d", replacement):
        raise QueryRefused(f"regexp_replace with {replacement!r} is not supported: use $1 to $9.")
    if any(int(group) > pattern.groups for group in re.findall(r"\$(\d)", replacement)):
        raise QueryRefused(f"The regular expression {pattern.sql} has fewer groups than {replacement!r}.")
    replacement = re.sub(r"\$(\d)", r"\\\1", replacement)
    sql = f"regexp_replace({pattern.string}, {pattern.sql}, {text(replacement)}, 'g')"
    return Value(pattern.guarded(sql, repeated=True), VARCHAR)


def _regexp_split(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_split")
    sql = f"string_split_regex({pattern.string}, {pattern.sql})"
    return Value(pattern.guarded(sql, repeated=True), array(VARCHAR))


def _regexp_count(translator: Translator, arguments: Arguments) -> Value:
    string, node = arguments
    pattern = _pattern(translator.value(string), node, "regexp_count")
    sql = f"len(regexp_extract_all({pattern.string}, {pattern.sql}))"
    return Value(pattern.guarded(sql, repeated=True), BIGINT)


HANDLERS: Mapping[str, Handler] = {
    "regexp_count": _regexp_count,
    "regexp_extract": _regexp_extract,
    "regexp_extract_all": _regexp_extract_all,
    "regexp_like": _regexp_like,
    "regexp_replace": _regexp_replace,
    "regexp_split": _regexp_split,
}
