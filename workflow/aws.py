"""Calls the endpoint and translates SageMaker's errors, or loads the model; sends outcomes to the queue."""

import http
import json
import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any
from uuid import uuid4

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from ingest.aws import signed
from ingest.model_input import PIXELS_TYPE, npy_header
from ingest.session import use_lean_session
from workflow.answers import PROBABILITIES, NotReadable, Scores, read_answer_to
from workflow.breaker import Breaker
from workflow.classifier import IN_LAMBDA, Answer, Classifier, ModelInLambda
from workflow.errors import EndpointBusy, EndpointFault, UnclearAnswer
from workflow.policy import INFERENCE_ID_PREFIX

logger = logging.getLogger(__name__)

ENDPOINT_CONFIG = Config(
    connect_timeout=1, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 1}
)
"""One attempt, so that what is measured and what is counted is one request."""

ANSWER_MAX_BYTES = 80_000
"""Limit of one image's answer: 1,000 labels with their scores. A larger answer must not fill the state."""

BATCH_TIMEOUT_S = 25.0
"""Time for the endpoint's answer to a batch. A small instance takes half a second for a hundred images, and
several batches are requested at once. A serverless endpoint may take as long to start."""

BODY_BYTES = 60_000
"""Largest message: SQS counts each 64 KB as a request."""
SEND_ENTRIES = 10
SEND_BYTES = 262_144
"""Limits of one `SendMessageBatch`. Since 2025 a queue may take four times as much, at the same price."""
_SEND_ATTEMPTS = 4
_SEND_PAUSE_S = 0.2

_MB_PER_CORE = 1769
"""Memory with which a Lambda has one core. Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

_BUSY_CODES = {"ThrottlingException", "TooManyRequestsException", "ModelNotReadyException"}
_BUSY_STATUSES = {429, 503}
"""HTTP statuses of the model itself that ask for a later retry."""
_SERVER_ERROR = 500
"""This and every higher status means busy, whatever the code. Model errors come with 424."""


class Runtime:
    """SageMaker's runtime, asked with less work than by its client: see `_sent`."""

    def __init__(self, client: "boto3.client") -> None:
        self.client = client
        self._urls: dict[str, str] = {}
        use_lean_session(client)

    def invoke_endpoint(
        self, *, EndpointName: str, Body: bytes, ContentType: str, Accept: str, InferenceId: str
    ) -> dict[str, Any]:
        """Return and raise what the client's method of this name does."""
        headers = {
            "Content-Type": ContentType,
            "Accept": Accept,
            "X-Amzn-SageMaker-Inference-Id": InferenceId,
        }
        try:
            request = signed(self.client, "POST", self._url_of(EndpointName), headers, Body)
            return _sent(self.client, "InvokeEndpoint", request)
        except AttributeError:  # a release of botocore without what `_sent` needs
            answer: dict[str, Any] = self.client.invoke_endpoint(
                EndpointName=EndpointName,
                Body=Body,
                ContentType=ContentType,
                Accept=Accept,
                InferenceId=InferenceId,
            )
            return answer

    def _url_of(self, name: str) -> str:
        """Return the URL at which the client asks an endpoint."""
        if name not in self._urls:
            presigned = self.client.generate_presigned_url(
                "invoke_endpoint", {"EndpointName": name, "Body": b""}
            )
            self._urls[name] = presigned.partition("?")[0]
        return self._urls[name]


def _sent(client: "boto3.client", operation: str, request: AWSPreparedRequest) -> dict[str, Any]:
    """Send a signed request by a client's connections and parser alone; return the parsed answer.

    What botocore does besides for each request, such as finding the address anew, takes longer than decoding
    a small image: see docs/decisions/0139-the-hot-requests-are-lean.md. There is one attempt, and no check of
    the parameters.

    Raises:
        botocore.exceptions.ClientError: the service refused.
        botocore.exceptions.BotoCoreError: it did not answer.
        AttributeError: this release of botocore does not have what this needs, and nothing was sent.
    """
    ask = client._endpoint._do_get_response
    model = client.meta.service_model.operation_model(operation)
    answered, error = ask(request, model, {})
    if error:
        raise error
    parsed: dict[str, Any]
    response, parsed = answered
    if response.status_code >= http.HTTPStatus.MULTIPLE_CHOICES:
        raise ClientError(parsed, operation)
    return parsed


