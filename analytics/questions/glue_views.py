"""The views as Athena keeps them in Glue, from the same SQL that the laptop runs."""

import json

from analytics.lake.columns import (
    CHALLENGER_COLUMNS,
    LABELS_COLUMNS,
    OUTCOMES_COLUMNS,
    PARTITION_KEY,
    glue_columns,
)
from analytics.questions.queries import views

_COLUMNS_AS_OF = {
    "challenger_answers": CHALLENGER_COLUMNS,
    "outcomes": OUTCOMES_COLUMNS,
    "true_labels": LABELS_COLUMNS,
}
"""View → its columns, but for `dt`."""


def view_columns(name: str) -> list[dict[str, str]]:
    """Return a view's columns for Glue: `{"Name", "Type", "Comment"}`, in Hive's types."""
    return [*glue_columns(_COLUMNS_AS_OF[name]), PARTITION_KEY]


def view_definition(view: str, database: str) -> str:
    """Return a view's definition as JSON, which Athena keeps in base64 in `ViewOriginalText`.

    Athena reads a view's columns from this definition, other readers of Glue from `view_columns`.
    Source: Trino's `ConnectorViewDefinition`.
    """
    definition = {
        "originalSql": views()[view],
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [
            *({"name": name, "type": type_} for name, type_ in _COLUMNS_AS_OF[view].items()),
            {"name": "dt", "type": "varchar"},
        ],
        "runAsInvoker": True,
    }
    return json.dumps(definition)
