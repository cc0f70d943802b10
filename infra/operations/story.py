"""One image's story: what happened to an upload, in statements that follow from gathered facts. Pure."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from analytics import text as words
from analytics.commands import how
from analytics.lake.order import SortKey, generation_of, sort_key
from analytics.reconciliation import IN_FLIGHT
from analytics.report.cost import Load, by_events
from analytics.report.prices import read_prices
from infra.operations.listing import matches
from ingest.upload import Upload
from workflow.outcome import IMPORTED_BUCKET, Outcome, rank_of
from workflow.policy import UNLIKE_TRAINING, Policy

if TYPE_CHECKING:  # numpy and onnxruntime: not before an image is compared
    from model.training.neighbours import Neighbour

_JPEG = b"\xff\xd8"
"""First bytes of a JPEG file."""


@dataclass(frozen=True)
class Stored:
    """One version of the object, as S3 lists it."""

    upload: Upload
    is_latest: bool


@dataclass(frozen=True)
class DeleteMarker:
    """A deletion of the object, which keeps its earlier versions."""

    at: datetime
    is_latest: bool


@dataclass(frozen=True)
class Row:
    """A row of the table, in the file that it lies in."""

    path: str
    """Key of the file in the results bucket."""
    dt: str
    counts: bool
    """Whether the view `outcomes` has it, or an identical copy of it."""
    first_decided_at: datetime
    """Time of the first outcome of equal rank."""
    upload: Upload
    result_id: str
    decided_at: datetime
    outcome: str
    label: str | None
    confidence: float | None
    threshold: float | None
    scores: Mapping[str, float]
    """Class → its probability, the highest first; empty where the model did not answer."""
    unfamiliarity: float | None
    reason: str | None
    detail: str | None
    model_version: str | None
    endpoint: str | None
    image: Mapping[str, Any]
    """`image_format`, `width_px`, `height_px`, `brightness` and `sharpness`; empty if it was not decoded."""
    serialize_ms: float | None
    classify_ms: float | None
    execution_arn: str | None

    @property
    def sort_key(self) -> SortKey:
        """Its sort key among the rows of its upload, in the view's order. The smallest wins."""
        return sort_key(self.outcome, self.decided_at, self.result_id, self.execution_arn)


@dataclass(frozen=True)
class Given:
    """A label that a person gave."""

    true_label: str | None
    labelled_at: datetime
    labelled_by: str | None
    source: str | None
    draw_probability: float | None
    counts: bool


@dataclass(frozen=True)
class Seen:
    """What the model sees of the object, prepared by the same code as in Serialize."""

    file: bytes = field(repr=False)
    """What the endpoint gets: PNG, or JPEG where the stack says so. Empty if nothing can be prepared."""
    facts: Mapping[str, Any]
    """As in `Row.image`."""
    why_not: str | None = None
    """Why nothing can be prepared."""

    @property
    def picture_type(self) -> str:
        """Content type of the file."""
        return "image/jpeg" if self.file.startswith(_JPEG) else "image/png"


@dataclass(frozen=True)
class Neighbours:
    """The nearest training images, or why there are none."""

    images: "Sequence[Neighbour]" = ()
    why_none: str | None = None


@dataclass(frozen=True)
class Queues:
    """Where an upload without an outcome may be."""

    waiting: int = 0
    """Images that wait for the endpoint, this one perhaps among them: SQS does not list them."""
    is_undelivered: bool = False
    """Whether its event is in the dead-letter queue of events that started no execution."""
    is_unrecorded: bool = False
    """Whether its outcome is in the dead-letter queue of outcomes that could not be written."""


@dataclass(frozen=True)
class Facts:
    """What is known about a key, and about one upload under it."""

    bucket: str
    key: str
    key_pattern: str
    now: datetime
    versions: Sequence[Stored]
    """Listed versions, the latest first."""
    markers: Sequence[DeleteMarker]
    rows: Sequence[Row]
    """Of all uploads under the key, or of one that was asked for."""
    chosen: Upload | None
    """The upload that the rest is about; None if nothing is known about the key."""
    labels: Sequence[Given] = ()
    seen: Seen | None = None
    recorded_at: Mapping[str, datetime] = field(default_factory=dict)
    """File of a row → when it was written."""
    neighbours: Neighbours = Neighbours()
    queues: Queues = Queues()
    policy: Policy | None = None
    """What the stack decides by now."""
    near_keys: Sequence[str] = ()
    """Keys like an unknown one."""
    is_on_aws: bool = False


@dataclass(frozen=True)
class Step:
    """A step of an image's way."""

    name: str
    at: datetime | None
    """UTC; None where only the duration is recorded."""
    took_ms: float | None
    said: str


