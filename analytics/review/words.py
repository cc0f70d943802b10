"""A certificate in words, for the terminal and the report. Pure."""

from analytics.review.certificate import Certificate, State
from analytics.text import SPACE, at_least, plural
from ingest.stats import labels_needed


def certificate_sentence(certificate: Certificate, week: str) -> str:
    """Return what is certain about a week's accepted images."""
    target, sure = _round(certificate.target), f"{_round(certificate.confidence)} sure"
    checked = f"{plural(certificate.labels, 'blind label')}, {plural(certificate.errors, 'error')}"
    if not certificate.images:
        return f"{week} has no accepted image."
    match certificate.state:
        case State.CERTIFIED:
            return (
                f"Certified: at least {target} of the {certificate.images:,} images accepted in {week} "
                f"are right, {sure} ({checked})."
            )
        case State.REFUTED:
            return f"Less than {target} of the images accepted in {week} are right ({checked})."
        case State.WITHDRAWN:
            what = f"Withdrawn: {week} was certified, but later labels show more errors ({checked})."
        case State.OPEN:
            what = f"Not certified: {checked} of a random sample of {week}."
    return (
        f"{what} So far, at least {at_least(certificate.lower_bound)} of its accepted images are right, "
        f"{sure}."
        if certificate.labels
        else what
    )


def still_to_go(certificate: Certificate) -> str:
    """Return how many labels are missing, and what a sample of a fixed size would take."""
    if certificate.state is State.CERTIFIED:
        return "It holds however often you look. A later label that shows an error may withdraw it."
    if not certificate.to_go:
        return "No number of labels can certify it."
    at_once = labels_needed(certificate.target, 0, certificate.confidence)
    return (
        f"{plural(certificate.to_go, 'more label')} would certify it if each is right; an error takes more. "
        f"(A sample that is looked at only once takes {at_once:,} without an error.)"
    )


def _round(share: float) -> str:
    return f"{100 * share:.4g}{SPACE}%"
