"""infra.cli.tables: an answer in each format, cut only where it is said."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

from analytics import commands
from infra.cli.tables import format_of, show_saved_queries, write_answer
from infra.cli.terminal import Terminal

FRAME = pd.DataFrame(
    {
        "key": ["väg/\x1b[2J.png", None],
        "images": [1_234, 5],
        "share": [0.1 + 0.2, float("nan")],
        "day": [date(2026, 11, 16), None],
        "at": [pd.Timestamp(datetime(2026, 11, 16, 12, tzinfo=UTC)), pd.NaT],
        "probabilities": [{"bicycle": 0.25}, None],
        "counts": [np.array([1, 2]), None],
        "usd": [Decimal("0.10"), None],
    }
)


def written(capsys: Any, frame: pd.DataFrame, format_: str, **options: Any) -> tuple[str, str, str]:
    """Return a table, what is said about it, and what is on standard output."""
    table, said = io.StringIO(), io.StringIO()
    options = {"limit": None, "out": None, **options}
    write_answer(Terminal(file=table), Terminal(file=said), frame, format_, **options)
    return table.getvalue(), said.getvalue(), capsys.readouterr().out


def test_json_has_each_value_as_it_is_and_null_for_what_is_not_there(capsys: Any) -> None:
    _, said, out = written(capsys, FRAME, "json")
    assert json.loads(out) == [
        {
            "key": "väg/\x1b[2J.png",
            "images": 1_234,
            "share": 0.1 + 0.2,
            "day": "2026-11-16",
            "at": "2026-11-16T12:00:00+00:00",
            "probabilities": {"bicycle": 0.25},
            "counts": [1, 2],
            "usd": "0.10",
        },
        {
            "key": None,
            "images": 5,
            "share": None,
            "day": None,
            "at": None,
            "probabilities": None,
            "counts": None,
            "usd": None,
        },
    ]
    assert out.isascii()
    assert said == ""


def test_a_line_feed_in_a_cell_does_not_break_the_row(capsys: Any) -> None:
    table, _, _ = written(
        capsys, pd.DataFrame({"a\nb": ["first\nsecond", "\r\x85\u2028"], "n": [1, 2]}), "table"
    )
    assert [line.split() for line in table.splitlines()] == [
        ["a\\nb", "n"],
        ["first\\nsecond", "1"],
        ["���", "2"],
    ]


def test_json_has_no_infinity(capsys: Any) -> None:
    _, _, out = written(capsys, pd.DataFrame({"x": [float("inf"), float("nan"), 1.5]}), "json")
    assert json.loads(out, parse_constant=pytest.fail) == [{"x": None}, {"x": None}, {"x": 1.5}]


def test_csv_has_all_rows_and_a_head(capsys: Any) -> None:
    _, _, out = written(capsys, FRAME[["key", "images", "share"]], "csv")
    assert list(csv.reader(io.StringIO(out))) == [
        ["key", "images", "share"],
        ["väg/\x1b[2J.png", "1234", str(0.1 + 0.2)],
        ["", "5", ""],
    ]


def test_a_map_and_an_array_are_json_in_csv(capsys: Any) -> None:
    nested = pd.DataFrame({"map": [{"ä": np.float64(0.55)}, None], "array": [np.array([1, 2]), None]})
    _, _, out = written(capsys, nested, "csv")
    assert list(csv.reader(io.StringIO(out))) == [["map", "array"], ['{"ä": 0.55}', "[1, 2]"], ["", ""]]


def test_a_key_with_a_carriage_return_is_one_cell_of_csv(capsys: Any) -> None:
    keys = pd.DataFrame({"key": ["a\rb.png", "a\nb.png", "a\r\nb.png", None], "n": [1.5, 2, 3, None]})
    _, _, out = written(capsys, keys, "csv")
    assert list(csv.reader(io.StringIO(out, newline=""))) == [
        ["key", "n"],
        *(["a\rb.png", "1.5"], ["a\nb.png", "2.0"], ["a\r\nb.png", "3.0"]),
        ["", ""],
    ]


def test_csv_leaves_every_other_value_as_pandas_writes_it(capsys: Any) -> None:
    """A column of numbers with NULL, of whole numbers, of times and of truths."""
    flat = FRAME.drop(columns=["probabilities", "counts"]).assign(
        whole=pd.array([1, None], dtype="Int64"), truth=[True, False]
    )
    _, _, out = written(capsys, flat, "csv")
    assert out == flat.to_csv(index=False)


def test_parquet_is_read_back_as_it_was(capsys: Any, tmp_path: Path) -> None:
    frame = FRAME[["key", "images", "share", "at"]]
    _, said, out = written(capsys, frame, "parquet", out=tmp_path / "answer.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "answer.parquet"), frame)
    assert said == f"{tmp_path / 'answer.parquet'}: 2 rows\n"
    assert out == ""


@pytest.mark.parametrize(("limit", "shown"), [(None, 200), (3, 3), (0, 0)])
def test_a_table_that_is_cut_says_how_to_get_the_rest(capsys: Any, limit: int | None, shown: int) -> None:
    frame = pd.DataFrame({"n": range(1_234)})
    table, said, _ = written(capsys, frame, "table", limit=limit)
    assert said == f"{shown} of 1,234 rows shown: LIMIT=1234 shows all\n"
    assert len(table.splitlines()) == 1 + (shown or 1)  # without any, it says so


def test_the_list_of_saved_queries_is_titled_in_one_command_line_s_spelling(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "is_checkout", lambda: False)
    table = io.StringIO()
    show_saved_queries(Terminal(file=table))
    assert "scones query --name … --week 2026-W47, or scones query" in table.getvalue()


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_a_file_format_is_cut_only_where_that_is_asked_for(capsys: Any, format_: str) -> None:
    frame = pd.DataFrame({"n": range(1_234)})
    assert written(capsys, frame, format_)[1] == ""
    assert written(capsys, frame, format_, limit=1_000)[1].startswith("1,000 of 1,234 rows shown")


@pytest.mark.parametrize(
    ("given", "out", "chosen"),
    [
        (None, None, "table"),
        ("csv", None, "csv"),
        (None, Path("a.CSV"), "csv"),
        (None, Path("a.parquet"), "parquet"),
        ("json", Path("a.txt"), "json"),
    ],
)
def test_the_format_is_the_one_asked_for_or_the_file_s(
    given: str | None, out: Path | None, chosen: str
) -> None:
    assert format_of(given, out) == chosen


def test_a_table_is_not_for_a_file_nor_parquet_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(click.ClickException, match=r"a\.txt"):
        format_of(None, Path("a.txt"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(click.ClickException, match="not for a terminal"):
        format_of("parquet", None)
