"""Cards of the chapter about the model's answers: numbers → a sentence, a chart and a table each. Pure."""

from collections.abc import Iterator, Sequence

from analytics import text as words
from analytics.commands import how
from analytics.report import challenger, charts
from analytics.report.cards.card import (
    DRAWN_FOLDERS,
    FOLDER_CHARS,
    MAX_ROWS,
    Section,
    Table,
    change,
    since_changed,
    statistics,
)
from analytics.report.drift import PSI_FLOOR
from analytics.report.numbers import ClassPrecision, Measured, Numbers, Unlike
from analytics.review.estimates import TrueShare
from analytics.review.words import certificate_sentence, still_to_go
from workflow.outcome import Outcome

_DRAWN_THRESHOLDS = 3
"""Lines of more thresholds would hide the dots."""


def over_time_card(numbers: Numbers) -> Section:
    """Return every image at its time and confidence."""
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
        + since_changed(numbers, numbers.week.days),
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


def classes_card(numbers: Numbers) -> Section:
    """Return the share of each class, beside that of the compared week."""
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
        f"the table has {'all' if len(numbers.classes) <= MAX_ROWS else f'{MAX_ROWS}, report.json all'}."
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
        note=change(departure, numbers) + hidden,
        statistics=statistics(numbers.class_shift, departure) + (floor if compared and odd else ""),
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
                for entry in numbers.classes[:MAX_ROWS]
            ],
        ),
    )


def confidence_card(numbers: Numbers) -> Section:
    """Return how the model's confidence is distributed."""
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
        note=change(numbers.departures["confidence"], numbers),
        statistics=statistics(numbers.confidence_shift, numbers.departures["confidence"]),
        table=Table(
            ("Confidence", "Images", "Before"),
            [
                (f"{bin_.low:.2f} – {bin_.high:.2f}", f"{bin_.images:,}", f"{bin_.baseline_images:,}")
                for bin_ in bins
            ],
        ),
    )


def below_card(numbers: Numbers) -> Section:
    """Return the share for review by day, with its usual band."""
    unusual = [day.dt for day in numbers.days if day.unusual]
    banded = any(day.usual for day in numbers.days)
    departure = numbers.departures["below"]
    changed = (
        f"{words.percent(departure.share.share)} of the classified images, usually "
        f"{words.percent(departure.share.usual_share)}. "
        if departure.significant
        else ""
    )
    takeaway = changed + (
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
        "on days with few images." + since_changed(numbers, [day.dt for day in numbers.days]),
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


def unlike_card(unlike: Unlike, numbers: Numbers) -> Section:
    """Return how many images are unlike the model's classes, by folder."""
    share, before = words.percent(unlike.share), unlike.baseline_share
    changed = numbers.departures["unlike"].significant
    compared = (
        ""
        if before is None
        else f" In {numbers.compare}, {words.percent(before)} were."
        + " The change from the weeks before is significant." * changed
    )
    folders = unlike.folders[:DRAWN_FOLDERS]
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
                    words.folder(of.folder, FOLDER_CHARS),
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


def what_if_card(numbers: Numbers) -> Section:
    """Return what other thresholds would accept."""
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
    if not certificate.bounds:
        return "; without more blind labels nothing is certain"
    return f"; it is at least {words.at_least(certificate.lower_bound)}, 95{words.SPACE}% sure"


def _checking(numbers: Numbers) -> str:
    return how("review", WEEK=str(numbers.week), SAMPLE="50")


def measured_card(numbers: Numbers) -> Section:
    """Return what labels show about the accepted images."""
    measured = numbers.measured
    if measured is None:
        return Section(
            "measured",
            "Measured precision",
            "No image of this week has been checked by a person.",
            note=f"{_checking(numbers)} makes a page to check 50, one key each; {how('label')} loads the "
            "answers. Until then there is only the model's own estimate.",
        )
    low, high = (words.percent(end) for end in measured.interval)
    takeaway = (
        f"People checked {words.plural(measured.accepted, 'accepted image')}: "
        f"{words.percent(measured.precision)} are right "
        f"({'weighted, ' if measured.is_sample else ''}95{words.SPACE}% interval {low} – {high}); "
        f"the model expected {words.percent(measured.expected_precision)}."
        if measured.accepted
        else "No accepted image of this week has been checked. "
        f"{_checking(numbers)} adds some to the review page."
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
            certify = how("certify", WEEK=str(numbers.week))
            yield f"{certify}: {still_to_go(numbers.certificate)}"


def true_classes_card(shares: Sequence[TrueShare]) -> Section:
    """Return the share of each class as the labels show it."""

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
                for of in shares[:MAX_ROWS]
            ],
        ),
        table_open=True,
        note="What people say about a sample of each answer, extended to all images with that answer.",
    )


def class_precisions_card(classes: Sequence[ClassPrecision]) -> Section:
    """Return how often each class is right among labelled images."""

    def share(correct: int, images: int) -> str:
        return f"{correct:,} of {images:,}" if images else "–"

    def shows(of: ClassPrecision) -> str:
        return "none of the classes" if of.mostly_shows is None else words.short(of.mostly_shows)

    worst = classes[0]
    hidden = (
        f" The table shows {MAX_ROWS} of {len(classes)}, report.json all." if len(classes) > MAX_ROWS else ""
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
                for of in classes[:MAX_ROWS]
            ],
            texts=(0, 5),
        ),
        table_open=True,
        note=f"Images with a label only. Errors are of accepted images and of those for review.{hidden}",
    )


def challenger_card(compared: challenger.Comparison) -> Section:
    """Return how the challenger compares with the model in use."""
    return Section(
        "challenger",
        "The challenger",
        challenger.takeaway(compared),
        span="full",
        table=Table(
            challenger.HEAD, challenger.table_rows(compared.differences[:MAX_ROWS]), challenger.TEXTS
        ),
        note=challenger.note(compared),
    )


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
