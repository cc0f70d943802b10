"""`make simulate`: check what Scones promises of bursts and of made-up weeks. Exit code 3: a promise does
not hold."""

import sys
import time

import click

from infra.cli.command_line import ATTENTION, Command, WholeNumber, option
from infra.cli.main import run
from infra.cli.terminal import answers, words
from tests.simulate import bursts, challenger, labels, report

SUITES = {
    "bursts": bursts.suite,
    "challenger": challenger.suite,
    "labels": labels.suite,
    "report": report.suite,
}


@click.command(cls=Command)
@option("--suite", type=click.Choice([*SUITES]), help="One suite. Left out: all.")
@option("--seed", default=1, show_default=True, help="Seed of all that is random: same seed, same weeks.")
@option(
    "--runs", type=WholeNumber(min=10), default=10_000, show_default=True, help="Runs of each simulation."
)
def main(suite: str | None, seed: int, runs: int) -> None:
    """Check what the statistics promise on made-up weeks."""
    missed = False
    for name in [suite] if suite else SUITES:
        began = time.process_time()
        for check in SUITES[name](seed, runs):
            answers.print(check.line(), highlight=False, soft_wrap=True)
            missed |= not check.holds
        words.print(f"{name}: {time.process_time() - began:.0f} s of CPU", highlight=False)
    sys.exit(ATTENTION if missed else 0)


if __name__ == "__main__":
    run(main, "python -m tests.simulate")
