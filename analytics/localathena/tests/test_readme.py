"""The README's example."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_its_comments_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})  # noqa: S102 - it is the project's own
    printed = capsys.readouterr().out
    assert re.search(r"2026-11-23\s+3\b", printed)
    assert "write coalesce(x, y)" in printed
