"""What docs/aws-facts.md says of AWS, asserted on the template, the state machines and the handlers.

The number of a test is that of the fact.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from analytics.lake import aws as lake_aws
from analytics.report.cost import ATHENA_LEAST_BYTES
from infra.installation import PROJECT
from ingest.waiting import depth
from model.serving.sagemaker_requests import Serverless
from tests.builders import an_event
from tests.machines import SERVICE_ERRORS, THROTTLED, longest_task_s
from tests.template import resources_of_type, template
from workflow import aws
from workflow.batch import REQUEST_MAX_BYTES
from workflow.errors import EndpointBusy, EndpointFault
from workflow.manifest import LINE_BYTES, MANIFEST_LINES
from workflow.policy import INFERENCE_ID_PREFIX
from workflow.waiting import FIRST_PAUSE_S, Decided

IMAGE = json.loads((PROJECT / "workflow" / "image.asl.json").read_text(encoding="utf-8"))
BACKFILL = json.loads((PROJECT / "workflow" / "backfill.asl.json").read_text(encoding="utf-8"))
CHILD = BACKFILL["States"]["EachBatch"]["ItemProcessor"]
FUNCTIONS = resources_of_type("AWS::Serverless::Function")
QUEUES = resources_of_type("AWS::SQS::Queue")
PARAMETERS = template()["Parameters"]
(RULE,) = [rule for rule in resources_of_type("AWS::Events::Rule").values() if "EventPattern" in rule]
SOURCES = [
    event["Properties"]
    for function in FUNCTIONS.values()
    for event in function.get("Events", {}).values()
    if event["Type"] == "SQS"
]
RETENTION_S = 14 * 24 * 3_600
KB = 1024


def states_of(states: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in states.values():
        yield state
        yield from states_of(state.get("ItemProcessor", {}).get("States", {}))


STATES = [*states_of(IMAGE["States"]), *states_of(BACKFILL["States"])]
RULES = [rules for state in STATES for rules in (state.get("Retry", []), state.get("Catch", [])) if rules]
INVOKING = [state for state in STATES if state.get("Resource", "").endswith("lambda:invoke")]


def value(number: Any) -> float:
    """Return a number of the template, of a parameter its default."""
    return float(PARAMETERS[number["Ref"]]["Default"] if isinstance(number, dict) else number)


def statements(role: str) -> list[dict[str, Any]]:
    policies = resources_of_type("AWS::IAM::Role")[role]["Policies"]
    return [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]


def allows(role: str, action: str) -> bool:
    return any(
        action in (each["Action"] if isinstance(each["Action"], list) else [each["Action"]])
        for each in statements(role)
    )


def service_retriers() -> list[dict[str, Any]]:
    return [
        rule
        for rules in RULES
        for rule in rules
        if {*rule["ErrorEquals"]} == SERVICE_ERRORS and "IntervalSeconds" in rule
    ]


def expiring(bucket: dict[str, Any]) -> list[dict[str, Any]]:
    return bucket["LifecycleConfiguration"]["Rules"]  # type: ignore[no-any-return]


def alarm(name: str) -> dict[str, Any]:
    return resources_of_type("AWS::CloudWatch::Alarm")[name]


def environment_bytes(function: dict[str, Any]) -> int:
    """Return the bytes of a function's environment, with room for long ARNs and names."""
    variables = function.get("Environment", {}).get("Variables", {})
    return sum(
        len(name) + (120 if isinstance(text, dict) else len(str(text))) for name, text in variables.items()
    )


def model_error(status: int) -> Exception:
    """Return the error of Scones for a model's own status, as SageMaker passes it on."""
    response: Any = {
        "Error": {"Code": "ModelError", "Message": "said"},
        "OriginalStatusCode": status,
        "ResponseMetadata": {"HTTPStatusCode": 424},
    }
    return aws.Endpoint(None, "scones")._translated(ClientError(response, "InvokeEndpoint"))


