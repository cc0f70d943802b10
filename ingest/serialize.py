"""Lambda Serialize: an `Object Created` event in, the small image that the model sees out."""

import base64
import os
from collections.abc import Callable
from functools import cache, partial
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.aws import IncomingBucket, ModelInputs, connect_waiting_queue
from ingest.image import PreparedImage, prepare_for
from ingest.logs import StepLogger
from ingest.metrics import StackMetrics
from ingest.model_input import STATE_FILE_MAX_BYTES, ModelInput
from ingest.upload import Upload
from ingest.waiting import WaitingQueue

logger = StepLogger(service="serialize")
metrics = StackMetrics("serialize")


@cache
def incoming_bucket() -> IncomingBucket:
    """Return the reader of the bucket, created once per container."""
    return IncomingBucket.connect()


@cache
def model_inputs() -> ModelInputs:
    """Return the store of large images, created once per container."""
    return ModelInputs.connect(os.environ["RESULTS_BUCKET"])


@cache
def waiting_queue() -> WaitingQueue:
    """Return the queue of images that wait, as this container knows it."""
    return connect_waiting_queue(os.environ["WAITING_IMAGES_URL"])


@cache
def model_input() -> ModelInput:
    """Return the form that the model wants, read once."""
    return ModelInput.from_mapping(os.environ)


@logger.inject_lambda_context(correlation_id_path="execution_arn")
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take `{"event", "execution_arn"}`; return `{"body", "key", "content_type", "image"}`.

    Raises:
        OthersWait: many images wait for the endpoint already.
        RejectedImage: the image is at fault.
    """
    waiting_queue().check()
    started = perf_counter()
    upload = Upload.from_event(request["event"])
    prepared = prepare_for(model_input(), incoming_bucket().read(upload))
    serialize_ms = round((perf_counter() - started) * 1000, 2)
    logger.info(
        "serialized",
        bucket=upload.bucket,
        key=upload.key,
        version_id=upload.version_id,
        image_format=prepared.image_format,
        serialize_ms=serialize_ms,
    )
    return to_payload(prepared, model_input(), serialize_ms, partial(_keep, upload.upload_id))


def to_payload(
    prepared: PreparedImage, form: ModelInput, serialize_ms: float, keep: Callable[[bytes], str]
) -> dict[str, Any]:
    """Return the state that travels on: the image for the model, and facts about the original.

    The image is base64 text; `keep` stores one that is too large for the state, and returns its key.
    """
    file = form.file_of(prepared.pixels)
    fits = len(file) <= STATE_FILE_MAX_BYTES
    return {
        "body": base64.b64encode(file).decode("ascii") if fits else None,
        "key": None if fits else keep(file),
        "content_type": form.content_type,
        "image": {**prepared.facts(), "serialize_ms": serialize_ms},
    }


def _keep(upload_id: str, file: bytes) -> str:
    metrics.count_one("ImagesThroughS3")
    return model_inputs().write(upload_id, file)
