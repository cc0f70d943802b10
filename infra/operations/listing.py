"""Every object version in the incoming bucket: from S3's own listing, or from an S3 Inventory of it."""

import csv
import gzip
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from infra.stack import Stack
from ingest.errors import SconesError
from ingest.upload import Upload, bucket_and_key

_COLUMNS = {"Key", "VersionId", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag"}
"""Fields that an inventory needs. In its Parquet files, `VersionId` is `version_id`, and so on."""


class UnusableInventory(SconesError):
    """The address is not that of an S3 Inventory of the bucket's versions."""


def listed_of(s3: Any, stack: Stack, prefix: str = "", inventory_url: str | None = None) -> Iterator[Upload]:
    """Yield the uploads under a prefix that are also under the stack's own: nothing else is listed.

    Args:
        s3: a client of the bucket, and of the inventory.
        stack: whose bucket.
        prefix: of the keys.
        inventory_url: an S3 Inventory's `manifest.json`, to be read instead of listing the bucket.
    """
    own = stack.key_pattern.partition("*")[0]
    if not (prefix.startswith(own) or own.startswith(prefix)):
        return
    longest, bucket = max(prefix, own, key=len), stack.incoming_bucket
    if inventory_url:
        yield from inventoried(s3, inventory_url, bucket, longest)
    else:
        yield from listed(s3, bucket, longest)


def matches(key: str, pattern: str) -> bool:
    """Tell whether a stack classifies a key: whether it is one of `prefix*suffix`."""
    prefix, _, suffix = pattern.partition("*")
    return key.startswith(prefix) and key[len(prefix) :].endswith(suffix)


def listed(s3: Any, bucket: str, prefix: str = "") -> Iterator[Upload]:
    """Yield every object version under a prefix as an upload. Delete markers are skipped.

    Its time is when S3 stored it, which for an upload in parts is when that began.
    """
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for version in page.get("Versions", ()):
            yield Upload(
                bucket=bucket,
                key=version["Key"],
                version_id=version["VersionId"],
                etag=version["ETag"].strip('"'),
                sequencer="",
                size_bytes=version["Size"],
                uploaded_at=version["LastModified"].astimezone(UTC),
            )


def inventoried(s3: Any, manifest_url: str, bucket: str, prefix: str = "") -> Iterator[Upload]:
    """Yield what an S3 Inventory lists under a prefix, as `listed` does. It is a day old, or more.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html

    Args:
        s3: a client that may read the inventory.
        manifest_url: `s3://…/manifest.json` of one inventory, in CSV or Parquet.
        bucket: that it has to be of.
        prefix: of the keys.

    Raises:
        UnusableInventory: it is none, or lacks something.
    """
    inventory = _inventory(s3, manifest_url, bucket)
    with tempfile.TemporaryDirectory(prefix="inventory-") as folder:
        path = Path(folder) / "part"
        for key in inventory.keys:
            s3.download_file(inventory.bucket, key, str(path))
            rows = _parquet_rows(path) if inventory.is_parquet else _csv_rows(path, inventory.columns)
            for row in rows:
                if row["Key"].startswith(prefix) and not row["IsDeleteMarker"]:
                    yield Upload(
                        bucket=bucket,
                        key=row["Key"],
                        version_id=row["VersionId"] or "null",
                        etag=row["ETag"] or "",
                        sequencer="",
                        size_bytes=int(row["Size"] or 0),
                        uploaded_at=row["LastModifiedDate"],
                    )


@dataclass(frozen=True)
class _Inventory:
    bucket: str
    keys: list[str]
    columns: list[str]
    is_parquet: bool


def _inventory(s3: Any, manifest_url: str, bucket: str) -> _Inventory:
    where, key = bucket_and_key(manifest_url)
    if not (manifest_url.startswith("s3://") and key.endswith("manifest.json")):
        raise UnusableInventory(f"{manifest_url}: name the inventory's s3://…/manifest.json")
    manifest = json.loads(s3.get_object(Bucket=where, Key=key)["Body"].read())
    try:
        of, format_, schema = manifest["sourceBucket"], manifest["fileFormat"], manifest["fileSchema"]
        keys = [file["key"] for file in manifest["files"]]
        destination = manifest["destinationBucket"].rpartition(":")[2]
    except (KeyError, TypeError) as error:
        raise UnusableInventory(f"{manifest_url} is not an inventory's manifest: it lacks {error}") from error
    columns = [column.strip() for column in schema.split(",")] if format_ == "CSV" else []
    if of != bucket:
        raise UnusableInventory(f"{manifest_url} is of the bucket {of}, not of {bucket}")
    if format_ not in ("CSV", "Parquet"):
        raise UnusableInventory(f"{manifest_url} is in {format_}; only CSV and Parquet are supported")
    if lacking := [] if format_ == "Parquet" else sorted(_COLUMNS - set(columns)):
        raise UnusableInventory(
            f"{manifest_url} lacks {', '.join(lacking)}: the inventory needs all versions and these fields"
        )
    return _Inventory(destination, keys, columns, format_ == "Parquet")


def _csv_rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for values in csv.reader(file):
            row: dict[str, Any] = dict(zip(columns, values, strict=True))
            yield {
                **row,
                "Key": unquote_plus(row["Key"]),
                "IsDeleteMarker": row["IsDeleteMarker"].lower() == "true",
                "LastModifiedDate": datetime.fromisoformat(row["LastModifiedDate"]).astimezone(UTC),
            }


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    names = {
        "key": "Key",
        "version_id": "VersionId",
        "is_delete_marker": "IsDeleteMarker",
        "size": "Size",
        "last_modified_date": "LastModifiedDate",
        "e_tag": "ETag",
    }
    import pyarrow.parquet as parquet  # most inventories are CSV, and most listings S3's own

    with parquet.ParquetFile(path) as file:
        if lacking := sorted(set(names) - set(file.schema_arrow.names)):
            raise UnusableInventory(f"the inventory lacks {', '.join(lacking)}")
        for batch in file.iter_batches(10_000, columns=list(names)):
            for row in batch.to_pylist():
                renamed = {names[name]: value for name, value in row.items()}
                at = renamed["LastModifiedDate"]
                yield {**renamed, "LastModifiedDate": at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)}
