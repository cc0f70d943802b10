"""infra.space: a disk that is nearly full is named before anything starts."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.laptop import local
from infra.space import NotEnoughSpace, check_space


def test_enough_is_enough_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2_000))
    check_space(tmp_path, 2_000)
    with pytest.raises(
        NotEnoughSpace, match=r"2,001 bytes of disk are needed, 2,000 are free\. .*SCONES_HOME"
    ):
        check_space(tmp_path, 2_001)


def test_up_starts_nothing_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(NotEnoughSpace, match="64,000,000 bytes of disk are needed, 1,000,000 are free"):
        local.up(tmp_path / "home", None, tmp_path / "stack.json")
    assert not (tmp_path / "stack.json").exists()
    assert local.processes(tmp_path / "home") == {}
