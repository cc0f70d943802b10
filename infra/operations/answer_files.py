"""Answers of queries as files, and their cells as text."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_NULLS = ("NaTType", "NAType")
"""Names of the pandas types that stand for NULL, besides NaN."""


def text_of(value: Any) -> str:
    """Return a cell for people: NULL is empty, a number has four digits."""
    if isinstance(value, float):
        if value != value:
            return ""  # NaN stands for NULL in a frame
        return f"{value:.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"
    return "" if value is None or type(value).__name__ in _NULLS else str(value)


def _csv(frame: "pd.DataFrame") -> bytes:
    cells = frame.map(_cell)
    text: str = cells.to_csv(index=False)
    if "\r" in text:  # which Python quotes from version 3.13 on
        text = cells.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    """Return a cell of CSV: a map, an array and a row are JSON."""
    nested = isinstance(value, dict | list | tuple) or type(value).__name__ == "ndarray"
    return json.dumps(_plain(value), ensure_ascii=False) if nested else value


def _json(frame: "pd.DataFrame") -> bytes:
    names = [str(column) for column in frame]
    rows = [dict(zip(names, map(_plain, row), strict=True)) for row in frame.itertuples(index=False)]
    return (json.dumps(rows, indent=2) + "\n").encode()


def _parquet(frame: "pd.DataFrame") -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


ENCODERS: "Mapping[str, Callable[[pd.DataFrame], bytes]]" = {"csv": _csv, "json": _json, "parquet": _parquet}
"""Format → what writes an answer in it."""


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it: NULL, NaN and infinity are null, a time is ISO 8601."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):  # numpy's scalars and arrays
        return _plain(value.tolist())
    if type(value).__name__ in _NULLS:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
