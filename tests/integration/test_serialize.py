import base64
import hashlib
import io
import json
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from urllib3.exceptions import ProtocolError

from ingest import serialize
from ingest.aws import AccessDenied, IncomingBucket, Shortcut, connect_waiting_queue, read_object
from ingest.errors import MAX_BYTES, OthersWait, RejectedImage
from ingest.image import prepare, prepare_for
from ingest.model_input import ModelInput
from ingest.upload import Upload
from ingest.waiting import COUNT_EVERY_S, MANY_WAIT, WaitingQueue
from tests.builders import (
    LONGEST_KEY,
    FakeContext,
    a_picture,
    an_event,
    an_upload,
    jpeg_bytes,
    noise,
    png_bytes,
)
from workflow import classify
from workflow.aws import Endpoint
from workflow.batch import Steps
from workflow.outcome import Outcome, caught, reason_and_detail
from workflow.policy import Policy

BUCKET, RESULTS = "scones-incoming", "scones-results"
FORM = ModelInput.square(32)
STATE_MAX_BYTES = 262_144
"""Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
SERVERLESS_MAX_BYTES = 4_000_000
"""Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html"""
EXECUTION = "arn:aws:states:us-east-1:111122223333:express:scones-image:one:two"

# Powertools says so of a Lambda that raises before it has measured anything.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics to publish")


class RawResponse(io.BytesIO):
    """The body of an answer, as urllib3 has it."""

    def stream(self, **_):
        yield self.read()


@pytest.fixture(autouse=True, scope="module")
def fresh_clients(moto_s3):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ImageSizePx", "32")
        patch.setenv("RESULTS_BUCKET", RESULTS)
        patch.setattr(serialize, "waiting_queue", lambda: WaitingQueue(lambda: 0))
        yield
    serialize.incoming_bucket.cache_clear()
    classify.model_inputs.cache_clear()
    serialize.model_input.cache_clear()
    serialize.model_inputs.cache_clear()


@pytest.fixture(autouse=True)
def bucket(s3):
    s3.create_bucket(Bucket=BUCKET)
    s3.create_bucket(Bucket=RESULTS)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})


def put(s3, data, key="van-07/bicycle.png"):
    """Upload an object; return the event that announces it."""
    stored = s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    event = an_event(key, stored["VersionId"], len(data), bucket=BUCKET)
    event["detail"]["object"]["etag"] = stored["ETag"].strip('"')
    return event


def invoke(event):
    return serialize.lambda_handler({"event": event, "execution_arn": EXECUTION}, FakeContext())


def reason_of(event):
    with pytest.raises(RejectedImage) as caught:
        invoke(event)
    return caught.value.reason


def without_version(event):
    del event["detail"]["object"]["version-id"]
    return event


def test_the_small_picture_and_the_facts_travel_on(s3):
    payload = invoke(put(s3, jpeg_bytes(a_picture(64, 48))))
    assert payload.keys() == {"body", "key", "content_type", "image"}
    assert payload["content_type"] == "image/png"
    with Image.open(io.BytesIO(base64.b64decode(payload["body"], validate=True))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))
    facts = payload["image"]
    assert (facts["image_format"], facts["width_px"], facts["height_px"]) == ("jpeg", 64, 48)
    assert facts.keys() == {
        "image_format",
        "width_px",
        "height_px",
        "brightness",
        "sharpness",
        "serialize_ms",
    }
    assert 0 < facts["serialize_ms"] < 60_000


def test_no_line_names_the_image_before(s3):
    """An event that cannot be read has no key to take its place."""
    invoke(put(s3, png_bytes(), "before.png"))
    assert not {"bucket", "key", "version_id"} & serialize.logger.get_current_keys().keys()


@pytest.fixture
def waiting_url(s3):
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="waiting")["QueueUrl"]
    for _ in range(MANY_WAIT // 10):
        sqs.send_message_batch(
            QueueUrl=url, Entries=[{"Id": str(number), "MessageBody": "{}"} for number in range(10)]
        )
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=300)  # those that were tried wait as well
    yield url
    sqs.delete_queue(QueueUrl=url)


def counting(monkeypatch, url):
    """Let Serialize be a container that has run for long enough to count."""
    queue = connect_waiting_queue(url)
    queue._counted_at_s -= COUNT_EVERY_S
    monkeypatch.setattr(serialize, "waiting_queue", lambda: queue)


def test_where_many_images_wait_another_one_joins_them_unread(monkeypatch, waiting_url):
    counting(monkeypatch, waiting_url)
    with pytest.raises(OthersWait, match=f"^{MANY_WAIT} images wait"):
        invoke(an_event("not-there.png", bucket=BUCKET))


def test_an_image_goes_on_where_sqs_does_not_say_how_many_wait(s3, monkeypatch, caplog):
    counting(monkeypatch, "https://sqs.us-east-1.amazonaws.com/111122223333/not-there")
    assert invoke(put(s3, png_bytes()))["body"]
    assert "images that wait are not counted" in caplog.text


def test_what_an_image_waits_for_besides_its_object_is_soon_given_up(monkeypatch):
    longest_s = {}

    def client(service, config):
        attempt_s = config.connect_timeout + config.read_timeout
        longest_s[service] = config.retries["total_max_attempts"] * attempt_s
        raise BotoCoreError

    monkeypatch.setattr(boto3, "client", client)
    counting(monkeypatch, "https://sqs.us-east-1.amazonaws.com/111122223333/waiting")
    serialize.waiting_queue().check()
    with pytest.raises(BotoCoreError):
        read_object(f"{RESULTS}/policy.json")
    assert longest_s["sqs"] <= 1
    assert longest_s["s3"] <= 6


def test_an_image_too_large_for_the_state_goes_through_s3_and_classify_reads_it(s3, monkeypatch, lines_of):
    large = ModelInput.square(256)
    monkeypatch.setattr(serialize, "model_input", lambda: large)
    event = put(s3, png_bytes(noise(300, 300)))
    read = lines_of(serialize)
    payload = invoke(event)
    (_, counted) = read()[1]
    assert counted["ImagesThroughS3"] == [1]
    assert (counted["stack"], counted["service"]) == ("none", "serialize")
    upload_id = Upload.from_event(event).upload_id
    assert (payload["body"], payload["key"]) == (None, f"model-inputs/{upload_id}")
    assert len(json.dumps(payload)) < 1_000
    file = classify._file_of({**payload, "execution_arn": EXECUTION})
    with Image.open(io.BytesIO(file)) as image:
        assert (image.format, image.size) == ("PNG", (256, 256))
    assert invoke(event)["key"] == payload["key"]  # a retry overwrites it
    assert s3.list_objects_v2(Bucket=RESULTS)["KeyCount"] == 1


@pytest.mark.parametrize("size_px", [32, 224, 1024])
@pytest.mark.parametrize("jpeg_quality", [0, 100])
def test_no_state_and_no_request_exceeds_its_limit_even_with_noise(size_px, jpeg_quality):
    form = ModelInput(size_px, size_px, jpeg_quality=jpeg_quality)
    kept: list[bytes] = []

    def keep(file):
        kept.append(file)
        return "model-inputs/one"

    prepared = prepare_for(form, png_bytes(noise(size_px, size_px)))
    payload = serialize.to_payload(prepared, form, 1.0, keep)
    assert len(json.dumps({**payload, "execution_arn": EXECUTION})) < STATE_MAX_BYTES
    file = kept[0] if kept else base64.b64decode(payload["body"])
    assert len(file) < SERVERLESS_MAX_BYTES
    assert bool(kept) == (size_px == 1024)


@pytest.mark.parametrize(
    "key",
    [
        "a b  c.png",
        "a+b.png",
        "100%25/a%20b.png",
        "фото/vélo 🚲.png",
        "<b>\"'&.png",
        "a/../b.png",
        LONGEST_KEY,
    ],
)
def test_an_object_of_any_key_is_found(s3, key):
    assert invoke(put(s3, png_bytes(), key))["image"]["image_format"] == "png"


@contextmanager
def answering(s3, answer, operation="GetObject"):
    """Let a function answer requests for objects in place of S3."""
    s3.meta.events.register_first(f"before-send.s3.{operation}", answer)
    try:
        yield
    finally:
        s3.meta.events.unregister(f"before-send.s3.{operation}", answer)


def sent_by(s3, read, upload):
    """Return URL, condition, and the signature's region of the request that a reader sends."""
    sent = []

    def text(request, header):
        return str(request.headers.get(header)).removeprefix("b").strip("'")

    def stored(request, **_):
        scope = text(request, "Authorization").partition(", ")[0]
        sent.append((request.url, text(request, "If-Match"), scope))
        return AWSResponse(request.url, 200, HeadersDict({"Content-Length": "0"}), RawResponse(b""))

    with answering(s3, stored):
        read(upload)
    return sent


