"""Every text file is read and written as UTF-8, and what processes print, whatever the locale says."""

import ast

import pytest

from infra.installation import PROJECT

FOLDERS = ("ingest", "workflow", "analytics", "model", "infra", "tests")
SOURCES = ["scones.py"]
SOURCES += [
    path.relative_to(PROJECT).as_posix()
    for folder in FOLDERS
    for path in sorted((PROJECT / folder).rglob("*.py"))
]
OPENS_NO_FILE = ("Image", "tarfile", "zipfile", "browser", "opener", "os")
"""Names whose `open` opens something else than a text file."""


def is_text_without_encoding(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    options = {each.arg: each.value for each in call.keywords}
    if "encoding" in options or None in options:
        return False
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name in ("run", "Popen", "check_output") and "text" in options:
        return True
    if name not in ("open", "fdopen"):
        return False
    owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
    if name == "open" and owner in OPENS_NO_FILE:
        return False
    texts = [
        each.value
        for argument in [*call.args, *options.values()]
        for each in ast.walk(argument)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return not any("b" in text and len(text) <= 3 for text in texts)


@pytest.mark.parametrize("path", SOURCES)
def test_every_text_file_is_opened_with_an_encoding(path: str) -> None:
    tree = ast.parse((PROJECT / path).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if path.startswith("tests/") or "/tests/" in path:  # whose processes print ASCII
        calls = [call for call in calls if "text" not in {each.arg for each in call.keywords}]
    assert [f"{path}:{call.lineno}" for call in calls if is_text_without_encoding(call)] == []
