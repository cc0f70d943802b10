"""The certificate of a week: what its labels show, and the sheet of the images that it still needs."""

from dataclasses import dataclass
from pathlib import Path

from analytics.athena.engine import Engine
from analytics.questions.queries import saved_query
from analytics.report.isoweek import IsoWeek
from analytics.review.certificate import Certificate, State
from analytics.review.measured import Labelled, certificate_of
from analytics.review.sample import sampling_frame
from analytics.review.sheet import MAX_IMAGES, Queue, certificate_queue
from infra.operations.write_sheet import write_sheet
from infra.stack import Stack

FILE = "certify.html"


@dataclass(frozen=True)
class Certified:
    """A week's certificate, and the images that it needs next."""

    certificate: Certificate
    queue: Queue
    page: Path | None
    """Their sheet; None if no label is missing."""


def certify(stack: Stack, answers: Engine, week: IsoWeek, target: float, folder: Path) -> Certified:
    """Return a week's certificate, and write the sheet of the images that it still needs.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    days = {"from_dt": week.monday, "to_dt": week.sunday}
    labelled = Labelled.of(answers.query(saved_query("labelled_images", **days)).records())
    certificate = certificate_of(sampling_frame(answers, week.monday, week.sunday), labelled, target)
    if certificate.state is State.CERTIFIED or not certificate.to_go:
        return Certified(certificate, Queue([], 0, 0, week.monday), None)
    size = min(certificate.to_go, MAX_IMAGES)
    queue = certificate_queue(answers, week.monday, week.sunday, size)
    return Certified(certificate, queue, write_sheet(stack, queue, folder / FILE))
