"""Errors of a statement."""


class QueryRefused(Exception):
    """The statement is not supported, or may mean something else in DuckDB. The text says what to write."""


class QueryFailed(Exception):
    """The statement failed while it ran. The text says why."""
