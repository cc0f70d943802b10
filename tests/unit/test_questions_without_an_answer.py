"""analytics.report: a question that Athena does not answer costs its sections, and not the report."""

import json
from datetime import UTC, datetime
from itertools import groupby

import pytest

from analytics.athena.engine import QueryFailed
from analytics.athena.local import LocalEngine
from analytics.lake.schema import partition
from analytics.questions.queries import question, saved_queries, views
from analytics.report.build import build_report
from analytics.report.isoweek import IsoWeek
from analytics.report.numbers import QUESTIONS_OF_LABELS
from analytics.report.sections import QUESTIONS, chapters
from tests.builders_table import Week, a_label, weeks_of_rows, write_labels, write_rows

WEEK = IsoWeek.parse("2026-W47")
BEFORE = WEEK.back()
NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class Remembering:
    """An engine that asks another one once, and fails for whatever mentions some text."""

    def __init__(self, engine):
        self.engine, self.answers, self.fails = engine, {}, None

    def query(self, sql, parameters=()):
        if self.fails and self.fails in sql:
            raise QueryFailed("INVALID_COLUMN_REFERENCE: line 7:17")
        if sql not in self.answers:
            self.answers[sql] = self.engine.query(sql, parameters)
        return self.answers[sql]


@pytest.fixture(scope="module")
def remembering(tmp_path_factory):
    rows = weeks_of_rows(Week(WEEK.monday, images_a_day=60, certainty=8), weeks_before=5)
    folder = tmp_path_factory.mktemp("remembered")
    write_rows(folder, rows)
    accepted = [row for row in rows if row["outcome"] == "accepted" and partition(row) >= str(WEEK.monday)]
    first = sorted(accepted, key=lambda row: row["upload_id"])[:30]
    for dt, of_day in groupby(sorted(first, key=partition), key=partition):
        write_labels(folder, dt, [a_label(row, row["label"], source="sample") for row in of_day])
    engine = Remembering(LocalEngine(folder, views()))
    report = build_report(engine, WEEK, BEFORE, now=NOW)
    certificate, measured = report.numbers.certificate, report.numbers.measured
    assert certificate
    assert certificate.labels
    assert measured
    assert measured.is_sample
    return engine


def first_line(name):
    return f"-- {question(name)}"


ASKED = [name for name in saved_queries() if name != "weekly_summary"]


@pytest.mark.parametrize("name", ASKED)
def test_a_question_that_fails_costs_only_its_sections_which_say_so(remembering, name):
    remembering.fails = first_line(name)
    report = build_report(remembering, WEEK, BEFORE, now=NOW)
    whole = {section.slug for chapter in chapters(report.numbers) for section in chapter.sections}
    page = report.to_html()
    json.loads(report.to_json())
    if not report.numbers.unanswered:
        return  # the report does not ask it
    assert report.numbers.unanswered == {name: "INVALID_COLUMN_REFERENCE: line 7:17"}
    assert "INVALID_COLUMN_REFERENCE" in page
    if name in QUESTIONS_OF_LABELS:
        assert (report.numbers.measured, report.numbers.certificate) == (None, None)
    missing = {slug for slug in whole if slug in QUESTIONS and name in QUESTIONS[slug]}
    for section in (section for chapter in chapters(report.numbers) for section in chapter.sections):
        assert section.takeaway.startswith("Missing: ") == (section.slug in missing)
    assert f"The question {name} was not answered." in [finding.what for finding in report.verdict.findings]


def test_without_the_week_s_summary_there_is_no_report(remembering):
    remembering.fails = first_line("weekly_summary")
    with pytest.raises(QueryFailed):
        build_report(remembering, WEEK, BEFORE, now=NOW)
