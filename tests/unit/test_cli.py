"""infra.cli: what is asked for wrongly is refused before anything is done."""

import pytest
from click.testing import CliRunner

from infra import cli


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