class Endpoint:
    """A SageMaker endpoint: image bytes in, scores out, in one of the forms of `workflow.answers`."""

    def __init__(
        self,
        runtime: "Runtime | boto3.client",
        name: str,
        accept: str = "application/json",
        scores_are: str = PROBABILITIES,
    ) -> None:
        self._runtime = runtime
        self._breaker = Breaker()
        self.name = name
        self._accept = accept
        self._scores_are = scores_are

    @classmethod
    def connect(cls, name: str, accept: str, scores_are: str, read_timeout_s: float) -> "Endpoint":
        """Return an endpoint with its own client.

        Args:
            name: of the endpoint.
            accept: content type that it is asked to answer with.
            scores_are: see `workflow.answers.read_answer`.
            read_timeout_s: time for an answer.

        The client times out before the Lambda does, and does not retry: what finds the endpoint busy waits.
        """
        config = ENDPOINT_CONFIG.merge(Config(read_timeout=read_timeout_s))
        runtime = Runtime(boto3.client("sagemaker-runtime", config=config))
        return cls(runtime, name, accept, scores_are)

    @property
    def is_left_alone(self) -> bool:
        """Whether it was busy just now, so that every request is refused without asking."""
        return self._breaker.left_s > 0

    @property
    def is_half_open(self) -> bool:
        """Whether its last answer was that it is busy, and it may be asked again."""
        return self._breaker.is_half_open

    def classify(self, image: bytes, content_type: str) -> Answer:
        """Return the endpoint's answer to one image.

        Raises:
            EndpointBusy: the endpoint is throttled, scaling or unreachable.
            EndpointFault: it answered with an error, or with something that is not an answer.
            UnclearAnswer: the form of its answer has several meanings, or none.
        """
        return self._ask(image, content_type, 1)[0]

    def classify_batch(self, images: Sequence[bytes], size_px: tuple[int, int]) -> list[Answer]:
        """Return the endpoint's answers to many images, in their order.

        Args:
            images: RGB pixels, width × height × 3 bytes each.
            size_px: width and height of each.

        Raises:
            EndpointBusy: as `classify`.
            EndpointFault: as `classify`; or the endpoint does not take batches.
            UnclearAnswer: as `classify`; or it did not answer to each image.
        """
        body = npy_header((len(images), size_px[1], size_px[0], 3)) + b"".join(images)
        return self._ask(body, PIXELS_TYPE, len(images))

    def _ask(self, body: bytes, content_type: str, images: int) -> list[Answer]:
        if left_s := self._breaker.left_s:
            raise EndpointBusy(f"endpoint {self.name}: it was busy, and is asked again in {left_s:.0f} s")
        try:
            answers = self._invoke(body, content_type, images)
        except EndpointBusy:
            self._breaker.was_busy()
            raise
        except (EndpointFault, UnclearAnswer):
            self._breaker.answered()
            raise
        self._breaker.answered()
        return answers

    def _invoke(self, body: bytes, content_type: str, images: int) -> list[Answer]:
        max_bytes = ANSWER_MAX_BYTES * images
        try:
            response = self._runtime.invoke_endpoint(
                EndpointName=self.name,
                Body=body,
                ContentType=content_type,
                Accept=self._accept,
                InferenceId=f"{INFERENCE_ID_PREFIX}{uuid4().hex}",
            )
            with closing(response["Body"]) as answered:  # the rest of a larger answer is not read
                answer = answered.read(max_bytes + 1)
        except ClientError as error:
            raise self._translated(error) from error
        except (BotoConnectionError, HTTPClientError) as error:
            raise EndpointBusy(f"endpoint {self.name}: {error}") from error
        if len(answer) > max_bytes:
            raise EndpointFault(f"endpoint {self.name} answered with more than {max_bytes:,} bytes")
        version = self._model_version(response)
        return [Answer(scores, version) for scores in self._scores(answer, images)]

    def _translated(self, error: ClientError) -> Exception:
        code = error.response["Error"]["Code"]
        said = f"endpoint {self.name}: {code}: {error.response['Error'].get('Message', '')[:300]}"
        if code in _BUSY_CODES or error.response.get("OriginalStatusCode") in _BUSY_STATUSES:
            return EndpointBusy(said)
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR:
            return EndpointBusy(said)
        if code in {"ModelError", "ValidationError"}:
            return EndpointFault(said)
        unforeseen: Exception = error
        return unforeseen

    def _scores(self, answer: bytes, images: int) -> list[Scores]:
        try:
            return read_answer_to(images, answer, self._scores_are)
        except NotReadable as error:
            raise EndpointFault(f"endpoint {self.name} answered with {error}") from error
        except UnclearAnswer as error:
            raise UnclearAnswer(f"endpoint {self.name}: {error}") from error

    def _model_version(self, response: dict[str, Any]) -> str:
        """Return the version that Scones' container names, or else the endpoint and its variant."""
        attributes = response.get("CustomAttributes", "")
        prefix, _, version = attributes.partition("=")
        if prefix == "model_version" and version:
            return str(version)
        return f"{self.name}/{response.get('InvokedProductionVariant', '')}"


