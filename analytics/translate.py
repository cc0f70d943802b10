"""Athena's SQL in DuckDB's words."""

from collections.abc import Sequence

import sqlglot
from sqlglot import exp


class QueryRefused(Exception):
    """A statement that the local Athena does not run, and why, in a sentence."""


def translate(sql: str, parameters: Sequence[str] = ()) -> str:
    """Return a read-only Athena statement in DuckDB's dialect, each `?` replaced by a parameter's text.

    Raises:
        QueryRefused: it is not one read-only statement.
    """
    try:
        statements = [tree for tree in sqlglot.parse(sql, read="athena") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise QueryRefused(f"This is not Athena SQL: {error}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise QueryRefused("Only one statement that reads (SELECT, WITH, VALUES) can be run.")
    tree = statements[0]
    placeholders = list(tree.find_all(exp.Placeholder))
    if len(placeholders) != len(parameters):
        raise QueryRefused(f"The statement has {len(placeholders)} `?` and {len(parameters)} parameters.")
    for placeholder, value in zip(placeholders, parameters, strict=True):
        placeholder.replace(exp.Literal.string(value))
    for table in tree.find_all(exp.Table):
        table.set("db", None)
        table.set("catalog", None)
    for unnest in list(tree.find_all(exp.Unnest)):
        _unnest_pairs(unnest)
    for diff in list(tree.find_all(exp.DateDiff)):
        unit = exp.Literal.string((diff.args.get("unit") or exp.Literal.string("day")).name.lower())
        diff.replace(exp.Anonymous(this="date_sub", expressions=[unit, diff.expression, diff.this]))
    return tree.sql("duckdb")


def _unnest_pairs(unnest: exp.Unnest) -> None:
    alias = unnest.args.get("alias")
    columns = alias.columns if alias else []
    if alias is None or len(columns) != 2 or unnest.args.get("offset"):
        return
    if len(unnest.expressions) == 2:
        lists = unnest.expressions
    else:
        argument = unnest.expressions[0]
        lists = [
            exp.Anonymous(this=f"map_{part}", expressions=[argument.copy()]) for part in ("keys", "values")
        ]
    columns_sql = [
        exp.alias_(exp.Anonymous(this="unnest", expressions=[values.copy()]), column.name, quoted=True)
        for values, column in zip(lists, columns, strict=True)
    ]
    unnest.replace(exp.Lateral(this=exp.Subquery(this=exp.select(*columns_sql)), alias=alias.copy()))
