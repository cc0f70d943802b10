"""infra.clients: the slow parts of botocore that are replaced mean the same."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.utils import parse_timestamp

from infra import clients

LISTING = b"""<ListBucketResult><Contents><Key>a</Key><Size>1</Size>
<LastModified>2026-11-30T07:00:01.000Z</LastModified></Contents></ListBucketResult>"""


@pytest.mark.parametrize("said", ["2026-11-30T07:00:01.250Z", "2026-02-28T23:59:59Z"])
def test_a_time_is_the_one_that_botocore_reads(said: str) -> None:
    read = clients.time_of(said)
    assert (read, read.utcoffset()) == (parse_timestamp(said), parse_timestamp(said).utcoffset())


@pytest.mark.parametrize("said", ["Mon, 30 Nov 2026 07:00:01 GMT", "2026-11-30T07:00:01+02:00", 1796022001.5])
def test_times_of_other_forms_are_left_to_botocore(said: object) -> None:
    assert clients.time_of(said) == parse_timestamp(said)


def test_a_listing_s_times_are_read_so(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(clients, "datetime", SimpleNamespace(fromisoformat=read.append))
    s3 = clients.client("s3", "us-east-1", "http://127.0.0.1:1", "key", "secret")
    answer = SimpleNamespace(status_code=200, headers={}, content=LISTING)
    s3.meta.events.register("before-send.s3.ListObjectsV2", lambda **_: answer)
    s3.list_objects_v2(Bucket="bucket")
    assert read == ["2026-11-30T07:00:01.000Z"]
    monkeypatch.undo()
    (listed,) = s3.list_objects_v2(Bucket="bucket")["Contents"]
    assert listed["LastModified"] == datetime(2026, 11, 30, 7, 0, 1, tzinfo=UTC)


def test_a_client_is_made_once_for_each_service_and_patience() -> None:
    system = "us-east-1", "http://127.0.0.1:1", "key", "secret"
    s3 = clients.client("s3", *system)
    assert clients.client("s3", *system) is s3
    others = clients.client("sqs", *system), clients.client("s3", *system, timeout_s=3)
    assert s3 not in others
