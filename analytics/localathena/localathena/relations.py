"""FROM: tables, subqueries, joins and UNNEST."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from localathena.comparisons import comparison
from localathena.correlation import Place
from localathena.errors import QueryRefused
from localathena.names import Names, Scope, Seen, aliased, only, optional, reference
from localathena.nodes import refuse_others, spelled
from localathena.sql import Value
from localathena.sql import field as row_field
from localathena.types import BIGINT, Column, Type, quoted
from localathena.values import common

if TYPE_CHECKING:
    from localathena.queries import Queries

SAMPLE_BESIDE_A_JOIN = (
    "TABLESAMPLE beside a join is not supported: write (SELECT * FROM t TABLESAMPLE ...) AS t."
)
_JOINS = {
    ("", ""),
    ("", "INNER"),
    ("", "CROSS"),
    *((side, kind) for side in ("LEFT", "RIGHT", "FULL") for kind in ("", "OUTER")),
}


class Relations:
    """Translates what a SELECT reads from, and adds its columns to the scope."""

    def __init__(self, names: Names, queries: "Queries") -> None:
        self.names = names
        self.queries = queries
        self.expressions = queries.expressions

    def from_clause(self, node: exp.Select) -> str:
        """Translate FROM and its joins; their columns come into the scope."""
        clause = node.args.get("from_")
        if clause is None:
            return ""
        scope = self.names.scope
        if isinstance(clause.this, exp.Unnest):
            sql, columns = self._first_unnest(clause.this)
        else:
            sql, columns = self._relation(clause.this)
        scope.columns += columns
        joins = list(node.args.get("joins") or [])
        while joins:
            join = joins.pop(0)
            following = []
            while _is_comma(join) and joins and not _is_comma(joins[0]):
                following.append(joins.pop(0))
            sql = self._with_join_after_comma(sql, join, following) if following else self._join(sql, join)
        return f" FROM {sql}"

    def _with_join_after_comma(self, left: str, comma: exp.Join, joins: Sequence[exp.Expr]) -> str:
        """Translate `left, a JOIN b ON ...`, where ON and USING cannot name what is left of the comma."""
        if isinstance(comma.this, exp.Unnest | exp.Lateral):
            raise QueryRefused("A JOIN after a comma and UNNEST or LATERAL: write CROSS JOIN for the comma.")
        target = comma.this.copy()
        target.set("joins", [*(target.args.get("joins") or []), *(join.copy() for join in joins)])
        sql, columns = self._relation(target)
        self.names.scope.columns += columns
        return f"{left} CROSS JOIN {sql}"

    def _join(self, left: str, join: exp.Join) -> str:
        refuse_others(join, "this", "side", "kind", "on", "using")
        scope, target = self.names.scope, join.this
        side, kind = (str(join.args.get(part) or "").upper() for part in ("side", "kind"))
        condition = join.args.get("on")
        if isinstance(target, exp.Unnest):
            if (
                side not in ("", "LEFT")
                or (side == "LEFT" and not _is_true(condition))
                or join.args.get("using")
            ):
                raise QueryRefused("UNNEST is supported after CROSS JOIN, a comma, or LEFT JOIN ... ON TRUE.")
            if side == "" and condition is not None and not _is_true(condition):
                raise QueryRefused("JOIN UNNEST with a condition is not supported: put it into WHERE.")
            return self._unnested(left, target, keep_empty=side == "LEFT")
        sql, columns = self._relation(target)
        word = f"{side} JOIN" if side else "JOIN"
        if (side, kind) not in _JOINS:
            raise QueryRefused(f"{side} {kind} JOIN is not supported.")
        if using := join.args.get("using"):
            return f"{left} {word} {sql} ON {self._merged(using, columns, side)}"
        before = len(scope.columns)
        scope.columns += columns
        if condition is None:
            if kind == "INNER" or side:
                raise QueryRefused("A JOIN needs ON or USING.")
            return f"{left} CROSS JOIN {sql}"
        with self.names.at(Place.OUTER_ON if side else Place.OTHER):
            on = self.expressions.condition(condition, "ON")
        if side in ("RIGHT", "FULL"):
            scope.columns[:before] = map(optional, scope.columns[:before])
        if side in ("LEFT", "FULL"):
            scope.columns[before:] = map(optional, scope.columns[before:])
        return f"{left} {word} {sql} ON {on}"

    def _merged(self, using: Sequence[exp.Expr], right: Sequence[Seen], side: str) -> str:
        """Merge the columns of USING into one each, and return the condition that joins on them."""
        scope, conditions, merged, gone = self.names.scope, [], [], []
        for identifier in using:
            a, b = (only(identifier.name, None, columns) for columns in (scope.columns, right))
            if a is None or b is None:
                raise QueryRefused(f"USING: the column {identifier.name} is not in both tables.")
            (x, y), type_ = common([a.value, b.value], "USING")
            conditions.append(comparison("=", x, y).sql)
            sql = {"RIGHT": y.sql, "FULL": f"coalesce({x.sql}, {y.sql})"}.get(side, x.sql)
            merged.append(Seen(identifier.name, None, Value(sql, type_)))
            gone += [a, b]
        kept = [column for column in [*scope.columns, *right] if column not in gone]
        scope.columns = merged + [optional(column) if side else column for column in kept]
        return " AND ".join(conditions)

    def _relation(self, node: exp.Expr) -> tuple[str, list[Seen]]:
        joins = node.args.get("joins")
        if not joins:
            return self._single_relation(node)
        alone = node.copy()
        alone.set("joins", None)
        with self.names.within(Scope(self.names.scope.outer)) as scope:
            sql = self.from_clause(
                exp.Select(from_=exp.From(this=alone), joins=[join.copy() for join in joins])
            )
        if scope.sampled:
            raise QueryRefused(SAMPLE_BESIDE_A_JOIN)
        sql = sql.removeprefix(" FROM ")
        if isinstance(joins[-1].this, exp.Unnest):  # DuckDB takes no parentheses around one derived table
            return sql, scope.columns
        return f"({sql})", scope.columns

    def _single_relation(self, node: exp.Expr) -> tuple[str, list[Seen]]:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Lateral):
            refuse_others(node, "this", "alias")
            return self._subquery(node.this, node.args.get("alias"), self.names.scope)
        if isinstance(node, exp.Values):
            return self._subquery(node, node.args.get("alias"), self.names.scope.outer)
        if isinstance(node, exp.Subquery):
            refuse_others(node, "this", "alias", "with_", "order", "limit", "offset")
            if isinstance(node.this, exp.Table) or (
                isinstance(node.this, exp.Subquery)
                and (node.this.args.get("alias") or node.this.args.get("joins"))
            ):
                return self._joined(node)
            inner = node
            if node.args.get("alias"):
                inner = node.copy()
                inner.set("alias", None)
            return self._subquery(inner, node.args.get("alias"), self.names.scope.outer)
        raise QueryRefused(f"{spelled(node)} is not supported in FROM.")

    def _joined(self, node: exp.Subquery) -> tuple[str, list[Seen]]:
        """Translate a table or a join in parentheses."""
        sql, columns = self._relation(node.this)
        alias = node.args.get("alias")
        return sql, aliased(columns, alias, None) if alias else columns

    def _table(self, node: exp.Table) -> tuple[str, list[Seen]]:
        refuse_others(node, "this", "db", "catalog", "alias", "joins", "sample")
        if node.args.get("sample"):
            self.names.scope.sampled = [*self.names.scope.sampled, _sampled(node.args["sample"])]
        if isinstance(node.this, exp.Values):
            return self._subquery(node.this, node.args.get("alias"), self.names.scope.outer)
        if not isinstance(node.this, exp.Identifier):
            raise QueryRefused(f"{spelled(node)} is not a table: no function can be read from.")
        name, alias = node.name.lower(), node.args.get("alias")
        local = self.names.fresh("t")
        if name in self.names.with_ and not node.db:
            table = self.names.with_[name]
            seen = self.names.derived(table.name, table.columns)
            return seen.sql, aliased(seen.columns, alias, node.name)
        table_or_none = self.names.tables.get(name) if self.names.is_in_database(node) else None
        if table_or_none is None and (derived := self._metadata(node)):
            seen = self.names.derived(*derived)
            return seen.sql, aliased(seen.columns, alias, node.name)
        if table_or_none is None:
            known = ", ".join(sorted(self.names.tables)) or "none"
            raise QueryRefused(
                f"There is no table {spelled(node)}. The tables are: {known}.{_other_tables(node)}"
            )
        table = table_or_none
        columns = [
            Seen(column.name, None, reference(f"{local}.{quoted(column.name)}", column), is_hidden)
            for is_hidden, group in ((False, table.columns), (True, table.hidden))
            for column in group
        ]
        return f"{quoted(table.name)} AS {local}", aliased(columns, alias, node.name)

    def _metadata(self, node: exp.Table) -> tuple[str, list[Column]] | None:
        """Return a table that tells about the tables, as a query and its columns."""
        from localathena.schema import information_schema, partitions  # few statements need it

        name = node.name.lower()
        if node.db.lower() != "information_schema":
            return partitions(name, self.names.tables) if self.names.is_in_database(node) else None
        if self.names.database is None:
            raise QueryRefused("information_schema needs the database's name: give it to LocalAthena.")
        return information_schema(name, self.names.tables, self.names.database)

    def _subquery(
        self, node: exp.Expr, alias: exp.Expr | None, outer: Scope | None
    ) -> tuple[str, list[Seen]]:
        relation = self.queries.query(node, self.names.with_, outer)
        seen = self.names.derived(f"({relation.sql})", relation.columns)
        return seen.sql, aliased(seen.columns, alias, None)

    def _unnested(self, left: str, node: exp.Unnest, *, keep_empty: bool) -> str:
        """Join a row with each element of its arrays.

        It is a projection, because DuckDB pushes no filter through a lateral join and would read every
        partition.
        """
        scope, local = self.names.scope, self.names.fresh("t")
        kept = [
            replace(column, value=replace(column.value, sql=f"{local}.{local}k{index}"))
            for index, column in enumerate(scope.columns)
        ]
        listed = [f"{column.value.sql} AS {local}k{index}" for index, column in enumerate(scope.columns)]
        lists, columns = self._lists(node, keep_empty=keep_empty)
        listed += [f"unnest({sql}) AS {local}u{index}" for index, sql in enumerate(lists)]
        elements = [
            Seen(column.name, None, Value(f"{local}.{local}u{index}", column.type))
            for index, column in enumerate(columns)
        ]
        scope.columns = kept + aliased(elements, _unnest_alias(node), None)
        return f"(SELECT {', '.join(listed)} FROM {left}) AS {local}"  # noqa: S608

    def _first_unnest(self, node: exp.Unnest) -> tuple[str, list[Seen]]:
        """Translate FROM UNNEST(...); the arrays may belong to an outer query."""
        local = self.names.fresh("t")
        outside = self.names.scope
        with self.names.within(Scope(outside.outer, place=Place.UNNEST)) as scope:
            lists, columns = self._lists(node, keep_empty=False)
        outside.outer_places += scope.outer_places
        if len(lists) == 1:
            return f"unnest({lists[0]}) AS {local}({local}u)", aliased(
                [Seen(columns[0].name, None, Value(f"{local}.{local}u", columns[0].type))],
                _unnest_alias(node),
                None,
            )
        elements = [
            Seen(column.name, None, Value(f"{local}.{local}u[{index}]", column.type))
            for index, column in enumerate(columns, 1)
        ]
        sql = f"unnest(list_zip({', '.join(lists)})) AS {local}({local}u)"
        return sql, aliased(elements, _unnest_alias(node), None)

    def _lists(self, node: exp.Unnest, *, keep_empty: bool) -> tuple[list[str], list[Column]]:
        """Return a list for each column that UNNEST makes."""
        refuse_others(node, "expressions", "alias", "offset")
        lists: list[str] = []
        columns: list[Type] = []
        names: dict[int, str | None] = {}
        for expression in node.expressions:
            value = self.expressions.value(expression)
            if value.type.name == "map":
                lists += [f"map_keys({value.sql})", f"map_values({value.sql})"]
                columns += value.type.arguments
            elif value.type.name == "array" and value.type.arguments[0].name == "row":
                element = self.expressions.parameter(value.type.arguments[0])
                for index, type_ in enumerate(element.type.arguments):
                    part = row_field(element, index).sql
                    lists.append(f"list_transform({value.sql}, lambda {element.sql}: {part})")
                    names[len(columns)] = element.type.fields[index]
                    columns.append(type_)
            elif value.type.name == "array":
                lists.append(value.sql)
                columns.append(value.type.arguments[0])
            else:
                raise QueryRefused(f"UNNEST needs an array or a map, not {value.type}.")
        longest = f"greatest({', '.join(f'coalesce(len({sql}), 0)' for sql in lists)})"
        if node.args.get("offset"):
            lists.append(f"generate_series(1, {longest})")
            columns.append(BIGINT)
        if keep_empty:
            lists = [f"(CASE WHEN {longest} = 0 THEN [NULL] ELSE {sql} END)" for sql in lists]
        return lists, [
            Column(names.get(index) or f"_col{index}", type_) for index, type_ in enumerate(columns)
        ]


def _other_tables(node: exp.Table) -> str:
    """Suggest what to write instead of a metadata table."""
    if node.db.lower() == "information_schema":
        return " information_schema has schemata, tables, views and columns."
    return " SELECT DISTINCT dt FROM it." if node.name.endswith("$partitions") else ""


def _unnest_alias(node: exp.Unnest) -> exp.Expr | None:
    """Return UNNEST's alias with all its columns: sqlglot keeps the ordinality's name apart."""
    alias, ordinality = node.args.get("alias"), node.args.get("offset")
    if alias is not None and isinstance(ordinality, exp.Identifier) and alias.args.get("columns"):
        alias = alias.copy()
        alias.set("columns", [*alias.args["columns"], ordinality.copy()])
    return alias


def _sampled(sample: exp.Expr) -> str:
    """Return the condition that keeps each row with the probability of TABLESAMPLE BERNOULLI.

    DuckDB's own TABLESAMPLE reads every partition.
    """
    refuse_others(sample, "method", "percent")
    method, percent = sample.args.get("method"), sample.args.get("percent")
    is_all = isinstance(percent, exp.Literal) and not percent.is_string and float(percent.this) == 100
    if method is None or (method.name.upper() != "BERNOULLI" and not is_all):
        raise QueryRefused("TABLESAMPLE SYSTEM is not supported: use BERNOULLI.")
    if not isinstance(percent, exp.Literal) or percent.is_string or not 0 <= float(percent.this) <= 100:
        raise QueryRefused("TABLESAMPLE BERNOULLI needs a number from 0 to 100, as a literal.")
    return f"(random() * 100 < {float(percent.this)!r})"


def _is_comma(join: exp.Expr) -> bool:
    return not any(join.args.get(part) for part in ("side", "kind", "method", "on", "using"))


def _is_true(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Boolean) and bool(node.this)
