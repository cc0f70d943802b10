"""infra.operations.drop: what is put must fit the disk, and waiting asks at a fair pace."""

import os
import re
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as parquet
import pytest

from analytics.lake.columns import PREFIX
from analytics.lake.schema import to_table
from infra.operations import drop as module
from infra.operations.drop import Dropped, drop, pause_factor, settle
from infra.space import NotEnoughSpace, disk_bytes
from infra.stored import state_of
from tests.builders_table import a_row

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


@pytest.mark.parametrize("set_by", [timedelta(hours=-3), timedelta(days=-3), timedelta(days=3)])
def test_a_clock_that_is_set_while_outcomes_are_awaited_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, set_by: timedelta
) -> None:
    began = datetime.now(UTC)
    later = began + set_by

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return later if files else began

    class Bucket:
        def list_files(self, prefix: str, after: str, since: datetime | None) -> Any:
            """List nothing at first, then what the later time has brought."""
            listed = list(files)
            files.append(f"{PREFIX}dt={later:%Y-%m-%d}/1.parquet")
            return [(path, 1) for path in listed if path > after and (since is None or later >= since)]

        def download(self, paths: list[str], folder: Path) -> dict[str, Path]:
            at = later.replace(tzinfo=None)
            row = a_row(key="a", version_id="v", uploaded_at=at, decided_at=at, outcome="accepted")
            parquet.write_table(to_table([row]), tmp_path / "1.parquet")
            return dict.fromkeys(paths, tmp_path / "1.parquet")

    files: list[str] = []
    monkeypatch.setattr(module, "datetime", Clock)
    monkeypatch.setattr(module, "ResultsBucket", lambda *_: Bucket())
    monkeypatch.setattr(module, "LOOK_ANYWAY_S", 0.01)
    stack: Any = SimpleNamespace(
        home=str(tmp_path), account_id="1", client=lambda _: None, results_bucket="results"
    )
    progress: Any = SimpleNamespace(add_task=lambda *_, **__: 0, update=lambda *_, **__: None)
    settled = settle(stack, [Dropped("a", "v", began)], progress, 0.5)
    assert (settled.missing, settled.outcomes["accepted"]) == ([], 1)


def test_rows_of_uploads_that_took_days_are_looked_for_from_the_first_on() -> None:
    began = datetime.now(UTC) - timedelta(days=3)
    bounds = module._Bounding([Dropped("a", "v", began), Dropped("b", "v", began)], None)()
    assert bounds.uploaded_since < began.replace(tzinfo=None)
    assert bounds.from_dt < began.date() < datetime.now(UTC).date() < bounds.to_dt


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[module._Watched, Path]:
    """Return rows of a table on this machine, which have been counted, and the folder of a day."""
    results = SimpleNamespace(list_files=lambda *_, **__: [], download=lambda *_: {})
    monkeypatch.setattr(module, "ResultsBucket", lambda *_: results)
    stack: Any = SimpleNamespace(
        home=str(tmp_path), account_id="1", results_bucket="results", client=lambda _: None
    )
    day = tmp_path / "s3" / "1" / "results" / PREFIX / "dt=2026-11-16"
    day.mkdir(parents=True)
    rows = module._Watched(stack, stack.home, module._Bounding([Dropped("a", "v")], None))
    rows.count()
    return rows, day


def test_the_files_of_a_table_on_this_machine_are_listed_again_when_its_folder_has_changed(
    watched: tuple[module._Watched, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, day = watched
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            (day / "1.parquet").touch()
            os.utime(day, ns=(1, 1))  # another time than before, however coarse the file system's is

    monkeypatch.setattr(time, "sleep", sleep)
    rows.pause(0.5, 10)
    assert slept == [0.1, 0.01, 0.01]


def test_the_files_are_listed_after_a_second_in_any_case(
    watched: tuple[module._Watched, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = watched
    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.append(now.pop() + seconds))
    monkeypatch.setattr(module, "time", clock)
    rows.pause(0, 0.1)
    assert now[0] == pytest.approx(101, abs=0.03)
    rows.pause(0, 3_600)
    assert now[0] == pytest.approx(102, abs=0.06)


def test_a_folder_s_state_is_another_when_a_file_comes_or_goes_in_one_of_its_folders(tmp_path: Path) -> None:
    states = [state_of(tmp_path / "table")]
    for number, change in enumerate(
        (
            lambda: (tmp_path / "table" / "day").mkdir(parents=True),
            lambda: (tmp_path / "table" / "day" / "file").touch(),
            lambda: (tmp_path / "table" / "day" / "file").unlink(),
            lambda: (tmp_path / "table" / "other day").mkdir(),
        )
    ):
        change()
        for folder in ("table/day", "table"):
            before = (tmp_path / folder).stat().st_mtime_ns
            os.utime(tmp_path / folder, ns=(before + number, before + number))
        states.append(state_of(tmp_path / "table"))
    assert states[0] == ""
    assert len(set(states)) == len(states)