def connect_classifier(said: Mapping[str, str], timeout_s: float) -> Classifier:
    """Return what an environment names: the endpoint, or the model in this package.

    Args:
        said: the environment.
        timeout_s: time for an answer of the endpoint.

    Raises:
        model.files.UnusableModel: the package has no model.
    """
    if said["MODEL_IN"] == IN_LAMBDA:
        # numpy and onnxruntime, which are not in the package of a stack with an endpoint.
        from model.files import DEFAULT_MODEL
        from model.serving.inference import Model

        cores = int(said["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]) // _MB_PER_CORE
        return ModelInLambda(Model.load(DEFAULT_MODEL, threads=max(cores, 1), warm_up_images=1))
    return Endpoint.connect(
        said["ENDPOINT_NAME"], said["ENDPOINT_ACCEPT"], said["ENDPOINT_SCORES"], timeout_s
    )


class NotSent(Exception):
    """The queue did not accept some messages after several attempts."""


class ResultsQueue:
    """The queue of outcomes that are to be recorded."""

    def __init__(self, sqs: "boto3.client", url: str) -> None:
        self._sqs = sqs
        self._url = url

    @classmethod
    def connect(cls, url: str) -> "ResultsQueue":
        """Return a queue with its own client."""
        config = Config(
            connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3}
        )
        return cls(boto3.client("sqs", config=config), url)

    def send(self, outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Send outcomes (see `workflow.outcome`), many in one message; refused messages are retried.

        Raises:
            NotSent: some were refused in every attempt; the others are sent.
            botocore.exceptions.ClientError: the queue refused all of them.
        """
        in_messages = _chunks(map(json.dumps, outcomes), BODY_BYTES)
        self.send_bodies(f"[{','.join(some)}]" for some in in_messages)

    def send_bodies(self, bodies: Iterable[str]) -> None:
        """Send message bodies unchanged, otherwise as `send`."""
        for some in _chunks(bodies, SEND_BYTES, SEND_ENTRIES):
            self._send_at_once(some)

    def _send_at_once(self, bodies: list[str]) -> None:
        left = {str(number): body for number, body in enumerate(bodies)}
        for attempt in range(_SEND_ATTEMPTS):
            time.sleep(_SEND_PAUSE_S * attempt)
            entries = [{"Id": id_, "MessageBody": body} for id_, body in left.items()]
            failed = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries).get("Failed", [])
            left = {each["Id"]: left[each["Id"]] for each in failed}
            if not left:
                return
        why = failed[0].get("Message") or failed[0].get("Code")
        raise NotSent(f"{len(left)} of {len(bodies)} messages were not accepted by {self._url}: {why}")


def _chunks(texts: Iterable[str], most_bytes: int, most: float = math.inf) -> Iterator[list[str]]:
    chunk: list[str] = []
    chunk_bytes = 0
    for text in texts:
        text_bytes = len(text.encode()) + 1
        if chunk and (len(chunk) >= most or chunk_bytes + text_bytes > most_bytes):
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(text)
        chunk_bytes += text_bytes
    if chunk:
        yield chunk


class WaitingImages:
    """The queue of images that wait for the endpoint."""

    def __init__(self, sqs: "boto3.client", url: str) -> None:
        self._sqs = sqs
        self._url = url

    @classmethod
    def connect(cls, url: str) -> "WaitingImages":
        """Return a queue with its own client."""
        config = Config(
            connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
        )
        return cls(boto3.client("sqs", config=config), url)

    def show_again(self, after_s: Mapping[str, int]) -> None:
        """Make messages visible again earlier than the queue would: receipt handle → seconds.

        Those that SQS refuses wait longer.
        """
        handles = list(after_s)
        for first in range(0, len(handles), SEND_ENTRIES):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": after_s[handle]}
                for number, handle in enumerate(handles[first : first + SEND_ENTRIES])
            ]
            try:
                self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, BotoCoreError) as error:
                # Only a hint: failing here would decide the whole batch again.
                logger.warning("images that wait are not shown again soon: %s", error)
