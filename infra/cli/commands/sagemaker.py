"""The model on SageMaker: endpoint, check-endpoint, endpoint-train, -calibrate, -rollback and -delete."""

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics.commands import how
from infra.cli import systems
from infra.cli.command_line import (
    ATTENTION,
    FOLDER,
    ClassNames,
    Number,
    WholeNumber,
    argument,
    as_json,
    chosen_stack,
    option,
    parameters_in,
    scones,
    stack,
)
from infra.cli.commands.on_aws import is_wanted, yes
from infra.cli.terminal import answers, say, steps, words
from infra.cli.words import print_json, show_checked_endpoint, show_resources
from ingest import class_names
from model.files import DEFAULT_MODEL
from model.serving import sagemaker_requests as requests

if TYPE_CHECKING:
    from infra.aws.image import Workshop


def _matching(
    pattern: str, described: str
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Return what refuses an option's value that SageMaker would refuse: botocore checks no patterns."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(pattern, value):
            raise click.BadParameter(f"{value!r}; it must be {described}")
        return value

    return check


_data = option("--data", type=click.Path(path_type=Path, exists=True), required=True)
_classes = option("--classes", type=ClassNames(), default="", help="names: a,b or @FILE; left out: all")
_role = option(
    "--role-arn",
    required=True,
    envvar="ROLE_ARN",
    callback=_matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/.+", "a role's ARN, as in arn:aws:iam::123456789012:role/x"
    ),
    help="role that SageMaker works in",
)
_bucket = option(
    "--bucket",
    required=True,
    envvar="BUCKET",
    callback=_matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket's name, without s3://"),
    help="S3 bucket for models and data",
)
_name = option(
    "--name",
    make="ENDPOINT_NAME",
    default="scones",
    show_default=True,
    callback=_matching(
        rf"(?=.{{1,{requests.ENDPOINT_NAME_MAX_CHARS}}}$)[a-zA-Z0-9](-*[a-zA-Z0-9])*",
        f"at most {requests.ENDPOINT_NAME_MAX_CHARS} letters, digits and hyphens between them",
    ),
    help="name of the endpoint",
)
_dry_run = option("--dry-run", is_flag=True, help="print requests and cost; ask nothing of AWS")


@scones.command("endpoint-train")
@_data
@_classes
@_role
@_bucket
@_dry_run
@option("--layers", type=int, default=20, show_default=True, help="of the network")
@option("--epochs", type=int, default=60, show_default=True)
@option("--instance-type", default=requests.TrainingPlan.instance_type, show_default=True)
def endpoint_train(
    data: Path,
    classes: list[str],
    role_arn: str,
    bucket: str,
    dry_run: bool,
    layers: int,
    epochs: int,
    instance_type: str,
) -> None:
    """Train SageMaker's built-in Image Classification algorithm."""
    from infra.aws.account import region_name
    from model.data.load import load
    from model.serving import sagemaker

    with steps("reading") as progress:
        images = load(data, classes, progress).train
    plan = sagemaker.plan_training(
        images,
        job_name=f"scones-{datetime.now(UTC):%Y%m%d%H%M%S}",
        role_arn=role_arn,
        bucket=bucket,
        region=region_name(),
        layers=layers,
        epochs=epochs,
        instance_type=instance_type,
    )
    if dry_run:
        from infra.operations.endpoint_cost import training_cost

        request, cost = requests.training_job(plan), training_cost(plan)
        print_json({"images": images.counts(), "training_job": request, "cost": cost})
        return
    session = systems.aws_account().session
    say(f"training {plan.job_name} for classes {class_names.join(images.classes)}")
    sagemaker.train(session, plan, images, steps)
    click.echo(plan.job_name)


@scones.command()
@option("--delete", is_flag=True, help="Delete all that this command creates, images included.")
@yes
@as_json
def image(delete: bool, yes: bool, as_json: bool) -> None:
    """Build the endpoint's container on AWS, without Docker on this machine; print its URI.

    What it will create, and the cost, is shown first. The same sources are built once.
    """
    from infra.aws.image import Workshop

    workshop = Workshop(systems.aws_account())
    if delete:
        say("this deletes, and an endpoint that runs such an image cannot start another worker:")
        for part in workshop.parts:
            say(f"  {part}")
        if is_wanted("Delete it?", yes=yes):
            workshop.delete()
            words.print("Deleted.")
        return
    if uri := _built(workshop, yes=yes):
        if as_json:
            print_json({"image": uri})
        else:
            click.echo(uri)


