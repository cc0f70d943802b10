"""Images that wait: when the endpoint is asked again, and what becomes of a batch of them."""

import io
import json
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from analytics.lake.schema import row_from_message
from ingest.errors import OthersWait
from ingest.model_input import ModelInput
from ingest.upload import Upload
from ingest.waiting import COUNT_EVERY_S, MANY_WAIT, WaitingQueue
from tests.builders import FakeContext, an_event, png_bytes
from tests.template import template
from workflow import classify_waiting
from workflow.answers import Scores
from workflow.batch import Steps
from workflow.breaker import FIRST_PAUSE_S, LONGEST_PAUSE_S, Breaker
from workflow.classifier import Answer, Classifier
from workflow.errors import EndpointBusy, EndpointFault
from workflow.policy import Policy
from workflow.waiting import FEW, RESERVE_S, Decided, decide_waiting


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_new_breaker_lets_requests_pass() -> None:
    assert Breaker(Clock()).left_s == 0


def test_after_a_busy_answer_the_endpoint_is_left_alone_for_a_while() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    breaker.was_busy()
    assert breaker.left_s == FIRST_PAUSE_S
    clock.now_s += FIRST_PAUSE_S
    assert breaker.left_s == 0


def test_the_pause_doubles_up_to_a_minute_and_an_answer_ends_it() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    pauses = []
    for _ in range(9):
        breaker.was_busy()
        pauses.append(breaker.left_s)
        clock.now_s += breaker.left_s
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, LONGEST_PAUSE_S]
    breaker.was_busy()
    breaker.answered()
    assert breaker.left_s == 0
    breaker.was_busy()
    assert breaker.left_s == FIRST_PAUSE_S


def test_requests_at_the_same_time_that_are_all_refused_are_one_overload() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(8):
        breaker.was_busy()
    assert breaker.left_s == FIRST_PAUSE_S


def test_images_join_many_that_wait_by_a_count_that_is_seconds_old() -> None:
    clock, waiting = Clock(), iter([MANY_WAIT - 1, MANY_WAIT, 0])
    queue = WaitingQueue(lambda: next(waiting), clock)
    queue.check()  # a cold start does not count
    clock.now_s += COUNT_EVERY_S
    queue.check()  # a few others are those of a short peak
    clock.now_s += COUNT_EVERY_S
    for _ in range(2):
        with pytest.raises(OthersWait, match=f"^{MANY_WAIT} images wait"):
            queue.check()
        clock.now_s += COUNT_EVERY_S / 2 - 1
    clock.now_s += 2
    queue.check()  # they are gone
    assert list(waiting) == []


class Endpoint:
    """Takes single images only; says what it is told to about each, in turn, and then answers."""

    name = "scones"

    def __init__(self, *says: Exception, busy_from: int = 10**6, is_left_alone: bool = False) -> None:
        self.says = list(says)
        self.busy_from = busy_from
        self.lock = Lock()
        self.asked = 0
        self.is_left_alone = is_left_alone
        self.is_half_open = False

    def classify(self, image: bytes, content_type: str) -> Answer:
        with self.lock:
            self.asked += 1
            if self.asked > self.busy_from:
                raise EndpointBusy("throttled")
        if self.says:
            raise self.says.pop(0)
        return Answer(Scores([0.9, 0.1]), "m1")

    def classify_batch(self, images: Any, size_px: tuple[int, int]) -> list[Answer]:
        raise EndpointFault("415")


def a_record(key: str, receives: int = 1, execution_arn: str | None = "arn:one") -> dict[str, Any]:
    attribute = {"execution_arn": {"stringValue": execution_arn, "dataType": "String"}}
    return {
        "messageId": f"id of {key}",
        "receiptHandle": f"handle of {key}",
        "body": json.dumps(an_event(key)),
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": attribute if execution_arn else {},
    }


def in_time() -> float:
    return 39.0


def steps(endpoint: Classifier, read: Any = lambda upload: png_bytes()) -> Steps:
    return Steps(read, ModelInput.square(8), endpoint, Policy(("bicycle", "motorcycle"), 0.6, {}))


