"""Lambda Record: outcome messages from the queue in, one Parquet file per day among them out."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.lake.aws import ChallengerImages, DeadLetterQueue, ResultsBucket
from analytics.lake.batch import Batch, sort_out
from ingest.metrics import StackMetrics

logger = Logger(service="record")
metrics = StackMetrics("record")


@cache
def results_bucket() -> ResultsBucket:
    """Return the results bucket, created at the first use and kept for the container's lifetime."""
    return ResultsBucket.connect(os.environ["RESULTS_BUCKET"])


@cache
def unrecorded_outcomes() -> DeadLetterQueue:
    """Return the dead-letter queue, made when the first message is refused."""
    return DeadLetterQueue.connect(os.environ["UNRECORDED_OUTCOMES_URL"])


@cache
def challenger_images() -> ChallengerImages:
    """Return the queue of what the challenger is asked about, created at the first use."""
    return ChallengerImages.connect(os.environ["CHALLENGER_IMAGES_URL"])


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take an SQS batch; put the messages that are not outcomes into the dead-letter queue at once.

    SQS would do so after the fifth delivery, an hour later: it still does with those that are returned, which
    could not be put there. A write that fails raises, so that the whole batch is delivered again: files are
    named by their rows, and what was written before is overwritten by the same.
    """
    batch = sort_out(event["Records"])
    bodies = {record["messageId"]: record["body"] for record in event["Records"]}
    for message_id, error in batch.refused:
        logger.error("message refused", message_id=message_id, error=repr(error))
    for path, table in batch.files.items():
        results_bucket().write(path, table)
    metrics.add_metric(name="RowsWritten", unit=MetricUnit.Count, value=batch.row_count)
    show_the_challenger(batch)
    left = [id_ for id_, _ in batch.refused if not unrecorded_outcomes().take(bodies[id_])]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in left]}


def show_the_challenger(batch: Batch) -> None:
    """Let the challenger see what was classified, once its rows are written."""
    if why := challenger_images().show(batch.classified):
        logger.warning("not shown to the challenger", error=why)
        metrics.add_metric(name="NotShownToChallenger", unit=MetricUnit.Count, value=1)
