"""tests.bench.table: the made-up week of `make bench` has the columns of the table."""

import pytest

from tests.bench import table


def test_the_made_up_rows_have_the_table_s_columns(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "ROWS", 70)
    table.write_week(tmp_path)
    assert len(list(tmp_path.rglob("*.parquet"))) == table.DAYS