def _built(workshop: "Workshop", *, yes: bool) -> str | None:
    """Return the URI of the endpoint's container, built if it is not there; None if that is not wanted."""
    from infra.aws.image import COST, source, tag_of

    zipped = source()
    if workshop.has(tag_of(zipped)):
        return workshop.uri(tag_of(zipped))
    say(f"CodeBuild builds the endpoint's container: {COST}. It needs, and creates what is missing:")
    for part in workshop.parts:
        say(f"  {part}")
    if not is_wanted("Build it?", yes=yes):
        words.print("Nothing has been changed.")
        return None
    return workshop.build(zipped, say)


@scones.command()
@_name
@_role
@_bucket
@_dry_run
@option(
    "--image",
    envvar="IMAGE",
    help="URI in ECR of the container built from model/Dockerfile. Left out: as `scones image` builds it.",
)
@option("--training-job", help="deploy what this job of the built-in algorithm trained, instead")
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="folder of the model")
@option(
    "--memory-mb",
    type=click.Choice([str(mb) for mb in requests.SERVERLESS_MEMORY_MB]),
    default="1024",
    show_default=True,
)
@option("--concurrency", type=WholeNumber(1, 200), default=requests.Serverless.concurrency, show_default=True)
@option(
    "--provisioned-concurrency",
    type=WholeNumber(0, 200),
    default=requests.Serverless.provisioned_concurrency,
    show_default=True,
    help="workers that are kept warm, so that no image waits for a start",
)
@option(
    "--instance-type",
    callback=_matching(r"ml\..+", "a type that begins with ml."),
    help="real-time on such instances, instead of serverless",
)
@option("--instances-max", type=WholeNumber(1), default=4, show_default=True)
@stack
@yes
def endpoint(
    name: str,
    role_arn: str,
    bucket: str,
    dry_run: bool,
    image: str | None,
    training_job: str | None,
    model: Path,
    memory_mb: str,
    concurrency: int,
    provisioned_concurrency: int,
    instance_type: str | None,
    instances_max: int,
    yes: bool,
) -> None:
    """Create or update the endpoint and test it; then give the stack that asks it the model's policy.

    If either fails, both are put back.
    """
    if image and training_job:
        raise click.UsageError(
            "give either --image (the project's container) or --training-job (the built-in algorithm)"
        )
    from infra.operations.endpoint_cost import hourly_cost
    from model.serving import deployment, sagemaker

    capacity: requests.Serverless | requests.RealTime
    if instance_type:
        capacity = requests.RealTime(instance_type, instances_max=instances_max)
    else:
        if provisioned_concurrency > concurrency:
            raise click.UsageError(
                f"--provisioned-concurrency {provisioned_concurrency}: --concurrency is {concurrency} alone"
            )
        capacity = requests.Serverless(int(memory_mb), concurrency, provisioned_concurrency)
    account = None if dry_run and image else systems.aws_account(chosen_stack())
    if account and not image and not training_job:
        from infra.aws.image import Workshop, source, tag_of

        workshop = Workshop(account)
        image = workshop.uri(tag_of(source())) if dry_run else _built(workshop, yes=yes)
        if image is None:
            return
    if training_job:
        assert account  # noqa: S101 - the job is asked for, even for a dry run
        wanted = sagemaker.trained_by(account.session, training_job, name, role_arn, capacity)
    else:
        assert image  # noqa: S101 - one of the two is there
        wanted = deployment.of_weights(
            model,
            bucket=bucket,
            image_uri=image,
            endpoint=name,
            role_arn=role_arn,
            capacity=capacity,
        )
    now = datetime.now(UTC)
    if dry_run or account is None:
        print_json(deployment.dry_run(wanted, now) | {"cost": hourly_cost(capacity)})
        return
    from infra.aws.deploy import parameters_of_model
    from infra.aws.release import release, served_by

    served = served_by(account, chosen_stack(), name)
    kind = "real-time" if instance_type else "serverless"
    of_endpoint = {"EndpointKind": kind, "VariantName": requests.VARIANT}
    wanted_policy = {**parameters_of_model(model), **of_endpoint}
    change = served.change_to(wanted_policy, now) if served and image else None
    say(f"the endpoint {name} will run {wanted.name(now)}: {hourly_cost(capacity)}")
    if change:
        say(f"the stack {change.stack_name} will have the classes and thresholds of {wanted.model_version}:")
        show_resources(words, change)
    if not is_wanted("Change it?", yes=yes):
        if change:
            change.discard()
        say("Nothing has been changed.")
        return
    if image:
        sagemaker.put_object(account.session, wanted.model_url, deployment.package(model))
    plane = sagemaker.SageMaker.connect(account.session)
    click.echo(release(plane, wanted, served, change, now, say))
    if served and not image:
        say(f"`{how('endpoint-calibrate')}` gives the parameters for `{how('deploy')}` that belong to it")


