"""Gathers what is known about one image: S3's listing, every row and label, the queues, and its pixels."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from analytics.athena.engine import Engine
from analytics.questions.queries import CONSOLE_DAYS, internal_query
from analytics.review.sheet import scores_of
from infra.operations.deployed import Client, deployed_parameters, policy_of
from infra.operations.original import original
from infra.operations.story import (
    DeleteMarker,
    Facts,
    Given,
    Neighbours,
    Queues,
    Row,
    Seen,
    Stored,
    Story,
)
from infra.stack import Stack
from ingest.errors import RejectedImage
from ingest.image import prepare_for
from ingest.model_input import ModelInput
from ingest.upload import NULL_VERSION, Upload
from ingest.waiting import depth
from model.files import DEFAULT_MODEL, read_card
from workflow.outcome import messages_of
from workflow.policy import Policy

if TYPE_CHECKING:
    from PIL.Image import Image

    from infra.operations.redrive import Message
    from model.training.neighbours import Neighbour

ROWS_MOST = 1_000
"""Most rows about a key, and most versions of it, that are read: the latest ones."""
NEAREST = 5
"""How many training images are named."""
NEAR_MOST = 5
"""Most keys that are proposed for an unknown one."""

_IMAGE_FACTS = ("image_format", "width_px", "height_px", "brightness", "sharpness")
_DAY = timedelta(days=1)
_ALIKE = 0.6
"""Least similarity of a name that is proposed, as `difflib` measures it."""


def keep_picture(story: Story, folder: Path) -> Path | None:
    """Write what the model sees of an image into a folder; return the file, if there is one."""
    if story.upload is None or story.seen is None or not story.seen.file:
        return None
    suffix = "." + story.seen.picture_type.removeprefix("image/")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{story.upload.upload_id[:16]}{suffix}"
    path.write_bytes(story.seen.file)
    return path


def facts_about(
    stack: Stack,
    client: Client,
    answers: Engine,
    key: str,
    version_id: str | None = None,
    since: date | None = None,
    model: Path = DEFAULT_MODEL,
) -> Facts:
    """Gather what is known about a key, and about one upload under it.

    Rows are looked for on the days of the listed versions, so that the size of the table does not matter.
    Versions that are gone have rows on other days: these are read if what was asked for is not listed, or if
    a day is given.

    Args:
        stack: the system.
        client: returns boto3's client of a service.
        answers: the stack's engine.
        key: of the object; of an imported row, its event id.
        version_id: of the upload; its ETag where it has none. None stands for the latest upload.
        since: UTC date of the first uploads that are not listed; None goes back four weeks if there is none.
        model: folder of the model that decided, for the nearest training images.

    Raises:
        botocore.exceptions.ClientError: AWS refused.
        QueryFailed: the engine could not answer.
    """
    now = datetime.now(UTC)
    clients = {service: client(service) for service in ("s3", "cloudformation")}
    s3 = clients["s3"]
    # What waits for different servers waits at once, and the network is loaded while they answer.
    with ThreadPoolExecutor() as pool:
        deciding = pool.submit(_decides_by, clients.__getitem__, stack.name)
        versions, markers = _listed(s3, stack.incoming_bucket, key)
        if version_id:
            versions = _with_version(s3, stack.incoming_bucket, key, version_id, versions)
        listed = next((each.upload for each in versions if _is_version(each.upload, version_id)), None)
        looking = pool.submit(_seen, s3, listed, deciding)
        comparing = pool.submit(_nearest, looking, model) if listed else None
        rows = _rows(answers, key, version_id, versions, since)
        chosen = _chosen(listed, rows, version_id)
        facts = Facts(
            bucket=stack.incoming_bucket,
            key=key,
            key_pattern=stack.key_pattern,
            now=now,
            versions=versions,
            markers=markers,
            rows=rows,
            chosen=chosen,
            is_on_aws=stack.endpoint_url is None,
        )
        if chosen is None:
            return replace(
                facts,
                queues=_queues(stack, client("sqs"), key, None),
                near_keys=near_keys(s3, stack.incoming_bucket, key),
            )
        own = [row for row in rows if row.upload.upload_id == chosen.upload_id]
        dating = pool.submit(_recorded_at, s3, stack.results_bucket, own)
        is_decided = any(row.counts for row in own)
        return replace(
            facts,
            labels=_labels(answers, chosen.upload_id, {row.dt for row in own}) if own else (),
            queues=Queues() if is_decided else _queues(stack, client("sqs"), key, chosen.upload_id),
            recorded_at=dating.result(),
            policy=deciding.result()[0],
            seen=looking.result()[0],
            neighbours=_neighbours(own, looking, comparing, model),
        )


def near_keys(s3: Any, bucket: str, key: str) -> list[str]:
    """Return keys of the bucket that an unknown one may have been meant to be, the likeliest first.

    First the same key in another notation: an address, URL-encoded, or with another Unicode normalisation.
    Then its path is followed folder by folder; where a name is not there, the most similar ones are taken.
    """
    plain = key.removeprefix(f"s3://{bucket}/").lstrip("/")
    spellings = [plain, unquote_plus(plain), normalize("NFC", plain), normalize("NFD", plain)]
    found = [each for each in dict.fromkeys(spellings) if each != key and _is_there(s3, bucket, each)]
    return list(dict.fromkeys([*found, *_similar(s3, bucket, plain)]))[:NEAR_MOST]


def _similar(s3: Any, bucket: str, key: str) -> list[str]:
    *folders, name = key.split("/")
    prefix = ""
    for folder in folders:
        below, _ = _level(s3, bucket, prefix)
        near = get_close_matches(f"{prefix}{folder}/", below, 1, _ALIKE)
        if not near:
            return []
        prefix = near[0]
    _, keys = _level(s3, bucket, prefix)
    return get_close_matches(f"{prefix}{name}", keys, NEAR_MOST, _ALIKE)


def _level(s3: Any, bucket: str, prefix: str) -> tuple[list[str], list[str]]:
    """Return some folders and keys directly below a prefix: at most 1,000."""
    page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
    folders = [each["Prefix"] for each in page.get("CommonPrefixes", ())]
    return folders, [each["Key"] for each in page.get("Contents", ())]


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    page = s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(each["Key"] == key for each in page.get("Versions", ()))


def _listed(s3: Any, bucket: str, key: str) -> tuple[list[Stored], list[DeleteMarker]]:
    """Return the latest versions of a key and its delete markers, as S3 lists them on one page."""
    # S3 lists by name: the key itself comes before all others that begin with it.
    page = s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=ROWS_MOST)
    versions = [
        Stored(_upload(bucket, key, each["VersionId"], each), each["IsLatest"])
        for each in page.get("Versions", ())
        if each["Key"] == key
    ]
    markers = [
        DeleteMarker(each["LastModified"].astimezone(UTC), each["IsLatest"])
        for each in page.get("DeleteMarkers", ())
        if each["Key"] == key
    ]
    versions.sort(key=lambda each: (each.is_latest, each.upload.uploaded_at), reverse=True)
    return versions, sorted(markers, key=lambda each: each.at, reverse=True)


def _with_version(
    s3: Any, bucket: str, key: str, version_id: str, versions: Sequence[Stored]
) -> list[Stored]:
    """Return the versions, with one that was asked for and is not on the first page."""
    if any(_is_version(each.upload, version_id) for each in versions):
        return list(versions)
    try:
        head = s3.head_object(Bucket=bucket, Key=key, VersionId=version_id)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404, 405):
            return list(versions)
        raise
    found = {"ETag": head["ETag"], "Size": head["ContentLength"], "LastModified": head["LastModified"]}
    return [*versions, Stored(_upload(bucket, key, version_id, found), is_latest=False)]


def _upload(bucket: str, key: str, version_id: str, said: Mapping[str, Any]) -> Upload:
    return Upload(
        bucket=bucket,
        key=key,
        version_id=version_id,
        etag=said["ETag"].strip('"'),
        sequencer="",
        size_bytes=said["Size"],
        uploaded_at=said["LastModified"].astimezone(UTC),
    )


def _is_version(upload: Upload, version_id: str | None) -> bool:
    """Tell whether an upload is the one that was asked for; None stands for any."""
    return version_id is None or version_id in (upload.version_id or NULL_VERSION, upload.etag)


def _chosen(listed: Upload | None, rows: Sequence[Row], version_id: str | None) -> Upload | None:
    """Return the upload to tell about: with the time of its event, which its rows have, if it has rows.

    Args:
        listed: the latest of the listed ones that were asked for.
        rows: of the key.
        version_id: of the upload that was asked for.
    """
    uploads = [row.upload for row in sorted(rows, key=lambda row: row.sort_key)]
    gone = [each for each in uploads if _is_version(each, version_id)]
    meant = listed or max(gone, key=lambda each: each.uploaded_at, default=None)
    return next((each for each in uploads if meant and each.upload_id == meant.upload_id), meant)


def _rows(
    answers: Engine, key: str, version_id: str | None, versions: Sequence[Stored], since: date | None
) -> list[Row]:
    # The event's time may be on another day than the listing's.
    days = {
        each.upload.uploaded_at.date() + offset for each in versions for offset in (-_DAY, timedelta(0), _DAY)
    }
    tomorrow = datetime.now(UTC).date() + _DAY
    if since is None and not any(_is_version(each.upload, version_id) for each in versions):
        since = tomorrow - CONSOLE_DAYS * _DAY
    if since:
        days |= {since + number * _DAY for number in range((tomorrow - since).days + 1)}
    sql = internal_query(
        "rows_about",
        key=key,
        version=version_id or "",
        days=sorted(map(str, days)),
        limit=ROWS_MOST,
    )
    return [_row(key, said) for said in answers.records(sql)]


def _row(key: str, said: Mapping[str, Any]) -> Row:
    path = said["path"]
    return Row(
        path=path[path.rindex("predictions/") :],
        dt=said["dt"],
        counts=said["counts"],
        first_decided_at=said["first_at"],
        upload=Upload(
            bucket=said["bucket"],
            key=key,
            version_id=said["version_id"],
            etag=said["etag"] or "",
            sequencer="",
            size_bytes=int(said["size_bytes"] or 0),
            uploaded_at=said["uploaded_at"].replace(tzinfo=UTC),
        ),
        result_id=said["result_id"],
        decided_at=said["decided_at"],
        scores=scores_of(said["scores"]) if said["scores"] else {},
        image={
            name: int(said[name]) if name.endswith("_px") else said[name]
            for name in _IMAGE_FACTS
            if said["image_format"]
        },
        **{name: said[name] for name in _AS_IT_IS},
    )


_AS_IT_IS = (
    *("outcome", "label", "confidence", "threshold", "unfamiliarity", "reason", "detail"),
    *("model_version", "endpoint", "serialize_ms", "classify_ms", "execution_arn"),
)
"""Columns that a `Row` has under their names."""


def _labels(answers: Engine, upload_id: str, days: Iterable[str]) -> list[Given]:
    rows = answers.records(internal_query("labels_of", upload_id=upload_id, days=sorted(days)))
    return [Given(**row) for row in rows]


def _decides_by(client: Client, stack_name: str) -> tuple[Policy, ModelInput]:
    """Return what the stack decides by, and the form of its model's input."""
    parameters = deployed_parameters(client, stack_name)
    return policy_of(parameters, client), ModelInput.from_mapping(parameters)


