"""What can go wrong between a Lambda and what it talks to, and where it leads if it lasts. Pure."""

import json
from dataclasses import dataclass
from enum import StrEnum

from workflow.errors import EndpointBusy, EndpointFault, InvalidScores

_BUSY = frozenset({EndpointBusy.__name__})
_FAULT = frozenset({EndpointFault.__name__})
_INVALID = frozenset({InvalidScores.__name__})
_S3 = frozenset({"ClientError", "AccessDenied"})
"""Some of S3's errors have a class of their own in boto3."""
_CONNECTION = frozenset({"ConnectionClosedError", "ConnectionError"})
_ENDS_EARLY = frozenset({"IncompleteReadError", "ResponseStreamingError", "ProtocolError"})
_KILLED = frozenset({"Runtime.HandlerError", "Runtime.ExitError", "Lambda.Unknown", "States.TaskFailed"})
"""The embedded AWS's name for a Lambda that died, and those of AWS."""

SLOW_S = 5.0
"""More patience than Classify has with the endpoint."""


class Seam(StrEnum):
    """Where the proxy stands."""

    READ = "read"
    """A Lambda reads an image."""
    ASK = "ask"
    """A Lambda asks the endpoint."""
    WRITE = "write"
    """Record writes a file."""


class Lasts(StrEnum):
    """How long a fault stays with an image."""

    ONCE = "once"
    """The first request meets it."""
    UNTIL_REDRIVE = "until the redrive"
    ALWAYS = "always"


@dataclass(frozen=True)
class Reply:
    """What is answered in place of the truth."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Fault:
    """One thing that can go wrong."""

    name: str
    seam: Seam
    reasons: frozenset[str] = frozenset()
    """Of the failure that it leads to, if it lasts."""
    lasts: tuple[Lasts, ...] = (Lasts.ONCE, Lasts.UNTIL_REDRIVE)
    """How long it may."""
    is_final: bool = False
    """Whether nothing is tried again after it."""
    reply: Reply | None = None
    resets: bool = False
    """The connection ends without an answer."""
    ends_early: bool = False
    """The true answer breaks off half-way."""
    slow_s: float = 0
    kills: bool = False
    """The Lambda that asks is killed: before anything has happened, or, as it writes, afterwards."""
    lasts_s: float = 0
    """All that comes within this time meets it too."""
    scores: str | None = None
    """JSON in place of one image's scores."""


def _refusal(status: int, code: str, message: str, **more: object) -> Reply:
    body = json.dumps({"Message": message, **more}).encode()
    return Reply(status, body, headers=(("x-amzn-ErrorType", code),))


def _s3_error(status: int, code: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>no</Message></Error>'
    return Reply(status, body.encode(), "application/xml")


_PAGE = b"<!DOCTYPE html><html><head><title>Error</title></head><body>We are sorry.</body></html>"
_OF_AN_IMAGE = (Lasts.ONCE, Lasts.UNTIL_REDRIVE, Lasts.ALWAYS)

FAULTS = (
    Fault("endpoint down", Seam.ASK, _BUSY, resets=True),
    Fault("endpoint slow", Seam.ASK, _BUSY, lasts=(Lasts.ONCE,), slow_s=SLOW_S),
    Fault("endpoint throttles", Seam.ASK, _BUSY, reply=_refusal(429, "ThrottlingException", "Rate exceeded")),
    Fault("endpoint unavailable", Seam.ASK, _BUSY, reply=_refusal(503, "ServiceUnavailable", "scaling")),
    Fault("bad gateway", Seam.ASK, _BUSY, reply=Reply(502, _PAGE, "text/html")),
    Fault(
        "model busy",
        Seam.ASK,
        _BUSY,
        reply=_refusal(424, "ModelError", "busy", OriginalStatusCode=503, OriginalMessage="busy"),
    ),
    Fault(
        "model error",
        Seam.ASK,
        _FAULT,
        _OF_AN_IMAGE,
        reply=_refusal(424, "ModelError", "failed", OriginalStatusCode=500, OriginalMessage="failed"),
    ),
    Fault("garbage", Seam.ASK, _FAULT, _OF_AN_IMAGE, reply=Reply(200, b"\x80\x02}q\x00.\xff")),
    Fault("error page with 200", Seam.ASK, _FAULT, _OF_AN_IMAGE, reply=Reply(200, _PAGE, "text/html")),
    Fault("answer ends early", Seam.ASK, _BUSY | _FAULT, ends_early=True),
    Fault("not a number", Seam.ASK, _INVALID, _OF_AN_IMAGE, is_final=True, scores="[NaN, NaN]"),
    Fault("too few scores", Seam.ASK, _INVALID, _OF_AN_IMAGE, is_final=True, scores="[1.0]"),
    Fault("scores beyond 1", Seam.ASK, _INVALID, _OF_AN_IMAGE, is_final=True, scores="[0.9, 0.9]"),
    Fault("read fails", Seam.READ, _S3, reply=_s3_error(500, "InternalError")),
    Fault("read throttled", Seam.READ, _S3, reply=_s3_error(503, "SlowDown")),
    Fault("read denied", Seam.READ, _S3, _OF_AN_IMAGE, reply=_s3_error(403, "AccessDenied")),
    Fault("read cut off", Seam.READ, _CONNECTION, resets=True),
    Fault("read ends early", Seam.READ, _ENDS_EARLY, _OF_AN_IMAGE, ends_early=True),
    Fault("Lambda killed as it reads", Seam.READ, _KILLED, _OF_AN_IMAGE, kills=True),
    Fault("Lambda killed as it asks", Seam.ASK, _KILLED, kills=True),
)
"""Those that befall one image."""

WRITES = (
    Fault("write fails", Seam.WRITE, reply=_s3_error(500, "InternalError")),
    Fault("Record killed before its write", Seam.WRITE, kills=True, resets=True),
    Fault("Record killed before it acknowledges", Seam.WRITE, kills=True),
    Fault("write outlasts the queue's patience", Seam.WRITE, slow_s=SLOW_S),
)
"""Those that befall a batch of outcomes."""

OUTAGE = Fault("writes denied for a while", Seam.WRITE, reply=_s3_error(403, "AccessDenied"), lasts_s=30)
"""Longer than the queue delivers a batch again and again: its outcomes end in the dead-letter queue."""
