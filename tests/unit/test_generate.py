"""The generated sections of the template say what their sources say."""

import json
from typing import Any

import pytest

from analytics.lake.columns import LISTING_TABLE, PARTITION_KEY, TABLES, glue_columns
from analytics.questions.queries import console_query, question, saved_queries, views
from infra.aws import generate
from infra.aws.alarms import ALARMS
from infra.aws.generate import SECTIONS, markers, with_sections
from infra.aws.package import TEMPLATE
from tests.template import resources_of_type, view_definition

IN_GLUE = {table["TableInput"]["Name"]: table for table in resources_of_type("AWS::Glue::Table").values()}


# ── the sections ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_template_is_as_make_fix_would_write_it() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text == with_sections(text), "a source of a generated section has changed: run `make fix`"


def test_what_is_around_a_section_is_left_as_it_is() -> None:
    text = "before\n" + "between\n".join("stale\n".join(markers(name)) for name in SECTIONS) + "after\n"
    written = with_sections(text)
    assert written.startswith(f"before\n{markers('Tables')[0]}  PredictionsTable:\n")
    assert written.endswith(f"\n{markers('Saved queries')[1]}after\n")
    assert written.count("between\n") == len(SECTIONS) - 1
    assert "stale" not in written
    assert with_sections(written) == written


@pytest.mark.parametrize("text", ["", markers("Tables")[0], "".join(reversed(markers("Tables")))])
def test_a_template_without_a_section_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_sections(text)


def test_make_check_tells_a_stale_template_and_writes_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "template.yaml"
    stale = TEMPLATE.read_text(encoding="utf-8").replace("Name: review_queue", "Name: queue")
    copy.write_text(stale, encoding="utf-8")
    monkeypatch.setattr(generate, "TEMPLATE", copy)
    with pytest.raises(SystemExit, match=r"template\.yaml is stale: run `make fix`"):
        generate.main(["--check"])
    assert copy.read_text(encoding="utf-8") == stale
    generate.main([])
    with pytest.raises(SystemExit) as done:
        generate.main(["--check"])
    assert done.value.code == 0


# ── tables and views ───────────────────────────────────────────────────────────────────────────────────────


def test_glue_has_every_table_and_every_view() -> None:
    kinds = {name: table["TableInput"]["TableType"] for name, table in IN_GLUE.items()}
    assert kinds == dict.fromkeys([*TABLES, LISTING_TABLE], "EXTERNAL_TABLE") | dict.fromkeys(
        views(), "VIRTUAL_VIEW"
    )


@pytest.mark.parametrize("name", TABLES)
def test_glue_has_the_columns_that_are_written(name: str) -> None:
    table = IN_GLUE[name]["TableInput"]
    assert table["StorageDescriptor"]["Columns"] == glue_columns(TABLES[name])
    assert table["PartitionKeys"] == [PARTITION_KEY]


@pytest.mark.parametrize("name", TABLES)
def test_glue_looks_where_they_are_written(name: str) -> None:
    table = IN_GLUE[name]
    location = table["TableInput"]["StorageDescriptor"]["Location"]["Fn::Sub"]
    assert location == f"s3://${{ResultsBucket}}/{name}/"
    parameters = table["TableInput"]["Parameters"]
    assert parameters["storage.location.template"]["Fn::Sub"] == f"{location}dt=${{!dt}}/"
    assert parameters["projection.dt.format"] == "yyyy-MM-dd"


@pytest.mark.parametrize("name", views())
def test_a_view_in_glue_holds_the_sql_and_every_column_with_its_type(name: str) -> None:
    definition = view_definition(name, "scones")
    assert definition["originalSql"] == views()[name]
    assert definition["schema"] == "scones"
    columns = IN_GLUE[name]["TableInput"]["StorageDescriptor"]["Columns"]
    assert [column["name"] for column in definition["columns"]] == [column["Name"] for column in columns]
    assert [column["Name"] for column in columns][-1] == "dt"
    assert all(column["Comment"] for column in columns)


def test_a_view_has_trino_s_types_for_athena_and_hive_s_for_others() -> None:
    trino = {column["name"]: column["type"] for column in view_definition("outcomes", "scones")["columns"]}
    hive = {
        column["Name"]: column["Type"]
        for column in IN_GLUE["outcomes"]["TableInput"]["StorageDescriptor"]["Columns"]
    }
    assert (trino["probabilities"], hive["probabilities"]) == ("map(varchar,double)", "map<string,double>")
    assert (trino["decided_at"], hive["decided_at"]) == ("timestamp(3)", "timestamp")


@pytest.mark.parametrize("name", views())
def test_a_view_is_marked_as_athena_marks_one(name: str) -> None:
    view = IN_GLUE[name]["TableInput"]
    assert view["Parameters"] == {"presto_view": "true", "comment": "Presto View"}
    assert view["ViewExpandedText"] == "/* Presto View */"
    assert view["Description"] == "Presto View"  # Trino takes it for the comment


@pytest.mark.parametrize("name", views())
def test_cloudformation_finds_nothing_in_a_view_s_sql_to_substitute(name: str) -> None:
    assert "${" not in views()[name]


# ── alarms ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_row_of_the_alarms_is_one_resource() -> None:
    assert list(resources_of_type("AWS::CloudWatch::Alarm")) == [alarm.name for alarm in ALARMS]


def value_of(written: int | str) -> Any:
    """Return a value of a row as the template has it: `!Ref Name` is a reference."""
    return {"Ref": written.removeprefix("!Ref ")} if isinstance(written, str) else written


@pytest.mark.parametrize("alarm", ALARMS, ids=lambda alarm: alarm.name)
def test_an_alarm_is_what_its_row_says(alarm: Any) -> None:
    resource = resources_of_type("AWS::CloudWatch::Alarm")[alarm.name]
    assert (resource["Namespace"], resource["MetricName"]) == (alarm.namespace, alarm.metric)
    assert resource["AlarmDescription"] == alarm.text
    assert (resource["Period"], resource["EvaluationPeriods"]) == (alarm.period_s, value_of(alarm.periods))
    assert alarm.statistic in (resource.get("Statistic"), resource.get("ExtendedStatistic"))
    assert alarm.of in json.dumps(resource["Dimensions"])


# ── saved queries ──────────────────────────────────────────────────────────────────────────────────────────


def test_each_file_is_a_saved_query_of_the_workgroup() -> None:
    queries = {query["Name"]: query for query in resources_of_type("AWS::Athena::NamedQuery").values()}
    assert sorted(queries) == saved_queries()
    for name, query in queries.items():
        assert query["QueryString"] == console_query(name)
        assert query["Description"] == question(name)
        assert query["WorkGroup"] == {"Ref": "Workgroup"}
        assert query["Database"] == {"Ref": "Database"}


@pytest.mark.parametrize("name", saved_queries())
def test_a_saved_query_is_within_what_athena_takes(name: str) -> None:
    """Source: https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateNamedQuery.html"""
    assert len(name) <= 128
    assert len(question(name)) <= 1024
    assert len(console_query(name).encode()) <= 262_144
