"""The expected outcome of each upload compared with its rows: lost, doubled, wrong. Pure."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.torture.faults import Lasts
from tests.torture.plan import Injection
from workflow.outcome import Outcome

STARVED = frozenset({"States.Timeout", "Sandbox.Timedout", "States.QueryEvaluationError"})
"""Additional reasons of failures on an overloaded machine, until the redrive."""

Name = tuple[str, str]
"""Key and version id."""


@dataclass(frozen=True)
class ExpectedOutcome:
    """One outcome that an upload may have."""

    outcome: Outcome
    label: str | None = None
    confidence: float | None = None
    reasons: frozenset[str | None] = frozenset({None})
    unfamiliarity: float | None = None

    def matches(self, row: "Row") -> bool:
        """Tell whether a row has this outcome."""
        return (
            row.outcome == self.outcome
            and row.label == self.label
            and row.reason in self.reasons
            and _same(row.confidence, self.confidence)
            and _same(row.unfamiliarity, self.unfamiliarity)
        )


@dataclass(frozen=True)
class Row:
    """A row of the view `outcomes`."""

    outcome: str
    label: str | None
    confidence: float | None
    reason: str | None
    unfamiliarity: float | None = None


@dataclass(frozen=True)
class Expected:
    """The outcomes that an upload may have by now."""

    outcomes: tuple[ExpectedOutcome, ...]
    may_be_missing: bool = False
    may_be_doubled: bool = False


@dataclass
class Verdict:
    """The uploads that are not as expected, and what is wrong with each."""

    lost: dict[Name, str] = field(default_factory=dict)
    doubled: dict[Name, str] = field(default_factory=dict)
    wrong: dict[Name, str] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether every upload is as expected."""
        return not (self.lost or self.doubled or self.wrong)


def expected_outcomes(
    clean: ExpectedOutcome, injection: Injection | None, duplicates: int, *, after_redrive: bool
) -> tuple[ExpectedOutcome, ...]:
    """Return the outcomes that an upload with a fault may have.

    Args:
        clean: its outcome without a fault.
        injection: its fault, if any.
        duplicates: number of duplicates of its event.
        after_redrive: whether failed images were redriven since.
    """
    failed = ExpectedOutcome(
        Outcome.FAILED, reasons=frozenset(injection.fault.reasons) if injection else frozenset()
    )
    if injection and injection.lasts is Lasts.ALWAYS:
        return (failed,)
    if after_redrive:
        return (clean,)
    starved = ExpectedOutcome(Outcome.FAILED, reasons=STARVED)
    if injection and injection.lasts is Lasts.UNTIL_REDRIVE:
        return failed, starved
    if injection and injection.fault.is_final:
        # The execution of a duplicate event may have no fault any more.
        return (failed, clean, starved) if duplicates else (failed, starved)
    return clean, starved


def judge(expected: Mapping[Name, Expected], rows: Iterable[tuple[Name, Row]]) -> Verdict:
    """Compare the rows with the expected outcomes."""
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
        wrong = [row for row in found if not any(each.matches(row) for each in right.outcomes)]
        if wrong:
            verdict.wrong[name] = f"is {wrong[0]}, not {' or '.join(map(str, right.outcomes))}"
    verdict.wrong |= dict.fromkeys(seen, "was never uploaded")
    return verdict


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-12)
