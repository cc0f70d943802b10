"""`make undeploy`: what it deletes, and what it never does, on AWS as moto plays it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from click.testing import CliRunner
from moto import mock_aws

from analytics.commands import STACK_NAME
from infra.aws.deploy import MARKER, artifacts_bucket, make_artifacts_bucket
from infra.aws.undeploy import EMPTIED, KEPT, CannotUndeploy, undeploy
from infra.cli.main import scones
from tests.template import template

ACCOUNT_ID = "123456789012"  # moto's
REGION = "eu-central-1"


class CloudFormation:
    """Of one stack: deletes what the template does not retain, and no bucket that holds something."""

    def __init__(self, s3: Any, resources: dict[str, str]) -> None:
        self.s3 = s3
        self.resources = resources
        self.status = "CREATE_COMPLETE"
        self.parameters = list(template()["Parameters"])

    def describe_stacks(self, StackName: str) -> Any:
        if self.status == "DELETE_COMPLETE" and StackName == STACK_NAME:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        stack = {"StackName": STACK_NAME, "StackId": "arn:of:the-stack", "StackStatus": self.status}
        return {"Stacks": [{**stack, "Parameters": [{"ParameterKey": name} for name in self.parameters]}]}

    def get_paginator(self, _: str) -> Any:
        found = [
            {"LogicalResourceId": name, "PhysicalResourceId": id_, "ResourceStatus": "CREATE_COMPLETE"}
            for name, id_ in self.resources.items()
        ]
        pages = [{"StackResourceSummaries": [each]} for each in found]
        return SimpleNamespace(paginate=lambda StackName: pages)

    def delete_stack(self, StackName: str) -> None:
        for name, id_ in self.resources.items():
            if template()["Resources"][name].get("DeletionPolicy") == "Delete":
                self.s3.delete_bucket(Bucket=id_)
        self.status = "DELETE_COMPLETE"

    def get_waiter(self, _: str) -> Any:
        return SimpleNamespace(wait=lambda **_: None)


QUEUES = {
    "ResultsQueue": "1 outcome still to be recorded",
    "WaitingImages": "1 image waiting for the endpoint",
    "UnrecordedOutcomes": "1 outcome could not be recorded: `make redrive",
    "UndeliveredEvents": "1 event started no execution: `make redrive",
}
"""Queue → what an undeployment says of a message in it."""


@pytest.fixture
def session(fake_aws: None) -> Iterator[Any]:
    with mock_aws():
        yield boto3.Session(region_name=REGION)


@pytest.fixture
def bucket_of(session: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Create a stack with the template's buckets, each with an object; return them by logical id."""
    s3 = session.client("s3")
    names = {name: name.lower() for name in (*KEPT, EMPTIED)}
    urls = {name: session.client("sqs").create_queue(QueueName=name)["QueueUrl"] for name in QUEUES}
    cloudformation = CloudFormation(s3, {**names, **urls})
    client = session.client

    def client_of_stack(name: str, **options: Any) -> Any:
        return cloudformation if name == "cloudformation" else client(name, **options)

    monkeypatch.setattr(session, "client", client_of_stack)
    names["artifacts"] = artifacts_bucket(ACCOUNT_ID, REGION)
    for name in names.values():
        make_artifacts_bucket(s3, name, REGION)
    buckets = {name: session.resource("s3").Bucket(id_) for name, id_ in names.items()}
    buckets["IncomingBucket"].Versioning().enable()
    for bucket in buckets.values():
        for _ in range(2):
            bucket.put_object(Key="something", Body=b"of worth")
    return buckets


def left(session: Any) -> set[str]:
    return {bucket["Name"] for bucket in session.client("s3").list_buckets()["Buckets"]}


def test_the_template_retains_all_buckets_but_the_one_that_is_emptied() -> None:
    policies = {
        name: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::S3::Bucket"
    }
    kept = dict.fromkeys(KEPT, ("RetainExceptOnCreate", "Retain"))
    assert policies == {**kept, EMPTIED: ("Delete", "Delete")}


