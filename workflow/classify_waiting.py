"""Lambda ClassifyWaiting: images that wait for the endpoint in, one outcome message for each sent.

The queue invokes it as soon as an image waits, with batches of them, and no more of them at once than the
template says. What still finds no capacity stays in the queue.
"""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.logs import StepLogger
from workflow.aws import ResultsQueue, WaitingImages
from workflow.batch import Steps
from workflow.metrics import measure, metrics
from workflow.waiting import decide_waiting

logger = StepLogger(service="classify-waiting")


@cache
def steps() -> Steps:
    """Return the steps of a batch, created once per container."""
    return Steps.connect(os.environ)


@cache
def results_queue() -> ResultsQueue:
    """Return the queue of outcomes, created once per container."""
    return ResultsQueue.connect(os.environ["RESULTS_QUEUE_URL"])


@cache
def waiting_images() -> WaitingImages:
    """Return the queue that the images wait in, created once per container."""
    return WaitingImages.connect(os.environ["WAITING_IMAGES_URL"])


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take an SQS batch of uploads' events; return the messages of those that go on waiting.

    Raises:
        NotSent: see `workflow.aws`; the images are decided again.
    """
    decided = decide_waiting(steps(), event["Records"], lambda: context.get_remaining_time_in_millis() / 1000)
    results_queue().send(decided.messages)
    waiting_images().show_again(decided.shown_again(int(os.environ["WAITING_SECONDS"])))
    measure(decided.messages)
    metrics.add_metric(name="StillWaiting", unit=MetricUnit.Count, value=len(decided.waiting))
    logger.info("decided waiting images", images=len(decided.messages), waiting=len(decided.waiting))
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in decided.waiting_ids]}
