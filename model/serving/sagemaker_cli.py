"""Train, deploy, calibrate, roll back and delete the model on SageMaker.

python -m model.serving.sagemaker_cli {train,endpoint,calibrate,rollback,delete} --help
"""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import numpy as np

from model.data.dataset import DataError, Dataset, split
from model.data.load import load
from model.serving import aws, deployment
from model.serving import sagemaker_requests as requests
from model.serving.deployment import DeploymentError
from model.serving.endpoint import EndpointError, ask
from model.serving.sagemaker import (
    AWS_ERRORS,
    Mask,
    SageMaker,
    built_in_image,
    calibration,
    put_object,
    trained_by,
)
from model.serving.sagemaker import train as train_on_sagemaker
from model.training.console import bar

DEFAULT_WEIGHTS = Path(__file__).parents[1] / "weights"
FOLDS, SEED = 5, 0
"""One fold validates: the same images when training and when calibrating."""


def _validation_fold(images: Dataset) -> Mask:
    return np.equal(split(images, FOLDS, SEED), 0)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show(plan: dict[str, Any]) -> None:
    click.echo(json.dumps(plan, indent=2))


@click.group()
def cli() -> None:
    """Train, deploy, calibrate, roll back and delete the model on SageMaker."""


def _matching(
    pattern: str, wanted: str
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Return what refuses an option's value that SageMaker would refuse: botocore checks no patterns."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise click.BadParameter(f"{value!r}; wanted is {wanted}")
        return value

    return check


_data = click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
_classes = click.option("--classes", default="", help="their names, with commas; all there are, if none")
_role = click.option(
    "--role-arn",
    required=True,
    envvar="ROLE_ARN",
    callback=_matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "a role's ARN, as in arn:aws:iam::123456789012:role/x"
    ),
    help="role that SageMaker works in",
)
_bucket = click.option(
    "--bucket",
    required=True,
    envvar="BUCKET",
    callback=_matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name, without s3://"),
    help="S3 bucket for models and data",
)
_name = click.option(
    "--name",
    default="scones",
    show_default=True,
    callback=_matching(
        rf"(?=.{{1,{requests.ENDPOINT_NAME_MAX_CHARS}}}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*",
        f"at most {requests.ENDPOINT_NAME_MAX_CHARS} letters, digits and hyphens between them",
    ),
    help="of the endpoint",
)
_dry_run = click.option("--dry-run", is_flag=True, help="print requests and cost; ask nothing of AWS")
_region = click.option("--region", default="us-east-1", envvar="AWS_DEFAULT_REGION", show_default=True)


def _read(data: Path, classes: str) -> Dataset:
    with bar("reading") as progress:
        return load(data, [name for name in classes.split(",") if name], progress).train


@cli.command()
@_data
@_classes
@_role
@_bucket
@_region
@_dry_run
@click.option("--layers", type=int, default=20, show_default=True, help="of the network")
@click.option("--epochs", type=int, default=60, show_default=True)
@click.option("--instance-type", default=requests.TrainingPlan.instance_type, show_default=True)
def train(
    data: Path,
    classes: str,
    role_arn: str,
    bucket: str,
    region: str,
    dry_run: bool,
    layers: int,
    epochs: int,
    instance_type: str,
) -> None:
    """Train the built-in Image Classification algorithm."""
    images = _read(data, classes)
    validates = _validation_fold(images)
    prefix = f"training/{images.sha256()[:16]}"
    plan = requests.TrainingPlan(
        job_name=f"scones-{datetime.now(UTC):%Y%m%d%H%M%S}",
        role_arn=role_arn,
        image_uri=built_in_image(region),
        data_url=f"s3://{bucket}/{prefix}",
        output_url=f"s3://{bucket}/models",
        class_count=len(images.classes),
        train_images=int((~validates).sum()),
        layers=layers,
        epochs=epochs,
        instance_type=instance_type,
    )
    if dry_run:
        request, cost = requests.training_job(plan), requests.training_cost(plan)
        _show({"images": images.counts(), "training_job": request, "cost": cost})
        return
    _say(f"training {plan.job_name} for classes {', '.join(images.classes)}")
    train_on_sagemaker(plan, bucket, prefix, images, validates)
    click.echo(plan.job_name)