@given(
    key=st.text(min_size=1, max_size=40).filter(lambda key: key.encode("utf-8", "replace").decode() == key),
    version_id=st.sampled_from([None, "v/1+%"]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_shortcut_sends_the_request_that_the_client_would_send(plain_s3, key, version_id):
    upload = replace(an_upload(), bucket=BUCKET, key=key, version_id=version_id, etag="e", size_bytes=0)
    short = sent_by(plain_s3, Shortcut(plain_s3).get, upload)
    assert short == sent_by(plain_s3, IncomingBucket(plain_s3).read, upload)


@pytest.mark.parametrize("bucket_name", [BUCKET, "scones.incoming"])
@pytest.mark.parametrize(
    "where",
    [
        {"region_name": "eu-central-1"},
        {"region_name": "me-central-1"},
        {"region_name": "cn-north-1"},
        {"region_name": "us-east-1", "config": Config(use_fips_endpoint=True)},
        {"region_name": "eu-central-1", "config": Config(use_dualstack_endpoint=True)},
        {"region_name": "us-east-1", "endpoint_url": "http://127.0.0.1:4566"},
    ],
)
def test_the_shortcut_asks_the_endpoint_that_the_client_would_ask(where, bucket_name):
    s3 = boto3.client("s3", **where)
    upload = replace(an_upload(), bucket=bucket_name, size_bytes=0)
    short = sent_by(s3, Shortcut(s3).get, upload)
    assert short == sent_by(s3, IncomingBucket(s3).read, upload)


@pytest.mark.parametrize(
    ("status", "length", "body", "got"),
    [
        (200, "5", b"image", b"image"),
        (200, "5", b"imag", None),
        (200, None, b"image", None),
        (404, "5", b"image", None),
        (206, "5", b"image", None),
        (304, "0", b"", None),
    ],
)
def test_the_client_reads_what_the_shortcut_does_not_get_whole(plain_s3, status, length, body, got):
    headers = HeadersDict({"Content-Length": length} if length else {})

    def answer(request, **_):
        return AWSResponse(request.url, status, headers, RawResponse(body))

    with answering(plain_s3, answer):
        assert Shortcut(plain_s3).get(an_upload()) == got


def test_the_client_reads_where_botocore_does_not_have_what_the_shortcut_needs(plain_s3):
    other = SimpleNamespace(meta=plain_s3.meta, generate_presigned_url=plain_s3.generate_presigned_url)
    assert Shortcut(other).get(an_upload()) is None


def test_the_client_reads_what_breaks_off_on_its_way(plain_s3):
    class BrokenOff(RawResponse):
        def stream(self, **_):
            yield b"im"
            raise ProtocolError("Connection broken")

    def answer(request, **_):
        return AWSResponse(request.url, 200, HeadersDict({"Content-Length": "5"}), BrokenOff())

    with answering(plain_s3, answer):
        assert Shortcut(plain_s3).get(an_upload()) is None


def test_of_an_object_that_is_too_large_the_shortcut_reads_nothing(plain_s3):
    def answer(request, **_):
        assert request.stream_output  # otherwise all of it is in memory before anything sees its size
        headers = HeadersDict({"Content-Length": str(MAX_BYTES + 1)})
        return AWSResponse(request.url, 200, headers, Unreadable())

    with answering(plain_s3, answer), pytest.raises(RejectedImage, match="too_large"):
        Shortcut(plain_s3).get(an_upload(size_bytes=0))


def test_serialize_reads_by_the_shortcut(monkeypatch):
    monkeypatch.setattr(Shortcut, "get", lambda _, upload: upload.key.encode())
    assert serialize.incoming_bucket().read(an_upload()) == an_upload().key.encode()


def test_a_batch_reads_objects_and_its_policy_s_file_from_s3(s3):
    policy = Policy(tuple(f"class {number}" for number in range(1_000)), 0.6, {"class 7": 0.7})
    file = policy.classes_file()
    assert file is not None
    path, content = file
    s3.put_object(Bucket=RESULTS, Key=path, Body=content)
    event = put(s3, png_bytes())
    parameters = {**policy.to_parameters(), "ClassNames": "", "ClassThresholds": ""}
    endpoint = {
        "MODEL_IN": "",
        "ENDPOINT_NAME": "one",
        "ENDPOINT_ACCEPT": "text/csv",
        "ENDPOINT_SCORES": "logits",
    }
    steps = Steps.connect(
        {**parameters, **FORM.to_parameters(), **endpoint, "ClassesFile": f"{RESULTS}/{path}"}
    )
    assert steps.read(Upload.from_event(event)) == png_bytes()
    assert (steps.form, steps.policy) == (FORM, policy)
    assert isinstance(steps.endpoint, Endpoint)
    asks = (steps.endpoint.name, steps.endpoint._accept, steps.endpoint._scores_are)
    assert asks == ("one", "text/csv", "logits")


def test_the_shortcut_stores_an_object_as_the_client_does(s3):
    key, body = "фото/a+b %.png", png_bytes()
    stored = Shortcut(s3).put(BUCKET, key, body)
    assert stored is not None
    assert stored["VersionId"]
    found = s3.get_object(Bucket=BUCKET, Key=key, VersionId=stored["VersionId"])
    assert (found["Body"].read(), found["ETag"]) == (body, stored["ETag"])


def test_s3_checks_what_the_shortcut_stores_by_its_hash(plain_s3):
    signed = []

    def answer(request, **_):
        signed.append(request.headers["X-Amz-Content-SHA256"])
        return AWSResponse(request.url, 200, HeadersDict({"ETag": '"e"'}), RawResponse(b""))

    with answering(plain_s3, answer, "PutObject"):
        assert Shortcut(plain_s3).put(BUCKET, "a.png", b"image") is not None
    assert signed == [hashlib.sha256(b"image").hexdigest()]


@pytest.mark.parametrize("version", [{}, {"x-amz-version-id": "v"}])
def test_the_answer_to_what_the_shortcut_stores_is_read_as_the_client_does(plain_s3, version):
    def answer(request, **_):
        return AWSResponse(request.url, 200, HeadersDict({"ETag": '"e"', **version}), RawResponse(b""))

    with answering(plain_s3, answer, "PutObject"):
        stored = Shortcut(plain_s3).put(BUCKET, "a.png", b"image")
        by_client = plain_s3.put_object(Bucket=BUCKET, Key="a.png", Body=b"image")
    by_client.pop("ResponseMetadata")
    assert stored == by_client


@pytest.mark.parametrize("status", [403, 503, 507])
def test_the_client_stores_what_the_shortcut_does_not(plain_s3, status):
    def answer(request, **_):
        return AWSResponse(request.url, status, HeadersDict({}), RawResponse(b""))

    with answering(plain_s3, answer, "PutObject"):
        assert Shortcut(plain_s3).put(BUCKET, "a.png", b"image") is None


def test_exactly_the_version_is_read_after_another_upload_under_its_key(s3):
    red, blue = (png_bytes(Image.new("RGB", (64, 64), colour)) for colour in ("red", "blue"))
    first, second = put(s3, red), put(s3, blue)
    bodies = [base64.b64decode(invoke(event)["body"]) for event in (first, second)]
    assert bodies == [FORM.file_of(prepare(data, 32).pixels) for data in (red, blue)]


def test_the_version_is_read_even_when_the_object_was_deleted_since(s3):
    event = put(s3, png_bytes())
    s3.delete_object(Bucket=BUCKET, Key="van-07/bicycle.png")
    assert invoke(event)["image"]["width_px"] == 40


def test_a_version_that_was_deleted_is_gone(s3):
    event = put(s3, png_bytes())
    s3.delete_object(
        Bucket=BUCKET, Key="van-07/bicycle.png", VersionId=event["detail"]["object"]["version-id"]
    )
    assert reason_of(event) == "object_gone"


def test_a_delete_marker_is_not_an_object(s3):
    event = put(s3, png_bytes())
    marker = s3.delete_object(Bucket=BUCKET, Key="van-07/bicycle.png")["VersionId"]
    event["detail"]["object"]["version-id"] = marker
    assert reason_of(event) == "object_gone"


def test_without_versions_a_deleted_object_is_gone(s3):
    event = without_version(put(s3, png_bytes()))
    s3.delete_object(Bucket=BUCKET, Key="van-07/bicycle.png")
    assert reason_of(event) == "object_gone"


def test_without_versions_an_object_that_was_replaced_is_gone(s3):
    event = without_version(put(s3, png_bytes()))
    put(s3, png_bytes(Image.new("RGB", (8, 8))))
    assert reason_of(event) == "object_gone"


def test_without_versions_an_object_that_is_still_there_is_read(s3):
    s3.create_bucket(Bucket="never-versioned")
    stored = s3.put_object(Bucket="never-versioned", Key="van-07/bicycle.png", Body=png_bytes())
    event = without_version(an_event(bucket="never-versioned"))
    event["detail"]["object"]["etag"] = stored["ETag"].strip('"')
    assert invoke(event)["image"]["width_px"] == 40


def suspend_versioning(s3):
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})


