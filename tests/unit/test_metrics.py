"""ingest.metrics and workflow.metrics: what is printed about many outcomes."""

import json
from collections import defaultdict
from unittest.mock import Mock

from tests.builders import a_message
from workflow.metrics import measure, metrics
from workflow.outcome import Outcome

KINDS = [Outcome.ACCEPTED] * 150 + [Outcome.NEEDS_REVIEW] * 50 + [Outcome.FAILED] * 30


def test_each_value_of_many_outcomes_is_printed_once_in_lines_that_cloudwatch_takes(capsys, monkeypatch):
    add_metric = Mock(side_effect=metrics.add_metric)
    monkeypatch.setattr(metrics, "add_metric", add_metric)
    outcomes = [a_message(outcome) for outcome in KINDS]
    measure(outcomes)
    metrics.flush_metrics()
    found: dict[str, list[float]] = defaultdict(list)
    for line in map(json.loads, capsys.readouterr().out.splitlines()):
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            assert len(line[metric["Name"]]) <= 100
            found[metric["Name"]] += line[metric["Name"]]
    assert {name: len(values) for name, values in found.items() if name.startswith("Outcome")} == {
        "Outcome_accepted": 150,
        "Outcome_needs_review": 50,
        "Outcome_failed": 30,
    }
    assert sorted(found["Confidence"]) == sorted(
        each["prediction"]["confidence"] for each in outcomes if each["prediction"]
    )
    assert sum(found["NeedsReview"]) == 50
    assert add_metric.call_count < 10  # each call would format all earlier values
