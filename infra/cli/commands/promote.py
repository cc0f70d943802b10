"""The challenger takes the place of the model in use: promote."""

from dataclasses import replace
from datetime import UTC, datetime

import click

from analytics.commands import STACK_NAME, how
from infra.cli import systems
from infra.cli.command_line import as_json, chosen_stack, on, scones
from infra.cli.commands.on_aws import is_wanted, yes
from infra.cli.terminal import answers, words
from infra.cli.words import print_json, show_resources
from infra.installation import stack_file
from infra.stack import Stack, parameters_of


@scones.command()
@on
@yes
@as_json
def promote(on: str | None, yes: bool, as_json: bool) -> None:
    """Give the images to the challenger. The model in use becomes the challenger: the way back is the same.

    Endpoint and policy change together, in one update of the stack.
    """
    from infra.aws.deploy import described
    from infra.aws.promote import challenger_of, promotion, seen

    here: Stack | None = None
    if on == "aws":
        name = chosen_stack()
        session = systems.aws_account(name).session
        client, stack = session.client, described(session, name)
        challenger = challenger_of(stack)
        endpoint = seen(session.client("sagemaker"), challenger) if challenger else {}
    else:
        name, here, endpoint = STACK_NAME, systems.current_stack(None), {}
        client = here.client
        (stack,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    change = promotion(client, stack, endpoint, datetime.now(UTC))
    if change is None:
        raise click.ClickException("the challenger has all that the model in use has: nothing would change")
    words.print(
        f"{challenger_of(stack)!r} will classify the images, with its own classes and thresholds, and "
        f"{parameters_of(stack)['EndpointName']!r} will be the challenger:",
        highlight=False,
        soft_wrap=True,
    )
    show_resources(words, change)
    if not is_wanted("Change it?", yes=yes):
        change.discard()
        words.print("Nothing has been changed.")
        return
    with words.working(f"Changing {name!r} …"):
        change.execute()
    (changed,) = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    present = parameters_of(changed)
    in_use, challenger = present["EndpointName"], present["ChallengerEndpointName"]
    if here:
        replace(here, endpoint_name=in_use, model_endpoint_url=present["ModelEndpointUrl"]).save(stack_file())
    if as_json:
        print_json({"endpoint": in_use, "challenger": challenger})
    else:
        answers.print(f"{in_use} classifies the images now; {challenger} is the challenger.", highlight=False)
    words.print(
        f"`{how('promote')}` takes it back. Images that came during the change may have failed: "
        f"`{how('redrive')}` shows them.",
        soft_wrap=True,
    )
