"""Alarms and the dashboard watch metrics that exist: AWS documents them, or the handlers print them."""

import json
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aws_lambda_powertools.metrics.functions import is_metrics_disabled

from analytics.lake import compact, record
from analytics.lake.aws import ChallengerImages
from analytics.questions.queries import saved_queries
from infra.aws.alarms import DOCUMENTED, dimensions
from infra.cli.main import scones
from infra.installation import PROJECT
from ingest import serialize
from ingest.metrics import NO_STACK
from ingest.model_input import ModelInput
from ingest.waiting import WaitingQueue
from model.serving.sagemaker_requests import VARIANT
from tests.builders import FakeContext, a_message, an_event, an_sqs_event, png_bytes
from tests.template import resolved, resources_of_type, template
from workflow import classify, classify_batch, decide
from workflow.answers import Scores
from workflow.batch import Steps
from workflow.classifier import Answer, Classifier
from workflow.metrics import metrics
from workflow.policy import Policy

Metric = tuple[str, str, tuple[str, ...]]

SOURCES: set[Metric] = {
    (namespace, name, tuple(sorted(re.findall(r"Name: (\w+)", dimensions(namespace, name)))))
    for namespace, names in DOCUMENTED.items()
    for name in names
}
"""Namespace, name and dimensions of the metrics that AWS documents."""

RESOURCE_TYPES = {
    "StateMachineArn": {"AWS::Serverless::StateMachine"},
    "QueueName": {"AWS::SQS::Queue"},
    "RuleName": {"AWS::Events::Rule"},
    "FunctionName": {"AWS::Serverless::Function"},
}

ALARMS = resources_of_type("AWS::CloudWatch::Alarm")


def metric_of(alarm: dict[str, Any]) -> Metric:
    dimensions = tuple(sorted(dimension["Name"] for dimension in alarm["Dimensions"]))
    return alarm["Namespace"], alarm["MetricName"], dimensions


def dashboard_lines(*, has_endpoint: bool = True) -> list[list[Any]]:
    (dashboard,) = resources_of_type("AWS::CloudWatch::Dashboard", HasEndpoint=has_endpoint).values()
    text, parts = dashboard["DashboardBody"]["Fn::Sub"]
    widget = parts["EndpointWidget"]
    body = json.loads(text.replace("${EndpointWidget}", widget and widget["Fn::Sub"]))
    return [line for widget in body["widgets"] for line in widget["properties"]["metrics"]]


def test_without_an_endpoint_nothing_watches_one() -> None:
    assert "AWS/SageMaker" in {line[0] for line in dashboard_lines()}
    assert "AWS/SageMaker" not in {line[0] for line in dashboard_lines(has_endpoint=False)}
    for name, alarm in ALARMS.items():
        if alarm["Namespace"] == "AWS/SageMaker":
            assert template()["Resources"][name]["Condition"] == "HasMonitoringAndEndpoint"


def test_without_monitoring_nothing_of_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    of_monitoring = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::KMS::Key")
    found = [each for each in template()["Resources"].values() if each["Type"] in of_monitoring]
    assert len(found) == len(ALARMS) + 2
    for resource in found:
        condition = template()["Conditions"].get(resource["Condition"])
        assert condition
        first, *_ = (
            condition.get("Fn::And") or condition.get("Fn::Or") or [{"Condition": resource["Condition"]}]
        )
        assert first == {"Condition": "HasMonitoring"}
    conditions = {"HasMonitoring": False, "HasNotificationsKey": False}
    (topic,) = resources_of_type("AWS::SNS::Topic", **conditions).values()
    assert topic["KmsMasterKeyId"] == "alias/aws/sns"
    assert "NotificationsKey" not in json.dumps(resources_of_type("AWS::IAM::Role", **conditions))
    variables = resolved(template()["Globals"]["Function"]["Environment"]["Variables"], conditions)
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", variables["POWERTOOLS_METRICS_DISABLED"])
    assert is_metrics_disabled()


def dashboard_metrics() -> set[Metric]:
    found = set()
    for namespace, name, *rest in dashboard_lines():
        dimensions = [part for part in rest if isinstance(part, str)][::2]
        found.add((namespace, name, tuple(sorted(dimensions))))
    return found


