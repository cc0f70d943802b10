"""`make bench`: speed and memory against their budgets."""

import click

from infra.cli.command_line import Command, WholeNumber, option
from infra.cli.main import run
from infra.cli.terminal import answers
from tests.bench.run import run as measure
from tests.bench.run import table_alone


@click.command(cls=Command)
@option(
    "--images",
    type=WholeNumber(min=24),
    default=400,
    show_default=True,
    help="How many small images a round sends.",
)
@option("--quick", is_flag=True, help="Compare with the kept ratios alone, in two minutes.")
@option("--flat", is_flag=True, help="Also send 10,000 images: does an image cost more, the more there were?")
@option("--keep", is_flag=True, help="Keep the ratios, for quick runs to be compared with.")
@option(
    "--rows",
    type=WholeNumber(min=70),
    help="Only make the report of a week of so many rows, and ask each of its questions.",
)
def main(images: int, quick: bool, flat: bool, keep: bool, rows: int | None) -> None:
    """Measure speed and memory, against their budgets."""
    if rows:
        table_alone(answers, rows)
        return
    measure(answers, images, quick=quick, flat=flat, keep=keep)


if __name__ == "__main__":
    run(main, "python -m tests.bench")
