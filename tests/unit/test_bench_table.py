"""tests.bench.table: the made-up week of `make bench` has the columns of the table."""

import pytest

from tests.bench import table


@pytest.mark.parametrize(("folders", "many"), [(table.VANS, False), (table.ORDERS, True)])
def test_the_made_up_rows_have_the_table_s_columns(tmp_path, folders, many):
    table.write_week(tmp_path, 560, folders=folders)
    assert len(list(tmp_path.rglob("*.parquet"))) == table.DAYS
    asked = table._ask(tmp_path, "outcomes_by_folder")
    assert asked.name == "outcomes_by_folder"
    assert asked.cpu_s > 0
