"""Checks of a statement's first words, before it is parsed."""

import re

from localathena.errors import QueryRefused

COMMENTS = re.compile(r"--[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
EXPLAIN = re.compile(r"EXPLAIN\s+(ANALYZE\s+(VERBOSE\s+)?)?(\(\s*(FORMAT|TYPE)\b[^)]*\)\s*)?", re.IGNORECASE)
SHOWING = re.compile(r"(SHOW|DESC|DESCRIBE)\b", re.IGNORECASE)
_READING = ("SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC")
_WORD_CHARS = 30


def ensure_it_reads(sql: str) -> None:
    """Check by its first word that a statement only reads.

    Raises:
        QueryRefused: it may write.
    """
    word = first_word(EXPLAIN.sub("", COMMENTS.sub(" ", sql).lstrip()))
    if word.upper() not in _READING:
        prepared = word.upper() in ("PREPARE", "EXECUTE", "DEALLOCATE")
        begins = f" It begins with {word[:_WORD_CHARS]!r}." if word else ""
        raise QueryRefused(
            f"Only a statement that reads can run: SELECT, WITH, VALUES, DESCRIBE or SHOW.{begins}"
            + (" Run the SELECT itself, with a `?` for each parameter." if prepared else "")
        )


def first_word(sql: str) -> str:
    """Return the word that a statement begins with, after comments and parentheses; empty if it has none."""
    found = re.match(r"[\s(]*(\w*)", COMMENTS.sub(" ", sql))
    return found[1] if found else ""
