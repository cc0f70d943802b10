"""Deletes what `make deploy` created on AWS, except the buckets of the images and the results."""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import WaiterError

from analytics.commands import how
from analytics.text import plural
from infra.aws.deploy import CODE, POLICIES, artifacts_bucket, described, is_of_scones
from infra.stack import NotUp
from ingest.errors import SconesError
from ingest.waiting import depth

KEPT = ("IncomingBucket", "ResultsBucket")
"""Logical ids of the buckets that the template retains."""

EMPTIED = "QueryResultsBucket"
"""Logical id of the bucket of Athena's answers. CloudFormation deletes a bucket only if it is empty."""

_PATIENCE = {"Delay": 10, "MaxAttempts": 360}


class CannotUndeploy(SconesError):
    """The stack still exists. The text has the reason, and what to do."""


@dataclass(frozen=True)
class Undeployed:
    """The remains of a deployment."""

    was_there: bool
    kept: list[str]
    """Names of the buckets that stay, with their content."""


def undeploy(session: "boto3.Session", stack_name: str) -> Undeployed:
    """Delete the stack, Athena's answers and the uploaded code, as far as they exist.

    Raises:
        CannotUndeploy: the stack is not one of Scones, outcomes are still to be recorded, or CloudFormation
            failed.
        botocore.exceptions.ClientError: AWS refused.
    """
    account_id = session.client("sts").get_caller_identity()["Account"]
    try:
        stack = described(session, stack_name)
    except NotUp:
        undeployed = Undeployed(was_there=False, kept=[])
    else:
        undeployed = Undeployed(was_there=True, kept=_delete_stack(session, stack, account_id))
    _delete_artifacts(session, stack_name, account_id)
    return undeployed


def _delete_artifacts(session: "boto3.Session", stack_name: str, account_id: str) -> None:
    """Delete the uploaded code, and its bucket if no other stack has code there."""
    owner = {"ExpectedBucketOwner": account_id}
    bucket = session.resource("s3").Bucket(artifacts_bucket(account_id, session.region_name))
    with contextlib.suppress(bucket.meta.client.exceptions.NoSuchBucket):
        keys = {each.key for each in bucket.objects.filter(**owner)}
        others = {key for key in keys if re.match(rf"({CODE}|{POLICIES})/(?!{re.escape(stack_name)}/)", key)}
        for key in sorted(keys - others):
            bucket.Object(key).delete(**owner)
        if not others:
            bucket.delete(**owner)


def _delete_stack(session: "boto3.Session", stack: Mapping[str, Any], account_id: str) -> list[str]:
    """Delete a stack in any state; return the names of the buckets that stay."""
    if not is_of_scones(stack):
        raise CannotUndeploy(
            f"the stack {stack['StackName']!r} was not created by `{how('deploy')}`: it is left alone"
        )
    if stack.get("EnableTerminationProtection"):
        command = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        name = stack["StackName"]
        raise CannotUndeploy(f"the stack {name!r} is protected: `{command} --stack-name {name}` ends that")
    cloudformation = session.client("cloudformation")
    stack_id = stack["StackId"]  # a deleted stack is found by its id only
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    there = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource.get("PhysicalResourceId") and resource["ResourceStatus"] != "DELETE_COMPLETE"
    }
    _refuse_while_messages_are_left(session, there)
    if EMPTIED in there:
        _emptied(session, there[EMPTIED], account_id)
    cloudformation.delete_stack(StackName=stack_id)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_id, WaiterConfig=_PATIENCE)
    except WaiterError as error:
        (left,) = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        why = left.get("StackStatusReason") or left["StackStatus"]
        raise CannotUndeploy(f"the stack still exists: {why} `{how('undeploy')}` tries again.") from error
    return [there[name] for name in KEPT if name in there]


def _refuse_while_messages_are_left(session: "boto3.Session", there: Mapping[str, str]) -> None:
    """Queues are deleted with the stack, and what is in them exists nowhere else.

    Raises:
        CannotUndeploy: a queue has messages.
    """
    redriven = f"`{how('redrive', APPLY='')}` works on them first; what it leaves, delete in SQS's console"
    queues = {
        "ResultsQueue": ("outcome", "still to be recorded: try again in a minute"),
        "WaitingImages": ("image", "waiting for the endpoint: they are decided when it answers"),
        "UnrecordedOutcomes": ("outcome", f"could not be recorded: {redriven}"),
        "UndeliveredEvents": ("event", f"started no execution: {redriven}"),
    }
    for name, (what, why) in queues.items():
        if name in there and (messages := depth(session.client("sqs"), there[name])):
            raise CannotUndeploy(f"{plural(messages, what)} {why}")


def _emptied(session: "boto3.Session", name: str, account_id: str) -> Any:
    """Delete the objects of an unversioned bucket of the account, and return it. It need not exist."""
    bucket = session.resource("s3").Bucket(name)
    with contextlib.suppress(bucket.meta.client.exceptions.NoSuchBucket):
        bucket.objects.filter(ExpectedBucketOwner=account_id).delete(ExpectedBucketOwner=account_id)
    return bucket
