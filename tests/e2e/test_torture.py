"""A short torture: the course of the long one, with some of its faults, and one of its scenarios."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.torture.run import torture, went_well
from tests.torture.scenarios import run_scenario

SEED = 4
IMAGES = 40


needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="finds whom to kill in /proc")


@needs_proc
def test_nothing_is_lost_doubled_or_wrong_whatever_breaks(tmp_path: Path) -> None:
    report = torture(Console(), SEED, IMAGES, tmp_path / "torture")
    assert went_well(report), report
    assert report["images"] == report["audit"]["uploaded"] == IMAGES
    assert report["faults"] >= 12
    assert (tmp_path / "torture.json").exists()


@needs_proc
def test_a_drop_that_is_killed_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = run_scenario(Console(), "kill-drop", SEED, 20, tmp_path / "scenario")
    assert (report["lost"], report["doubled"], report["wrong"]) == (0, 0, 0), report
    assert report["images"] >= 20
