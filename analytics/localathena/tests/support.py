"""The tables that the tests ask about, and values to compare answers with."""

from typing import Any

import pandas as pd
from facts import COLUMNS, TABLES

SCHEMA = TABLES["predictions"]
SCHEMAS = {name: COLUMNS[name] for name in ("predictions", "labels")}


def plain(value: Any) -> Any:
    """Return pandas' scalar as Python's."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    if isinstance(value, pd.Timedelta):
        return value.to_pytimedelta()
    if isinstance(value, dict | list | str) or value is None:
        return value
    return None if value is pd.NA or value is pd.NaT else value.item() if hasattr(value, "item") else value
