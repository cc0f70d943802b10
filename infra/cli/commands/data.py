"""Images in, answers out: drop, query, cost, report, rejected, why, review, label, certify, learn,
import-capture."""

import re
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from analytics.commands import how
from infra.cli import systems
from infra.cli.command_line import (
    ATTENTION,
    FOLDER,
    ClassNames,
    Number,
    WholeNumber,
    argument,
    as_json,
    on,
    option,
    scones,
)
from infra.cli.terminal import answers, progress_bar, steps, words
from infra.cli.words import (
    certificate_facts,
    cost_facts,
    import_facts,
    learned_facts,
    print_json,
    show_certificate,
    show_costs,
    show_import,
    show_learned,
    show_outcomes,
    show_rejected,
    show_review,
    show_story,
    shown,
    story_facts,
)
from infra.installation import state_folder
from model.files import DEFAULT_MODEL

if TYPE_CHECKING:
    from analytics.report.isoweek import IsoWeek


class _Date(click.ParamType[date]):
    name = "date"

    def convert(self, value: str | date, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read a date."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: a date is like 2026-11-16", param, ctx)


class _Amount(click.ParamType[int]):
    """A whole number, as people write large ones: 1e6, 100KB, 2.5 MB."""

    name = "amount"
    _UNITS: ClassVar[dict[str, int]] = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read an amount."""
        if isinstance(value, int):
            return value
        written = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?) ?([kmg]?b)?", value.replace(",", "").lower())
        amount = float(written[1]) * self._UNITS[(written[2] or "").upper()] if written else 0.0
        if not 1 <= amount <= 1e15:
            self.fail(f"{value!r}: an amount is like 1e6, 1000000 or 100KB", param, ctx)
        return round(amount)


_prices = option(
    "--prices",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A file like analytics/report/prices.toml, with your prices.",
)
_patience = option(
    "--patience",
    "patience_s",
    type=Number(0, 1_000_000_000),
    default=180.0,
    help="Seconds without news before giving up.",
)
_since = option(
    "--since", type=_Date(), help="UTC date of the first uploads, like 2026-11-16. Left out: four weeks ago."
)


@scones.command()
@argument("folder", metavar="FROM", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_patience
@on
@as_json
def drop(folder: Path, patience_s: float, on: str | None, as_json: bool) -> None:
    """Put every file of the folder FROM into the incoming bucket, and wait for the outcomes.

    Exit code 3: an image has no outcome.
    """
    stack = systems.current_stack(on)
    from analytics.text import plural
    from infra.operations.drop import drop, settle
    from infra.operations.image_folder import keyed, read_folder

    found = read_folder(folder)
    for note in found.notes:
        words.print(note, highlight=False, soft_wrap=True)
    fitting = keyed(found.files, stack.key_pattern)
    if others := len(found.files) - len(fitting):
        words.print(
            f"{plural(others, 'file')} left out: the stack takes keys like {stack.key_pattern}.",
            highlight=False,
            soft_wrap=True,
        )
    with progress_bar(words) as progress:
        dropped = drop(stack, fitting, progress)
        settled = settle(stack, dropped, progress, patience_s)
    if as_json:
        print_json(asdict(settled))
    else:
        show_outcomes(answers, settled)
    sys.exit(ATTENTION if settled.missing else 0)


@scones.command()
@_patience
@on
@as_json
def smoke(patience_s: float, on: str | None, as_json: bool) -> None:
    """Send one image through the system, and wait for its row. Exit code 3: it has no answer, or several."""
    stack = systems.current_stack(on)
    from infra.operations.traffic import smoke, went_well

    with progress_bar(words) as progress:
        settled = smoke(stack, progress, patience_s)
    if as_json:
        print_json(asdict(settled))
    else:
        show_outcomes(answers, settled)
    sys.exit(0 if went_well(settled) else ATTENTION)


@scones.command()
@argument("source", metavar="FROM")
@option("--images", type=WholeNumber(1), help="How many images to send. Left out: 100.")
@option("--rate", "per_s", type=Number(0, 1_000, min_open=True), default=10.0, help="Images a second.")
@option("--minutes", type=Number(0, 1_440, min_open=True), help="How long, instead of how many.")
@option("--by-hand", is_flag=True, help="Start executions with the objects' names, instead of uploading.")
@_patience
@on
@as_json
def traffic(
    source: str,
    images: int | None,
    per_s: float,
    minutes: float | None,
    by_hand: bool,
    patience_s: float,
    on: str | None,
    as_json: bool,
) -> None:
    """Send random images of FROM, a folder or a prefix of the incoming bucket, at a steady rate.

    Exit code 3: an image has no outcome.
    """
    if images and minutes:
        raise click.UsageError("give either --images or --minutes")
    count = max(round(60 * minutes * per_s), 1) if minutes else images or 100
    stack = systems.current_stack(on)
    from infra.operations.traffic import traffic

    with progress_bar(words) as progress:
        sent = traffic(stack, source, count, per_s, by_hand=by_hand, progress=progress, patience_s=patience_s)
    if as_json:
        print_json(asdict(sent))
    else:
        show_outcomes(answers, sent.settled)
    words.print(
        f"Sent {sent.sent:,} images in {sent.seconds:.1f} s: {sent.sent / sent.seconds:.1f} a second."
    )
    sys.exit(ATTENTION if sent.settled.missing else 0)


@scones.command()
@argument("sql", metavar="SQL", required=False)
@option("--name", help="Name of a saved query, instead of SQL.")
@option("--week", help="ISO week of a saved query, like 2026-W47. Left out: the last four weeks.")
@option(
    "--format",
    "format_",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="Format of the answer. Left out: that of the file's name, or a table.",
)
@option("--limit", type=WholeNumber(0), help="Most rows to print. Left out: 200 of a table, else all.")
@option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write the answer to.")
@on
@as_json
def query(
    sql: str | None,
    name: str | None,
    week: str | None,
    format_: str | None,
    limit: int | None,
    out: Path | None,
    on: str | None,
    as_json: bool,
) -> None:
    """Ask SQL in Athena's dialect, or a saved query; with neither, list the saved queries."""
    from infra.cli.tables import saved_query_list, show_saved_queries

    if not sql and not name and not week:
        if as_json:
            print_json(saved_query_list())
        else:
            show_saved_queries(answers)
        return
    if bool(sql) == bool(name) or (week and not name):
        asked = how("query", SQL='"SELECT …"'), how("query", NAME="…")
        raise click.UsageError(f"say {asked[0]}, or {asked[1]} with a saved query, and then perhaps a week")
    text = sql or _saved(name or "", week)
    stack = systems.current_stack(on)
    from analytics.questions.queries import question
    from analytics.report.cost import query_usd
    from infra.cli.tables import format_of, write_answer
    from infra.operations.answers import engine

    chosen = "json" if as_json and not format_ else format_of(format_, out)
    with engine(stack) as athena:
        answer = athena.query(text)
    if name:
        words.print(question(name), highlight=False)
    write_answer(answers, words, answer.frame, chosen, limit, out)
    if stack.endpoint_url is None:
        usd = query_usd(answer.scanned_bytes)
        words.print(f"Athena scanned {answer.scanned_bytes:,} bytes: ${usd:.5f}", highlight=False)


