"""The views as Glue keeps them for Athena, from the same SQL that the laptop runs."""

import base64
import json
from typing import Any

import pyarrow as pa

from analytics.lake.schema import LABELS_SCHEMA, PARTITION_KEY, SCHEMA, glue_columns
from analytics.questions.queries import views

_TRINO = {
    pa.string(): "varchar",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float64(): "double",
    pa.timestamp("ms"): "timestamp(3)",
    pa.map_(pa.string(), pa.float64()): "map(varchar,double)",
}

_COLUMNS_AS_OF = {"outcomes": SCHEMA, "true_labels": LABELS_SCHEMA}
"""View → the schema of its columns, but for `dt`."""


def glue_view(name: str, database: str) -> dict[str, Any]:
    """Return a view as a Glue `TableInput`, as `CREATE VIEW` in Athena leaves it.

    Athena reads the columns' types from the encoded definition, and other readers of Glue from its columns:
    there alone are they described, as in a table.
    Source: the format of `ViewOriginalText` is Trino's `ConnectorViewDefinition` as JSON.
    """
    schema = _COLUMNS_AS_OF[name]
    definition = {
        "originalSql": views()[name],
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [
            *({"name": field.name, "type": _TRINO[field.type]} for field in schema),
            {"name": "dt", "type": "varchar"},
        ],
        "runAsInvoker": True,
    }
    encoded = base64.b64encode(json.dumps(definition).encode()).decode()
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
        "StorageDescriptor": {
            "Columns": [*glue_columns(schema), PARTITION_KEY],
            "Location": "",
            "SerdeInfo": {},
        },
    }
