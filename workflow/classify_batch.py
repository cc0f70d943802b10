"""Lambda ClassifyBatch: a manifest's line in, one outcome message for each of its images sent."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.serialize import image_size_px, incoming_bucket
from workflow.aws import Endpoint, ResultsQueue
from workflow.batch import Steps
from workflow.decide import measure, metrics, policy

ENDPOINT_TIMEOUT_S = 20.0
"""A hundred images take a small instance half a second; several batches are asked for at once."""

logger = Logger(service="classify-batch")


@cache
def endpoint() -> Endpoint:
    """Return the endpoint's client, which has more patience than that for single images."""
    return Endpoint.connect(os.environ["ENDPOINT_NAME"], read_timeout_s=ENDPOINT_TIMEOUT_S)


@cache
def results_queue() -> ResultsQueue:
    """Return the queue, made at the first use and kept for the life of the container."""
    return ResultsQueue.connect(os.environ["RESULTS_QUEUE_URL"])


@logger.inject_lambda_context(correlation_id_path="execution_arn")
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take `{"events", "execution_arn"}`; return how many images there were.

    Raises:
        EndpointBusy, EndpointFault: see `workflow.batch`; nothing has been sent.
        NotSent: see `workflow.aws`; what has been sent will be sent again.
    """
    steps = Steps(incoming_bucket().read, image_size_px(), endpoint(), policy())
    messages = steps.run(request["events"], request["execution_arn"])
    results_queue().send(messages)
    measure(messages)
    logger.info("classified a batch", images=len(messages))
    return {"images": len(messages)}
