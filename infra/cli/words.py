"""What commands print: tables and sentences for people, and the same facts as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics.commands import how
from infra.cli.terminal import Terminal
from infra.stack import Stack
from workflow.outcome import Outcome

if TYPE_CHECKING:
    from analytics.report.cost import Costs, WayCost
    from infra.aws.changes import ChangeSet
    from infra.aws.deploy import Planned
    from infra.aws.doctor import Check
    from infra.aws.undeploy import Undeployed
    from infra.operations.audit import Audited
    from infra.operations.backfill import Ended
    from infra.operations.certify import Certified
    from infra.operations.check_endpoint import Checked
    from infra.operations.drop import Settled
    from infra.operations.import_capture import Imported
    from infra.operations.learn import Learned
    from infra.operations.redrive import Plan, Redriven
    from infra.operations.rejected import Rejected
    from infra.operations.story import Story
    from infra.operations.write_sheet import Reviewed

_SHOWN = 20
"""Most lines of one kind."""


def print_json(data: object) -> None:
    """Print an answer as JSON, in ASCII, so that any terminal and any pipe takes it."""
    click.echo(json.dumps(data, indent=2, default=_as_text))


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def stack_facts(stack: Stack) -> dict[str, Any]:
    """Return a stack for JSON, without its secret, which is in the file that `up` names."""
    return {name: value for name, value in asdict(stack).items() if name != "secret_access_key"}


def shown(path: Path) -> str:
    """Return a path for people: from the current folder, if it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# ── outcomes of a drop ─────────────────────────────────────────────────────────────────────────────────────


def show_outcomes(console: Terminal, settled: "Settled") -> None:
    """Print how many images came to which outcome, and which came to none."""
    from rich.table import Table

    table = Table(title="Outcomes", title_justify="left")
    table.add_column("outcome")
    table.add_column("images", justify="right")
    for outcome, images in settled.outcomes.items():
        table.add_row(outcome, f"{images:,}")
    table.add_row("missing", f"{len(settled.missing):,}")
    table.add_row("duplicates", f"{settled.duplicates:,}")
    console.print(table)
    if settled.latency_p50_ms is not None and settled.latency_p95_ms is not None:
        half, most = settled.latency_p50_ms / 1000, settled.latency_p95_ms / 1000
        console.print(
            f"From upload to outcome: {half:.1f} s for half of them, {most:.1f} s for 95 %.", highlight=False
        )
    for each in settled.missing[:_SHOWN]:
        console.print(f"no outcome: {each.key} (version {each.version_id})")


# ── cost ───────────────────────────────────────────────────────────────────────────────────────────────────


def cost_facts(found: "Costs") -> dict[str, Any]:
    """Return costs for JSON: inputs, quantities, prices, and what they come to."""

    def facts(way: "WayCost") -> dict[str, Any]:
        return {
            "way": way.name,
            "usd": way.usd,
            "without_endpoint_usd": way.without_endpoint_usd,
            "lines": [asdict(line) for line in (*way.lines, *([way.endpoint] if way.endpoint else []))],
            "usage": dict(way.usage),
            "refused": way.refused,
        }

    return {
        "inputs": asdict(found.load)
        | {"serialize_ms": found.load.serialize_mean_ms, "endpoint": str(found.endpoint)},
        "ways": [facts(way) for way in found.ways],
        "challenger": facts(found.challenger),
        "challenger_at_rest": [asdict(line) for line in found.challenger_at_rest],
        "at_rest": [asdict(line) for line in found.at_rest],
        "at_rest_without_monitoring": [asdict(line) for line in found.at_rest_without_monitoring],
        "storage": asdict(found.storage),
        "prices": asdict(found.prices),
    }


