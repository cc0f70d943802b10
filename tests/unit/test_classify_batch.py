import io
import json
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, IncompleteReadError
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.lake.schema import row_from_message
from ingest import serialize
from ingest.errors import RejectedImage
from ingest.image import prepare
from ingest.model_input import ModelInput, npy_header
from ingest.waiting import WaitingQueue
from tests.builders import FakeContext, a_picture, an_event, jpeg_bytes, noise, png_bytes
from workflow import classify, classify_batch, decide
from workflow.answers import Scores
from workflow.aws import NotSent, ResultsQueue, WaitingImages
from workflow.batch import ATTEMPTS, REQUEST_MAX_BYTES, Steps
from workflow.classifier import Answer
from workflow.errors import EndpointBusy, EndpointFault
from workflow.outcome import caught, messages_of
from workflow.policy import Policy

SIZE_PX = 32
FORM = ModelInput.square(SIZE_PX)
POLICY = Policy(("bicycle", "motorcycle"), 0.6, {})
OBJECTS = {
    "good.png": png_bytes(a_picture()),
    "other.jpg": jpeg_bytes(noise(200, 100)),
    "gray.png": png_bytes(a_picture().convert("L")),
    "empty.png": b"",
    "letter.txt": b"Dear Scones",
    "cut.png": png_bytes(noise(64, 64))[:900],
    "gone.png": RejectedImage("object_gone", "s3://b/gone.png was deleted or replaced (NoSuchKey)"),
    "forbidden.png": ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetObject"),
}
SOUND = ["good.png", "other.jpg", "gray.png"]


def scores_of(pixels: bytes) -> list[float]:
    share = sum(pixels) / (255 * len(pixels))
    return [share, 1 - share]


