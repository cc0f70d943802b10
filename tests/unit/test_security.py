"""Rules of security, as data, over every resource of their kind; `make check-security` asks checkov too."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from infra.installation import PROJECT
from tests.template import resolved, resources_of_type, template

Properties = dict[str, Any]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(policy: Properties) -> list[Properties]:
    return as_list(policy["PolicyDocument"]["Statement"])


def only_to_deny_everybody(policy: Properties) -> bool:
    return all(s["Effect"] == "Deny" for s in statements(policy) if "*" in str(s["Principal"]))


def named_by_their_source(policy: Properties) -> bool:
    """A service acts for anybody's resources: which of them, a condition says."""
    allowed = [s for s in statements(policy) if s["Effect"] == "Allow"]
    return all("aws:SourceArn" in str(s["Condition"]) for s in allowed)


def key_is_for_alarms_alone(key: Properties) -> bool:
    root, *others = key["KeyPolicy"]["Statement"]
    return (
        set(root["Principal"]) == {"AWS"}
        and all(other["Principal"] == {"Service": NOTIFYING} for other in others)
        and {action for other in others for action in other["Action"]}
        == {"kms:Decrypt", "kms:GenerateDataKey"}
    )


NOTIFYING = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
"""Services that send notifications."""

RULES: list[tuple[str, str, Callable[[Properties], bool]]] = [
    ("AWS::S3::Bucket", "encrypted", lambda b: "BucketEncryption" in b),
    (
        "AWS::S3::Bucket",
        "not public",
        lambda b: [*b["PublicAccessBlockConfiguration"].values()] == [True] * 4,
    ),
    (
        "AWS::S3::Bucket",
        "without access lists",
        lambda b: "BucketOwnerEnforced" in str(b["OwnershipControls"]),
    ),
    ("AWS::S3::BucketPolicy", "open to nobody", only_to_deny_everybody),
    ("AWS::S3::BucketPolicy", "TLS only", lambda p: "aws:SecureTransport" in str(statements(p))),
    ("AWS::SQS::Queue", "encrypted", lambda q: q["SqsManagedSseEnabled"] is True),
    ("AWS::SQS::QueuePolicy", "open to nobody", only_to_deny_everybody),
    ("AWS::SQS::QueuePolicy", "from one source", named_by_their_source),
    ("AWS::SNS::Topic", "encrypted", lambda t: t["KmsMasterKeyId"] == {"Ref": "NotificationsKey"}),
    ("AWS::SNS::TopicPolicy", "open to nobody", only_to_deny_everybody),
    ("AWS::SNS::TopicPolicy", "from one source", named_by_their_source),
    ("AWS::SNS::TopicPolicy", "TLS only", lambda p: "aws:SecureTransport" in str(statements(p))),
    ("AWS::KMS::Key", "rotated", lambda k: k["EnableKeyRotation"] is True),
    ("AWS::KMS::Key", "for alarms alone", key_is_for_alarms_alone),
    (
        "AWS::IAM::ManagedPolicy",
        "on one key alone",
        lambda p: [s["Resource"] for s in statements(p)] == [{"Ref": "KmsKeyArn"}],
    ),
    ("AWS::Logs::LogGroup", "not kept forever", lambda g: "RetentionInDays" in g),
    ("AWS::Serverless::Function", "without an address of its own", lambda f: "FunctionUrlConfig" not in f),
    ("AWS::Serverless::Function", "bounded in time", lambda f: 0 < f["Timeout"] <= 900),
    (
        "AWS::Serverless::StateMachine",
        "logging no payload",
        lambda m: not m["Logging"]["IncludeExecutionData"],
    ),
    ("AWS::Events::Rule", "keeping what fails", lambda r: all("DeadLetterConfig" in t for t in r["Targets"])),
    (
        "AWS::Athena::WorkGroup",
        "encrypting answers",
        lambda w: (
            "EncryptionOption"
            in w["WorkGroupConfiguration"]["ResultConfiguration"]["EncryptionConfiguration"]
        ),
    ),
]

TYPES_WITHOUT_RULES = {
    "AWS::IAM::Role",  # tests/unit/test_roles.py
    "AWS::Athena::NamedQuery",  # in the one workgroup: tests/unit/test_saved_queries.py
    "AWS::Glue::Database",
    "AWS::Glue::Table",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::SNS::Subscription",
    "AWS::Budgets::Budget",
}


def cases() -> Iterator[Any]:
    for type_, rule, holds in RULES:
        for name, properties in resources_of_type(type_).items():
            yield pytest.param(properties, holds, id=f"{name}-{rule}")


@pytest.mark.parametrize(("properties", "holds"), list(cases()))
def test_a_rule_holds(properties: Properties, holds: Callable[[Properties], bool]) -> None:
    assert holds(properties)


def test_every_type_of_resource_has_its_rules_and_every_rule_its_resources() -> None:
    types = {resource["Type"] for resource in template()["Resources"].values()}
    assert types == {type_ for type_, _, _ in RULES} | TYPES_WITHOUT_RULES


