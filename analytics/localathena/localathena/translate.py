"""Athena's SQL in DuckDB's words: right, or refused.

sqlglot reads the statement, with every function left as it is spelled. Each expression is then translated
with its Trino type, because what an operator means depends on it: `7 / 2` is 3, `1.0 / 3` is 0.3, and
`current_date - interval '7' day` is a date.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parsers.trino import TrinoParser
from sqlglot.tokenizer_core import Token, TokenType

from localathena import aggregates as trino_aggregates
from localathena import functions as trino_functions
from localathena import time as trino_time
from localathena import types
from localathena.errors import QueryRefused
from localathena.statements import COMMENTS, EXPLAIN, ensure_it_reads
from localathena.syntax import RESERVED, checked
from localathena.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    Column,
    Type,
    quoted,
    text,
)
from localathena.values import (
    NULL,
    Value,
    arithmetic,
    attempt,
    between,
    cast,
    common,
    comparison,
    ensure_distinct,
    ensure_simple,
    expect,
    fail_if,
    from_local,
    number,
    one_of,
    refuse_if,
    without_nan,
)
from localathena.values import coerce as coerce_value
from localathena.values import field as row_field


@dataclass(frozen=True)
class Table:
    """What a statement can read from: its name in DuckDB, and its columns."""

    name: str
    columns: Sequence[Column]
    hidden: Sequence[Column] = ()
    """Columns that `*` leaves out, as `"$path"`."""


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB, and the columns of its result as Trino names and types them."""

    sql: str
    columns: Sequence[Column]
    names: Mapping[str, str] = field(default_factory=dict)
    """What DuckDB's errors call a column → what the statement calls it."""


def translate(
    sql: str, tables: Mapping[str, Table], parameters: Sequence[str] = (), database: str | None = None
) -> Translation:
    """Translate one read-only statement of Athena's, each `?` standing for the text of one parameter.

    Names may be qualified with `AwsDataCatalog` and the database: with any, if `database` is None.

    Raises:
        QueryRefused: it reads more than the tables, or is nothing that is known to mean the same in DuckDB.
    """
    ensure_it_reads(sql)
    by_name = {name.lower(): table for name, table in tables.items()}
    bare = COMMENTS.sub(" ", sql).strip()
    if EXPLAIN.match(bare):
        raise QueryRefused(
            "EXPLAIN shows how Athena would run a statement, which is not known here: run the statement, and "
            "see with its answer what was scanned."
        )
    if _SHOWING.match(bare):
        return _listed(by_name, bare, database)
    try:
        translator = _Translator(by_name, database)
        relation = translator.query(_parse(sql, parameters), {}, None)
    except RecursionError:
        raise QueryRefused("The statement is nested too deeply.") from None
    return Translation(relation.sql, relation.columns, translator.names)


_SHOWING = re.compile(r"(SHOW|DESC|DESCRIBE)\b", re.IGNORECASE)
_NAME = r"(?:(?P<database>\w+)\.)?(?P<table>\w+)"
_LISTINGS = {
    "tables": r"SHOW\s+TABLES(?:\s+IN\s+(?P<database>\w+))?(?:\s+(?:LIKE\s+)?'(?P<form>[^']*)')?",
    "columns": rf"SHOW\s+COLUMNS\s+(?:FROM|IN)\s+{_NAME}",
    "types": rf"(?:DESC|DESCRIBE)\s+{_NAME}",
}
_NOT_SHOWN = {
    r"SHOW\s+PARTITIONS": "SELECT DISTINCT dt FROM the table",
    r"SHOW\s+(CREATE|TBLPROPERTIES)|DESC(RIBE)?\s+(FORMATTED|EXTENDED)": "DESCRIBE and the table's name",
    r"SHOW\s+VIEWS": "SHOW TABLES, which has the views too",
    r"SHOW\s+(DATABASES|SCHEMAS|CATALOGS)": "SHOW TABLES: there is one database here",
}
"""Statements that are not known here, and what to write instead."""


def _listed(tables: Mapping[str, Table], sql: str, database: str | None) -> Translation:
    """Return SHOW TABLES, SHOW COLUMNS or DESCRIBE as VALUES."""
    tried = ((kind, re.fullmatch(form + r"\s*;?", sql, re.IGNORECASE)) for kind, form in _LISTINGS.items())
    kind, found = next(((kind, found) for kind, found in tried if found), ("", None))
    if found is None:
        instead = next((told for form, told in _NOT_SHOWN.items() if re.match(form, sql, re.IGNORECASE)), "")
        raise QueryRefused(
            "SHOW TABLES, SHOW COLUMNS FROM and DESCRIBE of a table are all that is shown here."
            + (f" Write {instead}." if instead else "")
        )
    asked = found["database"]
    if asked and database and asked.lower() != database.lower():
        raise QueryRefused(f"There is no database {asked}, but {database}.")
    if kind == "tables":
        form = "|".join(map(re.escape, (found["form"] or "*").split("|"))).replace(r"\*", ".*")
        names = [[name] for name in sorted(tables) if re.fullmatch(form, name, re.IGNORECASE)]
        return Translation(_values_of(names, 1), [Column("tab_name", VARCHAR)])
    if found["table"].lower() not in tables:
        raise QueryRefused(
            f"There is no table {found['table']}. The tables are: {', '.join(sorted(tables))}."
        )
    columns = tables[found["table"].lower()].columns
    if kind == "columns":
        return Translation(_values_of([[c.name] for c in columns], 1), [Column("field", VARCHAR)])
    lines = [[column.name, types.in_hive(column.type)] for column in columns]
    return Translation(_values_of(lines, 2), [Column("col_name", VARCHAR), Column("data_type", VARCHAR)])


def _values_of(lines: Sequence[Sequence[str]], width: int) -> str:
    if not lines:
        return f"SELECT {', '.join(['NULL'] * width)} WHERE FALSE"
    return "VALUES " + ", ".join("(" + ", ".join(map(text, line)) + ")" for line in lines)


class _Dialect(Trino):
    """Trino's, with functions left as they are spelled and subscripts as they are counted."""

    INDEX_OFFSET = 0

    class Parser(TrinoParser):
        """Knows only the functions that have a syntax of their own."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: TrinoParser.FUNCTION_PARSERS[name]
            for name in ("CAST", "TRY_CAST", "EXTRACT", "POSITION", "TRIM", "SUBSTRING", "LISTAGG")
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: TrinoParser.NO_PAREN_FUNCTION_PARSERS[name] for name in ("CASE", "IF", "ANY")
        }


def _parse(sql: str, parameters: Sequence[str]) -> exp.Expr:
    dialect = _Dialect()
    try:
        parts = checked(dialect.tokenize(sql), sql)
        places = [index for index, part in enumerate(parts) if part.token_type == TokenType.PLACEHOLDER]
        if len(places) != len(parameters):
            raise QueryRefused(f"The statement has {len(places)} `?`, and {len(parameters)} parameters came.")
        for index, parameter in zip(places, parameters, strict=True):
            parts[index] = Token(TokenType.STRING, text=parameter)
        trees = [tree for tree in dialect.parser().parse(parts, sql) if tree is not None]
    except SqlglotError as error:
        raise QueryRefused(f"This is not Athena SQL: {_without_colours(str(error))}") from error
    except (AttributeError, TypeError) as error:  # sqlglot stumbles where a name is missing
        raise QueryRefused("This is not Athena SQL: something is missing.") from error
    if len(trees) != 1:
        raise QueryRefused(f"One statement at a time, please: here are {len(trees)}.")
    for identifier in trees[0].find_all(exp.Identifier):
        name = identifier.name
        if not identifier.args.get("quoted") and (
            name.upper() in RESERVED or not re.match("[A-Za-z_]", name)
        ):
            raise QueryRefused(f'{name} is no name on Athena but in quotes: "{name}".')
    return trees[0]


def _without_colours(message: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", message).splitlines()[0]


@dataclass(frozen=True)
class _Seen:
    """A column as an expression may name it."""

    name: str
    table: str | None
    value: Value
    is_hidden: bool = False


@dataclass
class _Scope:
    """What the expressions of one SELECT may name."""

    outer: "_Scope | None"
    columns: list[_Seen] = field(default_factory=list)
    windows: Sequence[exp.Expr] = ()
    outputs: Mapping[str, Value] = field(default_factory=dict)
    """The results' names, which ORDER BY looks at first."""
    aliases: Sequence[str] = ()
    """The names that the SELECT gives, which nothing but ORDER BY may use."""
    sampled: Sequence[str] = ()
    """Conditions that keep a random sample of the rows."""


