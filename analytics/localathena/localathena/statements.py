"""Checks of a statement's first words, before it is parsed."""

import re

from localathena.errors import QueryRefused

COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
EXPLAIN = re.compile(r"EXPLAIN\s+(ANALYZE\s+(VERBOSE\s+)?)?(\(\s*(FORMAT|TYPE)\b[^)]*\)\s*)?", re.IGNORECASE)
SHOWING = re.compile(r"(SHOW|DESC|DESCRIBE)\b", re.IGNORECASE)
_READING = ("SELECT", "WITH", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC")
_WORD_CHARS = 30


def ensure_it_reads(sql: str) -> None:
    """Check by its first word that a statement only reads.

    Raises:
        QueryRefused: it may write.
    """
    bare = EXPLAIN.sub("", COMMENTS.sub(" ", sql).lstrip()).lstrip(" \t\r\n(")
    word = re.match(r"\w*", bare)
    if word is None or word[0].upper() not in _READING:
        prepared = word and word[0].upper() in ("PREPARE", "EXECUTE", "DEALLOCATE")
        begins = f" It begins with {word[0][:_WORD_CHARS]!r}." if word and word[0] else ""
        raise QueryRefused(
            f"Only a statement that reads can run: SELECT, WITH, VALUES, DESCRIBE or SHOW.{begins}"
            + (" Run the SELECT itself, with a `?` for each parameter." if prepared else "")
        )
