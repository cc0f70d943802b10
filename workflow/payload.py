"""A prediction → the part of an outcome message that is about it. Pure."""

from collections.abc import Mapping
from typing import Any

from workflow.policy import Prediction


def to_payload(prediction: Prediction, source: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"outcome", "prediction"}`, with the origin of the scores beside them.

    `source` has `model_version`, `endpoint` and `classify_ms`, as Classify returns them.
    """
    decided = dict(vars(prediction))  # asdict copies each value, too
    outcome = decided.pop("outcome")
    origin = {name: source[name] for name in ("model_version", "endpoint", "classify_ms")}
    return {"outcome": outcome, "prediction": {**decided, **origin}}
