"""The command line: its group, and options and arguments that `make` spells NAME=value.

The Makefile passes on what was typed to it in environment variables, SCONES_MAKE_NAME for each NAME, so that
neither make nor a shell interprets a value: docs/decisions/0074-one-command-line.md.
"""

import math
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import click

from analytics.commands import STACK_NAME
from infra.cli.terminal import words
from infra.stack import STACK_NAME_PATTERN
from ingest import class_names
from workflow.classifier import IN_ENDPOINT, IN_LAMBDA

ATTENTION = 3
"""Exit code of a command that did its work and found something that asks for attention."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_NOT_FOR_MAKE = ("completion",)
"""Commands that the Makefile has no target for."""

_UNDER_MAKE = "SCONES_MAKE"
_VALUE = "SCONES_MAKE_"
_TYPED = "SCONES_TYPED"
"""Names that were typed to make, apart by blanks."""
_GOALS = "SCONES_GOALS"
"""Targets that were typed to make."""

_SETTINGS = (
    "BIN",
    "HOME",
    "LANG",
    "ON",
    "READY",
    "SHELL",
    "STACK",
    "TERM",
    "TMPDIR",
    "TZ",
    "VENV",
    "VPATH",
    "no_proxy",
)
_SETTINGS_BEGIN = (
    *("MAKE", "PYTHON", "SCONES", "WITH_"),
    *("AWS_", "CUDA_", "HTTP", "http", "LC_", "NO_", "OMP_", "PIP_", "UV_", "XDG_"),
)
"""Variables of make, of the Makefile and of programs' environments, which every command may be given."""

