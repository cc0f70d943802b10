"""A model and the policy that reads its scores: released together, and taken back together.

First the endpoint runs the new model, then the stack gets its classes and thresholds. In between, which is a
minute, an image that the new model answers fails as `wrong_model`, or as `EndpointFault` where the two take
other sizes, and a redrive classifies it: no score is read with the thresholds of another model.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.account import Account
from infra.aws.challenger import OF_AN_ENDPOINT
from infra.aws.changes import ChangeSet, DeployFailed, change_of_parameters
from infra.aws.deploy import (
    DEFAULT_ENDPOINT,
    POLICIES,
    artifacts_bucket,
    described,
    make_artifacts_bucket,
    policy_of,
    stored_classes,
)
from infra.stack import NotUp, parameters_of
from model.serving import deployment
from model.serving.deployment import ControlPlane
from model.serving.sagemaker_requests import Deployment
from workflow.classifier import IN_LAMBDA

Say = Callable[[str], None]


@dataclass(frozen=True)
class Served:
    """The stack that an endpoint serves."""

    account: Account
    stack: Mapping[str, Any]
    """CloudFormation's description."""

    @property
    def policy(self) -> dict[str, str]:
        """Return the parameters that belong to the endpoint's model and its capacity."""
        present = parameters_of(self.stack)
        return {name: present[name] for name in OF_AN_ENDPOINT if name in present}

    def change_to(self, policy: Mapping[str, str], at: datetime) -> ChangeSet | None:
        """Compute what another policy changes; None if nothing.

        A parameter that the policy does not name gets its default: it is newer than the policy.

        Raises:
            DeployFailed: the policy contradicts itself, or CloudFormation refused it.
        """
        present = self.policy
        s3, region = self.account.session.client("s3"), self.account.region
        value = policy_of(policy, s3)
        stored = stored_classes(value, s3, self._bucket, region, self.stack["StackName"])
        whole = {**present, **value.to_parameters(), **policy, **stored}
        wanted = {name: value for name, value in whole.items() if name in present or name in policy}
        client = self.account.session.client("cloudformation")
        return change_of_parameters(client, self.stack, wanted, f"policy-{at:%Y%m%d%H%M%S}")

    def remember(self, config: str) -> None:
        """Keep the present policy as the one of an endpoint configuration, for a rollback to it."""
        s3 = self.account.session.client("s3")
        make_artifacts_bucket(s3, self._bucket, self.account.region)
        s3.put_object(Bucket=self._bucket, Key=self._key(config), Body=json.dumps(self.policy).encode())

    def remembered(self, config: str) -> dict[str, str] | None:
        """Return the policy that was kept for a configuration, or None if there is none."""
        try:
            stored = self.account.session.client("s3").get_object(Bucket=self._bucket, Key=self._key(config))
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket"):
                return None
            raise
        policy: dict[str, str] = json.loads(stored["Body"].read())
        return policy

    @property
    def _bucket(self) -> str:
        return artifacts_bucket(self.account.account_id, self.account.region)

    def _key(self, config: str) -> str:
        return f"{POLICIES}/{self.stack['StackName']}/{config}.json"


def served_by(account: Account, stack_name: str, endpoint: str) -> Served | None:
    """Return the stack of that name if it asks the endpoint, else None: it may have the model itself."""
    try:
        stack = described(account.session, stack_name)
    except NotUp:
        return None
    parameters = parameters_of(stack)
    is_asked = parameters.get("ModelIn") != IN_LAMBDA
    is_asked = is_asked and parameters.get("EndpointName", DEFAULT_ENDPOINT) == endpoint
    return Served(account, stack) if is_asked else None


def release(
    plane: ControlPlane,
    wanted: Deployment,
    served: Served | None,
    change: ChangeSet | None,
    at: datetime,
    say: Say,
) -> str:
    """Deploy a model to its endpoint, then its policy to the stack; return what the endpoint runs.

    Args:
        plane: SageMaker.
        wanted: the model.
        served: the stack, if there is one.
        change: what the model's policy changes in it, if anything.
        at: now.
        say: gets the progress.

    Raises:
        DeploymentError: the endpoint did not take the model; it was rolled back, and the policy stays.
        DeployFailed: the stack did not take the policy; both are as they were.
        botocore.exceptions.ClientError: AWS refused to change the stack; both are as they were.
    """
    before = plane.config_of(wanted.endpoint)
    try:
        if served and before:
            served.remember(before)
        name = deployment.deploy(plane, wanted, at, say)
    except Exception:
        _discard(change)
        raise
    if change:
        say(f"giving {change.stack_name} the classes and thresholds of the model")
        try:
            change.execute()
        except (DeployFailed, ClientError):
            if name != before:
                _take_back(plane, wanted.endpoint, before, say)
            raise
    return name


def _discard(change: ChangeSet | None) -> None:
    """Discard a change that is not made. The error that prevented it is shown, not one of discarding."""
    if change:
        with suppress(ClientError):
            change.discard()


def _take_back(plane: ControlPlane, endpoint: str, before: str | None, say: Say) -> None:
    say("the stack did not take them: the endpoint goes back, too")
    if before:
        deployment.roll_back(plane, endpoint, say)
    else:
        deployment.delete(plane, endpoint, say)


def roll_back(plane: ControlPlane, endpoint: str, served: Served | None, at: datetime, say: Say) -> str:
    """Let the endpoint run what it ran before, with the policy that the stack had then; return its name.

    Raises:
        DeploymentError: there is nothing to go back to.
        DeployFailed: the stack did not take the policy. Images fail as `wrong_model` until it has one.
    """
    older = deployment.previous(plane, endpoint)
    policy = served.remembered(older) if served else None
    change = served.change_to(policy, at) if served and policy else None
    try:
        deployment.roll_back(plane, endpoint, say)
    except Exception:
        _discard(change)
        raise
    if change:
        say(f"giving {change.stack_name} the classes and thresholds that it had with {older}")
        change.execute()
    elif served and policy is None:
        say("the stack keeps its classes and thresholds: those of the earlier model are not known")
    return older