def show_costs(console: Terminal, found: "Costs") -> None:
    """Print what images cost in each way, the sum first; then what else costs, and every input."""
    from rich.table import Table

    load, prices = found.load, found.prices
    table = Table(title=f"US$ for {load.images:,} images of {load.size_bytes:,} bytes", title_justify="left")
    table.add_column("")
    for way in found.ways:
        table.add_column(way.name, justify="right")
    table.add_row("all", *(f"{way.usd:,.2f}" for way in found.ways))
    table.add_row("without the endpoint's time", *(f"{way.without_endpoint_usd:,.2f}" for way in found.ways))
    services = dict.fromkeys(line.service for way in found.ways for line in way.lines)
    by_way = [{line.service: line.usd for line in way.lines} for way in found.ways]
    for service in services:
        table.add_row(f"  {service}", *(f"{usd[service]:,.2f}" if service in usd else "–" for usd in by_way))
    endpoint = [f"{way.endpoint.usd:,.2f}" if way.endpoint else "–" for way in found.ways]
    table.add_row(f"  Endpoint, {found.endpoint}", *endpoint)
    console.print(table)
    for way in found.ways:
        if way.refused:
            console.print(f"{way.name}: AWS refuses it, {way.refused}", highlight=False)
    challenger = found.challenger
    console.print(
        f"A challenger that sees them, too: {challenger.usd:,.2f} more, of which "
        f"{challenger.usd - challenger.without_endpoint_usd:,.2f} for its endpoint, {found.endpoint}, and "
        f"{sum(line.usd for line in found.challenger_at_rest):,.2f} at rest.",
        highlight=False,
        soft_wrap=True,
    )
    rest = sum(line.usd for line in found.at_rest)
    least = sum(line.usd for line in found.at_rest_without_monitoring)
    console.print(
        f"A stack at rest, in these {load.days:g} days: {rest:,.2f} more; {least:,.2f} with Monitoring=None, "
        "without alarms, metrics and the dashboard.",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"To keep the images costs {found.storage.usd:,.2f} a month.", highlight=False)
    assumed = (
        f"Assumed: Serialize {load.serialize_mean_ms:g} ms, Classify {load.classify_ms:g} ms",
        f"(with the model {load.model_ms:g} ms at {load.model_memory_mb} MB), Decide {load.decide_ms:g} ms,",
        f"between the steps {load.between_steps_ms:g} ms; serverless endpoint {load.endpoint_ms:g} ms,",
        f"in a batch {load.batch_endpoint_ms:g} ms of ClassifyBatch's {load.batch_ms:g} ms an image;",
        f"{load.model_bytes:,} bytes to and from the endpoint. --json has every quantity.",
    )
    console.print(" ".join(assumed), highlight=False)
    source = f"Prices of {prices.as_of}, {prices.region}: {prices.source}"
    console.print(f"{source}. Without free tiers. --prices reads yours.", highlight=False)


# ── audit, redrive, backfill ───────────────────────────────────────────────────────────────────────────────


def show_audit(console: Terminal, audited: "Audited") -> None:
    """Print the reconciliation: outcomes, in flight and missing add up to what was uploaded."""
    totals, queues = audited.totals, audited.queues
    table = _two_columns("Audit")
    for outcome in Outcome:
        table.add_row(outcome.value, f"{totals.by_outcome[outcome]:,}")
    table.add_row("in flight", f"{totals.in_flight:,}")
    table.add_row("waiting for the endpoint", f"{totals.waiting:,}")
    table.add_row("missing", f"{totals.missing:,}", end_section=True)
    table.add_row("uploaded", f"{totals.uploaded:,}", end_section=True)
    table.add_row("doubled", f"{totals.doubled:,}")
    table.add_row("recorded, deleted since", f"{totals.deleted_since:,}", end_section=True)
    table.add_row("outcomes to be written", f"{queues.results:,}")
    table.add_row("undelivered events", f"{queues.undelivered:,}")
    table.add_row("unrecorded outcomes", f"{queues.unrecorded:,}")
    if audited.model_inputs.images:
        table.add_row("large images kept for the model", f"{audited.model_inputs.images:,}")
    console.print(table)
    if audited.model_inputs.overdue:
        console.print(
            f"{audited.model_inputs.overdue:,} large images should have expired: see the lifecycle rule "
            "expire-model-inputs of the results bucket."
        )
    for finding, path in audited.listed_in.items():
        if getattr(totals, finding):
            console.print(f"{finding}: listed in {shown(path)}", soft_wrap=True)
    in_queues = queues.undelivered + queues.unrecorded
    if totals.missing or totals.doubled or totals.by_outcome[Outcome.FAILED] or in_queues:
        console.print(f"`{how('redrive')}` shows what can be done again.")
    if totals.waiting:
        console.print("Images wait for the endpoint, and are decided as soon as it answers.")
    if totals.is_clean and totals.in_flight + totals.waiting:
        pending = f"{totals.in_flight:,} in flight, {totals.waiting:,} waiting"
        console.print(f"Nothing is lost so far: {pending}. Nothing is counted twice.")
    elif totals.is_clean:
        console.print("Nothing is lost, nothing is counted twice.")
    else:
        console.print("Something is lost, or counted twice.", style="bold red")