_STACK = "scones.stack"
"""Key of the chosen stack's name in click's context."""

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def is_under_make(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether the Makefile runs this command."""
    return _UNDER_MAKE in environment


class Option(click.Option):
    """An option `--in-flight`, which make calls IN_FLIGHT."""

    def __init__(self, *declarations: Any, make: str | None = None, **attributes: Any) -> None:
        """Take click's declarations, and make's name where it is another."""
        super().__init__(*declarations, **attributes)
        longest = max(self.opts, key=len)
        self.make_name = make or longest.removeprefix("--").replace("-", "_").upper()

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the option as it was typed."""
        return f"'{self.make_name}'" if is_under_make() else super().get_error_hint(ctx)

    def typed(self, value: str) -> Iterator[str]:
        """Yield what would have been typed for make's NAME=value; an empty value is none."""
        if self.is_flag:
            if click.BOOL.convert(value or "no", self, None):
                yield self.opts[0]
        elif value:
            yield f"{max(self.opts, key=len)}={value}"


class Argument(click.Argument):
    """An argument, which make calls by its metavar."""

    def __init__(self, *declarations: Any, may_be_empty: bool = False, **attributes: Any) -> None:
        """Take click's declarations, and whether make's empty NAME= is a value: else it is missing."""
        super().__init__(*declarations, **attributes)
        self.may_be_empty = may_be_empty

    @property
    def make_name(self) -> str:
        """NAME in make's NAME=value."""
        return str(self.metavar)

    def make_metavar(self, ctx: click.Context) -> str:
        """Put an argument that may be left out into brackets, as click does for its own names."""
        return self.make_name if self.required else f"[{self.make_name}]"

    def typed(self, value: str) -> Iterator[str]:
        """Yield what would have been typed for make's NAME=value."""
        if self.nargs == -1:
            try:
                yield from shlex.split(value)
            except ValueError as error:
                raise click.BadParameter(f"{value!r}: {error}", param=self) from error
        elif value or self.may_be_empty:
            yield value


class Command(click.Command):
    """A command, with make's values where make runs it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what was typed, here or to make."""
        typed = []
        if is_under_make():
            _refuse_unknown(self, os.environ)
            typed = _typed_to_make(self, os.environ)
        return super().parse_args(ctx, [*args, *typed])

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters, and `--quiet`, which every command has."""
        *own, help_ = super().get_params(ctx)
        return [*own, _QUIET, help_]

    def for_make(self) -> str:
        """Return what to type to make: `drop FROM=… [OUT=…]`."""
        named = [each for each in self.params if isinstance(each, Option | Argument)]
        arguments = [f"{each.make_name}=…" for each in named if each.required]
        options = [f"[{each.make_name}=…]" for each in named if not each.required and not _is_rare(each)]
        return " ".join([str(self.name), *arguments, *options])


class Group(click.Group):
    """The group of all commands. Under make, its help has make's spelling."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands as they are typed here."""
        if not is_under_make():
            super().format_commands(ctx, formatter)
            return
        commands = [self.commands[name] for name in self.list_commands(ctx)]
        rows = [
            (f"make {each.for_make()}", each.get_short_help_str(200))
            for each in commands
            if isinstance(each, Command) and each.name not in _NOT_FOR_MAKE
        ]
        for typed, what in rows:
            formatter.write(f"  {typed}\n      {what}\n")


def _set_quiet(_: click.Context, __: click.Parameter, value: bool) -> None:
    words.quiet = value


_QUIET = Option(
    ["-q", "--quiet"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_set_quiet,
    help="Print the answer and errors alone: no progress, no hints.",
)


def _is_rare(parameter: Option | Argument) -> bool:
    return parameter.make_name in ("JSON", "ON", "QUIET", "STACK")


def _refuse_unknown(command: Command, environment: Mapping[str, str]) -> None:
    """Refuse a name that was typed to make and that the command does not have.

    With several targets, what another command has is fine. The environment's names are not looked at.
    """
    goals = environment.get(_GOALS, "").split()
    several = scones.commands.values() if len(goals) > 1 else ()
    known = {name for each in (command, *several) for name in _make_names(each)}
    for name in environment.get(_TYPED, "").split():
        if name in known or name in _SETTINGS or name.startswith(_SETTINGS_BEGIN):
            continue
        near = get_close_matches(name.upper(), sorted(known), 1)
        target = goals[0] if len(goals) == 1 else command.name
        hint = f"perhaps {near[0]}?" if near else f"make {command.for_make()}"
        raise click.ClickException(f"make {target} has no variable {name}: {hint}")


def _make_names(command: click.Command) -> list[str]:
    parameters = [*command.params, _QUIET]
    return [each.make_name for each in parameters if isinstance(each, Option | Argument)]


def _typed_to_make(command: click.Command, environment: Mapping[str, str]) -> list[str]:
    """Return the arguments that make's NAME=value stand for."""
    options: list[str] = []
    arguments: list[str] = []
    for each in [*command.params, _QUIET]:
        if isinstance(each, Option | Argument) and (name := f"{_VALUE}{each.make_name}") in environment:
            (options if isinstance(each, Option) else arguments).extend(each.typed(environment[name]))
    return [*options, *(["--", *arguments] if arguments else [])]


option = partial(click.option, cls=Option)
argument = partial(click.argument, cls=Argument)


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a number."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number.", param, ctx)
        return super().convert(number, param, ctx)


class Number(click.FloatRange):
    """A number within bounds. NaN is within all of them for click, and infinity within some."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


FOLDER = click.Path(file_okay=False, path_type=Path)
"""Type of an option that names a folder, which need not be there."""


class ClassNames(click.ParamType[list[str]]):
    """Names of classes, separated by commas, or `@FILE` with one on each line."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """Read names."""
        try:
            return value if isinstance(value, list) else class_names_in(value)
        except click.ClickException as error:
            self.fail(error.message, param, ctx)


def class_names_in(typed: str) -> list[str]:
    """Return the names of classes that were typed, or that the file of `@FILE` has, one on each line.

    Raises:
        click.ClickException: the file cannot be read, or a quotation mark is out of place.
    """
    try:
        if not typed.startswith("@"):
            return class_names.split(typed)
        lines = Path(typed[1:]).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise click.ClickException(f"{typed[1:]}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{typed[1:]} is not UTF-8 text") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return [line.strip() for line in lines if line.strip()]


model_in: Decorator = option(
    "--model-in",
    type=click.Choice([IN_ENDPOINT, IN_LAMBDA]),
    help="Lambda: without an endpoint, the Lambdas have the model themselves.",
)

as_json: Decorator = option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


class StackName(click.ParamType[str]):
    """The name of a stack."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a name."""
        if not re.fullmatch(STACK_NAME_PATTERN, value):
            self.fail(f"{value!r}: lower-case letters, digits and hyphens, a letter first", param, ctx)
        return str(value)


def _choose_stack(context: click.Context, _: click.Parameter, name: str) -> None:
    context.meta[_STACK] = name


stack: Decorator = option(
    "--stack",
    type=StackName(),
    default=STACK_NAME,
    show_default=True,
    envvar="SCONES_STACK",
    expose_value=False,
    callback=_choose_stack,
    help="Name of the stack on AWS: one for each stage or team.",
)


def chosen_stack(of_stage: str | None = None) -> str:
    """Return the name of the stack on AWS that the command is about: the stage's, if it names one.

    Raises:
        click.ClickException: another one was chosen than the stage's.
    """
    context = click.get_current_context(silent=True)
    chosen = str(context.meta.get(_STACK, STACK_NAME)) if context else STACK_NAME
    if of_stage is None:
        return chosen
    if (
        context
        and chosen != of_stage
        and context.get_parameter_source("stack") is not click.core.ParameterSource.DEFAULT
    ):
        raise click.ClickException(
            f"the stage's stack is {of_stage!r}, and {chosen!r} was chosen: leave one out"
        )
    return of_stage


def parameters_in(typed: Sequence[str]) -> dict[str, str]:
    """Return the template's parameters that were typed as Name=value, or as ClassNames=@FILE.

    Raises:
        click.ClickException: one is not, or the file of classes cannot be read.
    """
    if odd := [each for each in typed if "=" not in each]:
        raise click.ClickException(f"PARAMETERS: {odd[0]!r} is not Name=value")
    found = dict(each.partition("=")[::2] for each in typed)
    if found.get("ClassNames"):
        found["ClassNames"] = class_names.join(class_names_in(found["ClassNames"]))
    return found


def on(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose a system: `--on aws`, and `--stack` there."""
    return _on(stack(command))


_on: Decorator = option(
    "--on",
    type=click.Choice(["aws"]),
    envvar="SCONES_ON",
    help="aws: the system on AWS. Left out: the one on this machine.",
)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.option("--version", is_flag=True, help="Print the version and exit.")
@click.pass_context
def scones(context: click.Context, version: bool) -> None:
    """Classify images on AWS, or on this machine."""
    if version:
        from infra.installation import version as installed_version

        click.echo(f"scones {installed_version()}")
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        return
    context.exit()
