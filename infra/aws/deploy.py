"""Deploys the template with the AWS CLI, with the same two commands on the embedded AWS and on AWS."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from analytics.commands import how
from infra.aws import package
from infra.aws.account import Account
from infra.aws.challenger import ensure_fits, ensure_possible, settings_for, without_shared_classes
from infra.aws.changes import ChangeSet, DeployFailed, why_it_failed
from infra.aws.incoming import announce_uploads, ensure_usable
from infra.aws.stage import NO_STAGE, Stage
from infra.installation import state_folder
from infra.stack import NotUp, Stack, parameters_of
from ingest.aws import read_object
from ingest.model_input import PIXELS_TYPE, SCORES_TYPE, ModelInput
from model.files import CARD_FILE, DEFAULT_MODEL, UnusableModel, read_card
from workflow.answers import PROBABILITIES
from workflow.classifier import IN_LAMBDA
from workflow.policy import Policy

DEFAULT_ENDPOINT = "scones"
"""The template's default of `EndpointName`."""

CODE = "code"
"""Folder of the artifacts bucket, with a folder for each stack."""
POLICIES = "policies"
"""The same for classes that are too long for parameters, and for the policies that a rollback returns to."""

Say = Callable[[str], None]

_LEFT_OVER = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")
"""States of a stack whose creation failed. CloudFormation can delete it, and cannot update it."""
MARKER = "ClassThresholds"
"""Parameter that identifies a stack of Scones. A stack of the same name without it is left alone."""

_DELETE_PATIENCE = {"Delay": 10, "MaxAttempts": 360}

_OF_OTHER_CLASSES = {
    "ClassesFile": "",
    "EndpointAccept": "application/json",
    "EndpointContentType": "",
    "ModelVersion": "",
    "Temperature": "1",
    "EndpointScores": PROBABILITIES,
}
"""Parameters of the endpoint that other classes belong to.

It has another version and other scores, and may not have the content types of Scones' own container.
"""


@dataclass(frozen=True)
class Planned:
    """A deployment that is ready to be made: its code is uploaded, and nothing is changed yet."""

    account: Account
    stack_name: str
    stage: Stage
    changes: ChangeSet | None
    """None: the stack is as wanted already."""
    parameters: Mapping[str, tuple[str | None, str]]
    """Parameter → its value now (None: it has none) and then, where they differ."""
    incoming: str
    """Name of the bucket that is to announce its uploads; empty for the stack's own, which does."""

    def apply(self, say: Say) -> None:
        """Make the changes, and wait for them.

        Raises:
            DeployFailed: CloudFormation could not make them, and put back what it could.
            botocore.exceptions.ClientError: AWS refused.
        """
        if self.changes:
            self.changes.execute()
        if self.stage.termination_protection is not None:
            self.account.session.client("cloudformation").update_termination_protection(
                EnableTerminationProtection=self.stage.termination_protection, StackName=self.stack_name
            )
        if self.incoming:
            s3 = self.account.session.client("s3")
            announce_uploads(s3, self.incoming, self.account.account_id, say)

    def discard(self) -> None:
        """Change nothing."""
        if self.changes:
            self.changes.discard()


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
    command = _deploy_command(template, stack_name, artifacts_bucket, parameters, environment)
    _aws(command, environment)


