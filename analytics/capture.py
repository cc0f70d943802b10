"""SageMaker's data-capture files: a line → the outcome messages of what it holds. Pure.

A line of such a file is about one request to an endpoint; a file has any number of them:

    {"captureData": {
       "endpointInput": {"observedContentType": "application/x-image", "encoding": "BASE64", "data": "…"},
       "endpointOutput": {"observedContentType": "application/json", "encoding": "JSON", "data": "[0, 1]"}},
     "eventMetadata": {"eventId": "…", "inferenceTime": "2025-11-15T10:30:45Z"}, "eventVersion": "0"}

Files lie under ENDPOINT/VARIANT/yyyy/mm/dd/hh/. The encoding is JSON or CSV for the types of content that the
endpoint's configuration names so, and BASE64 for all others.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.errors import RejectedImage, SconesError
from ingest.formats import format_of
from ingest.image import prepare_for
from ingest.model_input import ModelInput
from ingest.upload import Upload
from workflow.answers import PROBABILITIES, NotReadable, Scores, read_answer, read_answer_to
from workflow.errors import UnclearAnswer
from workflow.outcome import IMPORTED_BUCKET
from workflow.payload import to_payload
from workflow.policy import INFERENCE_ID_PREFIX, Policy, decide

FIRST_AT = datetime(2019, 12, 1, tzinfo=UTC)
"""SageMaker has captured data since then; the table's partitions begin with it."""

_CLOCKS_DIFFER_BY = timedelta(hours=1)

_LAYOUT = re.compile(r"(?:^|/)([^/]+)/([^/]+)/\d{4}/\d{2}/\d{2}/\d{2}/[^/]+$")


class OnRecord(Exception):
    """A line about a request of our own, whose image has its row."""


class NotACapture(SconesError):
    """A line that says of no image how sure the model was, and why not."""


@dataclass(frozen=True)
class Source:
    """The endpoint that a file was captured from, as the file's path names it."""

    endpoint: str | None
    variant: str | None

    @classmethod
    def of(cls, path: str) -> "Source":
        """Read it from a path or key; of a file somewhere else than SageMaker put it, nothing is known."""
        found = _LAYOUT.search(path)
        return cls(found[1], found[2]) if found else cls(None, None)

    @property
    def model_version(self) -> str | None:
        """The endpoint and its variant, as for any model that does not name itself."""
        return f"{self.endpoint}/{self.variant}" if self.endpoint else None


@dataclass(frozen=True)
class Capture:
    """One request to an endpoint, and its answer."""

    event_id: str
    at: datetime
    """UTC."""
    sent: bytes
    """The body of the request; empty if it was not captured."""
    scores: Sequence[Scores]
    """What the endpoint said about each image of the request, unchecked."""


def read_line(line: bytes, now: datetime, scores_are: str = PROBABILITIES) -> Capture:
    """Read one line of a file, which is of the past; `scores_are` as in `workflow.answers.read_answer`.

    Raises:
        NotACapture: with what is wrong with it.
        OnRecord: it is about a request of Scones itself.
    """
    said = _object(_json(line), "the line")
    metadata = _object(said.get("eventMetadata"), "eventMetadata")
    if str(metadata.get("inferenceId")).startswith(INFERENCE_ID_PREFIX):
        raise OnRecord
    data = _object(said.get("captureData"), "captureData")
    event_id = metadata.get("eventId")
    if not isinstance(event_id, str) or not event_id:
        raise NotACapture("eventMetadata has no eventId")
    if "endpointOutput" not in data:
        raise NotACapture("no endpointOutput: let the endpoint capture its answers, too")
    answer = _decoded(_object(data["endpointOutput"], "endpointOutput"))
    sent = _decoded(_object(data["endpointInput"], "endpointInput")) if "endpointInput" in data else b""
    scores = _scores(answer, scores_are, is_one_image=_is_image(sent))
    return Capture(event_id, _time(metadata.get("inferenceTime"), now), sent, scores)


def messages(
    capture: Capture, source: Source, policy: Policy, form: ModelInput, now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the outcome message (see `workflow.outcome`) of each image in a request, as Record reads it.

    The same request is the same upload wherever its file lies. What is decided now, by this policy, counts
    instead of what was decided at an earlier import. Of a request with a single image, the image is looked
    at as Serialize would, in the model's `form`, if it is one.

    Raises:
        InvalidScores, UnknownLabel: see `workflow.policy.decide`.
    """
    image = _image(capture.sent, form) if len(capture.scores) == 1 else None
    origin = {"model_version": source.model_version, "endpoint": source.endpoint, "classify_ms": None}
    for number, scores in enumerate(capture.scores):
        decided = decide(scores, policy)
        upload = Upload(
            bucket=IMPORTED_BUCKET,
            key=f"{capture.event_id}/{number}" if number else capture.event_id,
            version_id=None,
            etag="",
            sequencer="",
            size_bytes=len(capture.sent),
            uploaded_at=capture.at,
        )
        yield {
            "event": upload.to_event(),
            "decided_at": now.isoformat(),
            "execution_arn": None,
            "image": image,
            **to_payload(decided, origin),
            "error": None,
        }


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotACapture(f"no JSON: {_short(text)}") from error


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotACapture(f"{name} is not a JSON object: {_short(value)}")
    return value


def _time(text: Any, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise NotACapture(f"inferenceTime is not a time: {_short(text)}") from error
    if not FIRST_AT <= at < now + _CLOCKS_DIFFER_BY:
        raise NotACapture(f"inferenceTime is not between {FIRST_AT:%Y-%m-%d} and now: {_short(text)}")
    return at


def _decoded(part: dict[str, Any]) -> bytes:
    """Return what was sent or answered, as bytes, from its encoding."""
    data, encoding = part.get("data"), part.get("encoding")
    if encoding == "JSON" and isinstance(data, list | dict):
        return json.dumps(data).encode()
    if not isinstance(data, str):
        raise NotACapture(f"data is not text: {_short(data)}")
    try:
        if encoding == "BASE64":
            return base64.b64decode(data, validate=True)
        if encoding in ("JSON", "CSV"):
            return data.encode()
    except ValueError as error:
        raise NotACapture(f"data is not {encoding}: {_short(data)}") from error
    raise NotACapture(f"encoding is none of JSON, CSV, BASE64: {_short(encoding)}")


def _scores(answer: bytes, scores_are: str, *, is_one_image: bool) -> list[Scores]:
    try:
        found = read_answer_to(1, answer, scores_are) if is_one_image else read_answer(answer, scores_are)
    except (NotReadable, UnclearAnswer) as error:
        raise NotACapture(f"the answer holds no scores: {error}") from error
    if not any(each.values for each in found):
        raise NotACapture(f"the answer holds no scores: {_short(answer)}")
    return found


def _is_image(sent: bytes) -> bool:
    try:
        format_of(sent)
    except RejectedImage:
        return False
    return True


def _image(data: bytes, form: ModelInput) -> dict[str, Any] | None:
    try:
        return dict(prepare_for(form, data).facts())
    except RejectedImage:  # whatever it is, the endpoint has answered to it
        return None


def _short(value: Any) -> str:
    return repr(value[:80] if isinstance(value, str | bytes) else value)[:80]