def audit_facts(audited: "Audited") -> dict[str, Any]:
    """Return an audit for JSON."""
    totals = audited.totals
    return {
        "is_clean": totals.is_clean,
        "uploaded": totals.uploaded,
        "outcomes": {outcome.value: totals.by_outcome[outcome] for outcome in Outcome},
        "in_flight": totals.in_flight,
        "waiting": totals.waiting,
        "missing": totals.missing,
        "doubled": totals.doubled,
        "deleted_since": totals.deleted_since,
        "queues": asdict(audited.queues),
        "model_inputs": asdict(audited.model_inputs),
        "listed_in": {finding: str(path) for finding, path in audited.listed_in.items()},
    }


def show_redrive(console: Terminal, done: "Redriven", *, applied: bool) -> None:
    """Print what is, or would be, done again."""
    plan = done.plan
    undelivered = sum(len(messages) for _, messages in plan.undelivered.values())
    console.print(f"{'Classify' if applied else 'Would classify'} again: {plan.failed:,} failed,", end=" ")
    console.print(f"{plan.missing:,} missing.")
    if plan.waiting:
        console.print(
            f"{plan.waiting:,} wait for the endpoint, and are decided as soon as it answers. "
            "Missing images are not among the above: they cannot be told from those that wait."
        )
    console.print(f"{'Used' if applied else 'Would use'} {undelivered:,} undelivered events,", end=" ")
    console.print(f"{'sent' if applied else 'send'} {len(plan.unrecorded):,} unrecorded outcomes again.")
    if plan.doubled:
        removed = "Removed" if applied else "Would remove"
        console.print(f"{removed} the extra rows of {plan.doubled:,} uploads that count on two days.")
    for queue, message in plan.unreadable[:_SHOWN]:
        console.print(f"left in the queue of {queue}: {message.body[:200]}", soft_wrap=True)
    if len(plan.unreadable) > _SHOWN:
        console.print(f"… and {len(plan.unreadable) - _SHOWN:,} more")
    if not applied:
        console.print(f"Nothing has been done: `{how('redrive', APPLY='')}` does it.")


def plan_facts(plan: "Plan") -> dict[str, Any]:
    """Return the plan of a redrive for JSON."""
    return {
        "failed": plan.failed,
        "missing": plan.missing,
        "waiting": plan.waiting,
        "undelivered": sum(len(messages) for _, messages in plan.undelivered.values()),
        "unrecorded": len(plan.unrecorded),
        "doubled": plan.doubled,
        "unreadable": [{"queue": queue, "body": message.body} for queue, message in plan.unreadable],
    }


def show_executions(console: Terminal, executions: "Sequence[Ended]") -> None:
    """Print how executions ended."""
    for execution in executions:
        if execution.went_well:
            batches = execution.run.batches
            console.print(
                f"{batches:,} {'batch' if batches == 1 else 'batches'} done; "
                f"`{how('audit')}` shows the outcomes."
            )
        else:
            console.print(execution.status, style="bold red", end=" ")
            console.print(f"{execution.why}: `{how('audit')}`, then `{how('redrive')}`", soft_wrap=True)


def execution_facts(executions: "Sequence[Ended]") -> dict[str, Any]:
    """Return how executions ended, for JSON."""
    return {
        "executions": [
            {
                "arn": each.run.execution_arn,
                "batches": each.run.batches,
                "status": each.status,
                "why": each.why or None,
            }
            for each in executions
        ]
    }


# ── one image's story ──────────────────────────────────────────────────────────────────────────────────────


