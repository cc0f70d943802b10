"""Tables for the terminal."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich.table import Table

from analytics.questions.queries import question, saved_queries
from analytics.text import plural
from infra.aws.undeploy import Undeployed
from infra.cli.terminal import WIDEST, Terminal
from infra.operations.drop import Settled
from infra.operations.import_capture import Imported

ROWS_AT_MOST = 200
_MISSING_SHOWN = 20


def outcomes(console: Terminal, settled: Settled) -> None:
    """Print how many images came to which outcome, and which came to none."""
    table = Table(title="Outcomes", title_justify="left")
    table.add_column("outcome")
    table.add_column("images", justify="right")
    for outcome, images in settled.outcomes.items():
        table.add_row(outcome, f"{images:,}")
    table.add_row("missing", f"{len(settled.missing):,}")
    table.add_row("duplicates", f"{settled.duplicates:,}")
    console.print(table)
    for each in settled.missing[:_MISSING_SHOWN]:
        console.print(f"no outcome: {each.key} (version {each.version_id})")


def imported(console: Terminal, done: Imported, new: int, known: int, log: Path) -> None:
    """Print what was imported and what was not, and write all of the latter into a file."""
    table = Table(
        title=f"{plural(done.lines, 'line')} of {plural(done.files, 'file')}",
        title_justify="left",
        show_header=False,
    )
    table.add_column()
    table.add_column(justify="right")
    for outcome, images in sorted(done.outcomes.items()):
        table.add_row(outcome, f"{images:,}")
    table.add_row("new in the table", f"{new:,}")
    table.add_row("there before, decided anew", f"{known:,}")
    table.add_row("requests of ours, on record already", f"{done.on_record:,}")
    table.add_row("lines that are no row", f"{len(done.bad):,}")
    table.add_row("other files, not read", f"{done.other_files:,}")
    console.print(table)
    for line in done.bad[:_MISSING_SHOWN]:
        console.print(f"{line.place}: {line.why}", highlight=False, soft_wrap=True)
    if done.bad:
        log.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{line.place}: {line.why}\n" for line in done.bad)
        log.write_text(lines, encoding="utf-8", errors="backslashreplace")
        console.print(f"{log} has all of them", soft_wrap=True)


def undeployed(console: Terminal, done: Undeployed, region: str) -> None:
    """Print what is gone and what stays of a deployment, and how to delete the rest."""
    if not done.was_there:
        console.print(f"Nothing is deployed in {region}.", highlight=False)
        return
    console.print(f"Deleted from {region}, with Athena's answers and the code. Kept, and still paid for:")
    for bucket in done.kept:
        console.print(f"  s3://{bucket}", highlight=False, soft_wrap=True)
    console.print(
        "S3's console empties and deletes them. `make endpoint-delete` deletes an endpoint of ours."
    )


def answer(console: Terminal, title: str | None, frame: pd.DataFrame) -> None:
    """Print a query's answer, cut after `ROWS_AT_MOST` rows: a table, or a list where it is too wide."""
    table = Table(title=title, title_justify="left")
    for column, type_ in frame.dtypes.items():
        is_number = pd.api.types.is_numeric_dtype(type_)
        table.add_column(str(column), justify="right" if is_number else "left", overflow="fold")
    rows = [[_text(value) for value in row] for row in frame.head(ROWS_AT_MOST).itertuples(index=False)]
    for row in rows:
        table.add_row(*row)
    if console.measure(table, options=console.options.update(max_width=WIDEST)).maximum <= console.width:
        console.print(table)
    else:
        _list(console, [str(column) for column in frame], rows)
    if frame.empty:
        console.print("No rows.")
    if len(frame) > ROWS_AT_MOST:
        console.print(f"… and {len(frame) - ROWS_AT_MOST:,} more rows; add a LIMIT or an aggregate")


def _list(console: Terminal, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print each row by itself, a line for each of its values."""
    for number, row in enumerate(rows, 1):
        values = Table.grid(padding=(0, 2, 0, 0))
        values.add_column(no_wrap=True)
        values.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            values.add_row(name, value)
        console.print(f"── {number} ──", highlight=False)
        console.print(values)


def questions(console: Terminal) -> None:
    """Print the name of each saved query, and what it answers."""
    table = Table(
        title='Saved queries: make query NAME=… [WEEK=2026-W47], or SQL="SELECT …"', title_justify="left"
    )
    table.add_column("name", no_wrap=True)
    table.add_column("question")
    for name in saved_queries():
        table.add_row(name, question(name))
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, float):
        if value != value:
            return ""  # NaN is how a frame says NULL
        return f"{value:.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"
    return "" if value is None or value is pd.NA or value is pd.NaT else str(value)
