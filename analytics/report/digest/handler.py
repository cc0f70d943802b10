"""Lambda Digest: every Monday, last week in a few lines to the notification topic."""

import os
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.questions.queries import saved_query
from analytics.report.digest.aws import DigestEdge
from analytics.report.digest.summary import digest_of
from analytics.report.isoweek import IsoWeek

logger = Logger(service="digest")

_TO_SPARE_S = 10.0
"""Left of the Lambda's time after the query has been given up, to say so."""


@cache
def edge() -> DigestEdge:
    """Return Athena and the topic, made at the first use and kept for the life of the container."""
    return DigestEdge.connect(
        database=os.environ["DATABASE"], workgroup=os.environ["WORKGROUP"], topic_arn=os.environ["TOPIC_ARN"]
    )


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Take a scheduled event; publish the digest of the week before its time, once an event.

    Raises:
        analytics.report.digest.aws.SummaryFailed: Athena did not answer; the schedule's retry asks again.
    """
    week = IsoWeek.of(datetime.fromisoformat(event["time"]).date()).back()
    sql = saved_query("weekly_summary", from_dt=week.back().monday, to_dt=week.sunday)
    rows = edge().ask(sql, timeout_s=context.get_remaining_time_in_millis() / 1000 - _TO_SPARE_S)
    edge().publish(f"Scones, week {week}", digest_of(rows, week))
    return {"week": str(week)}
