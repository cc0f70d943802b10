"""Limits of the machine: those that are too low are named before anything starts, or raised."""

import resource
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.laptop import local
from infra.laptop.local import CannotStart
from infra.laptop.supervisor import OPEN_FILES, allow_open_files
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


@pytest.mark.parametrize("name", ["a\\b", "latin-\udce4"])
def test_up_writes_nothing_to_a_folder_whose_name_would_be_read_differently(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(CannotStart, match=r"is not supported\. Set SCONES_HOME to another folder"):
        local.up(tmp_path / name / "home", None, tmp_path / "stack.json")
    assert list(tmp_path.iterdir()) == []


def test_up_starts_nothing_where_too_few_files_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(CannotStart, match="256 open files are needed, and the hard limit is 64"):
        local.up(tmp_path / "home", None, tmp_path / "stack.json")
    assert not (tmp_path / "stack.json").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((64, 1_024), (1_024, 1_024)),
        ((64, 1_000_000), (4_096, 1_000_000)),
        ((64, resource.RLIM_INFINITY), (4_096, resource.RLIM_INFINITY)),
        ((20_000, 1_000_000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_a_low_soft_limit_of_open_files_is_raised_and_a_high_one_stays(
    before: tuple[int, int], after: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: before)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: said.append(limits))
    allow_open_files(OPEN_FILES)
    assert said == ([after] if after else [])
