"""A run of the fault injection: its acts in their order, and its report."""

import json
import random
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.installation import state_folder
from infra.laptop.local import CannotStart
from infra.operations.audit import audit
from infra.operations.backfill import backfill
from infra.operations.redrive import redrive
from tests.torture.actions import (
    DUPLICATE,
    Run,
    collect,
    compact,
    crash,
    install_proxy,
    predict_outcomes,
    put,
    redeliver_events,
    rows,
    settle,
    start,
    until,
    up,
    wait_for,
)
from tests.torture.faults import OUTAGE
from tests.torture.plan import WITHHELD, Wave, plan
from tests.torture.proxy import Proxy, Script
from tests.torture.verdict import Expected, Name, expected_outcomes, judge
from workflow.outcome import Outcome

IMAGES = 500
AT_ONCE = timedelta(0)
LATE, AFTER_BACKFILL = "late duplicate event", "event after a backfill"
REPEATED = (DUPLICATE, LATE, AFTER_BACKFILL)


def torture(console: Console, seed: int, images: int = IMAGES, folder: Path | None = None) -> dict[str, Any]:
    """Run the fault injection on a system of its own; return the content of `torture.json`.

    Raises:
        infra.laptop.local.CannotStart: processes cannot be killed by their connections here.
        TimeoutError: something did not end.
    """
    if not Path("/proc/net/tcp").exists():
        raise CannotStart("the torture finds the processes that it kills in /proc: run it on Linux")
    folder = folder or state_folder() / "torture"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    planned = plan(seed, images, datetime.now(UTC))
    script = Script(planned.writes)
    with up(folder) as stack, Proxy(script, stack.incoming_bucket, stack.results_bucket) as proxy:
        run = Run(console=console, folder=folder, stack=stack, plan=planned, script=script, proxy=proxy)
        install_proxy(run)
        predict_outcomes(run)
        _storm(run)
        _crashes(run)
        _midnight(run)
        _judge(run, "before the redrive", after_redrive=False)
        _redrive(run)
        _judge(run, "after the redrive", after_redrive=True)
        _compactions(run)
        _late_duplicates(run)
        _judge(run, "after late duplicates", after_redrive=True)
        compact(run)
        _judge(run, "in the end", after_redrive=True)
        found = audit(run.stack, in_flight=AT_ONCE, folder=folder)
    counts = script.counts()
    repeated = sum(counts.pop(name, 0) for name in REPEATED)
    report = {
        "seed": seed,
        "images": len(run.dropped),
        "faults": sum(counts.values()),
        "faults_by_kind": dict(sorted(counts.items())),
        "events_repeated": repeated,
        **{what: _ever(run, what) for what in ("lost", "doubled", "wrong")},
        "audit": {
            "uploaded": found.totals.uploaded,
            "missing": found.totals.missing,
            "doubled": found.totals.doubled,
            **{outcome.value: found.totals.by_outcome[outcome] for outcome in Outcome},
        },
        "seconds": round(time.monotonic() - began, 1),
    }
    (folder.parent / "torture.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(run, report)
    return report


def went_well(report: Mapping[str, Any]) -> bool:
    """Tell whether nothing was lost, doubled or wrong, here and in the audit."""
    audited = report["audit"]
    return not (
        report["lost"] or report["doubled"] or report["wrong"] or audited["missing"] or audited["doubled"]
    )


# ── the acts ───────────────────────────────────────────────────────────────────────────────────────────


def _storm(run: Run) -> None:
    _say(run, "Storm: faults of single requests, duplicate events, events out of order")
    put(run, run.plan.of(Wave.STORM))
    redeliver_events(run)
    _settle(run)


def _crashes(run: Run) -> None:
    drops = run.plan.of(Wave.CRASH)
    for part in range(run.plan.crashes):
        _say(run, "Crash: the embedded AWS is killed with images in flight, and started again")
        some = drops[part :: run.plan.crashes]
        before = len(rows(run))
        put(run, some)
        redeliver_events(run)
        until(lambda: len(rows(run)) > before, "no image of the wave came through")  # noqa: B023
        crash(run)
        _settle(run)


def _midnight(run: Run) -> None:
    _say(run, "Midnight: events of two days in any order, some after a backfill")
    events = run.stack.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ImageUploaded" in rule["Name"]]
    events.disable_rule(Name=rule)
    drops = put(run, run.plan.of(Wave.MIDNIGHT))
    collect(run)
    events.enable_rule(Name=rule)
    rng = random.Random(run.plan.seed)
    names = sorted(drops)
    rng.shuffle(names)
    withheld = [name for name in names if drops[name].is_withheld]
    for name in names:
        if name not in withheld:
            start(run, name)
    _settle(run)
    if withheld:
        wait_for(run, backfill(run.stack, WITHHELD))
        _settle(run)
        for name in withheld:
            run.script.note(AFTER_BACKFILL, drops[name].number)
            start(run, name)
        _settle(run)


def _redrive(run: Run) -> None:
    _say(run, "Redrive: everything that failed or is missing, once")
    run.script.is_redriving = True
    _settle(run)  # images that wait are decided without a redrive
    wait_for(run, redrive(run.stack, apply=True, in_flight=AT_ONCE).runs)
    _settle(run)


def _compactions(run: Run) -> None:
    for night in ("writes the days", "deletes what they were made of"):
        _say(run, f"Compaction that {night}: killed at one request after the other, until it succeeds")
        for request in count(step=run.plan.compactor_stride):
            run.script.let_compactor_die(request)
            if compact(run):
                break
            _judge(run, f"after the compactor's death at request {request}", after_redrive=True)
    run.script.let_compactor_die(None)
    _judge(run, "after compaction", after_redrive=True)


def _late_duplicates(run: Run) -> None:
    _say(run, "Late duplicates of events")
    rng = random.Random(run.plan.seed + 1)
    for name in rng.sample(sorted(run.events), min(len(run.events), 5 + len(run.events) // 5)):
        run.script.note(LATE, run.dropped[name].number)
        start(run, name)
    _settle(run)


def _judge(run: Run, when: str, *, after_redrive: bool) -> None:
    has_outage = OUTAGE in run.plan.writes.values()
    expected = {
        name: Expected(
            expected_outcomes(
                run.clean[drop.number], drop.injection, drop.duplicates, after_redrive=after_redrive
            ),
            may_be_missing=not after_redrive and (drop.wave is Wave.CRASH or has_outage or drop.may_wait),
            may_be_doubled=not after_redrive and drop.is_withheld,
        )
        for name, drop in run.dropped.items()
    }
    run.verdicts[when] = judge(expected, rows(run))


def _settle(run: Run) -> None:
    waiting = [drop for drop in run.dropped.values() if drop.may_wait and not run.script.is_redriving]
    settle(run, may_wait=sum(1 + drop.duplicates for drop in waiting))


def _ever(run: Run, what: str) -> int:
    """Return how many uploads were lost, doubled or wrong in any of the verdicts."""
    return len({name for verdict in run.verdicts.values() for name in getattr(verdict, what)})


def _say(run: Run, text: str) -> None:
    run.console.print(f"{time.monotonic() - run.began:4.0f} s  {text} …", highlight=False)


def _show(run: Run, report: Mapping[str, Any]) -> None:
    table = Table(title=f"Torture, seed {report['seed']}: {report['images']} images", title_justify="left")
    table.add_column("fault")
    table.add_column("times", justify="right")
    for name, times in report["faults_by_kind"].items():
        table.add_row(name, f"{times:,}")
    run.console.print(table)
    for what in ("lost", "doubled", "wrong"):
        shown: set[Name] = set()
        for when, verdict in run.verdicts.items():
            found: dict[Name, str] = getattr(verdict, what)
            for name in found.keys() - shown:
                run.console.print(f"{what} {when}: {name!r} {found[name]}", soft_wrap=True, markup=False)
            shown |= found.keys()
    audited = report["audit"]
    run.console.print(
        f"{report['faults']} faults, {report['events_repeated']} events repeated. "
        f"Lost: {report['lost']}, doubled: {report['doubled']}, wrong: {report['wrong']}. "
        f"The audit: {audited['missing']} missing, {audited['doubled']} doubled."
    )
