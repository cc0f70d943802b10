"""`make torture`: fault injection. Exit code 3: an image was lost, doubled or wrong."""

import sys

import click

from infra.cli.command_line import ATTENTION, Command, option
from infra.cli.main import run
from infra.cli.terminal import answers
from tests.torture.run import IMAGES, torture, went_well


@click.command(cls=Command)
@option("--seed", default=1, show_default=True, help="Seed of all that is random: same seed, same faults.")
@option("--images", type=click.IntRange(min=20), default=IMAGES, show_default=True, help="How many to drop.")
def main(seed: int, images: int) -> None:
    """Ingest images while components fail; check that none is lost, duplicated or wrong."""
    sys.exit(0 if went_well(torture(answers, seed, images)) else ATTENTION)


if __name__ == "__main__":
    run(main, "python -m tests.torture")
