"""Runs a command: what goes wrong for people is one sentence and an exit code."""

import sys
from typing import NoReturn

import click

from infra.cli.command_line import INTERRUPTED, Argument, Command, Option, is_under_make, scones
from infra.cli.commands import data, laptop, model, on_aws, operate, promote, sagemaker, shell
from infra.cli.terminal import end_quietly, errors
from ingest.errors import SconesError

__all__ = ["main", "run", "scones"]

COMMANDS = (laptop, data, operate, on_aws, promote, model, sagemaker, shell)
"""Modules that add their commands to the group as they are imported."""

_FOREIGN = {"botocore.exceptions": ("BotoCoreError", "ClientError")}
"""Modules of libraries that commands load when they need them → their errors that are for people."""


def main() -> None:
    """Run the command that was typed."""
    run(scones, "scones")


def run(command: click.Command, name: str) -> None:
    """Run a command; end the process with 1 if it fails, and with 130 if it is interrupted."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding than UTF-8 gets a `?` for what it cannot show.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    stdout = sys.stdout
    try:
        command(prog_name=name, standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", INTERRUPTED)
    except click.MissingParameter as error:
        _fail(_missing(error))
    except click.ClickException as error:
        _fail(error.format_message())
    except SystemExit:
        if (
            sys.stdout is not stdout
        ):  # click meets a broken pipe by taking the stream's place, and ends with 1
            end_quietly()
        raise
    except MemoryError:
        _fail("there is not enough memory: end other programs, or raise the limit (`ulimit -v`)")
    except Exception as error:
        if not _is_for_people(error):
            raise
        _fail(_in_words(error))


def _fail(said: str, exit_code: int = 1) -> NoReturn:
    errors.print("error:", style="bold red", end=" ")
    errors.print(said, highlight=False, soft_wrap=True)
    sys.exit(exit_code)


def _missing(error: click.MissingParameter) -> str:
    """Return how the command is typed with what is missing."""
    context, parameter = error.ctx, error.param
    if is_under_make() and context and isinstance(parameter, Option | Argument):
        typed = context.command.for_make() if isinstance(context.command, Command) else ""
        return f"{parameter.make_name} is missing: make {typed}"
    return error.format_message()


def _is_for_people(error: Exception) -> bool:
    """Tell whether an error's text says what to do; any other one is a bug, and shows where it came from."""
    foreign = tuple(
        getattr(sys.modules[module], name)
        for module, names in _FOREIGN.items()
        if module in sys.modules
        for name in names
    )
    return isinstance(error, (SconesError, OSError, *foreign))


def _in_words(error: Exception) -> str:
    """Return what an error says, an error of the operating system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
