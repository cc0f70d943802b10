"""What should have become of each upload, against what did: lost, doubled, wrong. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.torture.faults import Lasts
from tests.torture.plan import Ailment
from workflow.outcome import Outcome

STARVED = frozenset({"States.Timeout", "Sandbox.Timedout", "States.QueryEvaluationError"})
"""Reasons of failures that a machine with too much to do may add, until the redrive."""

Name = tuple[str, str]
"""Key and version id."""


@dataclass(frozen=True)
class Right:
    """One outcome that an upload may have."""

    outcome: Outcome
    label: str | None = None
    confidence: float | None = None
    reasons: frozenset[str | None] = frozenset({None})

    def fits(self, row: "Row") -> bool:
        """Tell whether a row says so."""
        return (
            row.outcome == self.outcome
            and row.label == self.label
            and row.reason in self.reasons
            and _same(row.confidence, self.confidence)
        )


@dataclass(frozen=True)
class Row:
    """What readers see of an upload."""

    outcome: str
    label: str | None
    confidence: float | None
    reason: str | None


@dataclass(frozen=True)
class Expected:
    """What may have become of an upload by now."""

    rights: tuple[Right, ...]
    may_be_missing: bool = False
    may_be_doubled: bool = False


@dataclass
class Verdict:
    """What is not as it should be: the upload, and what there is to say."""

    lost: dict[Name, str] = field(default_factory=dict)
    doubled: dict[Name, str] = field(default_factory=dict)
    wrong: dict[Name, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing."""
        return not (self.lost or self.doubled or self.wrong)


def rights(clean: Right, ailment: Ailment | None, copies: int, *, after_redrive: bool) -> tuple[Right, ...]:
    """Return what may have become of an upload that met a fault.

    Args:
        clean: what becomes of it without one.
        ailment: its fault, if any.
        copies: how often its event comes again.
        after_redrive: whether what failed was done again since.
    """
    failed = Right(Outcome.FAILED, reasons=frozenset(ailment.fault.reasons) if ailment else frozenset())
    if ailment and ailment.lasts is Lasts.ALWAYS:
        return (failed,)
    if after_redrive:
        return (clean,)
    starved = Right(Outcome.FAILED, reasons=STARVED)
    if ailment and ailment.lasts is Lasts.UNTIL_REDRIVE:
        return failed, starved
    if ailment and ailment.fault.is_final:
        # Of an event that comes again, the second execution may meet no fault any more.
        return (failed, clean, starved) if copies else (failed, starved)
    return clean, starved


def judge(expected: Mapping[Name, Expected], rows: Iterable[tuple[Name, Row]]) -> Verdict:
    """Compare what readers see with what is right."""
    seen: dict[Name, list[Row]] = defaultdict(list)
    for name, row in rows:
        seen[name].append(row)
    verdict = Verdict()
    for name, right in expected.items():
        found = seen.pop(name, [])
        if not found and not right.may_be_missing:
            verdict.lost[name] = "has no row"
        if len(found) > 1 and not right.may_be_doubled:
            verdict.doubled[name] = f"has {len(found)} rows"
        wrong = [row for row in found if not any(each.fits(row) for each in right.rights)]
        if wrong:
            verdict.wrong[name] = f"is {wrong[0]}, not {' or '.join(map(str, right.rights))}"
    verdict.wrong |= dict.fromkeys(seen, "was never uploaded")
    return verdict


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-12)
