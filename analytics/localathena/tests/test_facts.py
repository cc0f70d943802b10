"""Every fact of a real Trino: the same answer, both refuse, or a difference that is listed, and why."""

from typing import Any

import pytest
from facts import DIFFERENCES, FACTS, Fact, answers, difference, differences, read

from localathena.engine import LocalAthena
from localathena.results import text_of
from localathena.types import INTEGER, array, map_of

HOW = "If that is meant, run `python facts.py` beside this file, which lists the differences anew."


@pytest.fixture(scope="module")
def answered() -> list[tuple[Fact, Fact]]:
    return answers()


def test_a_statement_that_fails_on_both_fails_in_words_for_its_author(
    answered: list[tuple[Fact, Fact]],
) -> None:
    errors = {local["sql"]: str(local.get("error")) for _, local in answered}
    unknown = ("though Athena may", "DuckDB", "Error:")
    assert not {sql: error for sql, error in errors.items() if any(words in error for words in unknown)}


def test_the_differences_from_trino_are_those_that_are_listed(answered: list[tuple[Fact, Fact]]) -> None:
    listed = {line["sql"]: {key: line[key] for key in ("kind", "local")} for line in read(DIFFERENCES)}
    found = {line["sql"]: {key: line[key] for key in ("kind", "local")} for line in differences(answered)}
    new = {sql: found[sql] for sql in found.keys() - listed.keys()}
    assert not new, f"These differ from Trino now: {new}. {HOW}"
    mended = sorted(listed.keys() - found.keys())
    assert not mended, f"These no longer differ from Trino: {mended}. {HOW}"
    changed = {sql: (listed[sql], found[sql]) for sql in found if found[sql] != listed[sql]}
    assert not changed, f"These differ in another way: {changed}. {HOW}"


def test_each_fact_is_there_once_and_has_an_answer() -> None:
    facts = read(FACTS)
    assert len({fact["sql"] for fact in facts}) == len(facts)
    assert all("columns" in fact or "error" in fact for fact in facts)


COLUMNS = [["a", "bigint"], ["b", "varchar(3)"]]


@pytest.mark.parametrize(
    ("local", "kind"),
    [
        ({"columns": [["a", "bigint"], ["b", "varchar"]], "rows": [[1, "x"]]}, None),
        ({"columns": [["a", "bigint"], ["b", "varchar"]], "rows": [[2, "x"]]}, "rows"),
        ({"columns": [["a", "bigint"], ["b", "varchar"]], "rows": []}, "rows"),
        ({"columns": [["a", "integer"], ["b", "varchar"]], "rows": [[1, "x"]]}, "types"),
        ({"columns": [["a", "bigint"], ["c", "varchar"]], "rows": [[1, "x"]]}, "names"),
        ({"error": "It is not supported."}, "refused"),
    ],
)
def test_a_difference_is_of_rows_types_names_or_a_refusal(local: dict[str, Any], kind: str | None) -> None:
    found = difference({"sql": "SELECT a, b FROM t", "columns": COLUMNS, "rows": [[1, "x"]]}, local)
    assert (found and found["kind"]) == kind
    both_refuse = difference({"sql": "", "error": "SYNTAX_ERROR: x"}, local)
    assert (both_refuse and both_refuse["kind"]) == (None if kind == "refused" else "answered")


def test_a_map_whose_keys_are_arrays_is_a_text_of_its_keys_and_values(engine: LocalAthena) -> None:
    columns, rows = engine.rows("SELECT MAP(ARRAY[ARRAY[1], ARRAY[2, 3]], ARRAY[4, 5])")
    assert columns[0].type == map_of(array(INTEGER), INTEGER)
    assert text_of(rows[0][0], columns[0].type) == "{[1]=4, [2, 3]=5}"
