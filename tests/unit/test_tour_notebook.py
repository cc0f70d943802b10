"""docs/tour.ipynb is committed with the outputs of a whole run."""

import nbformat

from infra.installation import PROJECT

TOUR = PROJECT / "docs" / "tour.ipynb"


def test_the_tour_is_committed_as_it_ran_and_small() -> None:
    text = TOUR.read_text(encoding="utf-8")
    tour = nbformat.reads(text, as_version=4)
    nbformat.validate(tour)
    code = [cell for cell in tour.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for cell in code for output in cell.outputs} == {"stream", "execute_result"}
    assert len(text) < 150_000
    assert not [word for word in ("/tmp/", "/home/", "/root/", "Traceback") if word in text]