def test_what_would_be_missed_outlives_the_stack() -> None:
    for name in ("IncomingBucket", "ResultsBucket"):
        resource = template()["Resources"][name]
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_nothing_in_the_template_looks_like_a_secret() -> None:
    words = re.compile(r"password|passwd|secret|token|api_?key|AKIA[0-9A-Z]{16}", re.IGNORECASE)
    assert not words.search(str(template()))


def test_each_exception_of_checkov_has_its_reason() -> None:
    text = (PROJECT / ".checkov.yaml").read_text(encoding="utf-8")
    skipped = yaml.safe_load(text)["skip-check"]
    reasons = dict(re.findall(r"^  - (CKV_AWS_\d+) # (.{20,})$", text, re.MULTILINE))
    assert [*reasons] == skipped


def test_with_a_key_everything_at_rest_is_encrypted_with_it() -> None:
    key = {"Ref": "KmsKeyArn"}
    for bucket in resources_of_type("AWS::S3::Bucket", HasKmsKey=True).values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        wanted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert rule == {"ServerSideEncryptionByDefault": wanted, "BucketKeyEnabled": True}
    for queue in resources_of_type("AWS::SQS::Queue", HasKmsKey=True).values():
        assert queue["KmsMasterKeyId"] == key
        assert "SqsManagedSseEnabled" not in queue  # SQS refuses both
    for logs in resources_of_type("AWS::Logs::LogGroup", HasKmsKey=True).values():
        assert logs["KmsKeyId"] == key
    (workgroup,) = resources_of_type("AWS::Athena::WorkGroup", HasKmsKey=True).values()
    answers = workgroup["WorkGroupConfiguration"]["ResultConfiguration"]["EncryptionConfiguration"]
    assert answers == {"EncryptionOption": "SSE_KMS", "KmsKey": key}


def test_images_are_kept_for_ever_or_for_as_many_days_as_wanted() -> None:
    bucket = resources_of_type("AWS::S3::Bucket", HasImageRetention=True)["IncomingBucket"]
    (rule,) = [r for r in bucket["LifecycleConfiguration"]["Rules"] if r.get("Id") == "expire-images"]
    assert rule["ExpirationInDays"] == {"Ref": "ImageRetentionDays"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}  # all versions
    kept = resources_of_type("AWS::S3::Bucket", HasImageRetention=False)["IncomingBucket"]
    assert not any("ExpirationInDays" in r for r in kept["LifecycleConfiguration"]["Rules"] if r)


def test_a_budget_tells_the_topic_before_it_is_exceeded() -> None:
    assert template()["Resources"]["Budget"]["Condition"] == "HasMonthlyBudget"
    (budget,) = resources_of_type("AWS::Budgets::Budget", HasMonthlyBudget=True).values()
    assert budget["Budget"]["BudgetLimit"] == {"Amount": {"Ref": "MonthlyBudgetUSD"}, "Unit": "USD"}
    (told,) = budget["NotificationsWithSubscribers"]
    assert (told["Notification"]["NotificationType"], told["Notification"]["Threshold"]) == (
        "FORECASTED",
        100,
    )
    assert told["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": "Notifications"}}]


def test_other_accounts_may_put_images_and_nothing_else() -> None:
    policy = resources_of_type("AWS::S3::BucketPolicy", HasProducerAccounts=True)["IncomingBucketPolicy"]
    (allowed,) = [s for s in statements(policy) if s["Effect"] == "Allow"]
    assert allowed["Action"] == "s3:PutObject"
    assert allowed["Principal"] == {"AWS": {"Ref": "ProducerAccounts"}}


def test_the_readers_of_images_may_decrypt_with_the_producers_keys() -> None:
    decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Ref": "ImageKeyArns"}}
    readers = set()
    for name, role in resources_of_type("AWS::IAM::Role", HasImageKeys=True).items():
        of_role = [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
        if any("s3:GetObjectVersion" in as_list(s["Action"]) for s in of_role):
            assert decrypt in of_role
            readers.add(name)
    assert {"SerializeRole", "ClassifyBatchRole"} <= readers


def test_an_existing_bucket_is_read_and_watched_and_neither_made_nor_changed() -> None:
    for name, resource in template()["Resources"].items():
        if resource["Type"] in ("AWS::S3::Bucket", "AWS::S3::BucketPolicy") and "Incoming" in name:
            assert resource["Condition"] == "HasOwnIncoming"
    theirs = {"Ref": "IncomingBucketName"}
    rule = resources_of_type("AWS::Events::Rule", HasOwnIncoming=False, HasKeyFilter=True)["ImageUploaded"]
    detail = rule["EventPattern"]["detail"]
    assert detail["bucket"] == {"name": [theirs]}
    assert detail["object"] == {"key": [{"wildcard": {"Fn::Sub": "${KeyPrefix}*${KeySuffix}"}}]}
    others = {
        **template(),
        "Resources": {
            name: resolved(each, {"HasOwnIncoming": False})
            for name, each in template()["Resources"].items()
            if each.get("Condition") != "HasOwnIncoming"
        },
    }
    assert "'IncomingBucket'" not in str(
        [each["Properties"] for each in others["Resources"].values()]
    ).replace("{'IncomingBucket': {'Ref': 'IncomingBucketName'}}", "")
