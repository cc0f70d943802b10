"""Lambda Decide: the endpoint's scores in, the outcome out."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.logs import StepLogger
from workflow.answers import Scores
from workflow.metrics import measure, metrics
from workflow.payload import to_payload
from workflow.policy import Policy, decide

logger = StepLogger(service="decide")


@cache
def policy() -> Policy:
    """Return the deployed policy, read once."""
    return Policy.from_mapping(os.environ, _read)


def _read(file: str) -> bytes:
    from ingest.aws import read_object  # boto3 is slow to import, and needed for many classes only

    return read_object(file)


@logger.inject_lambda_context(correlation_id_path="execution_arn")
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take what Classify returns; return `{"outcome", "prediction"}`.

    Raises:
        InvalidScores, UnknownLabel: see `workflow.policy.decide`.
        WrongModel: the policy is for another model version.
    """
    policy().check_version(request["model_version"])
    decided = to_payload(decide(Scores(**request["scores"]), policy()), request)
    outcome, prediction = decided["outcome"], decided["prediction"]
    measure([decided])
    logger.debug("decided", outcome=outcome, label=prediction["label"], confidence=prediction["confidence"])
    return decided
