"""infra.laptop.local.start_console: the supervisor is asked until a console is there, and an end is said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from infra.laptop import local
from tests.console import A_STACK

SUPERVISOR = 4
ENDING, NEW = 7, 8


def start(
    monkeypatch: pytest.MonkeyPatch, home: Path, seen: list[set[int]], asked: Callable[[], None]
) -> str:
    """Start a console where each look finds the next of some sets of processes, and the last for ever."""
    stack = replace(
        A_STACK, home=str(home), console_url="http://127.0.0.1:1/?token=t", pids={"supervisor": SUPERVISOR}
    )

    def look(_: Path) -> dict[int, str]:
        there = seen.pop(0) if len(seen) > 1 else seen[0]
        return {SUPERVISOR: "supervisor", **dict.fromkeys(there, "console")}

    monkeypatch.setattr(local, "processes", look)
    monkeypatch.setattr(local, "_is_console", lambda port: seen == [{NEW}])
    monkeypatch.setattr("os.kill", lambda pid, number: asked())
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return local.start_console(stack)


def test_a_console_that_is_ending_is_neither_taken_for_the_new_one_nor_for_one_that_runs(
    monkeypatch, tmp_path
):
    asked: list[bool] = []
    seen = [{ENDING}, {ENDING}, set(), set(), {NEW}]
    assert "token" in start(monkeypatch, tmp_path, seen, lambda: asked.append(True))
    assert len(asked) == 2, "at each look that found none"


def test_a_console_that_ends_while_it_starts_is_an_error_at_once(monkeypatch, tmp_path):
    with pytest.raises(local.CannotStart, match="the console did not start"):
        start(monkeypatch, tmp_path, [set(), set(), {NEW - 1}, set()], lambda: None)
