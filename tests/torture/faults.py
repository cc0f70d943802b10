"""The faults between a Lambda and S3 or the endpoint, and the outcome of each that lasts. Pure."""

import json
from dataclasses import dataclass
from enum import StrEnum

from workflow.errors import EndpointBusy, EndpointFault, InvalidScores

_BUSY = frozenset({EndpointBusy.__name__})
_FAULT = frozenset({EndpointFault.__name__})
_INVALID = frozenset({InvalidScores.__name__})
_S3 = frozenset({"ClientError", "AccessDenied"})
"""boto3 has a class of its own for some errors of S3."""
_CONNECTION = frozenset({"ConnectionClosedError", "ConnectionError"})
_ENDS_EARLY = frozenset({"IncompleteReadError", "ResponseStreamingError", "ProtocolError"})
_KILLED = frozenset({"Runtime.HandlerError", "Runtime.ExitError", "Lambda.Unknown", "States.TaskFailed"})
"""Names of the error of a killed Lambda: the embedded AWS's, and those of AWS."""

SLOW_S = 5.0
"""Longer than the timeout of Classify for the endpoint."""


class Seam(StrEnum):
    """The request into which the proxy injects a fault."""

    READ = "read"
    """A Lambda reads an image."""
    INVOKE = "invoke"
    """A Lambda invokes the endpoint."""
    WRITE = "write"
    """Record writes a file."""


class Lasts(StrEnum):
    """How long a fault lasts for an image."""

    ONCE = "once"
    """Only the first request fails."""
    UNTIL_REDRIVE = "until the redrive"
    ALWAYS = "always"


@dataclass(frozen=True)
class Reply:
    """A response in place of the real one."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    seam: Seam
    reasons: frozenset[str] = frozenset()
    """Reasons of the `failed` outcome, one of which results if the fault lasts."""
    lasts: tuple[Lasts, ...] = (Lasts.ONCE, Lasts.UNTIL_REDRIVE)
    """Durations that occur."""
    is_final: bool = False
    """Whether the state machine does not retry it."""
    reply: Reply | None = None
    resets: bool = False
    """The connection is closed without a response."""
    ends_early: bool = False
    """The real response breaks off half-way."""
    slow_s: float = 0
    kills: bool = False
    """The Lambda that sends the request is killed: before the request, or after a write."""
    lasts_s: float = 0
    """Seconds in which every further request fails as well."""
    scores: str | None = None
    """JSON in place of the scores of one image."""


def _refusal(status: int, code: str, message: str, **more: object) -> Reply:
    body = json.dumps({"Message": message, **more}).encode()
    return Reply(status, body, headers=(("x-amzn-ErrorType", code),))


def _s3_error(status: int, code: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'
    return Reply(status, body.encode(), "application/xml")


_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body>We are sorry.</body></html>"
_ANY_DURATION = (Lasts.ONCE, Lasts.UNTIL_REDRIVE, Lasts.ALWAYS)

FAULTS = (
    Fault("endpoint down", Seam.INVOKE, _BUSY, resets=True),
    Fault("endpoint slow", Seam.INVOKE, _BUSY, lasts=(Lasts.ONCE,), slow_s=SLOW_S),
    Fault(
        "endpoint throttles", Seam.INVOKE, _BUSY, reply=_refusal(429, "ThrottlingException", "Rate exceeded")
    ),
    Fault("endpoint unavailable", Seam.INVOKE, _BUSY, reply=_refusal(503, "ServiceUnavailable", "scaling")),
    Fault("bad gateway", Seam.INVOKE, _BUSY, reply=Reply(502, _PAGE, "text/html")),
    Fault(
        "model busy",
        Seam.INVOKE,
        _BUSY,
        reply=_refusal(424, "ModelError", "busy", OriginalStatusCode=503, OriginalMessage="busy"),
    ),
    Fault(
        "model error",
        Seam.INVOKE,
        _FAULT,
        _ANY_DURATION,
        reply=_refusal(424, "ModelError", "failed", OriginalStatusCode=500, OriginalMessage="failed"),
    ),
    Fault("garbage", Seam.INVOKE, _FAULT, _ANY_DURATION, reply=Reply(200, b"\x80\x02}q\x00.\xff")),
    Fault("error page with 200", Seam.INVOKE, _FAULT, _ANY_DURATION, reply=Reply(200, _PAGE, "text/html")),
    Fault("answer ends early", Seam.INVOKE, _BUSY | _FAULT, ends_early=True),
    Fault("not a number", Seam.INVOKE, _INVALID, _ANY_DURATION, is_final=True, scores="[NaN, NaN]"),
    Fault("too few scores", Seam.INVOKE, _INVALID, _ANY_DURATION, is_final=True, scores="[0.6, 0.4]"),
    Fault("scores beyond 1", Seam.INVOKE, _INVALID, _ANY_DURATION, is_final=True, scores="[0.9, 0.9]"),
    Fault("read fails", Seam.READ, _S3, reply=_s3_error(500, "InternalError")),
    Fault("read throttled", Seam.READ, _S3, reply=_s3_error(503, "SlowDown")),
    Fault("read denied", Seam.READ, _S3, _ANY_DURATION, reply=_s3_error(403, "AccessDenied")),
    Fault("read cut off", Seam.READ, _CONNECTION, resets=True),
    Fault("read ends early", Seam.READ, _ENDS_EARLY, _ANY_DURATION, ends_early=True),
    Fault("Lambda killed as it reads", Seam.READ, _KILLED, _ANY_DURATION, kills=True),
    Fault("Lambda killed as it invokes", Seam.INVOKE, _KILLED, kills=True),
)
"""Faults of requests about one image."""

WRITES = (
    Fault("write fails", Seam.WRITE, reply=_s3_error(500, "InternalError")),
    Fault("Record killed before its write", Seam.WRITE, kills=True, resets=True),
    Fault("Record killed before it acknowledges", Seam.WRITE, kills=True),
    Fault("write outlasts the visibility timeout", Seam.WRITE, slow_s=SLOW_S),
)
"""Faults of the write of a batch of outcomes."""

OUTAGE = Fault("writes denied for a while", Seam.WRITE, reply=_s3_error(403, "AccessDenied"), lasts_s=30)
"""Lasts longer than the queue redelivers a batch, whose outcomes end in the dead-letter queue."""
