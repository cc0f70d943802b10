"""A file of the mirror is there whole or not at all, whatever happens while it is written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics.lake.files import write_whole


def test_a_file_is_written_beside_its_place_under_a_hidden_name_and_then_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed: list[Path] = []

    def replace(name: Any, path: Any) -> None:
        renamed.append(Path(name))
        Path(name).rename(path)

    monkeypatch.setattr(os, "replace", replace)
    write_whole(tmp_path / "a" / "b", [b"x", b"y"])
    assert (tmp_path / "a" / "b").read_bytes() == b"xy"
    assert [(path.parent, path.name[0]) for path in renamed] == [(tmp_path / "a", ".")]


def test_a_file_that_cannot_be_written_leaves_the_one_before_it_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    write_whole(tmp_path / "a", [b"whole"])
    with pytest.raises(ConnectionError):
        write_whole(tmp_path / "a", broken())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"whole"}
