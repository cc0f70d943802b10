"""infra.operations.traffic: what is sent, at which rate, and what counts as gone well."""

import hashlib
import io
import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner
from PIL import Image

from analytics.athena.local import LocalEngine
from analytics.lake.columns import PREFIX
from analytics.lake.schema import to_table
from analytics.questions.queries import views
from infra.cli.main import scones
from infra.operations import drop
from infra.operations import traffic as module
from infra.operations.arrivals import Found
from infra.operations.drop import Dropped, Settled
from infra.operations.image_folder import NothingToDrop
from infra.operations.traffic import smoke, traffic, went_well
from tests.builders_table import a_row

OUTCOMES = {"accepted": 0, "needs_review": 0, "rejected": 0, "failed": 0}


LONG_AGO = datetime.now(UTC) - timedelta(days=40)


class Client:
    """S3 and Step Functions, as far as they are asked."""

    def __init__(self) -> None:
        self.put: list[tuple[str, bytes]] = []
        self.started: list[dict[str, Any]] = []
        self.awaited: list[Dropped] = []

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> dict[str, str]:
        self.put.append((Key, Body))
        return {"VersionId": f"v{len(self.put)}", "ETag": '"e"'}

    def list_objects_v2(self, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:
        keys = [key for key in ("test/a.png", "test/b.png", "other.png") if key.startswith(Prefix)]
        return {"Contents": [{"Key": key} for key in keys]} if keys else {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(Key.encode())}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        return {"VersionId": f"v of {Key}", "ETag": '"e"', "LastModified": LONG_AGO}

    def start_execution(self, stateMachineArn: str, input: str) -> dict[str, Any]:
        self.started.append(json.loads(input))
        return {"startDate": datetime.now(UTC)}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    def settle(stack: Any, dropped: list[Dropped], progress: Any, patience_s: float, *_: Any) -> Settled:
        a_client.awaited = dropped
        return Settled({**OUTCOMES, "accepted": len(dropped)})

    a_client, clock = Client(), SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(module, "settle", settle)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: clock.now))
    return a_client


def a_stack(client: Client, pattern: str = "*") -> Any:
    return SimpleNamespace(
        client=lambda _: client, incoming_bucket="incoming", state_machine_arn="arn", key_pattern=pattern
    )


def send(
    client: Client, source: str, images: int = 6, *, by_hand: bool = False, pattern: str = "*"
) -> module.Sent:
    stack = a_stack(client, pattern)
    progress: Any = SimpleNamespace(add_task=lambda *_, **__: 0, advance=lambda _: None)
    return traffic(stack, source, images, 2.0, by_hand=by_hand, progress=progress, patience_s=1)


def test_images_of_a_folder_are_sent_under_new_keys_at_the_rate(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"image")
    sent = send(client, str(tmp_path))
    assert (sent.sent, sent.seconds, sent.settled.outcomes["accepted"]) == (6, 2.5, 6)
    keys = [key for key, _ in client.put]
    assert len(set(keys)) == 6
    assert all(key.startswith("traffic/") and key.endswith("-a.png") for key in keys)
    assert {body for _, body in client.put} == {b"image"}
    assert {each.sent_after for each in client.awaited} != {None}, (
        "rows of long traffic are looked for by days"
    )


def test_objects_of_a_prefix_are_sent_again_as_new_uploads(client: Client) -> None:
    send(client, "test/", 20)
    assert {body for _, body in client.put} == {b"test/a.png", b"test/b.png"}
    assert client.started == []


def test_by_hand_executions_start_with_the_names_of_objects(client: Client) -> None:
    sent = send(client, "test/", 20, by_hand=True)
    assert client.put == []
    assert len(client.started) == 20
    assert {each["s3_key"] for each in client.started} == {"test/a.png", "test/b.png"}
    assert {(each["image_data"], each["s3_bucket"]) for each in client.started} == {("", "incoming")}
    assert sent.settled.outcomes["accepted"] == 2  # an object is one upload, however often it is named


class Deciding(Client):
    """Decides images by hand, if it does at all; each has a row of an earlier decision."""

    def __init__(self, folder: Path, *, decides: bool) -> None:
        super().__init__()
        self.folder, self.decides = folder, decides
        for key in ("test/a.png", "test/b.png"):
            self.record(key, LONG_AGO + timedelta(seconds=1))

    def record(self, key: str, decided_at: datetime) -> None:
        at = LONG_AGO.replace(tzinfo=None, microsecond=0)
        row = a_row(
            uploaded_at=at + timedelta(seconds=1),
            decided_at=decided_at.replace(tzinfo=None),
            key=key,
            version_id=f"v of {key}",
            upload_id=hashlib.sha256(key.encode()).hexdigest(),
        )
        path = self.folder / f"{PREFIX}dt={at:%Y-%m-%d}" / f"{uuid4().hex}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(to_table([row]), path)

    def start_execution(self, stateMachineArn: str, input: str) -> dict[str, Any]:
        started = super().start_execution(stateMachineArn, input)
        if self.decides:
            self.record(self.started[-1]["s3_key"], started["startDate"] + timedelta(seconds=1))
        return started


