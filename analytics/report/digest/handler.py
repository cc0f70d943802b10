"""Lambda Digest: every Monday, last week in a few lines to the notification topic."""

import os
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.athena.client import AthenaClient
from analytics.questions.queries import saved_query
from analytics.report.digest.aws import Topic, connect_athena
from analytics.report.digest.summary import digest_of
from analytics.report.isoweek import IsoWeek

logger = Logger(service="digest")

_TO_SPARE_S = 10.0
"""Time that the Lambda keeps for itself after it has stopped the query, to log the error."""


@cache
def athena() -> AthenaClient:
    """Return Athena, connected at the first use and kept for the life of the container."""
    return connect_athena(os.environ["DATABASE"], os.environ["WORKGROUP"])


@cache
def topic() -> Topic:
    """Return the notification topic, connected at the first use."""
    return Topic.connect(os.environ["TOPIC_ARN"])


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Take a scheduled event; publish the digest of the week before its time, once an event.

    Raises:
        analytics.athena.engine.QueryFailed: Athena did not answer; the schedule's retry asks again.
    """
    week = IsoWeek.of(datetime.fromisoformat(event["time"]).date()).back()
    sql = saved_query("weekly_summary", from_dt=week.back().monday, to_dt=week.sunday)
    answer = athena().run(sql, timeout_s=context.get_remaining_time_in_millis() / 1000 - _TO_SPARE_S)
    topic().publish(f"Scones, week {week}", digest_of(answer.by_column(), week))
    return {"week": str(week)}