def test_while_versioning_is_suspended_the_very_upload_is_read_or_gone(s3):
    suspend_versioning(s3)
    events = []
    for width_px in (40, 48):
        data = png_bytes(a_picture(width_px, 20))
        stored = s3.put_object(Bucket=BUCKET, Key="van-07/bicycle.png", Body=data)
        event = without_version(an_event("van-07/bicycle.png", size_bytes=len(data), bucket=BUCKET))
        event["detail"]["object"]["etag"] = stored["ETag"].strip('"')
        events.append(event)
    assert reason_of(events[0]) == "object_gone"
    assert invoke(events[1])["image"]["width_px"] == 48


def test_a_version_without_an_id_is_asked_for_by_name(stubbed):
    """Without `VersionId`, S3 asks for `s3:GetObject`, which no role has."""
    incoming, stubber = stubbed
    expected = {"Bucket": BUCKET, "Key": "van-07/bicycle.png", "VersionId": "null", "IfMatch": "e"}
    stubber.add_response("get_object", {"ContentLength": 2, "Body": io.BytesIO(b"hi")}, expected)
    assert incoming.read(an_upload(version_id=None, etag="e")) == b"hi"


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_rejected_until_it_is_restored(s3, storage_class):
    data = png_bytes()
    stored = s3.put_object(Bucket=BUCKET, Key="old.png", Body=data, StorageClass=storage_class)
    event = an_event("old.png", stored["VersionId"], len(data), bucket=BUCKET)
    with pytest.raises(
        RejectedImage, match=f"archived: s3://{BUCKET}/old.png is in {storage_class}: restore it"
    ):
        invoke(event)


