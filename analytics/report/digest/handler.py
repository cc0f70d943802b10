"""Lambda Digest: every Monday, last week's report into the results bucket and its verdict to people."""

import os
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from analytics.athena.client import AthenaClient
from analytics.report.digest.aws import DigestAthena, Pages, Slack, Topic, connect_athena, name_this_stack
from analytics.report.digest.weekly import send_week

logger = Logger(service="digest")

_TO_SPARE_S = 20.0
"""Time that the Lambda keeps for itself after its queries: for the page, or to log the error."""


@cache
def athena() -> AthenaClient:
    """Return Athena, connected at the first use and kept for the life of the container."""
    return connect_athena(os.environ["DATABASE"], os.environ["WORKGROUP"])


@cache
def pages() -> Pages:
    """Return the reports in the results bucket, connected at the first use."""
    return Pages.connect(os.environ["RESULTS_BUCKET"])


@cache
def topic() -> Topic:
    """Return the notification topic, connected at the first use."""
    return Topic.connect(os.environ["TOPIC_ARN"])


@cache
def slack() -> Slack:
    """Return the channel."""
    return Slack(os.environ["SLACK_WEBHOOK_URL"])


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """Take a scheduled event; send the report of the week before its time, once an event.

    Raises:
        analytics.athena.engine.QueryFailed: Athena did not answer; the schedule's retry asks again.
    """
    name_this_stack()
    within_s = context.get_remaining_time_in_millis() / 1000 - _TO_SPARE_S
    now = datetime.fromisoformat(event["time"])
    week = send_week(DigestAthena(athena(), within_s), pages(), topic(), slack(), now)
    return {"week": week}
