"""Literals and names that sqlglot reads otherwise than Trino: 0xFF, DECIMAL '1.5', X'ab cd', U&'...'."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from localathena.errors import QueryRefused

_PART = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_BASES = {"x": 16, "b": 2, "o": 8}


def without_blanks_in_hex(sql: str) -> str:
    """Return a statement without the blanks within X'ab cd', which sqlglot does not read."""

    def shortened(found: "re.Match[str]") -> str:
        is_hex = sql[max(found.start() - 1, 0) : found.start()] in ("x", "X") and not re.match(
            r"\w", sql[max(found.start() - 2, 0) : found.start() - 1]
        )
        return re.sub(r"\s", "", found[0]) if is_hex else found[0]

    return _PART.sub(shortened, sql)


def joined(tokens: Sequence[Token], sql: str) -> list[Token]:
    """Return tokens in which a number in another base, one with _ and DECIMAL '1.5' are one number."""
    kept: list[Token] = []
    for token in tokens:
        before = kept[-1] if kept else None
        if token.token_type == TokenType.HEX_STRING and sql[token.start] == "0":
            kept.append(_number(token, str(int(token.text.replace("_", ""), 16))))
        elif before and before.token_type == TokenType.NUMBER and token.start == before.end + 1 and (
            digits := _continued(before.text, token)
        ):  # fmt: skip
            kept[-1] = _number(before, digits, token.end)
        elif (
            before
            and token.token_type == TokenType.DOT
            and _is_whole(before)
            and token.start == before.end + 1
        ):
            kept[-1] = _number(before, f"{before.text}.", token.end)
        elif token.token_type == TokenType.STRING and before and before.token_type == TokenType.DECIMAL:
            kept[-1:] = _decimal(token)
        else:
            kept.append(token)
    return kept


def _is_whole(token: Token) -> bool:
    return token.token_type == TokenType.NUMBER and token.text.isdecimal()


def _continued(number: str, token: Token) -> str:
    """Return the digits of a number that goes on in the next token, or an empty text."""
    rest = token.text
    if (
        token.token_type == TokenType.VAR
        and number == "0"
        and re.fullmatch("[xX]_?[0-9a-fA-F_]+|[bB][01_]+|[oO][0-7_]+", rest)
    ):
        return str(int(rest[1:].replace("_", ""), _BASES[rest[0].lower()]))
    if token.token_type == TokenType.VAR and re.fullmatch("(_[0-9]+)+", rest):
        return number + rest.replace("_", "")
    if token.token_type == TokenType.NUMBER and (rest.startswith(".") or number.endswith(".")):
        return number + rest
    return ""


def _number(token: Token, digits: str, end: int | None = None) -> Token:
    return Token(
        TokenType.NUMBER, digits, token.line, token.col, token.start, token.end if end is None else end
    )


def _decimal(literal: Token) -> list[Token]:
    found = re.fullmatch(r"([+-]?)(\d[\d_]*\.?\d*|\.\d+)", literal.text)
    if found is None:
        raise QueryRefused(f"{literal.text!r} is not a valid DECIMAL literal: write DECIMAL '1.5'.")
    digits = found[2].replace("_", "")
    number = _number(literal, digits if "." in digits else f"{digits}.")
    if found[1] != "-":
        return [number]
    at = (literal.line, literal.col, literal.start, literal.end)
    return [
        Token(TokenType.L_PAREN, "(", *at),
        Token(TokenType.DASH, "-", *at),
        number,
        Token(TokenType.R_PAREN, ")", *at),
    ]


_TYPED = frozenset(
    ["BIGINT", "INTEGER", "SMALLINT", "TINYINT", "DOUBLE", "REAL", "BOOLEAN", "DATE", "TIME", "TIMESTAMP",
     "JSON"]
)  # fmt: skip


def check_typed(tokens: Sequence[Token]) -> None:
    """Check literals like DATE '2026-11-24', which Trino reads also where they are never computed.

    Raises:
        QueryRefused: one is not a value of its type.
    """
    for before, token in pairwise(tokens):
        word = before.text.upper()
        if token.token_type != TokenType.STRING or before.token_type == TokenType.IDENTIFIER:
            continue
        if word in _TYPED and not _is_of(word.lower(), token.text):
            raise QueryRefused(f"{token.text!r} is not a valid {word} literal.")


def _is_of(type_: str, text: str) -> bool:
    from localathena.scalars import json, readers  # few statements need it
    from localathena.scalars.failures import Failed, Refused

    readings: dict[str, Callable[[str], object]] = {
        "double": readers.double,
        "real": readers.double,
        "boolean": readers.boolean,
        "date": readers.to_date,
        "time": lambda text: readers.to_time(text, 6),
        "timestamp": lambda text: readers.to_timestamp(re.sub(r" +[A-Za-z]\S*$", "", text), 6),
        "json": json.parse,
    }
    try:
        if type_ in readings:
            readings[type_](text)
        else:
            readers.integer(text, type_)
    except Failed:
        return False
    except Refused:
        return True  # it is told where the literal is computed
    return True


def without_overflow(tokens: Sequence[Token]) -> list[Token]:
    """Leave out ON OVERFLOW TRUNCATE '...' WITH COUNT of listagg: a text of a megabyte is refused instead."""
    kept: list[Token] = []
    position = 0
    while position < len(tokens):
        words = [token.text.upper() for token in tokens[position : position + 6]]
        if words[:3] == ["ON", "OVERFLOW", "TRUNCATE"]:
            position += 3
            if position < len(tokens) and tokens[position].token_type == TokenType.STRING:
                position += 1
            if [token.text.upper() for token in tokens[position : position + 2]] in (
                ["WITH", "COUNT"],
                ["WITHOUT", "COUNT"],
            ):
                position += 2
        else:
            kept.append(tokens[position])
            position += 1
    return kept


def unicode_text(text: str, escape: str) -> str:
    """Return the text of U&'sp\\00e4t'.

    Raises:
        QueryRefused: an escape is incomplete.
    """
    pattern = re.escape(escape)
    rest = re.sub(f"{pattern}({pattern}|[0-9A-Fa-f]{{4}}|\\+[0-9A-Fa-f]{{6}})", "", text)
    if len(escape) != 1 or escape in rest:
        raise QueryRefused(f"U&'{text}' has an incomplete escape: write {escape}00e4 or {escape}+01F600.")

    def character(found: "re.Match[str]") -> str:
        return escape if found[1] == escape else chr(int(found[1].lstrip("+"), 16))

    try:
        return re.sub(f"{pattern}({pattern}|[0-9A-Fa-f]{{4}}|\\+[0-9A-Fa-f]{{6}})", character, text)
    except ValueError as error:
        raise QueryRefused(f"U&'{text}' names no character.") from error


_WORDS = frozenset(
    ["FETCH", "LIMIT", "OFFSET", "ROLLBACK", "COMMIT", "IF", "ILIKE", "LATERAL", "MATERIALIZED", "OVER",
     "REVOKE", "GRANT", "WINDOW", "FILTER", "RANGE", "ROWS", "FORMAT", "MATCH_RECOGNIZE", "SHOW", "SET",
     "ROW", "VIEW", "SESSION", "DESC"]
)  # fmt: skip
"""Words with a meaning of their own to sqlglot, which are names in Trino too."""
_BEFORE_A_NAME = (
    TokenType.SELECT, TokenType.COMMA, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.L_PAREN,
    TokenType.DISTINCT,
)  # fmt: skip
_AFTER_A_NAME = (
    None,
    TokenType.COMMA,
    TokenType.FROM,
    TokenType.R_PAREN,
    TokenType.SEMICOLON,
    TokenType.ALIAS,
)


def names(tokens: Sequence[Token]) -> list[Token]:
    """Return tokens in which a word is a name where it stands as one."""
    kept = []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        is_name = token.text.upper() in _WORDS and _is_in_place_of_a_name(
            before.token_type if before else None, token.token_type, after.token_type if after else None
        )
        at = (token.line, token.col, token.start, token.end)
        kept.append(Token(TokenType.IDENTIFIER, token.text, *at) if is_name else token)
    return kept


def _is_in_place_of_a_name(before: TokenType | None, kind: TokenType, after: TokenType | None) -> bool:
    if kind in (TokenType.IDENTIFIER, TokenType.STRING):
        return False
    if before in (TokenType.ALIAS, TokenType.DOT) and after != TokenType.L_PAREN:
        return True
    return after == TokenType.DOT or (before in _BEFORE_A_NAME and after in _AFTER_A_NAME)
