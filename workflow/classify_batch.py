"""Lambda ClassifyBatch: a manifest's line in, one outcome message for each of its images sent."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.logs import StepLogger
from workflow.aws import ResultsQueue
from workflow.batch import Steps
from workflow.metrics import measure, metrics

logger = StepLogger(service="classify-batch")


@cache
def steps() -> Steps:
    """Return the steps of a batch, created once per container."""
    return Steps.connect(os.environ)


@cache
def results_queue() -> ResultsQueue:
    """Return the queue, created once per container."""
    return ResultsQueue.connect(os.environ["RESULTS_QUEUE_URL"])


@logger.inject_lambda_context(correlation_id_path="execution_arn")
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take `{"events", "execution_arn"}`; return the number of images.

    Raises:
        EndpointBusy, EndpointFault: see `workflow.batch`; nothing has been sent.
        NotSent: see `workflow.aws`; the messages that were sent will be sent again.
    """
    messages = steps().run(request["events"], request["execution_arn"])
    results_queue().send(messages)
    measure(messages)
    logger.info("classified a batch", images=len(messages))
    return {"images": len(messages)}
