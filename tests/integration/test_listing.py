import csv
import gzip
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import boto3
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from moto import mock_aws

from infra.operations import listing
from infra.operations.drop import version_of
from infra.operations.listing import UnusableInventory, inventoried, listed, listed_of, matches
from infra.operations.redrive import DeadLetterQueue
from infra.operations.rejected import Rejected, download
from ingest.upload import Upload
from tests.builders import an_event

BUCKET, OTHER = "scones-incoming", "inventories"
KEYS = ["a.png", "b c+d%2F.png", "ü/写真.png", 'x/"q",y.png']
AT = datetime(2026, 11, 16, 9, 30, 5, tzinfo=UTC)
SCHEMA = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"
MANIFEST = "inv/scones-incoming/all/2026-11-17T01-00Z/manifest.json"


@pytest.fixture
def s3():
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        for bucket in (BUCKET, OTHER):
            client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield client


def suspend_versioning(s3):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def put(s3, key, body=b"bytes"):
    return s3.put_object(Bucket=BUCKET, Key=key, Body=body)["VersionId"]


# ── the bucket's listing ───────────────────────────────────────────────────────────────────────────────────


def test_every_version_is_an_upload_and_a_delete_marker_is_none(s3):
    versions = {(key, put(s3, key, key.encode())) for key in KEYS for _ in range(2)}
    s3.delete_object(Bucket=BUCKET, Key=KEYS[0])
    uploads = list(listed(s3, BUCKET))
    assert {(upload.key, upload.version_id) for upload in uploads} == versions
    assert len(uploads) == len(versions)
    assert {upload.size_bytes for upload in uploads} == {len(key.encode()) for key in KEYS}
    assert all(datetime.now(UTC) - upload.uploaded_at < timedelta(minutes=1) for upload in uploads)
    assert not any('"' in upload.etag for upload in uploads)


def test_what_was_stored_while_versioning_is_suspended_is_listed_as_its_event_names_it(s3):
    suspend_versioning(s3)
    etag = s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"other")["ETag"].strip('"')
    (upload,) = listed(s3, BUCKET)
    event = an_event("a.png", version_id=None)
    event["detail"]["object"]["etag"] = etag
    assert upload.upload_id == Upload.from_event(event).upload_id


@pytest.mark.parametrize("versioning", ["never", "suspended"])
def test_a_drop_knows_its_uploads_without_versions(s3, versioning):
    if versioning == "suspended":
        suspend_versioning(s3)
    bucket = BUCKET if versioning == "suspended" else OTHER
    stored = s3.put_object(Bucket=bucket, Key="a.png", Body=b"bytes")
    assert version_of(stored) == next(listed(s3, bucket)).etag


def test_only_keys_under_the_prefix_are_listed(s3):
    for key in KEYS:
        put(s3, key)
    assert [upload.key for upload in listed(s3, BUCKET, "x/")] == ['x/"q",y.png']


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", ["in/a.png", "in/.png", "in/a.txt", "out/a.png"]),
        ("in/*", ["in/a.png", "in/.png", "in/a.txt"]),
        ("in/*.png", ["in/a.png", "in/.png"]),
        ("in/a.*a.png", []),  # as EventBridge's wildcard, the two ends do not overlap
    ],
)
def test_only_keys_that_the_stack_classifies_are_uploads(pattern, matched):
    keys = ("in/a.png", "in/.png", "in/a.txt", "out/a.png")
    assert [key for key in keys if matches(key, pattern)] == matched


@pytest.mark.parametrize(
    ("prefix", "asked"), [("", ["in/"]), ("i", ["in/"]), ("in/a", ["in/a"]), ("out/", [])]
)
def test_only_the_stack_s_own_prefix_is_listed(monkeypatch, prefix, asked):
    prefixes = []

    def asked_for(s3, bucket, prefix):
        prefixes.append(prefix)
        return []

    monkeypatch.setattr(listing, "listed", asked_for)
    stack: Any = SimpleNamespace(key_pattern="in/*.png", incoming_bucket=BUCKET)
    assert list(listed_of(None, stack, prefix)) == []
    assert prefixes == asked


