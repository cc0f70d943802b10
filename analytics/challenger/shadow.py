"""Uploads that have an outcome → what the challenger would have decided about them. Pure, but for its steps.

Record sends the uploads of each batch that a model classified, as lines of a manifest (`workflow.manifest`).
The challenger's answers are rows of a table of its own. Whatever goes wrong here, no outcome notices.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from analytics.challenger.settings import with_own
from analytics.lake.columns import CHALLENGER_TABLE
from analytics.lake.schema import CHALLENGER_SCHEMA, partition, row_from_message
from ingest.upload import utc_text
from workflow.batch import Steps
from workflow.errors import EndpointBusy
from workflow.outcome import Outcome, caught

ATTEMPTS = 4
"""Times that a message is tried. The images of one that is then still unanswered are rows that failed."""
RESERVE_S = 40.0
"""Time that must be left for another message: to read its images, to ask the endpoint, and to write."""
_ENVIRONMENT_NAMES = {"EndpointAccept": "ENDPOINT_ACCEPT", "EndpointScores": "ENDPOINT_SCORES"}
"""Parameter → variable, for the steps that read a parameter under another name."""


class GivenUp(Exception):
    """The Lambda ended before it was done with a message, each time."""


@dataclass(frozen=True)
class Shadowed:
    """What the challenger said about the messages of a batch."""

    rows: list[dict[str, Any]]
    later_ids: list[str]
    """Ids of the messages that are tried again: the endpoint had no capacity, or no time was left."""

    @property
    def failures(self) -> int:
        """Images that the challenger did not classify."""
        return sum(not Outcome(row["outcome"]).is_classified for row in self.rows)

    @property
    def files(self) -> dict[str, pa.Table]:
        """Return path in the results bucket → rows, one file for each day among them.

        A file is named by its rows' images: an invocation that is repeated overwrites what it wrote.
        """
        days: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows:
            days[partition(row)].append({name: row[name] for name in CHALLENGER_SCHEMA.names})
        return {_path(day, rows): pa.Table.from_pylist(rows, CHALLENGER_SCHEMA) for day, rows in days.items()}


def with_settings(model_in_use: Mapping[str, str], settings: str) -> dict[str, str]:
    """Return the environment of the model in use with the challenger's settings, a JSON object, in it."""
    own: dict[str, str] = json.loads(settings)
    renamed = {variable: own[name] for name, variable in _ENVIRONMENT_NAMES.items() if name in own}
    return {**with_own(model_in_use, own), **renamed}


def shadow(steps: Steps, records: Sequence[Mapping[str, Any]], left_s: Callable[[], float]) -> Shadowed:
    """Ask the challenger about the images of SQS records, whose bodies are lines of a manifest.

    `left_s` returns the seconds that are left. A message is answered whole or tried again whole.
    """
    rows: list[dict[str, Any]] = []
    later_ids = []
    for record in records:
        events = json.loads(record["body"])["events"]
        attempt = int(record["attributes"]["ApproximateReceiveCount"])
        if attempt > ATTEMPTS:
            given_up = GivenUp(f"the challenger's Lambda ended {ATTEMPTS} times before it was done")
            rows += [_row(steps, _failed(event, given_up)) for event in events]
            continue
        if left_s() < RESERVE_S:
            later_ids.append(record["messageId"])
            continue
        answers = steps.run_each(events, [""] * len(events))
        if attempt < ATTEMPTS and any(isinstance(answer, EndpointBusy) for answer in answers):
            later_ids.append(record["messageId"])
            continue
        rows += [
            _row(steps, _failed(event, answer) if isinstance(answer, EndpointBusy) else answer)
            for event, answer in zip(events, answers, strict=True)
        ]
    return Shadowed(rows, later_ids)


def _failed(event: Mapping[str, Any], error: Exception) -> dict[str, Any]:
    return {
        "event": event,
        "outcome": Outcome.FAILED,
        "decided_at": utc_text(datetime.now(UTC), "milliseconds"),
        "error": caught(error),
    }


def _row(steps: Steps, message: Mapping[str, Any]) -> dict[str, Any]:
    return {**row_from_message(message), "endpoint": steps.endpoint.name}


def _path(day: str, rows: Iterable[Mapping[str, Any]]) -> str:
    images = "\n".join(sorted(f"{row['upload_id']} {row['endpoint']}" for row in rows))
    return f"{CHALLENGER_TABLE}/dt={day}/{hashlib.sha256(images.encode()).hexdigest()}.parquet"
