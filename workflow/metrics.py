"""The metrics of decisions: single images and batches count together, so that one alarm watches both."""

from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from ingest.metrics import StackMetrics
from workflow.outcome import Outcome

metrics = StackMetrics("decisions")
"""`service` is a dimension. It names what is counted, for Decide, ClassifyBatch and ClassifyWaiting alike."""


def measure(decided: Iterable[Mapping[str, Any]]) -> None:
    """Add outcomes to the metrics: `{"outcome", "prediction"}` each."""
    for each in decided:
        outcome, prediction = each["outcome"], each["prediction"]
        metrics.add_metric(name=f"Outcome_{outcome}", unit=MetricUnit.Count, value=1)
        if prediction:
            # 0 or 1: its average over any period is the share of images that need review.
            needs_review = int(outcome is Outcome.NEEDS_REVIEW)
            metrics.add_metric(name="NeedsReview", unit=MetricUnit.NoUnit, value=needs_review)
            metrics.add_metric(name="Confidence", unit=MetricUnit.NoUnit, value=prediction["confidence"])
