"""A short torture: the course of the long one, with some of its faults."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.torture.run import torture, went_well

SEED = 4
IMAGES = 40


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="finds whom to kill in /proc")
def test_nothing_is_lost_doubled_or_wrong_whatever_breaks(tmp_path: Path) -> None:
    report = torture(Console(), SEED, IMAGES, tmp_path / "torture")
    assert went_well(report), report
    assert report["images"] == report["audit"]["uploaded"] == IMAGES
    assert report["faults"] >= 12
    assert (tmp_path / "torture.json").exists()
