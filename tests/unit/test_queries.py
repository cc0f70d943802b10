"""analytics.questions.queries and the SQL itself: bounded, safe to fill in, and one row per upload."""

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from analytics.athena.local import LocalEngine
from analytics.lake.columns import LABELS_COLUMNS, OUTCOMES_COLUMNS, TABLES
from analytics.questions import queries
from tests.builders_table import Week, a_failed_row, a_rejected_row, a_row, rows_of, write_rows
from workflow.outcome import rank_of

MONDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 22)
VALUES: dict[str, queries.Value] = {
    "from_dt": MONDAY,
    "to_dt": SUNDAY,
    "limit": 10,
    "minutes": 60,
    "cells_per_unit": 20,
}


def filled(name: str) -> str:
    return queries.saved_query(
        name, **{parameter: VALUES[parameter] for parameter in queries.parameters(name)}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    write_rows(folder, rows_of(Week(MONDAY, images_a_day=12, rejected=0.1, failed=0.1)))
    return folder


@pytest.fixture(scope="module")
def athena(folder):
    return LocalEngine(folder, queries.views())


@pytest.mark.parametrize("name", queries.saved_queries())
def test_each_query_says_what_it_answers_and_does(athena, name):
    assert queries.question(name).endswith("?")
    assert len(athena.query(filled(name)).frame.columns) > 1


@pytest.mark.parametrize("name", queries.saved_queries())
def test_each_query_runs_as_it_stands_in_the_console(athena, name):
    athena.query(queries.console_query(name))


@pytest.mark.parametrize("name", queries.saved_queries())
def test_each_query_reads_only_the_days_asked_for(name):
    tree = sqlglot.parse_one(filled(name), read="athena")
    known = {*TABLES, *queries.views()}
    tables = [table for table in tree.find_all(exp.Table) if table.name in known]
    assert tables
    for table in tables:
        select = table.find_ancestor(exp.Select)
        assert select
        bounds = {
            (between.this.table or table.name, between.this.name): (
                between.args["low"].name,
                between.args["high"].name,
            )
            for between in select.args["where"].find_all(exp.Between)
        }
        assert bounds[table.alias_or_name, "dt"] == (str(MONDAY), str(SUNDAY))


@pytest.fixture(scope="module")
def one_week_and_nine(tmp_path_factory):
    """The same week alone, and among others."""
    alone, among = (tmp_path_factory.mktemp(name) for name in ("alone", "among"))
    for weeks in range(9):
        rows = rows_of(Week(MONDAY - timedelta(weeks=weeks), images_a_day=12))
        write_rows(among, rows)
        if not weeks:
            write_rows(alone, rows)
    return LocalEngine(alone, queries.views()), LocalEngine(among, queries.views())


@pytest.mark.parametrize("name", queries.saved_queries())
def test_what_is_scanned_does_not_grow_with_the_weeks_that_are_not_asked_for(one_week_and_nine, name):
    alone, among = (athena.query(filled(name)).scanned_bytes for athena in one_week_and_nine)
    assert alone > 0
    assert among <= alone * 1.05 + 1_000


def test_a_value_is_written_as_a_literal_of_its_type():
    sql = queries.saved_query("review_queue", from_dt=MONDAY, to_dt=SUNDAY, limit=7)
    assert "dt BETWEEN '2026-11-16' AND '2026-11-22'" in sql
    assert sql.endswith("LIMIT 7\n")
    assert queries._literal(0.97) == "0.97e0"
    assert queries._literal(1e-7) == "1e-07"


@pytest.mark.parametrize("value", ["2026-11-16", "1; DROP TABLE predictions", True, None])
def test_a_text_or_a_truth_value_is_no_value(value):
    with pytest.raises(TypeError):
        queries.saved_query("review_queue", from_dt=value, to_dt=SUNDAY, limit=7)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_sql_has_no_literal_for_is_refused(value):
    with pytest.raises(ValueError, match="is not a number"):
        queries.saved_query("review_queue", from_dt=MONDAY, to_dt=SUNDAY, limit=value)


def test_a_forgotten_or_a_strange_parameter_is_named():
    with pytest.raises(TypeError, match=r"takes from_dt, to_dt, limit; see to limit"):
        queries.saved_query("review_queue", from_dt=MONDAY, to_dt=SUNDAY)
    with pytest.raises(TypeError, match=r"see to limit"):
        queries.saved_query("volume_by_day", from_dt=MONDAY, to_dt=SUNDAY, limit=1)


@pytest.mark.parametrize("name", ["nothing", "../queries", "views/outcomes"])
def test_an_unknown_query_is_answered_with_the_known_ones(name):
    with pytest.raises(queries.UnknownQuery, match=r"There are: challenger_agreement, "):
        queries.saved_query(name)


def test_each_view_has_the_columns_of_its_table(athena):
    frame = athena.query("SELECT * FROM outcomes WHERE dt = '2026-11-16' LIMIT 1").frame
    assert list(frame.columns) == [*OUTCOMES_COLUMNS, "dt"]
    frame = athena.query("SELECT * FROM true_labels WHERE dt = '2026-11-16' LIMIT 1").frame
    assert list(frame.columns) == [*LABELS_COLUMNS, "dt"]


AT = datetime.fromisoformat("2026-11-17T10:00:00")


def outcomes_of(folder, rows) -> list[str]:
    """Write each row as a file of its own, and return what the view makes of them."""
    for number, row in enumerate(rows):
        write_rows(folder, [row], file=f"part-{number}")
    frame = (
        LocalEngine(folder, queries.views()).query("SELECT result_id FROM outcomes WHERE dt > '2026'").frame
    )
    return sorted(frame["result_id"])


def hours_later(hours: float) -> dict[str, Any]:
    return {"uploaded_at": AT, "decided_at": AT + timedelta(hours=hours)}


def test_a_late_failure_does_not_overwrite_a_success(tmp_path):
    good, late = a_row(1, **hours_later(0)), a_failed_row(1, **hours_later(9))
    assert outcomes_of(tmp_path, [good, late]) == [good["result_id"]]


def test_a_redriven_image_is_counted_as_what_it_became(tmp_path):
    failed, good = a_failed_row(1, **hours_later(0)), a_row(1, **hours_later(9))
    assert outcomes_of(tmp_path, [failed, good]) == [good["result_id"]]


def test_a_rejection_beats_a_failure_and_the_latest_model_wins(tmp_path):
    rows = [a_rejected_row(1, **hours_later(0)), a_failed_row(1, **hours_later(5))]
    old, new = (a_row(2, model_version=f"m{n}", **hours_later(n)) for n in (1, 2))
    assert outcomes_of(tmp_path, [*rows, new, old]) == sorted([rows[0]["result_id"], new["result_id"]])


@pytest.mark.parametrize("known", [a_row, a_rejected_row, a_failed_row])
def test_an_outcome_that_is_not_known_comes_after_all_others(tmp_path, known):
    good, late = (
        known(1, **hours_later(0)),
        a_row(1, outcome="unheard_of", model_version="m9", **hours_later(9)),
    )
    assert outcomes_of(tmp_path, [good, late]) == [good["result_id"]]


def test_the_same_message_delivered_twice_is_one_outcome(tmp_path):
    row = a_row(1, **hours_later(0))
    assert outcomes_of(tmp_path, [row, row]) == [row["result_id"]]


def test_a_new_upload_under_an_old_key_is_an_upload_of_its_own(tmp_path):
    rows = [a_row(1, key="a.png", **hours_later(0)), a_row(2, key="a.png", **hours_later(0))]
    assert len(outcomes_of(tmp_path, rows)) == 2


ROWS = st.builds(
    lambda make, upload, model, hour: (
        make(upload, model_version=f"m{model}", **hours_later(hour))
        if make is a_row
        else make(upload, **hours_later(hour))
    ),
    st.sampled_from([a_row, a_rejected_row, a_failed_row]),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 5),
)


@given(st.lists(ROWS, min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_the_view_has_the_best_outcome_of_each_upload_whatever_is_where(tmp_path_factory, rows, rng):
    by_upload = defaultdict(list)
    for row in rows:
        by_upload[row["upload_id"]].append(row)

    def place(row):
        return rank_of(row["outcome"]), -row["decided_at"].timestamp(), row["result_id"]

    best = sorted(min(copies, key=place)["result_id"] for copies in by_upload.values())
    random.Random(rng.random()).shuffle(rows)
    assert outcomes_of(tmp_path_factory.mktemp("rows"), rows) == best