@scones.command()
@option("--images", type=_Amount(), default="1e6", show_default=True, help="How many images.")
@option("--size", type=_Amount(), default="100KB", show_default=True, help="Mean size of a file.")
@option("--days", type=Number(0.01, 3650), default=30.0, help="Days in which they come.")
@option("--serialize-ms", type=Number(0, 900_000), help="Duration of Serialize. Left out: by the size.")
@option("--classify-ms", type=Number(0, 900_000), help="Duration of Classify, which waits for the endpoint.")
@option(
    "--model-memory-mb", type=WholeNumber(128, 10_240), help="Classify's memory if it has the model itself."
)
@option("--model-ms", type=Number(0, 900_000), help="Duration of Classify if it has the model itself.")
@option("--endpoint-ms", type=Number(0, 900_000), help="Time of a serverless endpoint for an image.")
@option("--endpoint-memory-mb", type=WholeNumber(1024, 6144), help="Memory of a serverless endpoint.")
@option("--instance-type", help="A real-time endpoint, like ml.m5.large, instead of a serverless one.")
@option("--instances", type=WholeNumber(1), help="Instances of a real-time endpoint.")
@_prices
@as_json
def cost(
    images: int,
    size: int,
    days: float,
    endpoint_memory_mb: int | None,
    instance_type: str | None,
    instances: int | None,
    prices: Path | None,
    as_json: bool,
    **durations: float | None,
) -> None:
    """Estimate what images cost on AWS: by events, by a backfill, with the model in the Lambda.

    It asks nothing of AWS, and needs no stack.
    """
    from analytics.report.cost import Instances, Load, Serverless, costs
    from analytics.report.prices import PRICES_FILE, read_prices

    at = read_prices(prices or PRICES_FILE)
    if instances and not instance_type:
        raise click.UsageError("--instances are of a real-time endpoint: say its --instance-type, too")
    if instance_type and instance_type not in at.usd_per_hosting_hour:
        known = ", ".join(at.usd_per_hosting_hour)
        raise click.UsageError(
            f"--instance-type {instance_type} has no price. There are {known}; --prices reads others."
        )
    said = {name: value for name, value in durations.items() if value is not None}
    load = Load(images, size, days, **said)  # type: ignore[arg-type]
    serverless = Serverless(endpoint_memory_mb) if endpoint_memory_mb else Serverless()
    found = costs(load, Instances(instance_type, instances or 1) if instance_type else serverless, at)
    if as_json:
        print_json(cost_facts(found))
    else:
        show_costs(answers, found)


