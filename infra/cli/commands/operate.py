"""Keeping a system whole: backfill, audit, redrive, compact."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.cli import systems
from infra.cli.command_line import ATTENTION, Number, argument, as_json, on, option, scones
from infra.cli.terminal import answers, progress_bar, words
from infra.cli.words import (
    audit_facts,
    execution_facts,
    plan_facts,
    print_json,
    show_audit,
    show_executions,
    show_redrive,
)

if TYPE_CHECKING:
    from infra.operations.backfill import Ended

in_flight = option(
    "--in-flight",
    "in_flight_s",
    type=Number(0, 1_000_000_000),
    help="Seconds that an upload may take. Left out: 900.",
)


@scones.command()
@argument("prefix", metavar="PREFIX", may_be_empty=True)
@on
@as_json
def backfill(prefix: str, on: str | None, as_json: bool) -> None:
    """Classify every object version under PREFIX in batches, also those that have an outcome."""
    stack = systems.current_stack(on)
    from infra.operations.backfill import backfill, wait

    runs = backfill(stack, prefix)
    with progress_bar(words) as progress:
        ended = wait(stack, runs, progress)
    if as_json:
        print_json(execution_facts(ended))
    else:
        show_executions(answers, ended)
    sys.exit(_exit_code(ended))


@scones.command()
@option("--prefix", default="", help="Prefix of the keys. Left out: all.")
@option("--inventory", help="s3://…/manifest.json of an S3 Inventory, instead of listing the bucket.")
@in_flight
@on
@as_json
def audit(
    prefix: str, inventory: str | None, in_flight_s: float | None, on: str | None, as_json: bool
) -> None:
    """Compare the incoming bucket with the table. Exit code 3: something is missing or doubled."""
    stack = systems.current_stack(on)
    from infra.operations.audit import audit

    audited = audit(stack, prefix, inventory, _in_flight(in_flight_s))
    if as_json:
        print_json(audit_facts(audited))
    else:
        show_audit(answers, audited)
    sys.exit(0 if audited.totals.is_clean else ATTENTION)


@scones.command()
@option("--apply", is_flag=True, help="Do it, and wait for it. Left out: say what would be done.")
@in_flight
@on
@as_json
def redrive(apply: bool, in_flight_s: float | None, on: str | None, as_json: bool) -> None:
    """Classify again what failed or is missing, and empty the dead-letter queues."""
    stack = systems.current_stack(on)
    from infra.operations.backfill import wait
    from infra.operations.redrive import redrive

    done = redrive(stack, apply=apply, in_flight=_in_flight(in_flight_s))
    if not as_json:
        show_redrive(answers, done, applied=apply)
    ended = []
    if done.runs:
        with progress_bar(words) as progress:
            ended = wait(stack, done.runs, progress)
        if not as_json:
            show_executions(answers, ended)
    if as_json:
        print_json({**plan_facts(done.plan), "applied": apply, **execution_facts(ended)})
    sys.exit(_exit_code(ended))


@scones.command()
@on
@as_json
def compact(on: str | None, as_json: bool) -> None:
    """Rewrite each day's many small files as few large ones, today's too; a Lambda does it every night."""
    stack = systems.current_stack(on)
    from analytics.lake.aws import ResultsBucket
    from analytics.lake.compaction import compact

    days = []
    # On AWS, queries of others may be reading the files. On a laptop, each query has a copy of its own.
    keep_inputs = stack.endpoint_url is None
    for day in compact(ResultsBucket(stack.client("s3"), stack.results_bucket), keep_inputs=keep_inputs):
        days.append({"day": day.dt, "files_before": day.files_before, "files": day.files})
        if not as_json:
            answers.print(f"{day.dt}: {day.files_before} files → {day.files}, {day.uploads} uploads")
    if as_json:
        print_json({"days": days})
    else:
        answers.print(
            "Every day is compact. The files that were merged are deleted by the next run."
            if days and keep_inputs
            else "Every day is compact."
        )


def _in_flight(seconds: float | None) -> timedelta:
    from analytics.reconciliation import IN_FLIGHT

    return IN_FLIGHT if seconds is None else timedelta(seconds=seconds)


def _exit_code(executions: "Sequence[Ended]") -> int:
    return 0 if all(each.went_well for each in executions) else ATTENTION
