"""The report's sections: numbers → a sentence, a chart and a table each. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from analytics import text as words
from analytics.report import challenger, charts
from analytics.report.cost import WeeklyCost
from analytics.report.drift import PSI_FLOOR
from analytics.report.numbers import (
    QUESTIONS_OF_LABELS,
    ClassPrecision,
    Departure,
    Folder,
    Input,
    Latency,
    Measured,
    Numbers,
    Reason,
    Shift,
    Unlike,
)
from analytics.review.estimates import TrueShare
from analytics.review.words import certificate_sentence, still_to_go
from workflow.outcome import Outcome

_DRAWN_THRESHOLDS = 3
"""Lines of more thresholds would hide the dots."""
_LEGEND = [(f"box {outcome.colour}", outcome.heading.lower()) for outcome in Outcome]
_OTHER_OUTCOMES = [outcome for outcome in Outcome if outcome not in (Outcome.ACCEPTED, Outcome.FAILED)]
"""Shares in the folders' table beside the accepted one."""
_REJECTED, _FAILED = "Rejected, by reason", "Failed, by reason"
_DRAWN_FOLDERS = 10
_FOLDER_CHARS = 40
_MAX_REASONS = 20
_BAR = Markup('<span class="unseen">Drawn</span>')
"""Head of a column of bars."""
_MAX_ROWS = 100
"""Classes in a table; report.json has all of them."""


@dataclass(frozen=True)
class Table:
    """A table; the columns in `texts` hold text, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    """The first cell of each is its name."""
    texts: Sequence[int] = (0,)
    keys: Sequence[int] = ()
    """Columns of object keys, which may be broken anywhere; words are not."""


@dataclass(frozen=True)
class Section:
    """One card of the page."""

    slug: str
    title: str
    takeaway: str
    span: str = "half"
    """Share of the page's width: `full`, `half` or `third`."""
    chart: str = ""
    """SVG with its text escaped."""
    legend: Sequence[tuple[str, str]] = ()
    """CSS classes of a shape, and its meaning."""
    table: Table | None = None
    table_open: bool = False
    note: str = ""
    statistics: str = ""
    """For those who open the table: the size of the change, and the test of it."""


@dataclass(frozen=True)
class Chapter:
    """Sections under one heading."""

    slug: str
    title: str
    sections: Sequence[Section]


QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "volume": ("volume_by_day",),
    "hours": ("volume_by_hour",),
    "folders": ("outcomes_by_folder",),
    "over-time": ("confidence_over_time", "volume_by_day"),
    "classes": ("class_balance_by_week",),
    "true-classes": QUESTIONS_OF_LABELS,
    "confidence": ("confidence_histogram",),
    "below": ("volume_by_day",),
    "unlike": ("unlike_by_folder", "most_unfamiliar_images"),
    "what-if": ("coverage_at_thresholds",),
    "measured": (*QUESTIONS_OF_LABELS, "label_agreement"),
    "precision-by-class": QUESTIONS_OF_LABELS,
    "challenger": challenger.QUESTIONS,
    "inputs": ("input_histograms", "drift_inputs"),
    "rejects": ("rejects_by_reason",),
    "failures": ("failures_by_reason",),
    "latency": ("latency",),
    "completeness": ("completeness", "duplicates_removed"),
    "cost": ("completeness", "latency"),
}
"""Section → the questions that it needs; `inputs` stands for one section for each input."""