def _deploy_command(
    template: Path,
    stack_name: str,
    artifacts_bucket: str,
    parameters: Mapping[str, str],
    environment: Mapping[str, str],
) -> list[str]:
    """Upload code and definitions; return the arguments of the AWS CLI that deploy them."""
    packaged = template.with_name("packaged.yaml")
    bucket = ["--s3-bucket", artifacts_bucket, "--s3-prefix", _code_prefix(stack_name)]
    upload = ["--template-file", str(template), *bucket, "--output-template-file", str(packaged)]
    _aws(["cloudformation", "package", *upload], environment)
    command = ["cloudformation", "deploy", "--template-file", str(packaged), "--stack-name", stack_name]
    command += [*bucket, "--no-fail-on-empty-changeset"]
    command += ["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    if parameters:
        command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    return command


def _code_prefix(stack_name: str) -> str:
    """Return the prefix of a stack's code in the artifacts bucket.

    It is kept: CloudFormation needs the code of an earlier deployment to go back to it.
    """
    return f"{CODE}/{stack_name}"


def stack_on_aws(session: "boto3.Session", stack_name: str) -> Stack:
    """Return the stack that a deployment left.

    Raises:
        NotUp: there is no stack of that name in the account and region of the session.
    """
    named = _outputs_of(described(session, stack_name))
    account_id = session.client("sts").get_caller_identity()["Account"]
    return Stack.from_outputs(named, region=session.region_name, account_id=account_id, name=stack_name)


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
        form = ModelInput.from_mapping(card)
        return {
            **Policy.from_mapping(card).to_parameters(),
            **form.to_parameters(),
            "EndpointAccept": SCORES_TYPE,
            "EndpointContentType": form.quickest_content_type,
        }
    except (UnusableModel, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error if isinstance(error, UnusableModel) else f"{CARD_FILE}: {error!r}"
        raise DeployFailed(
            f"{model} is not a folder of a model, as `{how('train')}` writes one: {why}"
        ) from error


def plan_deployment(
    account: Account,
    stack_name: str,
    parameters: Mapping[str, str],
    model: Path | None = None,
    stage: Stage = NO_STAGE,
    challenger: Path | None = None,
) -> Planned:
    """Build the Lambdas for AWS, upload them, and let CloudFormation compute what a deployment changes.

    What is not given keeps its value: the classes and thresholds of a stack are those of an earlier
    deployment, unless a model or other parameters are given.

    Args:
        account: account and region.
        stack_name: name of the CloudFormation stack.
        parameters: parameters of the template. They take precedence over the stage's, those over the card's.
        model: folder of the model. None: for a new stack, the default model.
        stage: role, tags and parameters of the stage.
        challenger: folder of the model that the challenger's endpoint serves. None: its settings stay.

    Raises:
        DeployFailed: the model or a parameter is wrong or unknown, the stack cannot be changed now, or the
            AWS CLI or CloudFormation failed.
        WrongStage: the account or region is not the stage's.
        UnusableBucket: the existing bucket is another account's, or in another region.
        subprocess.CalledProcessError: a library could not be downloaded.
        botocore.exceptions.ClientError: AWS refused.
    """
    of_challenger = (
        {"ChallengerSettings": settings_for(parameters_of_model(challenger))} if challenger else {}
    )
    given = {**of_challenger, **stage.parameters, **parameters}
    of_model = ensure_deployable(given, model)
    stage.check(account)
    session = account.session
    stack = _changeable(session, stack_name)
    present = parameters_of(stack) if stack else {}
    if not stack and not model:
        of_model = parameters_of_model()
    s3 = session.client("s3")
    wanted = wanted_parameters(given, of_model, present)
    if challenger and not {**present, **wanted}.get("ChallengerEndpointName"):
        raise DeployFailed(
            f"{challenger} is a challenger's model, and no endpoint serves it yet as far as the stack knows: "
            'PARAMETERS="ChallengerEndpointName=…" names it'
        )
    incoming = {**present, **wanted}.get("IncomingBucketName", "")
    if incoming:
        ensure_usable(incoming, account)
    policy = policy_of({**present, **wanted}, s3)
    if given.get("ClassThresholds") == "":  # none at all, and not those of a file
        policy = replace(policy, class_thresholds={})
        wanted |= {"ClassNames": policy.to_parameters()["ClassNames"], "ClassesFile": ""}
    inside = model_inside({**present, **wanted}, model)
    endpoint = {"EndpointName": DEFAULT_ENDPOINT, **present, **wanted}["EndpointName"]
    if not inside:
        wanted = {**_parameters_of_endpoint(session, endpoint), **wanted}

    bucket = artifacts_bucket(account.account_id, account.region)
    make_artifacts_bucket(s3, bucket, account.region)
    wanted |= stored_classes(policy, s3, bucket, account.region, stack_name)
    if challenger:
        wanted["ChallengerSettings"] = without_shared_classes(wanted["ChallengerSettings"], policy)
    ensure_fits({**present, **wanted})
    template = package.build(state_folder() / "aws", with_libraries=True, model=inside)
    environment = {**os.environ, "AWS_DEFAULT_REGION": account.region}
    command = _deploy_command(template, stack_name, bucket, wanted, environment)
    tags = stage.tags or {each["Key"]: each["Value"] for each in (stack or {}).get("Tags", [])}
    return Planned(
        account=account,
        stack_name=stack_name,
        stage=stage,
        changes=_change_set(
            session.client("cloudformation"), [*command, *_options(stage, tags)], environment
        ),
        parameters={
            name: (present.get(name), value) for name, value in wanted.items() if present.get(name) != value
        },
        incoming=incoming,
    )


def ensure_deployable(parameters: Mapping[str, str], model: Path | None) -> dict[str, str]:
    """Check parameters and a model as far as that is possible without AWS; return the model's parameters.

    Raises:
        DeployFailed: the template does not have a parameter, or the folder has no usable model.
    """
    _ensure_known(parameters)
    return parameters_of_model(model) if model else {}


def wanted_parameters(
    given: Mapping[str, str], of_model: Mapping[str, str], present: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters to deploy with; the others keep their value.

    Args:
        given: by people.
        of_model: by a model's card. Empty: the policy stays, as far as nothing is given.
        present: the stack's.
    """
    wanted = {**of_model, **(_OF_OTHER_CLASSES if "ClassNames" in given else {}), **given}
    if "ImageSizePx" in given and {**present, **wanted}.get("EndpointContentType") == PIXELS_TYPE:
        # Pixels must be of the model's size; a file of another one is resized by Scones' own container.
        wanted["EndpointContentType"] = given.get("EndpointContentType", "")
    return wanted


def model_inside(parameters: Mapping[str, str], model: Path | None) -> Path | None:
    """Return the folder of the model that the Lambdas have themselves, or None where an endpoint has it.

    Args:
        parameters: to deploy with.
        model: folder that was given. None: the default model, if the parameters are for it.

    Raises:
        DeployFailed: the folder has another model than the parameters are for.
    """
    if parameters.get("ModelIn") != IN_LAMBDA:
        return None
    folder = model or DEFAULT_MODEL
    version, wanted = read_card(folder)["model_version"], parameters.get("ModelVersion", "")
    if version != wanted:
        raise DeployFailed(
            f"classes and thresholds are for the model {wanted!r}, and {folder} has {version!r}. The Lambdas "
            f"have the model themselves (ModelIn=Lambda): `{how('deploy', MODEL='folder')}` gives both."
        )
    return folder


def _parameters_of_endpoint(session: "boto3.Session", endpoint: str) -> dict[str, str]:
    """Return the parameters that an endpoint determines: none, if it cannot be seen."""
    try:
        found = session.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError:  # it may come later, or not be for this user to see
        return {}
    if not found.get("ProductionVariants"):
        return {}
    variant = found["ProductionVariants"][0]
    return {"VariantName": variant["VariantName"], "EndpointKind": endpoint_kind(variant)}


def endpoint_kind(variant: Mapping[str, Any]) -> str:
    """Return the template's `EndpointKind` of a variant as SageMaker describes it."""
    return "serverless" if "CurrentServerlessConfig" in variant else "real-time"


def is_of_scones(stack: Mapping[str, Any]) -> bool:
    """Tell whether a deployment of Scones made a stack, or another template with the same stack name."""
    return MARKER in {each["ParameterKey"] for each in stack.get("Parameters", ())}


def left_over(session: "boto3.Session", stack_name: str) -> dict[str, Any] | None:
    """Return the description of a stack whose creation failed, or None if there is none of that name.

    Raises:
        DeployFailed: it is not a stack of Scones.
    """
    try:
        stack = described(session, stack_name)
    except NotUp:
        return None
    if stack["StackStatus"] not in _LEFT_OVER:
        return None
    if not is_of_scones(stack):
        raise DeployFailed(f"the stack {stack_name!r} was not created by `{how('deploy')}`: it is left alone")
    return stack


def delete_left_over(session: "boto3.Session", stack: Mapping[str, Any]) -> None:
    """Delete a stack whose creation failed: CloudFormation can neither update nor create over it."""
    cloudformation = session.client("cloudformation")
    cloudformation.delete_stack(StackName=stack["StackId"])
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=stack["StackId"], WaiterConfig=_DELETE_PATIENCE
    )


def _changeable(session: "boto3.Session", stack_name: str) -> dict[str, Any] | None:
    """Return the description of a stack that can be updated, or None if it is to be created.

    Raises:
        DeployFailed: the stack is being changed, or cannot be.
    """
    try:
        stack = described(session, stack_name)
    except NotUp:
        return None
    status = stack["StackStatus"]
    cloudformation = session.client("cloudformation")
    if status == "REVIEW_IN_PROGRESS":  # changes were computed, and never made
        return None
    if status in _LEFT_OVER:
        raise DeployFailed(
            f"{why_it_failed(cloudformation, stack_name)}\nIt is {status}: "
            f"no changes can be computed until it is deleted. `{how('deploy')}` asks, and deletes it."
        )
    if status.endswith("_IN_PROGRESS"):
        raise DeployFailed(
            f"the stack {stack_name!r} is being changed ({status}): try again when that is over"
        )
    if status in ("UPDATE_ROLLBACK_FAILED", "DELETE_FAILED"):
        next_step = (
            f"`aws cloudformation continue-update-rollback --stack-name {stack_name}` goes on"
            if status == "UPDATE_ROLLBACK_FAILED"
            else f"`{how('undeploy')}` tries again"
        )
        raise DeployFailed(f"{why_it_failed(cloudformation, stack_name)}\nIt is {status}: {next_step}.")
    return stack


def _options(stage: Stage, tags: Mapping[str, str]) -> Iterable[str]:
    if tags:
        yield from ("--tags", *(f"{key}={value}" for key, value in tags.items()))
    if stage.role_arn:
        yield from ("--role-arn", stage.role_arn)


def _change_set(cloudformation: Any, command: list[str], environment: Mapping[str, str]) -> ChangeSet | None:
    """Let the AWS CLI compute the changes, and return them; None if there are none."""
    said = _aws([*command, "--no-execute-changeset"], environment)
    found = re.search(r"arn:\S+:changeSet/\S+", said)
    return ChangeSet.of(cloudformation, found[0]) if found else None


def _ensure_known(parameters: Mapping[str, str]) -> None:
    """Refuse a parameter that the template does not have, before AWS is asked for anything."""
    _, _, after = package.TEMPLATE.read_text(encoding="utf-8").partition("\nParameters:\n")
    known = re.findall(r"^  (\w+):", re.split(r"^\b", after, maxsplit=1, flags=re.M)[0], re.M)
    for name in parameters:
        if name not in known:
            near = "".join(f" Perhaps {each}?" for each in get_close_matches(name, known, 1))
            raise DeployFailed(f"PARAMETERS: the template has no parameter {name!r}.{near}")


def policy_of(parameters: Mapping[str, str], s3: "boto3.client") -> Policy:
    """Return the policy that parameters form, with the classes of their file if they name one.

    Raises:
        DeployFailed: they contradict each other, such as other classes with the default model's thresholds:
            every image would fail. Or the challenger's do.
    """
    read = partial(read_object, s3=s3)
    try:
        policy = Policy.from_mapping(parameters, read)
    except ValueError as error:
        raise DeployFailed(
            f"ClassNames, Threshold and ClassThresholds do not go together: {error}. Give all three; "
            "ClassThresholds may be empty."
        ) from error
    ensure_possible(parameters, read)
    return policy


def stored_classes(
    policy: Policy, s3: "boto3.client", bucket: str, region: str, stack_name: str
) -> dict[str, str]:
    """Put classes that are too long for parameters into a file of a bucket; return the parameters for it.

    Classes that are short enough change nothing.
    """
    file = policy.classes_file()
    if file is None:
        return {}
    name, content = file
    key = f"{POLICIES}/{stack_name}/{name}"
    make_artifacts_bucket(s3, bucket, region)
    s3.put_object(Bucket=bucket, Key=key, Body=content)
    return {"ClassNames": "", "ClassThresholds": "", "ClassesFile": f"{bucket}/{key}"}


def outputs(cloudformation: "boto3.client", stack_name: str) -> dict[str, str]:
    """Return the stack's outputs by name."""
    (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return _outputs_of(stack)


def _outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    # CloudFormation leaves "Outputs" out of a stack whose creation has not finished.
    if not stack.get("Outputs"):
        raise NotUp(
            f"the stack {stack['StackName']!r} is {stack['StackStatus']}: `{how('deploy')}` deploys it"
        )
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def make_artifacts_bucket(s3: "boto3.client", name: str, region: str) -> None:
    """Create the bucket if it is missing. S3 encrypts new buckets and blocks public access by default."""
    # us-east-1 is the default, and the one region that S3 refuses as a LocationConstraint.
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=name, **location)


def _aws(arguments: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "awscli", *arguments],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise DeployFailed((done.stderr or done.stdout).strip())
    return done.stdout
