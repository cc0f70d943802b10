"""Lambda Classify: the small image in, the model's scores out."""

import base64
import os
from functools import cache
from time import perf_counter
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.aws import ModelInputs
from ingest.logs import StepLogger
from workflow.aws import connect_classifier
from workflow.classifier import Classifier

logger = StepLogger(service="classify")


@cache
def endpoint() -> Classifier:
    """Return the endpoint's client, or the model in its place, created once per container."""
    return connect_classifier(os.environ, float(os.environ["ENDPOINT_TIMEOUT_S"]))


@cache
def model_inputs() -> ModelInputs:
    """Return the store of large images, created when the first one comes."""
    return ModelInputs.connect(os.environ["RESULTS_BUCKET"])


@logger.inject_lambda_context(correlation_id_path="execution_arn")
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take `{"body", "key", "content_type", "execution_arn"}`; return the scores and their origin.

    Raises:
        EndpointBusy, EndpointFault, UnclearAnswer: see `workflow.errors`.
    """
    asked = endpoint()  # a model is loaded only once
    started = perf_counter()
    answer = asked.classify(_file_of(request), request["content_type"])
    classify_ms = round((perf_counter() - started) * 1000, 2)
    logger.debug("classified", model_version=answer.model_version, classify_ms=classify_ms)
    return {
        "scores": vars(answer.scores),
        "model_version": answer.model_version,
        "endpoint": asked.name,
        "classify_ms": classify_ms,
    }


def _file_of(request: dict[str, Any]) -> bytes:
    """Return the image for the model, which Serialize put into the state or into S3."""
    return base64.b64decode(request["body"]) if request["body"] else model_inputs().read(request["key"])
