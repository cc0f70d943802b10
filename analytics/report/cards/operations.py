"""Cards of the chapter about operations: numbers → a sentence, a chart and a table each. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from analytics import text as words
from analytics.report import charts
from analytics.report.cards.card import BAR, KEY_CHARS, Section, Table, is_or_are
from analytics.report.cost import WeeklyCost
from analytics.report.numbers import Latency, Numbers, Reason
from workflow.outcome import Outcome

_MAX_REASONS = 20


def reasons_card(slug: str, title: str, none: str, reasons: Sequence[Reason], outcome: Outcome) -> Section:
    """Return the reasons of rejected or of failed images."""
    total = sum(reason.images for reason in reasons)
    if not reasons:
        return Section(slug, title, none)
    rest = reasons[_MAX_REASONS:]
    return Section(
        slug,
        title,
        f"{words.plural(total, 'image')}, most often: {words.short(reasons[0].reason)} "
        f"({reasons[0].images:,}).",
        table=Table(
            ("Reason", BAR, "Images", "Before", "Latest"),
            [
                (
                    reason.reason,
                    Markup(charts.bar((reason.images / reasons[0].images, outcome))),  # noqa: S704 - a constant shape
                    f"{reason.images:,}",
                    f"{reason.baseline_images:,}",
                    words.short(reason.latest_key, KEY_CHARS),
                )
                for reason in reasons[:_MAX_REASONS]
            ],
            texts=(0, 1, 4),
            keys=(4,),
        ),
        table_open=True,
        note=f"{words.plural(len(rest), 'more reason')} with "
        f"{words.plural(sum(reason.images for reason in rest), 'image')} in report.json."
        if rest
        else "",
    )


def latency_card(numbers: Numbers) -> Section:
    """Return how long images took."""
    title, week, before = "From upload to decision", numbers.latency, numbers.baseline_latency
    if not week:
        return Section("latency", title, "No image was timed: all were imported.")
    rows = [
        _latency_row("This week", week),
        *([_latency_row(str(numbers.compare), before)] if before else []),
        *(_latency_row(f"{day.dt:%a %Y-%m-%d}", day) for day in numbers.latency_by_day),
    ]
    return Section(
        "latency",
        title,
        f"Half of the images were decided within {words.seconds(week.total.p50)} of the upload, "
        f"95 % within {words.seconds(week.total.p95)}, 99 % within {words.seconds(week.total.p99)}.",
        chart=charts.latency(numbers.latency_by_day, numbers.changes),
        legend=[("line review", "95 % within"), ("line accepted", "half within")],
        note="Measured until the model's first answer, including queues and retries. Deciding an image again "
        "later does not change its time. Imported images are not timed.",
        table=Table(
            (
                "Time",
                "Images",
                *(f"{of} {p}" for of in ("Total", "Serialize", "Classify") for p in ("p50", "p95", "p99")),
            ),
            rows,
        ),
    )


def _latency_row(title: str, latency: Latency) -> Sequence[str]:
    groups = (latency.total, latency.serialize, latency.classify)
    times = [value for group in groups for value in (group.p50, group.p95, group.p99)]
    return (title, f"{latency.images:,}", *(words.seconds(value) for value in times))


def completeness_card(numbers: Numbers) -> Section:
    """Return whether every upload is recorded."""
    complete = numbers.completeness
    if complete.missing is None:
        uploads = words.plural(complete.recorded, "upload")
        takeaway = f"{uploads} {is_or_are(complete.recorded)} recorded; the bucket was not listed."
    elif complete.missing > 0:
        uploads = words.plural(complete.uploaded or 0, "upload")
        has = "has" if complete.missing == 1 else "have"
        takeaway = f"{complete.missing:,} of {uploads} {has} no recorded outcome."
    elif complete.missing < 0:
        gone = words.plural(-complete.missing, "recorded image")
        takeaway = f"{gone} {is_or_are(-complete.missing)} no longer in the bucket."
    else:
        came = complete.recorded - complete.imported
        takeaway = (
            f"All {came:,} uploads in the bucket are recorded, each exactly once."
            if came > 1
            else "Every upload in the bucket is recorded, exactly once."
        )
    last = complete.last_decided_at
    return Section(
        "completeness",
        "Completeness",
        takeaway,
        table=Table(
            ("What", "Count"),
            [
                (
                    "Found in the bucket",
                    "–" if complete.uploaded is None else f"{complete.uploaded:,}",
                ),
                ("Recorded", f"{complete.recorded:,}"),
                *([("Imported", f"{complete.imported:,}")] if complete.imported else []),
                ("Rows stored", f"{complete.rows_stored:,}"),
                ("Duplicates and replaced results (ignored)", f"{complete.duplicates_removed:,}"),
                ("Decided more than an hour after the upload", f"{complete.late:,}"),
                ("Last decision", f"{last:%Y-%m-%d %H:%M} UTC" if last else "–"),
            ],
        ),
        table_open=True,
    )


def cost_card(numbers: Numbers) -> Section:
    """Return what the week costs on AWS."""
    cost = numbers.cost
    imported = " Imported images are not counted." if numbers.completeness.imported else ""
    without = "" if cost.endpoint else "The time of an endpoint is not included: it is not known. "
    if cost.challenger_images:
        seen = words.plural(cost.challenger_images, "image")
        without += f"The challenger's {seen} are included, the time of its endpoint is not. "
    return Section(
        "cost",
        "Cost of the week",
        f"{words.dollars(cost.usd)} for {words.plural(cost.images, 'image')} on AWS, at list prices.",
        span="full",
        table=Table(
            ("Service", "US dollars", "For"),
            [
                ("Total", words.dollars(cost.usd), _per_million(cost)),
                *((line.service, words.dollars(line.usd), line.what) for line in cost.lines),
            ],
            texts=(0, 2),
        ),
        table_open=True,
        note=f"An estimate: prices of {cost.prices_as_of} in {cost.region}, without free tiers. {without}"
        f"Storage of images is not included. A laptop costs nothing.{imported}",
    )


def _per_million(cost: WeeklyCost) -> str:
    usd = cost.usd_per_million_images
    return (
        ""
        if usd is None
        else f"${usd:,.2f} per million images, without the endpoint, Athena and what a stack costs at rest"
    )
