"""Syntax of json_value, json_query, json_exists, json_object and json_array, whose arguments have clauses.

Each becomes a call whose further arguments are what the clauses say: an expression, or words as `exp.Var`.
Source: https://trino.io/docs/current/functions/json.html
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from localathena.errors import QueryRefused


def _json_value(parser: Any) -> exp.Expr:
    document, path = _document_and_path(parser)
    type_ = _returned(parser)
    return _call("json_value", document, path, type_, *_behaviours(parser, "NULL", "ERROR", "DEFAULT"))


def _json_exists(parser: Any) -> exp.Expr:
    document, path = _document_and_path(parser)
    error = _behaviour(parser, "ERROR", "FALSE", "TRUE", "FALSE", "UNKNOWN", "ERROR")
    return _call("json_exists", document, path, error)


def _json_query(parser: Any) -> exp.Expr:
    document, path = _document_and_path(parser)
    type_ = _returned(parser)
    wrapper = "WITHOUT"
    if parser._match_text_seq("WITH"):
        wrapper = "CONDITIONAL" if parser._match_text_seq("CONDITIONAL") else "UNCONDITIONAL"
        parser._match_text_seq("UNCONDITIONAL")
        _skip_wrapper(parser)
    elif parser._match_text_seq("WITHOUT"):
        _skip_wrapper(parser)
    quotes = "OMIT" if parser._match_text_seq("OMIT", "QUOTES") else "KEEP"
    if quotes == "OMIT" or parser._match_text_seq("KEEP", "QUOTES"):
        parser._match_text_seq("ON", "SCALAR", "STRING")
    behaviours = _behaviours(parser, "NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT")
    return _call("json_query", document, path, type_, exp.Var(this=f"{wrapper} {quotes}"), *behaviours)


def _skip_wrapper(parser: Any) -> None:
    parser._match_text_seq("ARRAY")
    if not parser._match_text_seq("WRAPPER"):
        parser.raise_error("Expecting WRAPPER")


def _json_object(parser: Any) -> exp.Expr:
    pairs = [] if _at_end(parser) else _listed(parser, _member)
    is_absent = _is_absent(parser, otherwise=False)
    if parser._match_text_seq("WITH", "UNIQUE") or parser._match_text_seq("WITHOUT", "UNIQUE"):
        parser._match_text_seq("KEYS")  # they must be, in any case
    options = exp.Var(this="ABSENT" if is_absent else "NULL")
    type_ = _returned(parser)
    return _call("json_object", options, type_, *(node for pair in pairs for node in pair))


def _json_array(parser: Any) -> exp.Expr:
    elements = [] if _at_end(parser) else _listed(parser, _element)
    is_absent = _is_absent(parser, otherwise=True)
    type_ = _returned(parser)
    return _call("json_array", exp.Var(this="ABSENT" if is_absent else "NULL"), type_, *elements)


PARSERS: Mapping[str, Callable[[Any], exp.Expr]] = {
    "JSON_ARRAY": _json_array,
    "JSON_EXISTS": _json_exists,
    "JSON_OBJECT": _json_object,
    "JSON_QUERY": _json_query,
    "JSON_VALUE": _json_value,
}


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _document_and_path(parser: Any) -> tuple[exp.Expr, exp.Expr]:
    document = parser._parse_disjunction()
    _has_format(parser)
    if not parser._match(TokenType.COMMA):
        parser.raise_error("Expecting a JSON path")
    path = parser._parse_disjunction()
    if parser._match_text_seq("PASSING"):
        raise QueryRefused("PASSING is not supported: write its values into the path.")
    return document, path


def _has_format(parser: Any) -> bool:
    if not parser._match_text_seq("FORMAT", "JSON"):
        return False
    if parser._match_text_seq("ENCODING"):
        raise QueryRefused("FORMAT JSON ENCODING is not supported: write from_utf8(x).")
    return True


def _returned(parser: Any) -> exp.Expr:
    """Return the type after RETURNING, or NULL."""
    if not parser._match_text_seq("RETURNING"):
        return exp.Null()
    type_: exp.Expr | None = parser._parse_types()
    if type_ is None:
        parser.raise_error("Expecting a type")
        return exp.Null()
    _has_format(parser)
    return type_


def _behaviours(parser: Any, *words: str) -> tuple[exp.Expr, exp.Expr]:
    """Return what happens where nothing is found, and where there is an error."""
    return _behaviour(parser, "EMPTY", "NULL", *words), _behaviour(parser, "ERROR", "NULL", *words)


def _behaviour(parser: Any, case: str, otherwise: str, *words: str) -> exp.Expr:
    start = parser._index
    for word in words:
        if parser._match_text_seq(*word.split()):
            said = parser._parse_disjunction() if word == "DEFAULT" else exp.Var(this=word)
            if said is not None and parser._match_text_seq("ON", case):
                return said
    parser._retreat(start)
    return exp.Var(this=otherwise)


def _at_end(parser: Any) -> bool:
    """Whether no member or element comes: the call ends, or NULL ON NULL follows."""
    return bool(parser._curr.text == ")" or parser._next.text.upper() == "ON")


def _listed(parser: Any, parse: Callable[[Any], Any]) -> Sequence[Any]:
    found = [parse(parser)]
    while parser._match(TokenType.COMMA):
        found.append(parse(parser))
    return found


def _is_absent(parser: Any, *, otherwise: bool) -> bool:
    if parser._match_text_seq("ABSENT", "ON", "NULL"):
        return True
    return False if parser._match_text_seq("NULL", "ON", "NULL") else otherwise


def _member(parser: Any) -> tuple[exp.Expr, exp.Expr]:
    is_key = parser._curr.text.upper() == "KEY" and parser._next.token_type != TokenType.COLON
    if is_key and parser._next.text.upper() != "VALUE":
        parser._advance()
    key = parser._parse_disjunction()
    if not (parser._match(TokenType.COLON) or parser._match_text_seq("VALUE")):
        parser.raise_error("Expecting VALUE or a colon")
    return key, _element(parser)


def _element(parser: Any) -> exp.Expr:
    value: exp.Expr = parser._parse_disjunction()
    return _call("format_json", value) if _has_format(parser) else value
