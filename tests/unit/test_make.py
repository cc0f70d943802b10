"""The Makefile hands every command on, with what was typed byte for byte, and executes none of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.command_line import Argument, Command, Option, _refuse_unknown, _typed_to_make
from infra.cli.main import scones
from infra.installation import PROJECT
from tests.bench.__main__ import main as bench
from tests.torture.__main__ import main as torture

MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
COMMANDS = sorted(scones.commands.keys() - {"completion"})
PRINTS = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


def named(command: click.Command) -> list[Option | Argument]:
    return [each for each in command.params if isinstance(each, Option | Argument)]


VARIABLES = sorted({each.make_name for name in COMMANDS for each in named(scones.commands[name])})


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what makes make believe that its environments are there."""
    folder = tmp_path_factory.mktemp("environment")
    (folder / ".ready").touch()
    return [f"READY={folder}/.ready", f"WITH_TORCH={folder}", f"WITH_SAGEMAKER={folder}"]


Made = Callable[..., tuple[list[str], dict[str, str]]]


@pytest.fixture
def made(ready: list[str]) -> Made:
    """Return what gives the arguments and the environment that make gives to the command that it runs."""

    def made(*arguments: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        done = subprocess.run(
            ["make", "-s", *ready, f"SCONES='{sys.executable}' -c '{PRINTS}'", *arguments],
            cwd=PROJECT,
            env={**os.environ, **environment},
            capture_output=True,
            check=True,
        )
        typed, seen = json.loads(done.stdout)
        return typed, seen

    return made


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_a_target_of_its_name(made: Made, command: str) -> None:
    typed, environment = made(command)
    assert typed == [command]
    assert environment["SCONES_MAKE"] == "1"


def hostile(folder: Path) -> dict[str, str]:
    touched = folder / "executed"
    return {
        "make's shell": f"$(shell touch {touched})",
        "a shell's command": f"$(touch {touched})",
        "back-quotes": f"`touch {touched}`",
        "separators": f"; touch {touched} & touch {touched} | x",
        "an end of quotes": f"'; touch {touched}; '\"; touch {touched}; \"",
        "a line": f"first\ntouch {touched}\n",
        "dollars": "a$$b $@ ${HOME} $HOME \\$x $",
        "a comment": "#a # b",
        "back-slashes": "a\\b\\",
        "an option": "--help",
        "an assignment": ":=a=b",
        "a pattern": "%.png * ? [a]",
        "blanks": "a  b\t ",
        "other letters": "ünï %20 写真",
    }


KINDS = list(hostile(Path("/")))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_typed_arrives_as_it_is_and_nothing_of_it_is_executed(
    made: Made, kind: str, tmp_path: Path
) -> None:
    value = hostile(tmp_path)[kind]
    typed, environment = made("drop", *(f"{name}={value}" for name in VARIABLES))
    assert typed == ["drop"]
    assert {name: environment[f"SCONES_MAKE_{name}"] for name in VARIABLES} == dict.fromkeys(VARIABLES, value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_environment_says_arrives_so_too(made: Made, kind: str, tmp_path: Path) -> None:
    value = hostile(tmp_path)[kind]
    _, environment = made("drop", FROM=value, PREFIX=f" {value}")
    assert environment["SCONES_MAKE_FROM"] == value
    assert environment["SCONES_MAKE_PREFIX"] == f" {value}"
    assert list(tmp_path.iterdir()) == []


def test_cleaning_ends_the_system_whose_state_it_deletes_whatever_home_is_set(tmp_path: Path) -> None:
    for folder in ("build", ".venv", "elsewhere"):
        (tmp_path / folder).mkdir()
    (tmp_path / "build" / "stack.json").touch()
    (tmp_path / ".venv" / ".ready").touch()
    scones = f"SCONES='{sys.executable}' -c '{PRINTS}'"
    done = subprocess.run(
        ["make", "-s", "-f", PROJECT / "Makefile", "VENV=elsewhere", scones, "clean"],
        cwd=tmp_path,
        env={**os.environ, "SCONES_HOME": str(tmp_path / "elsewhere")},
        capture_output=True,
        check=True,
    )
    typed, seen = json.loads(done.stdout)
    assert (typed, seen["SCONES_HOME"]) == (["down"], "")
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_a_name_in_the_environment_alone_is_not_a_saved_query(made: Made) -> None:
    """Windows' Linux sets NAME to the machine's name."""
    _, environment = made("query", NAME="my-laptop")
    assert "SCONES_MAKE_NAME" not in environment


@pytest.mark.parametrize("target", ["help", "drop"])
def test_a_variable_that_no_command_has_is_not_executed_either(
    made: Made, target: str, tmp_path: Path
) -> None:
    if target == "drop":
        made("drop", f"OTHER=$(shell touch {tmp_path / 'executed'})")
    else:
        command = ["make", "-s", target, f"OTHER=$(shell touch {tmp_path / 'executed'})"]
        subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    assert list(tmp_path.iterdir()) == []


def texts(command: click.Command) -> list[Option | Argument]:
    return [each for each in named(command) if each.type is click.STRING and each.nargs == 1]


@given(value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
@pytest.mark.parametrize("name", ["query", "backfill", "label", "audit", "import-capture"])
def test_a_command_takes_what_was_typed_to_make_as_it_is(name: str, value: str) -> None:
    command = scones.commands[name]
    environment = {f"SCONES_MAKE_{each.make_name}": value for each in texts(command)}
    arguments = _typed_to_make(command, environment)
    with command.make_context(name, arguments) as context:
        assert {context.params[str(each.name)] for each in texts(command)} == {value}


@pytest.mark.parametrize(
    ("typed", "is_applied"), [("1", True), ("yes", True), ("", False), ("0", False), ("no", False)]
)
def test_a_flag_is_set_by_any_yes(typed: str, is_applied: bool) -> None:
    arguments = _typed_to_make(scones.commands["redrive"], {"SCONES_MAKE_APPLY": typed})
    assert arguments == (["--apply"] if is_applied else [])


def test_an_empty_prefix_that_was_typed_means_all() -> None:
    command = scones.commands["backfill"]
    with command.make_context("backfill", _typed_to_make(command, {"SCONES_MAKE_PREFIX": ""})) as context:
        assert context.params["prefix"] == ""
    with pytest.raises(click.MissingParameter):
        command.make_context("backfill", _typed_to_make(command, {}))


@pytest.mark.parametrize("name", ["drop", "label", "import-capture"])
def test_any_other_value_that_is_empty_is_missing(name: str) -> None:
    command = scones.commands[name]
    with pytest.raises(click.MissingParameter):
        command.make_context(name, _typed_to_make(command, {"SCONES_MAKE_FROM": ""}))


def test_parameters_of_a_deployment_are_words() -> None:
    typed = {"SCONES_MAKE_PARAMETERS": "EndpointName=a 'ClassNames=b c,\"d, e\"' X=$(id)"}
    arguments = _typed_to_make(scones.commands["deploy"], typed)
    assert arguments == ["--", "EndpointName=a", 'ClassNames=b c,"d, e"', "X=$(id)"]


@pytest.mark.parametrize("command", [torture, bench])
def test_the_proofs_take_what_was_typed_to_make(command: Command) -> None:
    assert _typed_to_make(command, {"SCONES_MAKE_IMAGES": "40"}) == ["--images=40"]


def test_setting_up_executes_nothing_of_a_folder_s_name_and_deletes_no_environment_but_its_own(
    tmp_path: Path,
) -> None:
    folder = tmp_path / '$(touch owned) `touch owned` it\'s "mine"'
    (folder / "theirs").mkdir(parents=True)
    (folder / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    (folder / "requirements.lock").touch()
    (folder / "scones.py").write_text("import sys; print(sys.argv[1:])", encoding="utf-8")
    python = tmp_path / "python"  # without an environment and packages, which take a minute
    python.write_text(
        f"""#!/bin/sh
        case "$*" in
          "-m venv .venv") mkdir -p .venv/bin && cp "{python}" .venv/bin ;;
          "-m pip "*) ;;
          *) exec "{sys.executable}" "$@" ;;
        esac
        """,
        encoding="utf-8",
    )
    python.chmod(0o755)
    run = {"cwd": folder, "check": True, "capture_output": True, "text": True, "encoding": "utf-8"}
    subprocess.run(["make", f"PYTHON={python}", "VENV=theirs", "setup"], **run)  # type: ignore[call-overload]
    done = subprocess.run([".venv/bin/scones", "a b"], **run)  # type: ignore[call-overload]
    assert done.stdout == "['a b']\n"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [".venv", "Makefile", "requirements.lock", "scones.py", "theirs"]
    )


@pytest.mark.parametrize("code", [1, 3, 130])
def test_make_fails_when_its_command_does_and_names_the_exit_code(ready: list[str], code: int) -> None:
    done = subprocess.run(
        ["make", *ready, f"SCONES=exit {code};", "report"],
        cwd=PROJECT,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 2
    assert re.search(rf"\[.*report\] Error {code}\n", done.stderr)


def test_no_recipe_has_a_value_of_a_user() -> None:
    recipes = "".join(line for line in MAKEFILE.splitlines(keepends=True) if line.startswith("\t"))
    assert [name for name in VARIABLES if f"$({name})" in recipes or f"${{{name}}}" in recipes] == []


def refused(command: click.Command, typed: str, goals: str) -> str:
    assert isinstance(command, Command)
    with pytest.raises(click.ClickException) as error:
        _refuse_unknown(command, {"SCONES_TYPED": typed, "SCONES_GOALS": goals})
    return error.value.message


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("up", "MODLE", "make up has no variable MODLE: perhaps MODEL?"),
        ("report", "OUT WEKE", "make report has no variable WEKE: perhaps WEEK?"),
        ("report", "week", "make report has no variable week: perhaps WEEK?"),
        ("down", "MODEL", "make down has no variable MODEL: make down"),
    ],
)
def test_a_name_that_the_command_does_not_have_is_refused(name: str, typed: str, said: str) -> None:
    assert refused(scones.commands[name], typed, name) == said


def test_a_name_that_only_another_target_has_is_fine_but_a_mistyped_one_is_not() -> None:
    up = scones.commands["up"]
    assert isinstance(up, Command)
    _refuse_unknown(up, {"SCONES_TYPED": "FROM", "SCONES_GOALS": "up drop"})
    assert refused(up, "FRMO", "up drop") == "make up has no variable FRMO: perhaps FROM?"


def test_make_says_which_names_were_typed_to_it(made: Made) -> None:
    _, environment = made("report", "WEKE=2026-W40", FROM="a folder")
    assert "WEKE" in environment["SCONES_TYPED"].split()
    assert "FROM" not in environment["SCONES_TYPED"].split()
    assert environment["SCONES_GOALS"] == "report"


def test_settings_of_make_and_of_the_environment_are_no_mistakes(made: Made) -> None:
    down = scones.commands["down"]
    assert isinstance(down, Command)
    settings = ("PYTHON=python3", "SCONES_HOME=/x", "SCONES_PORT=1", "ON=aws", "AWS_PROFILE=a", "QUIET=1")
    _, environment = made("down", *settings, "SHELL=/bin/sh", "MAKEFLAGS=k")
    _refuse_unknown(down, environment)
