"""Calls the endpoint; says in our words what SageMaker says in its own."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from ingest.errors import EndpointBusy, EndpointFault

ANSWER_MAX_BYTES = 12_000
"""A list of some 500 probabilities. What is more is no list of probabilities, and must not fill the state."""

_BUSY_CODES = {
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalDependencyException",
    "ModelNotReadyException",
}
_BUSY_STATUSES = {429, 503}
"""Of the model's own answer: it asks for patience."""


@dataclass(frozen=True)
class Answer:
    """What the endpoint said about one image."""

    scores: list[Any]
    """As they came, unchecked; JSON's NaN and Infinity, which Step Functions cannot carry, as None."""
    model_version: str


class Endpoint:
    """A SageMaker endpoint that speaks the built-in algorithm's contract: image bytes in, a JSON list out."""

    def __init__(self, runtime: "boto3.client", name: str) -> None:
        self._runtime = runtime
        self.name = name

    @classmethod
    def connect(cls, name: str) -> "Endpoint":
        """Return it with a client of its own that does not retry: the state machine does."""
        config = Config(
            connect_timeout=2, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1}
        )
        return cls(boto3.client("sagemaker-runtime", config=config), name)

    def classify(self, image: bytes, content_type: str) -> Answer:
        """Return the endpoint's answer to one image.

        Raises:
            EndpointBusy: it is throttled, scaling or out of reach.
            EndpointFault: it answered, but with an error or with no JSON list.
        """
        try:
            response = self._runtime.invoke_endpoint(
                EndpointName=self.name, Body=image, ContentType=content_type, Accept="application/json"
            )
            body = response["Body"].read(ANSWER_MAX_BYTES + 1)
        except ClientError as error:
            raise self._translated(error) from error
        except (BotoConnectionError, HTTPClientError) as error:
            raise EndpointBusy(f"endpoint {self.name}: {error}") from error
        return Answer(self._scores(body), self._model_version(response))

    def _translated(self, error: ClientError) -> Exception:
        code = error.response["Error"]["Code"]
        said = f"endpoint {self.name}: {code}: {error.response['Error'].get('Message', '')[:300]}"
        if code in _BUSY_CODES or error.response.get("OriginalStatusCode") in _BUSY_STATUSES:
            return EndpointBusy(said)
        if code in {"ModelError", "ValidationError"}:
            return EndpointFault(said)
        return error

    def _scores(self, body: bytes) -> list[Any]:
        if len(body) > ANSWER_MAX_BYTES:
            raise EndpointFault(f"endpoint {self.name} answered with more than {ANSWER_MAX_BYTES:,} bytes")
        try:
            scores = json.loads(body, parse_constant=lambda _: None)
        except ValueError as error:
            raise EndpointFault(f"endpoint {self.name} answered with no JSON: {body[:80]!r}") from error
        if not isinstance(scores, list):
            raise EndpointFault(f"endpoint {self.name} answered with no JSON list: {body[:80]!r}")
        return scores

    def _model_version(self, response: dict[str, Any]) -> str:
        """Our container names its model; of another, the endpoint and its variant must do."""
        attributes = response.get("CustomAttributes", "")
        prefix, _, version = attributes.partition("=")
        if prefix == "model_version" and version:
            return str(version)
        return f"{self.name}/{response.get('InvokedProductionVariant', '')}"
