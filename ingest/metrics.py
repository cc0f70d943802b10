"""Metrics of the Lambdas. The stack's name is a dimension: two stacks of an account are counted apart."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

_MOST_VALUES = 100
"""Values of one metric in one line. Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
NO_STACK = "none"
"""Dimension of what runs outside of a stack, as in tests."""


class StackMetrics(Metrics):
    """Metrics of Scones, about one subject: `service` names what is counted."""

    def __init__(self, service: str) -> None:
        super().__init__(namespace="Scones", service=service)

    def log_metrics(self, lambda_handler: Any = None, *options: Any, **more: Any) -> Callable[..., Any]:
        """Decorate a Lambda's handler: print what it measured, with the stack's name."""
        logged = super().log_metrics(lambda_handler, *options, **more)

        @functools.wraps(logged)
        def with_stack(*event_and_context: Any) -> Any:
            self._name_stack()
            return logged(*event_and_context)

        return with_stack

    def add_values(self, name: str, unit: MetricUnit, values: Sequence[float]) -> None:
        """Add values of a metric that has none yet. `add_metric` would format all earlier ones for each."""
        for start in range(0, len(values), _MOST_VALUES):
            first, *others = values[start : start + _MOST_VALUES]
            self.add_metric(name=name, unit=unit, value=first)
            self.metric_set[name]["Value"].extend(map(float, others))
            if start + _MOST_VALUES < len(values):
                self.flush_metrics()

    def count_one(self, name: str) -> None:
        """Print a count at once: for a Lambda that seldom has anything to count."""
        self._name_stack()
        self.add_metric(name=name, unit=MetricUnit.Count, value=1)
        self.flush_metrics()

    def _name_stack(self) -> None:
        self.set_default_dimensions(stack=os.environ.get("STACK_NAME", NO_STACK))