@cli.command()
@_name
@_role
@_bucket
@_dry_run
@click.option("--image", envvar="IMAGE", help="URI of our container (model/Dockerfile) in ECR")
@click.option("--training-job", help="deploy what this job of the built-in algorithm trained, instead")
@click.option("--weights", type=click.Path(path_type=Path), default=DEFAULT_WEIGHTS, help="of our container")
@click.option(
    "--memory-mb",
    type=click.Choice([str(mb) for mb in requests.SERVERLESS_MEMORY_MB]),
    default="1024",
    show_default=True,
)
@click.option("--concurrency", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option(
    "--instance-type",
    callback=_matching(r"ml\..+", "a type that begins with ml."),
    help="real-time on such instances, instead of serverless",
)
@click.option("--instances-max", type=click.IntRange(1), default=4, show_default=True)
def endpoint(
    name: str,
    role_arn: str,
    bucket: str,
    dry_run: bool,
    image: str | None,
    training_job: str | None,
    weights: Path,
    memory_mb: str,
    concurrency: int,
    instance_type: str | None,
    instances_max: int,
) -> None:
    """Create or update the endpoint, test it, and put it back where it fails."""
    if bool(image) == bool(training_job):
        raise click.UsageError(
            "give either --image (our container) or --training-job (the built-in algorithm)"
        )
    capacity: requests.Serverless | requests.RealTime
    if instance_type:
        capacity = requests.RealTime(instance_type, instances_max=instances_max)
    else:
        capacity = requests.Serverless(int(memory_mb), concurrency)
    if training_job:
        wanted = trained_by(training_job, name, role_arn, capacity)
    else:
        assert image  # noqa: S101 - one of the two is there
        wanted = _ours(weights, bucket, image, name, role_arn, capacity, put=not dry_run)
    if dry_run:
        _show(_dry(wanted))
        return
    click.echo(deployment.deploy(SageMaker.connect(), wanted, datetime.now(UTC), _say))


def _ours(
    weights: Path,
    bucket: str,
    image_uri: str,
    name: str,
    role_arn: str,
    capacity: requests.Serverless | requests.RealTime,
    *,
    put: bool,
) -> requests.Deployment:
    packed = deployment.package(weights)
    card = json.loads((weights / "card.json").read_text(encoding="utf-8"))
    url = f"s3://{bucket}/models/{card['model_version']}/model.tar.gz"
    if put:
        put_object(url, packed)
    return requests.Deployment(
        endpoint=name,
        role_arn=role_arn,
        image_uri=image_uri,
        model_url=url,
        class_count=len(card["classes"]),
        model_version=card["model_version"],
        capacity=capacity,
    )


def _dry(wanted: requests.Deployment) -> dict[str, Any]:
    name = wanted.name(datetime.now(UTC))
    plan: dict[str, Any] = {
        "model": requests.model(wanted, name),
        "endpoint_config": requests.endpoint_config(wanted, name),
        "endpoint": {"EndpointName": wanted.endpoint, "EndpointConfigName": name},
    }
    if isinstance(wanted.capacity, requests.RealTime):
        plan["scaling"] = requests.scaling(wanted.endpoint, wanted.capacity)
    return plan | {"cost": requests.hourly_cost(wanted.capacity)}


@cli.command("calibrate")
@_name
@_data
@_classes
@click.option("--target-precision", type=float, default=0.99, show_default=True)
def calibrate_(name: str, data: Path, classes: str, target_precision: float) -> None:
    """Fit temperature and thresholds to the built-in algorithm's answers, for the template's parameters."""
    images = _read(data, classes)
    held_out = images.take(np.flatnonzero(_validation_fold(images)))
    with bar("asking") as progress:
        probabilities = ask(aws.over_sagemaker(name), held_out, progress)
    for key, value in calibration(probabilities, held_out.labels, images.classes, target_precision).items():
        click.echo(f"{key}={value}")


@cli.command()
@_name
def rollback(name: str) -> None:
    """Let the endpoint run what it ran before."""
    click.echo(deployment.roll_back(SageMaker.connect(), name, _say))


@cli.command()
@_name
def delete(name: str) -> None:
    """Delete the endpoint and everything that was deployed behind it."""
    deployment.delete(SageMaker.connect(), name, _say)


def main() -> int:
    """Run a command; what goes wrong is one sentence."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (DataError, DeploymentError, EndpointError, ValueError, *AWS_ERRORS) as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