class Queue:
    """Three messages, and two more that a consumer holds."""

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        there = {"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "2"}
        return {"Attributes": {name: there[name] for name in AttributeNames}}


FACTS: dict[int, Callable[[], bool]] = {
    1: lambda: IMAGE["TimeoutSeconds"] < 300,
    2: lambda: longest_task_s(CHILD["States"]["ClassifyBatch"]) < 300,
    3: lambda: LINE_BYTES < 262_144 and MANIFEST_LINES * len("1,") < 262_144,
    4: lambda: all({n for r in state["Retry"] for n in r["ErrorEquals"]} >= THROTTLED for state in INVOKING),
    5: lambda: (
        len(service_retriers()) >= 4
        and {(r["IntervalSeconds"], r["BackoffRate"], r["MaxAttempts"]) for r in service_retriers()}
        == {(2, 2, 6)}
    ),
    6: lambda: (
        all("States.ALL" not in rule["ErrorEquals"] for rules in RULES for rule in rules[:-1])
        and all(
            len(rule["ErrorEquals"]) == 1
            for rules in RULES
            for rule in rules
            if "States.ALL" in rule["ErrorEquals"]
        )
    ),
    7: lambda: {r["JitterStrategy"] for rules in RULES for r in rules if "JitterStrategy" in r} == {"FULL"},
    8: lambda: all(
        state["MaxConcurrency"] <= 40 for state in states_of(CHILD["States"]) if state["Type"] == "Map"
    ),
    9: lambda: (
        resources_of_type("AWS::Serverless::StateMachine")["BackfillStateMachine"]["Type"] == "STANDARD"
    ),
    10: lambda: (
        {s["Resource"] for s in STATES if "sqs" in s.get("Resource", "")}
        == {"arn:aws:states:::sqs:sendMessage"}
    ),
    11: lambda: IMAGE["States"]["FindUpload"]["Resource"] == "arn:aws:states:::aws-sdk:s3:headObject",
    12: lambda: all(
        machine["Logging"]["Destinations"][0]["CloudWatchLogsLogGroup"]["LogGroupArn"]["Fn::GetAtt"][0]
        in groups
        for groups in [
            {n for n, g in resources_of_type("AWS::Logs::LogGroup").items() if "/aws/vendedlogs/" in str(g)}
        ]
        for machine in resources_of_type("AWS::Serverless::StateMachine").values()
    ),
    13: lambda: all(
        a.get("MetricName") != "ExecutionThrottled"
        for a in resources_of_type("AWS::CloudWatch::Alarm").values()
    ),
    14: lambda: (
        RULE["Targets"][0]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}
    ),
    15: lambda: "unquote" not in (PROJECT / "ingest" / "upload.py").read_text(encoding="utf-8"),
    16: lambda: (
        RULE["EventPattern"]["source"] == ["aws.s3"]
        and RULE["EventPattern"]["detail-type"] == [an_event()["detail-type"]] == ["Object Created"]
    ),
    17: lambda: any(
        policy["Queues"] == [{"Ref": "UndeliveredEvents"}] and "events.amazonaws.com" in json.dumps(policy)
        for policy in resources_of_type("AWS::SQS::QueuePolicy").values()
    ),
    18: lambda: (
        value(QUEUES["ResultsQueue"]["VisibilityTimeout"]) >= 6 * FUNCTIONS["RecordFunction"]["Timeout"]
        and value(QUEUES["WaitingImages"]["VisibilityTimeout"])
        >= 6 * FUNCTIONS["ClassifyWaitingFunction"]["Timeout"]
    ),
    19: lambda: all(s["BatchSize"] <= 10 or value(s["MaximumBatchingWindowInSeconds"]) >= 1 for s in SOURCES),
    20: lambda: (
        all(2 <= value(s["ScalingConfig"]["MaximumConcurrency"]) <= 1_000 for s in SOURCES)
        and PARAMETERS["WaitingConcurrency"]["MinValue"] == 2
    ),
    21: lambda: all(
        1 <= q["RedrivePolicy"]["maxReceiveCount"] <= 1_000 for q in QUEUES.values() if "RedrivePolicy" in q
    ),
    22: lambda: {q["MessageRetentionPeriod"] for q in QUEUES.values()} == {RETENTION_S},
    23: lambda: PARAMETERS["WaitingSeconds"]["MaxValue"] <= 12 * 3_600 and FIRST_PAUSE_S <= 12 * 3_600,
    24: lambda: aws.SEND_ENTRIES == 10,
    25: lambda: aws.BODY_BYTES <= 64 * KB,
    26: lambda: alarm("ImagesWait")["MetricName"] != "ApproximateAgeOfOldestMessage",
    27: lambda: all(f["Timeout"] <= 900 for f in FUNCTIONS.values()),
    28: lambda: (
        all(128 <= f["MemorySize"] <= 10_240 for f in FUNCTIONS.values())
        and FUNCTIONS["ClassifyBatchFunction"]["MemorySize"] == 1_769
    ),
    29: lambda: all(
        512 <= f.get("EphemeralStorage", {}).get("Size", 512) <= 10_240 for f in FUNCTIONS.values()
    ),
    30: lambda: all(environment_bytes(f) < 4 * KB for f in FUNCTIONS.values()),
    31: lambda: (
        template()["Globals"]["Function"]["Runtime"] == "python3.13"
        and template()["Globals"]["Function"]["Architectures"] == ["arm64"]
    ),
    32: lambda: (
        all(s["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for s in SOURCES)
        and Decided([], [{"messageId": "one"}]).waiting_ids == ["one"]
    ),
    33: lambda: all(
        allows(r, "s3:ListBucket") for r in ("SerializeRole", "ClassifyBatchRole", "ClassifyWaitingRole")
    ),
    34: lambda: all(
        allows(r, "s3:GetObjectVersion")
        for r in ("SerializeRole", "ClassifyBatchRole", "ClassifyWaitingRole")
    ),
    35: lambda: lake_aws._DELETIONS_AT_ONCE == 1_000,
    36: lambda: (
        not any(
            rule.get("ExpiredObjectDeleteMarker") and "ExpirationInDays" in rule
            for bucket in resources_of_type("AWS::S3::Bucket").values()
            for rule in expiring(bucket)
        )
    ),
    37: lambda: aws.BATCH_TIMEOUT_S < 60 and REQUEST_MAX_BYTES < 6_000_000,
    38: lambda: len(INFERENCE_ID_PREFIX) + 32 <= 64,
    39: lambda: [type(model_error(status)) for status in (500, 503)] == [EndpointFault, EndpointBusy],
    40: lambda: Serverless().memory_mb in range(1_024, 6_145, 1_024) and Serverless().concurrency <= 200,
    41: lambda: float(alarm("EndpointSlow")["Threshold"]) == 1_000_000,
    42: lambda: (
        not lake_aws._KEY.fullmatch("predictions/_hidden.parquet")
        and not lake_aws._KEY.fullmatch("predictions/.hidden.parquet")
    ),
    43: lambda: ATHENA_LEAST_BYTES == 10_000_000,
    44: lambda: PARAMETERS["QueryScanLimitMB"]["MinValue"] >= 10,
    45: lambda: all(w["RecursiveDeleteOption"] for w in resources_of_type("AWS::Athena::WorkGroup").values()),
    46: lambda: (
        resources_of_type("AWS::IAM::Role")["ImageUploadedRole"]["AssumeRolePolicyDocument"]["Statement"][0][
            "Condition"
        ]
        == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    ),
    47: lambda: (
        {PARAMETERS[name]["MaxLength"] for name in ("EndpointName", "VariantName", "ChallengerEndpointName")}
        == {63}
    ),
    48: lambda: depth(Queue(), "url") == 5,
}

LISTED = {
    int(number): (fact, source)
    for number, fact, source in re.findall(
        r"^\| (\d+) \| (.+?) \| \[source\]\((\S+)\) \|$",
        (PROJECT / "docs" / "aws-facts.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
}


def test_every_fact_is_listed_with_its_source_and_asserted() -> None:
    assert LISTED.keys() == FACTS.keys()
    assert len(FACTS) >= 40
    assert all(
        source.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/"))
        for _, source in LISTED.values()
    )


@pytest.mark.parametrize("number", FACTS, ids=lambda number: LISTED.get(number, ("?",))[0])
def test_scones_agrees_with(number: int) -> None:
    assert FACTS[number]()