@dataclass(frozen=True)
class ToldRow:
    """A row, and what became of it."""

    row: Row
    became: str


@dataclass(frozen=True)
class Mend:
    """What to do about an upload."""

    why: str
    command: str


@dataclass(frozen=True)
class Story:
    """What is to be said about a key and one upload under it."""

    key: str
    upload: Upload | None
    fate: str
    """What became of the upload, in one or two sentences."""
    notes: Sequence[str] = ()
    """What else is to be known: deletions, later versions, a second count."""
    steps: Sequence[Step] = ()
    outcome: str | None = None
    current: Row | None = None
    """The row that counts."""
    scores: Mapping[str, float] = field(default_factory=dict)
    decision: Sequence[str] = ()
    """How the scores became the outcome, and what the present policy would say."""
    rows: Sequence[ToldRow] = ()
    labels: Sequence[Given] = ()
    seen: Seen | None = None
    seen_said: str = ""
    """What the model saw, in words."""
    neighbours: Neighbours = Neighbours()
    cost_micro_usd: float | None = None
    """List price of the image's way by its event, in millionths of a dollar; None where none is measured."""
    mends: Sequence[Mend] = ()
    others: Sequence[tuple[Upload, str]] = ()
    """The other uploads under the key, the latest first, and what became of each."""
    near_keys: Sequence[tuple[str, str]] = ()
    """Keys like an unknown one, and the command that tells about each."""


def tell(facts: Facts) -> Story:
    """Return an image's story."""
    upload = facts.chosen
    if upload is None:
        return _unknown(facts)
    rows = [row for row in facts.rows if row.upload.upload_id == upload.upload_id]
    current = min((row for row in rows if row.counts), key=lambda row: row.sort_key, default=None)
    told = _told(rows, current)
    days = sorted({row.dt for row in rows if row.counts})
    fate, mends = _fate(facts, upload, current)
    notes = _notes(facts, upload)
    if len(days) > 1:
        notes.append(f"It is counted {len(days)} times, on {', '.join(days)}.")
        mends = [Mend("removes the rows that count twice", how("redrive", APPLY="")), *mends]
    return Story(
        key=facts.key,
        upload=upload,
        fate=fate,
        notes=notes,
        steps=_steps(facts, upload, current, rows),
        outcome=current.outcome if current else None,
        current=current,
        scores=current.scores if current else {},
        decision=_decision(current, facts.policy) if current else (),
        rows=told,
        labels=facts.labels,
        seen=facts.seen,
        seen_said=_seen_said(facts.seen, current),
        neighbours=facts.neighbours,
        cost_micro_usd=_cost_micro_usd(current),
        mends=mends,
        others=_others(facts, upload),
    )


def _unknown(facts: Facts) -> Story:
    """Tell what is known about a key without uploads."""
    if facts.markers:
        fate = f"Deleted {_utc(facts.markers[0].at)}: no version of it is left, and no row is about it."
    else:
        fate = "Never seen: the bucket has no such object, and the table has no row about it."
    notes = []
    if not matches(facts.key, facts.key_pattern):
        notes.append(f"Such a key would not be classified: the stack takes {facts.key_pattern}.")
    if facts.queues.is_undelivered:
        notes.append("An event about it is in the queue of undelivered events.")
    if facts.queues.is_unrecorded:
        notes.append("An outcome about it is in the queue of unrecorded outcomes.")
    if facts.queues.waiting:
        notes.append(f"{words.plural(facts.queues.waiting, 'image')} wait for the endpoint.")
    in_queues = facts.queues.is_undelivered or facts.queues.is_unrecorded
    mends = [Mend("works off both queues", how("redrive", APPLY=""))] if in_queues else []
    near = [(key, _why(key)) for key in facts.near_keys]
    return Story(facts.key, None, fate, notes, mends=mends, near_keys=near)


def _fate(facts: Facts, upload: Upload, current: Row | None) -> tuple[str, list[Mend]]:
    """Return what became of an upload, and what mends it."""
    if current is None:
        return _without_outcome(facts, upload)
    match current.outcome:
        case Outcome.ACCEPTED:
            return f"Accepted as {current.label}.", _mend_label(facts, upload)
        case Outcome.NEEDS_REVIEW:
            why = (
                f"it is unlike the classes: {current.detail}"
                if current.reason == UNLIKE_TRAINING
                else "the model is not sure enough"
            )
            sheet = Mend("writes a page to label what needs review", how("review"))
            return f"Needs review: {why}.", [sheet, *_mend_label(facts, upload)]
        case Outcome.REJECTED:
            return _because("Rejected", current), _mend_rejected(facts, current)
        case Outcome.FAILED:
            return _because("Failed", current), _mend_failed(facts, current)
        case _:
            return f"{current.outcome}: an outcome that this version of Scones does not know.", []