def test_more_versions_than_a_page_holds_are_listed(s3, monkeypatch):
    for number in range(7):
        put(s3, f"{number}.png")
    pages = s3.get_paginator("list_object_versions")
    paginate = pages.paginate
    monkeypatch.setattr(
        pages, "paginate", lambda **where: paginate(**where, PaginationConfig={"PageSize": 3})
    )
    monkeypatch.setattr(s3, "get_paginator", lambda _: pages)
    assert [upload.key for upload in listed(s3, BUCKET)] == [f"{number}.png" for number in range(7)]


# ── an inventory ───────────────────────────────────────────────────────────────────────────────────────────


def write_manifest(s3, format_, keys, schema=SCHEMA, bucket=BUCKET):
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{OTHER}",
        "version": "2016-11-30",
        "creationTimestamp": "1763341200000",
        "fileFormat": format_,
        "fileSchema": schema,
        "files": [{"key": key, "size": 1, "MD5checksum": "m"} for key in keys],
    }
    s3.put_object(Bucket=OTHER, Key=MANIFEST, Body=json.dumps(manifest).encode())
    return f"s3://{OTHER}/{MANIFEST}"


def csv_inventory(s3, rows):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    for key, version_id, deleted in rows:
        at = "2026-11-16T09:30:05.000Z"
        writer.writerow(
            [BUCKET, quote_plus(key, safe="/"), version_id, "true", str(deleted).lower(), "5", at, "e"]
        )
    s3.put_object(Bucket=OTHER, Key="data/1.csv.gz", Body=gzip.compress(text.getvalue().encode()))
    return write_manifest(s3, "CSV", ["data/1.csv.gz"])


def parquet_inventory(s3, rows):
    keys, versions, deleted = zip(*rows, strict=True)
    table = pa.table(
        {
            "bucket": [BUCKET] * len(rows),
            "key": keys,
            "version_id": versions,
            "is_latest": [True] * len(rows),
            "is_delete_marker": deleted,
            "size": pa.array([5] * len(rows), pa.int64()),
            "last_modified_date": pa.array([AT] * len(rows), pa.timestamp("ms", "UTC")),
            "e_tag": ["e"] * len(rows),
        }
    )
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    s3.put_object(Bucket=OTHER, Key="data/1.parquet", Body=buffer.getvalue())
    return write_manifest(s3, "Parquet", ["data/1.parquet"], "message s3.inventory { … }")


@pytest.mark.parametrize("inventory", [csv_inventory, parquet_inventory])
def test_an_inventory_lists_what_the_bucket_would(s3, inventory):
    url = inventory(s3, [(key, f"v{key}", False) for key in KEYS] + [("gone.png", "v", True)])
    uploads = list(inventoried(s3, url, BUCKET))
    assert [(upload.key, upload.version_id) for upload in uploads] == [(key, f"v{key}") for key in KEYS]
    assert {(upload.size_bytes, upload.etag, upload.uploaded_at) for upload in uploads} == {(5, "e", AT)}
    assert [upload.key for upload in inventoried(s3, url, BUCKET, "x/")] == ['x/"q",y.png']


def test_an_inventory_of_another_bucket_is_refused(s3):
    url = write_manifest(s3, "CSV", [], bucket="other")
    with pytest.raises(UnusableInventory, match="is of the bucket other"):
        list(inventoried(s3, url, BUCKET))


def test_an_inventory_of_current_versions_only_is_refused(s3):
    url = write_manifest(s3, "CSV", [], schema="Bucket, Key, Size, LastModifiedDate, ETag")
    with pytest.raises(UnusableInventory, match="lacks IsDeleteMarker, VersionId"):
        list(inventoried(s3, url, BUCKET))


def test_an_inventory_in_orc_is_refused(s3):
    with pytest.raises(UnusableInventory, match="is in ORC"):
        list(inventoried(s3, write_manifest(s3, "ORC", []), BUCKET))


