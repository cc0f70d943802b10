"""The course of a torture: what is dropped, broken, waited for, redriven and counted, in this order."""

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
from tests.torture.course import (
    AGAIN,
    Course,
    collect,
    compact,
    crash,
    learn,
    put,
    put_between,
    rows,
    settle,
    start,
    start_copies,
    until,
    up,
    wait_for,
)
from tests.torture.faults import OUTAGE
from tests.torture.plan import WITHHELD, Wave, plan
from tests.torture.proxy import Proxy, Script
from tests.torture.verdict import Expected, Name, judge, rights
from workflow.outcome import Outcome

IMAGES = 500
AT_ONCE = timedelta(0)
LATE, AFTER_BACKFILL = "event comes late", "event comes after a backfill"
REPEATED = (AGAIN, LATE, AFTER_BACKFILL)


def torture(console: Console, seed: int, images: int = IMAGES, folder: Path | None = None) -> dict[str, Any]:
    """Torture a system of its own, which ends with it; return what `torture.json` says.

    Raises:
        infra.laptop.local.CannotStart: processes cannot be killed by their connections here.
        TimeoutError: something went on and on.
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
        course = Course(planned, script, proxy, console, folder, stack)
        put_between(course)
        learn(course)
        _storm(course)
        _crashes(course)
        _midnight(course)
        _judge(course, "before the redrive", after_redrive=False)
        _redrive(course)
        _judge(course, "after the redrive", after_redrive=True)
        _compactions(course)
        _late_copies(course)
        _judge(course, "after late copies", after_redrive=True)
        compact(course)
        _judge(course, "in the end", after_redrive=True)
        found = audit(course.stack, in_flight=AT_ONCE, folder=folder)
    counts = script.counts()
    repeated = sum(counts.pop(name, 0) for name in REPEATED)
    report = {
        "seed": seed,
        "images": len(course.dropped),
        "faults": sum(counts.values()),
        "faults_by_kind": dict(sorted(counts.items())),
        "events_repeated": repeated,
        **{what: _ever(course, what) for what in ("lost", "doubled", "wrong")},
        "audit": {
            "uploaded": found.totals.uploaded,
            "missing": found.totals.missing,
            "doubled": found.totals.doubled,
            **{outcome.value: found.totals.by_outcome[outcome] for outcome in Outcome},
        },
        "seconds": round(time.monotonic() - began, 1),
    }
    (folder.parent / "torture.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    _show(course, report)
    return report


def went_well(report: Mapping[str, Any]) -> bool:
    """Tell whether nothing was lost, doubled or wrong, by our own count and by the audit's."""
    books = report["audit"]
    return not (
        report["lost"] or report["doubled"] or report["wrong"] or books["missing"] or books["doubled"]
    )


# ── what is done ───────────────────────────────────────────────────────────────────────────────────────────


def _storm(course: Course) -> None:
    _say(course, "Storm: faults for single images, events that come twice and in any order")
    put(course, course.plan.of(Wave.STORM))
    start_copies(course)
    settle(course)


def _crashes(course: Course) -> None:
    drops = course.plan.of(Wave.CRASH)
    for part in range(course.plan.crashes):
        _say(course, "Crash: the embedded AWS is killed with images in flight, and brought up again")
        some = drops[part :: course.plan.crashes]
        before = len(rows(course))
        put(course, some)
        start_copies(course)
        until(lambda: len(rows(course)) > before, "no image of the wave came through")  # noqa: B023
        crash(course)
        settle(course)


def _midnight(course: Course) -> None:
    _say(course, "Midnight: events of two days in any order, some after a backfill")
    events = course.stack.client("events")
    (rule,) = [rule["Name"] for rule in events.list_rules()["Rules"] if "ImageUploaded" in rule["Name"]]
    events.disable_rule(Name=rule)
    drops = put(course, course.plan.of(Wave.MIDNIGHT))
    collect(course)
    events.enable_rule(Name=rule)
    rng = random.Random(course.plan.seed)
    names = sorted(drops)
    rng.shuffle(names)
    withheld = [name for name in names if drops[name].is_withheld]
    for name in names:
        if name not in withheld:
            start(course, name)
    settle(course)
    if withheld:
        wait_for(course, backfill(course.stack, WITHHELD))
        settle(course)
        for name in withheld:
            course.script.note(AFTER_BACKFILL, drops[name].number)
            start(course, name)
        settle(course)


def _redrive(course: Course) -> None:
    _say(course, "Redrive: what failed or is missing, once")
    course.script.is_redriving = True
    wait_for(course, redrive(course.stack, apply=True, in_flight=AT_ONCE).runs)
    settle(course)


def _compactions(course: Course) -> None:
    _say(course, "Compaction: killed at one request after the other, until it comes through")
    for request in count(step=course.plan.compactor_stride):
        course.script.let_compactor_die(request)
        if compact(course):
            break
        _judge(course, f"after the compactor's death at request {request}", after_redrive=True)
    course.script.let_compactor_die(None)
    _judge(course, "after compaction", after_redrive=True)


def _late_copies(course: Course) -> None:
    _say(course, "Late copies of events")
    rng = random.Random(course.plan.seed + 1)
    for name in rng.sample(sorted(course.events), min(len(course.events), 5 + len(course.events) // 5)):
        course.script.note(LATE, course.dropped[name].number)
        start(course, name)
    settle(course)


def _judge(course: Course, when: str, *, after_redrive: bool) -> None:
    has_outage = OUTAGE in course.plan.writes.values()
    expected = {
        name: Expected(
            rights(course.clean[drop.number], drop.ailment, drop.copies, after_redrive=after_redrive),
            may_be_missing=not after_redrive and (drop.wave is Wave.CRASH or has_outage),
            may_be_doubled=not after_redrive and drop.is_withheld,
        )
        for name, drop in course.dropped.items()
    }
    course.verdicts[when] = judge(expected, rows(course))


def _ever(course: Course, what: str) -> int:
    """Return how many uploads were lost, doubled or wrong in any of the verdicts."""
    return len({name for verdict in course.verdicts.values() for name in getattr(verdict, what)})


def _say(course: Course, text: str) -> None:
    course.console.print(f"{time.monotonic() - course.began:4.0f} s  {text} …", highlight=False)


def _show(course: Course, report: Mapping[str, Any]) -> None:
    table = Table(title=f"Torture, seed {report['seed']}: {report['images']} images", title_justify="left")
    table.add_column("fault")
    table.add_column("met", justify="right")
    for name, met in report["faults_by_kind"].items():
        table.add_row(name, f"{met:,}")
    course.console.print(table)
    for what in ("lost", "doubled", "wrong"):
        shown: set[Name] = set()
        for when, verdict in course.verdicts.items():
            found: dict[Name, str] = getattr(verdict, what)
            for name in found.keys() - shown:
                course.console.print(f"{what} {when}: {name!r} {found[name]}", soft_wrap=True, markup=False)
            shown |= found.keys()
    books = report["audit"]
    course.console.print(
        f"{report['faults']} faults, {report['events_repeated']} events repeated. "
        f"Lost: {report['lost']}, doubled: {report['doubled']}, wrong: {report['wrong']}. "
        f"The audit: {books['missing']} missing, {books['doubled']} doubled."
    )
