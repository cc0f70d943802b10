"""The report is the same but for names, whatever keys, classes, reasons and models are called."""

import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.athena.local import LocalEngine
from analytics.questions.queries import views
from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.verdict import judge
from tests.builders import png_bytes
from tests.builders_table import (
    a_failed_row,
    a_label,
    a_rejected_row,
    a_row,
    write_labels,
    write_rows,
)

WEEK = IsoWeek.parse("2026-W47")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("some-key", "class-a", "class-b", "reason-r", "reason-f", "some-model", "some-endpoint")
"""What others choose, each in its place."""

bits = st.sampled_from(
    [
        *(
            "<",
            ">",
            "&",
            '"',
            "'",
            "`",
            "=",
            "/",
            "\\",
            "<!--",
            "-->",
            "]]>",
            "<![CDATA[",
            "&lt",
            "&#60;",
            "{{ 7 }}",
        ),
        *(
            "</script>",
            "</style>",
            "</title>",
            "</svg>",
            "</td>",
            "<img src=x onerror=alert(1)>",
            "javascript:",
        ),
        *("\0", "\t", "\n", "\r", "\x1b[2J", "\u2028", "\u202e", "\ufeff", " onload=x ", "' onfocus='x"),
    ]
)
hostile = st.lists(bits | st.text(max_size=3), min_size=1, max_size=6).map("".join)


Called = Callable[..., tuple[str, str]]
"""Names → the page and the digest in which keys, classes and so on have them."""


class Elements(HTMLParser):
    """Counts elements by their attributes' names, and where they lead."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, ...]] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag, *(name for name, _ in attrs)] += 1
        for name, value in attrs:
            if name in ("href", "src"):
                self.seen["to", (value or "")[:5]] += 1

    def handle_comment(self, data: str) -> None:
        self.seen["comment", data] += 1

    def handle_decl(self, decl: str) -> None:
        self.seen["declaration", decl] += 1

    def unknown_decl(self, data: str) -> None:
        self.seen["declaration", data] += 1

    def handle_pi(self, data: str) -> None:
        self.seen["instruction", data] += 1


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Called:
    """Return what makes a report in which names are what it is given."""
    folder = tmp_path_factory.mktemp("results")
    key, one, other, reject, failure, model, endpoint = NAMES
    named = {"key": key, "model_version": model, "endpoint": endpoint}
    unsure = {"outcome": "needs_review", "confidence": 0.6, "label": other, **named}
    rows = [
        *(a_row(n, label=one, **named) for n in range(20)),
        *(a_row(n, **unsure) for n in range(20, 30)),
        a_row(30, model_version="another"),
        a_rejected_row(31, reject, key=key),
        *(a_failed_row(n, failure, key=key) for n in range(32, 40)),
    ]
    write_rows(folder, rows)
    write_labels(folder, "2026-11-16", [a_label(row, row["label"]) for row in rows[:30]])
    numbers = build_report(LocalEngine(folder, views()), WEEK, WEEK.back(), uploaded=44, now=NOW).numbers
    pictures: list[bytes | None] = [png_bytes()] * len(numbers.least_certain)

    def called(*names: str) -> tuple[str, str]:
        of = renamed(numbers, dict(zip(NAMES, names, strict=True)))
        report = WeeklyReport(of, judge(of, NOW.date()), pictures, NOW)
        return report.to_html(), report.to_text()

    return called


def elements(page: str) -> Counter[tuple[str, ...]]:
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser.seen


def renamed(value: Any, names: dict[str, str]) -> Any:
    """Return a value with names in place of others, however deep they are."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, list):
        return [renamed(each, names) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{each.name: renamed(getattr(value, each.name), names) for each in fields(value)}
        )
    return value


@settings(max_examples=30)
@given(st.lists(hostile, min_size=len(NAMES), max_size=len(NAMES), unique=True))
def test_no_name_becomes_an_element_or_an_attribute(called: Called, names: list[str]) -> None:
    assert elements(called(*names)[0]) == elements(called(*NAMES)[0])


@settings(max_examples=30)
@given(st.lists(hostile, min_size=len(NAMES), max_size=len(NAMES), unique=True))
def test_no_name_brings_a_character_that_cannot_be_seen(called: Called, names: list[str]) -> None:
    for text in called(*names):
        unseen = {each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        assert unseen <= {"\n"}


def test_what_cannot_be_seen_is_marked(called: Called) -> None:
    page, digest = called(*(f"a\x1b[2J\u202e{name}" for name in NAMES))
    assert page.count("a�[2J�some-key") > 10
    assert "�" not in "".join(called(*NAMES))
    assert "reason-f" in digest