@dataclass(frozen=True)
class _Relation:
    """A query's SQL for DuckDB, and its columns."""

    sql: str
    columns: Sequence[Column]


@dataclass(frozen=True)
class _Derived:
    """A relation's SQL under a name of its own, and its columns as expressions may name them."""

    sql: str
    columns: Sequence[_Seen]


_With = Mapping[str, Table]

_SEVERAL_GROUPINGS = (exp.Rollup, exp.Cube, exp.GroupingSets)

_ARITHMETIC: Mapping[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
_COMPARISONS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}
_SAMPLE_BESIDE_A_JOIN = (
    "TABLESAMPLE beside a join is not known here: write (SELECT * FROM t TABLESAMPLE ...) AS t."
)
_PREDICATES = (*_COMPARISONS, exp.In, exp.Between, exp.Like, exp.Is)
_SET_OPERATIONS: Mapping[type[exp.Expr], str] = {
    exp.Union: "UNION",
    exp.Except: "EXCEPT",
    exp.Intersect: "INTERSECT",
}
_JOINS = {
    ("", ""),
    ("", "INNER"),
    ("", "CROSS"),
    *((side, kind) for side in ("LEFT", "RIGHT", "FULL") for kind in ("", "OUTER")),
}


class _Translator:
    """Walks one statement. A node that is not listed here is refused."""

    def __init__(self, tables: Mapping[str, Table], database: str | None) -> None:
        self._tables = tables
        self._database = database
        self._scope = _Scope(None)
        self._with: _With = {}
        self._lambdas: list[dict[str, Value]] = []
        self._are_outer: list[bool] = []
        """Of each column that was named: whether it belongs to an outer query."""
        self._names = 0
        self.names: dict[str, str] = {}
        """What DuckDB calls a column → what the statement calls it."""

    # Queries

    def query(self, node: exp.Expr, with_: _With, outer: _Scope | None) -> _Relation:
        """Translate SELECT, VALUES, a set operation or one of these in parentheses."""
        if isinstance(node, exp.Subquery) and not node.args.get("alias"):
            _refuse_others(node, "this", "with_", "order", "limit", "offset")
            if not any(node.args.get(part) for part in ("with_", "order", "limit", "offset")):
                return self.query(node.this, with_, outer)
        prefix, with_ = self._common_tables(node, with_, outer)
        if isinstance(node, exp.Select):
            relation = self._select(node, with_, outer)
        elif isinstance(node, tuple(_SET_OPERATIONS)):
            relation = self._ended(node, self._set_operation(node, with_, outer))
        elif isinstance(node, exp.Values):
            _refuse_others(node, "expressions", "alias", "order", "limit", "offset", "with_")
            relation = self._ended(node, self._values(node, outer))
        elif isinstance(node, exp.Subquery):
            _refuse_others(node, "this", "with_", "order", "limit", "offset")
            inner = self.query(node.this, with_, outer)
            relation = self._ended(node, _Relation(f"({inner.sql})", inner.columns))
        else:
            raise QueryRefused("Only a statement that reads can be run: SELECT, WITH or VALUES.")
        return replace(relation, sql=prefix + relation.sql)

    def _common_tables(self, node: exp.Expr, with_: _With, outer: _Scope | None) -> tuple[str, _With]:
        clause = node.args.get("with_")
        if clause is None:
            return "", with_
        if clause.args.get("recursive"):
            raise QueryRefused("WITH RECURSIVE is not known here: UNNEST(sequence(1, 10)) counts too.")
        known, pieces = dict(with_), []
        names = [entry.alias.lower() for entry in clause.expressions]
        if len(set(names)) < len(names):
            raise QueryRefused("Two queries in WITH have one name.")
        for entry in clause.expressions:
            if not isinstance(entry, exp.CTE):
                raise QueryRefused("A function in WITH is not known here.")
            relation = self.query(entry.this, known, outer)
            name = self._name("w")
            pieces.append(f"{name} AS ({relation.sql})")
            known[entry.alias.lower()] = Table(name, _renamed(relation.columns, entry.args["alias"]))
        return f"WITH {', '.join(pieces)} ", known

    def _set_operation(self, node: exp.Expr, with_: _With, outer: _Scope | None) -> _Relation:
        _refuse_others(node, "this", "expression", "distinct", "with_", "order", "limit", "offset")
        sides = [self.query(node.args[side], with_, outer) for side in ("this", "expression")]
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
            if not (word == "UNION" and not node.args.get("distinct")):
                ensure_distinct(type_, word)
            columns.append(Column(a.name, type_, a.is_partition and b.is_partition))
        quantifier = "" if node.args.get("distinct") else " ALL"
        left, right = (self._typed(side, columns) for side in sides)
        return _Relation(f"({left}) {word}{quantifier} ({right})", columns)

    def _typed(self, relation: _Relation, columns: Sequence[Column]) -> str:
        """Return a relation's SQL with its columns coerced to others' types."""
        if all(have.type == want.type for have, want in zip(relation.columns, columns, strict=True)):
            return relation.sql
        seen = self._derived(f"({relation.sql})", relation.columns)
        values = [
            coerce_value(column.value, want.type).sql
            for column, want in zip(seen.columns, columns, strict=True)
        ]
        return f"SELECT {', '.join(values)} FROM {seen.sql}"  # noqa: S608

    def _ended(self, node: exp.Expr, relation: _Relation) -> _Relation:
        """Add ORDER BY, OFFSET and LIMIT to what is not a SELECT: by position or by name."""
        outputs = [
            (column.name, Value(str(place), column.type)) for place, column in enumerate(relation.columns, 1)
        ]
        order = self._order(node.args.get("order"), outputs, results_only="a set operation or VALUES")
        return replace(relation, sql=relation.sql + order + self._limit(node))

    def _values(self, node: exp.Values, outer: _Scope | None) -> _Relation:
        with self._within(_Scope(outer)):
            rows = [self._cells(row) for row in node.expressions]
        if len({len(row) for row in rows}) != 1:
            raise QueryRefused("The rows of VALUES have different numbers of columns.")
        typed = [common(column, "VALUES") for column in zip(*rows, strict=True)]
        lines = zip(*[values for values, _ in typed], strict=True)
        sql = ", ".join("(" + ", ".join(value.sql for value in line) + ")" for line in lines)
        return _Relation(f"VALUES {sql}", [Column(f"_col{i}", type_) for i, (_, type_) in enumerate(typed)])

    def _cells(self, row: exp.Expr) -> list[Value]:
        """Return a line of VALUES, which may be a row: `VALUES ROW(1, 2)` is `VALUES (1, 2)`."""
        cells = [self.value(cell) for cell in (row.expressions if isinstance(row, exp.Tuple) else [row])]
        if len(cells) == 1 and cells[0].type.name == "row":
            return [row_field(cells[0], index) for index in range(len(cells[0].type.arguments))]
        return cells

    # SELECT

    def _select(self, node: exp.Select, with_: _With, outer: _Scope | None) -> _Relation:
        _refuse_others(
            node, "expressions", "from_", "joins", "where", "group", "having", "distinct", "order", "limit",
            "offset", "windows", "with_",
        )  # fmt: skip
        outer_with, self._with = self._with, with_
        try:
            scope = _Scope(outer, windows=node.args.get("windows") or ())
            scope.aliases = [p.alias.lower() for p in node.expressions if isinstance(p, exp.Alias)]
            with self._within(scope):
                return self._select_within(node, scope)
        finally:
            self._with = outer_with

    def _select_within(self, node: exp.Select, scope: _Scope) -> _Relation:
        pieces = [self._from(node)]
        self.names.update((re.sub(r".*\.|\[.*|\"", "", c.value.sql), c.name) for c in scope.columns)
        if scope.sampled and node.args.get("joins"):
            raise QueryRefused(_SAMPLE_BESIDE_A_JOIN)
        where = node.args.get("where")
        if conditions := [*([self._kept(where.this)] if where else []), *scope.sampled]:
            pieces.append(f" WHERE {' AND '.join(conditions)}")
        outputs = self._outputs(node, scope)
        if group := node.args.get("group"):
            pieces.append(f" GROUP BY {self._group(group, outputs)}")
        if having := node.args.get("having"):
            pieces.append(f" HAVING {self._condition(having.this, 'HAVING')}")
        scope.outputs = {name.lower(): value for name, value in outputs}
        distinct = "DISTINCT " if node.args.get("distinct") else ""
        if distinct:
            for _, value in outputs:
                ensure_distinct(value.type, "DISTINCT")
        pieces.append(self._order(node.args.get("order"), outputs, results_only=distinct and "DISTINCT"))
        pieces.append(self._limit(node))
        listed = ", ".join(f"{value.sql} AS {quoted(name)}" for name, value in outputs)
        is_plain = not (group and any(isinstance(key, _SEVERAL_GROUPINGS) for key in group.expressions))
        columns = [Column(name, value.type, value.is_partition and is_plain) for name, value in outputs]
        return _Relation(f"SELECT {distinct}{listed}{''.join(pieces)}", columns)

    def _outputs(self, node: exp.Select, scope: _Scope) -> list[tuple[str, Value]]:
        outputs: list[tuple[str, Value]] = []
        if not node.expressions:
            raise QueryRefused("A SELECT wants something to select.")
        for projection in node.expressions:
            star = _star(projection)
            if star is not None:
                of_table = [
                    c for c in scope.columns if not c.is_hidden and star in ("", (c.table or "").lower())
                ]
                if not of_table:
                    raise QueryRefused(f"There is no {star or 'table'} for * to stand for.")
                outputs += [(column.name, column.value) for column in of_table]
            elif isinstance(projection, exp.Alias):
                outputs.append((projection.alias, self.value(projection.this)))
            else:
                name = (
                    projection.name if isinstance(projection, exp.Column | exp.Dot) else f"_col{len(outputs)}"
                )
                outputs.append((name, self.value(projection)))
        return outputs

    def _group(self, group: exp.Expr, outputs: Sequence[tuple[str, Value]]) -> str:
        if group.args.get("all"):
            raise QueryRefused("Athena has no GROUP BY ALL: write the columns out, or their places.")
        _refuse_others(group, "expressions")
        if not group.expressions:
            raise QueryRefused("GROUP BY wants something to group by.")

        def key(node: exp.Expr) -> str:
            if isinstance(node, exp.Literal) and not node.is_string:
                position = int(node.this) - 1
                if not 0 <= position < len(outputs):
                    raise QueryRefused(f"GROUP BY {node.this}: there is no such column in the result.")
                value = outputs[position][1]
            else:
                value = self.value(node)
            ensure_distinct(value.type, "GROUP BY")
            # A number written out would be a place among the results to DuckDB.
            return value.sql if value.constant is None else f"CAST({value.sql} AS {value.type.duckdb})"

        def keys(node: exp.Expr) -> str:
            if isinstance(node, exp.Tuple):
                return "(" + ", ".join(map(key, node.expressions)) + ")"
            return f"({key(node.this if isinstance(node, exp.Paren) else node)})"

        pieces = []
        for node in group.expressions:
            if isinstance(node, exp.Rollup | exp.Cube):
                word = "ROLLUP" if isinstance(node, exp.Rollup) else "CUBE"
                pieces.append(f"{word} ({', '.join(map(keys, node.expressions))})")
            elif isinstance(node, exp.GroupingSets):
                pieces.append(f"GROUPING SETS ({', '.join(map(keys, node.expressions))})")
            elif isinstance(node, exp.Tuple):
                pieces += list(map(key, node.expressions))
            else:
                pieces.append(key(node))
        return ", ".join(pieces) or "GROUPING SETS (())"

    def _order(
        self, order: exp.Expr | None, outputs: Sequence[tuple[str, Value]] = (), results_only: str = ""
    ) -> str:
        """Translate ORDER BY: of a query if there are outputs, of a window or an aggregate if not.

        After `results_only` it can name nothing else than what is in the result.
        """
        if order is None:
            return ""
        keys = []
        for item in order.expressions:
            _refuse_others(item, "this", "desc", "nulls_first")
            place = _place(item.this, outputs)
            value = outputs[place - 1][1] if place else self._order_key(item.this, outputs, results_only)
            ensure_simple(value.type, "ORDER BY")
            key = str(place) if place else value.sql
            if item.args.get("nulls_first") and value.type.is_floating:
                # Trino has NaN next to NULL then.
                if place and results_only:
                    raise QueryRefused(f"NULLS FIRST on a double after {results_only} is not known here.")
                key = without_nan(value, "NULLS FIRST").sql
            nulls = "FIRST" if item.args.get("nulls_first") else "LAST"
            keys.append(f"{key} {'DESC' if item.args.get('desc') else 'ASC'} NULLS {nulls}")
        return f" ORDER BY {', '.join(keys)}"

    def _order_key(self, node: exp.Expr, outputs: Sequence[tuple[str, Value]], results_only: str) -> Value:
        refusal = QueryRefused(
            f"ORDER BY after {results_only} wants a column of the result, by name or place."
        )
        if results_only and results_only != "DISTINCT":
            raise refusal
        value = self.value(node)
        if results_only and value.sql not in [output.sql for _, output in outputs]:
            raise refusal
        return value

    def _limit(self, node: exp.Expr) -> str:
        limit, offset = node.args.get("limit"), node.args.get("offset")
        sql = ""
        if limit is not None:
            options = limit.args.get("limit_options")
            if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
                raise QueryRefused(
                    "FETCH WITH TIES is not known here: use rank() OVER (ORDER BY ...) and WHERE."
                )
            count = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression
            sql += f" LIMIT {1 if count is None else _whole_number(count, 'LIMIT')}"
        if offset is not None:
            sql += f" OFFSET {_whole_number(offset.expression, 'OFFSET')}"
        return sql

    # FROM

    def _from(self, node: exp.Select) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        scope = self._scope
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
        """Translate `left, a JOIN b ON ...`, where ON and USING see nothing of what is left of the comma."""
        if isinstance(comma.this, exp.Unnest | exp.Lateral):
            raise QueryRefused("A JOIN after a comma and UNNEST or LATERAL: write CROSS JOIN for the comma.")
        target = comma.this.copy()
        target.set("joins", [*(target.args.get("joins") or []), *(join.copy() for join in joins)])
        sql, columns = self._relation(target)
        self._scope.columns += columns
        return f"{left} CROSS JOIN {sql}"

    def _join(self, left: str, join: exp.Join) -> str:
        _refuse_others(join, "this", "side", "kind", "on", "using")
        scope, target = self._scope, join.this
        side, kind = (str(join.args.get(part) or "").upper() for part in ("side", "kind"))
        condition = join.args.get("on")
        if isinstance(target, exp.Unnest):
            if (
                side not in ("", "LEFT")
                or (side == "LEFT" and not _is_true(condition))
                or join.args.get("using")
            ):
                raise QueryRefused(
                    "UNNEST is known here after CROSS JOIN, a comma, or LEFT JOIN ... ON TRUE."
                )
            if side == "" and condition is not None and not _is_true(condition):
                raise QueryRefused("JOIN UNNEST with a condition is not known here: put it into WHERE.")
            return self._unnested(left, target, keep_empty=side == "LEFT")
        sql, columns = self._relation(target)
        word = f"{side} JOIN" if side else "JOIN"
        if (side, kind) not in _JOINS:
            raise QueryRefused(f"{side} {kind} JOIN is not known here.")
        if using := join.args.get("using"):
            return f"{left} {word} {sql} ON {self._merged(using, columns, side)}"
        before = len(scope.columns)
        scope.columns += columns
        if condition is None:
            if kind == "INNER" or side:
                raise QueryRefused("A JOIN wants ON or USING.")
            return f"{left} CROSS JOIN {sql}"
        on = self._condition(condition, "ON")
        if side in ("RIGHT", "FULL"):
            scope.columns[:before] = map(_optional, scope.columns[:before])
        if side in ("LEFT", "FULL"):
            scope.columns[before:] = map(_optional, scope.columns[before:])
        return f"{left} {word} {sql} ON {on}"

    def _merged(self, using: Sequence[exp.Expr], right: Sequence[_Seen], side: str) -> str:
        """Merge the columns of USING into one each, and return the condition that joins on them."""
        scope, conditions, merged, gone = self._scope, [], [], []
        for identifier in using:
            a, b = (_only(identifier.name, None, columns) for columns in (scope.columns, right))
            if a is None or b is None:
                raise QueryRefused(f"USING: the column {identifier.name} is not on both sides.")
            (x, y), type_ = common([a.value, b.value], "USING")
            conditions.append(comparison("=", x, y).sql)
            sql = {"RIGHT": y.sql, "FULL": f"coalesce({x.sql}, {y.sql})"}.get(side, x.sql)
            merged.append(_Seen(identifier.name, None, Value(sql, type_)))
            gone += [a, b]
        kept = [column for column in [*scope.columns, *right] if column not in gone]
        scope.columns = merged + [_optional(column) if side else column for column in kept]
        return " AND ".join(conditions)

    def _relation(self, node: exp.Expr) -> tuple[str, list[_Seen]]:
        joins = node.args.get("joins")
        if not joins:
            return self._single_relation(node)
        alone = node.copy()
        alone.set("joins", None)
        with self._within(_Scope(self._scope.outer)) as scope:
            sql = self._from(exp.Select(from_=exp.From(this=alone), joins=[join.copy() for join in joins]))
        if scope.sampled:
            raise QueryRefused(_SAMPLE_BESIDE_A_JOIN)
        return f"({sql.removeprefix(' FROM ')})", scope.columns

    def _single_relation(self, node: exp.Expr) -> tuple[str, list[_Seen]]:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Lateral):
            _refuse_others(node, "this", "alias")
            return self._subquery(node.this, node.args.get("alias"), self._scope)
        if isinstance(node, exp.Values):
            return self._subquery(node, node.args.get("alias"), self._scope.outer)
        if isinstance(node, exp.Subquery):
            _refuse_others(node, "this", "alias", "with_", "order", "limit", "offset")
            if isinstance(node.this, exp.Table) or (
                isinstance(node.this, exp.Subquery)
                and (node.this.args.get("alias") or node.this.args.get("joins"))
            ):
                return self._joined(node)
            inner = node
            if node.args.get("alias"):
                inner = node.copy()
                inner.set("alias", None)
            return self._subquery(inner, node.args.get("alias"), self._scope.outer)
        raise QueryRefused(f"{_spelled(node)} is not known here as something to read from.")

    def _joined(self, node: exp.Subquery) -> tuple[str, list[_Seen]]:
        """Translate a table or a join in parentheses."""
        sql, columns = self._relation(node.this)
        alias = node.args.get("alias")
        return sql, _aliased(columns, alias, None) if alias else columns

    def _table(self, node: exp.Table) -> tuple[str, list[_Seen]]:
        _refuse_others(node, "this", "db", "catalog", "alias", "joins", "sample")
        if node.args.get("sample"):
            self._scope.sampled = [*self._scope.sampled, _sampled(node.args["sample"])]
        if isinstance(node.this, exp.Values):
            return self._subquery(node.this, node.args.get("alias"), self._scope.outer)
        if not isinstance(node.this, exp.Identifier):
            raise QueryRefused(f"{_spelled(node)} is not a table: no function can be read from.")
        name, alias = node.name.lower(), node.args.get("alias")
        local = self._name("t")
        if name in self._with and not node.db:
            table = self._with[name]
            seen = self._derived(table.name, table.columns)
            return seen.sql, _aliased(seen.columns, alias, node.name)
        table_or_none = self._tables.get(name) if self._is_ours(node) else None
        if table_or_none is None:
            known = ", ".join(sorted(self._tables)) or "none"
            raise QueryRefused(
                f"There is no table {_spelled(node)}. The tables are: {known}.{_other_tables(node)}"
            )
        table = table_or_none
        columns = [
            _Seen(column.name, None, _reference(f"{local}.{quoted(column.name)}", column), is_hidden)
            for is_hidden, group in ((False, table.columns), (True, table.hidden))
            for column in group
        ]
        return f"{quoted(table.name)} AS {local}", _aliased(columns, alias, node.name)

    def _is_ours(self, node: exp.Table) -> bool:
        return node.catalog.lower() in ("", "awsdatacatalog") and (not node.db or self._is_database(node.db))

    def _is_database(self, name: str) -> bool:
        return self._database is None or name.lower() == self._database.lower()

    def _subquery(
        self, node: exp.Expr, alias: exp.Expr | None, outer: _Scope | None
    ) -> tuple[str, list[_Seen]]:
        relation = self.query(node, self._with, outer)
        seen = self._derived(f"({relation.sql})", relation.columns)
        return seen.sql, _aliased(seen.columns, alias, None)

    def _derived(self, sql: str, columns: Sequence[Column]) -> _Derived:
        """Name a query's columns by their positions: Trino lets two have one name."""
        local = self._name("t")
        names = [f"{local}c{index}" for index in range(1, len(columns) + 1)]
        seen = [
            _Seen(column.name, None, _reference(f"{local}.{name}", column))
            for name, column in zip(names, columns, strict=True)
        ]
        return _Derived(f"{sql} AS {local}({', '.join(names)})", seen)

    # UNNEST

    def _unnested(self, left: str, node: exp.Unnest, *, keep_empty: bool) -> str:
        """Join a row with each element of its arrays.

        As a projection, not as a lateral join: DuckDB moves no filter through a lateral join, so that every
        partition would be read.
        """
        scope, local = self._scope, self._name("t")
        kept = [
            replace(column, value=replace(column.value, sql=f"{local}.{local}k{index}"))
            for index, column in enumerate(scope.columns)
        ]
        listed = [f"{column.value.sql} AS {local}k{index}" for index, column in enumerate(scope.columns)]
        lists, columns = self._lists(node, keep_empty=keep_empty)
        listed += [f"unnest({sql}) AS {local}u{index}" for index, sql in enumerate(lists)]
        elements = [
            _Seen(column.name, None, Value(f"{local}.{local}u{index}", column.type))
            for index, column in enumerate(columns)
        ]
        scope.columns = kept + _aliased(elements, _unnest_alias(node), None)
        return f"(SELECT {', '.join(listed)} FROM {left}) AS {local}"  # noqa: S608

    def _first_unnest(self, node: exp.Unnest) -> tuple[str, list[_Seen]]:
        """Read from arrays alone; they may belong to an outer query."""
        local = self._name("t")
        with self._within(_Scope(self._scope.outer)):
            lists, columns = self._lists(node, keep_empty=False)
        if len(lists) == 1:
            return f"unnest({lists[0]}) AS {local}({local}u)", _aliased(
                [_Seen(columns[0].name, None, Value(f"{local}.{local}u", columns[0].type))],
                _unnest_alias(node),
                None,
            )
        elements = [
            _Seen(column.name, None, Value(f"{local}.{local}u[{index}]", column.type))
            for index, column in enumerate(columns, 1)
        ]
        sql = f"unnest(list_zip({', '.join(lists)})) AS {local}({local}u)"
        return sql, _aliased(elements, _unnest_alias(node), None)

    def _lists(self, node: exp.Unnest, *, keep_empty: bool) -> tuple[list[str], list[Column]]:
        """Return a list for each column that UNNEST makes."""
        _refuse_others(node, "expressions", "alias", "offset")
        lists: list[str] = []
        columns: list[Type] = []
        names: dict[int, str | None] = {}
        for expression in node.expressions:
            value = self.value(expression)
            if value.type.name == "map":
                lists += [f"map_keys({value.sql})", f"map_values({value.sql})"]
                columns += value.type.arguments
            elif value.type.name == "array" and value.type.arguments[0].name == "row":
                element = self.parameter(value.type.arguments[0])
                for index, type_ in enumerate(element.type.arguments):
                    part = row_field(element, index).sql
                    lists.append(f"list_transform({value.sql}, lambda {element.sql}: {part})")
                    names[len(columns)] = element.type.fields[index]
                    columns.append(type_)
            elif value.type.name == "array":
                lists.append(value.sql)
                columns.append(value.type.arguments[0])
            else:
                raise QueryRefused(f"UNNEST wants an array or a map, not {value.type}.")
        longest = f"greatest({', '.join(f'coalesce(len({sql}), 0)' for sql in lists)})"
        if node.args.get("offset"):
            lists.append(f"generate_series(1, {longest})")
            columns.append(BIGINT)
        if keep_empty:
            lists = [f"(CASE WHEN {longest} = 0 THEN [NULL] ELSE {sql} END)" for sql in lists]
        return lists, [
            Column(names.get(index) or f"_col{index}", type_) for index, type_ in enumerate(columns)
        ]

    # Expressions

    def value(self, node: exp.Expr) -> Value:
        """Translate an expression."""
        if not isinstance(node, exp.Expr):
            raise QueryRefused("This is not Athena SQL: an expression is missing.")
        handler, known = _EXPRESSIONS.get(type(node), (None, ""))
        operands = [node.this, node.args.get("expression")] if isinstance(node, _PREDICATES) else []
        if any(isinstance(operand, (*_PREDICATES, exp.Not)) for operand in operands):
            raise QueryRefused(f"{_spelled(node)}: a comparison of a comparison wants parentheses.")
        if handler is not None:
            _refuse_others(node, *known.split())
            return handler(self, node)
        _refuse_others(node, "this", "expression", *(("typed", "safe") if isinstance(node, exp.Div) else ()))
        if type(node) in _ARITHMETIC:
            a, b = self.value(node.this), self.value(node.expression)
            return arithmetic(_ARITHMETIC[type(node)], a, b)
        if type(node) in _COMPARISONS:
            if isinstance(node.expression, exp.Any | exp.All):
                return self._compared_with_each(node)
            return comparison(_COMPARISONS[type(node)], self.value(node.this), self.value(node.expression))
        if isinstance(node, exp.ILike):
            raise QueryRefused("Athena has no ILIKE: write lower(x) LIKE 'a%'.")
        if isinstance(node, exp.RegexpLike):
            raise QueryRefused("Athena has no RLIKE: write regexp_like(x, 'form').")
        raise QueryRefused(f"{_spelled(node)} is not known here.")

    def parameter(self, type_: Type, role: str = "x") -> Value:
        """Return a parameter for one of DuckDB's lambdas.

        Its name depends on the depth alone: an expression has the same SQL wherever it stands, or GROUP BY
        would not find it in the SELECT.
        """
        return Value(f"_{role}{len(self._lambdas)}", type_)

    def apply(self, function: exp.Expr, *arguments: Value) -> Value:
        """Translate the body of a Trino lambda, its parameters replaced by expressions."""
        if not isinstance(function, exp.Lambda) or len(function.expressions) != len(arguments):
            raise QueryRefused(f"{_spelled(function)}: a function of {len(arguments)} parameters is wanted.")
        calls = function.this.find_all(exp.Anonymous, exp.GroupConcat, exp.Window)
        if function.this.find(exp.Query) or any(
            not isinstance(call, exp.Anonymous) or trino_aggregates.is_aggregate(call.name.lower())
            for call in calls
        ):
            raise QueryRefused(
                f"{_spelled(function)}: no aggregate and no query can stand in such a function."
            )
        names = [parameter.name.lower() for parameter in function.expressions]
        self._lambdas.append(dict(zip(names, arguments, strict=True)))
        try:
            return self.value(function.this)
        finally:
            self._lambdas.pop()

    def _condition(self, node: exp.Expr, where: str) -> str:
        return expect(self.value(node), BOOLEAN, where).sql

    def _kept(self, node: exp.Expr) -> str:
        """Translate the condition of WHERE, to which NULL and FALSE are one."""
        if isinstance(node, exp.Paren):
            return self._kept(node.this)
        if isinstance(node, exp.And):
            return f"({self._kept(node.this)} AND {self._kept(node.expression)})"
        if isinstance(node, exp.In) and (query := _sought_query(node)) is not None:
            value = self.value(node.this)
            if value.type.name == "row":
                return self._matched(value, query)[0]
        return self._condition(node, "WHERE")

    def _matched(self, value: Value, query: exp.Expr) -> tuple[str, str]:
        """Return whether a query has a row, and whether a NULL in either keeps that from being known."""
        relation = self.query(query, self._with, self._scope)
        if len(relation.columns) != len(value.type.arguments):
            raise QueryRefused(
                f"IN: {len(value.type.arguments)} values with a query of {len(relation.columns)} columns."
            )
        found = self._derived(f"({relation.sql})", relation.columns)
        fields = [row_field(value, index) for index in range(len(relation.columns))]
        pairs = [comparison("=", a, b.value) for a, b in zip(fields, found.columns, strict=True)]
        equal = " AND ".join(pair.sql for pair in pairs)
        missing, holes = (
            " OR ".join(f"{value.sql} IS NULL" for value in values)
            for values in (fields, [column.value for column in found.columns])
        )
        select = f"EXISTS (SELECT 1 FROM {found.sql}"  # noqa: S608
        return f"({select} WHERE {equal}))", f"((({missing}) AND {select})) OR {select} WHERE {holes}))"

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    @contextmanager
    def _within(self, scope: _Scope) -> Iterator[_Scope]:
        outside, self._scope = self._scope, scope
        try:
            yield scope
        finally:
            self._scope = outside

    def _named(self, name: str, table: str | None) -> Value | None:
        """Find what a name stands for: a parameter, a result in ORDER BY, a column here or outside."""
        if table is None:
            for parameters in reversed(self._lambdas):
                if name.lower() in parameters:
                    return parameters[name.lower()]
            if name.lower() in self._scope.outputs:
                return self._scope.outputs[name.lower()]
        scope: _Scope | None = self._scope
        while scope is not None:
            found = _only(name, table, scope.columns)
            if found is not None:
                self._are_outer.append(scope is not self._scope)
                return found.value
            scope = scope.outer
        return None

    def _hint(self, name: exp.Identifier) -> str:
        """Return what may be meant by a column that is not there."""
        if name.name.lower() in self._scope.aliases:
            return (
                " It is a name that this SELECT gives, and Athena knows it in ORDER BY alone: repeat what "
                "stands before its AS, or, in GROUP BY, write its place."
            )
        if name.name.startswith("$"):
            return ' "$path" is the only such column here.'
        near = get_close_matches(name.name.lower(), [seen.name for seen in self._scope.columns], 1)
        if near:
            return f" Perhaps {near[0]}?"
        return " A text stands in single quotes." if name.quoted else ""

    def _column(self, node: exp.Column) -> Value:
        if isinstance(node.this, exp.Star):
            raise QueryRefused("* can only stand in a SELECT or in count(*).")
        names = [part.name for part in node.parts]
        if re.fullmatch(r"_col\d+", names[-1]):
            raise QueryRefused(f"{names[-1]} is a column without a name: give it one with AS.")
        value = self._named(names[0], None) if len(names) == 1 else self._named(names[1], names[0])
        rest = names[1:] if len(names) == 1 else names[2:]
        if value is None and len(names) > 1:
            value, rest = self._named(names[0], None), names[1:]
        if (
            value is None
            and len(names) > 2
            and names[1].lower() in self._tables
            and self._is_database(names[0])
        ):
            value, rest = self._named(names[2], names[1]), names[3:]
        if value is None:
            raise QueryRefused(f"The column {_spelled(node)} cannot be found.{self._hint(node.this)}")
        for name in rest:
            value = _member(value, name)
        return value

    def _literal(self, node: exp.Literal) -> Value:
        return Value(text(node.this), VARCHAR, node.this) if node.is_string else number(node.this)

    def _hex_literal(self, node: exp.HexString) -> Value:
        return Value(f"unhex({text(node.this)})", VARBINARY)

    def _json_literal(self, node: exp.ParseJSON) -> Value:
        return trino_functions.call(self, "json_parse", [node.this], {})

    def _negative(self, node: exp.Neg) -> Value:
        value = self.value(node.this)
        if not (value.type.is_number or value.type.is_interval):
            raise QueryRefused(f"Athena does not define -{value.type}.")
        constant = None if value.constant is None else f"-{value.constant}"
        return Value(f"(-{value.sql})", value.type, constant)

    def _not(self, node: exp.Not) -> Value:
        return Value(f"(NOT {self._condition(node.this, 'NOT')})", BOOLEAN)

    def _connected(self, node: exp.Connector) -> Value:
        word = "AND" if isinstance(node, exp.And) else "OR"
        sides = [self._condition(side, word) for side in (node.this, node.expression)]
        return Value(f"({sides[0]} {word} {sides[1]})", BOOLEAN)

    def _between(self, node: exp.Between) -> Value:
        return between(*(self.value(node.args[part]) for part in ("this", "low", "high")))

    def _in(self, node: exp.In) -> Value:
        value = self.value(node.this)
        query = _sought_query(node)
        if query is None:
            return one_of(value, [self.value(option) for option in node.expressions])
        if value.type.name == "row":
            matched, unknown = self._matched(value, query)
            why = "IN of several values with NULL among them is known here in WHERE only: use EXISTS"
            return Value(f"({matched} OR {refuse_if(unknown, why, 'FALSE')})", BOOLEAN)
        value, sql = self._sought(value, query, "IN")
        return Value(f"({value.sql} IN ({sql}))", BOOLEAN)

    def _compared_with_each(self, node: exp.Expr) -> Value:
        """Translate a comparison with ANY, SOME or ALL of a query."""
        each, operator = node.expression, _COMPARISONS[type(node)]
        if operator.startswith("IS") or not isinstance(each.this, exp.Query):
            raise QueryRefused(f"{_spelled(node)} is not known here: ANY and ALL want a query.")
        word = "ANY" if isinstance(each, exp.Any) else "ALL"
        value, sql = self._sought(without_nan(self.value(node.this), word), each.this, word)
        return Value(f"({value.sql} {operator} {word} ({sql}))", BOOLEAN)

    def _sought(self, value: Value, query: exp.Expr, where: str) -> tuple[Value, str]:
        """Return a value and the query that it is compared with the rows of, in one type and without NaN."""
        relation = self.query(query, self._with, self._scope)
        if len(relation.columns) != 1:
            raise QueryRefused(f"{where} wants a query of one column here: use EXISTS for more.")
        type_ = types.common(value.type, relation.columns[0].type)
        if type_ is None:
            raise QueryRefused(
                f"Athena cannot compare {value.type} with a query of {relation.columns[0].type}."
            )
        ensure_simple(type_, where)
        sql = self._typed(relation, [Column(relation.columns[0].name, type_)])
        if type_.is_floating:
            found = self._derived(f"({sql})", [Column("", type_)])
            sql = f"SELECT {without_nan(found.columns[0].value, where).sql} FROM {found.sql}"  # noqa: S608
        return coerce_value(value, type_), sql

    def _is(self, node: exp.Is) -> Value:
        if not isinstance(node.expression, exp.Null):
            raise QueryRefused(f"Athena knows IS NULL only, not {_spelled(node)}.")
        return Value(f"({self.value(node.this).sql} IS NULL)", BOOLEAN)

    def _like(self, node: exp.Like, escape: str = "") -> Value:
        string, pattern = (
            expect(self.value(side), VARCHAR, "LIKE").sql for side in (node.this, node.expression)
        )
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return Value(f"({string} {word} {pattern}{escape})", BOOLEAN)

    def _escape(self, node: exp.Escape) -> Value:
        if not isinstance(node.this, exp.Like):
            raise QueryRefused(f"{_spelled(node)} is not known here.")
        character = trino_functions.literal(node.expression, "LIKE's ESCAPE")
        pattern = trino_functions.literal(node.this.expression, "A pattern with ESCAPE")
        escaped = re.sub(f"{re.escape(character)}[%_{re.escape(character)}]", "", pattern)
        if len(character) != 1 or character in escaped:
            raise QueryRefused(
                "ESCAPE wants one character, and before it in the pattern only %, _ and itself."
            )
        return self._like(node.this, f" ESCAPE {text(character)}")

    def _case(self, node: exp.Case) -> Value:
        of = self.value(node.this) if node.this is not None else None
        conditions, results = [], []
        for branch in node.args["ifs"]:
            if of is None:
                conditions.append(self._condition(branch.this, "WHEN"))
            else:
                conditions.append(comparison("=", of, self.value(branch.this)).sql)
            results.append(self.value(branch.args["true"]))
        default = node.args.get("default")
        results.append(self.value(default) if default is not None else NULL)
        results, type_ = common(results, "CASE")
        branches = " ".join(f"WHEN {c} THEN {r.sql}" for c, r in zip(conditions, results, strict=False))
        return Value(f"(CASE {branches} ELSE {results[-1].sql} END)", type_)

    def _if(self, node: exp.If) -> Value:
        condition = self._condition(node.this, "if")
        otherwise = node.args.get("false")
        (yes, no), type_ = common(
            [self.value(node.args["true"]), self.value(otherwise) if otherwise is not None else NULL], "if"
        )
        return Value(f"(CASE WHEN {condition} THEN {yes.sql} ELSE {no.sql} END)", type_)

    def _cast(self, node: exp.Cast, value: Value | None = None) -> Value:
        spelling = node.args["to"].sql(_Dialect)
        if spelling.upper().startswith("CHAR"):
            raise QueryRefused("char is padded with blanks on Athena, which is not known here: use varchar.")
        try:
            target = types.parse(spelling)
        except ValueError as error:
            raise QueryRefused(f"The type {spelling} is not known here.") from error
        value = self.value(node.this) if value is None else value
        if value.constant is not None and value.type == VARCHAR:
            if target.zone:
                return self._zoned_literal(value.constant, target)
            if spelling.upper() == "DECIMAL":
                raise QueryRefused(
                    "Write DECIMAL '1.5' as the number 1.5, or with CAST(... AS decimal(2, 1))."
                )
        length = re.fullmatch(r"(?i)varchar\((\d+)\)", spelling)
        return _shortened(value, int(length[1])) if length else cast(value, target)

    def _try_cast(self, node: exp.TryCast) -> Value:
        value = self.value(node.this)
        if value.constant is not None or isinstance(node.this, exp.Column | exp.Identifier | exp.Null):
            return attempt(self._cast(node, value))
        # What fails within it fails on Athena: DuckDB's TRY sees the cast alone.
        inner = self.parameter(value.type, "v")
        outer = attempt(self._cast(node, inner))
        sql = f"list_extract(list_transform([{value.sql}], lambda {inner.sql}: {outer.sql}), 1)"
        return replace(outer, sql=sql)

    def _zoned_literal(self, literal: str, target: Type) -> Value:
        found = re.fullmatch(r"(.*\d) *([+-]\d\d:\d\d|[A-Za-z]\S*)", literal)
        if found is None:
            raise QueryRefused(f"The timestamp {literal!r} wants its zone after it, as UTC or +02:00.")
        moment, zone = found.groups()
        local = cast(Value(text(moment), VARCHAR, moment), Type("timestamp", precision=target.precision))
        zone_name = trino_time.zone_of(exp.Literal.string(zone))
        return from_local(local.sql, types.zoned(zone_name, target.precision))

    def _extract(self, node: exp.Extract) -> Value:
        return trino_time.extract(node.name.lower(), self.value(node.expression))

    def _position(self, node: exp.StrPosition) -> Value:
        string, part = (
            expect(self.value(node.args[side]), VARCHAR, "position").sql for side in ("this", "substr")
        )
        return Value(f"strpos({string}, {part})", BIGINT)

    def _trim(self, node: exp.Trim) -> Value:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
            (node.args.get("position") or "").upper(), "trim"
        )
        if node.expression is None:
            return trino_functions.call(self, function, [node.this], {})
        string, characters = (
            expect(self.value(side), VARCHAR, "trim").sql for side in (node.this, node.expression)
        )
        return Value(f"{function}({string}, {characters})", VARCHAR)

    def _substring(self, node: exp.Substring) -> Value:
        arguments = [node.args.get(part) for part in ("this", "start", "length")]
        return trino_functions.call(self, "substr", [a for a in arguments if a is not None], {})

    def _bracket(self, node: exp.Bracket) -> Value:
        if len(node.expressions) != 1:
            raise QueryRefused("A subscript is one index or key.")
        (key,) = node.expressions
        return trino_functions.subscript(self.value(node.this), self.value(key))

    def _array(self, node: exp.Array) -> Value:
        elements, type_ = common([self.value(element) for element in node.expressions], "ARRAY")
        return Value(f"[{', '.join(element.sql for element in elements)}]", types.array(type_))

    def _tuple(self, node: exp.Tuple) -> Value:
        return trino_functions.row_of([self.value(element) for element in node.expressions])

    def _dot(self, node: exp.Dot) -> Value:
        return _member(self.value(node.this), node.expression.name)

    def _concatenated(self, node: exp.DPipe) -> Value:
        return trino_functions.concatenate(self.value(node.this), self.value(node.expression))

    def _interval(self, node: exp.Interval) -> Value:
        count, sign = node.this, ""
        if isinstance(count, exp.Neg):
            count, sign = count.this, "-"
        if not isinstance(count, exp.Literal) or not isinstance(node.args.get("unit"), exp.Var):
            raise QueryRefused(f"{_spelled(node)} is not known here: write INTERVAL '7' DAY.")
        return trino_time.interval(sign + count.this, node.args["unit"].name)

    def _at_time_zone(self, node: exp.AtTimeZone) -> Value:
        return trino_time.at_time_zone(self.value(node.this), trino_time.zone_of(node.args["zone"]))

    def _now(self, node: exp.Expr) -> Value:
        if isinstance(node, exp.CurrentDate):
            return Value("current_date", DATE)
        now = trino_time.now()
        return cast(now, TIMESTAMP) if isinstance(node, exp.Localtimestamp) else now

    def _scalar_subquery(self, node: exp.Subquery) -> Value:
        relation = self.query(node, self._with, self._scope)
        if len(relation.columns) != 1:
            raise QueryRefused("A query within an expression wants one column.")
        return Value(f"({relation.sql})", relation.columns[0].type)

    def _exists(self, node: exp.Exists) -> Value:
        return Value(f"(EXISTS ({self.query(node.this, self._with, self._scope).sql}))", BOOLEAN)

    def _identifier(self, node: exp.Identifier) -> Value:
        value = self._named(node.name, None)
        if value is None:
            raise QueryRefused(f"The column {node.name} cannot be found.{self._hint(node)}")
        return value

    # Functions

    def _call(self, node: exp.Expr, condition: str = "", over: str = "", nulls: str = "") -> Value:
        if isinstance(node, exp.Filter):
            condition = self._condition(node.expression.this, "FILTER")
            return self._call(node.this, condition, over, nulls)
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
            word = " IGNORE NULLS" if isinstance(node, exp.IgnoreNulls) else ""
            return self._call(node.this, condition, over, word)
        if isinstance(node, exp.GroupConcat):
            return self._listagg(node, condition, over)
        if not isinstance(node, exp.Anonymous):
            raise QueryRefused(f"{_spelled(node)} is not known here.")
        _refuse_others(node, "this", "expressions")
        name = node.name.lower()
        if name in ("all", "some", "any"):
            raise QueryRefused(
                f"{name.upper()} is known here before a query that begins with SELECT, SOME as ANY."
            )
        if name == "reduce_agg":
            return self._reduced(node.expressions, condition, over)
        if trino_aggregates.is_aggregate(name):
            return self._aggregate(name, node.expressions, condition, over, nulls)
        if condition or over or nulls:
            raise QueryRefused(f"{name} is no aggregate that is known here.")
        if name == "grouping":
            if not all(isinstance(key, exp.Column) for key in node.expressions):
                raise QueryRefused("grouping() wants columns, by their names.")
            keys = ", ".join(self.value(key).sql for key in node.expressions)
            return Value(f"CAST(GROUPING({keys}) AS BIGINT)", BIGINT)
        return trino_functions.call(self, name, node.expressions, trino_time.HANDLERS)

    def _aggregate(
        self, name: str, arguments: Sequence[exp.Expr], condition: str, over: str, nulls: str
    ) -> Value:
        distinct = order = ""
        if name == "count" and len(arguments) == 1 and isinstance(arguments[0], exp.Star):
            return trino_aggregates.aggregate(
                trino_aggregates.Call("count", self._never_null(), "", "", condition, over, nulls)
            )
        if name == "count" and not arguments:
            raise QueryRefused("count wants * or an expression.")
        if arguments and isinstance(arguments[-1], exp.Order):
            order = self._order(arguments[-1])
            arguments = [*arguments[:-1], arguments[-1].this]
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            distinct, arguments = "DISTINCT ", arguments[0].expressions
        before = len(self._are_outer)
        values = [self.value(node) for node in arguments]
        if self._are_outer[before:] and all(self._are_outer[before:]):
            # DuckDB would aggregate the rows of the outer query.
            raise QueryRefused(f"{name} of nothing but an outer query's columns is not allowed on Athena.")
        return trino_aggregates.aggregate(
            trino_aggregates.Call(name, values, distinct, order, condition, over, nulls)
        )

    def _reduced(self, arguments: Sequence[exp.Expr], condition: str, over: str) -> Value:
        """Translate reduce_agg, whose start has to change nothing: Athena starts with it several times."""
        if len(arguments) != 4 or over or isinstance(arguments[0], exp.Distinct):
            raise QueryRefused(
                "reduce_agg is known here with a value, a start and two functions, without OVER."
            )
        value, start, step, combine = arguments
        values = self._aggregate("array_agg", [value], condition, "", "")
        kept = Value(f"list_filter({values.sql}, lambda x: x IS NOT NULL)", values.type)
        kept = replace(kept, sql=f"(CASE WHEN len({kept.sql}) > 0 THEN {kept.sql} END)")
        reduced = trino_functions.fold(self, kept, start, step, "reduce_agg")
        first = self.value(start)
        again = expect(self.apply(combine, first, first), first.type, "reduce_agg's second function")
        if not first.type.is_simple or first.type.name in ("decimal", "varchar", "varbinary", "unknown"):
            raise QueryRefused(f"reduce_agg cannot start with {first.type} on Athena.")
        why = "reduce_agg with such a start may have any result on Athena: start with what changes nothing"
        return replace(reduced, sql=refuse_if(f"{again.sql} IS DISTINCT FROM {first.sql}", why, reduced.sql))

    def _never_null(self) -> list[Value]:
        """Return a column to count rows by, if there is one that is never NULL.

        Where a query counts the rows of a UNION and names no column, DuckDB reads all of them.
        """
        return [column.value for column in self._scope.columns if column.value.is_partition][:1]

    def _listagg(self, node: exp.GroupConcat, condition: str, over: str) -> Value:
        order, distinct, value = "", "", node.this
        if isinstance(value, exp.Order):
            order, value = self._order(value), value.this
        if isinstance(value, exp.Distinct) and len(value.expressions) == 1:
            distinct, value = "DISTINCT ", value.expressions[0]
        separator = self.value(node.args["separator"]) if node.args.get("separator") else Value("''", VARCHAR)
        values = [self.value(value), separator]
        return trino_aggregates.aggregate(
            trino_aggregates.Call("listagg", values, distinct, order, condition, over)
        )

    def _window(self, node: exp.Window) -> Value:
        pieces = []
        keys, order, frame = self._window_parts(node)
        if keys:
            pieces.append("PARTITION BY " + ", ".join(self.value(key).sql for key in keys))
        pieces.append(self._order(order).strip())
        pieces.append(self._frame(frame))
        return self._call(node.this, over=f" OVER ({' '.join(filter(None, pieces))})")

    def _window_parts(self, node: exp.Expr) -> tuple[Any, Any, Any]:
        """Return a window's PARTITION BY, ORDER BY and frame, with what it takes from a named one.

        Source: https://trino.io/docs/current/sql/select.html#window-clause
        """
        parts = [node.args.get(part) for part in ("partition_by", "order", "spec")]
        alias = node.args.get("alias")
        if alias is None:
            return tuple(parts)  # type: ignore[return-value]
        named = [window for window in self._scope.windows if window.this.name.lower() == alias.name.lower()]
        if not named or named[0] is node:
            raise QueryRefused(
                f"There is no window {alias.name}: it stands after WINDOW, at the query's end."
            )
        base = self._window_parts(named[0])
        if not any(parts):
            return base
        if parts[0] or base[2] or (parts[1] and base[1]):
            raise QueryRefused(
                f"A window built on {alias.name} can add the ORDER BY or the frame that {alias.name} lacks."
            )
        return base[0], parts[1] or base[1], parts[2]

    def _frame(self, spec: exp.WindowSpec | None) -> str:
        if spec is None:
            return ""
        _refuse_others(spec, "kind", "start", "start_side", "end", "end_side")

        def bound(side: str) -> str:
            value = spec.args.get(side) or "CURRENT ROW"
            sql = self.value(value).sql if isinstance(value, exp.Expr) else str(value)
            return f"{sql} {spec.args.get(f'{side}_side') or ''}".strip()

        return f"{spec.args['kind']} BETWEEN {bound('start')} AND {bound('end')}"


