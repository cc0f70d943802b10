"""Rejected images: which they are and why, and copies of them to look at.

The originals stay where they are. A new upload under the same key is an image of its own, and when it is
decided on, the rejected one is not listed any more.
"""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from botocore.exceptions import ClientError

from analytics.athena.engine import Engine
from analytics.questions.queries import internal_query
from ingest.upload import NULL_VERSION

INDEX = "rejected.jsonl"
"""File in the folder of a download: one JSON object a line, with the fields of `Rejected` and `file`."""

_NAME_MAX_CHARS = 80
_NOT_READABLE = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "PreconditionFailed", "InvalidObjectState"}
"""What S3 says of a version that was deleted or replaced, and of an archived one."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Rejected:
    """A rejected image, as its row describes it."""

    key: str
    version_id: str | None
    """None without versioning and while it is suspended."""
    upload_id: str
    reason: str
    detail: str
    size_bytes: int
    uploaded_at: datetime
    etag: str | None = None

    @property
    def file_name(self) -> str:
        """A file name that is valid on any system, whatever the key is, and unique."""
        safe = _UNSAFE.sub("_", self.key.rstrip("/").rpartition("/")[2]).lstrip(".-")
        return f"{self.upload_id[:16]}-{safe[-_NAME_MAX_CHARS:]}"


def rejected_images(engine: Engine) -> list[Rejected]:
    """Return the rejected images that no later upload under the same key has replaced, the latest first."""
    rows = engine.query(internal_query("rejected")).frame.itertuples(index=False)
    return [
        Rejected(
            key=row.key,
            version_id=None if pd.isna(row.version_id) else row.version_id,
            upload_id=row.upload_id,
            reason=row.reason,
            detail=row.detail,
            size_bytes=int(row.size_bytes),
            uploaded_at=row.uploaded_at.to_pydatetime(),
            etag=row.etag,
        )
        for row in rows
    ]


def download(s3: Any, bucket: str, images: Iterable[Rejected], folder: Path) -> int:
    """Copy the very versions that were rejected into a folder, with an index; return how many there were.

    Raises:
        botocore.exceptions.ClientError: S3 refused, other than because a version is gone or archived.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied = 0
    with (folder / INDEX).open("w", encoding="utf-8") as index:
        for image in images:
            name = image.file_name if _copied(s3, bucket, image, folder / image.file_name) else None
            copied += name is not None
            said = {"file": name, **asdict(image), "uploaded_at": image.uploaded_at.isoformat()}
            index.write(json.dumps(said) + "\n")
    return copied


def _copied(s3: Any, bucket: str, image: Rejected, path: Path) -> bool:
    # The next upload under a key takes the place of a version without an id, but not its ETag.
    same = {} if image.version_id or not image.etag else {"IfMatch": image.etag}
    try:
        stored = s3.get_object(
            Bucket=bucket, Key=image.key, VersionId=image.version_id or NULL_VERSION, **same
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_READABLE:
            return False
        raise
    with stored["Body"] as body, path.open("wb") as file:
        shutil.copyfileobj(body, file)
    return True
