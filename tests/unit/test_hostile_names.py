"""The report's page has the same elements whatever keys, classes, reasons and models are called."""

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.athena import LocalAthena
from analytics.isoweek import IsoWeek
from analytics.queries import views
from analytics.report.build import build_report
from analytics.report.page import render
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
def elements(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Counter[tuple[str, ...]]]:
    """Return what counts the elements of a page in which names are what it is given."""
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
    numbers = build_report(LocalAthena(folder, views()), WEEK, WEEK.back(), uploaded=44, now=NOW).numbers
    pictures: list[bytes | None] = [png_bytes()] * len(numbers.least_certain)

    def elements(*names: str) -> Counter[tuple[str, ...]]:
        called = renamed(numbers, dict(zip(NAMES, names, strict=True)))
        parser = Elements()
        parser.feed(render(called, judge(called, NOW.date()), pictures, NOW))
        parser.close()
        return parser.seen

    return elements


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
def test_no_name_becomes_an_element_or_an_attribute(elements: Any, names: list[str]) -> None:
    assert elements(*names) == elements(*NAMES)