def test_a_bucket_that_was_deleted_is_gone(s3):
    event = put(s3, png_bytes())
    event["detail"]["bucket"]["name"] = "scones-no-more"
    assert reason_of(event) == "object_gone"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "not_an_image"),
        (b"8BPS\0\x01", "unsupported_format"),
        (png_bytes()[:60], "corrupt"),
    ],
)
def test_anything_but_an_intact_image_is_rejected_with_its_reason(s3, data, reason):
    assert reason_of(put(s3, data)) == reason


# ── S3, spoken to and not ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def plain_s3(fake_aws):
    return boto3.client("s3")


@pytest.fixture
def stubbed(plain_s3):
    with Stubber(plain_s3) as stubber:
        yield IncomingBucket(plain_s3), stubber
        stubber.assert_no_pending_responses()


def test_an_object_that_its_event_calls_too_large_is_not_requested(stubbed):
    incoming, _ = stubbed
    with pytest.raises(RejectedImage, match="too_large"):
        incoming.read(an_upload(size_bytes=MAX_BYTES + 1))


def test_an_object_of_the_largest_size_is_read(stubbed):
    incoming, stubber = stubbed
    stubber.add_response("get_object", {"ContentLength": MAX_BYTES, "Body": io.BytesIO(b"hi")})
    assert incoming.read(an_upload(size_bytes=MAX_BYTES)) == b"hi"


