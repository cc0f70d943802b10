"""Syntax that sqlglot accepts and Trino does not: `x::integer`, `a == b`, CAST(x AS text), ..."""

import re
from collections.abc import Sequence
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from localathena import literals, strictness
from localathena.errors import QueryRefused

_FOREIGN = {
    TokenType.DCOLON: "Athena has no `::`: write CAST(x AS integer).",
    TokenType.NULLSAFE_EQ: "Athena has no `<=>`: write IS NOT DISTINCT FROM.",
    TokenType.ISNULL: "Athena has no ISNULL: write IS NULL.",
    TokenType.NOTNULL: "Athena has no NOTNULL: write IS NOT NULL.",
}
_OPENING = (
    TokenType.L_PAREN, TokenType.COMMA, TokenType.SELECT, TokenType.DISTINCT, TokenType.FROM,
    TokenType.ORDER_BY, TokenType.GROUP_BY, TokenType.PARTITION_BY, TokenType.L_BRACKET,
)  # fmt: skip
_CLOSING = (
    None, TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY,
    TokenType.HAVING, TokenType.ORDER_BY, TokenType.LIMIT, TokenType.OFFSET, TokenType.FETCH, TokenType.UNION,
    TokenType.EXCEPT, TokenType.INTERSECT, TokenType.JOIN, TokenType.ON, TokenType.SEMICOLON,
)  # fmt: skip
_BEFORE_ALL = (TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL, TokenType.COMMA, TokenType.DOT)
_AFTER_ALL = (TokenType.COMMA, *(kind for kind in _CLOSING if kind != TokenType.EXCEPT))
_SET_OPERATIONS = (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)
_LIMITS = (TokenType.LIMIT, TokenType.FETCH)
_ENDS = (TokenType.ORDER_BY, TokenType.OFFSET, *_LIMITS)

_BEFORE_NO_TEXT = (
    TokenType.VAR, TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER, TokenType.ALIAS,
    TokenType.R_PAREN, TokenType.R_BRACKET,
)  # fmt: skip
_BEFORE_TEXT = ("ZONE", "UESCAPE", "LEADING", "TRAILING", "BOTH", "TRUNCATE")
_CLAUSES = {
    "TOP": "Athena has no TOP: write LIMIT at the end.",
    "QUALIFY": "Athena has no QUALIFY: name the window function in a subquery, and write WHERE outside.",
    "MINUS": "Athena has no MINUS: write EXCEPT.",
}
_AFTER_CLAUSE = (TokenType.NUMBER, TokenType.VAR, TokenType.SELECT)
_COMPARING = (
    TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.GT, TokenType.LTE, TokenType.GTE, TokenType.IS,
    TokenType.IN, TokenType.LIKE, TokenType.BETWEEN,
)  # fmt: skip
_UNITS = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")

_TYPE_WORD = re.compile(
    "boolean|tinyint|smallint|int|integer|bigint|real|double|precision|decimal|varchar|char|varbinary|json|date|time"
    "|timestamp|with|without|zone|interval|day|to|second|year|month|array|map|row"
)
"""Words of the supported Trino types."""


def checked(tokens: Sequence[Token], sql: str) -> list[Token]:
    """Return a statement's tokens without redundant words.

    Raises:
        QueryRefused: Trino cannot read them.
    """
    tokens = literals.joined([piece for token in tokens for piece in _number_apart(token)], sql)
    tokens = literals.names(literals.without_overflow(tokens))
    literals.check_typed(tokens)
    _check_json_calls(tokens)
    tokens = _with_json_clauses(tokens)
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        _check_token(before, token, after, sql)
        _check_words(before, token, after)
    for interval, count, unit in zip(tokens, tokens[1:], [*tokens[2:], None], strict=False):
        if interval.token_type == TokenType.INTERVAL and count.token_type == TokenType.STRING:
            _check_interval(count.text, unit)
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        kinds = (before.token_type, token.token_type, after.token_type)
        if kinds[::2] == (TokenType.LIMIT, TokenType.COMMA):
            raise QueryRefused(f"Athena has no LIMIT {token.text}, n: write OFFSET {token.text} LIMIT n.")
    _check_clauses(tokens)
    strictness.check(tokens, sql)
    for index, token in enumerate(tokens[:-1]):
        if tokens[index + 1].token_type == TokenType.L_PAREN:
            is_clause = index > 0 and tokens[index - 1].token_type == TokenType.R_PAREN
            if token.token_type == TokenType.FILTER and is_clause:
                _check_filter(tokens[index + 2 : index + 3])
            _check_syntax_of(token.text.upper(), *_within_parentheses(tokens, index + 1))
    return _without(_OVERFLOW_ERROR, _without(_LIMIT_ALL, tokens))


