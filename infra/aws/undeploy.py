"""Deletes what `make deploy` made on AWS: all but the images and the results, whose buckets stay whole."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import WaiterError

from analytics.text import plural
from infra.aws.deploy import artifacts_bucket, described
from infra.stack import NotUp, depth
from ingest.errors import SconesError

KEPT = ("IncomingBucket", "ResultsBucket")
"""The template's names of the buckets that it retains."""

EMPTIED = "QueryResultsBucket"
"""Of Athena's answers, which expire by themselves. CloudFormation deletes no bucket that holds something."""

OURS = "ClassThresholds"
"""A parameter of the template: a stack without it only has the name of ours."""

_PATIENCE = {"Delay": 10, "MaxAttempts": 360}


class CannotUndeploy(SconesError):
    """The stack is still there; says why, and what to do."""


@dataclass(frozen=True)
class Undeployed:
    """What is left of a deployment."""

    was_there: bool
    kept: list[str]
    """Names of the buckets that stay, with all that they hold."""


def undeploy(session: "boto3.Session", stack_name: str) -> Undeployed:
    """Delete the stack, Athena's answers and the uploaded code; where all are gone, do nothing.

    Raises:
        CannotUndeploy: the stack is somebody else's, outcomes are on their way into the table, or with
            CloudFormation's own words.
        botocore.exceptions.ClientError: AWS refused.
    """
    account_id = session.client("sts").get_caller_identity()["Account"]
    try:
        stack = described(session, stack_name)
    except NotUp:
        undeployed = Undeployed(was_there=False, kept=[])
    else:
        undeployed = Undeployed(was_there=True, kept=_delete_stack(session, stack, account_id))
    bucket = _emptied(session, artifacts_bucket(account_id, session.region_name), account_id)
    with contextlib.suppress(bucket.meta.client.exceptions.NoSuchBucket):
        bucket.delete(ExpectedBucketOwner=account_id)
    return undeployed


def _delete_stack(session: "boto3.Session", stack: Mapping[str, Any], account_id: str) -> list[str]:
    """Delete a stack in whatever state; return the names of the buckets that stay."""
    if OURS not in {parameter["ParameterKey"] for parameter in stack.get("Parameters", ())}:
        raise CannotUndeploy(
            f"the stack {stack['StackName']!r} was not made by `make deploy`: it is left alone"
        )
    cloudformation = session.client("cloudformation")
    stack_id = stack["StackId"]  # by its name, it could not be found once it is deleted
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_id)
    there = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource.get("PhysicalResourceId") and resource["ResourceStatus"] != "DELETE_COMPLETE"
    }
    if "ResultsQueue" in there and (waiting := depth(session.client("sqs"), there["ResultsQueue"])):
        raise CannotUndeploy(f"{plural(waiting, 'outcome')} on the way into the table: try again in a minute")
    if EMPTIED in there:
        _emptied(session, there[EMPTIED], account_id)
    cloudformation.delete_stack(StackName=stack_id)
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack_id, WaiterConfig=_PATIENCE)
    except WaiterError as error:
        (left,) = cloudformation.describe_stacks(StackName=stack_id)["Stacks"]
        why = left.get("StackStatusReason") or left["StackStatus"]
        raise CannotUndeploy(f"the stack is still there: {why} `make undeploy` tries again.") from error
    return [there[name] for name in KEPT if name in there]


def _emptied(session: "boto3.Session", name: str, account_id: str) -> Any:
    """Delete what a bucket of the account, without versions, holds; return the bucket, which may be gone."""
    bucket = session.resource("s3").Bucket(name)
    with contextlib.suppress(bucket.meta.client.exceptions.NoSuchBucket):
        bucket.objects.filter(ExpectedBucketOwner=account_id).delete(ExpectedBucketOwner=account_id)
    return bucket
