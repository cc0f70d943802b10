"""SELECT, VALUES, set operations and WITH."""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from localathena import grouping, types
from localathena.comparisons import distinct as distinct_of
from localathena.correlation import IsOuter, Kind, Place, check_select
from localathena.errors import QueryRefused
from localathena.expressions import Expressions
from localathena.names import Names, Relation, Scope, Seen, With, renamed
from localathena.nodes import refuse_others, spelled
from localathena.ordering import limit, order_by
from localathena.relations import SAMPLE_BESIDE_A_JOIN, Relations
from localathena.sql import Value
from localathena.sql import field as row_field
from localathena.tables import Table
from localathena.types import Column, quoted
from localathena.values import coerce, common

_UNNAMED = re.compile(r"_col\d+")
"""Pattern of the names of columns without a name, which are numbered by place."""
_SEVERAL_GROUPINGS = (exp.Rollup, exp.Cube, exp.GroupingSets)
_SET_OPERATIONS: Mapping[type[exp.Expr], str] = {
    exp.Union: "UNION",
    exp.Except: "EXCEPT",
    exp.Intersect: "INTERSECT",
}


class Queries:
    """Translates queries."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.expressions = Expressions(names, self)
        self.relations = Relations(names, self)

    def query(self, node: exp.Expr, with_: With, outer: Scope | None) -> Relation:
        """Translate SELECT, VALUES, a set operation or one of these in parentheses."""
        if isinstance(node, exp.Subquery) and not node.args.get("alias"):
            refuse_others(node, "this", "with_", "order", "limit", "offset")
            if not any(node.args.get(part) for part in ("with_", "order", "limit", "offset")):
                return self.query(node.this, with_, outer)  # of the same kind
        kind, self.names.kind = self.names.kind, Kind.RELATION
        prefix, with_ = self._common_tables(node, with_, outer)
        if isinstance(node, exp.Select):
            relation = self._select(node, with_, outer, kind)
        elif isinstance(node, tuple(_SET_OPERATIONS)):
            relation = self._ended(node, self._set_operation(node, with_, outer))
        elif isinstance(node, exp.Values):
            refuse_others(node, "expressions", "alias", "order", "limit", "offset", "with_")
            relation = self._ended(node, self._values(node, outer))
        elif isinstance(node, exp.Subquery):
            refuse_others(node, "this", "with_", "order", "limit", "offset")
            inner = self.query(node.this, with_, outer)
            relation = self._ended(node, Relation(f"({inner.sql})", inner.columns))
        else:
            raise QueryRefused("Only a statement that reads can run: SELECT, WITH or VALUES.")
        return replace(relation, sql=prefix + relation.sql)

    def _common_tables(self, node: exp.Expr, with_: With, outer: Scope | None) -> tuple[str, With]:
        clause = node.args.get("with_")
        if clause is None:
            return "", with_
        if clause.args.get("recursive"):
            raise QueryRefused("WITH RECURSIVE is not supported: UNNEST(sequence(1, 10)) counts too.")
        known, pieces = dict(with_), []
        names = [entry.alias.lower() for entry in clause.expressions]
        if len(set(names)) < len(names):
            raise QueryRefused("Two queries in WITH have one name.")
        for entry in clause.expressions:
            if not isinstance(entry, exp.CTE):
                raise QueryRefused("A function in WITH is not supported.")
            relation = self.query(entry.this, known, outer)
            name = self.names.fresh("w")
            pieces.append(f"{name} AS ({relation.sql})")
            known[entry.alias.lower()] = Table(name, renamed(relation.columns, entry.args["alias"]))
        return f"WITH {', '.join(pieces)} ", known

    def _set_operation(self, node: exp.Expr, with_: With, outer: Scope | None) -> Relation:
        refuse_others(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
        sides = []
        for side in ("this", "expression"):
            self.names.kind = Kind.SIDE
            sides.append(self.query(node.args[side], with_, outer))
        word = _SET_OPERATIONS[type(node)]
        if len(sides[0].columns) != len(sides[1].columns):
            raise QueryRefused(f"The sides of {word} have different numbers of columns.")
        columns = []
        for a, b in zip(sides[0].columns, sides[1].columns, strict=True):
            type_ = types.common(a.type, b.type)
            if type_ is None:
                raise QueryRefused(
                    f"Column {a.name} is {a.type} on one side of {word} and {b.type} on the other."
                )
            columns.append(Column(a.name, type_, a.is_partition and b.is_partition))
        quantifier = "" if node.args.get("distinct") else " ALL"
        is_all = word == "UNION" and not node.args.get("distinct")
        left, right = (self.coerced(side, columns, is_distinct=not is_all) for side in sides)
        return Relation(f"({left}) {word}{quantifier} ({right})", columns)

    def coerced(self, relation: Relation, columns: Sequence[Column], *, is_distinct: bool = False) -> str:
        """Return a relation's SQL with its columns coerced to others' types."""
        has_map = is_distinct and any(column.type.contains("map") for column in columns)
        if not has_map and all(
            have.type == want.type for have, want in zip(relation.columns, columns, strict=True)
        ):
            return relation.sql
        seen = self.names.derived(f"({relation.sql})", relation.columns)
        values = [
            distinct_of(coerce(column.value, want.type)).sql
            if is_distinct
            else coerce(column.value, want.type).sql
            for column, want in zip(seen.columns, columns, strict=True)
        ]
        return f"SELECT {', '.join(values)} FROM {seen.sql}"  # noqa: S608

    def _ended(self, node: exp.Expr, relation: Relation) -> Relation:
        """Add ORDER BY (by position or name), OFFSET and LIMIT to VALUES or a set operation."""
        if node.args.get("order") is None:
            return replace(relation, sql=relation.sql + limit(node))
        seen = self.names.derived(f"({relation.sql})", relation.columns)
        scope = Scope(None)
        scope.columns = [
            replace(column, name="") if _UNNAMED.fullmatch(column.name) else column for column in seen.columns
        ]
        listed = ", ".join(column.value.sql for column in seen.columns)
        outputs = [(column.name, column.value) for column in seen.columns]
        with self.names.within(scope):
            order = order_by(self.expressions, node.args["order"], outputs)
        return replace(relation, sql=f"SELECT {listed} FROM {seen.sql}{order}{limit(node)}")  # noqa: S608

    def _values(self, node: exp.Values, outer: Scope | None) -> Relation:
        with self.names.within(Scope(outer, place=Place.VALUES)):
            rows = [self._cells(row) for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise QueryRefused("The rows of VALUES have different numbers of columns.")
        typed = [common(column, "VALUES") for column in zip(*rows, strict=True)]
        lines = zip(*[values for values, _ in typed], strict=True)
        sql = ", ".join("(" + ", ".join(value.sql for value in line) + ")" for line in lines)
        return Relation(f"VALUES {sql}", [Column(f"_col{i}", type_) for i, (_, type_) in enumerate(typed)])

    def _cells(self, row: exp.Expr) -> list[Value]:
        """Return the values of one row of VALUES: `VALUES ROW(1, 2)` is `VALUES (1, 2)`."""
        cells = [
            self.expressions.value(cell)
            for cell in (row.expressions if isinstance(row, exp.Tuple) else [row])
        ]
        if len(cells) == 1 and cells[0].type.name == "row":
            return [row_field(cells[0], index) for index in range(len(cells[0].type.arguments))]
        return cells

    def _select(self, node: exp.Select, with_: With, outer: Scope | None, kind: Kind) -> Relation:
        refuse_others(
            node, "expressions", "from_", "joins", "where", "group", "having", "distinct", "order", "limit",
            "offset", "windows", "with_",
        )  # fmt: skip
        outer_with, self.names.with_ = self.names.with_, with_
        try:
            scope = Scope(outer, windows=node.args.get("windows") or ())
            scope.aliases = [p.alias.lower() for p in node.expressions if isinstance(p, exp.Alias)]
            with self.names.within(scope):
                relation = self._select_within(node, scope)
            if scope.outer_places:
                own = [(column.table, column.name.lower()) for column in scope.columns]
                check_select(node, kind, scope.outer_places, IsOuter(own))
            return relation
        finally:
            self.names.with_ = outer_with

    def _select_within(self, node: exp.Select, scope: Scope) -> Relation:
        pieces = [self.relations.from_clause(node)]
        self.names.called.update((re.sub(r".*\.|\[.*|\"", "", c.value.sql), c.name) for c in scope.columns)
        if scope.sampled and node.args.get("joins"):
            raise QueryRefused(SAMPLE_BESIDE_A_JOIN)
        where = node.args.get("where")
        with self.names.at(Place.WHERE):
            conditions = [*([self.expressions.kept(where.this)] if where else []), *scope.sampled]
        if conditions:
            pieces.append(f" WHERE {' AND '.join(conditions)}")
        group = node.args.get("group")
        if group:
            places = [int(part.name) for part in group.find_all(exp.Literal) if part.is_int]
            grouped = [
                group,
                *(node.expressions[place - 1] for place in places if place <= len(node.expressions)),
            ]
            keys = {column.name.lower() for part in grouped for column in part.find_all(exp.Column)}
            scope.columns = [self._as_key(c) if c.name.lower() in keys else c for c in scope.columns]
        scope.is_grouped = group is not None
        outputs = self._outputs(node, scope)
        for window in scope.windows:
            self.expressions.calls.check_window(window)
        if group:
            pieces.append(f" GROUP BY {self._group(group, node, outputs)}")
            self._check_groups(node, group)
        if having := node.args.get("having"):
            pieces.append(f" HAVING {self.expressions.condition(having.this, 'HAVING')}")
        scope.outputs = {name.lower(): value for name, value in outputs}
        distinct = "DISTINCT " if node.args.get("distinct") else ""
        if distinct:
            outputs = [(name, distinct_of(value)) for name, value in outputs]
        pieces.append(
            order_by(self.expressions, node.args.get("order"), outputs, results_only=distinct and "DISTINCT")
        )
        pieces.append(limit(node))
        listed = ", ".join(f"{value.sql} AS {quoted(name)}" for name, value in outputs)
        is_plain = not (group and any(isinstance(key, _SEVERAL_GROUPINGS) for key in group.expressions))
        columns = [Column(name, value.type, value.is_partition and is_plain) for name, value in outputs]
        return Relation(f"SELECT {distinct}{listed}{''.join(pieces)}", columns)

    def _as_key(self, column: Seen) -> Seen:
        """Return a column of which GROUP BY finds the equal values; DuckDB's maps are ordered."""
        return replace(column, value=distinct_of(column.value))

    def _outputs(self, node: exp.Select, scope: Scope) -> list[tuple[str, Value]]:
        outputs: list[tuple[str, Value]] = []
        if not node.expressions:
            raise QueryRefused("A SELECT needs something to select.")
        _check_zeros(node.expressions)
        for projection in node.expressions:
            if (fields := self._fields_of(projection)) is not None:
                outputs += [
                    (name or f"_col{len(outputs) + at}", value) for at, (name, value) in enumerate(fields)
                ]
                continue
            star = _star(projection)
            if star is not None:
                of_table = [
                    c for c in scope.columns if not c.is_hidden and star in ("", (c.table or "").lower())
                ]
                if not of_table:
                    raise QueryRefused(f"There is no {star or 'table'} that * could stand for.")
                for column in of_table:
                    name = f"_col{len(outputs)}" if _UNNAMED.fullmatch(column.name) else column.name
                    outputs.append((name, column.value))
            elif isinstance(projection, exp.Alias):
                outputs.append((projection.alias, self.expressions.value(projection.this)))
            else:
                bare = projection.unnest()
                name = bare.name if isinstance(bare, exp.Column) else f"_col{len(outputs)}"
                outputs.append((name, self.expressions.value(projection)))
        return outputs

    def _fields_of(self, node: exp.Expr) -> list[tuple[str | None, Value]] | None:
        """Return the fields of `row.*`, or None for anything else."""
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Star):
            row = self.expressions.value(node.this)
        elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star) and node.args.get("db"):
            found = self.names.find(node.table, node.db)
            if found is None:
                return None
            row = found
        else:
            return None
        if row.type.name != "row":
            raise QueryRefused(f".* needs a table or a row, not {row.type}.")
        return [(name, row_field(row, index)) for index, name in enumerate(row.type.fields)]

    def _check_groups(self, node: exp.Select, group: exp.Expr) -> None:
        """Check that GROUP BY covers what is selected, as Trino compares expressions."""

        def resolve(column: exp.Expr) -> str:
            """Return a column's SQL; an empty text for one of an outer query."""
            before = len(self.names.are_outer)
            sql = self.expressions.value(column).sql
            return "" if any(self.names.are_outer[before:]) else sql

        outputs = [part.this if isinstance(part, exp.Alias) else part for part in node.expressions]
        if any(_star(output) is not None for output in outputs):
            return  # what it stands for is no part of the tree; DuckDB finds what is missing
        groups: set[Hashable] = set()
        for item in group.expressions:
            parts = item.find_all(exp.Column) if isinstance(item, _SEVERAL_GROUPINGS) else [item]
            for key in parts:
                for part in key.expressions if isinstance(key, exp.Tuple) else [key]:
                    is_position = isinstance(part, exp.Literal) and part.is_int
                    expression = outputs[int(part.this) - 1] if is_position else part
                    groups.add(grouping.form(expression, resolve))
        for output in outputs:
            grouping.check(output, groups, resolve)

    def _group(self, group: exp.Expr, select: exp.Select, outputs: Sequence[tuple[str, Value]]) -> str:
        if group.args.get("all") and not group.expressions:
            raise QueryRefused("Athena has no GROUP BY ALL: list the columns, or their positions.")
        refuse_others(group, "expressions", "all")
        if not group.expressions:
            raise QueryRefused("GROUP BY needs something to group by.")

        known = {column.value.sql for column in self.names.scope.columns}
        selected = [part.unalias() for part in select.expressions]

        def key(node: exp.Expr) -> str:
            if isinstance(node, exp.Literal) and not node.is_string:
                position = int(node.this) - 1
                if not 0 <= position < len(outputs):
                    raise QueryRefused(f"GROUP BY {node.this}: there is no such column in the result.")
                value = outputs[position][1]
            elif node.find(exp.Query) and node in selected and len(selected) == len(outputs):
                value = outputs[selected.index(node)][1]  # a query's names differ each time
            else:
                value = self.expressions.value(node)
            if value.type.contains("map") and value.sql not in known:
                raise QueryRefused(
                    "GROUP BY of a map that is computed is not supported: name it in a subquery."
                )
            # DuckDB would take a literal number for the position of a result.
            return value.sql if value.constant is None else f"CAST({value.sql} AS {value.type.duckdb})"

        def columns(node: exp.Expr) -> str:
            of = node.expressions if isinstance(node, exp.Tuple) else [node]
            for part in of:
                if not isinstance(part.unnest(), exp.Column):
                    raise QueryRefused(
                        f"GROUPING SETS, ROLLUP and CUBE take columns alone on Athena, not {spelled(part)}: "
                        "compute and name it in a subquery."
                    )
            return keys(node)

        def keys(node: exp.Expr) -> str:
            if isinstance(node, exp.Tuple):
                return "(" + ", ".join(map(key, node.expressions)) + ")"
            return f"({key(node.this if isinstance(node, exp.Paren) else node)})"

        pieces = []
        for node in group.expressions:
            if isinstance(node, exp.Rollup | exp.Cube):
                word = "ROLLUP" if isinstance(node, exp.Rollup) else "CUBE"
                pieces.append(f"{word} ({', '.join(map(columns, node.expressions))})")
            elif isinstance(node, exp.GroupingSets):
                pieces.append(f"GROUPING SETS ({', '.join(map(columns, node.expressions))})")
            elif isinstance(node, exp.Tuple):
                pieces += list(map(key, node.expressions))
            else:
                pieces.append(key(node))
        return ", ".join(pieces) or "GROUPING SETS (())"