_EXPRESSIONS: Mapping[type[exp.Expr], tuple[Callable[[_Translator, Any], Value], str]] = {
    exp.Anonymous: (_Translator._call, "this expressions"),
    exp.And: (_Translator._connected, "this expression"),
    exp.Array: (_Translator._array, "expressions"),
    exp.AtTimeZone: (_Translator._at_time_zone, "this zone"),
    exp.Between: (_Translator._between, "this low high"),
    exp.Boolean: (lambda _, node: Value("TRUE" if node.this else "FALSE", BOOLEAN), "this"),
    exp.Bracket: (_Translator._bracket, "this expressions"),
    exp.Case: (_Translator._case, "this ifs default"),
    exp.Cast: (_Translator._cast, "this to"),
    exp.Column: (_Translator._column, "this table db catalog"),
    exp.CurrentDate: (_Translator._now, ""),
    exp.CurrentTimestamp: (_Translator._now, ""),
    exp.DPipe: (_Translator._concatenated, "this expression safe"),
    exp.Dot: (_Translator._dot, "this expression"),
    exp.Escape: (_Translator._escape, "this expression"),
    exp.Exists: (_Translator._exists, "this"),
    exp.Extract: (_Translator._extract, "this expression"),
    exp.Filter: (_Translator._call, "this expression"),
    exp.GroupConcat: (_Translator._call, "this separator"),
    exp.HexString: (_Translator._hex_literal, "this"),
    exp.Identifier: (_Translator._identifier, "this quoted"),
    exp.If: (_Translator._if, "this true false"),
    exp.In: (_Translator._in, "this expressions query"),
    exp.Interval: (_Translator._interval, "this unit"),
    exp.Is: (_Translator._is, "this expression"),
    exp.Like: (_Translator._like, "this expression negate"),
    exp.Literal: (_Translator._literal, "this is_string"),
    exp.Localtimestamp: (_Translator._now, ""),
    exp.Neg: (_Translator._negative, "this"),
    exp.Not: (_Translator._not, "this"),
    exp.Null: (lambda _, __: NULL, ""),
    exp.Or: (_Translator._connected, "this expression"),
    exp.Paren: (lambda translator, node: translator.value(node.this), "this"),
    exp.ParseJSON: (_Translator._json_literal, "this is_literal"),
    exp.StrPosition: (_Translator._position, "this substr"),
    exp.Subquery: (_Translator._scalar_subquery, "this with_ order limit offset"),
    exp.Substring: (_Translator._substring, "this start length"),
    exp.Trim: (_Translator._trim, "this expression position"),
    exp.TryCast: (_Translator._try_cast, "this to safe"),
    exp.Tuple: (_Translator._tuple, "expressions"),
    exp.Window: (_Translator._window, "this partition_by order spec alias over"),
}
"""How an expression is translated, and the parts of it that its translation looks at."""