@scones.command()
@option("--week", help="ISO week, like 2026-W47. Left out: the last complete one.")
@option("--compare", help="Week to compare with. Left out: the one before.")
@option("--inventory", help="s3://…/manifest.json of an S3 Inventory, to count uploads in a large bucket.")
@option("--out", type=FOLDER, help="Folder of the report. Left out: one of the week's name.")
@_prices
@on
@as_json
def report(
    week: str | None,
    compare: str | None,
    inventory: str | None,
    out: Path | None,
    prices: Path | None,
    on: str | None,
    as_json: bool,
) -> None:
    """Write a week's report. Exit code 3: it asks for attention."""
    from analytics.report.isoweek import IsoWeek

    try:
        this = IsoWeek.of(datetime.now(UTC).date())
        named = IsoWeek.parse(week) if week else None
        other = IsoWeek.parse(compare) if compare else None
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for each in (named, other):
        if each and each > this:
            raise click.ClickException(f"{each} has not begun: this week is {this}")
    if named and other == named:
        raise click.ClickException(f"{named} cannot be compared with itself")
    stack = systems.current_stack(on)
    from analytics.report.prices import PRICES_FILE, read_prices
    from infra.operations.answers import engine
    from infra.operations.write_report import default_week, report_of

    at = read_prices(prices or PRICES_FILE)
    with engine(stack) as athena:
        chosen = named or default_week(athena, this.monday)
        if other == chosen:
            raise click.ClickException(f"{chosen} cannot be compared with itself")
        written = report_of(stack, athena, chosen, other or chosen.back(), inventory, at)
    folder = out or state_folder() / "report" / str(chosen)
    kept = written.is_kept_out_of(folder)
    page = written.write(folder)
    if as_json:
        click.echo((page.parent / "report.json").read_text(encoding="utf-8"), nl=False)
    else:
        answers.print(written.to_text(), highlight=False)
    words.print(
        f"{shown(page)} has images, and {chosen} has none now: it stays as it was"
        if kept
        else f"{shown(page)}, report.json and digest.md beside it",
        soft_wrap=True,
    )
    sys.exit(0 if written.verdict.ok else ATTENTION)


