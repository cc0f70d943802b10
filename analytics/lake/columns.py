"""The columns of the tables, once: their types, what they mean, and how Glue has them. Without pyarrow.

`analytics.lake.schema` makes Arrow's schemas of them.
"""

from collections.abc import Mapping

from analytics.lake.label_source import Source
from workflow.outcome import IMPORTED_BUCKET, Outcome
from workflow.policy import KEPT_CLASSES, UNLIKE_TRAINING

Columns = Mapping[str, str]
"""Name → Athena's type. The partition `dt`, the UTC date of `uploaded_at`, is in the path."""

TABLE = "predictions"
PREFIX = f"{TABLE}/"
"""Prefix of the table's files in the results bucket."""

# Milliseconds: Athena misreads nanoseconds. No zone: all times are UTC.
COLUMNS: Columns = {
    "result_id": "varchar",
    "upload_id": "varchar",
    "bucket": "varchar",
    "key": "varchar",
    "version_id": "varchar",
    "etag": "varchar",
    "size_bytes": "bigint",
    "uploaded_at": "timestamp(3)",
    "decided_at": "timestamp(3)",
    "first_decided_at": "timestamp(3)",
    "outcome": "varchar",
    "label": "varchar",
    "confidence": "double",
    "threshold": "double",
    "probabilities": "map(varchar,double)",
    "other_probability": "double",
    "unfamiliarity": "double",
    "reason": "varchar",
    "detail": "varchar",
    "model_version": "varchar",
    "endpoint": "varchar",
    "image_format": "varchar",
    "width_px": "integer",
    "height_px": "integer",
    "brightness": "double",
    "sharpness": "double",
    "serialize_ms": "double",
    "classify_ms": "double",
    "execution_arn": "varchar",
}

OUTCOMES_COLUMNS: Columns = {
    **COLUMNS,
    "is_classified": "boolean",
    "is_imported": "boolean",
}
"""Columns of the view `outcomes`, in its order."""

LABELS_TABLE = "labels"
LABELS_COLUMNS: Columns = {
    "upload_id": "varchar",
    "key": "varchar",
    "true_label": "varchar",
    "labelled_at": "timestamp(3)",
    "labelled_by": "varchar",
    "source": "varchar",
    "draw_probability": "double",
}
"""Labels that people gave. `true_label` is NULL for none of the classes; `dt` is the upload's."""

CHALLENGER_TABLE = "challenger"
_OF_CHALLENGER = (
    *("upload_id", "bucket", "key", "version_id", "uploaded_at", "decided_at", "outcome", "label"),
    *("confidence", "threshold", "unfamiliarity", "reason", "detail", "model_version", "endpoint"),
)
CHALLENGER_COLUMNS: Columns = {name: COLUMNS[name] for name in _OF_CHALLENGER}
"""What the challenger would have decided about an image. No outcome: nothing that counts images reads it."""

TABLES: Mapping[str, Columns] = {
    TABLE: COLUMNS,
    LABELS_TABLE: LABELS_COLUMNS,
    CHALLENGER_TABLE: CHALLENGER_COLUMNS,
}
"""Table, and folder in the results bucket → its columns."""

LISTING_TABLE = "uploaded"
LISTING_COLUMNS: Columns = {
    name: COLUMNS[name] for name in ("key", "version_id", "etag", "size_bytes", "uploaded_at")
}
"""Object versions of the incoming bucket, while they are compared with the table. `dt` names the listing."""

REQUIRED = {
    *("result_id", "upload_id", "bucket", "key", "uploaded_at", "decided_at", "outcome"),
    *("is_classified", "is_imported", "labelled_at"),
}
"""Columns that are never NULL, in whichever table they are."""

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


def glue_columns(columns: Columns) -> list[dict[str, str]]:
    """Return a table's columns for Glue: `{"Name", "Type", "Comment"}`, in Hive's types."""
    return [
        {"Name": name, "Type": _HIVE[type_], "Comment": COMMENTS[name]} for name, type_ in columns.items()
    ]


_HIVE = {
    "varchar": "string",
    "integer": "int",
    "bigint": "bigint",
    "double": "double",
    "boolean": "boolean",
    "timestamp(3)": "timestamp",
    "map(varchar,double)": "map<string,double>",
}
"""Athena's type → Hive's."""