RESERVED = frozenset(
    [
        "ALTER", "AND", "AS", "AUTO", "BETWEEN", "BY", "CASE", "CAST", "CONSTRAINT", "CREATE", "CROSS",
        "CUBE",
        "CURRENT_CATALOG", "CURRENT_DATE", "CURRENT_PATH", "CURRENT_ROLE", "CURRENT_SCHEMA", "CURRENT_TIME",
        "CURRENT_TIMESTAMP", "CURRENT_USER", "JSON_ARRAY", "JSON_EXISTS", "JSON_OBJECT", "JSON_QUERY",
        "JSON_TABLE", "JSON_VALUE", "LISTAGG", "LOCALTIME", "LOCALTIMESTAMP", "SKIP", "TRIM", "UESCAPE",
        "DEALLOCATE", "DELETE", "DESCRIBE", "DISTINCT", "DROP", "ELSE", "END", "ESCAPE", "EXCEPT", "EXECUTE",
        "EXISTS", "EXTRACT", "FALSE", "FOR", "FROM", "FULL", "GROUP", "GROUPING", "HAVING", "IN", "INNER",
        "INSERT", "INTERSECT", "INTO", "IS", "JOIN", "LEFT", "LIKE", "NATURAL", "NORMALIZE", "NOT", "NULL",
        "ON", "OR", "ORDER", "OUTER", "PREPARE", "RECURSIVE", "RIGHT", "ROLLUP", "SELECT", "TABLE", "THEN",
        "TRUE", "UNION", "UNNEST", "USING", "VALUES", "WHEN", "WHERE", "WITH",
    ]
)  # fmt: skip
"""Reserved words, which are names in quotes only: https://trino.io/docs/current/language/reserved.html"""


def _number_apart(token: Token) -> list[Token]:
    """Split `1e0+5`, which sqlglot reads as one number."""
    found = re.fullmatch(r"([\d.]+[eE]\d+)([+-])(.+)", token.text)
    if token.token_type != TokenType.NUMBER or not found:
        return [token]
    kind_of_sign = TokenType.PLUS if found[2] == "+" else TokenType.DASH
    number, sign, rest = (
        Token(kind, text, token.line, token.col, token.start, token.end)
        for kind, text in (
            (TokenType.NUMBER, found[1]),
            (kind_of_sign, found[2]),
            (TokenType.NUMBER, found[3]),
        )
    )
    return [number, sign, *_number_apart(rest)]


