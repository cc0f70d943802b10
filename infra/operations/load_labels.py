"""Loads a labels file into the table of a stack."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analytics.athena.engine import Engine
from analytics.lake.aws import ResultsBucket
from analytics.review.labels import MAX_BYTES, UnusableLabels, classified_images, parse, to_files, too_large
from infra.stack import Stack
from ingest.upload import bucket_and_key


@dataclass(frozen=True)
class Loaded:
    """What a labels file held."""

    images: int
    new: int
    """Images that had no label before."""


def load_labels(stack: Stack, answers: Engine, source: str) -> Loaded:
    """Load a labels file, `s3://bucket/key` or a local one.

    Raises:
        UnusableLabels: the file is not one of labels, or not of this stack's images; nothing is loaded.
        OSError, botocore.exceptions.ClientError: it cannot be read, or not be written.
    """
    s3 = stack.client("s3")
    try:
        labels = parse(_read(s3, source), datetime.now(UTC))
        files = to_files(labels, classified_images(answers, (label.upload_id for label in labels)))
    except UnusableLabels as error:
        raise UnusableLabels(f"{source}: {error}. Nothing was loaded.") from error
    known = set(answers.query("SELECT upload_id FROM true_labels").frame["upload_id"])
    labelled = {label.upload_id for label in labels}
    bucket = ResultsBucket(s3, stack.results_bucket)
    for path, table in files.items():
        bucket.write(path, table)
    return Loaded(len(labelled), len(labelled - known))


def _read(s3: Any, source: str) -> bytes:
    if source.startswith("s3://"):
        bucket, key = bucket_and_key(source)
        response = s3.get_object(Bucket=bucket, Key=key)
        size_bytes, file = response["ContentLength"], response["Body"]
    else:
        path = Path(source).expanduser()
        size_bytes, file = path.stat().st_size, path.open("rb")
    with file:
        if size_bytes > MAX_BYTES:
            raise too_large(size_bytes)
        data: bytes = file.read()
    return data
