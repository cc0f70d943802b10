"""Cards of the chapter about the incoming images: numbers → a sentence, a chart and a table each. Pure."""

from collections.abc import Sequence

from markupsafe import Markup

from analytics import text as words
from analytics.report import charts
from analytics.report.cards.card import (
    BAR,
    DRAWN_FOLDERS,
    FOLDER_CHARS,
    OUTCOMES_LEGEND,
    Section,
    Table,
    change,
    statistics,
)
from analytics.report.numbers import Folder, Input, Numbers
from workflow.outcome import Outcome

_OTHER_OUTCOMES = [outcome for outcome in Outcome if outcome not in (Outcome.ACCEPTED, Outcome.FAILED)]
"""Shares in the folders' table beside the accepted one."""


def volume_card(numbers: Numbers) -> Section:
    """Return the images of each day by outcome."""
    days = [day for day in numbers.days if day.in_week]
    busiest = max(days, key=lambda day: day.tally.images)
    return Section(
        "volume",
        "Images by day",
        f"{words.plural(numbers.summary.tally.images, 'image')}; "
        f"most on {busiest.dt:%A} ({busiest.tally.images:,}).",
        chart=charts.volume(days, numbers.changes),
        legend=OUTCOMES_LEGEND,
        table=Table(
            ("Day", "Images", *(outcome.heading for outcome in Outcome)),
            [
                (
                    f"{day.dt:%a %Y-%m-%d}",
                    f"{day.tally.images:,}",
                    *(f"{day.tally[outcome]:,}" for outcome in Outcome),
                )
                for day in days
            ],
        ),
    )


def hours_card(numbers: Numbers) -> Section:
    """Return the images of each day and hour."""
    by_hour = [sum(day[hour] for day in numbers.hours) for hour in range(24)]
    peak = max(range(24), key=lambda hour: by_hour[hour])
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return Section(
        "hours",
        "Images by hour",
        f"The busiest hour of the day is {peak:02}:00 to {(peak + 1) % 24:02}:00 UTC.",
        chart=charts.hours(numbers.hours),
        table=Table(
            ("Hour, UTC", *names),
            [(f"{hour:02}:00", *(f"{day[hour]:,}" for day in numbers.hours)) for hour in range(24)],
        ),
    )


def folders_cards(numbers: Numbers) -> list[Section]:
    """Return nothing where folders tell little: there is only one, or most images have a folder each."""
    named = [of for of in numbers.folders if of.folder is not None]
    came = [of for of in named if of.tally.images]
    if len(came) < 2 or 2 * sum(of.tally.images for of in came) < numbers.summary.tally.images:
        return []
    fallen = [of for of in came if of.fallen]
    more = f", and in {words.plural(len(fallen) - 1, 'other folder')}" if len(fallen) > 1 else ""
    takeaway = (
        f"The accepted share fell clearly since {numbers.compare} in {words.folder(came[0].folder)}{more}."
        if fallen
        else f"No folder's accepted share fell clearly since {numbers.compare}."
        if any(of.baseline_accepted_share is not None for of in came)
        else f"Images are in {words.plural(len(came), 'folder')}."
    )
    shown = numbers.folders[:DRAWN_FOLDERS]
    rest = len(numbers.folders) - len(shown)
    hidden = f" {words.plural(rest, 'more row')} in report.json." if rest else ""
    return [
        Section(
            "folders",
            "By folder",
            takeaway,
            span="full",
            legend=OUTCOMES_LEGEND,
            table=Table(
                (
                    "Folder",
                    BAR,
                    "Images",
                    "Before",
                    "Accepted",
                    "Before",
                    *(outcome.heading for outcome in _OTHER_OUTCOMES),
                    "Mean confidence",
                ),
                [_folder_row(of) for of in shown],
                texts=(0, 1),
            ),
            table_open=True,
            note="Grouped by the first part of the image's path; worst first. Failed images are left out of "
            f"the percentages.{hidden}",
        )
    ]


def _folder_row(of: Folder) -> Sequence[str | Markup]:
    tally = of.tally
    counts = tally.not_failed
    parts = [(tally[outcome] / tally.images, outcome) for outcome in Outcome if tally[outcome]]
    return (
        words.folder(of.folder, FOLDER_CHARS),
        Markup(charts.bar(*parts)),  # noqa: S704 - constant shapes
        f"{tally.images:,}",
        f"{of.baseline.images:,}" if of.baseline else "–",
        words.percent(of.accepted_share),
        words.percent(of.baseline_accepted_share),
        *(words.percent(tally[outcome] / counts if counts else None) for outcome in _OTHER_OUTCOMES),
        words.percent(of.mean_confidence),
    )


def input_card(input_: Input, numbers: Numbers) -> Section:
    """Return how one measure of the images is distributed."""
    departure, compared = numbers.departures[input_.measure], bool(numbers.baseline)
    bins, name = input_.bins, input_.in_words
    if not bins:
        return Section(input_.slug, input_.name, "Not recorded for this week's images.", span="third")
    takeaway = f"Median {name(input_.p50)}" + (f", {name(input_.baseline_p50)} before." if compared else ".")
    places = sorted({0, len(bins) // 3, 2 * len(bins) // 3, len(bins)})
    edges = [*(bin_.low for bin_ in bins), bins[-1].high]
    return Section(
        input_.slug,
        input_.name,
        takeaway,
        span="third",
        chart=charts.histogram(
            f"{input_.slug}-chart",
            f"{input_.name} of classified images, {input_.unit}",
            bins,
            [(place, name(edges[place])) for place in places],
            name,
        ),
        legend=[("box accepted", "this week"), *([("line ink", "before")] if compared else [])],
        note=change(departure, numbers),
        statistics=statistics(input_.shift, departure),
        table=Table(
            (f"{input_.name}, {input_.unit}", "Images", "Before"),
            [
                (f"{name(bin_.low)} – {name(bin_.high)}", f"{bin_.images:,}", f"{bin_.baseline_images:,}")
                for bin_ in bins
            ],
        ),
    )
