"""Parts of a parsed statement: how they are spelled, and which have no translation."""

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from localathena.errors import QueryRefused


def spelled(node: exp.Expr) -> str:
    """Return a part of a statement as SQL, for messages."""
    return node.sql("trino", unsupported_level=ErrorLevel.IGNORE)


def refuse_others(node: exp.Expr, *known: str) -> None:
    """Refuse a node that has a part which its translation does not use."""
    for name, part in node.args.items():
        if part and name not in known:
            raise QueryRefused(f"{spelled(node)} is not supported because of its {name.strip('_')}.")