def chapters(numbers: Numbers) -> list[Chapter]:
    """Return the page's chapters; a week without images has few sections.

    In the place of a section that needs a question without an answer, one says why it is missing.
    """
    tally = numbers.summary.tally
    model: list[Section] = []
    images: list[Section] = []

    def part(slug: str, title: str, sections: Callable[[], Iterable[Section]]) -> Iterable[Section]:
        for question in QUESTIONS[slug]:
            if question in numbers.unanswered:
                why = numbers.unanswered[question]
                return [Section(slug, title, f"Missing: the question {question!r} was not answered. {why}")]
        return sections()

    if tally.images:
        images += part("volume", "Images by day", lambda: [_volume(numbers)])
        images += part("hours", "Images by hour", lambda: [_hours(numbers)])
        images += part("folders", "By folder", lambda: _folders(numbers))
    if tally.classified:
        shares, unlike, measured = numbers.true_shares, numbers.unlike, numbers.measured
        model += part("over-time", "Confidence over time", lambda: [_over_time(numbers)])
        model += part("classes", "Class balance", lambda: [_classes(numbers)])
        model += part("true-classes", "True class balance", lambda: [_true_classes(shares)] if shares else [])
        model += part("confidence", "How sure the model is", lambda: [_confidence(numbers)])
        model += part("below", "Share for review", lambda: [_below(numbers)])
        model += part("unlike", "Unlike the classes", lambda: [_unlike(unlike, numbers)] if unlike else [])
        model += part("what-if", "What would a different threshold do?", lambda: [_what_if(numbers)])
        model += part("measured", "Measured precision", lambda: [_measured(numbers)])
        model += part(
            "precision-by-class",
            "Precision by class",
            lambda: [_class_precisions(measured.classes)] if measured else [],
        )
        compared = numbers.challenger
        model += part("challenger", "The challenger", lambda: [_challenger(compared)] if compared else [])
        images += part(
            "inputs",
            "Inputs",
            lambda: [_input(input_, numbers) for input_ in numbers.inputs],
        )
    operations = [
        *part(
            "rejects",
            _REJECTED,
            lambda: [
                _reasons("rejects", _REJECTED, "No image was rejected.", numbers.rejects, Outcome.REJECTED)
            ],
        ),
        *part(
            "failures",
            _FAILED,
            lambda: [_reasons("failures", _FAILED, "No image failed.", numbers.failures, Outcome.FAILED)],
        ),
        *(part("latency", "Latency", lambda: [_latency(numbers)]) if tally.classified else []),
        *part("completeness", "Completeness", lambda: [_completeness(numbers)]),
        *part("cost", "Cost of the week", lambda: [_cost(numbers)]),
    ]
    found = [
        Chapter("model", "The model's answers", model),
        Chapter("images", "Incoming images", images),
        Chapter("operations", "Operations", operations),
    ]
    return [chapter for chapter in found if chapter.sections]


