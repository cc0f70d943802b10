"""Errors of functions in Python, and the marks that errors carry through DuckDB."""

FAILURE = "~"
"""Prefix of the error text that a translated statement raises, by a cast that cannot succeed.

DuckDB's own `error()` is volatile, which its TRY does not allow.
"""
REFUSAL = "~~"
"""Prefix of the error text where Athena would answer."""


class Failed(ValueError):
    """The function fails on Athena too."""


class Refused(ValueError):
    """Athena answers, and this function cannot."""
