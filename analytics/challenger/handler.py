"""Lambda Challenger: uploads that have an outcome in, what the challenger says about them out.

The queue invokes it with what Record has written, and no more of them at once than the template says.
"""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.challenger.shadow import shadow, with_settings
from analytics.lake.aws import ResultsBucket
from ingest.metrics import StackMetrics
from workflow.batch import Steps

logger = Logger(service="challenger")
metrics = StackMetrics("challenger")


@cache
def steps() -> Steps:
    """Return the steps of a batch with the challenger's endpoint and policy, created once per container."""
    return Steps.connect(with_settings(os.environ, os.environ["CHALLENGER_SETTINGS"]))


@cache
def results_bucket() -> ResultsBucket:
    """Return the results bucket, created once per container."""
    return ResultsBucket.connect(os.environ["RESULTS_BUCKET"])


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take an SQS batch of lines of a manifest; return the messages that are tried again later.

    A write that fails raises, so that the whole batch is delivered again, and overwrites the same files.
    """
    shadowed = shadow(steps(), event["Records"], lambda: context.get_remaining_time_in_millis() / 1000)
    for path, table in shadowed.files.items():
        results_bucket().write(path, table)
    metrics.add_metric(name="Answers", unit=MetricUnit.Count, value=len(shadowed.rows))
    metrics.add_metric(name="Failures", unit=MetricUnit.Count, value=shadowed.failures)
    logger.info("asked", images=len(shadowed.rows), failed=shadowed.failures, later=len(shadowed.later_ids))
    return {"batchItemFailures": [{"itemIdentifier": id_} for id_ in shadowed.later_ids]}
