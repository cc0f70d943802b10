"""Metrics of the Lambdas. The stack's name is a dimension: two stacks of an account are counted apart."""

import functools
import os
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

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

    def count_one(self, name: str) -> None:
        """Print a count at once: for a Lambda that seldom has anything to count."""
        self._name_stack()
        self.add_metric(name=name, unit=MetricUnit.Count, value=1)
        self.flush_metrics()

    def _name_stack(self) -> None:
        self.set_default_dimensions(stack=os.environ.get("STACK_NAME", NO_STACK))
