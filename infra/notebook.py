"""Runs a notebook of plain Python, cell by cell, and keeps what each shows, as Jupyter would.

    python -m infra.notebook docs/tour.ipynb [OUT]

Of Jupyter it has neither magics nor shell commands nor `display`: a notebook that wants them fails here.
"""

import ast
import base64
import json
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

_RICH = {"_repr_html_": "text/html", "_repr_svg_": "image/svg+xml", "_repr_png_": "image/png"}
"""Methods by which a value shows itself, and what they return."""


class CellFailed(Exception):
    """A cell raised, and where."""


def main(path: str, out: str | None = None) -> None:
    """Run a notebook and write it, with its outputs, to `out` or over itself."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    ran = run(notebook)
    Path(out or path).resolve().write_text(json.dumps(ran, indent=1, ensure_ascii=False) + "\n", "utf-8")


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run all cells in order, in one namespace; return the notebook with their outputs.

    Raises:
        CellFailed: a cell raised; those after it were not run.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    cells = [{**cell} for cell in notebook["cells"]]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    for count, cell in enumerate(code, 1):
        outputs = list(_outputs("".join(cell["source"]), f"<cell {count}>", namespace, count))
        cell |= {"execution_count": count, "outputs": outputs}
    return {**notebook, "cells": cells}


def _outputs(source: str, name: str, namespace: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    printed = StringIO()
    try:
        with redirect_stdout(printed):
            value = _value_of(source, name, namespace)
            shown = {} if value is None else _representations(value)
    except Exception as error:
        raise CellFailed(f"{name}\n{traceback.format_exc()}") from error
    if printed.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())}
    if shown:
        yield {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": shown}


def _value_of(source: str, name: str, namespace: dict[str, Any]) -> Any:
    """Run a cell; return the value of its last line, if that is an expression that no semicolon silences."""
    body = ast.parse(source, name).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), name, "exec"), namespace)  # noqa: S102 - that is what it is for
    if not isinstance(last, ast.Expr):
        return None
    value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)  # noqa: S307
    return None if source.rstrip().endswith(";") else value


def _representations(value: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"text/plain": _lines(repr(value))}
    for method, type_ in _RICH.items():
        rich = getattr(type(value), method, lambda _: None)(value)
        if isinstance(rich, bytes):
            shown[type_] = base64.b64encode(rich).decode()
        elif rich is not None:
            shown[type_] = _lines(rich)
    return shown


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
