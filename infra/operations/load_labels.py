"""Loads a labels file into the table of a stack, or labels that are given one by one."""

import hashlib
import json
import secrets
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analytics.athena.engine import Engine
from analytics.lake.aws import ResultsBucket
from analytics.lake.columns import LABELS_TABLE
from analytics.review.labels import (
    MAX_BYTES,
    Classified,
    Label,
    UnusableLabels,
    classified_images,
    parse,
    to_files,
    too_large,
)
from infra.installation import typed_path
from infra.operations.deployed import deployed_policy
from infra.stack import Stack
from ingest.upload import bucket_and_key


@dataclass(frozen=True)
class Loaded:
    """What a labels file held."""

    images: int
    new: int
    """Images that had no label before."""


def load_labels(stack: Stack, answers: Engine, source: str) -> Loaded:
    """Load a labels file, `s3://bucket/key` or a local one.

    Raises:
        UnusableLabels: the file is not one of labels, or not of this stack's images; nothing is loaded.
        OSError, botocore.exceptions.ClientError: it cannot be read, or not be written.
    """
    s3 = stack.client("s3")
    try:
        labels = parse(_read(s3, source), datetime.now(UTC))
        images = classified_images(answers, (label.upload_id for label in labels))
        files = to_files(labels, images, deployed_policy(stack.client, stack.name).classes)
    except UnusableLabels as error:
        raise UnusableLabels(f"{source}: {error}. Nothing was loaded.") from error
    known = set(answers.query("SELECT upload_id FROM true_labels").frame["upload_id"])
    labelled = {label.upload_id for label in labels}
    bucket = ResultsBucket(s3, stack.results_bucket)
    for path, table in files.items():
        bucket.write(path, table)
    return Loaded(len(labelled), len(labelled - known))


class LabelsOneByOne:
    """Labels that people give one by one. Each is in the table at once, and can be taken back.

    The labels of one person for images of one day are one file, which is written anew with each label: a file
    for each would be many small ones. Labels of an earlier run are in files of their own, and stay.
    """

    def __init__(self, bucket: ResultsBucket) -> None:
        self._bucket = bucket
        self._run = secrets.token_hex(16)
        self._given: dict[tuple[str, str], dict[str, Label]] = defaultdict(dict)
        """Day and person → upload id → label."""
        self._images: dict[str, Classified] = {}
        self._writing = threading.Lock()

    def give(self, said: Mapping[str, Any], image: Classified) -> Label:
        """Write a label: `said` is a line of a labels file without its time, of an image as the table has it.

        Raises:
            UnusableLabels: it is none, or its label is not a class of the image.
            botocore.exceptions.ClientError: it could not be written.
        """
        now = datetime.now(UTC)
        line = {
            **said,
            "key": image.key,
            "labelled_at": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03}Z",
        }
        (label,) = parse(json.dumps(line).encode(), now)
        with self._writing:
            where = image.dt, label.labelled_by or ""
            before = self._given[where]
            images = {**self._images, label.upload_id: image}
            self._write(where, {**before, label.upload_id: label}, images)
            before[label.upload_id] = label
            self._images = images
        return label

    def take_back(self, upload_id: str, labelled_by: str) -> bool:
        """Remove a person's label of this run; tell whether there was one."""
        with self._writing:
            for where, labels in self._given.items():
                if where[1] == labelled_by and upload_id in labels:
                    rest = {each: label for each, label in labels.items() if each != upload_id}
                    self._write(where, rest, self._images)
                    self._given[where] = rest
                    return True
        return False

    def _write(
        self, where: tuple[str, str], labels: Mapping[str, Label], images: Mapping[str, Classified]
    ) -> None:
        dt, _ = where
        name = hashlib.sha256(json.dumps([self._run, *where]).encode()).hexdigest()
        path = f"{LABELS_TABLE}/dt={dt}/{name}.parquet"
        if not labels:
            self._bucket.delete([path])
            return
        (table,) = to_files(list(labels.values()), {each: images[each] for each in labels}, ()).values()
        self._bucket.write(path, table)


def _read(s3: Any, source: str) -> bytes:
    if source.startswith("s3://"):
        bucket, key = bucket_and_key(source)
        response = s3.get_object(Bucket=bucket, Key=key)
        size_bytes, file = response["ContentLength"], response["Body"]
    else:
        path = typed_path(source)
        size_bytes, file = path.stat().st_size, path.open("rb")
    with file:
        if size_bytes > MAX_BYTES:
            raise too_large(size_bytes)
        data: bytes = file.read()
    return data
