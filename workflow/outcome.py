"""The message that ends every image's way: what became of it, and why.

The state machine sends it (in JSONata, `image.asl.json`), `ClassifyBatch` and `ClassifyWaiting` send lists of
them, and the Record Lambda reads both from the queue:

    {
      "event":         the `Object Created` event, or a manifest's line in its shape,
      "outcome":       "accepted" | "needs_review" | "rejected" | "failed",
      "decided_at":    "2026-11-24T09:30:00.123Z",
      "execution_arn": the execution that decided,
      "image":         what Serialize found out about the image, or null,
      "prediction":    what Classify and Decide say, or null,
      "error":         {"Error": class name, "Cause": Lambda's or Step Functions' text}, or null
    }
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from ingest.errors import REJECT_REASONS
from workflow.errors import WrongModel

# Of a cause that the machine cut, which no parser of JSON reads.
_ERROR_MESSAGE = re.compile(r'"errorMessage"\s*:\s*"((?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)')

_REASONS = {WrongModel.__name__: "wrong_model"}
"""Error → the reason of the failed row, where it is not the error's name: people filter on this one."""

DETAIL_MAX_CHARS = 500
"""A detail is for people to read; whatever is longer is in the logs."""


class Outcome(StrEnum):
    """What became of an upload. Whatever counts, ranks or draws outcomes derives it from here."""

    heading: str
    """For people: a column's head, a tile's name."""
    colour: str
    """Name of its colour in `analytics/theme.css`, and class of its shapes in the report."""
    rank: int
    """Among the rows of one upload, the one with the smallest rank is the current one."""
    is_classified: bool
    """Whether the model answered: the row has a label and a confidence."""

    def __new__(
        cls, value: str, heading: str = "", colour: str = "", rank: int = 0, is_classified: bool = False
    ) -> "Outcome":
        """Make a member. The defaults are for type checkers: `Outcome("accepted")` looks a member up."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.heading, member.colour = heading, colour
        member.rank, member.is_classified = rank, is_classified
        return member

    ACCEPTED = "accepted", "Accepted", "accepted", 0, True
    NEEDS_REVIEW = "needs_review", "For review", "review", 0, True
    REJECTED = "rejected", "Rejected", "rejected", 1
    """The image is at fault."""
    FAILED = "failed", "Failed", "failed", 2
    """Scones or the endpoint is at fault."""


_RANKS = {outcome.value: outcome.rank for outcome in Outcome}
UNKNOWN_RANK = max(_RANKS.values()) + 1
"""Rank of an outcome that this version does not know, as a later version may have written it: the last."""

IMPORTED_BUCKET = "data-capture"
"""`bucket` of rows that were imported from data-capture files: such an image was never an object in S3."""


def rank_of(outcome: str) -> int:
    """Return the rank of an outcome, known or not."""
    return _RANKS.get(outcome, UNKNOWN_RANK)


def messages_of(body: str) -> list[Any]:
    """Return the outcome messages that one message of the queue carries, unchecked.

    Raises:
        ValueError: it carries none.
    """
    said = json.loads(body)
    messages = said if isinstance(said, list) else [said]
    if not messages:
        raise ValueError("a list of no outcomes")
    return messages


def caught(error: Exception) -> dict[str, str]:
    """Return an error as the state machine has it that a Lambda raised: `{"Error", "Cause"}`."""
    name = type(error).__name__
    return {"Error": name, "Cause": json.dumps({"errorMessage": str(error), "errorType": name})}


def reason_and_detail(outcome: Outcome, error: Mapping[str, Any]) -> tuple[str, str]:
    """Say why an image was rejected or failed, from the machine's `{"Error", "Cause"}`.

    The reason of a rejected image is one of `REJECT_REASONS`; that of a failed one is the error's name, or
    `wrong_model`.
    A Lambda's cause is JSON with an `errorMessage`; Step Functions' own causes are plain text.
    """
    message = _message(error.get("Cause") or "")
    if outcome is Outcome.REJECTED:
        reason, _, detail = message.partition(": ")
        if reason in REJECT_REASONS:
            return reason, detail[:DETAIL_MAX_CHARS]
    return _REASONS.get(error["Error"], error["Error"]), message[:DETAIL_MAX_CHARS]


def _message(cause: str) -> str:
    """Return the `errorMessage` of a Lambda's cause, or the cause itself where there is none."""
    said = _ERROR_MESSAGE.search(cause)
    message = str(json.loads(f'"{said[1]}"', strict=False)) if said else cause
    # Cut between the two escapes of one character, the first is half of it: no text that Parquet takes.
    return message.encode("utf-8", "ignore").decode("utf-8")
