"""Suspended versioning, archived objects, messages of another shape, a key of one's own."""

import json
import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from infra.cli.terminal import progress_bar
from infra.laptop.local import ARTIFACTS_BUCKET
from infra.operations.answers import engine
from infra.operations.audit import Audited, audit
from infra.operations.backfill import backfill, wait
from infra.operations.drop import drop, settle
from infra.operations.redrive import redrive
from infra.operations.rejected import download, rejected_images
from infra.stack import Stack, parameters_of
from model.data.drawings import draw
from tests.builders import a_message, png_bytes
from tests.waiting import PATIENCE_S, until

AT_ONCE = timedelta(0)


@pytest.fixture(scope="module", autouse=True)
def somewhere_else(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield


def audited(stack: Stack, folder: Path) -> Audited:
    return audit(stack, in_flight=AT_ONCE, folder=folder)


def dropped(stack: Stack, files: dict[str, Path]) -> dict[str, int]:
    """Drop files; return how many ended as what."""
    with progress_bar(Console(quiet=True)) as progress:
        settled = settle(stack, drop(stack, files, progress), progress, PATIENCE_S)
    assert (settled.missing, settled.duplicates) == ([], 0)
    return {outcome: count for outcome, count in settled.outcomes.items() if count}


@pytest.fixture
def suspended(stack: Stack) -> Any:
    def set_versioning(status: str) -> None:
        stack.client("s3").put_bucket_versioning(
            Bucket=stack.incoming_bucket, VersioningConfiguration={"Status": status}
        )

    set_versioning("Suspended")
    yield
    set_versioning("Enabled")


@pytest.mark.usefixtures("suspended")
def test_while_versioning_is_suspended_each_upload_counts_once(stack: Stack, tmp_path: Path) -> None:
    good, other, bad = (tmp_path / name for name in ("good.png", "other.png", "bad.png"))
    good.write_bytes(png_bytes(draw("bicycle", 64, 64, random.Random(3))))
    other.write_bytes(png_bytes(draw("motorcycle", 64, 64, random.Random(4))))
    bad.write_bytes(good.read_bytes()[:60])
    assert dropped(stack, {"replaced.png": bad, "broken.png": bad}) == {"rejected": 2}
    assert dropped(stack, {"replaced.png": good, "kept.png": other}).keys() <= {"accepted", "needs_review"}

    found = audited(stack, tmp_path)
    assert (found.totals.uploaded, found.totals.missing, found.totals.doubled) == (3, 0, 0)
    assert found.totals.deleted_since == 1  # what was replaced
    with engine(stack) as answers:
        images = rejected_images(answers)
    assert [image.key for image in images] == ["broken.png"]
    assert download(stack.client("s3"), stack.incoming_bucket, images, tmp_path / "copies") == 1

    runs = backfill(stack, "")
    with progress_bar(Console(quiet=True)) as progress:
        assert all(ended.went_well for ended in wait(stack, runs, progress))

    def rows() -> int:
        with engine(stack) as answers:
            return len(answers.query("SELECT key FROM predictions").frame)

    until(lambda: rows() == 7, "seven rows")
    after = audited(stack, tmp_path)
    assert after.totals.by_outcome == found.totals.by_outcome
    assert (after.totals.uploaded, after.totals.is_clean) == (3, True)


def test_an_archived_object_is_rejected_and_not_redriven(stack: Stack, tmp_path: Path) -> None:
    body = png_bytes(draw("bicycle", 64, 64, random.Random(3)))
    s3, where = stack.client("s3"), {"Bucket": stack.incoming_bucket, "Key": "archived/old.png"}
    s3.put_object(**where, Body=body, StorageClass="GLACIER")

    def rows() -> list[Any]:
        with engine(stack) as answers:
            sql = "SELECT outcome, reason, detail FROM outcomes WHERE key = 'archived/old.png'"
            return list(answers.query(sql).frame.itertuples(index=False))

    until(rows, "a row")
    (row,) = rows()
    assert (row.outcome, row.reason) == ("rejected", "archived")
    assert "GLACIER: restore it" in row.detail
    assert redrive(stack, apply=False, in_flight=AT_ONCE).plan.to_classify == 0
    with engine(stack) as answers:
        images = [image for image in rejected_images(answers) if image.reason == "archived"]
    assert download(s3, stack.incoming_bucket, images, tmp_path) == 0


def test_an_outcome_of_another_shape_is_a_dead_letter_within_seconds(stack: Stack, tmp_path: Path) -> None:
    notification = {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": "a.png"}}}]}
    before = audited(stack, tmp_path).queues.unrecorded
    stack.client("sqs").send_message(
        QueueUrl=stack.results_queue_url,
        MessageBody=json.dumps({**a_message("failed"), "event": notification}),
    )
    # Delivered again and again, it would be one after 55 minutes.
    until(lambda: audited(stack, tmp_path).queues.unrecorded == before + 1, "a dead letter")


def test_the_options_of_an_account_reach_the_resources_that_they_are_for(stack: Stack) -> None:
    """A second stack from the same template, as it was packaged; none of its functions is ever called.

    The embedded AWS makes buckets without their encryption and life cycle, and knows no budgets:
    tests/unit/test_security.py has the template's.
    """
    cloudformation = stack.client("cloudformation")
    (deployed,) = cloudformation.describe_stacks(StackName=stack.name)["Stacks"]
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    given = {
        **parameters_of(deployed),
        **{"KmsKeyArn": key, "KeyPrefix": "camera/", "KeySuffix": ".jpg"},
        **{"LogRetentionDays": "7", "LogLevel": "WARNING", "Tracing": "Active", "SlackWebhookUrl": ""},
    }
    s3, sqs, logs = stack.client("s3"), stack.client("sqs"), stack.client("logs")
    template = json.dumps(cloudformation.get_template(StackName=stack.name)["TemplateBody"])
    s3.put_object(Bucket=ARTIFACTS_BUCKET, Key="options.template", Body=template)
    cloudformation.create_stack(
        StackName="options",
        TemplateURL=f"https://s3.{stack.region}.amazonaws.com/{ARTIFACTS_BUCKET}/options.template",
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="options", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    made: dict[str, list[str]] = defaultdict(list)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName="options")
    for each in (each for page in pages for each in page["StackResourceSummaries"]):
        made[each["ResourceType"]].append(each["PhysicalResourceId"])

    for url in made["AWS::SQS::Queue"]:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert (attributes["KmsMasterKeyId"], attributes.get("SqsManagedSseEnabled", "false")) == (
            key,
            "false",
        )
    for name in made["AWS::Logs::LogGroup"]:
        (group,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        assert (group["kmsKeyId"], group["retentionInDays"]) == (key, 7)
    (workgroup,) = made["AWS::Athena::WorkGroup"]
    found = stack.client("athena").get_work_group(WorkGroup=workgroup)["WorkGroup"]["Configuration"]
    assert found["ResultConfiguration"]["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_KMS",
        "KmsKey": key,
    }
    (rule,) = [name for name in made["AWS::Events::Rule"] if "ImageUploaded" in name]
    pattern = json.loads(stack.client("events").describe_rule(Name=rule)["EventPattern"])
    assert pattern["detail"]["object"] == {"key": [{"wildcard": "camera/*.jpg"}]}
    for name in made["AWS::Lambda::Function"]:
        function = stack.client("lambda").get_function_configuration(FunctionName=name)
        assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "WARNING"
        assert function["TracingConfig"] == {"Mode": "Active"}
