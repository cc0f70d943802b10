"""infra.operations.drop: what is put must fit the disk, and waiting asks at a fair pace."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.operations.drop import drop, pause_factor
from infra.space import NotEnoughSpace, disk_bytes

# ── space on the disk ──────────────────────────────────────────────────────────────────────────────────────


def test_an_image_takes_whole_blocks_for_itself_its_metadata_and_its_outcome() -> None:
    assert disk_bytes([]) == 0
    assert disk_bytes([1]) == disk_bytes([4_096]) == 5 * 4_096
    assert disk_bytes([4_097, 20_000_000]) == (6 + 4_883 + 4) * 4_096


def test_what_the_disk_cannot_hold_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(bytes(5_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=24_575))
    stack: Any = SimpleNamespace(home=str(tmp_path))  # without a client: nothing is sent
    progress: Any = None
    said = f"{tmp_path}: 24,576 bytes of disk are needed, 24,575 are free."
    with pytest.raises(NotEnoughSpace, match=re.escape(said)):
        drop(stack, {"a.png": tmp_path / "a.png"}, progress)


def test_a_system_on_aws_needs_no_disk_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"image")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_, **__: None))
    s3 = SimpleNamespace(put_object=lambda **_: {"VersionId": "1"}, meta=meta)
    stack: Any = SimpleNamespace(home=None, incoming_bucket="images", client=lambda _: s3)
    progress: Any = SimpleNamespace(add_task=lambda *_, **__: 0, advance=lambda _: None)
    assert [each.key for each in drop(stack, {"a.png": tmp_path / "a.png"}, progress)] == ["a.png"]


# ── waiting for outcomes ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("done_share", "elapsed", "pause"),
    [(0, 3, 1), (0.5, 4, 2), (0.01, 30, 5), (0.01, 4, 2), (0.99, 10, 0.5), (1, 10, 1), (1.5, 10, 1)],
)
def test_the_pause_is_half_of_what_is_left_within_bounds(done_share, elapsed, pause) -> None:
    assert pause_factor(done_share, elapsed) == pause