def _check_token(before: Token | None, token: Token, after: Token | None, sql: str) -> None:
    kind, next_kind = token.token_type, after.token_type if after else None
    if kind in _FOREIGN:
        raise QueryRefused(_FOREIGN[kind])
    if kind == TokenType.EQ and token.text == "==":
        raise QueryRefused("Athena has no `==`: write =.")
    if kind == TokenType.STAR and before and before.token_type in _BEFORE_ALL and next_kind not in _AFTER_ALL:
        if next_kind == TokenType.ALIAS:
            raise QueryRefused("Names for the columns of .* are not supported: select each field with AS.")
        raise QueryRefused("Athena has no * with EXCEPT, EXCLUDE or REPLACE: list the columns.")
    if token.text == "`":
        raise QueryRefused('Athena has no names in backticks in a SELECT: write them in double quotes, "a".')
    if kind == TokenType.VAR and token.text.upper() in _CLAUSES and before and next_kind in _AFTER_CLAUSE:
        raise QueryRefused(_CLAUSES[token.text.upper()])
    if kind == TokenType.COMMA and (next_kind in _CLOSING or (before and before.token_type in _OPENING)):
        raise QueryRefused("There is an extra comma.")
    if kind == TokenType.ALIAS and (
        next_kind in (TokenType.COMMA, *_CLOSING) or (before and before.token_type in _OPENING)
    ):
        raise QueryRefused("AS needs an expression before it and a name after it.")
    if kind == TokenType.INTERVAL and next_kind == TokenType.NUMBER:
        raise QueryRefused("The number of an INTERVAL must be in quotes: INTERVAL '7' DAY.")
    if (
        kind == TokenType.STRING
        and before
        and before.token_type in _BEFORE_NO_TEXT
        and before.text.upper() not in _BEFORE_TEXT
    ):
        raise QueryRefused(f"'{token.text}' is a text, not a name: a name is in double quotes, or in none.")
    if kind == TokenType.NUMBER and after and next_kind == TokenType.VAR and after.start == token.end + 1:
        raise QueryRefused(f"{token.text}{after.text} is neither a number nor a name.")
    if kind == TokenType.L_BRACKET and not (
        before and before.token_type != TokenType.SELECT and re.match(r'[\w)\]"]', sql[before.end])
    ):
        raise QueryRefused("An array is written ARRAY[1, 2].")
    if kind == TokenType.LATERAL and next_kind != TokenType.L_PAREN:
        raise QueryRefused("LATERAL needs a query in parentheses; UNNEST takes no LATERAL.")


def _check_words(before: Token | None, token: Token, after: Token | None) -> None:
    kind, kinds = token.token_type, (before and before.token_type, after and after.token_type)
    if kind == TokenType.NOT and token.text == "!":
        raise QueryRefused("Athena has no `!`: write NOT.")
    if kind == TokenType.NOT and kinds[1] == TokenType.NULL and kinds[0] in _BEFORE_NO_TEXT:
        raise QueryRefused("Athena has no NOT NULL without IS: write IS NOT NULL.")
    if kind == TokenType.NULL and kinds[0] == TokenType.IS and kinds[1] in _COMPARING:
        raise QueryRefused("IS NULL before an operator needs parentheses: (x IS NULL) = true.")
    if token.text.upper() == "IF" and kind == TokenType.VAR and kinds[1] != TokenType.L_PAREN:
        raise QueryRefused("if is a function: write if(condition, x, y), or CASE.")
    if kind == TokenType.OVER and kinds[1] not in (TokenType.L_PAREN, TokenType.VAR, TokenType.IDENTIFIER):
        raise QueryRefused("OVER needs a window in parentheses, or its name.")
    if kind == TokenType.VALUES and kinds[0] in (TokenType.FROM, TokenType.JOIN):
        raise QueryRefused("VALUES in FROM must be in parentheses: FROM (VALUES 1, 2) AS t (x).")
    if kind == TokenType.GROUP_BY and kinds[1] == TokenType.DISTINCT:
        raise QueryRefused("GROUP BY DISTINCT is not supported: leave DISTINCT out, or write GROUPING SETS.")
    if kind == TokenType.WITH and kinds[1] == TokenType.OFFSET:
        raise QueryRefused("Athena has no WITH OFFSET: write WITH ORDINALITY, which counts from 1.")
    word = after.text.upper() if after and after.token_type != TokenType.IDENTIFIER else ""
    if kind == TokenType.ALIAS and word == "MATERIALIZED":
        raise QueryRefused("Athena has no AS MATERIALIZED: leave it out.")
    if kind == TokenType.HEX_STRING and len(token.text) % 2:
        raise QueryRefused(f"X'{token.text}' needs two digits for each byte.")