@pytest.mark.parametrize("url", [f"s3://{OTHER}/data/1.csv.gz", "https://example.org/manifest.json"])
def test_something_else_is_no_inventory(s3, url):
    with pytest.raises(UnusableInventory, match="name the inventory's"):
        list(inventoried(s3, url, BUCKET))


def test_another_manifest_is_no_inventory(s3):
    s3.put_object(Bucket=OTHER, Key=MANIFEST, Body=b'{"files": []}')
    with pytest.raises(UnusableInventory, match="lacks 'sourceBucket'"):
        list(inventoried(s3, f"s3://{OTHER}/{MANIFEST}", BUCKET))


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def messages():
    with mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1")
        url = sqs.create_queue(QueueName="dead")["QueueUrl"]

        def send(*bodies):
            for body in bodies:
                sqs.send_message(QueueUrl=url, MessageBody=body)

        yield lambda: DeadLetterQueue(sqs, url), send


def test_messages_are_held_and_then_released(messages):
    holder, send = messages
    send(*(str(number) for number in range(23)))
    first = holder()
    assert sorted(int(message.body) for message in first.read()) == list(range(23))
    assert holder().read() == []
    first.release()
    assert len(holder().read()) == 23


def test_messages_that_are_done_with_are_gone_and_the_others_are_not(messages):
    holder, send = messages
    send(*(str(number) for number in range(23)))
    first = holder()
    read = first.read()
    first.delete(read[:21])
    first.release()
    assert {message.body for message in holder().read()} == {message.body for message in read[21:]}


def test_an_empty_queue_has_no_messages(messages):
    holder, _ = messages
    nobody = holder()
    assert nobody.read() == []
    nobody.delete([])
    nobody.release()


# ── rejected images ────────────────────────────────────────────────────────────────────────────────────────


def a_rejected(key, version_id, number=0):
    return Rejected(key, version_id, f"{number:064x}", "corrupt", "PNG: broken", 5, AT)


HOSTILE = [
    "../../etc/passwd",
    "/absolute",
    "a/" * 500 + "x.png",
    "folder/",
    ".bashrc",
    "-rf",
    "a\nb",
    "写真.png",
]


def test_the_very_version_that_was_rejected_is_copied_whatever_its_key_is(s3, tmp_path):
    images = []
    for number, key in enumerate(HOSTILE):
        version_id = put(s3, key, f"bad {number}".encode())
        put(s3, key, b"good")
        images.append(a_rejected(key, version_id, number << 240))
    folder = tmp_path / "copies"
    assert download(s3, BUCKET, images, folder) == len(HOSTILE)
    assert {path.read_bytes() for path in folder.iterdir() if path.suffix != ".jsonl"} == {
        f"bad {number}".encode() for number in range(len(HOSTILE))
    }
    index = [
        json.loads(line) for line in (folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(line["key"], line["file"]) for line in index] == [(i.key, i.file_name) for i in images]
    assert [path.name for path in tmp_path.iterdir()] == ["copies"]


def test_a_version_that_is_gone_is_listed_without_a_copy(s3, tmp_path):
    put(s3, "a.png")
    assert download(s3, BUCKET, [a_rejected("a.png", "3e1b9a36-0000-0000-0000-000000000000")], tmp_path) == 0
    assert json.loads((tmp_path / "rejected.jsonl").read_text(encoding="utf-8"))["file"] is None


def test_a_rejected_image_without_a_version_is_copied_until_it_is_replaced(s3, tmp_path):
    suspend_versioning(s3)
    etag = s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"bad")["ETag"]
    image = replace(a_rejected("a.png", None), etag=etag.strip('"'))
    assert download(s3, BUCKET, [image], tmp_path) == 1
    assert (tmp_path / image.file_name).read_bytes() == b"bad"
    s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"good")
    assert download(s3, BUCKET, [image], tmp_path / "again") == 0


def test_an_archived_image_is_listed_without_a_copy(s3, tmp_path):
    version_id = s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"b", StorageClass="GLACIER")["VersionId"]
    assert download(s3, BUCKET, [a_rejected("a.png", version_id)], tmp_path) == 0
