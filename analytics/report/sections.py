"""The report's sections: the cards of each chapter, as far as their questions were answered. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics.report import challenger
from analytics.report.cards import answers, incoming, operations
from analytics.report.cards.card import Section
from analytics.report.numbers import QUESTIONS_OF_LABELS, Numbers
from workflow.outcome import Outcome

_REJECTED, _FAILED = "Rejected, by reason", "Failed, by reason"


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
    "confidence": ("shares_by_day",),
    "below": ("volume_by_day",),
    "unlike": ("unlike_by_folder", "most_unfamiliar_images"),
    "what-if": ("coverage_at_thresholds",),
    "measured": (*QUESTIONS_OF_LABELS, "label_agreement"),
    "precision-by-class": QUESTIONS_OF_LABELS,
    "challenger": challenger.QUESTIONS,
    "inputs": ("shares_by_day", "drift_inputs"),
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
        images += part("volume", "Images by day", lambda: [incoming.volume_card(numbers)])
        images += part("hours", "Images by hour", lambda: [incoming.hours_card(numbers)])
        images += part("folders", "By folder", lambda: incoming.folders_cards(numbers))
    if tally.classified:
        shares, unlike, measured = numbers.true_shares, numbers.unlike, numbers.measured
        model += part("over-time", "Confidence over time", lambda: [answers.over_time_card(numbers)])
        model += part("classes", "Class balance", lambda: [answers.classes_card(numbers)])
        model += part(
            "true-classes",
            "True class balance",
            lambda: [answers.true_classes_card(shares)] if shares else [],
        )
        model += part("confidence", "How sure the model is", lambda: [answers.confidence_card(numbers)])
        model += part("below", "Share for review", lambda: [answers.below_card(numbers)])
        model += part(
            "unlike", "Unlike the classes", lambda: [answers.unlike_card(unlike, numbers)] if unlike else []
        )
        model += part(
            "what-if", "What would a different threshold do?", lambda: [answers.what_if_card(numbers)]
        )
        model += part("measured", "Measured precision", lambda: [answers.measured_card(numbers)])
        model += part(
            "precision-by-class",
            "Precision by class",
            lambda: [answers.class_precisions_card(measured.classes)] if measured else [],
        )
        compared = numbers.challenger
        model += part(
            "challenger", "The challenger", lambda: [answers.challenger_card(compared)] if compared else []
        )
        images += part(
            "inputs",
            "Inputs",
            lambda: [incoming.input_card(input_, numbers) for input_ in numbers.inputs],
        )
    handling = [
        *part(
            "rejects",
            _REJECTED,
            lambda: [
                operations.reasons_card(
                    "rejects", _REJECTED, "No image was rejected.", numbers.rejects, Outcome.REJECTED
                )
            ],
        ),
        *part(
            "failures",
            _FAILED,
            lambda: [
                operations.reasons_card(
                    "failures", _FAILED, "No image failed.", numbers.failures, Outcome.FAILED
                )
            ],
        ),
        *(part("latency", "Latency", lambda: [operations.latency_card(numbers)]) if tally.classified else []),
        *part("completeness", "Completeness", lambda: [operations.completeness_card(numbers)]),
        *part("cost", "Cost of the week", lambda: [operations.cost_card(numbers)]),
    ]
    found = [
        Chapter("model", "The model's answers", model),
        Chapter("images", "Incoming images", images),
        Chapter("operations", "Operations", handling),
    ]
    return [chapter for chapter in found if chapter.sections]
