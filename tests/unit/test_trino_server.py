"""`make check-trino` says what it needs, and runs nothing that is not the expected archive."""

import hashlib
import io
import shutil
import tarfile
import urllib.request
from pathlib import Path

import pytest

from tests.trino import server
from tests.trino.server import CannotJudge, fetched, java_home


def a_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n", encoding="ascii")
    java.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "_JAVAS", tmp_path / "jvm")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(shutil, "which", lambda _: None)


def test_without_java_the_error_says_which_one_is_needed() -> None:
    with pytest.raises(CannotJudge, match="Java 24 or newer, and no Java was found"):
        java_home()


def test_an_older_java_is_named(tmp_path: Path) -> None:
    a_java(tmp_path / "jvm" / "old", "17.0.15")
    with pytest.raises(CannotJudge, match="the newest one found is 17"):
        java_home()


def test_a_java_that_is_new_enough_is_found_beside_an_older_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path / "mine", "17.0.15")))
    newer = a_java(tmp_path / "jvm" / "a", "25")
    a_java(tmp_path / "jvm" / "b", "21")
    assert java_home() == newer


def archive(names: list[str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        for name in names:
            member = tarfile.TarInfo(f"trino-server-{server.VERSION}/{name}")
            member.size = 1
            packed.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo(f"trino-server-{server.VERSION}/plugin/hive/shared.jar")
        link.type, link.linkname = tarfile.LNKTYPE, f"trino-server-{server.VERSION}/plugin/kafka/c.jar"
        packed.addfile(link)
    return file.getvalue()


NAMES = ["bin/launcher", "lib/a.jar", "plugin/hive/b.jar", "plugin/kafka/c.jar", "README.txt"]


def test_what_is_needed_of_the_archive_is_extracted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed = archive(NAMES)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(packed))
    monkeypatch.setattr(server, "_SHA256", hashlib.sha256(packed).hexdigest())
    home = fetched(tmp_path)
    files = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    assert files == {"bin/launcher", "lib/a.jar", "plugin/hive/b.jar", "plugin/hive/shared.jar"}
    assert (home / "plugin/hive/shared.jar").read_bytes() == b"x", "plugins share files by links"
    assert [plugin.name for plugin in (home / "plugin").iterdir()] == ["hive"], "Trino starts each plugin"
    monkeypatch.setattr(urllib.request, "urlopen", None)
    assert fetched(tmp_path) == home, "it is fetched once"


def test_another_archive_than_the_expected_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(archive(NAMES)))
    with pytest.raises(CannotJudge, match="nothing of it was run"):
        fetched(tmp_path)
    assert not list(tmp_path.rglob("launcher"))
