"""infra.operations.image_folder: every file of a folder has a key of its own; what is left out is named."""

import os
from pathlib import Path
from typing import Any

import pytest

from infra.operations.image_folder import NothingToDrop, keyed, read_folder


def test_a_file_s_key_is_its_path_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "van-07").mkdir()
    (tmp_path / "van-07" / "ü %.png").write_bytes(b"image")
    assert read_folder(tmp_path).files == {"van-07/ü %.png": tmp_path / "van-07" / "ü %.png"}


def test_names_that_are_no_text_are_keys_of_their_own(tmp_path: Path) -> None:
    """A key is UTF-8; a file's name on Linux is bytes."""
    for name in (b"\xff.png", b"\xfe.png"):
        (tmp_path / os.fsdecode(name)).write_bytes(name)
    assert {key: path.read_bytes() for key, path in read_folder(tmp_path).files.items()} == {
        "\\xff.png": b"\xff.png",
        "\\xfe.png": b"\xfe.png",
    }


def test_a_folder_without_files_is_nothing_to_drop(tmp_path: Path) -> None:
    with pytest.raises(NothingToDrop):
        read_folder(tmp_path)


def test_files_get_keys_that_the_stack_classifies() -> None:
    files = {name: Path(name) for name in ("a.jpg", "camera/b.jpg", "c.png")}
    assert keyed(files, "*") == files
    assert keyed(files, "camera/*.jpg") == {
        "camera/a.jpg": Path("a.jpg"),
        "camera/b.jpg": Path("camera/b.jpg"),
    }
    with pytest.raises(NothingToDrop, match=r"keys are like camera/\*\.tif"):
        keyed(files, "camera/*.tif")


def test_files_of_operating_systems_are_left_out_and_named(tmp_path: Path) -> None:
    thumbnail = "b/@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg"
    for name in ("a.png", "._a.png", ".DS_Store", "b/Thumbs.db", thumbnail, "__MACOSX/._a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"image")
    assert read_folder(tmp_path).files.keys() == {"a.png"}
    (note,) = read_folder(tmp_path).notes
    assert note.endswith("left out: .DS_Store (1), ._* (1), @eaDir (1), Thumbs.db (1), __MACOSX (1)")


def test_what_lies_in_a_recycle_bin_or_belongs_to_version_control_is_not_dropped(tmp_path: Path) -> None:
    bins = ("$RECYCLE.BIN", "#recycle", "@Recycle", ".Trashes", "lost+found")
    records = (".AppleDouble", ".fseventsd", ".Spotlight-V100", "desktop.ini", "ehthumbs.db")
    versions = (".dvc", ".dvcignore", ".git", ".gitattributes", ".gitignore", ".hg", ".svn")
    for part in (*bins, *records, *versions):
        (tmp_path / part).mkdir()
        (tmp_path / part / "a.png").write_bytes(b"image")
    (tmp_path / "b.png").write_bytes(b"image")
    folder = read_folder(tmp_path)
    assert folder.files.keys() == {"b.png"}
    assert all(f"{part} (1)" in folder.notes[0] for part in (*bins, *records, *versions))


def test_nothing_but_files_of_operating_systems_is_nothing_to_drop(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    with pytest.raises(NothingToDrop, match=r"left out: \.DS_Store \(1\)"):
        read_folder(tmp_path)


def test_names_that_look_the_same_are_dropped_and_named(tmp_path: Path) -> None:
    for name in ("v\u00e9lo.png", "ve\u0301lo.png", "other.png"):
        (tmp_path / name).write_bytes(b"image")
    assert len(read_folder(tmp_path).files) == 3
    (note,) = read_folder(tmp_path).notes
    assert "differ only in Unicode normalisation (1, each is an image of its own): ve\u0301lo.png" in note


def test_an_ordinary_folder_needs_no_note(tmp_path: Path) -> None:
    (tmp_path / ".hidden.png").write_bytes(b"image")
    assert read_folder(tmp_path).notes == []
    assert read_folder(tmp_path).files.keys() == {".hidden.png"}


# ── links ──────────────────────────────────────────────────────────────────────────────────────────────────


IMAGE = b"\x89PNG\r\n\x1a\n"


def test_links_to_images_are_followed_and_those_that_lead_out_of_the_folder_are_named(tmp_path: Path) -> None:
    """As in folders of git-annex, DVC and Hugging Face, where each image is a link."""
    folder, elsewhere = tmp_path / "images", tmp_path / "cache"
    for number in range(7):
        stored = (folder / ".git" / "annex" if number == 0 else elsewhere) / f"{number}"
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(IMAGE)
        (folder / f"{number}.png").symlink_to(stored)
    assert read_folder(folder).files.keys() == {f"{number}.png" for number in range(7)}
    left_out, followed = read_folder(folder).notes
    assert left_out.endswith(": .git (1)")
    assert f"followed (6): 1.png → {elsewhere.resolve() / '1'}, " in followed
    assert followed.endswith(", …")


def test_links_that_lead_to_no_image_are_left_out_and_named(tmp_path: Path) -> None:
    """An archive may have a link to any file of the machine that unpacks it."""
    folder = tmp_path / "images"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.png").write_bytes(IMAGE)
    (tmp_path / "password").write_text("secret", encoding="utf-8")
    for name, target in (
        ("key.png", tmp_path / "password"),
        ("gone.png", Path("nowhere")),
        ("round.png", Path("round.png")),
        ("today", Path("day")),
        ("up", Path("..")),
    ):
        (folder / name).symlink_to(target)
    assert read_folder(folder).files.keys() == {"day/a.png"}
    (note,) = read_folder(folder).notes
    assert note.endswith(
        "left out (5): gone.png (no file), key.png (no image), round.png (no file), today (a folder), "
        "up (a folder)"
    )


def test_a_link_whose_file_cannot_be_read_does_not_end_the_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(IMAGE)
    (tmp_path / "b.png").symlink_to("a.png")

    def refuse() -> Any:
        raise PermissionError

    for look in ("open", "is_file"):  # the file, and the folder that it is in
        with monkeypatch.context() as patched:
            patched.setattr(Path, look, lambda path, *_: refuse() if path.is_symlink() else True)
            assert read_folder(tmp_path).files.keys() == {"a.png"}
            assert "b.png (nothing that can be read)" in read_folder(tmp_path).notes[0]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Path.rglob passes it over."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "a.png").write_bytes(IMAGE)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "closed")
    assert read_folder(tmp_path).notes == ["Folders that cannot be read are left out (1): closed"]


def test_a_file_that_cannot_be_read_is_named_and_does_not_end_the_drop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "closed.png"):
        (tmp_path / name).write_bytes(IMAGE)
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "closed.png")
    found = read_folder(tmp_path)
    assert found.files.keys() == {"a.png"}
    assert found.notes == ["Files that cannot be read are left out (1): closed.png"]
