"""What tells about tables: SHOW, DESCRIBE, information_schema, hidden columns."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from facts import COLUMNS, DAYS, write_tables

from localathena.engine import LocalAthena
from localathena.errors import QueryRefused

VIEW = "SELECT key, dt FROM labels"
STORAGE = {
    "Columns": [{"Name": "key", "Type": "string", "Comment": "It's a key."}, {"Name": "n", "Type": "int"}],
    "Location": "s3://bucket/labels/",
    "InputFormat": "in",
    "OutputFormat": "out",
    "SerdeInfo": {"SerializationLibrary": "serde"},
}
GLUE = {
    "labels": {
        "StorageDescriptor": STORAGE,
        "PartitionKeys": [{"Name": "dt", "Type": "string"}],
        "Parameters": {"EXTERNAL": "TRUE", "projection.enabled": "true", "classification": "parquet"},
    }
}


@pytest.fixture(scope="module")
def athena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAthena]:
    folder = tmp_path_factory.mktemp("tables")
    write_tables(folder)
    athena = LocalAthena(
        folder,
        {"keys": VIEW},
        schemas=COLUMNS,
        database="scones",
        location="s3://bucket",
        glue=GLUE,
        threads=1,
    )
    yield athena
    athena.close()


LISTED = [
    ("SHOW DATABASES", [["scones"]]),
    ("SHOW SCHEMAS LIKE 'x*'", []),
    ("SHOW TABLES IN `scones` 'l*|k*'", [["keys"], ["labels"]]),
    ("SHOW VIEWS", [["keys"]]),
    ("SHOW VIEWS IN scones LIKE 'x*'", []),
    ("SHOW COLUMNS IN labels IN scones", [["upload_id"], ["key"], ["true_label"], ["labelled_at"], ["dt"]]),
    ("SHOW COLUMNS FROM `scones`.`keys`", [["key"], ["dt"]]),
    ("SHOW PARTITIONS outcomes", [[f"dt={day}"] for day in DAYS]),
    ("SHOW PARTITIONS labels", []),  # projected: Athena lists what is in Glue
    ("SHOW TBLPROPERTIES labels ('classification')", [["classification", "parquet"]]),
    ('SHOW CREATE VIEW "scones"."keys";', [[f"CREATE VIEW scones.keys AS\n{VIEW}"]]),
    ('DESCRIBE "keys"', [["key", "string", ""], ["dt", "string", ""]]),
    ("EXPLAIN (TYPE VALIDATE) SELECT * FROM keys", [[True]]),
    (
        "SELECT * FROM information_schema.schemata WHERE schema_name = 'scones'",
        [["awsdatacatalog", "scones"]],
    ),
    (
        "SELECT table_name, table_type FROM awsdatacatalog.information_schema.tables ORDER BY 1 LIMIT 2",
        [["keys", "VIEW"], ["labels", "BASE TABLE"]],
    ),
    ("SELECT table_name, view_definition FROM information_schema.views", [["keys", VIEW]]),
    (
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns AS c "
        "WHERE c.table_name = 'outcomes' AND ordinal_position IN (5, 12) ORDER BY ordinal_position",
        [["size_bytes", "bigint", "YES", None], ["probabilities", "map(varchar, double)", "YES", None]],
    ),
    ('SELECT max(dt), count(*) FROM "outcomes$partitions"', [[DAYS[-1], 3]]),
    (
        'SELECT DISTINCT "$path", "$file_size" > 900, typeof("$file_modified_time") FROM labels '
        "WHERE dt = '2026-11-20'",
        [["s3://bucket/labels/dt=2026-11-20/rows.parquet", True, "timestamp(3) with time zone"]],
    ),
]


@pytest.mark.parametrize(("sql", "expected"), LISTED)
def test_what_tells_about_tables_has_athena_s_form(
    athena: LocalAthena, sql: str, expected: list[object]
) -> None:
    assert [list(row) for row in athena.rows(sql)[1]] == expected


def test_describe_has_comments_and_the_partition_apart(athena: LocalAthena) -> None:
    columns, rows = athena.rows("DESCRIBE labels")
    assert [column.name for column in columns] == ["col_name", "data_type", "comment"]
    assert rows[1] == ("key", "string", "It's a key.")
    assert rows[-4:] == [
        ("# Partition Information", "", ""),
        ("# col_name", "data_type", "comment"),
        ("", "", ""),
        ("dt", "string", ""),
    ]


def test_show_create_table_is_the_statement_that_made_it(athena: LocalAthena) -> None:
    lines = [row[0] for row in athena.rows("SHOW CREATE TABLE `labels`")[1]]
    assert lines == [
        "CREATE EXTERNAL TABLE `labels`(",
        "  `key` string COMMENT 'It''s a key.', ",
        "  `n` int)",
        "PARTITIONED BY ( ",
        "  `dt` string)",
        "ROW FORMAT SERDE ",
        "  'serde' ",
        "STORED AS INPUTFORMAT ",
        "  'in' ",
        "OUTPUTFORMAT ",
        "  'out'",
        "LOCATION",
        "  's3://bucket/labels/'",
        "TBLPROPERTIES (",
        "  'classification'='parquet', ",
        "  'projection.enabled'='true')",
    ]


def test_the_sizes_of_files_are_those_on_the_disk_and_change_with_them(tmp_path: Path) -> None:
    write_tables(tmp_path)
    athena = LocalAthena(tmp_path, schemas=COLUMNS, threads=1)
    try:
        sql = """SELECT DISTINCT "$path", "$file_size" FROM outcomes"""
        sizes = dict(athena.rows(sql)[1])
        assert sizes == {str(path): path.stat().st_size for path in tmp_path.glob("outcomes/*/*.parquet")}
        (tmp_path / "outcomes" / f"dt={DAYS[0]}" / "rows.parquet").unlink()
        assert len(athena.rows(sql)[1]) == 2
        assert athena.rows('SELECT count("$path") FROM outcomes')[1] == [(16,)]
    finally:
        athena.close()


REFUSED = [
    ("SHOW FUNCTIONS", "some are not supported here"),
    ("SHOW CATALOGS", "AwsDataCatalog"),
    ("DESCRIBE FORMATTED labels", "without FORMATTED"),
    ("SHOW GRANTS", "This form of SHOW"),
    ("SHOW TABLES IN elsewhere", "no database elsewhere"),
    ("SHOW CREATE TABLE keys", "SHOW CREATE VIEW keys"),
    ("SHOW CREATE VIEW labels", "SHOW CREATE TABLE labels"),
    ("SHOW CREATE TABLE outcomes", "needs what Glue knows"),
    ("SHOW TBLPROPERTIES labels ('none')", "no property none"),
    ("SHOW PARTITIONS keys", "is a view"),
    ("SHOW PARTITIONS nothing", "no table nothing"),
    ('SELECT * FROM "labels$partitions"', "no table"),
    ('SELECT * FROM "keys$partitions"', "no table"),
    ("SELECT * FROM information_schema.roles", "schemata, tables, views and columns"),
    ('SELECT "$file_size" FROM keys', "cannot be found"),
    ("EXPLAIN (TYPE VALIDATE) SELECT nothing_such(1)", "nothing_such"),
    ("EXPLAIN ANALYZE SELECT 1", "EXPLAIN shows how Athena"),
]


@pytest.mark.parametrize(("sql", "why"), REFUSED)
def test_what_cannot_be_told_is_refused_by_name(athena: LocalAthena, sql: str, why: str) -> None:
    with pytest.raises(QueryRefused, match=re.escape(why)):
        athena.rows(sql)


def test_information_schema_needs_the_name_of_the_database(engine: LocalAthena) -> None:
    with pytest.raises(QueryRefused, match="needs the database's name"):
        engine.rows("SELECT * FROM information_schema.tables")