class Unreadable(io.RawIOBase):
    def read(self, *_):
        raise AssertionError("read")


def test_an_object_that_turns_out_too_large_is_not_read(stubbed):
    incoming, stubber = stubbed
    stubber.add_response("get_object", {"ContentLength": MAX_BYTES + 1, "Body": Unreadable()})
    with pytest.raises(RejectedImage, match="too_large"):
        incoming.read(an_upload(size_bytes=0))


@pytest.mark.parametrize(
    "code", ["NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed", "404", "412"]
)
def test_every_error_of_s3_about_a_missing_object_means_gone(stubbed, code):
    incoming, stubber = stubbed
    stubber.add_client_error("get_object", code)
    with pytest.raises(RejectedImage, match=f"object_gone.*{code}"):
        incoming.read(an_upload())


def test_an_object_in_an_archive_tier_is_rejected_by_the_name_of_the_tier(stubbed):
    incoming, stubber = stubbed
    stubber.add_client_error(
        "get_object",
        "InvalidObjectState",
        http_status_code=403,
        service_error_meta={"StorageClass": "INTELLIGENT_TIERING", "AccessTier": "ARCHIVE_ACCESS"},
    )
    with pytest.raises(RejectedImage, match=r"archived: .* is in ARCHIVE_ACCESS: restore it"):
        incoming.read(an_upload())


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "KMS.AccessDeniedException",
        "KMS.DisabledException",
        "KMS.InvalidStateException",
        "KMS.KMSInvalidStateException",
        "KMS.NotFoundException",
    ],
)
def test_an_object_that_scones_may_not_read_fails_with_the_remedy(stubbed, code):
    incoming, stubber = stubbed
    stubber.add_client_error("get_object", code, "arn:aws:kms:us-east-1:111122223333:key/one is disabled.")
    with pytest.raises(AccessDenied, match=f"{code}: arn:.* is disabled.*KMS key.*make redrive") as denied:
        incoming.read(an_upload())
    assert reason_and_detail(Outcome.FAILED, caught(denied.value))[0] == "AccessDenied"


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown", "InternalError", "403"])
def test_any_other_error_of_s3_does_not_reject_the_image(stubbed, code):
    incoming, stubber = stubbed
    stubber.add_client_error("get_object", code)
    with pytest.raises(ClientError, match=code):
        incoming.read(an_upload())


def test_without_version_and_etag_the_object_is_read_as_it_is(stubbed):
    incoming, stubber = stubbed
    expected = {"Bucket": BUCKET, "Key": "van-07/bicycle.png"}
    stubber.add_response("get_object", {"ContentLength": 2, "Body": io.BytesIO(b"hi")}, expected)
    assert incoming.read(an_upload(version_id=None, etag="")) == b"hi"


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_its_lines_name_the_object_and_the_execution_and_hold_no_picture(s3, lines_of):
    read = lines_of(serialize)
    payload = invoke(put(s3, png_bytes()))
    text, (log,) = read()
    assert (log["bucket"], log["key"], log["correlation_id"]) == (BUCKET, "van-07/bicycle.png", EXECUTION)
    assert log["serialize_ms"] == payload["image"]["serialize_ms"]
    assert not log.keys() & {"function_name", "function_arn", "function_memory_size"}
    assert payload["body"] not in text
    assert payload["body"][40:80] not in text


def test_one_image_s_key_is_not_in_the_lines_of_the_next(s3, lines_of):
    read = lines_of(serialize)
    invoke(put(s3, png_bytes(), "first.png"))
    read()
    invoke(put(s3, png_bytes(), "second.png"))
    assert "first.png" not in read()[0]