@scones.command("check-endpoint")
@_name
@argument("parameters", metavar="PARAMETERS", nargs=-1)
@option(
    "--from",
    "images",
    make="FROM",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="folder of images, of which three are sent; left out: three drawings",
)
@as_json
def check_endpoint(name: str, parameters: tuple[str, ...], images: Path | None, as_json: bool) -> None:
    """Ask an endpoint about three images, with PARAMETERS of the template as Name=value.

    Says what a stack with these parameters would understand. Nothing is deployed.
    """
    given = parameters_in(parameters)
    from infra.operations.check_endpoint import Settings
    from infra.operations.check_endpoint import check_endpoint as check
    from workflow.aws import ENDPOINT_CONFIG, Endpoint

    settings = Settings.of(given)
    client = systems.aws_account().session.client("sagemaker-runtime", config=ENDPOINT_CONFIG)
    endpoint = Endpoint(client, name, settings.accept, settings.scores_are)
    checked = check(endpoint, settings, _three_images(images))
    if as_json:
        print_json({"is_ready": checked.is_ready, **asdict(checked)})
    else:
        show_checked_endpoint(answers, checked)
    if not checked.is_ready:
        raise SystemExit(ATTENTION)


def _three_images(folder: Path | None) -> list[bytes]:
    from infra.demo_images import three_drawings

    if folder is None:
        return three_drawings()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(files) < 3:
        raise click.ClickException(f"{folder} has fewer than three images")
    return [file.read_bytes() for file in files[:3]]


@scones.command("endpoint-calibrate")
@_name
@argument("parameters", metavar="PARAMETERS", nargs=-1)
@_data
@_classes
@option(
    "--target-precision", type=Number(0, 1, min_open=True, max_open=True), default=0.99, show_default=True
)
def endpoint_calibrate(
    name: str, parameters: tuple[str, ...], data: Path, classes: list[str], target_precision: float
) -> None:
    """Fit temperature and thresholds to an endpoint's answers, for the template's parameters.

    PARAMETERS of the template, as Name=value, say how it is asked and read. Left out: as the built-in
    algorithm.
    """
    given = parameters_in(parameters)
    if classes:
        given["ClassNames"] = class_names.join(classes)
    from infra.operations.calibrate_endpoint import calibrate_endpoint
    from workflow.aws import Endpoint

    client = systems.aws_account().session.client("sagemaker-runtime")
    fitted = calibrate_endpoint(
        lambda settings: Endpoint(client, name, settings.accept, settings.scores_are),
        given,
        data,
        target_precision,
        steps,
    )
    for key, value in fitted.items():
        click.echo(f"{key}={value}")


@scones.command("endpoint-rollback")
@_name
@stack
@yes
def endpoint_rollback(name: str, yes: bool) -> None:
    """Let the endpoint run what it ran before, and give the stack that asks it the policy it had then."""
    from infra.aws.release import roll_back, served_by
    from model.serving import sagemaker

    account = systems.aws_account(chosen_stack())
    if not is_wanted(f"Take the endpoint {name!r} back to what it ran before?", yes=yes):
        return
    plane = sagemaker.SageMaker.connect(account.session)
    served = served_by(account, chosen_stack(), name)
    click.echo(roll_back(plane, name, served, datetime.now(UTC), say))


@scones.command("endpoint-delete")
@_name
@yes
def endpoint_delete(name: str, yes: bool) -> None:
    """Delete the endpoint and everything that was deployed behind it."""
    from model.serving import deployment, sagemaker

    account = systems.aws_account()
    if is_wanted(f"Delete the endpoint {name!r} and all that was deployed behind it?", yes=yes):
        deployment.delete(sagemaker.SageMaker.connect(account.session), name, say)