def _other_tables(node: exp.Table) -> str:
    """Return what to ask instead of a table about tables."""
    if node.db.lower() == "information_schema":
        return " SHOW TABLES and DESCRIBE tell about them."
    return " SELECT DISTINCT dt FROM it." if node.name.endswith("$partitions") else ""


def _spelled(node: exp.Expr) -> str:
    """Return a part of a statement as Trino writes it, or nearly."""
    return node.sql("trino", unsupported_level=ErrorLevel.IGNORE)


def _refuse_others(node: exp.Expr, *known: str) -> None:
    """Refuse a node with a part that its translation does not look at."""
    for name, part in node.args.items():
        if part and name not in known:
            raise QueryRefused(f"{_spelled(node)} is not known here, because of its {name.strip('_')}.")


def _reference(sql: str, column: Column) -> Value:
    return Value(sql, column.type, is_partition=column.is_partition)


def _optional(column: _Seen) -> _Seen:
    """Return a column that an outer join may leave without a value: it names no partition then."""
    return replace(column, value=replace(column.value, is_partition=False))


def _star(node: exp.Expr) -> str | None:
    """Return "" for `*`, the table's name for `t.*`, None for anything else."""
    if isinstance(node, exp.Star):
        _refuse_others(node)
        return ""
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        return node.table.lower()
    return None


