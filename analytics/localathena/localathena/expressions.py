"""Expressions: each is translated with its Trino type, because what an operator means depends on it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from localathena import types
from localathena.aggregates import is_aggregate
from localathena.arithmetic import arithmetic, number
from localathena.calls import Calls
from localathena.casts import cast
from localathena.comparisons import between, comparison, evaluated, one_of
from localathena.correlation import Kind
from localathena.errors import QueryRefused
from localathena.functions import call
from localathena.functions.handlers import literal
from localathena.literals import unicode_text
from localathena.moments import from_local
from localathena.names import Names, Relation, Scope, With
from localathena.nodes import refuse_others, spelled
from localathena.sql import NULL, TRIED, Value, attempt, fail_if, refuse_if
from localathena.sql import field as row_field
from localathena.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    INTEGER,
    TIMESTAMP,
    VARBINARY,
    VARCHAR,
    Column,
    Type,
    text,
)
from localathena.values import coerce, common, ensure_simple, expect, without_nan

if TYPE_CHECKING:
    from localathena.queries import Queries

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
_EXTRACTED = (
    "year", "quarter", "month", "week", "day", "day_of_month", "day_of_week", "dow", "day_of_year", "doy",
    "year_of_week", "yow", "hour", "minute", "second", "timezone_hour", "timezone_minute",
)  # fmt: skip
_LEAST = {"2147483648": INTEGER, "9223372036854775808": BIGINT}
_PREDICATES = (*_COMPARISONS, exp.In, exp.Between, exp.Like, exp.Is)


class Expressions:
    """Translates expressions. A node that is not listed in `_EXPRESSIONS` is refused."""

    def __init__(self, names: Names, queries: "Queries") -> None:
        self.names = names
        self.queries = queries
        self.calls = Calls(names, self)

    def value(self, node: exp.Expr) -> Value:
        """Translate an expression."""
        if not isinstance(node, exp.Expr):
            raise QueryRefused("The statement cannot be read: an expression is missing.")
        handler, known = _EXPRESSIONS.get(type(node), (None, ""))
        operands = [node.this, node.args.get("expression")] if isinstance(node, _PREDICATES) else []
        if any(isinstance(operand, (*_PREDICATES, exp.Not)) for operand in operands):
            raise QueryRefused(f"{spelled(node)}: a comparison of a comparison needs parentheses.")
        if handler is not None:
            refuse_others(node, *known.split())
            return handler(self, node)
        refuse_others(node, "this", "expression", *(("typed", "safe") if isinstance(node, exp.Div) else ()))
        if type(node) in _ARITHMETIC:
            a, b = self.value(node.this), self.value(node.expression)
            return arithmetic(_ARITHMETIC[type(node)], a, b)
        if type(node) in _COMPARISONS:
            if isinstance(node.expression, exp.Any | exp.All):
                return self._compared_with_each(node)
            if (each := _each_of_values(node.expression)) is not None:
                quantified = node.copy()
                quantified.set("expression", each)
                return self._compared_with_each(quantified)
            sides = [self._computed(side) for side in (node.this, node.expression)]
            return comparison(_COMPARISONS[type(node)], *sides)
        if isinstance(node, exp.ILike):
            raise QueryRefused("Athena has no ILIKE: write lower(x) LIKE 'a%'.")
        if isinstance(node, exp.RegexpLike):
            raise QueryRefused("Athena has no RLIKE: write regexp_like(x, 'form').")
        raise QueryRefused(f"{spelled(node)} is not supported.")

    def _computed(self, node: exp.Expr) -> Value:
        """Translate a side of a comparison. DuckDB would solve `x + 1 = 10` for x, without an overflow."""
        value, bare = self.value(node), node.unnest()
        if value.type.is_integer and isinstance(bare, exp.Add | exp.Sub | exp.Mul):
            return replace(value, sql=f"list_extract([{value.sql}], 1)")
        return value

    def parameter(self, type_: Type, role: str = "x") -> Value:
        """Return a parameter for one of DuckDB's lambdas.

        Its name depends on the depth alone: an expression has the same SQL wherever it stands, or GROUP BY
        would not find it in the SELECT.
        """
        return Value(f"_{role}{len(self.names.lambdas)}", type_)

    def apply(self, function: exp.Expr, *arguments: Value) -> Value:
        """Translate the body of a Trino lambda, its parameters replaced by expressions."""
        if not isinstance(function, exp.Lambda) or len(function.expressions) != len(arguments):
            raise QueryRefused(f"{spelled(function)}: this needs a function of {len(arguments)} parameters.")
        calls = function.this.find_all(exp.Anonymous, exp.GroupConcat, exp.Window)
        if function.this.find(exp.Query) or any(
            not isinstance(call, exp.Anonymous) or is_aggregate(call.name.lower()) for call in calls
        ):
            raise QueryRefused(
                f"{spelled(function)}: such a function cannot contain an aggregate or a query."
            )
        names = [parameter.name.lower() for parameter in function.expressions]
        self.names.lambdas.append(dict(zip(names, arguments, strict=True)))
        try:
            return self.value(function.this)
        finally:
            self.names.lambdas.pop()

    def attempt(self, node: exp.Expr) -> Value:
        """Translate TRY(node). Aggregates and subqueries in it are computed outside, as in Trino."""
        if self.names.hoisted is not None:
            return attempt(self.value(node), "_again", "0")
        hoisted: list[Value] = []
        with self.names.hoisting(hoisted):
            value = self.value(node)
        fields = ["'z': 0", *(f"'h{index}': {part.sql}" for index, part in enumerate(hoisted, 1))]
        return attempt(value, TRIED, "{" + ", ".join(fields) + "}")

    def condition(self, node: exp.Expr, where: str) -> str:
        """Return the SQL of a boolean."""
        return expect(self.value(node), BOOLEAN, where).sql

    def kept(self, node: exp.Expr) -> str:
        """Translate the condition of WHERE, where NULL and FALSE are the same."""
        if isinstance(node, exp.Paren):
            return self.kept(node.this)
        if isinstance(node, exp.And):
            sides = [self.kept(side) for side in node.flatten(unnest=False)]
            before: list[str] = []
            kept = []
            for side in sides:
                guard = " AND ".join(before)
                kept.append(f"(CASE WHEN {guard} THEN {side} END)" if before and _may_fail(side) else side)
                before.append(side)
            return f"({' AND '.join(kept)})"
        if isinstance(node, exp.In) and (query := _sought_query(node)) is not None:
            value = self.value(node.this)
            if value.type.name == "row":
                return self.matched(value, query)[0]
        return self.condition(node, "WHERE")

    def _query(self, query: exp.Expr, with_: With, outer: Scope | None) -> Relation:
        """Translate a query within an expression."""
        with self.names.hoisting(None):
            return self.queries.query(query, with_, outer)

    def matched(self, value: Value, query: exp.Expr) -> tuple[str, str]:
        """Return SQL for whether a query has a row, and for whether a NULL leaves that undecided."""
        self.names.kind = Kind.MATCHED
        relation = self._query(query, self.names.with_, self.names.scope)
        if len(relation.columns) != len(value.type.arguments):
            raise QueryRefused(
                f"IN: {len(value.type.arguments)} values with a query of {len(relation.columns)} columns."
            )
        found = self.names.derived(f"({relation.sql})", relation.columns)
        fields = [row_field(value, index) for index in range(len(relation.columns))]
        pairs = [comparison("=", a, b.value) for a, b in zip(fields, found.columns, strict=True)]
        equal = " AND ".join(pair.sql for pair in pairs)
        missing, holes = (
            " OR ".join(f"{value.sql} IS NULL" for value in values)
            for values in (fields, [column.value for column in found.columns])
        )
        select = f"EXISTS (SELECT 1 FROM {found.sql}"  # noqa: S608
        return f"({select} WHERE {equal}))", f"((({missing}) AND {select})) OR {select} WHERE {holes}))"

    def _column(self, node: exp.Column) -> Value:
        if isinstance(node.this, exp.Star):
            raise QueryRefused("* is only possible in a SELECT and in count(*).")
        names = [part.name for part in node.parts]
        if re.fullmatch(r"_col\d+", names[-1]):
            raise QueryRefused(f"{names[-1]} is a column without a name: name it with AS.")
        value = self.names.find(names[0], None) if len(names) == 1 else self.names.find(names[1], names[0])
        rest = names[1:] if len(names) == 1 else names[2:]
        if value is None and len(names) > 1:
            value, rest = self.names.find(names[0], None), names[1:]
        if (
            value is None
            and len(names) > 2
            and names[1].lower() in self.names.tables
            and self.names.is_database(names[0])
        ):
            value, rest = self.names.find(names[2], names[1]), names[3:]
        if value is None:
            raise QueryRefused(f"The column {spelled(node)} cannot be found.{self.names.hint(node.this)}")
        for name in rest:
            value = _member(value, name)
        return value

    def _literal(self, node: exp.Literal) -> Value:
        return Value(text(node.this), VARCHAR, node.this) if node.is_string else number(node.this)

    def _hex_literal(self, node: exp.HexString) -> Value:
        return Value(f"unhex({text(node.this)})", VARBINARY)

    def _json_literal(self, node: exp.ParseJSON) -> Value:
        return call(self, "json_parse", [node.this])

    def _negative(self, node: exp.Neg) -> Value:
        if isinstance(node.this, exp.Literal) and node.this.name in _LEAST:
            type_ = _LEAST[node.this.name]
            return Value(f"CAST('-{node.this.name}' AS {type_.duckdb})", type_, f"-{node.this.name}")
        value = self.value(node.this)
        if not (value.type.is_number or value.type.is_interval):
            raise QueryRefused(f"Athena does not define -{value.type}.")
        constant = None if value.constant is None else f"-{value.constant}".replace("--", "")
        if value.type.is_integer and constant is None:  # DuckDB may compute it in a wider type
            return Value(f"CAST((-{value.sql}) AS {value.type.duckdb})", value.type)
        return Value(f"(-{value.sql})", value.type, constant)

    def _not(self, node: exp.Not) -> Value:
        return Value(f"(NOT {self.condition(node.this, 'NOT')})", BOOLEAN)

    def _connected(self, node: exp.Connector) -> Value:
        word = "AND" if isinstance(node, exp.And) else "OR"
        sides = [self.condition(side, word) for side in node.flatten(unnest=False)]
        joined = f"({f' {word} '.join(sides)})"
        if not any(map(_may_fail, sides[1:])):
            return Value(joined, BOOLEAN)
        # DuckDB evaluates all sides; Trino stops at the first that decides.
        decides = ("NOT {}", "FALSE") if word == "AND" else ("{}", "TRUE")
        decided = " ".join(f"WHEN {decides[0].format(side)} THEN {decides[1]}" for side in sides[:-1])
        return Value(f"(CASE {decided} ELSE {joined} END)", BOOLEAN)

    def _between(self, node: exp.Between) -> Value:
        return between(*(self._computed(node.args[part]) for part in ("this", "low", "high")))

    def _in(self, node: exp.In) -> Value:
        value = self.value(node.this)
        query = _sought_query(node)
        if query is None:
            return one_of(value, [self.value(option) for option in node.expressions])
        if value.type.name == "row":
            matched, unknown = self.matched(value, query)
            why = "IN of several values with NULL among them is supported in WHERE only: use EXISTS"
            return Value(f"({matched} OR {refuse_if(unknown, why, 'FALSE')})", BOOLEAN)
        value, sql = self._sought(value, query, "IN")
        return self.names.hoist(Value(evaluated([value], f"({value.sql} IN ({sql}))"), BOOLEAN))

    def _compared_with_each(self, node: exp.Expr) -> Value:
        """Translate a comparison with ANY, SOME or ALL of a query."""
        each, operator = node.expression, _COMPARISONS[type(node)]
        if operator.startswith("IS") or not isinstance(each.this, exp.Query | exp.Values):
            raise QueryRefused(f"{spelled(node)} is not supported: ANY and ALL need a query.")
        word = "ANY" if isinstance(each, exp.Any) else "ALL"
        value = self.value(node.this)
        is_in = word == "ANY" and operator == "="
        value, sql = self._sought(
            value if is_in else without_nan(value, word), each.this, "=" if is_in else word
        )
        found = evaluated([value], f"({value.sql} {operator} {word} ({sql}))")
        return self.names.hoist(Value(found, BOOLEAN))

    def _sought(self, value: Value, query: exp.Expr, where: str) -> tuple[Value, str]:
        """Return a value and the query whose rows it is compared with, in one type and without NaN."""
        self.names.kind = Kind.MATCHED
        relation = self._query(query, self.names.with_, self.names.scope)
        if len(relation.columns) != 1:
            raise QueryRefused(f"{where} needs a query of one column: use EXISTS for more.")
        type_ = types.common(value.type, relation.columns[0].type)
        if type_ is None:
            raise QueryRefused(
                f"Athena cannot compare {value.type} with a query of {relation.columns[0].type}."
            )
        if where != "IN" and where != "=":
            ensure_simple(type_, where)
        if type_.name in ("array", "row"):
            raise QueryRefused(f"{where} of {type_} with a query is not supported: use EXISTS.")
        sql = self.queries.coerced(relation, [Column(relation.columns[0].name, type_)])
        if type_.is_floating and where not in ("IN", "="):
            found = self.names.derived(f"({sql})", [Column("", type_)])
            sql = f"SELECT {without_nan(found.columns[0].value, where).sql} FROM {found.sql}"  # noqa: S608
        return coerce(value, type_), sql

    def _is(self, node: exp.Is) -> Value:
        if not isinstance(node.expression, exp.Null):
            raise QueryRefused(f"Athena supports IS NULL only, not {spelled(node)}.")
        return Value(f"({self.value(node.this).sql} IS NULL)", BOOLEAN)

    def _like(self, node: exp.Like, escape: str = "") -> Value:
        string, pattern = (
            expect(self.value(side), VARCHAR, "LIKE").sql for side in (node.this, node.expression)
        )
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return Value(f"({string} {word} {pattern}{escape})", BOOLEAN)

    def _escape(self, node: exp.Escape) -> Value:
        if not isinstance(node.this, exp.Like):
            raise QueryRefused(f"{spelled(node)} is not supported.")
        character = literal(node.expression, "LIKE's ESCAPE")
        pattern = literal(node.this.expression, "A pattern with ESCAPE")
        escaped = re.sub(f"{re.escape(character)}[%_{re.escape(character)}]", "", pattern)
        if len(character) != 1 or character in escaped:
            raise QueryRefused(
                "ESCAPE needs one character, and before it in the pattern only %, _ and itself."
            )
        return self._like(node.this, f" ESCAPE {text(character)}")

    def _case(self, node: exp.Case) -> Value:
        of = self.value(node.this) if node.this is not None else None
        conditions, results = [], []
        for branch in node.args["ifs"]:
            if of is None:
                conditions.append(self.condition(branch.this, "WHEN"))
            elif isinstance(node.this, exp.Column) and branch.this == node.this:
                raise QueryRefused(f"CASE x WHEN x: write CASE WHEN {spelled(node.this)} IS NOT NULL.")
            else:
                conditions.append(comparison("=", of, self.value(branch.this)).sql)
            results.append(self.value(branch.args["true"]))
        default = node.args.get("default")
        results.append(self.value(default) if default is not None else NULL)
        results, type_ = common(results, "CASE")
        branches = " ".join(f"WHEN {c} THEN {r.sql}" for c, r in zip(conditions, results, strict=False))
        return Value(f"(CASE {branches} ELSE {results[-1].sql} END)", type_)

    def _if(self, node: exp.If) -> Value:
        condition = self.condition(node.this, "if")
        otherwise = node.args.get("false")
        (yes, no), type_ = common(
            [self.value(node.args["true"]), self.value(otherwise) if otherwise is not None else NULL], "if"
        )
        return Value(f"(CASE WHEN {condition} THEN {yes.sql} ELSE {no.sql} END)", type_)

    def _cast(self, node: exp.Cast, value: Value | None = None) -> Value:
        spelling = node.args["to"].sql("trino")
        if spelling.upper().startswith("CHAR"):
            raise QueryRefused("Athena pads char with blanks, which is not supported: use varchar.")
        try:
            target = types.parse(spelling)
        except ValueError as error:
            raise QueryRefused(f"The type {spelling} is not supported.") from error
        value = self.value(node.this) if value is None else value
        if value.constant is not None and value.type == VARCHAR and target.zone:
            return self._zoned_literal(value.constant, target)
        if re.search(r"(?i).\bvarchar\(", spelling):
            raise QueryRefused(f"{spelling}: a length within a type is not supported: write varchar.")
        length = re.fullmatch(r"(?i)varchar\((\d+)\)", spelling)
        return _shortened(value, int(length[1])) if length else cast(value, target)

    def _try_cast(self, node: exp.TryCast) -> Value:
        value = self.value(node.this)
        if value.is_partition:
            return self._cast(node, value)
        # An error within the value is an error on Athena too: DuckDB's TRY covers the cast alone.
        inner = replace(self.parameter(value.type, "v"), constant=value.constant)
        return attempt(self._cast(node, inner), inner.sql, value.sql)

    def _zoned_literal(self, literal: str, target: Type) -> Value:
        from localathena.functions import time

        found = re.fullmatch(r"(.*\d) *([+-]\d\d:\d\d|[A-Za-z]\S*)", literal)
        if found is None:
            raise QueryRefused(f"The timestamp {literal!r} needs its zone after it, as UTC or +02:00.")
        timestamp, zone = found.groups()
        local = cast(
            Value(text(timestamp), VARCHAR, timestamp), Type("timestamp", precision=target.precision)
        )
        zone_name = time.zone_of(exp.Literal.string(zone))
        return from_local(local.sql, types.zoned(zone_name, target.precision), is_literal=True)

    def _extract(self, node: exp.Extract) -> Value:
        from localathena.functions import time

        if node.name.lower() not in _EXTRACTED:
            raise QueryRefused(f"extract has no {node.name.lower()}: write {node.name.lower()}(x).")
        return time.extract(node.name.lower(), self.value(node.expression))

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
            return call(self, function, [node.this])
        string, characters = (
            expect(self.value(side), VARCHAR, "trim").sql for side in (node.this, node.expression)
        )
        return Value(f"{function}({string}, {characters})", VARCHAR)

    def _substring(self, node: exp.Substring) -> Value:
        arguments = [node.args.get(part) for part in ("this", "start", "length")]
        return call(self, "substr", [a for a in arguments if a is not None])

    def _bracket(self, node: exp.Bracket) -> Value:
        from localathena.functions.general import subscript

        if len(node.expressions) != 1:
            raise QueryRefused("A subscript is one index or key.")
        (key,) = node.expressions
        return subscript(self.value(node.this), self.value(key))

    def _array(self, node: exp.Array) -> Value:
        elements, type_ = common([self.value(element) for element in node.expressions], "ARRAY")
        return Value(f"[{', '.join(element.sql for element in elements)}]", types.array(type_))

    def _tuple(self, node: exp.Tuple) -> Value:
        from localathena.functions.general import row_of

        if not node.expressions:
            raise QueryRefused("() is not an expression.")
        return row_of([self.value(element) for element in node.expressions])

    def _dot(self, node: exp.Dot) -> Value:
        return _member(self.value(node.this), node.expression.name)

    def _concatenated(self, node: exp.DPipe) -> Value:
        from localathena.functions.text import concatenate

        return concatenate(self.value(node.this), self.value(node.expression))

    def _interval(self, node: exp.Interval) -> Value:
        from localathena.functions import time

        count, sign = node.this, ""
        if isinstance(node.args.get("unit"), exp.IntervalSpan) and isinstance(count, exp.Literal | exp.Neg):
            span, literal_ = node.args["unit"], count.this if isinstance(count, exp.Neg) else count
            sign = "-" if isinstance(count, exp.Neg) else ""
            return time.interval_span(sign + literal_.name, span.this.name, span.expression.name)
        if isinstance(count, exp.Neg):
            count, sign = count.this, "-"
        if not isinstance(count, exp.Literal) or not isinstance(node.args.get("unit"), exp.Var):
            raise QueryRefused(f"{spelled(node)} is not supported: write INTERVAL '7' DAY.")
        return time.interval(sign + count.this, node.args["unit"].name)

    def _at_time_zone(self, node: exp.AtTimeZone) -> Value:
        from localathena.functions import time

        return time.at_time_zone(self.value(node.this), time.zone_of(node.args["zone"]))

    def _unicode(self, node: exp.UnicodeString) -> Value:
        escape = node.args.get("escape")
        string = unicode_text(node.name, escape.name if isinstance(escape, exp.Expr) else "\\")
        return Value(text(string), VARCHAR, string)

    def _localtime(self, node: exp.Expr) -> Value:
        from localathena.functions import time

        return cast(cast(time.now(), TIMESTAMP), Type("time", precision=3))

    def _now(self, node: exp.Expr) -> Value:
        from localathena.functions import time

        if isinstance(node, exp.CurrentDate):
            return Value("current_date", DATE)
        now = time.now()
        return cast(now, TIMESTAMP) if isinstance(node, exp.Localtimestamp) else now

    def _scalar_subquery(self, node: exp.Subquery) -> Value:
        from localathena.functions.general import row_of

        self.names.kind = Kind.SCALAR
        relation = self._query(node, self.names.with_, self.names.scope)
        if len(relation.columns) != 1:
            seen = self.names.derived(f"({relation.sql})", relation.columns)
            row = row_of([column.value for column in seen.columns])
            return self.names.hoist(Value(f"(SELECT {row.sql} FROM {seen.sql})", row.type))  # noqa: S608
        return self.names.hoist(Value(f"({relation.sql})", relation.columns[0].type))

    def _exists(self, node: exp.Exists) -> Value:
        self.names.kind = Kind.EXISTS
        relation = self._query(node.this, self.names.with_, self.names.scope)
        return self.names.hoist(Value(f"(EXISTS ({relation.sql}))", BOOLEAN))

    def _identifier(self, node: exp.Identifier) -> Value:
        value = self.names.find(node.name, None)
        if value is None:
            raise QueryRefused(f"The column {node.name} cannot be found.{self.names.hint(node)}")
        return value


def _call(expressions: Expressions, node: exp.Expr) -> Value:
    return expressions.calls.call(node)


def _window(expressions: Expressions, node: exp.Window) -> Value:
    return expressions.calls.window(node)


_EXPRESSIONS: Mapping[type[exp.Expr], tuple[Callable[[Expressions, Any], Value], str]] = {
    exp.Anonymous: (_call, "this expressions"),
    exp.And: (Expressions._connected, "this expression"),
    exp.Array: (Expressions._array, "expressions"),
    exp.AtTimeZone: (Expressions._at_time_zone, "this zone"),
    exp.Between: (Expressions._between, "this low high"),
    exp.Boolean: (lambda _, node: Value("TRUE" if node.this else "FALSE", BOOLEAN), "this"),
    exp.Bracket: (Expressions._bracket, "this expressions"),
    exp.Case: (Expressions._case, "this ifs default"),
    exp.Cast: (Expressions._cast, "this to"),
    exp.Column: (Expressions._column, "this table db catalog"),
    exp.CurrentDate: (Expressions._now, ""),
    exp.CurrentTimestamp: (Expressions._now, ""),
    exp.DPipe: (Expressions._concatenated, "this expression safe"),
    exp.Dot: (Expressions._dot, "this expression"),
    exp.Escape: (Expressions._escape, "this expression"),
    exp.Exists: (Expressions._exists, "this"),
    exp.Extract: (Expressions._extract, "this expression"),
    exp.Filter: (_call, "this expression"),
    exp.GroupConcat: (_call, "this separator"),
    exp.HexString: (Expressions._hex_literal, "this"),
    exp.Identifier: (Expressions._identifier, "this quoted"),
    exp.If: (Expressions._if, "this true false"),
    exp.In: (Expressions._in, "this expressions query"),
    exp.Interval: (Expressions._interval, "this unit"),
    exp.Is: (Expressions._is, "this expression"),
    exp.Like: (Expressions._like, "this expression negate"),
    exp.Literal: (Expressions._literal, "this is_string"),
    exp.Localtimestamp: (Expressions._now, ""),
    exp.Neg: (Expressions._negative, "this"),
    exp.Not: (Expressions._not, "this"),
    exp.Null: (lambda _, __: NULL, ""),
    exp.Or: (Expressions._connected, "this expression"),
    exp.Paren: (lambda expressions, node: expressions.value(node.this), "this"),
    exp.ParseJSON: (Expressions._json_literal, "this is_literal"),
    exp.StrPosition: (Expressions._position, "this substr"),
    exp.Subquery: (Expressions._scalar_subquery, "this with_ order limit offset"),
    exp.Substring: (Expressions._substring, "this start length"),
    exp.Trim: (Expressions._trim, "this expression position"),
    exp.TryCast: (Expressions._try_cast, "this to safe"),
    exp.Tuple: (Expressions._tuple, "expressions"),
    exp.UnicodeString: (Expressions._unicode, "this escape"),
    exp.Localtime: (Expressions._localtime, ""),
    exp.Window: (_window, "this partition_by order spec alias over"),
}
"""Translation of each kind of expression, and the parts of the node that it uses."""


def _may_fail(sql: str) -> bool:
    """Whether a condition may fail for some values, by division or by a check."""
    return re.search(r" // | % |'~", sql) is not None


def _member(value: Value, name: str) -> Value:
    names = [(member or "").lower() for member in value.type.fields]
    if value.type.name != "row" or name.lower() not in names:
        raise QueryRefused(f"{value.type} has no field {name}.")
    return row_field(value, names.index(name.lower()))


def _shortened(value: Value, length: int) -> Value:
    """Return `CAST(value AS varchar(length))`: a text is cut, any other value must fit."""
    string = cast(value, VARCHAR)
    if value.type != VARCHAR:
        long = f"length({string.sql}) > {length}"
        if value.type.is_datetime or value.type == BOOLEAN:
            why = f"A {value.type} that does not fit varchar({length}) is not supported"
            return replace(string, sql=refuse_if(long, why, string.sql))
        return replace(string, sql=fail_if(long, f"A value does not fit varchar({length})", string.sql))
    if string.constant is not None:
        return Value(text(string.constant[:length]), VARCHAR, string.constant[:length])
    return Value(f"substr({string.sql}, 1, {length})", VARCHAR)


def _each_of_values(node: exp.Expr) -> exp.Expr | None:
    """Return ANY or ALL of (VALUES ...), which sqlglot parses as a call."""
    kinds = {"all": exp.All, "any": exp.Any, "some": exp.Any}
    kind = kinds.get(node.name.lower()) if isinstance(node, exp.Anonymous) else None
    inside = node.expressions if kind else []
    return (
        kind(this=inside[0].copy())
        if kind and len(inside) == 1 and isinstance(inside[0], exp.Values)
        else None
    )


def _sought_query(node: exp.In) -> exp.Expr | None:
    """Return the query in IN (...). sqlglot parses VALUES there as a value."""
    only = node.expressions[0] if len(node.expressions) == 1 else None
    return only if isinstance(only, exp.Values) else node.args.get("query")