def show_story(console: Terminal, story: "Story", picture: Path | None) -> None:
    """Print one image's story; `picture` is the file with what the model sees of it."""
    from rich.table import Table

    from analytics.text import seconds

    for said in (story.key.replace("\n", "�"), story.fate, *story.notes):
        console.print(said, highlight=False, soft_wrap=True)
    if story.steps:
        table = Table(title="Steps", title_justify="left")
        for column in ("step", "at (UTC)", "took", ""):
            table.add_column(column, overflow="fold")
        for step in story.steps:
            took = "" if step.took_ms is None else seconds(step.took_ms)
            table.add_row(step.name, _at(step.at), took, step.said)
        console.print(table)
    if story.scores:
        table = Table(title="Scores", title_justify="left")
        table.add_column("class")
        table.add_column("probability", justify="right")
        for name, score in list(story.scores.items())[:_SHOWN]:
            table.add_row(name, f"{score:.4f}")
        console.print(table)
    for said in story.decision:
        console.print(said, highlight=False, soft_wrap=True)
    if story.seen_said:
        where = f"{shown(picture)}. " if picture else ""
        console.print(f"What the model sees: {where}{story.seen_said}", highlight=False, soft_wrap=True)
    near = story.neighbours
    named = [f"{each.name} ({each.label}, {each.similarity:.3f})" for each in near.images]
    if named or near.why_none:
        what = ", ".join(named) or near.why_none
        console.print(f"Nearest training images: {what}", highlight=False, soft_wrap=True)
    _show_rows(console, story)
    for label in story.labels:
        by, kind = label.labelled_by or "somebody", label.source or "no source"
        said = (
            f"Labelled {label.true_label or 'none of the classes'} by {by}, {_at(label.labelled_at)} ({kind})"
        )
        console.print(f"{said}{', counts' if label.counts else ''}.", highlight=False, soft_wrap=True)
    if story.cost_micro_usd is not None:
        console.print(
            f"Cost: {story.cost_micro_usd:.1f} millionths of a dollar, by list prices.", highlight=False
        )
    for mend in story.mends:
        console.print(f"  {mend.command}  ({mend.why})", highlight=False, soft_wrap=True)
    for _, command in story.near_keys:
        console.print(f"Perhaps: {command}", highlight=False, soft_wrap=True)
    for upload, said in story.others[:_SHOWN]:
        version = upload.version_id or upload.etag
        console.print(f"Also under this key: version {version}, {said}", highlight=False, soft_wrap=True)
    if len(story.others) > _SHOWN:
        console.print(f"… and {len(story.others) - _SHOWN:,} more")


def _show_rows(console: Terminal, story: "Story") -> None:
    from rich.table import Table

    if not story.rows:
        return
    table = Table(title="Rows", title_justify="left")
    for column in ("decided (UTC)", "outcome", "label", "model", "what became of it", "file"):
        table.add_column(column, overflow="fold")
    for told in story.rows:
        row = told.row
        answer = (row.label or "", row.model_version or "")
        table.add_row(_at(row.decided_at), row.outcome, *answer, told.became, row.path)
    console.print(table)


def _at(at: datetime | None) -> str:
    """Return a time, with milliseconds where they are known: S3 tells seconds."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}" + (f"{at:.%f}"[:4] if at.microsecond else "")


def story_facts(story: "Story", picture: Path | None) -> dict[str, Any]:
    """Return one image's story for JSON, without the picture."""
    facts = asdict(story)
    if facts["seen"]:
        del facts["seen"]["file"]
    return {**facts, "picture": picture and str(picture)}


# ── rejected images, the review sheet ──────────────────────────────────────────────────────────────────────


def show_rejected(console: Terminal, images: "Sequence[Rejected]") -> None:
    """Print rejected images with their reasons, at most some hundred."""
    from rich.table import Table

    table = Table(title="Rejected", title_justify="left")
    for column in ("uploaded (UTC)", "key", "reason", "detail"):
        table.add_column(column, overflow="fold")
    for image in images[: _SHOWN * 10]:
        at = f"{image.uploaded_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, image.key, image.reason, image.detail or "")
    console.print(table)
    if len(images) > _SHOWN * 10:
        console.print(f"… and {len(images) - _SHOWN * 10:,} more")
    console.print(f"Rejected: {len(images):,}. Upload a fixed image under the same key to try again.")


def show_review(console: Terminal, reviewed: "Reviewed") -> None:
    """Print where the sheet is, and how many images wait."""
    queue = reviewed.queue
    since = f"uploaded since {queue.since}"
    if reviewed.page is None:
        console.print(f"No image {since} waits for review.")
        return
    console.print(f"For review, {since}, without a label: {queue.waiting:,}")
    unsure = len(queue.images) - queue.sampled
    if queue.waiting > unsure:
        console.print(f"The sheet has {unsure:,} of them. Label them, then write the next sheet.")
    if queue.sampled:
        console.print(f"The sheet also has a random sample of {queue.sampled:,} accepted images.")
    console.print(
        f"Open {shown(reviewed.page)}, label, save; then {how('label', FROM='file')}", soft_wrap=True
    )


