"""Reports of made-up weeks, and what a page must be whatever the week was like."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TypeVar
from xml.etree import ElementTree

from analytics.report.build import WeeklyReport, build_report
from analytics.report.isoweek import IsoWeek
from tests.athena import Athena
from tests.builders_table import a_row, write_rows

WEEK = IsoWeek.parse("2026-W47")
BEFORE = WEEK.back()
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
COORDINATES = ("d", "x", "y", "width", "height", "cx", "cy", "r")
T = TypeVar("T")


def report_of(folder, rows, compare=BEFORE, now=NOW, **more) -> WeeklyReport:
    write_rows(folder, rows)
    return build_report(Athena(folder), WEEK, compare, now=now, **more)


def known(value: T | None) -> T:
    assert value is not None
    return value


class Text(HTMLParser):
    """Collects what a reader sees, and which tags are there."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        attributes = dict(attrs)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if (attributes.get("href") or "").startswith("#"):
            self.targets.append(attributes["href"][1:])
        self.targets += (attributes.get("aria-labelledby") or "").split()

    def handle_data(self, data):
        self.text.append(data)


def parsed(report: WeeklyReport) -> Text:
    parser = Text()
    parser.feed(report.to_html())
    return parser


def page_text(report: WeeklyReport) -> str:
    return " ".join(" ".join(parsed(report).text).replace("\u00a0", " ").split())


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]  # noqa: S314


def check_page(report: WeeklyReport) -> None:
    """What is true of every page."""
    html = report.to_html()
    assert len(html.encode()) < 500_000
    page = parsed(report)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.targets) <= set(page.ids)
    assert not page.tags["script"]
    assert page.tags["h1"] == 1
    for svg in svgs(html):
        for element in svg.iter():
            assert not re.search(r"\b(nan|inf)\b", " ".join(element.get(name, "") for name in COORDINATES))
        if svg.get("role") == "img" and svg.get("aria-labelledby"):
            title, described = list(svg)[:2]
            assert (title.text or "").strip()
            assert (described.text or "").strip()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert report.verdict.sentence in " ".join(page.text)
    numbers = json.loads(report.to_json())
    assert numbers["summary"]["tally"]["images"] == report.numbers.summary.tally.images
    assert report.to_text().startswith(f"**Scones, week {WEEK}.**")


def at(number: int, day: int = 0, week: IsoWeek = WEEK, **changes):
    """Return a row of a day, 0 for the week's Monday."""
    moment = datetime.combine(week.days[day], datetime.min.time()) + timedelta(hours=9)
    return a_row(number, uploaded_at=moment, **changes)


def last_week(images: int, **changes):
    return [at(100_000 + n, day=n % 7, week=BEFORE, **changes) for n in range(images)]


def urgent(report: WeeklyReport) -> list[str]:
    return [finding.what for finding in report.verdict.findings if finding.attention]


def in_folders(images: Mapping[str, int], unsure: Mapping[str, int], first: int = 0, week: IsoWeek = WEEK):
    """Return rows of folders, so many of each below the threshold."""
    numbers = itertools.count(first)
    for folder, count in images.items():
        for place in range(count):
            number = next(numbers)
            key = f"{folder}/{number}.jpg" if folder else f"{number}.jpg"
            is_unsure = place < unsure.get(folder, 0)
            said = {"confidence": 0.6, "outcome": "needs_review"} if is_unsure else {}
            yield at(number, day=number % 7, key=key, week=week, **said)


VANS = {"": 60, "van-1": 60, "van-2": 60, "van-3": 60}
