"""analytics.commands: what people are told to type is taken, and is about the right system."""

import shlex

import pytest

from analytics import commands
from analytics.commands import ABOUT_A_STACK, ABOUT_A_SYSTEM, how, name_stack_on_aws
from infra.cli.main import scones


def with_option(option: str) -> set[str]:
    found = scones.commands.items()
    return {name for name, each in found if any(option in parameter.opts for parameter in each.params)}


def test_the_commands_that_name_a_system_are_those_with_its_options() -> None:
    assert with_option("--on") == ABOUT_A_SYSTEM
    assert with_option("--stack") == ABOUT_A_STACK


@pytest.mark.parametrize("is_checkout", [True, False])
def test_without_a_stack_on_aws_commands_are_about_this_machine(
    monkeypatch: pytest.MonkeyPatch, is_checkout: bool
) -> None:
    monkeypatch.setattr(commands, "is_checkout", lambda: is_checkout)
    assert how("redrive", APPLY="") == ("make redrive APPLY=1" if is_checkout else "scones redrive --apply")


@pytest.mark.parametrize(
    ("stack", "command", "made", "typed"),
    [
        ("scones", "redrive", "make redrive ON=aws", "scones redrive --on aws"),
        ("team", "audit", "make audit ON=aws STACK=team", "scones audit --on aws --stack team"),
        ("team", "deploy", "make deploy STACK=team", "scones deploy --stack team"),
        ("team", "up", "make up", "scones up"),
    ],
)
def test_what_is_told_about_a_stack_on_aws_acts_there(
    monkeypatch: pytest.MonkeyPatch, stack: str, command: str, made: str, typed: str
) -> None:
    name_stack_on_aws(stack)
    assert how(command) == made
    monkeypatch.setattr(commands, "is_checkout", lambda: False)
    assert how(command) == typed
    scones.commands[command].make_context(command, shlex.split(typed)[2:])
