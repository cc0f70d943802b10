"""Classifies a batch of images: each ends as one outcome, whatever happens to the others.

A fault of one image rejects or fails that image, with the reason that the state machine of single images
would give. A fault that affects every image is the endpoint's: it is raised, and the batch is retried.
"""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from ingest.aws import IncomingBucket, read_object
from ingest.errors import RejectedImage
from ingest.image import PreparedImage, prepare_for
from ingest.model_input import ModelInput
from ingest.upload import Upload, utc_text
from workflow.aws import BATCH_TIMEOUT_S, connect_classifier
from workflow.classifier import Answer, Classifier
from workflow.errors import (
    EndpointBusy,
    EndpointFault,
    InvalidScores,
    UnclearAnswer,
    UnknownLabel,
    WrongModel,
)
from workflow.outcome import Outcome, caught
from workflow.payload import to_payload
from workflow.policy import Policy, decide

THREADS = 8
"""Objects that are read at once, and requests at once where the endpoint does not take batches."""
BUSY_PAUSE_S = 1.2
"""Pause before the endpoint is asked again about images of the batch that it had no capacity for."""
ATTEMPTS = 2
"""Attempts to read an object, as many as the state machine of single images makes."""
REQUEST_MAX_BYTES = 4_000_000
"""Limit of the pixels of one request. A serverless endpoint takes 4 MB, others 6 MB."""


@dataclass(frozen=True)
class _Prepared:
    image: PreparedImage
    facts: dict[str, Any]