def _only(name: str, table: str | None, columns: Sequence[_Seen]) -> _Seen | None:
    """Find the one column of a name, whatever its case."""
    found = [
        column
        for column in columns
        if column.name.lower() == name.lower()
        and (table is None or (column.table or "").lower() == table.lower())
    ]
    if len(found) > 1:
        raise QueryRefused(f"The column {name} is ambiguous: more than one table has it.")
    return found[0] if found else None


def _renamed(columns: Sequence[Column], alias: exp.Expr | None) -> list[Column]:
    names = [identifier.name for identifier in (alias.args.get("columns") or ())] if alias is not None else []
    if not names:
        return list(columns)
    if len(names) != len(columns):
        raise QueryRefused(f"{alias} names {len(names)} columns, but there are {len(columns)}.")
    return [replace(column, name=name) for column, name in zip(columns, names, strict=True)]


def _aliased(columns: Sequence[_Seen], alias: exp.Expr | None, name: str | None) -> list[_Seen]:
    """Give columns the table's name and, if the alias lists them, their own."""
    if alias is not None and alias.args.get("columns") and not alias.name:
        raise QueryRefused("A list of columns wants the table's name before it: AS t (a, b).")
    if alias is not None and alias.name:
        name = alias.name
    names = [identifier.name for identifier in (alias.args.get("columns") or ())] if alias is not None else []
    if names and len(names) != sum(not column.is_hidden for column in columns):
        raise QueryRefused(f"{alias} names {len(names)} columns, but there are others or more.")
    shown = [replace(column, table=name) for column in columns if not column.is_hidden]
    if names:
        return [replace(column, name=own) for column, own in zip(shown, names, strict=True)]
    return shown + [replace(column, table=name) for column in columns if column.is_hidden]


