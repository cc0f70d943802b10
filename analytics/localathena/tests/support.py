"""The tables that the tests ask about, and values to compare answers with."""

from typing import Any

import pandas as pd
import pyarrow as pa

PREDICTIONS = pa.schema(
    [
        ("result_id", pa.string()),
        ("upload_id", pa.string()),
        ("bucket", pa.string()),
        ("key", pa.string()),
        ("size_bytes", pa.int64()),
        ("uploaded_at", pa.timestamp("ms")),
        ("decided_at", pa.timestamp("ms")),
        ("outcome", pa.string()),
        ("label", pa.string()),
        ("confidence", pa.float64()),
        ("probabilities", pa.map_(pa.string(), pa.float64())),
        ("detail", pa.string()),
        ("width_px", pa.int32()),
        ("classify_ms", pa.float64()),
    ]
)
LABELS = pa.schema(
    [
        ("upload_id", pa.string()),
        ("key", pa.string()),
        ("true_label", pa.string()),
        ("labelled_at", pa.timestamp("ms")),
    ]
)
SCHEMAS = {"predictions": PREDICTIONS, "labels": LABELS}


def plain(value: Any) -> Any:
    """Return pandas' scalar as Python's."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if isinstance(value, dict | list | str) or value is None:
        return value
    return None if value is pd.NA or value is pd.NaT else value.item() if hasattr(value, "item") else value
