"""`make torture`: fault injection. Exit code 3: an image was lost, doubled or wrong."""

import sys

import click

from infra.cli.command_line import ATTENTION, Command, WholeNumber, option
from infra.cli.main import run
from infra.cli.terminal import answers
from tests.torture.run import IMAGES, torture, went_well
from tests.torture.scenarios import SCENARIOS, run_scenario


@click.command(cls=Command)
@option("--seed", default=1, show_default=True, help="Seed of all that is random: same seed, same faults.")
@option(
    "--images", type=WholeNumber(min=20), help=f"How many to drop. Left out: {IMAGES}, or the scenario's."
)
@option("--scenario", type=click.Choice([*SCENARIOS, "all"]), help="Scenario in place of the default run.")
def main(seed: int, images: int | None, scenario: str | None) -> None:
    """Ingest images while components fail; check that none is lost, duplicated or wrong."""
    if scenario is None:
        sys.exit(0 if went_well(torture(answers, seed, images or IMAGES)) else ATTENTION)
    names = list(SCENARIOS) if scenario == "all" else [scenario]
    reports = [run_scenario(answers, name, seed, images) for name in names]
    sys.exit(ATTENTION if any(each["lost"] or each["doubled"] or each["wrong"] for each in reports) else 0)


if __name__ == "__main__":
    run(main, "python -m tests.torture")
