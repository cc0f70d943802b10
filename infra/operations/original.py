"""The bytes of an uploaded image, for those who show it to people."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ingest.errors import MAX_BYTES
from ingest.upload import NULL_VERSION
from workflow.outcome import IMPORTED_BUCKET


def original(s3: Any, bucket: str, key: str, version_id: str | None) -> bytes | None:
    """Return the bytes of an uploaded image, or None if they cannot be read."""
    if bucket == IMPORTED_BUCKET:
        return None
    try:
        response = s3.get_object(Bucket=bucket, Key=key, VersionId=version_id or NULL_VERSION)
        data: bytes | None = response["Body"].read() if response["ContentLength"] <= MAX_BYTES else None
    except (BotoCoreError, ClientError):
        return None
    return data
