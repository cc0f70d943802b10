"""Answers of queries: as a table for people, and as CSV, JSON or Parquet."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analytics.commands import how
from infra.cli.terminal import WIDEST, Terminal
from infra.cli.words import shown
from infra.operations.answer_files import ENCODERS, text_of

if TYPE_CHECKING:
    import pandas as pd

ROWS_OF_A_TABLE = 200
"""Most rows of a table, unless a limit is given."""

_SUFFIXES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}


def format_of(given: str | None, out: Path | None) -> str:
    """Return the format of an answer: the one that was asked for, else that of the file's name, else a table.

    Raises:
        click.ClickException: the format cannot go where the answer goes.
    """
    chosen = given or _SUFFIXES.get(out.suffix.lower() if out else "", "table")
    if chosen == "table" and out:
        raise click.ClickException(f"{out}: a file is .csv, .json or .parquet, or has its format named")
    if chosen == "parquet" and not out and sys.stdout.isatty():
        raise click.ClickException("Parquet is not for a terminal: name a file for it")
    return chosen


def write_answer(
    answers: Terminal,
    words: Terminal,
    frame: "pd.DataFrame",
    format_: str,
    limit: int | None,
    out: Path | None,
) -> None:
    """Write a query's answer, and say so if it is cut.

    Args:
        answers: gets a table.
        words: gets what is said about the answer.
        frame: the answer.
        format_: `table`, `csv`, `json` or `parquet`.
        limit: most rows; None stands for `ROWS_OF_A_TABLE` rows of a table, and for all rows else.
        out: file to write to; None stands for standard output.
    """
    if limit is None and format_ == "table":
        limit = ROWS_OF_A_TABLE
    rows = frame if limit is None else frame.head(limit)
    if format_ == "table":
        show_answer(answers, None, rows)
    else:
        data = ENCODERS[format_](rows)
        if out:
            out.write_bytes(data)
            words.print(f"{shown(out)}: {len(rows):,} rows", highlight=False, soft_wrap=True)
        else:
            click.echo(data, nl=False)
    if len(rows) < len(frame):
        more = how("query", LIMIT=str(len(frame))).rpartition("query ")[2]
        words.print(f"{len(rows):,} of {len(frame):,} rows shown: {more} shows all", highlight=False)


def show_answer(console: Terminal, title: str | None, frame: "pd.DataFrame") -> None:
    """Print a query's answer: a table, or a list where it is too wide."""
    import pandas as pd
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column, type_ in frame.dtypes.items():
        is_number = pd.api.types.is_numeric_dtype(type_)
        table.add_column(_on_one_line(str(column)), justify="right" if is_number else "left", overflow="fold")
    rows = [[text_of(value) for value in row] for row in frame.itertuples(index=False)]
    for row in rows:
        table.add_row(*map(_on_one_line, row))
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum <= console.width:
        console.print(table)
    else:
        _show_list(console, [str(column) for column in frame], rows)
    if frame.empty:
        console.print("No rows.")


def _on_one_line(text: str) -> str:
    """Return a cell of a table: a row is one line, as for `awk`."""
    return text.replace("\n", "\\n")


def show_saved_queries(console: Terminal) -> None:
    """Print the name of each saved query, and what it answers."""
    from rich.table import Table

    by_name, by_sql = how("query", NAME="…", WEEK="2026-W47"), how("query", SQL='"SELECT …"')
    table = Table(title=f"Saved queries: {by_name}, or {by_sql}", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("question")
    for each in saved_query_list():
        table.add_row(each["name"], each["question"])
    console.print(table)


def saved_query_list() -> list[dict[str, str]]:
    """Return the name of each saved query, and what it answers."""
    from analytics.questions.queries import question, saved_queries

    return [{"name": name, "question": question(name)} for name in saved_queries()]


def _show_list(console: Terminal, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row by itself, a line for each of its values."""
    from rich.table import Table

    for number, row in enumerate(rows, 1):
        values = Table.grid(padding=(0, 2, 0, 0))
        values.add_column(no_wrap=True)
        values.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            values.add_row(name, value)
        console.print(f"── {number} ──", highlight=False)
        console.print(values)