@pytest.fixture(autouse=True)
def pauses_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let pauses take no time; return how long they would have taken."""
    pauses_s: list[float] = []
    monkeypatch.setattr("workflow.batch.time.sleep", pauses_s.append)
    return pauses_s


def test_images_that_waited_are_decided_as_their_executions_would_have() -> None:
    decided = decide_waiting(
        steps(Endpoint()), [a_record("a"), a_record("b", execution_arn="arn:two")], in_time
    )
    rows = [row_from_message(message) for message in decided.messages]
    assert [(row["key"], row["outcome"], row["execution_arn"]) for row in rows] == [
        ("a", "accepted", "arn:one"),
        ("b", "accepted", "arn:two"),
    ]
    assert rows[0]["upload_id"] == Upload.from_event(an_event("a")).upload_id
    assert decided.waiting == []


def test_an_event_that_was_sent_by_hand_has_a_row_too() -> None:
    (message,) = decide_waiting(steps(Endpoint()), [a_record("a", execution_arn=None)], in_time).messages
    assert row_from_message(message)["execution_arn"] == "id of a"


def test_what_finds_no_capacity_goes_on_waiting_and_the_others_are_decided() -> None:
    endpoint = Endpoint(busy_from=3)
    decided = decide_waiting(steps(endpoint), [a_record(str(number)) for number in range(6)], in_time)
    assert (len(decided.messages), len(decided.waiting)) == (3, 3)
    assert endpoint.asked == 6 + 1  # it is still busy: the other two are not asked again


def test_images_that_no_time_is_left_for_go_on_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow.waiting.PART_BYTES", 2 * Upload.from_event(an_event("a")).size_bytes)
    left = iter([RESERVE_S + 1, RESERVE_S - 1, 0.0])
    records = [a_record(str(number)) for number in range(5)]
    decided = decide_waiting(steps(Endpoint()), records, lambda: next(left))
    assert (len(decided.messages), decided.waiting_ids) == (2, ["id of 2", "id of 3", "id of 4"])


@pytest.mark.parametrize("busy", [1, 3])
def test_a_peak_within_a_batch_is_asked_again_one_after_the_other(busy: int, pauses_s: list[float]) -> None:
    endpoint = Endpoint(*[EndpointBusy("throttled")] * busy)
    decided = decide_waiting(steps(endpoint), [a_record(str(number)) for number in range(4)], in_time)
    assert (len(decided.messages), endpoint.asked) == (4, 4 + busy)
    (pause_s,) = pauses_s
    assert pause_s > 0


GATHERED_S = 5.0
"""Time for which the queue gathers a batch."""


def gray(level: int) -> bytes:
    return png_bytes(Image.new("RGB", (8, 8), (level, level, level)))


class TooSlowForOne:
    """Takes batches, and is busy whenever one image is among those that are asked about."""

    name = "scones"

    def __init__(self, clock: Clock, slow: bytes) -> None:
        self.breaker = Breaker(clock)
        self.slow = slow

    @property
    def is_left_alone(self) -> bool:
        return self.breaker.left_s > 0

    @property
    def is_half_open(self) -> bool:
        return self.breaker.is_half_open

    def classify(self, image: bytes, content_type: str) -> Answer:
        with Image.open(io.BytesIO(image)) as picture:
            (answer,) = self.classify_batch([picture.tobytes()], picture.size)
        return answer

    def classify_batch(self, images: Any, size_px: tuple[int, int]) -> list[Answer]:
        if self.breaker.left_s:
            raise EndpointBusy("left alone")
        if self.slow in images:
            self.breaker.was_busy()
            raise EndpointBusy("timed out")
        self.breaker.answered()
        return [Answer(Scores([0.9, 0.1]), "m1")] * len(images)


@pytest.mark.parametrize("slow", ["13", "20"])
@pytest.mark.parametrize("usual_s", [45, 300])
def test_an_image_that_takes_too_long_does_not_hold_up_others_for_ever(slow: str, usual_s: int) -> None:
    """Whether it comes with many others, or alone and before them: what comes together goes on doing so."""
    files = {f"1{number}": gray(number) for number in range(FEW + 2)} | {"20": gray(99)}
    with Image.open(io.BytesIO(files[slow])) as picture:
        clock = Clock()
        endpoint = TooSlowForOne(clock, picture.tobytes())
    for _ in range(7):  # it has been busy for so long that a pause of a minute follows
        endpoint.breaker.was_busy()
        clock.now_s += endpoint.breaker.left_s
    one_by_one = steps(endpoint, lambda upload: files[upload.key])
    back_at = {key: clock.now_s + (0 if key == "20" else 8) for key in files}
    for _ in range(400):
        clock.now_s = max(clock.now_s, min(back_at.values()) + GATHERED_S)
        batch = [key for key, at in back_at.items() if at <= clock.now_s]
        decided = decide_waiting(one_by_one, [a_record(key, receives=2) for key in batch], in_time)
        again = decided.shown_again(usual_s)
        for key in batch:
            back_at[key] = clock.now_s + again.get(f"handle of {key}", usual_s)
        for key in set(batch) - {id_.removeprefix("id of ") for id_ in decided.waiting_ids}:
            del back_at[key]
        if not back_at:
            break
    assert list(back_at) == [slow]


def test_few_that_are_tried_again_come_back_within_the_usual_time_and_many_at_its_end() -> None:
    few = [a_record(str(number), receives=2) for number in range(10)]
    again = Decided(messages=[], waiting=[*few]).shown_again(300)
    assert again.keys() == {record["receiptHandle"] for record in few}
    assert all(210 <= after_s <= 300 for after_s in again.values())
    assert max(again.values()) - min(again.values()) > 10
    many = [a_record(str(number), receives=2) for number in range(11)]
    first = a_record("first")
    assert list(Decided(messages=[], waiting=[*many, first]).shown_again(300)) == ["handle of first"]


def test_where_the_one_that_asks_first_finds_it_busy_all_go_on_waiting() -> None:
    endpoint = Endpoint(EndpointBusy("throttled"))
    endpoint.is_half_open = True
    decided = decide_waiting(steps(endpoint), [a_record(str(number)) for number in range(4)], in_time)
    assert (decided.messages, len(decided.waiting), endpoint.asked) == ([], 4, 1)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_after_a_trial_each_image_has_its_own_answer(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {str(number): gray(150 + 20 * number) for number in range(images)}

    class OfPixels(Endpoint):
        def classify(self, image: bytes, content_type: str) -> Answer:
            with Image.open(io.BytesIO(image)) as picture:
                share = picture.tobytes()[0] / 255
            return Answer(Scores([share, 1 - share]), "m1")

    records = [a_record(key) for key in files]
    usual = decide_waiting(steps(OfPixels(), lambda upload: files[upload.key]), records, in_time)
    for place in range(images):
        monkeypatch.setattr("workflow.batch.random.randrange", lambda _, place=place: place)
        endpoint = OfPixels()
        endpoint.is_half_open = True
        tried = decide_waiting(steps(endpoint, lambda upload: files[upload.key]), records, in_time)
        assert [m["prediction"]["confidence"] for m in tried.messages] == [
            m["prediction"]["confidence"] for m in usual.messages
        ]


def test_an_endpoint_that_is_down_is_not_asked_and_no_image_is_read() -> None:
    endpoint = Endpoint(is_left_alone=True)

    def read(upload: Upload) -> bytes:
        raise AssertionError("read in vain")

    decided = decide_waiting(steps(endpoint, read), [a_record("a"), a_record("b", receives=2)], in_time)
    assert (decided.messages, endpoint.asked) == ([], 0)
    assert decided.waiting_ids == ["id of a", "id of b"]
    assert list(decided.shown_again(300)) == ["handle of a", "handle of b"]


def test_originals_are_in_memory_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = []
    run_each = Steps.run_each

    def counting(steps: Steps, events: Any, arns: Any) -> Any:
        parts.append(len(events))
        return run_each(steps, events, arns)

    monkeypatch.setattr(Steps, "run_each", counting)
    monkeypatch.setattr("workflow.waiting.PART_BYTES", 2.5 * Upload.from_event(an_event("a")).size_bytes)
    decided = decide_waiting(steps(Endpoint()), [a_record(str(number)) for number in range(5)], in_time)
    assert (parts, len(decided.messages)) == ([2, 2, 1], 5)


def test_what_is_no_upload_is_left_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = decide_waiting(steps(Endpoint()), [{**a_record("a"), "body": "{}"}, a_record("b")], in_time)
    assert [message["outcome"] for message in decided.messages] == ["failed", "accepted"]


def test_a_message_that_is_not_json_stops_no_other() -> None:
    decided = decide_waiting(steps(Endpoint()), [{**a_record("a"), "body": "tried"}, a_record("b")], in_time)
    assert (decided.waiting_ids, len(decided.messages)) == (["id of a"], 1)


def test_a_model_that_fails_for_every_image_fails_them() -> None:
    """They would come again for days, and have no row."""
    broken = steps(Endpoint(*[EndpointFault("it crashed")] * 4))
    decided = decide_waiting(broken, [a_record("a"), a_record("b")], in_time)
    rows = [row_from_message(message) for message in decided.messages]
    assert {(row["outcome"], row["reason"], row["detail"]) for row in rows} == {
        ("failed", "EndpointFault", "it crashed")
    }


def test_a_model_that_fails_for_every_image_leaves_a_corrupt_one_rejected() -> None:
    images = {"a": png_bytes(), "b": b"no image at all"}
    broken = steps(Endpoint(*[EndpointFault("it crashed")] * 4), lambda upload: images[upload.key])
    decided = decide_waiting(broken, [a_record("a"), a_record("b")], in_time)
    rows = [row_from_message(message) for message in decided.messages]
    assert [(row["outcome"], row["image_format"]) for row in rows] == [("failed", "png"), ("rejected", None)]


def test_images_that_are_tried_together_are_soon_apart() -> None:
    records = [a_record(str(number)) for number in range(30)]
    pauses_s = set(Decided(messages=[], waiting=[*records]).shown_again(300).values())
    assert len(pauses_s) > 5
    waits = template()["Resources"]["ClassifyWaitingFunction"]["Properties"]["Events"]["Images"]["Properties"]
    for other in records[1:]:
        first_s, second_s = Decided(messages=[], waiting=[records[0], other]).shown_again(300).values()
        assert second_s - first_s > waits["MaximumBatchingWindowInSeconds"]


def test_the_lambda_sends_what_is_decided_and_returns_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    shown: list[Any] = []

    class Queue:
        def send(self, messages: Any) -> None:
            sent.extend(messages)

        def show_again(self, after_s: Any) -> None:
            shown.append(after_s)

    busy = Endpoint(*[EndpointBusy("down")] * 2)
    monkeypatch.setenv("WAITING_SECONDS", "300")
    monkeypatch.setattr(classify_waiting, "steps", lambda: steps(busy))
    monkeypatch.setattr(classify_waiting, "results_queue", Queue)
    monkeypatch.setattr(classify_waiting, "waiting_images", Queue)
    answer = classify_waiting.lambda_handler({"Records": [a_record("a"), a_record("b")]}, FakeContext())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "id of a"}, {"itemIdentifier": "id of b"}]}
    assert sent == []
    (after_s,) = shown
    assert list(after_s) == ["handle of a", "handle of b"]
    assert all(5 <= seconds <= 15 for seconds in after_s.values())
    answer = classify_waiting.lambda_handler({"Records": [a_record("a")]}, FakeContext())
    assert answer == {"batchItemFailures": []}
    assert len(sent) == 1


def test_the_lambda_counts_its_time_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Endpoint()
    monkeypatch.setenv("WAITING_SECONDS", "300")
    monkeypatch.setattr(classify_waiting, "steps", lambda: steps(endpoint))
    monkeypatch.setattr(classify_waiting, "results_queue", lambda: SimpleNamespace(send=list))
    monkeypatch.setattr(classify_waiting, "waiting_images", lambda: SimpleNamespace(show_again=dict))
    late = FakeContext()
    monkeypatch.setattr(late, "get_remaining_time_in_millis", lambda: (RESERVE_S - 0.1) * 1000)
    answer = classify_waiting.lambda_handler({"Records": [a_record("a")]}, late)
    assert (len(answer["batchItemFailures"]), endpoint.asked) == (1, 0)