@dataclass(frozen=True)
class Steps:
    """The steps of a batch, the same as for single images."""

    read: Callable[[Upload], bytes]
    form: ModelInput
    endpoint: Classifier
    policy: Policy

    @classmethod
    def connect(cls, said: Mapping[str, str]) -> "Steps":
        """Return the steps with clients of their own, as an environment says."""
        return cls(
            read=IncomingBucket.connect().read,
            form=ModelInput.from_mapping(said),
            endpoint=connect_classifier(said, BATCH_TIMEOUT_S),
            policy=Policy.from_mapping(said, read_object),
        )

    def run(self, events: Sequence[Mapping[str, Any]], execution_arn: str) -> list[dict[str, Any]]:
        """Return one outcome message per event (see `workflow.outcome`), in their order.

        Raises:
            EndpointBusy: the endpoint has no capacity for an image of this batch.
            EndpointFault: it failed for every image of the batch.
        """
        messages = []
        for message in self.run_each(events, [execution_arn] * len(events)):
            if isinstance(message, EndpointBusy):
                raise message
            messages.append(message)
        faults = [message["error"] for message in messages if message["image"]]
        if faults and all(error and error["Error"] == EndpointFault.__name__ for error in faults):
            raise EndpointFault(json.loads(faults[0]["Cause"])["errorMessage"])
        return messages

    def run_each(
        self, events: Sequence[Mapping[str, Any]], execution_arns: Sequence[str]
    ) -> list[dict[str, Any] | EndpointBusy]:
        """Return one outcome message per event, or that the endpoint had no capacity for it."""
        if self.endpoint.is_left_alone:  # reading and decoding would be in vain
            return [EndpointBusy(f"endpoint {self.endpoint.name} is busy")] * len(events)
        prepared = list(self._prepare(events))
        decided = iter(self._decide([each for each in prepared if isinstance(each, _Prepared)]))
        decided_at = utc_text(datetime.now(UTC), "milliseconds")
        messages: list[dict[str, Any] | EndpointBusy] = []
        for event, execution_arn, each in zip(events, execution_arns, prepared, strict=True):
            outcome = _unseen(each) if isinstance(each, Exception) else next(decided)
            if isinstance(outcome, EndpointBusy):
                messages.append(outcome)
                continue
            seen = {} if isinstance(each, Exception) else {"image": each.facts}
            origin = {"event": event, "decided_at": decided_at, "execution_arn": execution_arn}
            messages.append({**origin, **seen, **outcome})
        return messages

    def _prepare(self, events: Iterable[Mapping[str, Any]]) -> Iterator[_Prepared | Exception]:
        """Read objects in parallel, and decode one after the other, which limits memory."""
        with ThreadPoolExecutor(THREADS) as pool:
            for data, read_s in pool.map(self._read, events):
                started = perf_counter()
                try:
                    if isinstance(data, Exception):
                        raise data
                    image = prepare_for(self.form, data)
                except Exception as error:
                    yield error
                else:
                    facts: dict[str, Any] = dict(image.facts())
                    facts["serialize_ms"] = round((read_s + perf_counter() - started) * 1000, 2)
                    yield _Prepared(image, facts)

    def _read(self, event: Mapping[str, Any]) -> tuple[bytes | Exception, float]:
        started = perf_counter()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                data: bytes | Exception = self.read(Upload.from_event(event))
                break
            except Exception as error:
                data = error
                if isinstance(error, RejectedImage) or attempt == ATTEMPTS:
                    break
        return data, perf_counter() - started

    def _decide(self, prepared: Sequence[_Prepared]) -> Iterator[dict[str, Any] | EndpointBusy]:
        if not prepared:
            return
        started = perf_counter()
        answers = self._answers([each.image for each in prepared])
        # Each image gets its share of the batch's time.
        classify_ms = round((perf_counter() - started) * 1000 / len(prepared), 2)
        for answer in answers:
            if isinstance(answer, EndpointBusy):
                yield answer
                continue
            if isinstance(answer, Exception):
                yield _failed(answer)
                continue
            source = {
                "model_version": answer.model_version,
                "endpoint": self.endpoint.name,
                "classify_ms": classify_ms,
            }
            try:
                self.policy.check_version(answer.model_version)
                yield {**to_payload(decide(answer.scores, self.policy), source), "error": None}
            except (InvalidScores, UnknownLabel, WrongModel) as error:
                yield _failed(error)

    def _answers(self, images: Sequence[PreparedImage]) -> list[Answer | Exception]:
        """Let one image ask first, any of them, where the endpoint was busy the last time.

        There may be an image for which it is always busy, because it takes too long. With all at once, it
        would hold up the same others each time, and other batches as well, while the endpoint is left alone.
        """
        if not self.endpoint.is_half_open:
            return self._answers_to_all(images)
        place = random.randrange(len(images))
        first = self._ask(images[place])
        if isinstance(first, EndpointBusy):
            return [first] * len(images)
        others = [*images[:place], *images[place + 1 :]]
        answers = self._answers_to_all(others) if others else []
        return [*answers[:place], first, *answers[place:]]

    def _answers_to_all(self, images: Sequence[PreparedImage]) -> list[Answer | Exception]:
        """Send the whole batch, in requests of bounded size; where that fails, each image on its own.

        This serves an endpoint that takes single images only, such as SageMaker's built-in algorithm. It also
        isolates an image that makes the model fail. An endpoint that gets JPEG from the other path gets it
        here too, so that the scores are the same.
        """
        if self.form.jpeg_quality:
            return self._answers_one_by_one(images)
        at_once = max(REQUEST_MAX_BYTES // self.form.pixel_bytes, 1)
        parts = [images[start : start + at_once] for start in range(0, len(images), at_once)]
        try:
            with ThreadPoolExecutor(THREADS) as pool:
                return [answer for answers in pool.map(self._ask_for_all, parts) for answer in answers]
        except (EndpointFault, UnclearAnswer):
            return self._answers_one_by_one(images)

    def _ask_for_all(self, images: Sequence[PreparedImage]) -> Sequence[Answer | Exception]:
        pixels = [image.pixels.tobytes() for image in images]
        try:
            return self.endpoint.classify_batch(pixels, self.form.size_px)
        except EndpointBusy as busy:
            return [busy] * len(images)

    def _answers_one_by_one(self, images: Sequence[PreparedImage]) -> list[Answer | Exception]:
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(self._ask, images))
        self._ask_the_busy_again(images, answers)
        return answers

    def _ask_the_busy_again(self, images: Sequence[PreparedImage], answers: list[Answer | Exception]) -> None:
        """Ask one after the other where requests at the same time were too many; stop if that is, too."""
        busy = [number for number, answer in enumerate(answers) if isinstance(answer, EndpointBusy)]
        if len(busy) in (0, len(answers)):
            return
        time.sleep(BUSY_PAUSE_S)
        for number in busy:
            answers[number] = self._ask(images[number])
            if isinstance(answers[number], EndpointBusy):
                return

    def _ask(self, image: PreparedImage) -> Answer | Exception:
        try:
            return self.endpoint.classify(self.form.file_of(image.pixels), self.form.content_type)
        except (EndpointBusy, EndpointFault, UnclearAnswer) as error:
            return error


def _unseen(error: Exception) -> dict[str, Any]:
    outcome = Outcome.REJECTED if isinstance(error, RejectedImage) else Outcome.FAILED
    return {"image": None, "outcome": outcome, "prediction": None, "error": caught(error)}


def _failed(error: Exception) -> dict[str, Any]:
    return {"outcome": Outcome.FAILED, "prediction": None, "error": caught(error)}
