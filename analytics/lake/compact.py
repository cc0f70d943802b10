"""Lambda Compact: merges the small files of each day into a few large ones, every night."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.lake.aws import ResultsBucket
from analytics.lake.compaction import compact
from ingest.metrics import StackMetrics

logger = Logger(service="compact")
metrics = StackMetrics("compact")


@cache
def results_bucket() -> ResultsBucket:
    """Return the results bucket, created at the first use and kept for the container's lifetime."""
    return ResultsBucket.connect(os.environ["RESULTS_BUCKET"])


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Compact every day before today that needs it; files of today are still being written.

    What a new generation was made of is deleted the night after.

    Raises:
        analytics.lake.compaction.CompactionFailed: some days could not be compacted; the others are done.
    """
    days = []
    for day in compact(results_bucket(), before=datetime.now(UTC).date(), keep_inputs=True):
        logger.info(
            "compacted", dt=day.dt, files_before=day.files_before, files=day.files, uploads=day.uploads
        )
        days.append(day.dt)
    metrics.add_metric(name="DaysCompacted", unit=MetricUnit.Count, value=len(days))
    return {"days": days}