def _because(what: str, current: Row) -> str:
    return f"{what} ({current.reason}){f': {current.detail}' if current.detail else ''}."


def _without_outcome(facts: Facts, upload: Upload) -> tuple[str, list[Mend]]:
    redrive = Mend("classifies it again", how("redrive", APPLY=""))
    if facts.queues.is_unrecorded:
        return "Decided, but its outcome could not be written: it is in the queue of unrecorded outcomes.", [
            Mend("sends the outcome again", redrive.command)
        ]
    if facts.queues.is_undelivered:
        return "Its event started no execution: it is in the queue of undelivered events.", [redrive]
    if not matches(facts.key, facts.key_pattern):
        return f"Not classified: the stack takes {facts.key_pattern}.", []
    age = facts.now - upload.uploaded_at
    if age <= IN_FLIGHT:
        return f"In flight: uploaded {words.seconds(age.total_seconds() * 1_000)} ago.", [
            Mend("asks again", _why(facts.key, upload.version_id))
        ]
    if facts.queues.waiting:
        waiting = words.plural(facts.queues.waiting, "image")
        return f"No outcome yet. {waiting} wait for the endpoint, this one probably among them.", []
    return "Missing: it has no outcome, and should have one by now.", [redrive]


def _mend_label(facts: Facts, upload: Upload) -> list[Mend]:
    if any(label.counts for label in facts.labels) or upload.bucket == IMPORTED_BUCKET:
        return []
    line = {
        "upload_id": upload.upload_id,
        "key": upload.key,
        "label": "CLASS",
        "labelled_at": facts.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    labels = f"labels it, with a file of this line: {json.dumps(line)}"
    return [Mend(labels, how("label", FROM="labels.jsonl"))]


def _mend_rejected(facts: Facts, current: Row) -> list[Mend]:
    upload = current.upload
    where = f"s3://{upload.bucket}/{upload.key}"
    if current.reason == "archived":
        version = f" --version-id {shlex.quote(upload.version_id)}" if upload.version_id else ""
        restore = (
            f"aws s3api restore-object --bucket {upload.bucket} --key {shlex.quote(upload.key)}{version} "
            "--restore-request Days=7"
        )
        again = how("backfill", PREFIX=shlex.quote(upload.key))
        return [Mend("restores it from the archive", restore), Mend("then classifies it", again)]
    if upload.bucket == IMPORTED_BUCKET:
        return []
    return [
        Mend("uploads a sound image under the same key", f"aws s3 cp FILE {shlex.quote(where)}"),
        Mend("copies rejected originals, to look at", how("rejected", DOWNLOAD="rejected")),
    ]


def _mend_failed(facts: Facts, current: Row) -> list[Mend]:
    again = Mend("classifies it again", how("redrive", APPLY=""))
    match current.reason:
        case "wrong_model":
            deploys = how("deploy" if facts.is_on_aws else "up", MODEL="…")
            return [Mend("deploys the policy of the model that answers", deploys), again]
        case "InvalidScores" | "UnclearAnswer" | "UnknownLabel" if facts.is_on_aws:
            shows = how("check-endpoint", ENDPOINT_NAME=str(current.endpoint))
            return [Mend("shows what the endpoint answers", shows), again]
        case _:
            return [again]


def _notes(facts: Facts, upload: Upload) -> list[str]:
    """Return what S3's listing says about an upload."""
    if upload.bucket == IMPORTED_BUCKET:
        return ["Imported from data capture: it was never an object of the bucket."]
    listed = [each for each in facts.versions if each.upload.upload_id == upload.upload_id]
    notes = []
    if not listed:
        notes.append("This version is no longer in the bucket.")
    elif not listed[0].is_latest:
        later = next((each for each in facts.versions if each.is_latest), None)
        if later:
            notes.append(f"A later version was uploaded {_utc(later.upload.uploaded_at)}.")
        elif facts.markers and facts.markers[0].is_latest:
            notes.append(f"The key was deleted {_utc(facts.markers[0].at)}; this version is kept.")
    return notes


def _steps(facts: Facts, upload: Upload, current: Row | None, rows: Sequence[Row]) -> list[Step]:
    version = f", version {upload.version_id}" if upload.version_id else ""
    uploaded = f"{words.size(upload.size_bytes)}, ETag {upload.etag or 'unknown'}{version}"
    steps = [Step("uploaded", upload.uploaded_at, None, uploaded)]
    if current is None:
        return steps
    if current.image:
        said = (
            "{image_format}, {width_px} × {height_px} px, brightness {brightness:g}, sharpness {sharpness:g}"
        )
        steps.append(Step("serialized", None, current.serialize_ms, said.format_map(current.image)))
    if current.model_version:
        said = f"endpoint {current.endpoint}, model {current.model_version}"
        steps.append(Step("classified", None, current.classify_ms, said))
    after_ms = (current.decided_at - upload.uploaded_at.replace(tzinfo=None)).total_seconds() * 1_000
    said = f"{current.outcome}, {words.seconds(after_ms)} after the upload"
    if current.first_decided_at < current.decided_at:
        said += f"; first at {_utc(current.first_decided_at)}"
    if current.execution_arn:
        said += f"; {current.execution_arn}"
    steps.append(Step("decided", current.decided_at.replace(tzinfo=UTC), None, said))
    for path in dict.fromkeys(row.path for row in rows if row.counts):
        name = "recorded" if generation_of(path) is None else "compacted"
        steps.append(Step(name, facts.recorded_at.get(path), None, path))
    return steps


def _told(rows: Sequence[Row], current: Row | None) -> list[ToldRow]:
    """Say of each row of an upload what became of it, those that count first."""
    said: dict[SortKey, Row] = {}
    told = []
    for row in sorted(rows, key=lambda row: (not row.counts, row.sort_key, row.path)):
        first = said.setdefault(row.sort_key, row)
        if current is not None and row.counts and row.dt != current.dt:
            became = f"counts a second time, on {row.dt}: only the row on {current.dt} should"
        elif first is not row:
            became = f"duplicate of the row in {first.path}"
        elif row.counts:
            became = "counts"
        elif current is None:
            became = "does not count"
        elif rank_of(current.outcome) < rank_of(row.outcome):
            became = f"superseded by {current.outcome} of {_utc(current.decided_at)}, which ranks before it"
        else:
            became = f"superseded by the later decision of {_utc(current.decided_at)}"
        told.append(ToldRow(row, became))
    return told


def _decision(current: Row, policy: Policy | None) -> list[str]:
    if current.label is None or current.confidence is None or current.threshold is None:
        return []
    is_sure = current.confidence >= current.threshold
    said = [
        f"Confidence {current.confidence:.4f} for {current.label} is "
        f"{'at least' if is_sure else 'below'} the threshold {current.threshold:g}."
    ]
    if current.unfamiliarity is not None:
        is_unlike = current.reason == UNLIKE_TRAINING
        where = "above" if is_unlike else "within"
        said.append(f"Unfamiliarity {current.unfamiliarity:.3f} is {where} its threshold.")
    if policy is None or current.label not in policy.classes:
        return said
    threshold = policy.threshold_of(current.label)
    if threshold != current.threshold:
        now_sure = current.confidence >= threshold
        said.append(f"The threshold is {threshold:g} now: {'at least' if now_sure else 'not'} reached.")
    if policy.model_version and policy.model_version != current.model_version:
        said.append(f"The stack's policy is for model {policy.model_version} now.")
    return said


def _seen_said(seen: Seen | None, current: Row | None) -> str:
    if seen is None:
        return ""
    if seen.why_not:
        return f"Nothing can be shown: {seen.why_not}"
    recorded = current.image if current else {}
    differ = [name for name, value in seen.facts.items() if name in recorded and recorded[name] != value]
    if differ:
        return (
            "Prepared anew, it differs from what was recorded in "
            f"{', '.join(differ)}: the model's input had another form then."
        )
    return "Prepared anew, it is as recorded." if recorded else "Prepared anew."


def _cost_micro_usd(current: Row | None) -> float | None:
    if current is None or current.serialize_ms is None:
        return None
    load = Load(1, serialize_ms=current.serialize_ms, classify_ms=current.classify_ms or 0.0)
    usd = read_prices().of(by_events(load))
    return usd * 1e6


def _others(facts: Facts, chosen: Upload) -> list[tuple[Upload, str]]:
    uploads = {each.upload.upload_id: each.upload for each in facts.versions}
    outcomes: dict[str, str] = {}
    for row in sorted(facts.rows, key=lambda row: row.sort_key):
        uploads.setdefault(row.upload.upload_id, row.upload)
        if row.counts:
            outcomes.setdefault(row.upload.upload_id, row.outcome)
    del uploads[chosen.upload_id]
    latest_first = sorted(uploads.values(), key=lambda upload: upload.uploaded_at, reverse=True)
    return [
        (upload, f"{outcomes.get(upload.upload_id, 'no outcome')}, uploaded {_utc(upload.uploaded_at)}")
        for upload in latest_first
    ]


def _why(key: str, version_id: str | None = None) -> str:
    version = {"VERSION": version_id} if version_id else {}
    return how("why", KEY=shlex.quote(key), **version)


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