@scones.command()
@option("--download", "folder", type=FOLDER, help="Folder to copy them to.")
@on
@as_json
def rejected(folder: Path | None, on: str | None, as_json: bool) -> None:
    """List rejected images with their reasons."""
    stack = systems.current_stack(on)
    from infra.operations.answers import engine
    from infra.operations.rejected import INDEX, download, rejected_images

    with engine(stack) as athena:
        images = rejected_images(athena)
    if as_json:
        print_json([asdict(image) for image in images])
    else:
        show_rejected(answers, images)
    if folder:
        copied = download(stack.client("s3"), stack.incoming_bucket, images, folder)
        words.print(f"{copied:,} copied to {folder}; {INDEX} says which is which", soft_wrap=True)


@scones.command()
@argument("key", metavar="KEY")
@option("--version", "version_id", help="S3's id of the version. Left out: the latest upload.")
@option(
    "--since",
    type=_Date(),
    help="UTC date, like 2026-11-16: also look for versions that are not listed any more, uploaded since.",
)
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of the model that decided.")
@option("--out", type=FOLDER, help="Folder of the picture that the model sees.")
@on
@as_json
def why(
    key: str,
    version_id: str | None,
    since: date | None,
    model: Path,
    out: Path | None,
    on: str | None,
    as_json: bool,
) -> None:
    """Tell one image's story: its steps, scores, rows and labels, and what mends it.

    Exit code 3: nothing is known about the key, or its image has no outcome.
    """
    stack = systems.current_stack(on)
    from infra.operations.answers import engine

    with engine(stack) as athena:
        from infra.operations.story import tell  # while DuckDB is loaded in its process
        from infra.operations.why import facts_about, keep_picture

        story = tell(facts_about(stack, stack.client, athena, key, version_id, since, model))
    picture = keep_picture(story, out or state_folder() / "why")
    if as_json:
        print_json(story_facts(story, picture))
    else:
        show_story(answers, story, picture)
    sys.exit(0 if story.current else ATTENTION)


@scones.command()
@_since
@option("--week", help="ISO week, like 2026-W47, instead of a date.")
@option("--sample", type=WholeNumber(0, 1000), default=0, help="How many accepted images to add.")
@option("--out", type=FOLDER, help="Folder of the page.")
@on
@as_json
def review(
    since: date | None, week: str | None, sample: int, out: Path | None, on: str | None, as_json: bool
) -> None:
    """Write a page of the images for review, to label each with one key press."""
    if since and week:
        raise click.UsageError("give either a date or a week")
    chosen = _week(week) if week else None
    stack = systems.current_stack(on)
    from infra.operations.answers import engine
    from infra.operations.write_sheet import review

    first, last = (chosen.monday, chosen.sunday) if chosen else (since, None)
    with engine(stack) as athena:
        reviewed = review(stack, athena, first, last, sample, out or state_folder() / "review")
    if as_json:
        page = reviewed.page and str(reviewed.page)
        print_json({"waiting": reviewed.queue.waiting, "sampled": reviewed.queue.sampled, "page": page})
    else:
        show_review(answers, reviewed)


@scones.command()
@option("--week", help="ISO week, like 2026-W47. Left out: this one.")
@option(
    "--target",
    type=Number(0.5, 1, max_open=True),
    default=0.99,
    show_default=True,
    help="Share of accepted images that are right, at least.",
)
@option("--out", type=FOLDER, help="Folder of the page with the images that are to be labelled.")
@on
@as_json
def certify(week: str | None, target: float, out: Path | None, on: str | None, as_json: bool) -> None:
    """Say how precise a week's accepted images are for certain, and which labels are missing.

    Exit code 3: the week is not certified.
    """
    chosen = _week(week)
    stack = systems.current_stack(on)
    from infra.operations.answers import engine
    from infra.operations.certify import certify

    with engine(stack) as athena:
        certified = certify(stack, athena, chosen, target, out or state_folder() / "review")
    if as_json:
        print_json(certificate_facts(certified))
    else:
        show_certificate(answers, certified, str(chosen))
    sys.exit(0 if certified.certificate.state == "certified" else ATTENTION)


