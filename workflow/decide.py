"""Lambda Decide: the endpoint's scores in, the outcome out."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from workflow.outcome import Outcome
from workflow.policy import Policy, Prediction, decide

logger = Logger(service="decide")
metrics = Metrics(namespace="Scones", service="decide")


@cache
def policy() -> Policy:
    """Return what the template's parameters say, read once."""
    return Policy.parse(
        classes=os.environ["CLASS_NAMES"],
        threshold=os.environ["THRESHOLD"],
        class_thresholds=os.environ["CLASS_THRESHOLDS"],
        temperature=os.environ["TEMPERATURE"],
    )


@logger.inject_lambda_context(correlation_id_path="execution_arn")
@metrics.log_metrics
def lambda_handler(request: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take what Classify returns; return `{"outcome", "prediction"}`.

    Raises:
        InvalidScores: the scores are not one finite probability per class.
    """
    decided = to_payload(decide(request["scores"], policy()), request)
    outcome, prediction = decided["outcome"], decided["prediction"]
    measure([decided])
    logger.info("decided", outcome=outcome, label=prediction["label"], confidence=prediction["confidence"])
    return decided


def measure(decided: Iterable[Mapping[str, Any]]) -> None:
    """Add outcomes to the metrics, be they of one image or of a batch: one alarm watches them all."""
    for each in decided:
        outcome, prediction = each["outcome"], each["prediction"]
        metrics.add_metric(name=f"Outcome_{outcome}", unit=MetricUnit.Count, value=1)
        if prediction:
            # 0 or 1: the average over any time is the share, which no division of counts has to find.
            needs_review = int(outcome is Outcome.NEEDS_REVIEW)
            metrics.add_metric(name="NeedsReview", unit=MetricUnit.NoUnit, value=needs_review)
            metrics.add_metric(name="Confidence", unit=MetricUnit.NoUnit, value=prediction["confidence"])


def to_payload(prediction: Prediction, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is recorded: the outcome, and the prediction with where its scores come from."""
    decided = asdict(prediction)
    outcome = decided.pop("outcome")
    of_source = {name: source[name] for name in ("model_version", "endpoint", "classify_ms")}
    return {"outcome": outcome, "prediction": {**decided, **of_source}}