@pytest.mark.parametrize("decides", [True, False])
def test_by_hand_only_rows_of_new_decisions_settle_and_objects_may_be_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decides: bool
) -> None:
    monkeypatch.setattr(drop, "engine", lambda _: closing(LocalEngine(tmp_path, views())))
    monkeypatch.setattr(drop, "POLL_ON_AWS_S", 0.01)
    client = Deciding(tmp_path, decides=decides)
    stack: Any = SimpleNamespace(
        client=lambda _: client,
        incoming_bucket="incoming",
        state_machine_arn="arn",
        endpoint_url="local",
        home=None,
    )
    progress: Any = SimpleNamespace(
        add_task=lambda *_, **__: 0, advance=lambda _: None, update=lambda *_, **__: None
    )
    sent = traffic(stack, "test/a", 1, 100.0, by_hand=True, progress=progress, patience_s=0.2)
    assert (len(sent.settled.missing), sent.settled.duplicates) == (0 if decides else 1, 0)
    assert sent.settled.outcomes["accepted"] == (1 if decides else 0)


def test_it_says_how_long_images_took_that_were_just_uploaded() -> None:
    dropped = {(str(n), "v"): Dropped(str(n), "v") for n in range(20)}
    found = {identity: Found(1, "accepted", 100 * n) for n, identity in enumerate(dropped, 1)}
    found["9", "v"] = Found(1, None, None)  # not seen by the view yet
    settled = drop._settled(found, dropped, are_new=True)
    assert (settled.latency_p50_ms, settled.latency_p95_ms) == (1_100, 2_000)
    assert drop._settled(found, dropped, are_new=False).latency_p50_ms is None
    assert drop._settled({}, dropped, are_new=True).latency_p95_ms is None


@pytest.mark.parametrize(
    ("typed", "images"),
    [([], 100), (["--images=7"], 7), (["--minutes=2", "--rate=5"], 600), (["--minutes=0.001"], 1)],
)
def test_traffic_is_so_many_images_or_so_many_minutes(
    monkeypatch: pytest.MonkeyPatch, typed: list[str], images: int
) -> None:
    sent: list[int] = []

    def traffic(stack: Any, source: str, count: int, *_: Any, **__: Any) -> module.Sent:
        sent.append(count)
        return module.Sent(count, 2.0, Settled(OUTCOMES, latency_p50_ms=800, latency_p95_ms=1_900))

    monkeypatch.setattr(module, "traffic", traffic)
    monkeypatch.setattr("infra.cli.systems.current_stack", lambda _: None)
    done = CliRunner().invoke(scones, ["traffic", "test/", *typed], catch_exceptions=False)
    assert sent == [images]
    assert "From upload to outcome: 0.8 s for half of them, 1.9 s for 95 %." in done.stdout
    both = CliRunner().invoke(scones, ["traffic", "test/", "--images=1", "--minutes=1"])
    assert "either --images or --minutes" in both.stderr


@pytest.mark.parametrize(("source", "by_hand"), [("nothing/", False), ("nothing/", True)])
def test_without_an_image_nothing_is_sent(client: Client, source: str, by_hand: bool) -> None:
    with pytest.raises(NothingToDrop, match="nothing/"):
        send(client, source, by_hand=by_hand)


def test_a_folder_cannot_be_sent_by_hand(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"image")
    with pytest.raises(NothingToDrop, match="name a prefix"):
        send(client, str(tmp_path), by_hand=True)


def test_a_smoke_test_sends_one_sound_image(client: Client) -> None:
    assert went_well(smoke(a_stack(client), SimpleNamespace(), 1))  # type: ignore[arg-type]
    ((key, body),) = client.put
    assert key.startswith("smoke/")
    with Image.open(io.BytesIO(body)) as image:
        image.load()


def test_what_is_sent_has_keys_that_the_stack_classifies(client: Client, tmp_path: Path) -> None:
    smoke(a_stack(client, "camera/*.jpg"), SimpleNamespace(), 1)  # type: ignore[arg-type]
    (tmp_path / "a.png").write_bytes(b"image")
    (tmp_path / "b.jpg").write_bytes(b"image")
    send(client, str(tmp_path), pattern="camera/*.jpg")
    (smoked, _), *sent = client.put
    assert re.fullmatch(r"camera/smoke/[^/]+\.png\.jpg", smoked)
    assert all(re.fullmatch(r"camera/traffic/.+-(a\.png|b)\.jpg", key) for key, _ in sent)


@pytest.mark.parametrize(
    "settled",
    [
        Settled(OUTCOMES, missing=[Dropped("a", "v")]),
        Settled({**OUTCOMES, "accepted": 1}, duplicates=1),
        Settled({**OUTCOMES, "failed": 1}),
        Settled({**OUTCOMES, "rejected": 1}),
    ],
)
def test_anything_but_one_answer_is_not_well(settled: Settled) -> None:
    assert not went_well(settled)
