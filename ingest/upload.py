"""Upload: the S3 object that an `Object Created` event names."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NULL_VERSION = "null"
"""S3's id of the only version of an object that was stored without versioning, or while it was suspended."""


@dataclass(frozen=True)
class Upload:
    """One version of one object in the incoming bucket."""

    bucket: str
    key: str
    version_id: str | None
    """None without versioning or while it is suspended: S3's listing calls that version `null`."""
    etag: str
    sequencer: str
    size_bytes: int
    uploaded_at: datetime
    """UTC."""

    def __post_init__(self) -> None:
        if self.version_id in ("", NULL_VERSION):
            object.__setattr__(self, "version_id", None)

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Upload":
        """Read the `time` and `detail` of an EventBridge `Object Created` event.

        The key is not decoded: EventBridge does not URL-encode it, unlike S3's own notifications.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html

        Raises:
            KeyError: the event names no bucket, key or time.
            ValueError: its time is not ISO 8601.
        """
        detail = event["detail"]
        stored = detail["object"]
        return cls(
            bucket=detail["bucket"]["name"],
            key=stored["key"],
            version_id=stored.get("version-id"),
            etag=stored.get("etag", ""),
            sequencer=stored.get("sequencer", ""),
            size_bytes=int(stored.get("size", 0)),
            uploaded_at=datetime.fromisoformat(event["time"]).astimezone(UTC),
        )

    def to_event(self) -> dict[str, Any]:
        """Return the part of an `Object Created` event that `from_event` reads: a line of a manifest."""
        stored = {"key": self.key, "etag": self.etag, "size": self.size_bytes, "sequencer": self.sequencer}
        if self.version_id:
            stored["version-id"] = self.version_id
        return {
            "time": utc_text(self.uploaded_at),
            "detail": {"bucket": {"name": self.bucket}, "object": stored},
        }

    @property
    def upload_id(self) -> str:
        """SHA-256 of one version of one object: the same for every event, retry and redelivery.

        An object without a version id is identified by its ETag. S3's sequencer would also distinguish two
        uploads of the same bytes under the same key, but a listing does not have it.
        """
        return _digest(self.bucket, self.key, self._version)

    def result_id(self, model_version: str | None) -> str:
        """SHA-256 of one upload as decided by one model version; `None` where the model did not answer."""
        return _digest(self.bucket, self.key, self._version, model_version or "")

    @property
    def _version(self) -> str:
        return self.version_id or self.etag


def utc_text(at: datetime, timespec: str = "auto") -> str:
    """Return a UTC time as events have it: `2026-11-24T09:30:00Z`."""
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")


def bucket_and_key(url: str) -> tuple[str, str]:
    """Split `s3://bucket/key`; the key, or prefix, is empty for a whole bucket."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _digest(*parts: str) -> str:
    # JSON separates the parts: ("a", "bc") and ("ab", "c") must differ.
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