def show_certificate(console: Terminal, certified: "Certified", week: str) -> None:
    """Print what is certain about a week's accepted images, and which labels are missing."""
    from analytics.review.words import certificate_sentence, still_to_go

    certificate = certified.certificate
    console.print(certificate_sentence(certificate, week), highlight=False, soft_wrap=True)
    console.print(still_to_go(certificate), highlight=False, soft_wrap=True)
    if certified.page is None:
        return
    for image in certified.queue.images[:_SHOWN]:
        console.print(f"  {image.key} ({image.upload_id[:16]}…)", highlight=False, soft_wrap=True)
    if len(certified.queue.images) > _SHOWN:
        console.print(f"  … and {len(certified.queue.images) - _SHOWN:,} more", highlight=False)
    console.print(
        f"Open {shown(certified.page)}, label, save; then {how('label', FROM='file')}", soft_wrap=True
    )


def certificate_facts(certified: "Certified") -> dict[str, Any]:
    """Return a certificate for JSON."""
    return {
        **asdict(certified.certificate),
        "precision": certified.certificate.precision,
        "page": certified.page and str(certified.page),
        "next": [
            {"upload_id": each.upload_id, "key": each.key, "version_id": each.version_id}
            for each in certified.queue.images
        ],
    }


def show_learned(console: Terminal, learned: "Learned") -> None:
    """Print how the taught model compares, and where it is or what is missing."""
    found = learned.comparison
    console.print(
        f"{found.labels:,} labelled images, out of fold: {found.right:,} right, {found.right_before:,} "
        f"before; only the new model is right on {found.wins:,}, only the present one on {found.losses:,} "
        f"(p = {found.p_value:.3g}).",
        highlight=False,
        soft_wrap=True,
    )
    if learned.left_out:
        console.print(f"{learned.left_out:,} were left out: another class, or no picture.", highlight=False)
    if learned.folder:
        up = how("up", MODEL=shown(learned.folder))
        console.print(
            f"It is better: {learned.model_version} is in {shown(learned.folder)}. Serve it: `{up}`"
        )
    elif missing := found.missing_labels:
        console.print(f"That may be chance: about {missing:,} more labels would show it.")
    else:
        console.print("The new model is not better. Nothing was written.")


def learned_facts(learned: "Learned") -> dict[str, Any]:
    """Return what was learned, for JSON."""
    return {
        **asdict(learned.comparison),
        "is_better": learned.comparison.is_better,
        "missing_labels": learned.comparison.missing_labels,
        "left_out": learned.left_out,
        "model_version": learned.model_version,
        "folder": learned.folder and str(learned.folder),
    }


# ── import of data capture ─────────────────────────────────────────────────────────────────────────────────


def show_import(console: Terminal, imported: "Imported", new: int, known: int, log: Path) -> None:
    """Print what was imported and what was not, and write all of the latter to a file."""
    from analytics.text import plural

    title = f"{plural(imported.lines, 'line')} of {plural(imported.files, 'file')}"
    table = _two_columns(title)
    for outcome, images in sorted(imported.outcomes.items()):
        table.add_row(outcome, f"{images:,}")
    table.add_row("new in the table", f"{new:,}")
    table.add_row("known before, decided again", f"{known:,}")
    table.add_row("requests of Scones itself, recorded already", f"{imported.on_record:,}")
    table.add_row("lines that could not be imported", f"{len(imported.bad):,}")
    table.add_row("other files, not read", f"{imported.other_files:,}")
    console.print(table)
    for line in imported.bad[:_SHOWN]:
        console.print(f"{line.place}: {line.why}", highlight=False, soft_wrap=True)
    if imported.bad:
        log.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{line.place}: {line.why}\n" for line in imported.bad)
        log.write_text(lines, encoding="utf-8", errors="backslashreplace")
        console.print(f"{shown(log)} has all of them", soft_wrap=True)


def import_facts(imported: "Imported", new: int, known: int) -> dict[str, Any]:
    """Return an import for JSON."""
    return {
        "files": imported.files,
        "lines": imported.lines,
        "outcomes": dict(sorted(imported.outcomes.items())),
        "new": new,
        "known": known,
        "on_record": imported.on_record,
        "other_files": imported.other_files,
        "bad": [asdict(line) for line in imported.bad],
    }


