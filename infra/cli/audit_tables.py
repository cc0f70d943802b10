"""Audits, redrives and rejected images for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from infra.cli.terminal import Terminal
from infra.operations.audit import Audited
from infra.operations.backfill import Ended
from infra.operations.redrive import Redriven
from infra.operations.rejected import Rejected
from infra.operations.write_sheet import Reviewed
from workflow.outcome import Outcome

_SHOWN = 20


def audited(console: Terminal, found: Audited) -> None:
    """Print the books: outcomes, in flight and missing add up to what was uploaded."""
    books = found.books
    table = Table(title="Audit", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for outcome in Outcome:
        table.add_row(outcome.value, f"{books.by_outcome[outcome]:,}")
    table.add_row("in flight", f"{books.in_flight:,}")
    table.add_row("missing", f"{books.missing:,}", end_section=True)
    table.add_row("uploaded", f"{books.uploaded:,}", end_section=True)
    table.add_row("doubled", f"{books.doubled:,}")
    table.add_row("recorded, deleted since", f"{books.deleted_since:,}", end_section=True)
    table.add_row("outcomes to be written", f"{found.queues.results:,}")
    table.add_row("undelivered events", f"{found.queues.undelivered:,}")
    table.add_row("unrecorded outcomes", f"{found.queues.unrecorded:,}")
    console.print(table)
    for wrong, path in found.found.items():
        if getattr(books, wrong):
            console.print(f"{wrong}: listed in {path}", soft_wrap=True)
    letters = found.queues.undelivered + found.queues.unrecorded
    if books.missing or books.doubled or books.by_outcome[Outcome.FAILED] or letters:
        console.print("`make redrive` says what can be done again.")
    if books.is_clean:
        console.print("Nothing is lost, nothing is counted twice.")
    else:
        console.print("Something is lost, or counted twice.", style="bold red")


def redriven(console: Terminal, done: Redriven, *, applied: bool) -> None:
    """Print what is, or would be, done again."""
    plan = done.plan
    console.print(f"{'Classify' if applied else 'Would classify'} again: {plan.failed:,} failed,", end=" ")
    console.print(f"{plan.missing:,} missing.")
    letters = sum(len(letters) for _, letters in plan.undelivered.values())
    console.print(
        f"{'Took' if applied else 'Would take'} {letters:,} undelivered events into account,", end=" "
    )
    console.print(f"{'sent' if applied else 'send'} {len(plan.unrecorded):,} unrecorded outcomes again.")
    if plan.doubled:
        took = "Took" if applied else "Would take"
        console.print(f"{took} {plan.doubled:,} uploads that two days counted out of one of them.")
    for queue, letter in plan.unreadable[:_SHOWN]:
        console.print(f"left in the {queue}: {letter.body[:200]}", soft_wrap=True)
    if len(plan.unreadable) > _SHOWN:
        console.print(f"… and {len(plan.unreadable) - _SHOWN:,} more")
    if not applied:
        console.print("Nothing has been done: `make redrive APPLY=1` does it.")


def ended(console: Terminal, executions: Sequence[Ended]) -> None:
    """Print how executions ended."""
    for execution in executions:
        if execution.went_well:
            batches = execution.run.batches
            console.print(
                f"{batches:,} {'batch' if batches == 1 else 'batches'} done; `make audit` shows the outcomes."
            )
        else:
            console.print(execution.status, style="bold red", end=" ")
            console.print(f"{execution.why}: `make audit`, then `make redrive`", soft_wrap=True)


def rejected(console: Terminal, images: Sequence[Rejected]) -> None:
    """Print rejected images with their reasons, cut after some hundred."""
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


def reviewed(console: Terminal, done: Reviewed) -> None:
    """Print where the sheet is, and how many images wait."""
    queue = done.queue
    since = f"uploaded since {queue.since}"
    if done.page is None:
        console.print(f"No image {since} waits for review.")
        return
    console.print(f"Below the threshold, {since}, without a label: {queue.waiting:,}")
    unsure = len(queue.images) - queue.sampled
    if queue.waiting > unsure:
        console.print(f"The sheet has the {unsure:,} least certain; label them, and make the next one.")
    if queue.sampled:
        console.print(f"A fair sample of {queue.sampled:,} accepted images is on the sheet, too.")
    console.print(f"Open {done.page}, label, save; then make label FROM=file", soft_wrap=True)
