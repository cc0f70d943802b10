"""The local Athena as an engine of Scones: its tables, and the errors that both engines have."""

import pytest

from analytics.athena.engine import QueryFailed, QueryRefused
from analytics.athena.local import LocalEngine
from analytics.lake.columns import LABELS_COLUMNS, TABLES


def test_both_tables_are_there_without_a_file(tmp_path):
    engine = LocalEngine(tmp_path)
    assert engine.query("SHOW TABLES").frame["tab_name"].tolist() == sorted(TABLES)
    columns = engine.query("SHOW COLUMNS FROM labels").frame["field"].tolist()
    assert columns == [*LABELS_COLUMNS, "dt"]


def test_its_errors_are_those_of_both_engines(tmp_path):
    engine = LocalEngine(tmp_path)
    for run in (engine.query, lambda sql: list(engine.stream(sql))):
        with pytest.raises(QueryRefused, match="reads"):
            run("DROP TABLE predictions")
        with pytest.raises(QueryFailed, match="Division by zero"):
            run("SELECT 1 / x FROM (VALUES 0) AS t (x)")
    broken = LocalEngine(tmp_path, {"broken": "SELECT nothing FROM predictions"})
    with pytest.raises(QueryRefused, match="The view broken"):
        broken.query("SELECT * FROM broken")