_JSON_CLAUSES = frozenset(("JSON_ARRAY", "JSON_EXISTS", "JSON_OBJECT", "JSON_QUERY", "JSON_VALUE"))


def _with_json_clauses(tokens: Sequence[Token]) -> list[Token]:
    """Mark the ON of ON EMPTY, which joins nothing, and KEY and VALUE before a text, which is no alias."""
    marked, open_calls = [], []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        kind, word = token.token_type, token.text.upper()
        if kind == TokenType.L_PAREN:
            open_calls.append(before is not None and before.text.upper() in _JSON_CLAUSES)
        elif kind == TokenType.R_PAREN and open_calls:
            open_calls.pop()
        elif open_calls and open_calls[-1] and after:
            is_on = kind == TokenType.ON
            if is_on or (word in ("KEY", "VALUE") and after.token_type == TokenType.STRING):
                kind = TokenType.VAR if is_on else TokenType.FORMAT
        marked.append(
            token
            if kind == token.token_type
            else Token(kind, token.text, token.line, token.col, token.start, token.end)
        )
    return marked


def _check_json_calls(tokens: Sequence[Token]) -> None:
    for token, after in pairwise(tokens):
        if after.token_type != TokenType.L_PAREN:
            continue
        if token.token_type == TokenType.IDENTIFIER and token.text.upper() in _JSON_CLAUSES:
            raise QueryRefused(f'"{token.text}" is not a function in quotes: leave them out.')
        if token.text.upper() == "JSON_TABLE":
            raise QueryRefused(
                "json_table is not supported here, though Athena has it: write CROSS JOIN "
                "UNNEST(CAST(json_parse(x) AS array(json))) AS t (y)."
            )


def _check_interval(count: str, unit: Token | None) -> None:
    word = unit.text.upper() if unit else ""
    if word in ("WEEK", "WEEKS"):
        raise QueryRefused("Athena has no INTERVAL of weeks: write INTERVAL '7' DAY.")
    if word not in _UNITS:
        raise QueryRefused(
            f"INTERVAL '{count}' needs its unit after it, as {', '.join(_UNITS)}: INTERVAL '7' DAY."
        )


def _check_clauses(tokens: Sequence[Token]) -> None:
    """Check each query's order of clauses, and that each JOIN has its condition."""
    open_joins, open_betweens, ends = [0], [0], [TokenType.SELECT]
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], tokens[-1]], strict=False):
        kind = token.token_type
        if kind == TokenType.L_PAREN:
            open_joins.append(0)
            open_betweens.append(0)
            ends.append(TokenType.SELECT)
        elif kind == TokenType.R_PAREN:
            if len(ends) == 1:
                raise QueryRefused("A `)` has no matching `(`.")
            _check_open(open_joins.pop(), open_betweens.pop())
            ends.pop()
        elif kind == TokenType.COMMA and open_joins[-1] > 0:
            raise QueryRefused("A JOIN needs ON or USING before the next comma.")
        elif kind == TokenType.BETWEEN:
            open_betweens[-1] += 1
        elif kind == TokenType.AND:
            open_betweens[-1] = max(open_betweens[-1] - 1, 0)
        elif kind == TokenType.JOIN and not (before and before.token_type == TokenType.CROSS):
            open_joins[-1] += 1
        elif kind == TokenType.ON and before and before.token_type == TokenType.DISTINCT:
            raise QueryRefused("Athena has no DISTINCT ON: use row_number() OVER (PARTITION BY ...).")
        elif kind in (TokenType.ON, TokenType.USING) and after.text.upper() != "OVERFLOW":
            open_joins[-1] -= 1
        elif kind in _SET_OPERATIONS and ends[-1] in _ENDS:
            raise QueryRefused(
                f"{token.text.upper()} after ORDER BY or LIMIT: put the query before it into parentheses."
            )
        elif kind == TokenType.OFFSET and ends[-1] in _LIMITS:
            raise QueryRefused("Athena needs OFFSET before LIMIT.")
        if kind in _ENDS:
            ends[-1] = kind
    if len(ends) > 1:
        raise QueryRefused("A `(` has no matching `)`.")
    _check_open(open_joins[0], open_betweens[0])


