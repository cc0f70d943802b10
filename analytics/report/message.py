"""The week in a few lines for people: a file, a mail or a chat. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from analytics.report.numbers import Numbers, WeekSummary
from analytics.report.verdict import Finding, Verdict
from analytics.text import change_in_points, percent, plural, relative_change, seconds, short
from workflow.outcome import Outcome

_MARKDOWN = re.compile(r"[\\`*|~\[\]]|<(?=[\w/!?@#])|(?<![^\W_])_|_(?![^\W_])")
_SLACK = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""Source: https://docs.slack.dev/messaging/formatting-message-text#escaping"""
_UNSEEN = "\u200b"
"""Put behind a mark of Slack's, which has no escape: `*`, `_`, `~` and the backtick."""
_SUBJECT_CHARS = 99
"""SNS takes fewer than 100 characters of ASCII. Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""


@dataclass(frozen=True)
class Form:
    """How a kind of text is written."""

    bold: str
    """What stands on both sides of what is bold."""
    plain: Callable[[str], str]
    """Keeps names of classes, folders and models from being marks."""


def _slack(text: str) -> str:
    escaped = "".join(_SLACK.get(character, character) for character in text)
    return re.sub(r"[*_~`]", lambda mark: mark[0] + _UNSEEN, escaped)


MARKDOWN = Form("**", lambda text: _MARKDOWN.sub(r"\\\g<0>", text))
PLAIN = Form("", lambda text: text)
SLACK = Form("*", _slack)


def subject(numbers: Numbers, verdict: Verdict) -> str:
    """Return the verdict in one line of at most 99 ASCII characters, for a mail's subject."""
    urgent = [finding for finding in verdict.findings if finding.attention]
    more = f" (and {len(urgent) - 1} more)" if len(urgent) > 1 else ""
    what = short(urgent[0].what, 200) if urgent else "all is well"
    text = f"Scones {numbers.week}: {what.rstrip('.')}".replace("\u00a0", " ")
    ascii_text = text.replace("…", "...").encode("ascii", "replace").decode()
    most = _SUBJECT_CHARS - len(more)
    return (ascii_text if len(ascii_text) <= most else ascii_text[: most - 3] + "...") + more


def message(numbers: Numbers, verdict: Verdict, form: Form, page: str = "") -> str:
    """Return the week: the verdict, what needs attention first, and the figures.

    Args:
        numbers: of the week.
        verdict: on it.
        form: of the text.
        page: where the report is; empty for nowhere.
    """
    urgent = [finding for finding in verdict.findings if finding.attention]
    notes = [finding for finding in verdict.findings if not finding.attention]
    title = f"{form.bold}Scones, week {numbers.week}.{form.bold} {form.plain(verdict.sentence)}"
    paragraphs = [
        [title],
        [_line(finding, form, form.bold) for finding in urgent],
        [*(["Also:"] if urgent and notes else []), *(_line(finding, form) for finding in notes)],
        _figures(numbers),
        ["Next:"] * bool(verdict.steps) + [f"- {step.command}: {step.gain}" for step in verdict.steps],
        [f"Report: {page}"] if page else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines) + "\n"


def _line(finding: Finding, form: Form, bold: str = "") -> str:
    return f"- {bold}{form.plain(finding.what)}{bold} {form.plain(finding.action)}"


def _figures(numbers: Numbers) -> list[str]:
    now, then, measured = numbers.summary, numbers.baseline, numbers.measured
    images = f"- {plural(now.tally.images, 'image')}"
    if then:
        images += f" ({relative_change(now.tally.images, then.tally.images)} from {numbers.compare})"
    lines = [images + "".join(f", {_share(outcome, now, then)}" for outcome in Outcome)]
    if measured and measured.precision is not None:
        low, high = measured.interval
        lines.append(
            f"- Precision, by {plural(measured.accepted, 'label')}: {percent(measured.precision)} "
            f"({percent(low)} – {percent(high)})"
        )
    elif now.expected_precision is not None:
        lines.append(f"- Precision, by the model's own estimate: {percent(now.expected_precision)}")
    if now.total_p95_ms is not None:
        lines.append(f"- 95 % of the images were decided within {seconds(now.total_p95_ms)}")
    return lines if now.tally.images else []


def _share(outcome: Outcome, now: WeekSummary, then: WeekSummary | None) -> str:
    share, before = now.tally.share(outcome), then.tally.share(outcome) if then else None
    change = change_in_points(share, before)
    return f"{percent(share)} {outcome.heading.lower()}" + (f" ({change})" if change else "")