def of_scones(metrics: set[Metric]) -> set[Metric]:
    return {metric for metric in metrics if metric[0] == "Scones"}


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[Metric]]:
    """Run each handler once, and read which metrics CloudWatch will find in what it prints."""
    context = FakeContext()
    bucket = SimpleNamespace(
        read=lambda upload: png_bytes(),
        write=lambda path, table: None,
        list_files=lambda prefix: iter(()),
    )
    endpoint = SimpleNamespace(classify=lambda image, type_: Answer(Scores([0.9, 0.1]), "m1"), name="scones")
    monkeypatch.setattr(serialize, "incoming_bucket", lambda: bucket)
    monkeypatch.setattr(serialize, "waiting_queue", lambda: WaitingQueue(lambda: 0))
    monkeypatch.setattr(serialize, "model_input", lambda: ModelInput.square(32))
    monkeypatch.setattr(classify, "endpoint", lambda: endpoint)
    monkeypatch.setattr(decide, "policy", lambda: Policy(("bicycle", "motorcycle"), 0.94, {}))
    failing = SimpleNamespace(run=lambda events, arn: [a_message("failed", *events)])
    monkeypatch.setattr(classify_batch, "steps", lambda: failing)
    monkeypatch.setattr(classify_batch, "results_queue", lambda: SimpleNamespace(send=lambda messages: None))
    monkeypatch.setattr(record, "challenger_images", lambda: ChallengerImages(None, ""))
    for module in (record, compact):
        monkeypatch.setattr(module, "results_bucket", lambda: bucket)

    def run() -> set[Metric]:
        small = serialize.lambda_handler({"event": an_event(), "execution_arn": "arn"}, context)
        scores = classify.lambda_handler({**small, "execution_arn": "arn"}, context)
        decide.lambda_handler({**scores, "execution_arn": "arn"}, context)
        classify_batch.lambda_handler({"events": [an_event()], "execution_arn": "arn"}, context)
        record.lambda_handler(an_sqs_event(a_message()), context)
        compact.lambda_handler({}, context)
        found: set[Metric] = set()
        for line in capsys.readouterr().out.splitlines():
            for group in json.loads(line).get("_aws", {}).get("CloudWatchMetrics", ()):
                for names in group["Dimensions"]:
                    for metric in group["Metrics"]:
                        found.add((group["Namespace"], metric["Name"], tuple(sorted(names))))
        return found

    return run


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_a_metric_of_a_resource_that_is_there(name: str) -> None:
    alarm = ALARMS[name]
    assert metric_of(alarm) in SOURCES or metric_of(alarm)[0] == "Scones"
    for dimension in alarm["Dimensions"]:
        if types := RESOURCE_TYPES.get(dimension["Name"]):
            value = dimension["Value"]
            resource = value.get("Ref") or value["Fn::GetAtt"][0]
            assert template()["Resources"][resource]["Type"] in types


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_notifies_the_topic_and_describes_the_fault(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Notifications"}]
    assert alarm["AlarmDescription"].endswith((".", "microseconds)."))
    # All others count faults or measure work: where there is no work, there is no fault.
    assert alarm["TreatMissingData"] == ("breaching" if name == "NoImages" else "notBreaching")


def test_the_alarm_of_silence_sounds_after_as_many_hours_without_an_execution_as_wanted() -> None:
    silence = ALARMS["NoImages"]
    assert (silence["Statistic"], silence["Threshold"]) == ("Sum", 0)
    assert silence["ComparisonOperator"] == "LessThanOrEqualToThreshold"
    assert (silence["Period"], silence["EvaluationPeriods"]) == (3600, {"Ref": "NoImagesHours"})
    assert template()["Resources"]["NoImages"]["Condition"] == "HasMonitoringAndNoImagesHours"
    # CloudWatch looks back a week at the most.
    assert template()["Parameters"]["NoImagesHours"]["MaxValue"] * 3600 <= 7 * 24 * 3600


def test_every_line_of_the_dashboard_is_documented() -> None:
    assert dashboard_metrics() - of_scones(dashboard_metrics()) <= SOURCES


def test_the_handlers_print_the_metrics_of_scones_that_are_watched(
    printed: Callable[[], set[Metric]],
) -> None:
    watched = of_scones({metric_of(alarm) for alarm in ALARMS.values()}) | of_scones(dashboard_metrics())
    assert watched
    assert watched <= printed()


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the Lambda a stack, as a container gets one, which no other test then has."""

    def forget() -> None:
        metrics.clear_default_dimensions()
        metrics.clear_metrics()

    forget()
    monkeypatch.setenv("STACK_NAME", "scones-prod")
    yield
    forget()


@pytest.mark.usefixtures("in_production")
@pytest.mark.parametrize(("score", "needs_review"), [(0.9, 1), (0.99, 0)])
def test_the_average_of_needs_review_is_its_share(
    score: float, needs_review: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "policy", lambda: Policy(("bicycle", "motorcycle"), 0.94, {}))
    request = {
        "scores": {"values": [score, 1 - score]},
        "model_version": "m",
        "endpoint": "e",
        "classify_ms": 1.0,
    }
    decide.lambda_handler({**request, "execution_arn": "arn"}, FakeContext())
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert line["NeedsReview"] == [needs_review]
    watched = {d["Name"]: d["Value"] for d in ALARMS["ReviewShareHigh"]["Dimensions"]}
    assert watched == {"service": line["service"], "stack": {"Ref": "AWS::StackName"}}
    assert line["stack"] == "scones-prod"  # and an alarm of another stack does not see it


def test_the_images_of_a_batch_are_among_the_average(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alarm watches single images and batches. A batch takes few lines, not one for each image."""
    scores = [[0.9, 0.1]] * 40 + [[0.99, 0.01]] * 59
    answers = [Answer(Scores(each), "m1") for each in scores]
    objects = {"bad.png": b"no image"}
    steps = Steps(
        read=lambda upload: objects.get(upload.key, png_bytes()),
        form=ModelInput.square(8),
        endpoint=cast(
            Classifier,
            SimpleNamespace(
                name="scones", is_left_alone=False, is_half_open=False, classify_batch=lambda *_: answers
            ),
        ),
        policy=Policy(("bicycle", "motorcycle"), 0.94, {}),
    )
    monkeypatch.setattr(classify_batch, "steps", lambda: steps)
    monkeypatch.setattr(classify_batch, "results_queue", lambda: SimpleNamespace(send=lambda messages: None))
    events = [an_event("bad.png"), *(an_event(f"{number}.png") for number in range(99))]
    classify_batch.lambda_handler({"events": events, "execution_arn": "arn"}, FakeContext())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert len(lines) == 1
    assert {"service": "decisions", "stack": NO_STACK}.items() <= lines[0].items()
    assert sorted(value for line in lines for value in line["NeedsReview"]) == [0] * 59 + [1] * 40
    assert sorted(value for line in lines for value in line["Confidence"]) == [0.9] * 40 + [0.99] * 59
    assert lines[0]["Outcome_rejected"] == [1]


def test_the_endpoint_s_variant_is_the_one_that_is_deployed() -> None:
    named = [
        dimension["Value"]
        for alarm in ALARMS.values()
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "VariantName"
    ]
    assert {name["Ref"] for name in named} == {"VariantName"}
    assert {line[5] for line in dashboard_lines() if line[0] == "AWS/SageMaker"} == {"${VariantName}"}
    assert template()["Parameters"]["VariantName"]["Default"] == VARIANT


def test_both_dead_letter_queues_and_the_age_of_outcomes_are_watched() -> None:
    queues = {
        (dimension["Value"]["Fn::GetAtt"][0], alarm["MetricName"])
        for alarm in ALARMS.values()
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "QueueName"
    }
    assert queues == {
        ("UndeliveredEvents", "ApproximateNumberOfMessagesVisible"),
        ("UnrecordedOutcomes", "ApproximateNumberOfMessagesVisible"),
        ("ResultsQueue", "ApproximateAgeOfOldestMessage"),
        ("WaitingImages", "ApproximateNumberOfMessagesNotVisible"),
    }


def test_alarms_name_commands_that_are_there() -> None:
    text = " ".join(alarm["AlarmDescription"] for alarm in ALARMS.values())
    assert set(re.findall(r"`make (\w+)`", text)) <= scones.commands.keys()


def test_every_alarm_has_its_paragraph_with_a_question_and_a_command() -> None:
    text = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    chapter = re.split(r"^## ", text, flags=re.MULTILINE)
    (alarms,) = [part for part in chapter if part.startswith("Alarms\n")]
    paragraphs = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=\n### |\Z)", alarms, flags=re.MULTILINE | re.DOTALL))
    assert paragraphs.keys() == ALARMS.keys()
    for name, paragraph in paragraphs.items():
        commands = set(re.findall(r"`make ([a-z-]+)", paragraph))
        assert commands <= scones.commands.keys()
        assert commands & {"query", "audit", "redrive"}, f"{name}: no query that shows it"
        assert commands & {"redrive", "deploy", "endpoint", "review", "compact", "report"}, (
            f"{name}: no remedy"
        )
        assert set(re.findall(r"NAME=(\w+)", paragraph)) <= set(saved_queries())
        assert ALARMS[name]["AlarmDescription"].endswith(f" See docs/operations.md#{name.lower()}.")
