"""The metrics of decisions: single images and batches count together, so that one alarm watches both."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from ingest.metrics import StackMetrics
from workflow.outcome import Outcome

metrics = StackMetrics("decisions")
"""`service` is a dimension. It names what is counted, for Decide, ClassifyBatch and ClassifyWaiting alike."""


def measure(decided: Iterable[Mapping[str, Any]]) -> None:
    """Add outcomes to the metrics: `{"outcome", "prediction"}` each."""
    values = defaultdict(list)
    for each in decided:
        outcome, prediction = each["outcome"], each["prediction"]
        values[f"Outcome_{outcome}", MetricUnit.Count].append(1.0)
        if prediction:
            # 0 or 1: its average over any period is the share of images that need review.
            values["NeedsReview", MetricUnit.NoUnit].append(float(outcome is Outcome.NEEDS_REVIEW))
            values["Confidence", MetricUnit.NoUnit].append(prediction["confidence"])
    for (name, unit), some in values.items():
        metrics.add_values(name, unit, some)
