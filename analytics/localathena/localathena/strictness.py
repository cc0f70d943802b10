"""Syntax that sqlglot accepts in another order or with fewer words than Trino."""

from collections.abc import Sequence

from sqlglot.tokenizer_core import Token, TokenType

from localathena.errors import QueryRefused
from localathena.statements import COMMENTS

_CLAUSES = {
    TokenType.WHERE: 1, TokenType.GROUP_BY: 2, TokenType.HAVING: 3, TokenType.WINDOW: 4,
    TokenType.ORDER_BY: 5, TokenType.OFFSET: 6, TokenType.LIMIT: 7, TokenType.FETCH: 7,
}  # fmt: skip
"""Place of each clause in a query."""
_BEFORE_A_NAME = (
    TokenType.COMMA,
    TokenType.DOT,
    TokenType.SELECT,
    TokenType.ALIAS,
    TokenType.L_PAREN,
    TokenType.EQ,
)
_AFTER_A_NAME = (TokenType.COMMA, TokenType.DOT, TokenType.R_PAREN, TokenType.EQ, TokenType.FROM)
_SET_OPERATIONS = (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT)

_FOREIGN_TYPES = (
    "TEXT",
    "STRING",
    "FLOAT",
    "TIMESTAMPTZ",
    "DATETIME",
    "TIMESTAMPLTZ",
    "TIMESTAMPNTZ",
    "UUID",
)
_PAIRS = {
    ("IS", "UNKNOWN"): "Athena has no IS UNKNOWN: write IS NULL.",
    ("IN", "["): "IN takes parentheses: x IN ('a', 'b').",
    ("ASC", "DESC"): "ASC and DESC are alternatives.",
    ("DESC", "ASC"): "ASC and DESC are alternatives.",
    ("AS", "NOT"): "Athena has no AS NOT MATERIALIZED: leave it out.",
}


def check(tokens: Sequence[Token], sql: str) -> None:
    """Check a statement's tokens, and what stands between them.

    Raises:
        QueryRefused: Trino cannot read them.
    """
    ends = [0, *(token.end + 1 for token in tokens)]
    starts = [*(token.start for token in tokens), len(sql)]
    if any("{" in COMMENTS.sub("", sql[end:start]) for end, start in zip(ends, starts, strict=True)):
        raise QueryRefused("Athena has no {# comments #}: write /* ... */.")
    words = [token.text.upper() for token in tokens]
    kinds = [token.token_type for token in tokens]
    if words[:2] == ["(", "WITH"]:
        raise QueryRefused("A statement in parentheses cannot begin with WITH: leave the parentheses out.")
    for index, (word, kind) in enumerate(zip(words, kinds, strict=True)):
        before, after = (words[at] if 0 <= at < len(words) else "" for at in (index - 1, index + 1))
        next_kind = kinds[index + 1] if index + 1 < len(kinds) else None
        if kind not in (TokenType.STRING, TokenType.IDENTIFIER) and next_kind != TokenType.STRING:
            if (word, after) in _PAIRS and next_kind != TokenType.IDENTIFIER:
                raise QueryRefused(_PAIRS[word, after])
            if word == "UNKNOWN" and words[index - 2 : index] == ["IS", "NOT"]:
                raise QueryRefused("Athena has no IS NOT UNKNOWN: write IS NOT NULL.")
        if next_kind == TokenType.STRING and kind != TokenType.STRING:
            if word in _FOREIGN_TYPES:
                raise QueryRefused(
                    f"Athena has no {word} literal: write CAST('x' AS type), or TIMESTAMP '...'."
                )
            if words[index - 2 : index + 1] == ["WITH", "TIME", "ZONE"]:
                raise QueryRefused("A timestamp with a zone is written TIMESTAMP '2026-11-24 09:30:00 UTC'.")
        if (
            kind == TokenType.GROUP_BY
            and after == "NOT"
            and _until_comma(words[index + 2 :])[-2:] == ["IS", "NULL"]
        ):
            raise QueryRefused(
                "GROUP BY NOT x IS NULL: write GROUP BY x IS NULL, or the position of the column."
            )
        if kind == TokenType.USING and after != "(":
            raise QueryRefused("USING takes its columns in parentheses: USING (a, b).")
        if word == "ONLY" and "FETCH" in words[max(index - 3, 0) : index] and before not in ("ROW", "ROWS"):
            raise QueryRefused("FETCH is written FETCH FIRST 3 ROWS ONLY.")
        if kind == TokenType.PERCENT and kinds[index - 1] == TokenType.NUMBER:
            raise QueryRefused("TABLESAMPLE BERNOULLI takes a number alone: leave PERCENT out.")
        if kind == TokenType.WITH and before == ")" and after not in ("ORDINALITY", "TIES", "TIME"):
            raise QueryRefused("A query has one WITH: separate its queries by commas.")
    _check_order(tokens)


def _until_comma(words: Sequence[str]) -> list[str]:
    ends = [words.index(end) for end in (",", "ORDER BY", "HAVING", ")", ";") if end in words]
    return list(words[: min(ends, default=len(words))])


def check_call(name: str, words: Sequence[str]) -> None:
    """Check what stands in a call's own parentheses.

    Raises:
        QueryRefused: Trino cannot read it.
    """
    if name == "SUBSTRING" and "FOR" in words and "FROM" not in words:
        raise QueryRefused("substring needs FROM before FOR: substring(x FROM 1 FOR 2).")
    if name == "LISTAGG" and "ORDER BY" in words:
        raise QueryRefused("listagg takes its order after it: listagg(x, ',') WITHIN GROUP (ORDER BY y).")


def _check_order(tokens: Sequence[Token]) -> None:
    """Check the order of each query's clauses."""
    reached: list[int | None] = [None]
    kinds: list[TokenType | None] = [token.token_type for token in tokens]
    for before, kind, after, token in zip([None, *kinds], kinds, [*kinds[1:], None], tokens, strict=False):
        if kind == TokenType.L_PAREN:
            reached.append(None)
        elif kind == TokenType.R_PAREN:
            reached = reached[:-1] or [None]
        elif kind == TokenType.SELECT or kind in _SET_OPERATIONS:
            reached[-1] = 0
        elif kind == TokenType.FROM and after == TokenType.STRING and reached[-1] is not None:
            raise QueryRefused('A table\'s name is in double quotes, or in none: FROM "labels".')
        elif kind in _CLAUSES and before not in _BEFORE_A_NAME and after not in _AFTER_A_NAME:
            place, so_far = _CLAUSES[kind], reached[-1]
            if so_far is not None and place < so_far:
                raise QueryRefused(
                    f"{token.text.upper()} stands too late: the order is WHERE, GROUP BY, HAVING, WINDOW, "
                    "ORDER BY, OFFSET, LIMIT."
                )
            if so_far is not None:
                reached[-1] = place
