"""infra.cli.main: what is asked for wrongly is refused before anything is done, in one sentence."""

import io
import json
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import click
import pandas as pd
import pytest
from click.testing import CliRunner

import scones as launcher
from analytics.reconciliation import IN_FLIGHT
from infra.aws.account import Account
from infra.aws.changes import Change
from infra.cli import systems
from infra.cli.main import main, scones
from infra.cli.terminal import WIDEST, Terminal
from infra.installation import PROJECT
from infra.stack import NotUp
from tests.console import A_STACK


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, str(PROJECT / "scones.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def said_by(monkeypatch, capsys, *arguments) -> str:
    """Return what a command that fails says, which is one line on standard error."""
    monkeypatch.setattr("sys.argv", ["scones", *map(str, arguments)])
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: SimpleNamespace(client=lambda _: None))
    with pytest.raises(SystemExit, match="1"):
        main()
    said: list[str] = capsys.readouterr().err.splitlines()
    (line,) = said
    return line


def test_too_little_memory_is_one_sentence(monkeypatch, capsys) -> None:
    def take(_: str | None) -> None:
        raise MemoryError

    monkeypatch.setattr("infra.cli.systems.current_stack", take)
    monkeypatch.setattr("sys.argv", ["scones", "audit"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err.startswith("error: there is not enough memory")


@pytest.mark.parametrize("on", ["AWS", "laptop"])
def test_another_system_than_aws_is_refused(monkeypatch, on) -> None:
    monkeypatch.setenv("SCONES_ON", on)
    result = CliRunner().invoke(scones, ["query", "SELECT 1"])
    assert result.exit_code == 2
    assert f"'{on}' is not 'aws'" in result.output


def test_a_week_is_not_compared_with_itself() -> None:
    result = CliRunner().invoke(scones, ["report", "--week", "2026-W47", "--compare", "2026-W47"])
    assert result.exit_code == 1
    assert "2026-W47 cannot be compared with itself" in result.output


WRONG = [
    (["review", "--sample", "x"], "Invalid value for {--sample}: 'x' is not a whole number."),
    (["query", "SELECT 1", "--limit", "1.5"], "Invalid value for {--limit}: '1.5' is not a whole number."),
    (["query", "SELECT 1", "--limit", "-1"], "Invalid value for {--limit}: -1 is not in the range x>=0."),
    (["train", "--seed", "-1"], "Invalid value for {--seed}: -1 is not in the range x>=0."),
    (["audit", "--in-flight", "soon"], "Invalid value for {--in-flight}: 'soon'"),
    (["report", "--out", "Makefile"], "Invalid value for {--out}: Directory 'Makefile' is a file."),
    (["report", "--week", "next"], "'next' is not a week."),
    (["review", "--since", "monday"], "Invalid value for {--since}: 'monday': a date is like 2026-11-16"),
    (["drop", "no-folder"], "Invalid value for 'FROM': Directory 'no-folder' does not exist."),
    (["query", "SELECT 1", "--week", "2026-W47"], 'say make query SQL="SELECT …", or make query NAME=…'),
    (["deploy", "EndpointName"], "PARAMETERS: 'EndpointName' is not Name=value"),
    (["query", "SELECT 1", "--out", "answer.xls"], "answer.xls: a file is .csv, .json or .parquet"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_what_is_wrong_is_named_as_it_was_typed(monkeypatch, capsys, arguments, said) -> None:
    monkeypatch.chdir(PROJECT)
    option = re.sub(r"\{(.*?)\}", r"'\1'", said)
    assert said_by(monkeypatch, capsys, *arguments).startswith(f"error: {option}")


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_what_is_wrong_is_named_as_it_was_typed_to_make(monkeypatch, capsys, arguments, said) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("SCONES_MAKE", "1")
    name = re.sub(r"\{--(.*?)\}", lambda match: f"'{match[1].upper().replace('-', '_')}'", said)
    assert said_by(monkeypatch, capsys, *arguments).startswith(f"error: {name}")


def test_what_is_missing_is_named(monkeypatch, capsys) -> None:
    assert said_by(monkeypatch, capsys, "drop") == "error: Missing argument 'FROM'."
    monkeypatch.setenv("SCONES_MAKE", "1")
    assert said_by(monkeypatch, capsys, "drop") == "error: FROM is missing: make drop FROM=… [PATIENCE=…]"


def test_a_file_that_is_not_there_is_said_in_words(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr("infra.operations.answers.engine", lambda _: nullcontext())
    line = said_by(monkeypatch, capsys, "label", tmp_path / "none.jsonl")
    assert line == f"error: {tmp_path / 'none.jsonl'}: No such file or directory"


@pytest.mark.parametrize("command", [["label", "~no-such-user/a.jsonl"], ["down"]])
def test_a_home_folder_of_nobody_is_one_sentence(monkeypatch, capsys, command) -> None:
    monkeypatch.setattr("infra.operations.answers.engine", lambda _: nullcontext())
    monkeypatch.setenv("SCONES_HOME", "~no-such-user/x")
    line = said_by(monkeypatch, capsys, *command)
    assert re.fullmatch(r"error: ~no-such-user\S*: there is no such home folder", line)


@pytest.mark.parametrize("command", ["up", "deploy"])
def test_a_folder_without_a_model_is_refused(monkeypatch, capsys, tmp_path, command) -> None:
    monkeypatch.setattr("infra.cli.systems.aws_session", lambda: SimpleNamespace(region_name="eu-central-1"))
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["scones", command, "-q", "--model", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path}" in line
    assert "card.json" in line


def test_down_is_done_when_nothing_is_up(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["scones", "down"])
    main()
    assert capsys.readouterr().out == "Nothing is up.\n"


@pytest.mark.parametrize("port", ["99999", "0", "-1", "http", "²"])
def test_a_port_that_is_none_is_one_sentence(monkeypatch, capsys, tmp_path, port) -> None:
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    monkeypatch.setenv("SCONES_PORT", port)
    line = said_by(monkeypatch, capsys, "up")
    assert line == f"error: SCONES_PORT is {port!r}: a port is a number from 1 to 65535"


@pytest.mark.parametrize("command", [["up", "-q"], ["query", "SELECT 1"], ["down"]])
def test_a_home_that_is_a_file_is_one_sentence(tmp_path, command) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run(*command, SCONES_HOME=str(tmp_path / "file"))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert str(tmp_path / "file") in line
    assert "Not a directory" in line


def test_a_command_runs_from_any_folder(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scones.py"), "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert re.fullmatch(r"scones \d+\.\d+\.\d+\n", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_may_write_what_a_command_makes(monkeypatch, tmp_path) -> None:
    made = tmp_path / "made"
    monkeypatch.setattr("infra.cli.main.main", made.mkdir)
    before = os.umask(0)
    try:
        launcher.main()
        assert made.stat().st_mode & 0o777 == 0o755
    finally:
        os.umask(before)


@pytest.mark.parametrize("size", ["0", "", "-1", "wide"])
def test_a_terminal_of_no_size_gets_answers(monkeypatch, size) -> None:
    """As in jobs of an editor or a container. A command printed nothing, and ended with 0."""
    widths = []
    monkeypatch.setenv("COLUMNS", size)
    monkeypatch.setenv("LINES", size)
    monkeypatch.setattr("infra.cli.main.main", lambda: widths.append(Terminal(file=io.StringIO()).width))
    launcher.main()
    assert widths == [WIDEST]
    assert "LINES" not in os.environ


def test_words_that_a_terminal_cannot_show_do_not_stop_a_command() -> None:
    done = run("query", PYTHONUTF8="0", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell) -> None:
    result = CliRunner().invoke(scones, ["completion", shell])
    assert result.exit_code == 0
    assert "_SCONES_COMPLETE" in result.stdout


def test_the_answer_alone_is_on_standard_output(monkeypatch) -> None:
    result = CliRunner().invoke(scones, ["query", "--json"])
    assert {each["name"] for each in json.loads(result.stdout)} >= {"review_queue"}
    assert result.stderr == ""


@pytest.mark.parametrize("typed", ["nan", "inf", "1e400", "1e300"])
def test_no_option_takes_a_number_that_nothing_can_be_done_with(typed) -> None:
    """NaN passed every bound: commands ended with a traceback, or, as patience, never gave up."""
    numbers = [
        each
        for command in scones.commands.values()
        for each in command.params
        if each.type.name.startswith("float")
    ]
    assert len(numbers) > 10
    for each in numbers:
        with pytest.raises(click.BadParameter):
            each.type.convert(typed, each, None)


def test_every_command_that_answers_takes_json() -> None:
    without = {
        name
        for name, command in scones.commands.items()
        if "as_json" not in {parameter.name for parameter in command.params}
    }
    assert without == {
        "completion",
        "console",  # an address
        "down",
        "endpoint",  # its plan is JSON, and its deployment one name
        "endpoint-calibrate",
        "endpoint-delete",
        "endpoint-rollback",
        "endpoint-train",
        "package",  # its answer is the path of a template
    }


def test_every_command_can_be_quiet() -> None:
    for name in scones.commands:
        assert "--quiet" in CliRunner().invoke(scones, [name, "--help"]).output


def test_help_shows_an_argument_that_may_be_left_out_in_brackets() -> None:
    assert "scones query [OPTIONS] [SQL]\n" in CliRunner().invoke(scones, ["query", "--help"]).output
    assert "scones drop [OPTIONS] FROM\n" in CliRunner().invoke(scones, ["drop", "--help"]).output


def test_quiet_leaves_the_answer_and_errors(monkeypatch) -> None:
    def engine(stack):
        answer = SimpleNamespace(frame=pd.DataFrame({"n": [1]}), scanned_bytes=1)
        return nullcontext(SimpleNamespace(query=lambda sql: answer))

    stack = SimpleNamespace(endpoint_url=None)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setattr("infra.operations.answers.engine", engine)
    loud = CliRunner().invoke(scones, ["query", "SELECT 1 AS n", "--format", "csv"])
    quiet = CliRunner().invoke(scones, ["query", "SELECT 1 AS n", "--format", "csv", "--quiet"])
    assert loud.stdout == quiet.stdout == "n\n1\n"
    assert "Athena scanned" in loud.stderr
    assert quiet.stderr == ""


def interrupted(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import scones\n{code}\nscones.main()", "query"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import sys, types\n"
        "class Early(types.ModuleType):\n"
        "    def __getattr__(self, name): raise KeyboardInterrupt\n"
        "sys.modules['infra.cli.main'] = Early('infra.cli.main')",
        "import infra.cli.tables\n"
        "def late(*_): raise KeyboardInterrupt\n"
        "infra.cli.tables.show_saved_queries = late",
    ],
    ids=["while it imports", "while it works"],
)
def test_an_interrupt_is_one_sentence_and_exit_code_130(code) -> None:
    done = interrupted(code)
    assert done.returncode == 130
    assert done.stderr.strip() == "error: interrupted"


PRINTS_THE_ENCODING_OF_PATHS = (
    "import sys, types, scones\n"
    "class Main(types.ModuleType):\n"
    "    main = staticmethod(lambda: print(sys.getfilesystemencoding(), sys.stdout.encoding, sys.argv[1]))\n"
    "sys.modules['infra.cli.main'] = Main('infra.cli.main')\n"
    "scones.main()"
)


@pytest.mark.skipif(sys.platform == "darwin", reason="paths are UTF-8 there in any case")
def test_paths_are_utf_8_whatever_the_locale_is() -> None:
    """A home is found by the command lines of its processes, which are UTF-8."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTS_THE_ENCODING_OF_PATHS, "caf\u00e9".encode()],
        cwd=PROJECT,
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.casefold().split() == ["utf-8", "ascii", "caf?"]


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_is_closed_is_no_failure(closed, tmp_path) -> None:
    """As of a job of a scheduler. The stream's number must not be that of a file that is written."""
    code = (
        "import os, sys, scones\n"
        "scones.open_streams()\n"
        "print('answer', flush=True), print('words', file=sys.stderr)\n"
        "assert [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)] == [0, 1, 2]\n"
        "assert os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY) > 2\n"
    )
    shell = f'exec "$0" -c "$1" "$2" {closed}>&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, code, tmp_path / "file"], cwd=PROJECT, capture_output=True
    )
    assert done.returncode == 0
    assert done.stdout == (b"" if closed == 1 else b"answer\n")


def test_colours_are_left_out_where_that_is_asked_for() -> None:
    code = "from infra.cli.terminal import errors; errors.print('x', style='bold red')"
    for environment, is_coloured in (({"NO_COLOR": "1"}, False), ({}, True)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm", **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        assert ("31m" in done.stderr) is is_coloured


def test_a_stack_is_found_where_the_home_is(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    A_STACK.save(tmp_path / "stack.json")
    result = CliRunner().invoke(scones, ["audit"])
    assert "it was up, but its processes are gone" in str(result.exception)


@pytest.mark.parametrize("arguments", [("--week", "2099-W01"), ("--compare", "2099-W01")])
def test_a_report_on_a_week_that_has_not_begun_is_refused(monkeypatch, capsys, arguments) -> None:
    line = said_by(monkeypatch, capsys, "report", *arguments)
    assert line.startswith("error: 2099-W01 has not begun: this week is 20")


@pytest.mark.parametrize(
    "prints",
    [
        "from infra.cli.terminal import answers; answers.print('line')",
        "import click; click.echo('line')",
        "from infra.cli.words import print_json; print_json({'a': 1})",
    ],
)
def test_a_reader_that_has_seen_enough_is_no_failure(prints) -> None:
    code = (
        "import click\n"
        "from infra.cli.main import run\n"
        "@click.command()\n"
        "def query():\n"
        "    for _ in range(10_000):\n"
        f"        {prints}\n"
        "run(query, 'query')\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
    ],
)
def test_the_region_is_the_one_that_is_exported(monkeypatch, environment, region) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
    assert systems.aws_session().region_name == region


def test_without_credentials_the_session_says_what_to_choose(monkeypatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(NotUp, match="no AWS credentials are set: choose a profile with AWS_PROFILE"):
        systems.aws_session()


def test_a_sign_in_that_is_over_is_said_with_what_to_do(monkeypatch, tmp_path) -> None:
    """Without it, the first request would end in botocore's words."""
    config = tmp_path / "config"
    config.write_text(
        "[profile sso]\nregion = eu-west-1\nsso_session = one\n"
        "sso_account_id = 123456789012\nsso_role_name = one\n"
        "[sso-session one]\nsso_start_url = https://example.com\nsso_region = us-east-1\n",
        encoding="utf-8",
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "sso")
    with pytest.raises(NotUp, match=r"does not exist\. Sign in with `aws sso login`"):
        systems.aws_session()


def test_up_names_no_command_that_would_ask_the_real_aws(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    monkeypatch.delenv("SCONES_PORT", raising=False)
    monkeypatch.setattr("infra.laptop.local.up", lambda *_, **__: A_STACK)
    monkeypatch.setattr("infra.operations.in_flight.resume", lambda _: 1_234)
    result = CliRunner().invoke(scones, ["up"])
    assert result.exit_code == 0
    assert "s3://" not in result.output
    assert f"{tmp_path / 'stack.json'} has the bucket" in result.stderr
    assert "since it last stopped: 1,234. They are classified now." in result.stderr


@pytest.mark.parametrize("command", ["audit", "redrive"])
def test_the_help_says_how_long_an_upload_may_take(command) -> None:
    said = CliRunner().invoke(scones, [command, "--help"]).output
    assert f"Left out: {IN_FLIGHT.total_seconds():.0f}." in " ".join(said.split())


def test_a_stack_that_contradicts_the_stage_is_refused(monkeypatch, capsys, tmp_path) -> None:
    stage = tmp_path / "prod.toml"
    stage.write_text('stack = "scones-prod"\n', encoding="utf-8")
    line = said_by(monkeypatch, capsys, "deploy", "--stage", stage, "--stack", "scones-test")
    assert line == "error: the stage's stack is 'scones-prod', and 'scones-test' was chosen: leave one out"


@pytest.mark.parametrize("plan", [True, False])
def test_a_failed_creation_is_deleted_only_if_it_is_wanted(monkeypatch, tmp_path, plan) -> None:
    calls: list[str] = []
    there = {"StackName": "scones", "StackId": "arn", "StackStatus": "ROLLBACK_COMPLETE"}
    parameters = [{"ParameterKey": "ClassThresholds", "ParameterValue": ""}]
    cloudformation = SimpleNamespace(
        describe_stacks=lambda **_: {"Stacks": [{**there, "Parameters": parameters}]},
        delete_stack=lambda **_: calls.append("delete"),
        get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: [{"StackEvents": []}]),
    )
    session = SimpleNamespace(client=lambda _: cloudformation, region_name="eu-central-1")
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _: Account(session, "1", "arn"))
    monkeypatch.setattr("infra.cli.commands.on_aws.is_wanted", lambda *_, **__: False)
    done = CliRunner().invoke(scones, ["deploy", *(["--plan"] if plan else [])])
    assert calls == []
    assert "until it is deleted" in str(done.exception) if plan else "Nothing has been changed" in done.stderr


def test_a_plan_is_printed_as_json(monkeypatch) -> None:
    resource = Change("Modify", "Decide", "AWS::Lambda::Function", "False")
    changes = SimpleNamespace(is_new=False, stack_name="scones", changes=(resource,), discard=lambda: None)
    planned = SimpleNamespace(
        stack_name="scones", parameters={"Threshold": ("0.9", "0.8")}, changes=changes, discard=lambda: None
    )
    monkeypatch.setattr("infra.aws.deploy.left_over", lambda *_: None)
    account = Account(SimpleNamespace(region_name="eu-central-1"), "1", "arn")
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _: account)
    monkeypatch.setattr("infra.aws.deploy.plan_deployment", lambda *_: planned)
    done = CliRunner().invoke(scones, ["deploy", "--plan", "--json"])
    said = json.loads(done.stdout)
    assert said["parameters"] == {"Threshold": {"before": "0.9", "after": "0.8"}}
    assert [each["resource"] for each in said["resources"]] == ["Decide"]
