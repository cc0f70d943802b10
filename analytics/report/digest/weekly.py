"""Last week's report, sent: the page into the bucket, the message to people."""

from datetime import datetime
from typing import Protocol

from analytics.athena.engine import Answered, Asked
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.message import PLAIN, SLACK, message, subject


class Pages(Protocol):
    """Where the page goes."""

    def put(self, week: str, page: str, numbers: str) -> str:
        """Store a page; return a link to it."""
        ...


class Topic(Protocol):
    """Where the mail goes."""

    def publish(self, subject: str, text: str) -> None:
        """Send a mail."""
        ...


class Chat(Protocol):
    """Where the chat's message goes."""

    def post(self, text: str) -> None:
        """Send a message."""
        ...


def send_week(athena: Asked[Answered], pages: Pages, topic: Topic, chat: Chat, now: datetime) -> str:
    """Judge the last complete week as the report does, store its page, and send the verdict; return the week.

    A week without images has no page.

    Raises:
        QueryRefused, QueryFailed: Athena did not answer the one question that the report needs.
    """
    week = IsoWeek.of(now.date()).back()
    report = build_report(athena, week, week.back(), now=now)
    numbers, verdict = report.numbers, report.verdict
    page = pages.put(str(week), report.to_html(), report.to_json()) if numbers.summary.tally.images else ""
    topic.publish(subject(numbers, verdict), message(numbers, verdict, PLAIN, page))
    chat.post(message(numbers, verdict, SLACK, f"<{page}|the page>" if page else ""))
    return str(week)