def _check_zeros(projections: Sequence[exp.Expr]) -> None:
    """Refuse expressions of one SELECT that differ in the sign of a zero alone: Athena computes them once."""
    if not any(_is_zero(literal.this) for part in projections for literal in part.find_all(exp.Neg)):
        return
    seen: dict[str, exp.Expr] = {}
    for part in (projection.unalias() for projection in projections):
        if isinstance(part.unnest(), exp.Neg | exp.Literal):
            continue
        without_sign = part.transform(
            lambda node: (
                exp.Literal.number("0e0")
                if _is_zero(node.this if isinstance(node, exp.Neg) else node)
                else node
            )
        )
        if seen.setdefault(without_sign.sql(), part) != part:
            raise QueryRefused(
                f"{spelled(part)}: Athena takes 0e0 and -0e0 for one constant there: write two queries."
            )


def _is_zero(node: object) -> bool:
    """Whether it is a literal zero that is a double."""
    return isinstance(node, exp.Literal) and re.fullmatch(r"(?i)[0.]+e[+-]?\d+", node.name) is not None


def _star(node: exp.Expr) -> str | None:
    """Return "" for `*`, the table's name for `t.*`, None for anything else."""
    if isinstance(node, exp.Star):
        refuse_others(node)
        return ""
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        return node.table.lower()
    return None