def _check_open(conditions_missing: int, ands_missing: int) -> None:
    if ands_missing:
        raise QueryRefused("BETWEEN needs AND: x BETWEEN 1 AND 2.")
    if conditions_missing > 0:
        raise QueryRefused("A JOIN needs ON or USING.")
    if conditions_missing < 0:
        raise QueryRefused("An ON or USING has no JOIN; CROSS JOIN takes neither.")


def _within_parentheses(tokens: Sequence[Token], start: int) -> tuple[list[Token], list[int]]:
    """Return the tokens between a parenthesis and the one that closes it, with their depths."""
    inside, depths, depth = [], [], 0
    for token in tokens[start + 1 :]:
        if token.token_type == TokenType.R_PAREN:
            depth -= 1
            if depth < 0:
                break
        inside.append(token)
        depths.append(depth)
        depth += token.token_type == TokenType.L_PAREN
    return inside, depths


def _check_filter(first: Sequence[Token]) -> None:
    if [token.token_type for token in first] != [TokenType.WHERE]:
        raise QueryRefused("FILTER needs WHERE: count(*) FILTER (WHERE x > 1).")


def _check_syntax_of(name: str, inside: Sequence[Token], depths: Sequence[int]) -> None:
    kinds = [token.token_type for token in inside]
    positions = [position for position, depth in enumerate(depths) if depth == 0]
    if name == "EXTRACT" and kinds[:1] == [TokenType.STRING]:
        raise QueryRefused("The field of extract() must not be in quotes: extract(day FROM x).")
    if name == "EXTRACT" and TokenType.FROM not in kinds:
        raise QueryRefused("extract() is written extract(day FROM x).")
    if name == "COUNT" and kinds[:1] == [TokenType.STAR] and len(kinds) > 1:
        raise QueryRefused("count(*) takes nothing else; count(DISTINCT (a, b)) counts pairs.")
    if name == "POSITION" and TokenType.IN not in kinds:
        raise QueryRefused("position() is written position(part IN text); strpos(text, part) has a comma.")
    strictness.check_call(name, [inside[position].text.upper() for position in positions])
    if name == "IN" and not kinds:
        raise QueryRefused("IN needs at least one value.")
    if name in ("CAST", "TRY_CAST"):
        starts = [position for position in positions if kinds[position] == TokenType.ALIAS]
        if starts:
            _check_type(" ".join(token.text.lower() for token in inside[starts[-1] + 1 :]).split())


def _check_type(words: Sequence[str]) -> None:
    """Check a type, in which a word that another follows may be the name of a row's field."""
    if any(word in ("<", ">", "[", "]") for word in words):
        raise QueryRefused("A type takes parentheses on Athena: array(varchar), map(varchar, double).")
    for word, after in zip(words, [*words[1:], ")"], strict=False):
        if re.match("[a-z_]", word) and not re.match("[a-z_]", after) and not _TYPE_WORD.fullmatch(word):
            raise QueryRefused(
                f"The type {word} is not supported: use varchar, integer, bigint, double, decimal(p, s), "
                "boolean, date, timestamp, json, array(...), map(...) or row(...)."
            )


_LIMIT_ALL = ("LIMIT", "ALL")
_OVERFLOW_ERROR = ("ON", "OVERFLOW", "ERROR")


def _without(words: Sequence[str], tokens: Sequence[Token]) -> list[Token]:
    """Leave out redundant words."""
    kept: list[Token] = []
    position = 0
    while position < len(tokens):
        window = tokens[position : position + len(words)]
        if [token.text.upper() for token in window] == list(words):
            position += len(words)
        else:
            kept.append(tokens[position])
            position += 1
    return kept
