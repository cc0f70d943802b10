"""The tables: pyarrow's schemas, a row of results, its path and Glue's columns, all from one definition."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingest.upload import Upload
from workflow.outcome import Outcome, reason_and_detail

TABLE = "predictions"
PREFIX = f"{TABLE}/"
"""Where the table's files lie in the results bucket."""

# Milliseconds: Athena reads nanoseconds as nonsense. No zone: Athena's `timestamp` has none, all are UTC.
_TIMESTAMP = pa.timestamp("ms")

SCHEMA = pa.schema(
    [
        pa.field("result_id", pa.string(), nullable=False),
        pa.field("upload_id", pa.string(), nullable=False),
        pa.field("bucket", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("uploaded_at", _TIMESTAMP, nullable=False),
        pa.field("decided_at", _TIMESTAMP, nullable=False),
        pa.field("first_decided_at", _TIMESTAMP),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("confidence", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("probabilities", pa.map_(pa.string(), pa.float64())),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("endpoint", pa.string()),
        pa.field("image_format", pa.string()),
        pa.field("width_px", pa.int32()),
        pa.field("height_px", pa.int32()),
        pa.field("brightness", pa.float64()),
        pa.field("sharpness", pa.float64()),
        pa.field("serialize_ms", pa.float64()),
        pa.field("classify_ms", pa.float64()),
        pa.field("execution_arn", pa.string()),
    ]
)
"""Every column but the partition `dt`, which is in the path: the UTC date of `uploaded_at`."""

LABELS_TABLE = "labels"
LABELS_SCHEMA = pa.schema(
    [
        pa.field("upload_id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("true_label", pa.string()),
        pa.field("labelled_at", _TIMESTAMP, nullable=False),
    ]
)
"""What people say images show, NULL for none of the classes; `dt` is that of the upload's results."""

SCHEMAS: Mapping[str, pa.Schema] = {TABLE: SCHEMA, LABELS_TABLE: LABELS_SCHEMA}
"""Each table's columns by its name, which is also its folder in the results bucket."""

COMMENTS: Mapping[str, str] = {
    "result_id": "Of the upload as one version of the model decided it: a digest.",
    "upload_id": "Of one version of one object: a digest.",
    "bucket": "That the image was dropped into; data-capture, if it was imported.",
    "key": "The image's name in the bucket; the event id, if it was imported.",
    "version_id": "S3's, of the object.",
    "etag": "S3's, of the object.",
    "size_bytes": "Of the original.",
    "uploaded_at": "UTC; if it was imported, when the endpoint was asked.",
    "decided_at": "UTC.",
    "first_decided_at": "UTC: since when there was an outcome as good; NULL in the table if decided_at.",
    "outcome": "accepted, needs_review, rejected (the image is at fault) or failed (it is not).",
    "label": "The most probable class.",
    "confidence": "The calibrated probability of the label, 0 to 1.",
    "threshold": "That the confidence was compared with.",
    "probabilities": "By class.",
    "reason": "Of a rejection or a failure, in a word.",
    "detail": "Of a rejection or a failure, for people.",
    "model_version": "As the model names itself; else the endpoint and its variant.",
    "endpoint": "That was asked.",
    "image_format": "As its bytes say, not its name.",
    "width_px": "Upright, before it was shrunk.",
    "height_px": "Upright, before it was shrunk.",
    "brightness": "Mean of the shrunk image, 0 to 255.",
    "sharpness": "Variance of the shrunk image's Laplacian.",
    "serialize_ms": "Within the Lambda; NULL if it was imported.",
    "classify_ms": "Of the request to the endpoint, or its share of a batch; NULL if it was imported.",
    "execution_arn": "Of the state machine.",
    "true_label": "What a person says the image shows; NULL for none of the classes.",
    "labelled_at": "UTC.",
    "dt": "UTC date of the upload, as in 2026-11-24: a condition on it bounds what a query scans.",
}
"""What each column holds, of the tables and of their views."""

PARTITION_KEY = {"Name": "dt", "Type": "string", "Comment": COMMENTS["dt"]}
"""As Glue wants it."""

_FROM_IMAGE = ("image_format", "width_px", "height_px", "brightness", "sharpness", "serialize_ms")
_FROM_PREDICTION = (
    "label",
    "confidence",
    "threshold",
    "probabilities",
    "model_version",
    "endpoint",
    "classify_ms",
)


def row_from_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """Turn an outcome message (see `workflow.outcome`) into a row of `SCHEMA`.

    Raises:
        KeyError, ValueError, TypeError: the message is not one; no retry will make it one.
    """
    upload = Upload.from_event(message["event"])
    outcome = Outcome(message["outcome"])
    image: Mapping[str, Any] = message.get("image") or {}
    prediction: Mapping[str, Any] = message.get("prediction") or {}
    error = message.get("error")
    reason, detail = reason_and_detail(outcome, error) if error else (None, None)
    if outcome in (Outcome.ACCEPTED, Outcome.NEEDS_REVIEW):
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
    """Refuse an answer that every question about the week would stumble over."""
    for name in ("label", "confidence", "threshold"):
        if prediction.get(name) is None:
            raise ValueError(f"the prediction has no {name}")
    if not 0 <= prediction["confidence"] <= 1:
        raise ValueError(f"a confidence is from 0 to 1, not {prediction['confidence']}")


def partition(row: Mapping[str, Any]) -> str:
    """Return the row's `dt`, as YYYY-MM-DD: every copy of a row has the same one."""
    return str(row["uploaded_at"].date())


def to_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of `SCHEMA`.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value does not fit its column.
        ValueError: a column that must not is empty; pyarrow says so only as it writes.
    """
    table = pa.Table.from_pylist(
        [{**row, "probabilities": _pairs(row["probabilities"])} for row in rows], SCHEMA
    )
    for field in SCHEMA:
        if not field.nullable and table.column(field.name).null_count:
            raise ValueError(f"a row has no {field.name}")
    return table


def glue_columns(schema: pa.Schema) -> list[dict[str, str]]:
    """Return a table's columns as Glue wants them: `{"Name", "Type", "Comment"}`, in Hive's types."""
    return [
        {"Name": field.name, "Type": _hive_type(field.type), "Comment": COMMENTS[field.name]}
        for field in schema
    ]


def _hive_type(type_: pa.DataType) -> str:
    if pa.types.is_map(type_):
        return f"map<{_hive_type(type_.key_type)},{_hive_type(type_.item_type)}>"
    return {
        pa.string(): "string",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float64(): "double",
        _TIMESTAMP: "timestamp",
    }[type_]


def _pairs(probabilities: Mapping[str, float] | None) -> list[tuple[str, float]] | None:
    return None if probabilities is None else list(probabilities.items())


def _utc_without_zone(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
