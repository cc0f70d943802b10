"""infra.cli.terminal: whatever a key or an answer holds, the terminal shows it and does nothing else."""

import io
import re
import unicodedata
from datetime import UTC, datetime
from types import SimpleNamespace

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.main import scones
from infra.cli.tables import show_answer
from infra.cli.terminal import Terminal, progress_bar
from infra.cli.words import show_import, show_outcomes
from infra.operations.drop import Dropped, Settled
from infra.operations.import_capture import CannotImport, Imported, Line

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\r[bold]:x:"


def printed(show_it) -> str:
    written = io.StringIO()
    show_it(Terminal(file=written))
    return written.getvalue()


def test_an_answer_is_shown_as_it_is_but_for_what_commands() -> None:
    text = printed(lambda console: show_answer(console, None, pd.DataFrame({HOSTILE: [HOSTILE]})))
    assert text.count("a�[2J�]0;owned��31m�gnp.exe�[bold]:x:") == 2


def test_keys_and_places_are_shown_so_too(tmp_path) -> None:
    for show_it in (
        lambda console: show_outcomes(console, Settled({}, [Dropped(HOSTILE, "v")])),
        lambda console: show_import(
            console, Imported(NOW, bad=[Line(HOSTILE, HOSTILE)]), 0, 0, tmp_path / "log"
        ),
    ):
        assert "a�[2J�]0;owned��31m�gnp.exe�[bold]:x:" in printed(show_it)


@pytest.mark.parametrize("text", ["71.2\u00a0%", "väg/写真.png", "👍", "two\nlines"])
def test_what_can_be_seen_stays(text) -> None:
    assert printed(lambda console: console.print(text)) == f"{text}\n"


@given(st.text(max_size=40))
def test_no_text_commands_the_terminal(text) -> None:
    shown = printed(lambda console: console.print(text, markup=False, soft_wrap=True))
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each != "\n"]


WIDE = pd.DataFrame(
    {
        **{f"a_long_name_of_column_{number}": [number * 1_000.125, None] for number in range(9)},
        "key": ["väg/" + "x" * 60, "b"],
        "sum": [1_234_567.8, 0.00012345],
    }
)


def test_nothing_of_a_wide_answer_is_cut_where_it_is_piped() -> None:
    (head, *rest) = printed(lambda console: show_answer(console, None, WIDE)).splitlines()
    assert all(name in head for name in WIDE)
    assert "väg/" + "x" * 60 in rest[0]
    assert "1234568" in rest[0]
    assert "0.0001234" in rest[1]
    assert len(rest) == 2


def test_forced_colours_do_not_make_a_pipe_a_terminal(monkeypatch) -> None:
    """Many jobs set FORCE_COLOR. Lines were broken as for a terminal of 80 columns, between spinners."""
    plain = printed(lambda console: show_answer(console, "Answer", WIDE))
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = printed(lambda console: show_answer(console, "Answer", WIDE))
    assert "\x1b[1m" in coloured
    lines = re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines()
    assert [line.rstrip() for line in lines] == plain.splitlines()

    def work(console: Terminal) -> None:
        with console.working("Working …"):
            pass

    assert printed(work) == "Working …\n"


def test_a_table_that_is_piped_is_columns_alone() -> None:
    frame = pd.DataFrame(
        {"key": ["a", None, "a long key"], "images": [1, 12_345, 2], "note": ["", "b", None]}
    )
    assert printed(lambda console: show_answer(console, "Answer", frame)).splitlines() == [
        "Answer",
        "key         images  note",
        "a                1",
        "             12345  b",
        "a long key       2",
    ]


def test_a_wide_answer_is_a_list_on_a_narrow_terminal() -> None:
    written = io.StringIO()
    show_answer(Terminal(file=written, width=80, force_terminal=True, color_system=None), None, WIDE)
    lines = [line.rstrip() for line in written.getvalue().split("\n")]
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["── 1 ──", "a_long_name_of_column_0  0"]
    assert "key                      väg/" in "\n".join(lines)
    assert "".join(lines).replace(" ", "").count("x" * 60) == 1
    assert "── 2 ──" in lines


def test_not_even_a_very_long_word_is_cut() -> None:
    text = printed(lambda console: show_answer(console, None, pd.DataFrame({"detail": ["x" * 25_000]})))
    assert text.count("x") == 25_000


@pytest.mark.parametrize("width", [80, 1000])
def test_an_answer_without_rows_says_so(width) -> None:
    written = io.StringIO()
    show_answer(Terminal(file=written, width=width, force_terminal=True), None, WIDE.head(0))
    assert "No rows." in written.getvalue()


def test_an_answer_that_fits_is_a_table_on_a_terminal() -> None:
    written = io.StringIO()
    terminal = Terminal(file=written, width=80, force_terminal=True, color_system=None)
    show_answer(terminal, None, pd.DataFrame({"key": ["a"]}))
    assert "│ a   │" in written.getvalue()


def test_what_looks_like_markup_is_text(tmp_path, monkeypatch) -> None:
    """An address may have `[/]` in it, which rich takes for the end of a style."""
    assert printed(lambda console: console.print("[bold]a[/b] in [/]")) == "[bold]a[/b] in [/]\n"
    stack = SimpleNamespace(client=lambda _: None, results_bucket="")
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda on: stack)
    monkeypatch.setattr("infra.operations.import_capture.judgement", lambda *_: None)
    result = CliRunner().invoke(scones, ["import-capture", str(tmp_path / "[/]")])
    assert isinstance(result.exception, CannotImport)


def test_progress_is_a_line_every_few_seconds_where_there_is_no_terminal(monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr("infra.cli.terminal.time.monotonic", lambda: now[0])
    written = io.StringIO()
    with progress_bar(Terminal(file=written)) as progress:
        task = progress.add_task("recorded", total=1_234)
        for done in range(5):
            progress.update(task, completed=done * 100)
            now[0] += 2.0
        progress.update(task, completed=1_234)
        progress.update(task, completed=1_234)
    assert written.getvalue().splitlines() == [
        "recorded: 0 of 1,234",
        "recorded: 300 of 1,234",
        "recorded: 1,234 of 1,234",
    ]