def _seen(
    s3: Any, listed: Upload | None, deciding: "Future[tuple[Policy, ModelInput]]"
) -> "tuple[Seen, Image | None]":
    """Return what the model sees of an object, and its pixels, once its form is known."""
    if listed is None:
        return Seen(b"", {}, "this version is not in the bucket"), None
    data = original(s3, listed.bucket, listed.key, listed.version_id)
    if data is None:
        return Seen(b"", {}, "the object cannot be read, or is too large"), None
    _, form = deciding.result()
    try:
        prepared = prepare_for(form, data)
    except RejectedImage as rejected:
        return Seen(b"", {}, str(rejected)), None
    return Seen(form.picture_of(prepared.pixels), prepared.facts()), prepared.pixels


def _nearest(looking: "Future[tuple[Seen, Image | None]]", model: Path) -> "list[Neighbour]":
    """Return the training images nearest to what the model sees, once that is known."""
    import numpy as np  # it takes a tenth of a second, and onnxruntime some more

    from model.training.neighbours import nearest

    _, pixels = looking.result()
    return [] if pixels is None else nearest(model, np.asarray(pixels), NEAREST)


def _neighbours(
    rows: Sequence[Row],
    looking: "Future[tuple[Seen, Image | None]]",
    comparing: "Future[list[Neighbour]] | None",
    model: Path,
) -> Neighbours:
    """Return the training images nearest to an image, if the model that has them decided about it."""
    versions = {row.model_version for row in rows if row.counts and row.model_version}
    if not versions or comparing is None or looking.result()[1] is None:
        return Neighbours()
    version = read_card(model)["model_version"]
    if version not in versions:
        decided = ", ".join(sorted(versions))
        return Neighbours(
            why_none=f"{decided} decided, and {model} holds {version}: give its folder, as MODEL or --model"
        )
    try:
        return Neighbours(comparing.result())
    except FileNotFoundError:
        return Neighbours(why_none=f"{model} keeps no features of its training images; a new training does")