def _unnest_alias(node: exp.Unnest) -> exp.Expr | None:
    """Return UNNEST's alias with all its columns: sqlglot keeps the ordinality's name apart."""
    alias, ordinality = node.args.get("alias"), node.args.get("offset")
    if alias is not None and isinstance(ordinality, exp.Identifier) and alias.args.get("columns"):
        alias = alias.copy()
        alias.set("columns", [*alias.args["columns"], ordinality.copy()])
    return alias


def _member(value: Value, name: str) -> Value:
    names = [(member or "").lower() for member in value.type.fields]
    if value.type.name != "row" or name.lower() not in names:
        raise QueryRefused(f"{value.type} has no field {name}.")
    return row_field(value, names.index(name.lower()))


def _shortened(value: Value, length: int) -> Value:
    """Return `CAST(value AS varchar(length))`: a text is cut, anything else has to fit."""
    string = cast(value, VARCHAR)
    if value.type != VARCHAR:
        long = f"length({string.sql}) > {length}"
        return replace(string, sql=fail_if(long, f"A value does not fit varchar({length})", string.sql))
    if string.constant is not None:
        return Value(text(string.constant[:length]), VARCHAR, string.constant[:length])
    return Value(f"substr({string.sql}, 1, {length})", VARCHAR)


def _sampled(sample: exp.Expr) -> str:
    """Return the condition that keeps each row with the probability of TABLESAMPLE BERNOULLI.

    As a condition, not as DuckDB's TABLESAMPLE: that reads every partition.
    """
    _refuse_others(sample, "method", "percent")
    method, percent = sample.args.get("method"), sample.args.get("percent")
    if method is None or method.name.upper() != "BERNOULLI":
        raise QueryRefused("TABLESAMPLE SYSTEM takes whole files' parts on Athena: use BERNOULLI here.")
    if not isinstance(percent, exp.Literal) or percent.is_string or not 0 <= float(percent.this) <= 100:
        raise QueryRefused("TABLESAMPLE BERNOULLI wants a number from 0 to 100, written out.")
    return f"(random() * 100 < {float(percent.this)!r})"


