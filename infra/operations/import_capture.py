"""Imports SageMaker's data-capture files as rows of the table, as if Scones had sent the requests.

Rows go through the same writer as those of the queue. What is imported twice counts once.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import IO, Any

from analytics.athena.engine import Engine
from analytics.capture import NotACapture, OnRecord, Source, messages, read_line
from analytics.lake.aws import ResultsBucket
from analytics.lake.batch import Batch, sort_out
from analytics.questions.queries import internal_query
from infra.installation import typed_path
from infra.operations.deployed import deployed_parameters, policy_of
from infra.stack import Stack
from ingest import class_names
from ingest.errors import SconesError
from ingest.model_input import ModelInput
from ingest.upload import bucket_and_key
from workflow.errors import InvalidScores, UnknownLabel
from workflow.policy import Policy

SUFFIX = ".jsonl"
ROWS_AT_ONCE = 10_000
"""Rows that are held in memory and written together, one file for each of their days."""
LINE_MAX_BYTES = 64_000_000
"""Longer than any request that an endpoint accepts, in base64."""
_SHOWN_CHARS = 200


class CannotImport(SconesError):
    """There is no capture file, or the classes or thresholds cannot be used."""


@dataclass(frozen=True)
class Line:
    """A line that could not be imported, with the reason."""

    place: str
    """`file:line`."""
    why: str


@dataclass
class Imported:
    """The result of an import."""

    at: datetime
    """Time of the decisions (UTC)."""
    days: set[date] = field(default_factory=set)
    """Days of the images."""
    files: int = 0
    lines: int = 0
    on_record: int = 0
    """Lines about Scones' own requests, whose images have their rows already."""
    other_files: int = 0
    """Files that were not read, because of their names."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Images by outcome. Copies that are written together count once."""
    bad: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Judgement:
    """The policy to decide by, and the form in which images are measured."""

    policy: Policy
    form: ModelInput


def judgement(stack: Stack, classes: Sequence[str] = (), threshold: str | None = None) -> Judgement:
    """Return what the stack decides by, or the given classes of another endpoint and one threshold.

    Raises:
        CannotImport: they contradict each other.
    """
    parameters = deployed_parameters(stack.client, stack.name)
    said = parameters
    if classes:  # another endpoint's: of the stack's policy, only the threshold can hold for them
        said = {
            "ClassNames": class_names.join(classes),
            "Threshold": parameters["Threshold"],
            "ClassThresholds": "",
        }
    if threshold:
        said = {**said, "Threshold": threshold, "ClassThresholds": ""}
    try:
        policy = policy_of(said, stack.client)
    except ValueError as error:
        given = {"CLASSES": class_names.join(classes)[:_SHOWN_CHARS], "THRESHOLD": threshold}
        asked = " ".join(f"{name}={value}" for name, value in given.items() if value)
        raise CannotImport(f"{asked or 'the stack'}: {error}") from error
    return Judgement(policy, ModelInput.from_mapping(parameters))


def import_capture(stack: Stack, source: str, judged: Judgement) -> Imported:
    """Read all capture files of a folder or below an S3 address, and write their rows.

    Raises:
        CannotImport: there is none.
    """
    results = ResultsBucket(stack.client("s3"), stack.results_bucket)
    now = datetime.now(UTC)
    done = Imported(now)
    rows: list[dict[str, Any]] = []
    for path, file in _files(stack, source, done):
        with closing(file):
            done.files += 1
            for number, line in enumerate(_lines(file), 1):
                rows += _rows(f"{path}:{number}", line, Source.of(path), judged, now, done)
                if len(rows) >= ROWS_AT_ONCE:
                    _write(results, rows, done)
                    rows = []
    if not done.files:
        others = f", and {done.other_files:,} other" if done.other_files else ""
        raise CannotImport(f"no {SUFFIX} file under {source}{others}: name SageMaker's capture folder")
    _write(results, rows, done)
    return done


def new_and_known(answers: Engine, done: Imported) -> tuple[int, int]:
    """Return how many images of an import are new in the table, and how many were there before.

    Raises:
        QueryRefused, QueryFailed: the engine could not answer.
    """
    if not done.days:
        return 0, 0
    sql = internal_query("imported_since", started_at=done.at, from_dt=min(done.days), to_dt=max(done.days))
    (row,) = answers.query(sql).frame.itertuples(index=False)
    return int(row.new), int(row.known)


def _rows(
    place: str, line: bytes, source: Source, judged: Judgement, now: datetime, done: Imported
) -> list[dict[str, Any]]:
    """Return a line's records, as the queue has them. Note the reason if it has none."""
    if not line.strip():
        return []
    done.lines += 1
    try:
        capture = read_line(line, now, judged.policy.scores_are)
        found = messages(capture, source, judged.policy, judged.form, now)
        bodies = [json.dumps(message) for message in found]
    except OnRecord:
        done.on_record += 1
        return []
    except (NotACapture, InvalidScores, UnknownLabel, RecursionError) as error:
        done.bad.append(Line(place, str(error)))
        return []
    return [{"messageId": place, "body": body} for body in bodies]


def _write(results: ResultsBucket, records: list[dict[str, Any]], done: Imported) -> None:
    batch: Batch = sort_out(records)
    for path, table in batch.files.items():
        results.write(path, table)
        done.outcomes.update(table.column("outcome").to_pylist())
        done.days.update(at.date() for at in table.column("uploaded_at").to_pylist())
    done.bad += [Line(place, str(error)) for place, error in batch.refused]


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines. A line that is too long is cut, so that it is not JSON."""
    while line := file.readline(LINE_MAX_BYTES):
        yield line
        while not line.endswith(b"\n") and len(line) == LINE_MAX_BYTES:
            line = file.readline(LINE_MAX_BYTES)


def _files(stack: Stack, source: str, done: Imported) -> Iterator[tuple[str, IO[bytes]]]:
    if source.startswith("s3://"):
        s3 = stack.client("s3")
        try:
            yield from _objects(s3, source, done)
        except s3.exceptions.NoSuchBucket as error:
            where = " on the laptop: bring its files into a folder" if stack.endpoint_url else ""
            raise CannotImport(f"there is no bucket {source.split('/')[2]}{where}") from error
        return
    folder = typed_path(source)
    if not folder.exists():
        raise CannotImport(f"there is no file or folder {source}")
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
        if path == folder or (path.is_file() and path.suffix == SUFFIX):
            yield str(path.resolve()), path.open("rb")
        else:
            done.other_files += path.is_file()


def _objects(s3: Any, address: str, done: Imported) -> Iterator[tuple[str, IO[bytes]]]:
    bucket, prefix = bucket_and_key(address)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for key in [item["Key"] for item in page.get("Contents", ())]:
            if key.endswith(SUFFIX):
                body = s3.get_object(Bucket=bucket, Key=key)["Body"]
                yield f"s3://{bucket}/{key}", io.BufferedReader(body, 1 << 20)
            else:
                done.other_files += not key.endswith("/")
