"""Lambda Serialize: an `Object Created` event in, the small image that the model sees out."""

import base64
import os
from functools import cache
from time import perf_counter
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.aws import IncomingBucket
from ingest.image import PreparedImage, prepare
from ingest.metrics import StackMetrics
from ingest.upload import Upload

logger = Logger(service="serialize")
metrics = StackMetrics("serialize")


@cache
def incoming_bucket() -> IncomingBucket:
    """Return the reader of the bucket, created once per container."""
    return IncomingBucket.connect()


@cache
def image_size_px() -> int:
    """Return the width and height of the model's input."""
    return int(os.environ["IMAGE_SIZE_PX"])


@logger.inject_lambda_context(correlation_id_path="execution_arn")
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take `{"event", "execution_arn"}`; return `{"body", "content_type", "image"}`.

    Raises:
        RejectedImage: the image is at fault.
    """
    started = perf_counter()
    upload = Upload.from_event(request["event"])
    logger.append_keys(bucket=upload.bucket, key=upload.key, version_id=upload.version_id)
    prepared = prepare(incoming_bucket().read(upload), image_size_px())
    serialize_ms = round((perf_counter() - started) * 1000, 2)
    metrics.add_metric(name="SerializeTime", unit=MetricUnit.Milliseconds, value=serialize_ms)
    logger.info("serialized", image_format=prepared.image_format, serialize_ms=serialize_ms)
    return to_payload(prepared, serialize_ms)


def to_payload(prepared: PreparedImage, serialize_ms: float) -> dict[str, Any]:
    """Return the state that travels on: the small image as base64 text, and facts about the original."""
    return {
        "body": base64.b64encode(prepared.to_png()).decode("ascii"),
        "content_type": "image/png",
        "image": {**prepared.facts(), "serialize_ms": serialize_ms},
    }