def _sought_query(node: exp.In) -> exp.Expr | None:
    """Return the query that IN looks through; sqlglot takes VALUES for a value."""
    only = node.expressions[0] if len(node.expressions) == 1 else None
    return only if isinstance(only, exp.Values) else node.args.get("query")


def _is_comma(join: exp.Expr) -> bool:
    return not any(join.args.get(part) for part in ("side", "kind", "method", "on", "using"))


def _is_true(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Boolean) and bool(node.this)


def _place(node: exp.Expr, outputs: Sequence[tuple[str, Value]]) -> int:
    """Return which of the outputs an item of ORDER BY names or numbers, from 1; 0 if it is something else."""
    if not outputs:
        return 0
    if isinstance(node, exp.Literal) and not node.is_string:
        place = _whole_number(node, "ORDER BY")
        if not 1 <= place <= len(outputs):
            raise QueryRefused(f"ORDER BY {place}: there is no such column in the result.")
        return place
    if not isinstance(node, exp.Column) or node.table:
        return 0
    places = [place for place, (name, _) in enumerate(outputs, 1) if name.lower() == node.name.lower()]
    if len(places) > 1:
        raise QueryRefused(f"ORDER BY {node.name} is ambiguous: the result has {len(places)} such columns.")
    return places[0] if places else 0


def _whole_number(node: exp.Expr | None, where: str) -> int:
    if not isinstance(node, exp.Literal) or node.is_string or not node.this.isdecimal():
        raise QueryRefused(f"{where} wants a number, written out.")
    return int(node.this)
