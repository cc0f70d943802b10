"""infra.notebook runs what a kernel would, and docs/tour.ipynb is a notebook that it ran."""

import json
from typing import Any

import pytest

from infra.aws.package import PROJECT
from infra.notebook import CellFailed, main, run

TOUR = PROJECT / "docs" / "tour.ipynb"


def a_notebook(*sources: str) -> dict[str, Any]:
    cells = [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in sources]
    return {"cells": [{"cell_type": "markdown", "source": ["not run"]}, *cells], "nbformat": 4}


def outputs_of(*sources: str) -> list[Any]:
    return [cell["outputs"] for cell in run(a_notebook(*sources))["cells"] if cell["cell_type"] == "code"]


def test_cells_share_their_names_and_the_last_value_is_shown() -> None:
    first, second = outputs_of("x = 20\nx + 1", "print('so')\nx * 2")
    assert first == [
        {
            "output_type": "execute_result",
            "execution_count": 1,
            "metadata": {},
            "data": {"text/plain": ["21"]},
        }
    ]
    assert second[0] == {"output_type": "stream", "name": "stdout", "text": ["so\n"]}
    assert second[1]["data"] == {"text/plain": ["40"]}


@pytest.mark.parametrize("source", ["", "x = 1", "None", "1 + 1;", "def f():\n    return 1"])
def test_what_shows_nothing_has_no_output(source: str) -> None:
    assert outputs_of(source) == [[]]


def test_a_value_shows_itself_as_it_can() -> None:
    source = """
class Rich:
    def __repr__(self): return "rich"
    def _repr_html_(self): return "<b>rich</b>"
    def _repr_png_(self): return b"png"
Rich()
"""
    assert outputs_of(source)[0][0]["data"] == {
        "text/plain": ["rich"],
        "text/html": ["<b>rich</b>"],
        "image/png": "cG5n",
    }


def test_a_class_is_no_value_that_shows_itself() -> None:
    source = "class Rich:\n    def _repr_html_(self): return 'x'\nRich"
    assert "text/html" not in outputs_of(source)[0][0]["data"]


def test_a_cell_that_fails_says_which_and_where() -> None:
    with pytest.raises(CellFailed, match=r"(?s)<cell 2>.*return 1 / x.*ZeroDivisionError"):
        outputs_of("def f(x):\n    return 1 / x", "f(0)", "print('never')")


@pytest.mark.parametrize("source", ["%matplotlib inline", "!ls", "display(1)"])
def test_what_only_jupyter_knows_fails(source: str) -> None:
    with pytest.raises(CellFailed):
        outputs_of(source)


def test_a_notebook_is_written_with_its_outputs(tmp_path: Any) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps(a_notebook("'ü'")), encoding="utf-8")
    main(str(path))
    assert "ü" in path.read_text(encoding="utf-8")
    main(str(path), str(tmp_path / "b.ipynb"))
    assert (tmp_path / "b.ipynb").read_bytes() == path.read_bytes()


def test_the_tour_is_committed_as_it_ran_and_small() -> None:
    """Source of the fields: https://nbformat.readthedocs.io/en/latest/format_description.html"""
    text = TOUR.read_text(encoding="utf-8")
    tour = json.loads(text)
    assert (tour["nbformat"], tour["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in tour["cells"]}) == len(tour["cells"])
    code = [cell for cell in tour["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    shown = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in shown} == {"stream", "execute_result"}
    assert len(text) < 150_000
    assert not [word for word in ("/tmp/", "/home/", "/root/", "Traceback") if word in text]
