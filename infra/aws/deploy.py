"""Deploys the template with the AWS CLI: the same two commands to the embedded AWS and to AWS."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.aws import package
from infra.installation import state_folder
from infra.stack import NotUp, Stack
from ingest.errors import SconesError
from model.files import DEFAULT_MODEL
from workflow.policy import Policy


class DeployFailed(SconesError):
    """The stack could not be deployed; says why, if need be in the AWS CLI's words."""


def deploy(
    template: Path,
    stack_name: str,
    artifacts_bucket: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    """Upload code and definitions, and create or update the stack.

    Args:
        template: with paths to built code, as `infra.aws.package.build` leaves it.
        stack_name: of CloudFormation's stack.
        artifacts_bucket: an existing bucket that takes the code.
        parameters: of the template; those left out keep their value, or the default.
        environment: of the AWS CLI: where to deploy to, and as whom.

    Raises:
        DeployFailed: with the AWS CLI's own words.
    """
    packaged = template.with_name("packaged.yaml")
    upload = ["--template-file", str(template), "--s3-bucket", artifacts_bucket]
    _aws(["cloudformation", "package", *upload, "--output-template-file", str(packaged)], environment)
    command = ["cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", stack_name]
    command += ["--s3-bucket", artifacts_bucket, "--no-fail-on-empty-changeset"]
    command += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    if parameters:
        command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    _aws(command, environment)


def stack_on_aws(session: "boto3.Session", stack_name: str) -> Stack:
    """Return the stack that `deploy_to_aws` left.

    Raises:
        NotUp: there is none of that name in the session's account and region.
    """
    named = _outputs_of(described(session, stack_name))
    account_id = session.client("sts").get_caller_identity()["Account"]
    return Stack.from_outputs(named, region=session.region_name, account_id=account_id)


def described(session: "boto3.Session", stack_name: str) -> dict[str, Any]:
    """Return what CloudFormation says of a stack.

    Raises:
        NotUp: there is none of that name in the session's account and region.
    """
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise NotUp(
            f"no stack {stack_name!r} in {session.region_name}: deploy it with `make deploy`"
        ) from error
    return dict(stack)


def artifacts_bucket(account_id: str, region: str) -> str:
    """Return the name of the bucket that takes the code of a deployment."""
    return f"scones-artifacts-{account_id}-{region}"


def parameters_of_model(model: Path = DEFAULT_MODEL) -> dict[str, str]:
    """Return the template's parameters that follow from the model in a folder, as its card has them.

    Raises:
        DeployFailed: it has no card of ours.
    """
    try:
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))
        return {**Policy.from_mapping(card).to_parameters(), "ImageSizePx": str(card["image_size_px"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else repr(error)
        raise DeployFailed(
            f"{model} is no folder of a model, as `make train` writes one: card.json: {why}"
        ) from error


def deploy_to_aws(
    session: "boto3.Session", stack_name: str, parameters: Mapping[str, str], model: Path = DEFAULT_MODEL
) -> None:
    """Build the Lambdas for AWS and deploy them there, as the user's AWS profile.

    Args:
        session: whose account and region to deploy to.
        stack_name: of CloudFormation's stack.
        parameters: of the template, before those that follow from the model.
        model: folder of the model that the endpoint serves.

    Raises:
        DeployFailed: with what is wrong with the model or the parameters, or the AWS CLI's own words.
        subprocess.CalledProcessError: a library could not be downloaded.
        botocore.exceptions.ClientError: the artifacts bucket could not be made.
    """
    wanted = consistent({**parameters_of_model(model), **parameters})
    account_id = session.client("sts").get_caller_identity()["Account"]
    bucket = artifacts_bucket(account_id, session.region_name)
    _make_artifacts_bucket(session.client("s3"), bucket, session.region_name)
    template = package.build(state_folder() / "aws", with_libraries=True)
    environment = {"AWS_DEFAULT_REGION": session.region_name}
    deploy(template, stack_name, bucket, wanted, environment)


def consistent(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters, if Decide can work by them: else every image would fail.

    Raises:
        DeployFailed: they contradict each other, as thresholds of the default model's classes do with others.
    """
    try:
        Policy.from_mapping(parameters)
    except ValueError as error:
        raise DeployFailed(
            f"ClassNames, Threshold and ClassThresholds do not go together: {error}. Give all three; "
            "ClassThresholds may be empty."
        ) from error
    return parameters


def outputs(cloudformation: "boto3.client", stack_name: str) -> dict[str, str]:
    """Return the stack's outputs by name."""
    (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return _outputs_of(stack)


def _outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def _make_artifacts_bucket(s3: "boto3.client", name: str, region: str) -> None:
    """Make the bucket where it is missing; S3 encrypts new ones, and closes them to the public, by itself."""
    # us-east-1 is where S3 makes buckets when told no place, and the one place it does not want to be told.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **place)


def _aws(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DeployFailed((done.stderr or done.stdout).strip())