@dataclass
class FakeEndpoint:
    """Scores an image by its brightness, however it comes; `spoils` says what it does instead."""

    name: str = "scones"
    takes_batches: bool = True
    spoils: dict[bytes, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_left_alone: bool = False
    is_half_open: bool = False

    def classify(self, image, content_type):
        from PIL import Image

        self.asked.append("image")
        answer = self._answer(Image.open(io.BytesIO(image)).tobytes())
        if isinstance(answer, Exception):
            raise answer
        return Answer(Scores(answer), "m1")

    def classify_batch(self, images, size_px):
        self.asked.append("batch")
        assert all(len(image) == size_px[0] * size_px[1] * 3 for image in images)
        answers = [self._answer(image) for image in images]
        if not self.takes_batches or any(isinstance(answer, Exception) for answer in answers):
            raise EndpointFault("endpoint scones: ModelError: 415")
        return [Answer(Scores(answer), "m1") for answer in answers]

    def _answer(self, pixels):
        return self.spoils.get(pixels, scores_of(pixels))


def read(upload):
    found = OBJECTS[upload.key]
    if isinstance(found, Exception):
        raise found
    return found


def run(keys, endpoint=None, read=read):
    steps = Steps(read, FORM, endpoint or FakeEndpoint(), POLICY)
    messages = steps.run([an_event(key) for key in keys], "arn:children")
    return json.loads(json.dumps(messages))


def pixels_of(key):
    return prepare(OBJECTS[key], SIZE_PX).pixels.tobytes()


@pytest.fixture
def one_by_one(monkeypatch):
    """Take an image through the three Lambdas of the other path, as the state machine does."""
    endpoint = FakeEndpoint()
    reader = type("Reader", (), {"read": staticmethod(read)})
    monkeypatch.setattr(serialize, "incoming_bucket", lambda: reader)
    monkeypatch.setattr(serialize, "waiting_queue", lambda: WaitingQueue(lambda: 0))
    monkeypatch.setattr(serialize, "model_input", lambda: FORM)
    monkeypatch.setattr(classify, "endpoint", lambda: endpoint)
    monkeypatch.setattr(decide, "policy", lambda: POLICY)

    def take(key):
        message = {
            "event": an_event(key),
            "decided_at": "2026-11-16T09:30:01Z",
            "image": None,
            "prediction": None,
            "error": None,
        }
        context = FakeContext()
        try:
            serialized = serialize.lambda_handler({"event": message["event"]}, context)
            message["image"] = serialized["image"]
            decided = decide.lambda_handler(classify.lambda_handler(serialized, context), context)
        except Exception as error:
            outcome = "rejected" if isinstance(error, RejectedImage) else "failed"
            return {**message, "outcome": outcome, "error": caught(error)}
        return {**message, **decided}

    return take


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
@pytest.mark.parametrize("takes_batches", [True, False])
def test_an_image_has_the_same_row_as_by_its_event(one_by_one, takes_batches):
    measured = {"serialize_ms", "classify_ms", "decided_at", "execution_arn"}
    for message in run(OBJECTS, FakeEndpoint(takes_batches=takes_batches)):
        in_batch = row_from_message(message)
        alone = row_from_message(json.loads(json.dumps(one_by_one(in_batch["key"]))))
        assert {k: v for k, v in in_batch.items() if k not in measured} == {
            k: v for k, v in alone.items() if k not in measured
        }


def test_the_time_of_an_image_holds_that_of_reading_it():
    def slowly(upload):
        time.sleep(0.03)
        return read(upload)

    (message,) = run(["good.png"], read=slowly)
    assert 30 <= message["image"]["serialize_ms"] < 60_000


@pytest.mark.filterwarnings("ignore:Metrics and metadata")
def test_the_lambda_sends_one_outcome_for_each_image(monkeypatch):
    sent: list[Any] = []
    steps = Steps(read, FORM, FakeEndpoint(), POLICY)
    monkeypatch.setattr(classify_batch, "steps", lambda: steps)
    monkeypatch.setattr(classify_batch, "results_queue", lambda: SimpleNamespace(send=sent.extend))
    request = {"events": [an_event(key) for key in OBJECTS], "execution_arn": "arn:children"}
    assert classify_batch.lambda_handler(request, FakeContext()) == {"images": len(OBJECTS)}
    assert [message["event"] for message in sent] == request["events"]
    assert {message["execution_arn"] for message in sent} == {"arn:children"}


def test_a_bad_image_affects_no_other():
    rows = {row["key"]: row for row in map(row_from_message, run(OBJECTS))}
    assert {key: row["reason"] for key, row in rows.items() if row["outcome"] == "rejected"} == {
        "empty.png": "empty",
        "letter.txt": "not_an_image",
        "cut.png": "corrupt",
        "gone.png": "object_gone",
    }
    assert rows["forbidden.png"]["outcome"] == "failed"
    assert rows["forbidden.png"]["reason"] == "ClientError"
    assert all(rows[key]["outcome"] in ("accepted", "needs_review") for key in SOUND)


@given(st.lists(st.sampled_from(sorted(OBJECTS)), max_size=12))
def test_messages_come_in_the_order_of_the_events(keys):
    messages = run(keys)
    assert [message["event"]["detail"]["object"]["key"] for message in messages] == keys


def test_a_batch_without_an_intact_image_makes_no_request():
    endpoint = FakeEndpoint()
    run(["empty.png", "gone.png"], endpoint)
    assert endpoint.asked == []


def test_a_batch_of_large_images_is_several_requests_of_bounded_size():
    bodies = []

    class Endpoint(FakeEndpoint):
        def classify_batch(self, images, size_px):
            bodies.append(sum(map(len, images)))
            return super().classify_batch(images, size_px)

    steps = Steps(read, ModelInput(700, 500), Endpoint(), POLICY)
    messages = steps.run([an_event(key) for key in SOUND * 2], "arn:children")
    assert sorted(bodies) == [3 * 700 * 500 * 3] * 2
    assert max(bodies) <= REQUEST_MAX_BYTES
    assert [message["event"]["detail"]["object"]["key"] for message in messages] == SOUND * 2


def test_an_endpoint_that_gets_jpeg_gets_it_from_a_batch_too():
    asked = []

    class Endpoint(FakeEndpoint):
        def classify(self, image, content_type):
            asked.append((image[:2], content_type))
            return Answer(Scores([0.5, 0.5]), "m1")

    steps = Steps(read, ModelInput(32, 32, jpeg_quality=90, content_type="image/jpeg"), Endpoint(), POLICY)
    steps.run([an_event("good.png")], "arn:children")
    assert asked == [(b"\xff\xd8", "image/jpeg")]


def test_an_intact_batch_is_one_request():
    endpoint = FakeEndpoint()
    run(SOUND, endpoint)
    assert endpoint.asked == ["batch"]


def test_an_image_that_the_model_fails_on_fails_alone():
    endpoint = FakeEndpoint(spoils={pixels_of("good.png"): EndpointFault("endpoint scones: it crashed")})
    rows = {row["key"]: row for row in map(row_from_message, run(SOUND, endpoint))}
    assert (rows["good.png"]["outcome"], rows["good.png"]["reason"]) == ("failed", "EndpointFault")
    assert rows["good.png"]["image_format"] == "png"
    assert rows["other.jpg"]["outcome"] != "failed"


@pytest.mark.parametrize("scores", [[0.5], [None, 1.0], [2, -1], "no list", 7, None, []])
def test_invalid_scores_fail_only_their_image(scores):
    endpoint = FakeEndpoint(spoils={pixels_of("good.png"): scores})
    rows = {row["key"]: row for row in map(row_from_message, run(SOUND, endpoint))}
    assert (rows["good.png"]["outcome"], rows["good.png"]["reason"]) == ("failed", "InvalidScores")
    assert rows["other.jpg"]["outcome"] != "failed"


def test_an_answer_of_another_model_version_fails_and_is_no_label():
    policy = Policy(POLICY.classes, POLICY.threshold, {}, model_version="m2")
    steps = Steps(read, FORM, FakeEndpoint(), policy)  # it says m1
    for row in map(row_from_message, steps.run([an_event(key) for key in SOUND], "arn:children")):
        assert (row["outcome"], row["reason"], row["label"]) == ("failed", "wrong_model", None)


def test_an_answer_of_the_right_model_version_counts():
    policy = Policy(POLICY.classes, POLICY.threshold, {}, model_version="m1")
    for message in Steps(read, FORM, FakeEndpoint(), policy).run([an_event(key) for key in SOUND], "arn:x"):
        assert message["outcome"] in {"accepted", "needs_review"}


def test_the_time_of_an_image_holds_its_share_of_the_endpoint_s():
    class Slow(FakeEndpoint):
        def classify_batch(self, images, size_px):
            time.sleep(0.04)
            return super().classify_batch(images, size_px)

    started = time.perf_counter()
    shares_ms = [message["prediction"]["classify_ms"] for message in run(SOUND, Slow())]
    elapsed_ms = (time.perf_counter() - started) * 1000
    assert 40 / len(SOUND) <= min(shares_ms)
    assert sum(shares_ms) <= elapsed_ms + 0.1  # each is rounded


@pytest.mark.parametrize("keys", [OBJECTS, ["good.png"]])
def test_an_endpoint_that_fails_for_all_is_raised_so_that_the_batch_is_retried(keys):
    fault = EndpointFault("endpoint scones: it is broken")
    endpoint = FakeEndpoint(spoils={pixels_of(key): fault for key in SOUND})
    with pytest.raises(EndpointFault, match="it is broken"):
        run(keys, endpoint)


def test_a_busy_endpoint_is_raised():
    class Busy(FakeEndpoint):
        def classify_batch(self, images, size_px):
            raise EndpointBusy("endpoint scones: ThrottlingException")

    with pytest.raises(EndpointBusy):
        run(SOUND, Busy())


def test_a_read_that_ends_early_is_retried():
    tried = []

    def breaks_once(upload):
        tried.append(upload.key)
        if len(tried) == 1:
            raise IncompleteReadError(actual_bytes=5, expected_bytes=9)
        return read(upload)

    (message,) = run(["good.png"], read=breaks_once)
    assert message["outcome"] != "failed"
    assert len(tried) == ATTEMPTS


@pytest.mark.parametrize("key", ["good.png", "gone.png"])
def test_an_image_that_was_read_or_is_at_fault_is_not_read_again(key):
    tried = []

    def once(upload):
        tried.append(upload.key)
        return read(upload)

    run([key], read=once)
    assert tried == [key]


@given(st.integers(1, 10**6), st.integers(8, 48))
def test_a_batch_travels_as_a_file_that_numpy_reads(count, size_px):
    header = npy_header((count, size_px, size_px, 3))
    stream = io.BytesIO(header)
    assert np.lib.format.read_magic(stream) == (1, 0)
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    assert (shape, fortran_order, dtype) == ((count, size_px, size_px, 3), False, np.dtype(np.uint8))
    assert stream.tell() == len(header)
    assert len(header) % 64 == 0


# ── the queue ──────────────────────────────────────────────────────────────────────────────────────────────


class FakeSqs:
    """Takes messages, and refuses each as often as `refusals` says."""

    def __init__(self, refusals=0):
        self.refusals = refusals
        self.refused: dict[str, int] = {}
        self.taken: list[str] = []
        self.requests: list[list[str]] = []

    def send_message_batch(self, QueueUrl, Entries):
        assert QueueUrl == "queue"
        bodies = [entry["MessageBody"] for entry in Entries]
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        self.requests.append(bodies)
        failed = []
        for number, (entry, body) in enumerate(zip(Entries, bodies, strict=True)):
            if number % 2 and self.refused.get(body, 0) < self.refusals:
                self.refused[body] = self.refused.get(body, 0) + 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.taken.append(body)
        return {"Failed": failed} if failed else {}


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr("workflow.aws._SEND_PAUSE_S", 0)


@given(st.lists(st.integers(1, 120_000), max_size=40))
@example([100_000] * 3)
@example([30_000] * 3)
def test_outcomes_are_sent_once_each_in_messages_that_the_queue_takes(lengths):
    sqs = FakeSqs()
    messages = [{"number": number, "text": "x" * length} for number, length in enumerate(lengths)]
    ResultsQueue(sqs, "queue").send(messages)
    assert [message for body in sqs.taken for message in messages_of(body)] == messages
    assert all(len(bodies) <= 10 for bodies in sqs.requests)
    assert all(sum(map(len, bodies)) <= 262_144 for bodies in sqs.requests)
    assert all(len(body) <= 65_536 or len(messages_of(body)) == 1 for body in sqs.taken)


def test_a_request_has_no_byte_more_than_the_queue_takes():
    sqs = FakeSqs()
    ResultsQueue(sqs, "queue").send_bodies("x" * length for length in (65_537, 65_537, 65_537, 65_534))
    assert [len(bodies) for bodies in sqs.requests] == [3, 1]  # all four have 262,145 bytes


def test_refused_messages_are_retried(no_pauses):
    sqs = FakeSqs(refusals=1)
    ResultsQueue(sqs, "queue").send_bodies(str(number) for number in range(25))
    assert sorted(map(int, sqs.taken)) == list(range(25))


@pytest.mark.parametrize("said", [{}, {"Message": "no room"}])
def test_a_message_that_is_refused_every_time_is_an_error_with_its_reason(no_pauses, said):
    class Full(FakeSqs):
        def send_message_batch(self, QueueUrl, Entries):
            refusal = {"Id": Entries[-1]["Id"], "Code": "InternalError", "SenderFault": False}
            return {"Failed": [refusal | said]}

    why = said.get("Message", "InternalError")
    with pytest.raises(NotSent, match=f"^1 of 10 messages were not accepted by queue: {why}$"):
        ResultsQueue(Full(), "queue").send_bodies(str(number) for number in range(25))


def test_images_that_wait_are_shown_again_by_tens_and_a_refusal_stops_no_other(caplog):
    asked: list[dict[str, int]] = []

    class Sqs:
        def change_message_visibility_batch(self, QueueUrl, Entries):
            assert QueueUrl == "queue"
            assert len({entry["Id"] for entry in Entries}) == len(Entries)
            asked.append({entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries})
            if len(asked) == 1:
                raise ClientError({"Error": {"Code": "Throttled"}}, "ChangeMessageVisibilityBatch")

    after_s = {f"handle {number}": number for number in range(12)}
    WaitingImages(Sqs(), "queue").show_again(after_s)
    assert [len(some) for some in asked] == [10, 2]
    assert asked[0] | asked[1] == after_s
    assert "are not shown again soon" in caplog.text
