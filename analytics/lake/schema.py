"""The tables: schemas, rows of results, partitions and Glue columns, all from one definition."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from analytics.lake.label_source import Source
from ingest.upload import Upload
from workflow.outcome import IMPORTED_BUCKET, Outcome, reason_and_detail
from workflow.policy import KEPT_CLASSES, UNLIKE_TRAINING

TABLE = "predictions"
PREFIX = f"{TABLE}/"
"""Prefix of the table's files in the results bucket."""

# Milliseconds: Athena misreads nanoseconds. No zone: Athena's `timestamp` has none; all times are UTC.
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
        pa.field("other_probability", pa.float64()),
        pa.field("unfamiliarity", pa.float64()),
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
"""Every column but the partition `dt`: the UTC date of `uploaded_at`, which is in the path."""

OUTCOMES_SCHEMA = pa.schema(
    [
        *SCHEMA,
        pa.field("is_classified", pa.bool_(), nullable=False),
        pa.field("is_imported", pa.bool_(), nullable=False),
    ]
)
"""Columns of the view `outcomes`, in its order, but for `dt`."""

LABELS_TABLE = "labels"
LABELS_SCHEMA = pa.schema(
    [
        pa.field("upload_id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("true_label", pa.string()),
        pa.field("labelled_at", _TIMESTAMP, nullable=False),
        pa.field("labelled_by", pa.string()),
        pa.field("source", pa.string()),
        pa.field("draw_probability", pa.float64()),
    ]
)
"""Labels that people gave. `true_label` is NULL for none of the classes; `dt` is the upload's."""


CHALLENGER_TABLE = "challenger"
_OF_CHALLENGER = (
    *("upload_id", "bucket", "key", "version_id", "uploaded_at", "decided_at", "outcome", "label"),
    *("confidence", "threshold", "unfamiliarity", "reason", "detail", "model_version", "endpoint"),
)
CHALLENGER_SCHEMA = pa.schema([SCHEMA.field(name) for name in _OF_CHALLENGER])
"""What the challenger would have decided about an image. No outcome: nothing that counts images reads it."""

SCHEMAS: Mapping[str, pa.Schema] = {
    TABLE: SCHEMA,
    LABELS_TABLE: LABELS_SCHEMA,
    CHALLENGER_TABLE: CHALLENGER_SCHEMA,
}
"""Table, and folder in the results bucket → its columns."""

LISTING_TABLE = "uploaded"
LISTING_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("uploaded_at", _TIMESTAMP, nullable=False),
    ]
)
"""Object versions of the incoming bucket, while they are compared with the table. `dt` names the listing."""

COMMENTS: Mapping[str, str] = {
    "result_id": "SHA-256 that identifies one upload as decided by one model version.",
    "upload_id": "SHA-256 that identifies one version of one object.",
    "bucket": f"Bucket that the image was uploaded to; {IMPORTED_BUCKET} for an imported row.",
    "key": "Key of the object; the event id for an imported row.",
    "version_id": "S3 version id of the object.",
    "etag": "S3 ETag of the object.",
    "size_bytes": "Size of the original image in bytes.",
    "uploaded_at": "Time of the upload (UTC); for an imported row, of the request to the endpoint.",
    "decided_at": "Time of the decision (UTC).",
    "first_decided_at": "Time of the first outcome of equal rank (UTC). "
    "NULL in the table when it equals decided_at.",
    "outcome": f"{', '.join(Outcome)}: what became of the image.",
    "label": "Most probable class.",
    "confidence": "Calibrated probability of the label, 0 to 1.",
    "threshold": "Acceptance threshold that the confidence was compared with.",
    "probabilities": "Calibrated probability of each class; of more than "
    f"{KEPT_CLASSES} classes, of the most probable.",
    "other_probability": "Sum of the probabilities of the classes that are not in `probabilities`; "
    "NULL where all are in it.",
    "unfamiliarity": "How unlike its classes the model finds the image, 0 to 1; NULL where the endpoint does "
    "not give it.",
    "reason": "Why the image was rejected or failed, in one word; "
    f"{UNLIKE_TRAINING} where it needs review whatever its confidence.",
    "detail": "The reason in a sentence.",
    "model_version": "Version that the model reports; if it reports none, endpoint and variant.",
    "endpoint": "Name of the SageMaker endpoint.",
    "image_format": "Image format, read from the bytes and not from the name.",
    "width_px": "Width of the original image, upright.",
    "height_px": "Height of the original image, upright.",
    "brightness": "Mean brightness of the resized image, 0 to 255.",
    "sharpness": "Variance of the Laplacian of the resized image.",
    "serialize_ms": "Duration within the Serialize Lambda; NULL for an imported row.",
    "classify_ms": "Duration of the endpoint request, or its share of a batch; NULL for an imported row.",
    "execution_arn": "ARN of the state machine execution.",
    "is_classified": "Whether the model answered, so that the row has a label and a confidence.",
    "is_imported": "Whether the row was imported from data-capture files.",
    "true_label": "Class that a person says the image shows; NULL for none of the classes.",
    "labelled_at": "Time of the label (UTC).",
    "labelled_by": "Name that the person gave; NULL if none.",
    "source": f"{', '.join(Source)}: how the image came to be labelled. NULL if that was not recorded.",
    "draw_probability": "Probability with which the image was drawn for labelling, 0 to 1. "
    "NULL if it was not drawn at random. For provenance: no figure is computed from it.",
    "dt": "UTC date of the upload, such as 2026-11-24. Filter on it to limit what a query scans.",
}
"""Description of each column of the tables and of their views, as Glue shows it."""

PARTITION_KEY = {"Name": "dt", "Type": "string", "Comment": COMMENTS["dt"]}
"""The partition column in Glue's form."""

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


def glue_columns(schema: pa.Schema) -> list[dict[str, str]]:
    """Return a table's columns for Glue: `{"Name", "Type", "Comment"}`, in Hive's types."""
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
        pa.bool_(): "boolean",
        _TIMESTAMP: "timestamp",
    }[type_]


def _pairs(probabilities: Mapping[str, float] | None) -> list[tuple[str, float]] | None:
    return None if probabilities is None else list(probabilities.items())


def _utc_without_zone(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
