"""Deploys the template with the AWS CLI, with the same two commands on the embedded AWS and on AWS."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from infra.aws import package
from infra.installation import how, state_folder
from infra.stack import NotUp, Stack
from ingest.errors import SconesError
from model.files import CARD_FILE, DEFAULT_MODEL, UnusableModel, read_card
from workflow.answers import SCORES_TYPE
from workflow.policy import Policy


class DeployFailed(SconesError):
    """The stack could not be deployed. The text has the reason, possibly in the words of the AWS CLI."""


def deploy(
    template: Path,
    stack_name: str,
    artifacts_bucket: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    """Upload code and definitions, and create or update the stack.

    Args:
        template: template with paths to built code, as `infra.aws.package.build` leaves it.
        stack_name: name of the CloudFormation stack.
        artifacts_bucket: existing bucket for the code.
        parameters: parameters of the template; others keep their value or default.
        environment: whole environment of the AWS CLI, which selects the account, region and credentials.

    Raises:
        DeployFailed: in the words of the AWS CLI.
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
        NotUp: there is no stack of that name in the account and region of the session.
    """
    named = _outputs_of(described(session, stack_name))
    account_id = session.client("sts").get_caller_identity()["Account"]
    return Stack.from_outputs(named, region=session.region_name, account_id=account_id)


def described(session: "boto3.Session", stack_name: str) -> dict[str, Any]:
    """Return CloudFormation's description of a stack.

    Raises:
        NotUp: there is no stack of that name in the account and region of the session.
    """
    try:
        (stack,) = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise NotUp(
            f"no stack {stack_name!r} in {session.region_name}: deploy it with `{how('deploy')}`"
        ) from error
    return dict(stack)


def artifacts_bucket(account_id: str, region: str) -> str:
    """Return the name of the bucket for the code of a deployment."""
    return f"scones-artifacts-{account_id}-{region}"


def parameters_of_model(model: Path = DEFAULT_MODEL) -> dict[str, str]:
    """Return the template's parameters that the card of a model determines.

    Raises:
        DeployFailed: the folder has no usable card.
    """
    try:
        card = read_card(model)
        return {
            **Policy.from_mapping(card).to_parameters(),
            "ImageSizePx": str(card["image_size_px"]),
            "EndpointAccept": SCORES_TYPE,
        }
    except (UnusableModel, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error if isinstance(error, UnusableModel) else f"{CARD_FILE}: {error!r}"
        raise DeployFailed(
            f"{model} is not a folder of a model, as `{how('train')}` writes one: {why}"
        ) from error


def deploy_to_aws(
    session: "boto3.Session", stack_name: str, parameters: Mapping[str, str], model: Path = DEFAULT_MODEL
) -> None:
    """Build the Lambdas for AWS and deploy them there, as the user's AWS profile.

    Args:
        session: selects the account and region.
        stack_name: name of the CloudFormation stack.
        parameters: parameters of the template, which take precedence over those of the model's card.
        model: folder of the model that the endpoint serves.

    Raises:
        DeployFailed: the model or a parameter is wrong or unknown, or the AWS CLI failed.
        subprocess.CalledProcessError: a library could not be downloaded.
        botocore.exceptions.ClientError: the artifacts bucket could not be created.
    """
    _ensure_known(parameters)
    wanted = consistent(with_model(parameters, model))
    account_id = session.client("sts").get_caller_identity()["Account"]
    bucket = artifacts_bucket(account_id, session.region_name)
    _make_artifacts_bucket(session.client("s3"), bucket, session.region_name)
    template = package.build(state_folder() / "aws", with_libraries=True)
    environment = {**os.environ, "AWS_DEFAULT_REGION": session.region_name}
    deploy(template, stack_name, bucket, wanted, environment)


def _ensure_known(parameters: Mapping[str, str]) -> None:
    """Refuse a parameter that the template does not have, before AWS is asked for anything."""
    _, _, after = package.TEMPLATE.read_text(encoding="utf-8").partition("\nParameters:\n")
    known = re.findall(r"^  (\w+):", re.split(r"^\b", after, maxsplit=1, flags=re.M)[0], re.M)
    for name in parameters:
        if name not in known:
            near = "".join(f" Perhaps {each}?" for each in get_close_matches(name, known, 1))
            raise DeployFailed(f"PARAMETERS: the template has no parameter {name!r}.{near}")


def with_model(parameters: Mapping[str, str], model: Path) -> dict[str, str]:
    """Return the parameters, and those of the model's card for all others.

    Other classes belong to another endpoint: it has another version, and may refuse to answer with the
    content type of Scones' own container.
    """
    of_other = (
        {"EndpointAccept": "application/json", "ModelVersion": ""} if "ClassNames" in parameters else {}
    )
    return {**parameters_of_model(model), **of_other, **parameters}


def consistent(parameters: dict[str, str]) -> dict[str, str]:
    """Return the parameters if they form a policy; with others, every image would fail.

    Raises:
        DeployFailed: they contradict each other, such as other classes with the default model's thresholds.
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
    """Create the bucket if it is missing. S3 encrypts new buckets and blocks public access by default."""
    # us-east-1 is the default, and the one region that S3 refuses as a LocationConstraint.
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **location)


def _aws(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DeployFailed((done.stderr or done.stdout).strip())
