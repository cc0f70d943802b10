"""`scones …`: the Makefile's commands. Each is a function elsewhere; here are words and exit codes."""

import os
import re
import sys
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from analytics.athena.engine import QueryFailed, QueryRefused
from analytics.lake.compaction import CompactionFailed
from analytics.lake.mirror import MirrorFailed
from analytics.questions.queries import UnknownQuery, console_query, question, saved_queries, week_query
from analytics.report.cost import query_usd
from analytics.report.isoweek import IsoWeek
from analytics.review.labels import UnusableLabels
from analytics.text import plural
from infra.aws.deploy import DeployFailed
from infra.aws.package import WEIGHTS
from infra.aws.undeploy import CannotUndeploy
from infra.cli.model import evaluate, train
from infra.cli.terminal import Terminal
from infra.laptop.local import CannotStart
from infra.operations.backfill import NothingToDo
from infra.operations.drop import NothingToDrop
from infra.operations.import_capture import CannotImport
from infra.operations.listing import UnusableInventory
from infra.stack import STACK_NAME, NotUp, Stack, stack_file, state_folder
from ingest.errors import SconesError

BUILD = state_folder()
console = Terminal()
_errors = Terminal(stderr=True)

_FOR_PEOPLE = (
    BotoCoreError,
    CannotImport,
    CannotStart,
    CannotUndeploy,
    ClientError,
    CompactionFailed,
    DeployFailed,
    MirrorFailed,
    NothingToDo,
    NothingToDrop,
    NotUp,
    QueryFailed,
    QueryRefused,
    SconesError,
    UnusableInventory,
    UnusableLabels,
    OSError,
)
"""Errors that say what to do; any other one is a fault of ours, and shows where it came from."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def scones() -> None:
    """Classify images on AWS, or on this laptop."""


@scones.command()
@click.option(
    "--model", type=click.Path(file_okay=False, path_type=Path), default=WEIGHTS, help="Folder of a model."
)
def up(model: Path) -> None:
    """Start the embedded AWS and the endpoint, and deploy to them. SCONES_HOME, SCONES_PORT: where."""
    from infra.laptop import local

    port = os.environ.get("SCONES_PORT")
    if port and not port.isdecimal():
        raise click.ClickException(f"SCONES_PORT is {port!r}: a port is a number")
    stack = local.up(state_folder() / "home", int(port) if port else None, stack_file(), model=model)
    console.print(f"Up at {stack.endpoint_url}; {stack_file()} says where everything is.")
    console.print(
        f"Drop images: make drop FROM=folder, or aws s3 cp to s3://{stack.incoming_bucket}", soft_wrap=True
    )


@scones.command()
def down() -> None:
    """Stop what `up` started; what it holds stays in SCONES_HOME."""
    from infra.laptop import local

    try:
        local.down(stack_file())
    except NotUp:
        console.print("Nothing is up.")
    else:
        console.print("Down. What it held is kept; `make up` brings it back.")


@scones.command()
@click.argument("folder", metavar="FROM", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--patience", "patience_s", default=180.0, help="Seconds without news before giving up.")
def drop(folder: Path, patience_s: float) -> None:
    """Drop every file of the folder FROM into the incoming bucket, and wait for the outcomes."""
    from infra.cli import tables as show
    from infra.operations import drop as dropping

    stack = current_stack()
    with dropping.progress_bar(console) as progress:
        dropped = dropping.drop(stack, dropping.files_of(folder), progress)
        settled = dropping.settle(stack, dropped, progress, patience_s)
    show.outcomes(console, settled)
    sys.exit(1 if settled.missing else 0)


@scones.command()
@click.argument("sql", required=False)
@click.option("--name", help="Of a saved query, instead of SQL.")
@click.option(
    "--week", help="ISO week, like 2026-W47, that a saved query is about; else the last four weeks."
)
def query(sql: str | None, name: str | None, week: str | None) -> None:
    """Ask SQL in Athena's dialect, or a saved query, and print the answer; with neither, list those saved."""
    from infra.cli import tables as show
    from infra.operations.answers import engine

    if not sql and not name and not week:
        show.questions(console)
        return
    if bool(sql) == bool(name) or (week and not name):
        raise click.UsageError('say SQL="SELECT …" or NAME= of a saved query, and with that perhaps WEEK=')
    asked = sql or _saved(name or "", week)
    stack = current_stack()
    with engine(stack) as answers:
        answer = answers.query(asked)
    if name:
        console.print(question(name), highlight=False)
    show.answer(console, None, answer.frame)
    if stack.endpoint_url is None:
        console.print(
            f"Athena scanned {answer.scanned_bytes:,} bytes: ${query_usd(answer.scanned_bytes):.5f}",
            highlight=False,
        )


