"""The results bucket on S3."""

import io
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from analytics.lake.files import StoredFile, write_whole
from ingest.errors import SconesError
from ingest.upload import Upload
from workflow.manifest import batches

if TYPE_CHECKING:
    import pyarrow as pa

_PARALLEL_DOWNLOADS = 8
_DELETIONS_AT_ONCE = 1000
"""S3's limit for one request."""

# No segment is `..`, and none begins with `.` or `_`: Athena does not read those either.
_KEY = re.compile(r"[\w=-][\w=.+-]*(/[A-Za-z0-9=-][\w=.+-]*)*\.parquet", re.ASCII)


class ResultsBucket:
    """The Parquet files of all tables."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3 = s3
        self.name = name

    @classmethod
    def connect(cls, name: str) -> "ResultsBucket":
        """Return it with a client of its own; a write that stalls is given up within Record's time."""
        config = Config(
            connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
        )
        return cls(boto3.client("s3", config=config), name)

    def write(self, path: str, table: "pa.Table") -> None:
        """Write a table as one Parquet file; it is there whole or not at all."""
        import pyarrow.parquet as parquet  # readers do without

        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        self._s3.put_object(Bucket=self.name, Key=path, Body=buffer.getvalue())

    def pages(
        self, prefix: str, after: str = "", since: datetime | None = None
    ) -> Iterator[dict[str, StoredFile]]:
        """Yield the Parquet files under a prefix by their paths, one request of S3 at a time.

        Paths up to `after` are left out, and files that were written before `since`, by S3's clock, which has
        whole seconds.
        """
        pages = self._s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.name, Prefix=prefix, StartAfter=after):
            yield {
                item["Key"]: StoredFile(item["ETag"], item["Size"])
                for item in page.get("Contents", ())
                if _KEY.fullmatch(item["Key"]) and not (since and item["LastModified"] < since)
            }

    def list_files(
        self, prefix: str, after: str = "", since: datetime | None = None
    ) -> Iterator[tuple[str, int]]:
        """Yield the path and the size in bytes of each Parquet file under a prefix, as `pages`."""
        for page in self.pages(prefix, after, since):
            for path, stored in page.items():
                yield path, stored.size_bytes

    def fetch(self, path: str, folder: Path, etag: str | None = None) -> bool:
        """Copy a file into a folder under its path. Return False if it is gone or has another ETag."""
        condition = {} if etag is None else {"IfMatch": etag}
        try:
            body = self._s3.get_object(Bucket=self.name, Key=path, **condition)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "PreconditionFailed"):
                return False
            raise
        with body:
            write_whole(folder / path, body.iter_chunks(1 << 20))
        return True

    def download(self, paths: Iterable[str], folder: Path) -> dict[str, Path]:
        """Copy files into a folder; those that are gone are left out."""
        wanted = list(paths)
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            found = pool.map(lambda path: self.fetch(path, folder), wanted)
            return {path: folder / path for path, is_there in zip(wanted, found, strict=True) if is_there}

    def upload(self, file: Path, path: str) -> None:
        """Put a file under a path; it is there whole or not at all."""
        with file.open("rb") as body:
            self._s3.put_object(Bucket=self.name, Key=path, Body=body)

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is already gone is not an error."""
        left = list(paths)
        while left:
            some, left = left[:_DELETIONS_AT_ONCE], left[_DELETIONS_AT_ONCE:]
            objects = [{"Key": path} for path in some]
            answer = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                raise DeletionRefused(f"{len(errors)} files under {self.name} are still there: {errors[0]}")


class DeletionRefused(SconesError):
    """S3 did not delete files. The text has its reason."""


class DeadLetterQueue:
    """The queue of outcome messages that are not rows, for people."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url

    @classmethod
    def connect(cls, url: str) -> "DeadLetterQueue":
        """Return it with a client of its own."""
        config = Config(
            connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}
        )
        return cls(boto3.client("sqs", config=config), url)

    def take(self, body: str) -> bool:
        """Put a message into the queue; return False where SQS does not take it."""
        try:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body)
        except (BotoCoreError, ClientError):
            return False
        return True


class ChallengerImages:
    """The queue of uploads that the challenger is asked about. Without a challenger, there is none."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url

    @classmethod
    def connect(cls, url: str) -> "ChallengerImages":
        """Return it with a client of its own, which gives up soon; an empty URL stands for no challenger."""
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1}
        )
        return cls(boto3.client("sqs", config=config) if url else None, url)

    def show(self, uploads: Iterable[Upload]) -> str | None:
        """Let the challenger see uploads; return why SQS did not take all of them, if so.

        Nothing is raised: their outcomes are recorded, whatever becomes of the challenger.
        """
        if not self._url:
            return None
        try:
            for line in batches(uploads):
                self._sqs.send_message(QueueUrl=self._url, MessageBody=line)
        except (BotoCoreError, ClientError) as error:
            return repr(error)
        return None