def _recorded_at(s3: Any, results_bucket: str, rows: Sequence[Row]) -> dict[str, datetime]:
    """Return when the files of rows that count were written."""
    found = {}
    for path in {row.path for row in rows if row.counts}:
        try:
            head = s3.head_object(Bucket=results_bucket, Key=path)
        except ClientError as error:
            # Compaction deleted the file since the rows were read.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        else:
            found[path] = head["LastModified"].astimezone(UTC)
    return found


def _queues(stack: Stack, sqs: Any, key: str, upload_id: str | None) -> Queues:
    """Look for a key, or for one upload under it, in the dead-letter queues; count what waits."""
    from infra.operations.redrive import plan_messages  # what it needs is not needed for most images

    def is_about(upload: Upload) -> bool:
        return upload.key == key and upload_id in (None, upload.upload_id)

    undelivered, unrecorded = (
        _held(sqs, url) for url in (stack.undelivered_events_url, stack.unrecorded_outcomes_url)
    )
    plan = plan_messages(undelivered, unrecorded)
    return Queues(
        waiting=depth(sqs, stack.waiting_images_url),
        is_undelivered=any(is_about(upload) for upload, _ in plan.undelivered.values()),
        is_unrecorded=any(
            is_about(Upload.from_event(outcome["event"]))
            for message in plan.unrecorded
            for outcome in messages_of(message.body)
        ),
    )


def _held(sqs: Any, url: str) -> "list[Message]":
    """Return the messages of a dead-letter queue, and leave them there."""
    from infra.operations.redrive import DeadLetterQueue

    if not depth(sqs, url):
        return []
    queue = DeadLetterQueue(sqs, url)
    try:
        return queue.read()
    finally:
        queue.release()