@scones.command()
@click.option("--week", help="ISO week, like 2026-W47; this one if left out.")
@click.option("--compare", help="Week to compare with; the one before if left out.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=BUILD / "report")
def report(week: str | None, compare: str | None, out: Path) -> None:
    """Write a week's report. Exit code 2 means that it asks for attention."""
    from infra.operations.answers import engine
    from infra.operations.write_report import report_of, this_week

    try:
        chosen = IsoWeek.parse(week) if week else this_week()
        other = IsoWeek.parse(compare) if compare else chosen.back()
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if other == chosen:
        raise click.ClickException(f"{chosen} cannot be compared with itself")
    stack = current_stack()
    with engine(stack) as answers:
        written = report_of(stack, answers, chosen, other)
    page = written.write(out)
    console.print(written.to_text(), highlight=False)
    console.print(f"{page}, report.json and digest.md beside it")
    sys.exit(0 if written.verdict.ok else 2)


@scones.command()
def compact() -> None:
    """Make few large files of each day's many small ones, today's too; the nightly Lambda does the rest."""
    from analytics.lake.aws import ResultsBucket
    from analytics.lake.compaction import compact as compact_days

    stack = current_stack()
    for day in compact_days(ResultsBucket(stack.client("s3"), stack.results_bucket)):
        console.print(f"{day.dt}: {day.files_before} files → {day.files}, {day.rows.once} uploads")
    console.print("Every day is compact.")


@scones.command()
@click.argument("prefix")
def backfill(prefix: str) -> None:
    """Classify every object version under PREFIX in batches, those that have an outcome included."""
    from infra.cli import audit_tables as show_books
    from infra.operations import backfill as backfilling
    from infra.operations.drop import progress_bar

    stack = current_stack()
    runs = backfilling.backfill(stack, prefix)
    with progress_bar(console) as progress:
        ended = backfilling.wait(stack, runs, progress)
    show_books.ended(console, ended)
    sys.exit(0 if all(each.went_well for each in ended) else 1)


@scones.command()
@click.option("--prefix", default="", help="Of the keys; all if left out.")
@click.option("--inventory", help="s3://…/manifest.json of an S3 Inventory, instead of listing the bucket.")
@click.option("--in-flight", "in_flight_s", type=float, help="Seconds that an upload may take.")
def audit(prefix: str, inventory: str | None, in_flight_s: float | None) -> None:
    """Compare the incoming bucket with the table. Exit code 1: something is missing or doubled."""
    from infra.cli import audit_tables as show_books
    from infra.operations import audit as auditing

    found = auditing.audit(current_stack(), prefix, inventory, _in_flight(in_flight_s))
    show_books.audited(console, found)
    sys.exit(0 if found.books.is_clean else 1)


@scones.command()
@click.option("--apply", is_flag=True, help="Do it, and wait for it; else only say what would be done.")
@click.option("--in-flight", "in_flight_s", type=float, help="Seconds that an upload may take.")
def redrive(apply: bool, in_flight_s: float | None) -> None:
    """Classify again what failed or is missing, and empty the dead-letter queues."""
    from infra.cli import audit_tables as show_books
    from infra.operations import backfill as backfilling
    from infra.operations import redrive as redriving
    from infra.operations.drop import progress_bar

    stack = current_stack()
    done = redriving.redrive(stack, apply=apply, in_flight=_in_flight(in_flight_s))
    show_books.redriven(console, done, applied=apply)
    if not done.runs:
        return
    with progress_bar(console) as progress:
        ended = backfilling.wait(stack, done.runs, progress)
    show_books.ended(console, ended)
    sys.exit(0 if all(each.went_well for each in ended) else 1)


@scones.command()
@click.option(
    "--download", "folder", type=click.Path(file_okay=False, path_type=Path), help="Copy them here."
)
def rejected(folder: Path | None) -> None:
    """List rejected images with their reasons."""
    from infra.cli import audit_tables as show_books
    from infra.operations import rejected as rejecting
    from infra.operations.answers import engine

    stack = current_stack()
    with engine(stack) as answers:
        images = rejecting.rejected_images(answers)
    show_books.rejected(console, images)
    if folder:
        copied = rejecting.download(stack.client("s3"), stack.incoming_bucket, images, folder)
        console.print(f"{copied:,} copied to {folder}; {rejecting.INDEX} says which is which", soft_wrap=True)


@scones.command()
@click.option("--since", help="UTC date of the first uploads, like 2026-11-16; four weeks ago if left out.")
@click.option("--sample", type=click.IntRange(0, 1000), default=0, help="How many accepted images to add.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=BUILD / "review")
def review(since: str | None, sample: int, out: Path) -> None:
    """Write a page of the images below the threshold, to say what each shows with one key press."""
    from infra.cli import audit_tables as show_books
    from infra.operations import write_sheet as reviewing
    from infra.operations.answers import engine

    try:
        first = date.fromisoformat(since) if since else None
    except ValueError as error:
        raise click.ClickException(f"SINCE={since}: a date is like 2026-11-16") from error
    stack = current_stack()
    with engine(stack) as answers:
        reviewed = reviewing.review(stack, answers, first, sample, out)
    show_books.reviewed(console, reviewed)


@scones.command()
@click.argument("source", metavar="FROM")
def label(source: str) -> None:
    """Take a labels file, as a review sheet saves it, into the table: FROM is a file or s3://bucket/key."""
    from infra.operations.answers import engine
    from infra.operations.load_labels import load_labels

    stack = current_stack()
    with engine(stack) as answers:
        images = load_labels(stack, answers, source)
    console.print(f"Labels of {plural(images, 'image')} loaded. `make report` measures precision by them.")


@scones.command("import-capture")
@click.argument("source", metavar="FROM")
@click.option("--classes", help="Of that endpoint, in the order of its scores: a,b; else those of the stack.")
@click.option("--threshold", help="The least confidence that is accepted; else those of the stack.")
def import_capture(source: str, classes: str | None, threshold: str | None) -> None:
    """Make rows of SageMaker's data-capture files in FROM, a folder or s3://bucket/prefix."""
    from infra.cli import tables as show
    from infra.operations import import_capture as importing
    from infra.operations.answers import engine

    stack = current_stack()
    judged = importing.judgement(stack, classes, threshold)
    with console.status(Text(f"Reading {source} …")):
        done = importing.import_capture(stack, source, judged)
        with engine(stack) as answers:
            new, known = importing.new_and_known(answers, done)
    show.imported(console, done, new, known, BUILD / "import-capture.txt")
    sys.exit(1 if done.bad else 0)


@scones.command()
def demo() -> None:
    """Run the main job on images that are drawn for it."""
    from infra import demo as demonstration

    summary = demonstration.run(console)
    console.print_json(data=summary)
    sys.exit(0 if demonstration.went_well(summary) else 1)


@scones.command()
@click.option("--seed", default=1, help="Of all that is random: the same seed, the same faults.")
@click.option("--images", type=click.IntRange(min=20), default=500, help="How many to drop.")
def torture(seed: int, images: int) -> None:
    """Break all that can break while images go in. Exit code 1: one was lost, doubled or wrong."""
    from tests.torture import run as torturing

    report = torturing.torture(console, seed, images)
    sys.exit(0 if torturing.went_well(report) else 1)


@scones.command()
@click.option("--images", default=1000, help="How many small images to drop.")
def bench(images: int) -> None:
    """Measure speed and memory, against their budgets."""
    from tests.bench import run as benchmark

    benchmark.run(console, images)


@scones.command()
@click.argument("parameters", nargs=-1)
@click.option(
    "--model", type=click.Path(file_okay=False, path_type=Path), default=WEIGHTS, help="Folder of a model."
)
def deploy(parameters: tuple[str, ...], model: Path) -> None:
    """Deploy to AWS, with PARAMETERS of the template as Name=value."""
    from infra.aws import deploy as deploying

    if odd := [parameter for parameter in parameters if "=" not in parameter]:
        raise click.ClickException(f"PARAMETERS: {odd[0]!r} is not Name=value")
    given = dict(parameter.partition("=")[::2] for parameter in parameters)
    session = aws_session()
    console.print(f"Deploying {STACK_NAME!r} to {session.region_name} …")
    deploying.deploy_to_aws(session, STACK_NAME, given, model)
    stack = deploying.stack_on_aws(session, STACK_NAME)
    console.print(f"Deployed. Drop images into s3://{stack.incoming_bucket}; ask with `make query ON=aws`.")


@scones.command()
def undeploy() -> None:
    """Delete what `deploy` made on AWS, all but the images and the results."""
    from infra.aws import undeploy as undeploying
    from infra.cli import tables as show

    session = aws_session()
    with console.status(Text(f"Deleting {STACK_NAME!r} from {session.region_name}, some minutes …")):
        undeployed = undeploying.undeploy(session, STACK_NAME)
    show.undeployed(console, undeployed, session.region_name)


def _saved(name: str, week: str | None) -> str:
    """Return a saved query's SQL; without such a query, show those that there are."""
    from infra.cli import tables as show

    try:
        if week is None:
            return console_query(name)
        chosen = IsoWeek.parse(week)
        return week_query(name, chosen.monday, chosen.sunday)
    except UnknownQuery as error:
        show.questions(console)
        near = "".join(f" Perhaps {each}?" for each in get_close_matches(name.lower(), saved_queries(), 1))
        raise click.ClickException(f"There is no query {name!r}; those above are saved.{near}") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error


scones.add_command(train)
scones.add_command(evaluate)


def _in_flight(seconds: float | None) -> timedelta:
    from analytics.lake.reconciliation import IN_FLIGHT

    return IN_FLIGHT if seconds is None else timedelta(seconds=seconds)


def current_stack() -> Stack:
    """Return the system that commands are about: the laptop's, or with SCONES_ON=aws the one on AWS."""
    on = os.environ.get("SCONES_ON")
    if on and on != "aws":
        raise click.ClickException(f"ON={on}: say ON=aws for the system on AWS, nothing for the laptop's")
    if on:
        from infra.aws.deploy import stack_on_aws

        return stack_on_aws(aws_session(), STACK_NAME)
    from infra.laptop.local import current

    return current(stack_file())


def aws_session() -> "boto3.Session":
    """Return the user's own AWS session."""
    session = boto3.Session()
    if not session.region_name:
        raise NotUp("no AWS region is set: export AWS_REGION, or choose a profile with AWS_PROFILE")
    return session


def main() -> None:
    """Run a command; what is for people is one sentence and exit code 1."""
    try:
        scones(standalone_mode=False)
    except click.Abort:
        said = "interrupted"
    except click.ClickException as error:
        said = _as_typed(error.format_message())
    except _FOR_PEOPLE as error:
        said = _in_words(error)
    else:
        return
    _errors.print("error:", style="bold red", end=" ")
    _errors.print(said, highlight=False, soft_wrap=True)
    sys.exit(1)


def _as_typed(message: str) -> str:
    """Return click's message with make's names: its variable IN_FLIGHT is the option `--in-flight` here."""
    return re.sub(r"'--([a-z-]+)'", lambda option: f"'{option[1].replace('-', '_').upper()}'", message)


def _in_words(error: Exception) -> str:
    """Return what an error says, the system's without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    main()
