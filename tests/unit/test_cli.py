"""infra.cli.commands: what is asked for wrongly is refused before anything is done."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from infra.cli import commands as cli


@pytest.mark.parametrize("on", ["AWS", "laptop"])
def test_another_place_than_aws_is_no_place(monkeypatch, on) -> None:
    monkeypatch.setenv("SCONES_ON", on)
    result = CliRunner().invoke(cli.scones, ["query", "SELECT 1"])
    assert result.exit_code == 1
    assert f"ON={on}: say ON=aws" in result.output


def test_a_week_is_not_compared_with_itself() -> None:
    result = CliRunner().invoke(cli.scones, ["report", "--week", "2026-W47", "--compare", "2026-W47"])
    assert result.exit_code == 1
    assert "2026-W47 cannot be compared with itself" in result.output


def said_by(monkeypatch, capsys, *arguments) -> str:
    """Return what a command that fails says, which is one line on standard error."""
    monkeypatch.setattr("sys.argv", ["scones", *map(str, arguments)])
    monkeypatch.setattr(cli, "current_stack", lambda: SimpleNamespace(client=lambda _: None))
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    said: list[str] = capsys.readouterr().err.splitlines()
    (line,) = said
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["review", "--sample", "x"], "Invalid value for 'SAMPLE': 'x'"),
        (["audit", "--in-flight", "soon"], "Invalid value for 'IN_FLIGHT': 'soon'"),
        (["report", "--out", "Makefile"], "Invalid value for 'OUT': Directory 'Makefile' is a file."),
        (["report", "--week", "next"], "'next' is not a week."),
        (["review", "--since", "monday"], "SINCE=monday: a date is like 2026-11-16"),
        (["drop", "no-folder"], "Invalid value for 'FROM': Directory 'no-folder' does not exist."),
        (["query", "SELECT 1", "--week", "2026-W47"], 'say SQL="SELECT …" or NAME='),
        (["deploy", "EndpointName"], "PARAMETERS: 'EndpointName' is not Name=value"),
    ],
)
def test_what_is_wrong_is_named_as_it_was_typed_to_make(monkeypatch, capsys, arguments, said) -> None:
    assert said_by(monkeypatch, capsys, *arguments).startswith(f"error: {said}")


def test_a_file_that_is_not_there_is_said_in_words(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setattr("infra.operations.answers.engine", lambda _: nullcontext())
    line = said_by(monkeypatch, capsys, "label", tmp_path / "none.jsonl")
    assert line == f"error: {tmp_path / 'none.jsonl'}: No such file or directory"


@pytest.mark.parametrize("command", ["up", "deploy"])
def test_a_folder_without_a_model_is_refused(monkeypatch, capsys, tmp_path, command) -> None:
    monkeypatch.setattr(cli, "aws_session", lambda: SimpleNamespace(region_name="eu-central-1"))
    monkeypatch.chdir(tmp_path)
    line = said_by(monkeypatch, capsys, command, "--model", tmp_path)
    assert f"{tmp_path} is no folder of a model, as `make train` writes one" in line


def test_down_is_done_when_nothing_is_up(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.setenv("SCONES_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["scones", "down"])
    cli.main()
    assert capsys.readouterr().out == "Nothing is up.\n"
