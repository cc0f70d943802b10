"""Subqueries that use an outer query's columns: which of them Trino plans.

DuckDB runs all of them. What Trino does not plan is refused, with what to write instead.
"""

from collections.abc import Collection
from enum import Enum, auto

from sqlglot import exp

from localathena.aggregates import is_aggregate
from localathena.errors import QueryRefused


class Place(Enum):
    """Where in a SELECT a column stands."""

    OTHER = auto()
    WHERE = auto()
    AGGREGATE = auto()
    OUTER_ON = auto()
    UNNEST = auto()
    VALUES = auto()


class Kind(Enum):
    """What a query is there for."""

    RELATION = auto()
    SCALAR = auto()
    EXISTS = auto()
    MATCHED = auto()
    """By IN, ANY or ALL."""
    SIDE = auto()
    """A side of UNION, INTERSECT or EXCEPT."""


_INSTEAD = "write a join with a query that groups by its key"


def refused(why: str, instead: str = _INSTEAD) -> QueryRefused:
    """Return the error for a subquery that Trino does not plan."""
    return QueryRefused(
        f"Athena cannot plan this subquery with an outer query's columns: {why}. Instead, {instead}."
    )


def check_place(place: Place, levels: int) -> None:
    """Check one use of an outer column, so many queries up.

    Raises:
        QueryRefused: Trino does not plan it.
    """
    if levels > 1:
        raise refused("it is two queries up")
    if place == Place.AGGREGATE:
        raise refused("it stands within an aggregate or its FILTER")
    if place == Place.OUTER_ON:
        raise refused("it stands in the ON of an outer join", "filter the joined table in a subquery first")
    if place == Place.VALUES:
        raise refused("it stands in VALUES", "write CROSS JOIN UNNEST(ARRAY[x, y]) AS t (v)")


def check_select(node: exp.Select, kind: Kind, places: Collection[Place], is_outer: "IsOuter") -> None:
    """Check a SELECT that uses outer columns in these places.

    Raises:
        QueryRefused: Trino does not plan it.
    """
    args = node.args
    is_single = not args.get("group") and any(map(_has_aggregate, node.expressions))
    if kind == Kind.SIDE:
        raise refused("it stands below UNION, INTERSECT or EXCEPT")
    if args.get("having") and not args.get("group"):
        raise refused("HAVING stands without GROUP BY", "filter outside the subquery")
    if args.get("where") and not args.get("from_") and kind not in (Kind.EXISTS, Kind.MATCHED):
        raise refused("it has WHERE without FROM", "write if(condition, x)")
    if args.get("offset"):
        raise refused("it has OFFSET", "number the rows with row_number() OVER (...) and join")
    if any(part.find(exp.Window) for part in node.expressions):
        raise refused(
            "a window function stands above it", "compute the window in a subquery of its own and join"
        )
    if Place.UNNEST in places and (
        args.get("where") or args.get("distinct") or args.get("joins") or _ordinality(node)
    ):
        raise refused(
            "it unnests the column and filters, joins or numbers the elements",
            "write any_match, filter or reduce over the array",
        )
    if kind == Kind.MATCHED and (
        is_single
        or any(args.get(part) for part in ("group", "distinct", "limit"))
        or Place.UNNEST in places
        or (
            not args.get("from_")
            and (
                not args.get("where")
                or any(is_outer(c) for e in node.expressions for c in e.find_all(exp.Column))
            )
        )
    ):
        raise refused(
            "IN, ANY and ALL take a plain SELECT with WHERE there", "write EXISTS, a join or contains"
        )
    is_at_most_one = kind == Kind.EXISTS and not args.get("from_")
    if args.get("limit") and not is_single and not is_at_most_one and not _is_limit_0(args["limit"]):
        _check_limit(node, is_outer, needs_order=kind != Kind.EXISTS)


class IsOuter:
    """Tells whether a column is an outer query's."""

    def __init__(self, own: Collection[tuple[str | None, str]]) -> None:
        """Take table and name of the query's own columns, in lower case."""
        self._own = own

    def __call__(self, column: exp.Expr) -> bool:
        """Tell it of a column."""
        table = column.text("table").lower()
        return not any(
            name == column.name.lower() and table in ("", (of or "").lower()) for of, name in self._own
        )


def _is_limit_0(limit: exp.Expr) -> bool:
    return isinstance(limit.expression, exp.Literal) and limit.expression.name == "0"


def _check_limit(node: exp.Select, is_outer: IsOuter, *, needs_order: bool) -> None:
    """Check LIMIT, which Trino plans where plain columns equal the outer ones and ORDER BY decides."""
    where = node.args.get("where")
    equal = set()
    for condition in (
        where.this.flatten() if where and isinstance(where.this, exp.And) else [where and where.this]
    ):
        if condition is None or not any(map(is_outer, condition.find_all(exp.Column))):
            continue
        sides = [condition.this, condition.args.get("expression")]
        if not (isinstance(condition, exp.EQ) and all(isinstance(side, exp.Column) for side in sides)):
            raise refused(
                "it has LIMIT, and WHERE compares the column with something else than = to a plain column",
                "write max_by, min_by or row_number() OVER (PARTITION BY ...) and a join",
            )
        equal |= {side.name.lower() for side in sides if side is not None and not is_outer(side)}
    results = {part.unalias().name.lower() for part in node.expressions}
    if needs_order and not node.args.get("order") and not results <= equal:
        raise refused("it has LIMIT without ORDER BY", "write arbitrary(x), or ORDER BY")


def _has_aggregate(node: exp.Expr) -> bool:
    return any(
        not isinstance(call, exp.Anonymous) or is_aggregate(call.name.lower())
        for call in node.find_all(exp.Anonymous, exp.GroupConcat)
    )


def _ordinality(node: exp.Select) -> bool:
    from_ = node.args.get("from_")
    return any(unnest.args.get("offset") for unnest in from_.find_all(exp.Unnest)) if from_ else False
