"""The system on this machine: up, down, demo. And the console, of one on AWS too."""

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics.commands import how
from infra.cli import systems
from infra.cli.command_line import ATTENTION, FOLDER, as_json, model_in, on, option, scones
from infra.cli.terminal import answers, words
from infra.cli.words import print_json, shown, stack_facts
from infra.installation import stack_file, state_folder
from infra.stack import NotUp, Stack
from model.files import DEFAULT_MODEL
from workflow.classifier import IN_ENDPOINT, IN_LAMBDA

if TYPE_CHECKING:
    from infra.operations.in_flight import InFlight


@scones.command()
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of a model.")
@model_in
@option("--challenger", type=FOLDER, help="Folder of a model that sees the same images and decides nothing.")
@as_json
def up(model: Path, model_in: str | None, challenger: Path | None, as_json: bool) -> None:
    """Start the embedded AWS and the endpoint, and deploy to them.

    SCONES_HOME is the folder of the state, SCONES_PORT the port.
    """
    port = _port()
    from infra.laptop import local

    chosen = model_in or IN_ENDPOINT
    started = "the embedded AWS" if chosen == IN_LAMBDA else "the embedded AWS and the endpoint"
    with words.working(f"Starting {started}, and deploying the template …"):
        stack = local.up(
            state_folder() / "home",
            port,
            stack_file(),
            model=model,
            model_in=chosen,
            challenger=challenger,
        )
        resumed = _resumed(stack)
        console_url, why_not = _console_of(stack)
    if as_json:
        print_json(stack_facts(stack))
    else:
        answers.print(f"Up at {stack.endpoint_url}; {shown(stack_file())} says where everything is.")
        if console_url:
            answers.print(f"Watch it, and drop images, at {console_url}", highlight=False, soft_wrap=True)
    if stack.endpoint_name == local.CHALLENGER:
        words.print(
            f"{challenger} was promoted: it classifies the images, and {model} is the challenger. "
            f"`{how('promote')}` takes that back.",
            highlight=False,
            soft_wrap=True,
        )
    if why_not:
        words.print(f"Up without its console: {why_not}", highlight=False, soft_wrap=True)
    if resumed:
        words.print(f"Images without an outcome since it last stopped: {resumed:,}. They are classified now.")
    words.print(
        f"Drop images: {how('drop', FROM='folder')}, or with any S3 client: {shown(stack_file())} has the "
        "bucket, and the address and the credentials to use.",
        soft_wrap=True,
    )


@scones.command()
@on
def console(on: str | None) -> None:
    """Print the address of the page to watch, ask and decide in. It is for you alone: it has a token.

    On AWS, the page is there until Ctrl-C, and does what it does with your own rights.
    """
    stack = systems.current_stack(on)
    if on is None:
        from infra.laptop import local

        answers.print(local.start_console(stack), highlight=False, soft_wrap=True)
        return
    from infra.console.address import HOST, address
    from infra.console.serve import serve
    from model.serving.connections import listen

    token = secrets.token_urlsafe(32)
    with listen(HOST, 0) as sock:
        answers.print(address(sock.getsockname()[1], token), highlight=False, soft_wrap=True)
        serve(sock, stack, token, state_folder() / "console")


@scones.command()
def down() -> None:
    """Stop what `up` started; its state is kept.

    Waits up to a minute for images that are in flight. Ctrl-C stops at once. `up` classifies what is left.
    """
    from infra.laptop import local

    left = _wait_for_images()
    try:
        local.down(stack_file())
    except NotUp:
        answers.print("Nothing is up.")
        return
    if left:
        answers.print(f"Stopped with {left} in flight: `{how('up')}` classifies what has no outcome.")
    answers.print(f"Down. Its state is kept; `{how('up')}` brings it back.")


@scones.command()
@as_json
def demo(as_json: bool) -> None:
    """Run the main job once, on images that are drawn for it."""
    from infra.cli.demo import run, went_well

    summary = run(words, words if as_json else answers, state_folder() / "demo")
    print_json(summary)
    sys.exit(0 if went_well(summary) else ATTENTION)


def _console_of(stack: Stack) -> tuple[str | None, str | None]:
    """Have the console; return its address, or else why there is none."""
    from infra.laptop.local import CannotStart, start_console

    try:
        return start_console(stack), None
    except CannotStart as error:
        return None, str(error)


def _wait_for_images() -> "InFlight | None":
    """Wait until nothing is in flight; return what is left, if that is known."""
    from infra.laptop import local

    try:
        stack = local.current(stack_file())
    except NotUp:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    from infra.operations.in_flight import WAIT_S, in_flight, wait

    try:
        left = in_flight(stack)
        if not left:
            return None
        try:
            with words.working(f"{left} in flight: waiting up to {WAIT_S:.0f} s, Ctrl-C stops at once …"):
                return wait(stack)
        except KeyboardInterrupt:
            return in_flight(stack)
    except (BotoCoreError, ClientError):  # it does not answer, which may be why it is stopped
        return None


def _resumed(stack: Stack) -> int:
    """Start to classify what has no outcome; return the number of images."""
    from infra.operations.in_flight import resume

    systems.keep_temporary_files()
    return resume(stack)


def _port() -> int | None:
    """Return the port of SCONES_PORT, if it is set."""
    given = os.environ.get("SCONES_PORT")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 65_536):
        raise click.ClickException(f"SCONES_PORT is {given!r}: a port is a number from 1 to 65535")
    return int(given)
