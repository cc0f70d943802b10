"""The views as Athena keeps them in Glue, from the same SQL that the laptop runs."""

import json

import pyarrow as pa

from analytics.lake.schema import (
    CHALLENGER_SCHEMA,
    LABELS_SCHEMA,
    OUTCOMES_SCHEMA,
    PARTITION_KEY,
    glue_columns,
)
from analytics.questions.queries import views

_TRINO = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.timestamp("ms"): "timestamp(3)",
    pa.map_(pa.string(), pa.float64()): "map(varchar,double)",
}

_COLUMNS_AS_OF = {
    "challenger_answers": CHALLENGER_SCHEMA,
    "outcomes": OUTCOMES_SCHEMA,
    "true_labels": LABELS_SCHEMA,
}
"""View → the schema of its columns, but for `dt`."""


def view_columns(name: str) -> list[dict[str, str]]:
    """Return a view's columns for Glue: `{"Name", "Type", "Comment"}`, in Hive's types."""
    return [*glue_columns(_COLUMNS_AS_OF[name]), PARTITION_KEY]


def view_definition(name: str, database: str) -> str:
    """Return a view's definition as JSON, which Athena keeps in base64 in `ViewOriginalText`.

    Athena reads a view's columns from this definition, other readers of Glue from `view_columns`.
    Source: Trino's `ConnectorViewDefinition`.
    """
    definition = {
        "originalSql": views()[name],
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [
            *({"name": field.name, "type": _TRINO[field.type]} for field in _COLUMNS_AS_OF[name]),
            {"name": "dt", "type": "varchar"},
        ],
        "runAsInvoker": True,
    }
    return json.dumps(definition)