def _volume(numbers: Numbers) -> Section:
    days = [day for day in numbers.days if day.in_week]
    busiest = max(days, key=lambda day: day.tally.images)
    return Section(
        "volume",
        "Images by day",
        f"{words.plural(numbers.summary.tally.images, 'image')}; "
        f"most on {busiest.dt:%A} ({busiest.tally.images:,}).",
        chart=charts.volume(days, numbers.changes),
        legend=_LEGEND,
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


def _hours(numbers: Numbers) -> Section:
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


def _folders(numbers: Numbers) -> list[Section]:
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
    shown = numbers.folders[:_DRAWN_FOLDERS]
    rest = len(numbers.folders) - len(shown)
    hidden = f" {words.plural(rest, 'more row')} in report.json." if rest else ""
    return [
        Section(
            "folders",
            "By folder",
            takeaway,
            span="full",
            legend=_LEGEND,
            table=Table(
                (
                    "Folder",
                    _BAR,
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
        words.folder(of.folder, _FOLDER_CHARS),
        Markup(charts.bar(*parts)),  # noqa: S704 - constant shapes
        f"{tally.images:,}",
        f"{of.baseline.images:,}" if of.baseline else "–",
        words.percent(of.accepted_share),
        words.percent(of.baseline_accepted_share),
        *(words.percent(tally[outcome] / counts if counts else None) for outcome in _OTHER_OUTCOMES),
        words.percent(of.mean_confidence),
    )


def _over_time(numbers: Numbers) -> Section:
    tally = numbers.summary.tally
    one_each = numbers.cell_minutes == 1
    drawn = "Every image is a dot." if one_each else "Every image is shown; darker dots stand for several."
    thresholds = _thresholds(numbers)
    some = f" The {_DRAWN_THRESHOLDS} most used of {len(thresholds)} thresholds are drawn."
    hidden = some if len(thresholds) > _DRAWN_THRESHOLDS else ""
    return Section(
        "over-time",
        "Confidence over time",
        f"{tally[Outcome.NEEDS_REVIEW]:,} of {words.plural(tally.classified, 'classified image')} "
        f"{'is' if tally[Outcome.NEEDS_REVIEW] == 1 else 'are'} for review.",
        span="full",
        chart=charts.confidence_over_time(
            numbers.cells, thresholds[:_DRAWN_THRESHOLDS], numbers.week.monday, numbers.changes
        ),
        legend=[("dot accepted", "accepted"), ("dot review", "for review")],
        note=f"{drawn} The scale is stretched near 1 so that differences are visible.{hidden}"
        + _changed(numbers, numbers.week.days),
        table=Table(
            ("Day", "Classified", "For review", "Share"),
            [
                (
                    f"{day.dt:%a %Y-%m-%d}",
                    f"{day.tally.classified:,}",
                    f"{day.tally[Outcome.NEEDS_REVIEW]:,}",
                    words.percent(day.below_share),
                )
                for day in numbers.days
                if day.in_week
            ],
        ),
    )


def _classes(numbers: Numbers) -> Section:
    compared = numbers.class_shift.baseline_images > 0
    departure = numbers.departures["label"]
    most, moved = numbers.classes[0], departure.most if departure.shift.psi is not None else None
    takeaway = (
        f"{words.short(most.label)} is the most frequent class: {words.percent(most.share)}."
        if moved is None
        else f"{words.short(moved.name)} changed most: {words.percent(moved.share)}, usually "
        f"{words.percent(moved.usual_share)}."
        if departure.significant
        else "No class changed noticeably."
    )
    odd = any(not (entry.images and entry.baseline_images) for entry in numbers.classes)
    floor = f" The PSI counts smaller shares as {100 * PSI_FLOOR:g}{words.SPACE}%."
    hidden = (
        f" The chart shows the {charts.MAX_CLASSES} of {len(numbers.classes)} classes that "
        f"{'moved most' if compared else 'are the most frequent'}; "
        f"the table has {'all' if len(numbers.classes) <= _MAX_ROWS else f'{_MAX_ROWS}, report.json all'}."
        if len(numbers.classes) > charts.MAX_CLASSES
        else ""
    )
    return Section(
        "classes",
        "Class balance",
        takeaway,
        chart=charts.class_balance(numbers.classes, compared),
        legend=[
            ("dot accepted", "this week, with 95 % interval"),
            *([("ring base", str(numbers.compare))] if compared else []),
        ],
        note=_change(departure, numbers) + hidden,
        statistics=_statistics(numbers.class_shift, departure) + (floor if compared and odd else ""),
        table=Table(
            ("Class", "Images", "Share", "95 % interval", "Before", "Share before", "Mean confidence"),
            [
                (
                    entry.label,
                    f"{entry.images:,}",
                    words.percent(entry.share),
                    f"{words.percent(entry.interval.low)} – {words.percent(entry.interval.high)}",
                    f"{entry.baseline_images:,}",
                    words.percent(entry.baseline_share),
                    words.percent(entry.mean_confidence),
                )
                for entry in numbers.classes[:_MAX_ROWS]
            ],
        ),
    )


def _confidence(numbers: Numbers) -> Section:
    now, then = numbers.summary, numbers.baseline
    takeaway = f"Mean confidence {words.percent(now.mean_confidence)}"
    takeaway += f", {words.percent(then.mean_confidence)} before." if then and then.mean_confidence else "."
    bins = numbers.confidence
    first = bins[0].low
    ticks = [
        (round((tick - first) / 0.02), f"{tick:g}") for tick in (0.2, 0.4, 0.6, 0.8, 1.0) if tick >= first
    ]
    return Section(
        "confidence",
        "How sure the model is",
        takeaway,
        chart=charts.histogram("histogram", "Confidence of classified images", bins, ticks, "{:.2f}".format),
        legend=_histogram_legend(numbers),
        note=_change(numbers.departures["confidence"], numbers),
        statistics=_statistics(numbers.confidence_shift, numbers.departures["confidence"]),
        table=Table(
            ("Confidence", "Images", "Before"),
            [
                (f"{bin_.low:.2f} – {bin_.high:.2f}", f"{bin_.images:,}", f"{bin_.baseline_images:,}")
                for bin_ in bins
            ],
        ),
    )


def _below(numbers: Numbers) -> Section:
    unusual = [day.dt for day in numbers.days if day.unusual]
    banded = any(day.usual for day in numbers.days)
    takeaway = (
        f"Outside the usual band on {words.weekdays(unusual)}."
        if unusual
        else "Every day is within the usual band."
        if banded
        else "There are too few earlier days to know what is usual."
    )
    return Section(
        "below",
        "Share for review",
        takeaway,
        span="full",
        chart=charts.below_threshold(numbers.days, numbers.changes),
        legend=[("dot review", "this week"), ("line base", "before"), ("box band", "usual, 3 σ")],  # noqa: RUF001
        note="Grey band: where nearly every day should fall, judging by the previous four weeks. It is wider "
        "on days with few images." + _changed(numbers, [day.dt for day in numbers.days]),
        table=Table(
            ("Day", "Classified", "Below", "Share", "Usual"),
            [
                (
                    f"{day.dt:%a %Y-%m-%d}",
                    f"{day.tally.classified:,}",
                    f"{day.tally[Outcome.NEEDS_REVIEW]:,}",
                    words.percent(day.below_share),
                    f"{words.percent(day.usual.low)} – {words.percent(day.usual.high)}" if day.usual else "–",
                )
                for day in numbers.days
            ],
        ),
    )


def _unlike(unlike: Unlike, numbers: Numbers) -> Section:
    share, before = words.percent(unlike.share), unlike.baseline_share
    changed = numbers.departures["unlike"].significant
    compared = (
        ""
        if before is None
        else f" In {numbers.compare}, {words.percent(before)} were."
        + " The change from the weeks before is significant." * changed
    )
    folders = unlike.folders[:_DRAWN_FOLDERS]
    return Section(
        "unlike",
        "Unlike the classes",
        f"{unlike.unlike:,} of {words.plural(unlike.scored, 'image')} ({share}, interval "
        f"{' – '.join(map(words.percent, unlike.interval))}) "
        f"{'is' if unlike.unlike == 1 else 'are'} unlike the model's classes.{compared}",
        note="They are for review with the reason unlike_training, whatever their confidence.",
        table=Table(
            ("Folder", "Images", "Unlike", "Share", "Before"),
            [
                (
                    words.folder(of.folder, _FOLDER_CHARS),
                    f"{of.scored:,}",
                    f"{of.unlike:,}",
                    words.percent(of.share),
                    words.percent(of.baseline_share),
                )
                for of in folders
            ],
        ),
        table_open=True,
    )


def _what_if(numbers: Numbers) -> Section:
    tally = numbers.summary.tally
    coverage = words.percent(tally[Outcome.ACCEPTED] / tally.classified)
    now = f"{coverage} of the classified images were accepted; by the model's own estimate, "
    thresholds = _thresholds(numbers)
    one = (
        f"The chart tries one threshold for all classes; {len(thresholds)} are in force. "
        if len(thresholds) > 1
        else ""
    )
    return Section(
        "what-if",
        "What would a different threshold do?",
        f"{now}{words.percent(numbers.summary.expected_precision)} of them are right{_bound(numbers)}.",
        chart=charts.what_if(numbers.what_if, thresholds),
        legend=[
            ("line accepted", "share accepted"),
            ("line review dotted", "share right, by the model's own estimate"),
            ("line ink dashed", "threshold in force"),
        ],
        note=f"{one}The model's own estimate is the mean confidence of the images that would be accepted. It "
        "holds while confidences are calibrated and images resemble the training data.",
        table=Table(
            ("Threshold", "Accepted", "Coverage", "Model's own estimate of precision"),
            [
                (
                    f"{row.threshold:.2f}",
                    f"{row.accepted:,}",
                    words.percent(row.coverage),
                    words.percent(row.expected_precision),
                )
                for row in numbers.what_if
            ],
        ),
    )


def _bound(numbers: Numbers) -> str:
    certificate = numbers.certificate
    if certificate is None:
        return ""
    if not certificate.labels:
        return "; without blind labels it has no lower bound"
    return f"; it is at least {words.at_least(certificate.lower_bound)}, 95{words.SPACE}% sure"


def _measured(numbers: Numbers) -> Section:
    measured = numbers.measured
    if measured is None:
        return Section(
            "measured",
            "Measured precision",
            "No image of this week has been checked by a person.",
            note=f"scones review --week {numbers.week} --sample 50 makes a page to check 50, one key each; "
            "scones label loads the answers. Until then there is only the model's own estimate.",
        )
    low, high = (words.percent(end) for end in measured.interval)
    takeaway = (
        f"People checked {words.plural(measured.accepted, 'accepted image')}: "
        f"{words.percent(measured.precision)} are right "
        f"({'weighted, ' if measured.is_sample else ''}95{words.SPACE}% interval {low} – {high}); "
        f"the model expected {words.percent(measured.expected_precision)}."
        if measured.accepted
        else "No accepted image of this week has been checked. "
        f"scones review --week {numbers.week} --sample 50 adds some to the review page."
    )
    return Section(
        "measured",
        "Measured precision",
        takeaway,
        chart=charts.reliability(measured.bins),
        legend=[("dot accepted", "share correct, with 95 % interval"), ("line base dashed", "ideal")],
        note=" ".join(_labels_note(numbers, measured)),
        table=Table(
            ("Mean confidence", "Images", "Correct", "Share correct"),
            [
                (
                    f"{bin_.confidence_sum / bin_.images:.3f}",
                    f"{bin_.images:,}",
                    f"{bin_.correct:,}",
                    words.percent(bin_.correct / bin_.images),
                )
                for bin_ in measured.bins
            ],
        ),
    )


def _labels_note(numbers: Numbers, measured: Measured) -> Iterator[str]:
    """Yield sentences about what the labels show beside the precision."""
    yield (
        f"{words.plural(measured.images, 'labelled image')} of this week; precision rests on "
        + ("those of the blind random sample." if measured.is_sample else "all of them, blind or not.")
    )
    yield (
        f"Expected calibration error {words.percent(measured.calibration_error)}, of which chance alone "
        f"gives {words.percent(measured.calibration_error_by_chance)}; "
        f"{words.percent(measured.calibration_error_debiased)} without it."
    )
    ranks = measured.ranking
    if ranks.auroc is not None and ranks.risk_area is not None:
        yield (
            f"A correct answer has a higher confidence than a wrong one in {words.percent(ranks.auroc)} "
            f"of the pairs (AUROC, {words.plural(ranks.errors, 'error')} of {ranks.images:,}); "
            f"area under the risk-coverage curve {ranks.risk_area:.4f}."
        )
    if agreed := numbers.agreement:
        kappa = "" if agreed.kappa is None else f" (Cohen's kappa {agreed.kappa:.2f})"
        images = words.plural(agreed.images, "image")
        yield f"Two people say the same of {words.percent(agreed.alike)} of {images}{kappa}."
    if numbers.certificate:
        yield certificate_sentence(numbers.certificate, str(numbers.week))
        if numbers.certificate.labels and numbers.certificate.to_go:
            yield f"scones certify --week {numbers.week}: {still_to_go(numbers.certificate)}"


def _true_classes(shares: Sequence[TrueShare]) -> Section:
    def name(of: TrueShare) -> str:
        return "none of the classes" if of.label is None else words.short(of.label)

    moved = max(shares, key=lambda of: abs(of.share - of.said))
    return Section(
        "true-classes",
        "True class balance",
        f"The model said {name(moved)} for {words.percent(moved.said)} of the images; by the labels it is "
        f"{words.percent(moved.share)}.",
        table=Table(
            ("Class", "Model said", "By labels", "95 % interval"),
            [
                (
                    name(of),
                    words.percent(of.said),
                    words.percent(of.share),
                    f"{words.percent(of.interval.low)} – {words.percent(of.interval.high)}",
                )
                for of in shares[:_MAX_ROWS]
            ],
        ),
        table_open=True,
        note="What people say about a sample of each answer, extended to all images with that answer.",
    )


def _class_precisions(classes: Sequence[ClassPrecision]) -> Section:
    def share(correct: int, images: int) -> str:
        return f"{correct:,} of {images:,}" if images else "–"

    def shows(of: ClassPrecision) -> str:
        return "none of the classes" if of.mostly_shows is None else words.short(of.mostly_shows)

    worst = classes[0]
    hidden = (
        f" The table shows {_MAX_ROWS} of {len(classes)}, report.json all."
        if len(classes) > _MAX_ROWS
        else ""
    )
    return Section(
        "precision-by-class",
        "Precision by class",
        f"{words.plural(worst.wrong, 'image')} classified as {words.short(worst.label)} "
        f"{'is' if worst.wrong == 1 else 'are'} something else: "
        f"{words.mostly(shows(worst), worst.mostly_shows_images, worst.wrong)}."
        if worst.wrong
        else "The model is correct on every labelled image.",
        span="full",
        table=Table(
            (
                "Model's answer",
                "Correct, accepted",
                "Precision",
                "95 % interval",
                "Correct, for review",
                "Errors show most often",
            ),
            [
                (
                    of.label,
                    share(of.accepted_correct, of.accepted),
                    words.percent(of.precision),
                    f"{words.percent(of.interval.low)} – {words.percent(of.interval.high)}"
                    if of.accepted
                    else "–",
                    share(of.needs_review_correct, of.needs_review),
                    f"{shows(of)} ({of.mostly_shows_images:,})" if of.wrong else "–",
                )
                for of in classes[:_MAX_ROWS]
            ],
            texts=(0, 5),
        ),
        table_open=True,
        note=f"Images with a label only. Errors are of accepted images and of those for review.{hidden}",
    )


def _input(input_: Input, numbers: Numbers) -> Section:
    departure, compared = numbers.departures[input_.measure], bool(numbers.baseline)
    bins, size = input_.bins, input_.name == "File size"

    def name(value: float | None) -> str:
        return words.size(value) if size else "–" if value is None else words.significant(value)

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
        note=_change(departure, numbers),
        statistics=_statistics(input_.shift, departure),
        table=Table(
            (f"{input_.name}, {input_.unit}", "Images", "Before"),
            [
                (f"{name(bin_.low)} – {name(bin_.high)}", f"{bin_.images:,}", f"{bin_.baseline_images:,}")
                for bin_ in bins
            ],
        ),
    )


def _latency(numbers: Numbers) -> Section:
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


def _reasons(slug: str, title: str, none: str, reasons: Sequence[Reason], outcome: Outcome) -> Section:
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
            ("Reason", _BAR, "Images", "Before", "Latest"),
            [
                (
                    reason.reason,
                    Markup(charts.bar((reason.images / reasons[0].images, outcome))),  # noqa: S704 - a constant shape
                    f"{reason.images:,}",
                    f"{reason.baseline_images:,}",
                    reason.latest_key,
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


def _completeness(numbers: Numbers) -> Section:
    complete = numbers.completeness
    if complete.missing is None:
        uploads = words.plural(complete.recorded, "upload")
        takeaway = f"{uploads} {_is(complete.recorded)} recorded; the bucket was not listed."
    elif complete.missing > 0:
        uploads = words.plural(complete.uploaded or 0, "upload")
        has = "has" if complete.missing == 1 else "have"
        takeaway = f"{complete.missing:,} of {uploads} {has} no recorded outcome."
    elif complete.missing < 0:
        gone = words.plural(-complete.missing, "recorded image")
        takeaway = f"{gone} {_is(-complete.missing)} no longer in the bucket."
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


def _cost(numbers: Numbers) -> Section:
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


def _changed(numbers: Numbers, days: Sequence[date]) -> str:
    """Return what the dotted lines of a chart over some days are."""
    seen = [
        f"{change.what} ({change.at:%a %d %b %H:%M})"
        for change in numbers.changes
        if change.at.date() in days
    ]
    return f" Dotted lines: from here on {words.short(', '.join(seen), 300)}." if seen else ""


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _thresholds(numbers: Numbers) -> list[float]:
    """Return the thresholds in force, the most used first."""
    images: dict[float, int] = {}
    for model in numbers.models:
        if model.threshold is not None:
            images[model.threshold] = images.get(model.threshold, 0) + model.images
    return sorted(images, key=lambda threshold: -images[threshold])


def _histogram_legend(numbers: Numbers) -> list[tuple[str, str]]:
    before = [("line ink", str(numbers.compare))] if numbers.confidence_shift.baseline_images else []
    return [("box accepted", "this week"), *before]


def _change(departure: Departure, numbers: Numbers) -> str:
    """Return whether a measure has changed, for people."""
    if departure.shift.psi is None:
        return (
            "There is nothing to compare with."
            if numbers.compare is None or not numbers.baseline
            else "There are too few earlier days to know what is usual."
        )
    if departure.shift.size == "small":
        return "No meaningful change from the weeks before."
    sure = "it is statistically clear" if departure.significant else "it could be chance"
    return f"A {departure.shift.size} change from the weeks before; {sure}."


def _statistics(shift: Shift, departure: Departure) -> str:
    """Return how far the week is from the compared one, and the test of it against the weeks before."""
    if shift.psi is None or shift.jensen_shannon is None:
        return ""
    effect = (
        f"To the compared week: PSI {shift.psi:.3f}, Jensen-Shannon distance "
        f"{shift.jensen_shannon:.3f}; n = {shift.images:,} and {shift.baseline_images:,}."
    )
    evidence = departure.shift
    if evidence.psi is None:
        return effect
    degrees = evidence.degrees_of_freedom
    freedom = "" if degrees is None else f" for {words.plural(degrees, 'degree')} of freedom"
    return (
        f"{effect} To the four weeks before: PSI {evidence.psi:.3f}; {evidence.test} "
        f"{words.significant(evidence.statistic)}{freedom}, {words.p_value(evidence.p_value)}."
    )


def _per_million(cost: WeeklyCost) -> str:
    usd = cost.usd_per_million_images
    return (
        ""
        if usd is None
        else f"${usd:,.2f} per million images, without the endpoint, Athena and what a stack costs at rest"
    )


def _challenger(compared: challenger.Comparison) -> Section:
    return Section(
        "challenger",
        "The challenger",
        challenger.takeaway(compared),
        span="full",
        table=Table(
            challenger.HEAD, challenger.table_rows(compared.differences[:_MAX_ROWS]), challenger.TEXTS
        ),
        note=challenger.note(compared),
    )
