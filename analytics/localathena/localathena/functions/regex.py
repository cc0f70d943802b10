"""Regular expressions: in RE2 (DuckDB) where it agrees with Joni (Trino), else in Python's `re`."""

from collections.abc import Mapping

from sqlglot import exp

from localathena.errors import QueryRefused
from localathena.functions.handlers import Arguments, Handler, Translator
from localathena.scalars.failures import Failed, Refused
from localathena.sql import Value, in_python, refuse_if
from localathena.types import BIGINT, BOOLEAN, INTEGER, VARCHAR, array, text
from localathena.values import expect


class _Pattern:
    """A regular expression and the text that it is applied to."""

    def __init__(self, translator: Translator, arguments: Arguments, where: str) -> None:
        string, pattern = (expect(translator.value(node), VARCHAR, where) for node in arguments[:2])
        self.string, self.sql, self.form = string.sql, pattern.sql, None
        self.spelled = pattern.constant
        if pattern.constant is not None:
            from localathena.scalars import regex  # few statements need it

            try:
                self.form = regex.read(pattern.constant)
            except (Failed, Refused) as error:
                raise QueryRefused(f"{error}.") from error

    def call(self, name: str, in_duckdb: str, *more: str, is_plain: bool = True) -> str:
        """Return the call of a function, in DuckDB for expressions and texts for which it is right."""
        slow = in_python(name, self.string, self.sql, *more)
        form = self.form
        if form is None:
            return slow
        if form.re2 is not None and form.has_property:
            stable = in_python("is_unicode_stable", self.string)
            fast = in_duckdb.format(self.string, text(form.re2))
            return refuse_if(
                f"NOT {stable}", "\\p of characters that are new to Unicode is not supported", fast
            )
        if form.re2 is None and form.has_property:
            raise QueryRefused(f"The regular expression {self.spelled!r} with \\p is not supported.")
        if form.re2 is None or not is_plain:
            return slow
        fast = in_duckdb.format(self.string, text(form.re2))
        if not form.has_end:
            return fast
        return f"(CASE WHEN ends_with({self.string}, chr(10)) THEN {slow} ELSE {fast} END)"

    @property
    def is_never_empty(self) -> bool:
        """Whether each match has a character: after an empty match the engines go on differently."""
        return self.form is not None and not self.form.can_be_empty


def _regexp_like(translator: Translator, arguments: Arguments) -> Value:
    _, _ = arguments
    pattern = _Pattern(translator, arguments, "regexp_like")
    return Value(pattern.call("regexp_like", "regexp_matches({}, {})"), BOOLEAN)


def _group(translator: Translator, pattern: _Pattern, arguments: Arguments) -> tuple[str, bool]:
    """Return the group's number, and whether DuckDB finds it as Joni does."""
    if len(arguments) == 2:
        return "0", True
    (group,) = (expect(translator.value(node), BIGINT, "The group") for node in arguments[2:])
    if group.constant is None or pattern.form is None:
        return f"CAST({group.sql} AS INTEGER)", False
    number = int(group.constant)
    if not 0 <= number <= pattern.form.groups:
        raise QueryRefused(f"The regular expression {pattern.spelled!r} has no group {number}.")
    return str(number), number not in pattern.form.optional


def _regexp_extract(translator: Translator, arguments: Arguments) -> Value:
    pattern = _Pattern(translator, arguments, "regexp_extract")
    group, is_plain = _group(translator, pattern, arguments)
    found = f"regexp_extract({{0}}, {{1}}, {group})"
    sql = f"(CASE WHEN regexp_matches({{0}}, {{1}}) THEN {found} END)"
    return Value(pattern.call("regexp_extract", sql, group, is_plain=is_plain), VARCHAR)


def _regexp_extract_all(translator: Translator, arguments: Arguments) -> Value:
    pattern = _Pattern(translator, arguments, "regexp_extract_all")
    group, is_plain = _group(translator, pattern, arguments)
    is_plain = is_plain and pattern.is_never_empty
    found = f"regexp_extract_all({{}}, {{}}, {group})"
    return Value(pattern.call("regexp_extract_all", found, group, is_plain=is_plain), array(VARCHAR))


def _regexp_replace(translator: Translator, arguments: Arguments) -> Value:
    if len(arguments) == 3 and isinstance(arguments[2], exp.Lambda):
        return _replaced_by_function(translator, arguments)
    pattern = _Pattern(translator, arguments, "regexp_replace")
    new = translator.value(arguments[2]) if arguments[2:] else Value("''", VARCHAR, "")
    new = expect(new, VARCHAR, "regexp_replace")
    if len(arguments) > 3:
        raise ValueError
    is_plain = False
    if new.constant is not None and pattern.form is not None and pattern.spelled is not None:
        from localathena.scalars import regex

        try:
            regex.replace("", pattern.spelled, new.constant)
        except (Failed, Refused) as error:
            raise QueryRefused(f"{error}.") from error
        is_plain = pattern.is_never_empty and not set("\\$") & set(new.constant)
    replaced = f"regexp_replace({{}}, {{}}, {new.sql}, 'g')"
    return Value(pattern.call("regexp_replace", replaced, new.sql, is_plain=is_plain), VARCHAR)


def _replaced_by_function(translator: Translator, arguments: Arguments) -> Value:
    pattern = _Pattern(translator, arguments, "regexp_replace")
    groups = translator.parameter(array(VARCHAR))
    body = expect(translator.apply(arguments[2], groups), VARCHAR, "The function in regexp_replace")
    pieces = in_python("regexp_split", pattern.string, pattern.sql)
    found = in_python("regexp_groups", pattern.string, pattern.sql)
    new = f"list_transform({found}, lambda {groups.sql}: coalesce({body.sql}, ''))"
    pair = "lambda p: coalesce(p[1], '') || coalesce(p[2], '')"
    sql = f"array_to_string(list_transform(list_zip({pieces}, {new}), {pair}), '')"
    return Value(f"(CASE WHEN {pieces} IS NOT NULL THEN coalesce({sql}, '') END)", VARCHAR)


def _regexp_split(translator: Translator, arguments: Arguments) -> Value:
    _, _ = arguments
    pattern = _Pattern(translator, arguments, "regexp_split")
    split = pattern.call("regexp_split", "string_split_regex({}, {})", is_plain=pattern.is_never_empty)
    return Value(split, array(VARCHAR))


def _regexp_count(translator: Translator, arguments: Arguments) -> Value:
    _, _ = arguments
    pattern = _Pattern(translator, arguments, "regexp_count")
    counted = pattern.call("regexp_count", "len(regexp_extract_all({}, {}))", is_plain=pattern.is_never_empty)
    return Value(counted, BIGINT)


def _regexp_position(translator: Translator, arguments: Arguments) -> Value:
    pattern = _Pattern(translator, arguments, "regexp_position")
    if len(arguments) > 4:
        raise ValueError
    where = [expect(translator.value(node), INTEGER, "regexp_position").sql for node in arguments[2:]]
    return Value(in_python("regexp_position", pattern.string, pattern.sql, *[*where, "1", "1"][:2]), INTEGER)


HANDLERS: Mapping[str, Handler] = {
    "regexp_count": _regexp_count,
    "regexp_extract": _regexp_extract,
    "regexp_extract_all": _regexp_extract_all,
    "regexp_like": _regexp_like,
    "regexp_position": _regexp_position,
    "regexp_replace": _regexp_replace,
    "regexp_split": _regexp_split,
}
