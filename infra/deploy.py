"""Deploys the template with the AWS CLI: the same two commands to the embedded AWS and to AWS."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import boto3

from infra.package import PROJECT

CARD = PROJECT / "model" / "weights" / "card.json"


class DeployFailed(Exception):
    """The AWS CLI could not deploy the stack; says what it said."""


def deploy(
    template: Path,
    stack_name: str,
    artifacts_bucket: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> None:
    """Upload code and definitions, and create or update the stack.

    Args:
        template: with paths to built code, as `infra.package.build` leaves it.
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


def parameters_of_model(card: Path = CARD) -> dict[str, str]:
    """Return the template's parameters that follow from the model, as its card has them."""
    said = json.loads(card.read_text())
    return {
        "ClassNames": ",".join(said["classes"]),
        "ImageSizePx": str(said["image_size_px"]),
        "Threshold": str(said["threshold"]),
        "ClassThresholds": ",".join(f"{label}={value}" for label, value in said["thresholds"].items()),
    }


def outputs(cloudformation: "boto3.client", stack_name: str) -> dict[str, str]:
    """Return the stack's outputs by name."""
    (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


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
