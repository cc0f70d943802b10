"""infra.operations.drop: every file of a folder has a key of its own, whatever its name."""

import os
from pathlib import Path

import pytest

from infra.operations.drop import NothingToDrop, files_of


def test_a_file_s_key_is_its_path_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "van-07").mkdir()
    (tmp_path / "van-07" / "ü %.png").write_bytes(b"image")
    assert files_of(tmp_path) == {"van-07/ü %.png": tmp_path / "van-07" / "ü %.png"}


def test_names_that_are_no_text_are_keys_of_their_own(tmp_path: Path) -> None:
    """A key is UTF-8; a file's name on Linux is bytes."""
    for name in (b"\xff.png", b"\xfe.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    assert {key: path.read_bytes() for key, path in files_of(tmp_path).items()} == {
        "\\xff.png": b"\xff.png",
        "\\xfe.png": b"\xfe.png",
    }


def test_a_folder_without_files_is_nothing_to_drop(tmp_path: Path) -> None:
    with pytest.raises(NothingToDrop):
        files_of(tmp_path)
