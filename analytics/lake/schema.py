"""The tables as Arrow has them: schemas, rows of results, partitions."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from analytics.lake.columns import (
    CHALLENGER_COLUMNS,
    COLUMNS,
    LABELS_COLUMNS,
    LISTING_COLUMNS,
    REQUIRED,
    Columns,
)
from ingest.upload import Upload
from workflow.outcome import Outcome, reason_and_detail

_ARROW = {
    "varchar": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp(3)": pa.timestamp("ms"),
    "map(varchar,double)": pa.map_(pa.string(), pa.float64()),
}
"""Athena's type → Arrow's."""


def _schema(columns: Columns) -> pa.Schema:
    return pa.schema(
        [pa.field(name, _ARROW[type_], nullable=name not in REQUIRED) for name, type_ in columns.items()]
    )


SCHEMA = _schema(COLUMNS)
LABELS_SCHEMA = _schema(LABELS_COLUMNS)
CHALLENGER_SCHEMA = _schema(CHALLENGER_COLUMNS)
LISTING_SCHEMA = _schema(LISTING_COLUMNS)

_FROM_IMAGE = ("image_format", "width_px", "height_px", "brightness", "sharpness", "serialize_ms")
_FROM_PREDICTION = (
    "label",
    "confidence",
    "threshold",
    "probabilities",
    "other_probability",
    "unfamiliarity",
    "model_version",
    "endpoint",
    "classify_ms",
)


def row_from_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Turn an outcome message (see `workflow.outcome`) into a row of `SCHEMA`.

    Raises:
        KeyError, ValueError, TypeError: the message is invalid; a retry does not help.
    """
    upload = Upload.from_event(message["event"])
    outcome = Outcome(message["outcome"])
    image: Mapping[str, Any] = message.get("image") or {}
    prediction: Mapping[str, Any] = message.get("prediction") or {}
    error = message.get("error")
    reason, detail = (
        reason_and_detail(outcome, error) if error else (prediction.get("reason"), prediction.get("detail"))
    )
    if outcome.is_classified:
        _ensure_answered(prediction)
    elif reason is None:
        raise ValueError(f"no error says why it is {outcome}")
    return {
        "result_id": upload.result_id(prediction.get("model_version")),
        "upload_id": upload.upload_id,
        "bucket": upload.bucket,
        "key": upload.key,
        "version_id": upload.version_id,
        "etag": upload.etag,
        "size_bytes": upload.size_bytes,
        "uploaded_at": upload.uploaded_at.replace(tzinfo=None),
        "decided_at": _utc_without_zone(message["decided_at"]),
        "first_decided_at": None,
        "outcome": outcome.value,
        "reason": reason,
        "detail": detail,
        "execution_arn": message.get("execution_arn"),
        **{column: image.get(column) for column in _FROM_IMAGE},
        **{column: prediction.get(column) for column in _FROM_PREDICTION},
    }


def _ensure_answered(prediction: Mapping[str, Any]) -> None:
    """Refuse an answer that would break every query about its week."""
    for name in ("label", "confidence", "threshold"):
        if prediction.get(name) is None:
            raise ValueError(f"the prediction has no {name}")
    if not 0 <= prediction["confidence"] <= 1:
        raise ValueError(f"a confidence is from 0 to 1, not {prediction['confidence']}")


def partition(row: Mapping[str, Any]) -> str:
    """Return the row's `dt` as YYYY-MM-DD: every duplicate of a row has the same."""
    return str(row["uploaded_at"].date())


def to_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of `SCHEMA`.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit its column.
        ValueError: a required column is empty; pyarrow would only notice when it writes.
    """
    table = pa.Table.from_pylist(
        [{**row, "probabilities": _pairs(row["probabilities"])} for row in rows], SCHEMA
    )
    for field in SCHEMA:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"a row has no {field.name}")
    return table


def _pairs(probabilities: Mapping[str, float] | None) -> list[tuple[str, float]] | None:
    return None if probabilities is None else list(probabilities.items())


def _utc_without_zone(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
