"""`make bench`: speed and memory against their budgets."""

import click

from infra.cli.command_line import Command, option
from infra.cli.main import run
from infra.cli.terminal import answers
from tests.bench.run import run as measure


@click.command(cls=Command)
@option("--images", default=1000, show_default=True, help="How many small images to drop.")
def main(images: int) -> None:
    """Measure speed and memory, against their budgets."""
    measure(answers, images)


if __name__ == "__main__":
    run(main, "python -m tests.bench")