def test_images_and_results_stay_and_all_else_is_deleted(session: Any, bucket_of: dict[str, Any]) -> None:
    undeployed = undeploy(session, STACK_NAME)
    assert undeployed.kept == [bucket_of[name].name for name in KEPT]
    assert left(session) == set(undeployed.kept)
    assert len(list(bucket_of["IncomingBucket"].object_versions.all())) == 2
    assert [each.key for each in bucket_of["ResultsBucket"].objects.all()] == ["something"]
    assert session.client("cloudformation").status == "DELETE_COMPLETE"


def test_a_second_time_there_is_nothing_to_do(session: Any, bucket_of: dict[str, Any]) -> None:
    assert undeploy(session, STACK_NAME).was_there
    before = left(session)
    assert not undeploy(session, STACK_NAME).was_there
    assert left(session) == before


def test_the_code_and_the_policies_of_another_stack_stay(session: Any, bucket_of: dict[str, Any]) -> None:
    theirs = {"code/scones-prod/hot", "policies/scones-prod/e-1.json"}
    for key in (*theirs, "code/scones/hot", "policies/scones/e-1.json"):
        bucket_of["artifacts"].put_object(Key=key, Body=b"of worth")
    undeploy(session, STACK_NAME)
    assert {each.key for each in bucket_of["artifacts"].objects.all()} == theirs


def test_a_stack_of_another_template_with_the_same_name_is_left_alone(
    session: Any, bucket_of: dict[str, Any]
) -> None:
    session.client("cloudformation").parameters = ["Oven"]
    with pytest.raises(CannotUndeploy, match="the stack 'scones' was not created by `make deploy`"):
        undeploy(session, STACK_NAME)
    assert session.client("cloudformation").status == "CREATE_COMPLETE"
    assert all(list(bucket.objects.all()) for bucket in bucket_of.values())


@pytest.mark.parametrize(("queue", "said"), QUEUES.items())
def test_no_message_is_deleted_with_its_queue(
    session: Any, bucket_of: dict[str, Any], queue: str, said: str
) -> None:
    sqs = session.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody="{}")
    with pytest.raises(CannotUndeploy, match=said):
        undeploy(session, STACK_NAME)
    assert left(session) == {bucket.name for bucket in bucket_of.values()}
    assert all(list(bucket.objects.all()) for bucket in bucket_of.values())


def test_what_cloudformation_could_not_delete_is_said_in_its_words(fake_aws: None) -> None:
    session = boto3.Session(region_name=REGION)
    cloudformation = session.client("cloudformation")
    stack = {
        "StackName": STACK_NAME,
        "StackId": "arn:of:the-stack",
        "CreationTime": "2026-11-16T09:30:00Z",
        "Parameters": [{"ParameterKey": MARKER, "ParameterValue": ""}],
    }
    why = "The following resource(s) failed to delete: [QueryResultsBucket]."
    failed = {**stack, "StackStatus": "DELETE_FAILED", "StackStatusReason": why}
    sts = SimpleNamespace(get_caller_identity=lambda: {"Account": ACCOUNT_ID})
    clients = {"cloudformation": cloudformation, "sts": sts}
    with Stubber(cloudformation) as stubber, patch.object(session, "client", clients.__getitem__):
        stubber.add_response("describe_stacks", {"Stacks": [{**stack, "StackStatus": "CREATE_COMPLETE"}]})
        stubber.add_response("list_stack_resources", {"StackResourceSummaries": []})
        stubber.add_response("delete_stack", {})
        stubber.add_response("describe_stacks", {"Stacks": [failed]})
        stubber.add_response("describe_stacks", {"Stacks": [failed]})
        with pytest.raises(CannotUndeploy, match=r"failed to delete: \[QueryResultsBucket\]"):
            undeploy(session, STACK_NAME)
        stubber.assert_no_pending_responses()


def test_the_command_says_what_stays(
    session: Any, bucket_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.systems.aws_session", lambda: session)
    said = CliRunner().invoke(scones, ["undeploy"])
    assert said.exit_code == 0
    assert f"s3://{bucket_of['IncomingBucket'].name}\n" in said.output
    assert f"s3://{bucket_of['ResultsBucket'].name}\n" in said.output
    again = CliRunner().invoke(scones, ["undeploy"])
    assert (again.exit_code, again.stdout) == (0, f"Nothing is deployed in {REGION}.\n")
