"""How long a task of a state machine may take, by its definition."""

from collections.abc import Mapping
from typing import Any

THROTTLED = {"Lambda.TooManyRequestsException"}
SERVICE_ERRORS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}
"""Source: https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception"""


def longest_wait_s(retrier: Mapping[str, Any]) -> float:
    """Return the seconds that a retrier waits in all, with the longest delays that it may draw."""
    delay_s, most_s = retrier.get("IntervalSeconds", 1), retrier.get("MaxDelaySeconds", float("inf"))
    rate = retrier.get("BackoffRate", 2)
    return float(
        sum(min(delay_s * rate**attempt, most_s) for attempt in range(retrier.get("MaxAttempts", 3)))
    )


def longest_task_s(state: Mapping[str, Any]) -> float:
    """Return the seconds of a task that fails as slowly and often as it may.

    A call that Lambda refuses takes no time: it is throttled, or Lambda fails before the function runs.
    """
    retriers = state.get("Retry", [])
    attempts = 1 + sum(
        retrier.get("MaxAttempts", 3)
        for retrier in retriers
        if not (THROTTLED | SERVICE_ERRORS) & {*retrier["ErrorEquals"]}
    )
    return float(attempts * state["TimeoutSeconds"]) + sum(map(longest_wait_s, retriers))
