"""Translation of Athena's SQL to DuckDB's: right, or refused.

sqlglot reads the statement (`parsing`). `queries` translates SELECT, VALUES and UNION, `relations` FROM,
`expressions` and `calls` the rest; `names` resolves names. Each expression is translated with
its Trino type, because what an operator means depends on it: `7 / 2` is 3, `1.0 / 3` is 0.3, and
`current_date - interval '7' day` is a date.
"""

import re
from collections.abc import Mapping, Sequence

from localathena.errors import QueryRefused
from localathena.names import Names
from localathena.queries import Queries
from localathena.statements import COMMENTS, EXPLAIN, SHOWING, ensure_it_reads
from localathena.tables import Parameter, Table, Translation


def translate(
    sql: str, tables: Mapping[str, Table], parameters: Sequence[Parameter] = (), database: str | None = None
) -> Translation:
    """Translate one read-only statement of Athena's, each `?` standing for one parameter.

    Tables are found by their names in lower case. Names may be qualified with `AwsDataCatalog` and the
    database: with any, if `database` is None.

    Raises:
        QueryRefused: it reads something else than the tables, or has no translation with the same meaning.
    """
    ensure_it_reads(sql)
    bare = COMMENTS.sub(" ", sql).strip()
    if explained := EXPLAIN.match(bare):
        if re.search(r"\bTYPE\s+VALIDATE\b", explained[0], re.IGNORECASE):
            translate(bare[explained.end() :], tables, parameters, database)
            from localathena.listing import validated  # few statements need it

            return validated()
        raise QueryRefused(
            "EXPLAIN shows how Athena would run a statement, which is not supported: EXPLAIN (TYPE VALIDATE) "
            "tells whether it could, and running it what was scanned."
        )
    if SHOWING.match(bare):
        from localathena.listing import listed

        return listed(tables, bare, database)
    from localathena.parsing import parse  # sqlglot's dialect comes with the first statement

    try:
        names = Names(tables, database)
        relation = Queries(names).query(parse(sql, parameters), {}, None)
    except RecursionError:
        raise QueryRefused("The statement is nested too deeply.") from None
    return Translation(relation.sql, relation.columns, names.called)
