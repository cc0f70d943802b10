"""The system on AWS: deploy, package, doctor, undeploy."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from analytics.commands import how
from infra.cli import systems
from infra.cli.command_line import (
    ATTENTION,
    FOLDER,
    argument,
    as_json,
    chosen_stack,
    model_in,
    option,
    parameters_in,
    scones,
    stack,
)
from infra.cli.terminal import answers, say, words
from infra.cli.words import (
    planned_facts,
    print_json,
    show_changes,
    show_checks,
    show_undeployed,
    shown,
    stack_facts,
)
from infra.installation import state_folder
from model.files import DEFAULT_MODEL

yes = option(
    "--yes", is_flag=True, help="Do not ask before the change. Without a terminal, nothing is asked."
)


def is_wanted(question: str, *, yes: bool) -> bool:
    """Ask whoever sits at the terminal."""
    if yes or not sys.stdin.isatty():
        return True
    return click.confirm(question, err=True)


@scones.command()
@argument("parameters", metavar="PARAMETERS", nargs=-1)
@option("--model", type=FOLDER, help="Folder of the model whose classes and thresholds the stack takes.")
@model_in
@option(
    "--challenger", type=FOLDER, help="Folder of the model that the endpoint ChallengerEndpointName serves."
)
@option(
    "--stage",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML file of a stage: stack, parameters, tags, role.",
)
@option("--plan", is_flag=True, help="Show what would change, and change nothing.")
@stack
@yes
@as_json
def deploy(
    parameters: tuple[str, ...],
    model: Path | None,
    model_in: str | None,
    challenger: Path | None,
    stage: Path | None,
    plan: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Deploy to AWS, with PARAMETERS of the template as Name=value.

    What is not given keeps its value. A new stack takes the default model's classes and thresholds.
    """
    given = {**parameters_in(parameters), **({"ModelIn": model_in} if model_in else {})}
    from infra.aws.changes import why_it_failed
    from infra.aws.deploy import (
        delete_left_over,
        ensure_deployable,
        left_over,
        plan_deployment,
        stack_on_aws,
    )
    from infra.aws.stage import NO_STAGE, Stage

    of_stage = Stage.read(stage) if stage else NO_STAGE
    ensure_deployable({**of_stage.parameters, **given}, model)
    name = chosen_stack(of_stage.stack)
    account = systems.aws_account(name)
    of_stage.check(account)
    if not plan and (left := left_over(account.session, name)):
        say(why_it_failed(account.session.client("cloudformation"), name))
        if not is_wanted(f"Delete what the failed creation of {name!r} left, to create it again?", yes=yes):
            words.print("Nothing has been changed.")
            return
        with words.working(f"Deleting what the failed creation of {name!r} left, some minutes …"):
            delete_left_over(account.session, left)
    with words.working("Packing the code, and asking CloudFormation what would change, some minutes …"):
        planned = plan_deployment(account, name, given, model, of_stage, challenger)
    show_changes(words, planned)
    if plan and as_json:
        print_json(planned_facts(planned))
    if plan or (planned.changes and not is_wanted("Change it?", yes=yes)):
        planned.discard()
        words.print("Nothing has been changed.")
        return
    with words.working(f"Deploying {name!r} to {account.region}, some minutes …"):
        planned.apply(say)
        deployed = stack_on_aws(account.session, name)
    if as_json:
        print_json(stack_facts(deployed))
    else:
        answers.print(f"Deployed. Drop images into s3://{deployed.incoming_bucket}", soft_wrap=True)
    words.print(f"Ask with `{how('query')}`.")


@scones.command()
@option(
    "--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of the model whose policy is the default."
)
@model_in
@option("--out", type=FOLDER, help="Folder to write to, which is emptied. Left out: build/aws.")
def package(model: Path, model_in: str | None, out: Path | None) -> None:
    """Write the template and all that it names, for the SAM CLI and other tools."""
    from infra.aws.deploy import model_inside, parameters_of_model
    from infra.aws.package import build_for_sam
    from workflow.policy import Policy

    # Who names another endpoint need not know that Scones' own container takes pixels.
    parameters = {
        **parameters_of_model(model),
        "EndpointContentType": "",
        **({"ModelIn": model_in} if model_in else {}),
    }
    inside = model_inside(parameters, model)
    file = Policy.from_mapping(parameters).classes_file()
    if file:
        parameters |= {"ClassNames": "", "ClassThresholds": ""}
    with words.working("Packing the code, a minute …"):
        template = build_for_sam(out or state_folder() / "aws", parameters, inside)
    answers.print(shown(template), highlight=False, soft_wrap=True)
    if file:
        beside = template.with_name(file[0])
        beside.write_bytes(file[1])
        words.print(
            f"The classes are too long for parameters: copy {shown(beside)} to a bucket of the account, and "
            f"deploy with ClassesFile=BUCKET/{beside.name}.",
            soft_wrap=True,
        )


@scones.command()
@stack
@as_json
def doctor(as_json: bool) -> None:
    """Look over the account and the stack: quotas, endpoint, drift. Exit code 3: something is wrong."""
    from infra.aws.doctor import State, examine

    name = chosen_stack()
    with words.working("Asking AWS …"):
        checks = list(examine(systems.aws_account(name), name))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        show_checks(answers, checks)
    sys.exit(ATTENTION if any(check.state is State.BAD for check in checks) else 0)


@scones.command()
@stack
@yes
@as_json
def undeploy(yes: bool, as_json: bool) -> None:
    """Delete what `deploy` made on AWS, except the images and the results."""
    from infra.aws.undeploy import undeploy

    name = chosen_stack()
    account = systems.aws_account(name)
    if not is_wanted(f"Delete the stack {name!r}?", yes=yes):
        words.print("Nothing has been changed.")
        return
    with words.working(f"Deleting {name!r} from {account.region}, some minutes …"):
        undeployed = undeploy(account.session, name)
    if as_json:
        print_json(asdict(undeployed))
    else:
        show_undeployed(answers, undeployed, account.region)
