"""The system on AWS: deploy, undeploy."""

from dataclasses import asdict
from pathlib import Path

import click

from infra.cli import systems
from infra.cli.command_line import FOLDER, argument, as_json, option, scones
from infra.cli.terminal import answers, words
from infra.cli.words import print_json, show_undeployed, stack_facts
from infra.installation import how
from infra.stack import STACK_NAME
from model.files import DEFAULT_MODEL


@scones.command()
@argument("parameters", metavar="PARAMETERS", nargs=-1)
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of a model.")
@as_json
def deploy(parameters: tuple[str, ...], model: Path, as_json: bool) -> None:
    """Deploy to AWS, with PARAMETERS of the template as Name=value."""
    if odd := [parameter for parameter in parameters if "=" not in parameter]:
        raise click.ClickException(f"PARAMETERS: {odd[0]!r} is not Name=value")
    from infra.aws.deploy import deploy_to_aws, stack_on_aws

    given = dict(parameter.partition("=")[::2] for parameter in parameters)
    session = systems.aws_session()
    with words.working(f"Deploying {STACK_NAME!r} to {session.region_name}, some minutes …"):
        deploy_to_aws(session, STACK_NAME, given, model)
        stack = stack_on_aws(session, STACK_NAME)
    if as_json:
        print_json(stack_facts(stack))
    else:
        answers.print(f"Deployed. Drop images into s3://{stack.incoming_bucket}", soft_wrap=True)
    words.print(f"Ask with `{how('query', ON='aws')}`.")


@scones.command()
@as_json
def undeploy(as_json: bool) -> None:
    """Delete what `deploy` made on AWS, except the images and the results."""
    from infra.aws.undeploy import undeploy

    session = systems.aws_session()
    with words.working(f"Deleting {STACK_NAME!r} from {session.region_name}, some minutes …"):
        undeployed = undeploy(session, STACK_NAME)
    if as_json:
        print_json(asdict(undeployed))
    else:
        show_undeployed(answers, undeployed, session.region_name)