@scones.command()
@argument("source", metavar="FROM")
@on
@as_json
def label(source: str, on: str | None, as_json: bool) -> None:
    """Load a labels file, as a review sheet saves it: FROM is a file or s3://bucket/key."""
    stack = systems.current_stack(on)
    from analytics.text import plural
    from infra.operations.answers import engine
    from infra.operations.load_labels import load_labels

    with engine(stack) as athena:
        loaded = load_labels(stack, athena, source)
    if as_json:
        print_json(asdict(loaded))
    else:
        images = plural(loaded.images, "image")
        answers.print(f"Labels of {images} loaded; {loaded.new:,} of them had none before.")
    words.print(f"`{how('report')}` measures precision with them.")


@scones.command()
@_since
@option("--model", type=FOLDER, default=DEFAULT_MODEL, help="Folder of the present model.")
@option("--out", type=FOLDER, help="Folder of the new model.")
@on
@as_json
def learn(since: date | None, model: Path, out: Path | None, on: str | None, as_json: bool) -> None:
    """Teach the model with labelled images; write the new one if it is better for certain.

    Exit code 3: it is not, or there are too few labels to tell.
    """
    stack = systems.current_stack(on)
    from analytics.questions.queries import CONSOLE_DAYS
    from infra.operations.answers import engine
    from infra.operations.learn import learn_from

    today = datetime.now(UTC).date()
    first = since or today - timedelta(days=CONSOLE_DAYS)
    with engine(stack) as athena, steps("fetching") as progress:
        learned = learn_from(stack, athena, first, today, model, out or state_folder() / "learned", progress)
    if as_json:
        print_json(learned_facts(learned))
    else:
        show_learned(answers, learned)
    sys.exit(0 if learned.folder else ATTENTION)


@scones.command("import-capture")
@argument("source", metavar="FROM")
@option(
    "--classes",
    type=ClassNames(),
    help="Classes of that endpoint, in the order of its scores: a,b or @FILE. Left out: the stack's.",
)
@option("--threshold", help="Least confidence that is accepted. Left out: the stack's.")
@on
@as_json
def import_capture(
    source: str, classes: list[str] | None, threshold: str | None, on: str | None, as_json: bool
) -> None:
    """Import the data-capture files of a SageMaker endpoint: FROM is a folder or s3://bucket/prefix.

    Exit code 3: a line could not be imported.
    """
    stack = systems.current_stack(on)
    from infra.operations.answers import engine
    from infra.operations.import_capture import import_capture, judgement, new_and_known

    judged = judgement(stack, classes or (), threshold)
    with words.working(f"Reading {source} …"):
        imported = import_capture(stack, source, judged)
        with engine(stack) as athena:
            new, known = new_and_known(athena, imported)
    log = state_folder() / "import-capture.txt"
    if as_json:
        print_json(import_facts(imported, new, known))
    else:
        show_import(answers, imported, new, known, log)
    sys.exit(ATTENTION if imported.bad else 0)


def _week(text: str | None) -> "IsoWeek":
    """Return the week of a text, or this one."""
    from analytics.report.isoweek import IsoWeek

    try:
        return IsoWeek.parse(text) if text else IsoWeek.of(datetime.now(UTC).date())
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _saved(name: str, week: str | None) -> str:
    """Return a saved query's SQL."""
    from analytics.questions.queries import UnknownQuery, console_query, saved_queries, week_query
    from analytics.report.isoweek import IsoWeek

    try:
        if week is None:
            return console_query(name)
        chosen = IsoWeek.parse(week)
        return week_query(name, chosen.monday, chosen.sunday)
    except UnknownQuery as error:
        near = "".join(f" Perhaps {each}?" for each in get_close_matches(name.lower(), saved_queries(), 1))
        raise click.ClickException(
            f"There is no query {name!r}.{near} `{how('query')}` lists them."
        ) from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
