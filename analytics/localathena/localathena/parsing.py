"""Parsing with sqlglot, which leaves every function call as it is written."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parsers.trino import TrinoParser
from sqlglot.tokenizer_core import Token, TokenType

from localathena import json_syntax, literals
from localathena.errors import QueryRefused
from localathena.syntax import RESERVED, checked
from localathena.tables import Parameter


def _normalized(parser: TrinoParser) -> list[exp.Expr | None]:
    """Return the arguments of normalize(x, NFC), whose second is a word and not a column."""
    text = parser._parse_disjunction()
    return [text, parser._parse_var()] if parser._match(TokenType.COMMA) else [text]


class Dialect(Trino):
    """Trino's dialect, with functions and subscripts left as they are written."""

    INDEX_OFFSET = 0

    class Parser(TrinoParser):
        """Parses only the functions that have a syntax of their own."""

        UNARY_PARSERS: ClassVar[dict[Any, Any]] = {
            **TrinoParser.UNARY_PARSERS,
            TokenType.PLUS: lambda self: self.expression(
                exp.Anonymous(this="+", expressions=[self._parse_unary()])
            ),
        }
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            "NORMALIZE": lambda self: self.expression(
                exp.Anonymous(this="normalize", expressions=_normalized(self))
            ),
            **json_syntax.PARSERS,
            **{
                name: TrinoParser.FUNCTION_PARSERS[name]
                for name in ("CAST", "TRY_CAST", "EXTRACT", "POSITION", "TRIM", "SUBSTRING", "LISTAGG")
            },
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: TrinoParser.NO_PAREN_FUNCTION_PARSERS[name] for name in ("CASE", "IF", "ANY")
        }


_LITERAL = re.compile(
    r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?|[+-]?\.\d+(e[+-]?\d+)?|null|true|false"
    r"|((date|time|timestamp|decimal|double|real|bigint|integer|smallint|tinyint|varchar|char|json)\s*|x)?'([^']|'')*'"
    r"|interval\s+[+-]?\s*'[^']*'\s+(year|month|day|hour|minute|second)(\s+to\s+(month|second))?",
    re.IGNORECASE,
)


def _tokens_of(parameter: Parameter, dialect: Dialect) -> list[Token]:
    """Return what stands for a `?`.

    Raises:
        QueryRefused: it is not a literal.
    """
    if isinstance(parameter, str):
        return [Token(TokenType.STRING, text=parameter)]
    literal = parameter.text.strip()
    if not _LITERAL.fullmatch(literal):
        raise QueryRefused(
            f"The parameter {literal} is not a literal: write a number, NULL, true, false, DATE '...', "
            "or a text in single quotes."
        )
    return dialect.tokenize(literal)


def parse(sql: str, parameters: Sequence[Parameter]) -> exp.Expr:
    """Parse one statement, each `?` standing for one parameter.

    Raises:
        QueryRefused: it is not Athena SQL, or not one statement.
    """
    dialect = Dialect()
    sql = literals.without_blanks_in_hex(sql)
    try:
        parts = checked(dialect.tokenize(sql), sql)
        positions = [index for index, part in enumerate(parts) if part.token_type == TokenType.PLACEHOLDER]
        if len(positions) != len(parameters):
            raise QueryRefused(
                f"The statement has {len(positions)} `?`, and {len(parameters)} parameters were given."
            )
        for index, parameter in reversed(list(zip(positions, parameters, strict=True))):
            parts[index : index + 1] = _tokens_of(parameter, dialect)
        trees = [tree for tree in dialect.parser().parse(parts, sql) if tree is not None]
    except SqlglotError as error:
        raise QueryRefused(_where(error)) from error
    except (AttributeError, TypeError) as error:  # sqlglot raises these where a name is missing
        raise QueryRefused("The statement cannot be read: a name or an expression is missing.") from error
    if len(trees) != 1:
        raise QueryRefused(f"Only one statement can run at a time: there are {len(trees)}.")
    for identifier in trees[0].find_all(exp.Identifier):
        name = identifier.name
        if not name:
            raise QueryRefused('A name in quotes must not be empty: "".')
        if not identifier.args.get("quoted") and (
            name.upper() in RESERVED or not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name)
        ):
            raise QueryRefused(f'{name} is not a name on Athena unless it is in quotes: "{name}".')
    return trees[0]


def _where(error: SqlglotError) -> str:
    """Return where a statement cannot be read."""
    found = error.errors[0] if isinstance(error, ParseError) and error.errors else {}
    if not found.get("line"):
        return (
            "The statement cannot be read: a quote or a comment is not closed, or a character is not known."
        )
    line, column, near = (found[part] for part in ("line", "col", "highlight"))
    return f"The statement cannot be read at line {line}, column {column}, at or before {near!r}."