# ── an endpoint ──


def show_checked_endpoint(console: Terminal, checked: "Checked") -> None:
    """Print what an endpoint answered to a few images, and whether a stack would understand it."""
    from rich.table import Table

    table = Table(title="Answers", title_justify="left")
    for column in ("label", "confidence", "classes", "sum", "unfamiliarity", "ms"):
        table.add_column(column, justify="left" if column == "label" else "right")
    for image in checked.images:
        if image.error is None:
            unfamiliarity = "–" if image.unfamiliarity is None else f"{image.unfamiliarity:.3f}"
            table.add_row(
                image.label,
                f"{image.confidence:.4f}",
                f"{image.classes}, {'by name' if image.named else 'by position'}",
                f"{image.probability_sum:.4f}",
                unfamiliarity,
                f"{image.milliseconds:,.0f}",
            )
        else:
            table.add_row("–", *("–" for _ in range(4)), f"{image.milliseconds:,.0f}")
    console.print(table)
    for error in dict.fromkeys(image.error for image in checked.images if image.error):
        console.print(error, highlight=False, soft_wrap=True)
    if checked.takes_batches:
        console.print(
            f"Batches: {checked.batch_ms:,.0f} ms an image; probabilities differ by at most "
            f"{checked.batch_differs_by:.2g}.",
            highlight=False,
        )
    else:
        console.print("Batches: not taken. A backfill asks image by image.", highlight=False)
    console.print(
        f"Ready: `{how('deploy')}` with these PARAMETERS."
        if checked.is_ready
        else "Not ready: every such image would fail.",
        highlight=False,
    )


# ── AWS ────────────────────────────────────────────────────────────────────────────────────────────────────


def show_changes(console: Terminal, planned: "Planned") -> None:
    """Print what a deployment changes: parameters with both values, and resources."""
    for name, (before, after) in planned.parameters.items():
        said = f"{after!r}" if before is None else f"{before!r} → {after!r}"
        console.print(f"  {name}: {said}", highlight=False, soft_wrap=True)
    if not planned.changes:
        console.print("The stack has these resources and this code already: nothing to change.")
        return
    show_resources(console, planned.changes)


def planned_facts(planned: "Planned") -> dict[str, Any]:
    """Return what a deployment changes, for JSON."""
    changes = planned.changes
    return {
        "stack": planned.stack_name,
        "is_new": bool(changes and changes.is_new),
        "parameters": {
            name: {"before": before, "after": after} for name, (before, after) in planned.parameters.items()
        },
        "resources": [asdict(each) for each in changes.changes] if changes else [],
    }


def show_checks(console: Terminal, checks: "Sequence[Check]") -> None:
    """Print what a look over an account found, and what to do."""
    styles = {"good": "green", "look": "yellow", "bad": "bold red"}
    for check in checks:
        console.print(f"{check.state:<5}", style=styles[check.state], end="")
        advice = f"\n     → {check.advice}" if check.advice else ""
        console.print(f"{check.what}: {check.found}{advice}", highlight=False, soft_wrap=True)


def show_resources(console: Terminal, changes: "ChangeSet") -> None:
    """Print what happens to the resources of a stack. Of a new stack, only their number."""
    if changes.is_new:
        console.print(f"  creates the stack {changes.stack_name!r}: {len(changes.changes)} resources")
        return
    for change in changes.changes:
        replaced = {"True": ", replaced", "Conditional": ", perhaps replaced"}.get(change.replacement, "")
        line = f"  {change.action.lower()} {change.resource} ({change.type}{replaced})"
        console.print(line, highlight=False, soft_wrap=True, style="bold" if replaced else "")


def show_undeployed(console: Terminal, done: "Undeployed", region: str) -> None:
    """Print what is gone and what stays of a deployment, and how to delete the rest."""
    if not done.was_there:
        console.print(f"Nothing is deployed in {region}.", highlight=False)
        return
    console.print(f"Deleted from {region}, with Athena's answers and the code. Kept, and still paid for:")
    for bucket in done.kept:
        console.print(f"  s3://{bucket}", highlight=False, soft_wrap=True)
    console.print(
        f"S3's console empties and deletes them. `{how('endpoint-delete')}` deletes an endpoint that "
        f"`{how('endpoint')}` made."
    )


def _two_columns(title: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    return table
