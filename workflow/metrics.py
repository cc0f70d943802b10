"""The metrics of decisions: single images and batches count together, so that one alarm watches both."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from ingest.metrics import StackMetrics
from workflow.outcome import Outcome

metrics = StackMetrics("decisions")
"""`service` is a dimension. It names what is counted, for Decide, ClassifyBatch and ClassifyWaiting alike."""


def measure(decided: Iterable[Mapping[str, Any]]) -> None:
    """Add outcomes to the metrics: `{"outcome", "prediction"}` each."""
    decided = list(decided)
    for outcome, count in Counter(each["outcome"] for each in decided).items():
        metrics.add_values(f"Outcome_{outcome}", MetricUnit.Count, [1.0] * count)
    predicted = [each for each in decided if each["prediction"]]
    # 0 or 1: its average over any period is the share of images that need review.
    need_review = [float(each["outcome"] is Outcome.NEEDS_REVIEW) for each in predicted]
    confidences = [each["prediction"]["confidence"] for each in predicted]
    metrics.add_values("NeedsReview", MetricUnit.NoUnit, need_review)
    metrics.add_values("Confidence", MetricUnit.NoUnit, confidences)
