"""The base of all errors that are for people, why an image is rejected, and why it waits unread.

    Exception
    ├── SconesError        for people: the command line prints its text, without a traceback
    ├── RejectedImage      the image is at fault: never retried, ends as `rejected`
    └── OthersWait         many images wait for the endpoint: this one waits with them

Step Functions compares a Lambda error's class name with `ErrorEquals` as exact text: renaming one of the last
two or an error of `workflow.errors` changes the state machine. A test holds the names together.
"""

MAX_BYTES = 32 * 1024 * 1024
"""Largest object that is read."""

REJECT_REASONS = frozenset(
    {
        "empty",
        "too_large",
        "too_many_pixels",
        "too_costly",
        "not_an_image",
        "unsupported_format",
        "corrupt",
        "object_gone",
        "archived",
    }
)


class SconesError(Exception):
    """An error for people. Its text says what happened, to which object, and what to do."""


class RejectedImage(Exception):
    """An image that no retry can save, with one of `REJECT_REASONS` and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class OthersWait(Exception):
    """Many images wait for the endpoint already: this one waits with them, and is not read before."""


def too_large(size_bytes: int) -> RejectedImage:
    """Return the rejection of an object of more than `MAX_BYTES`."""
    return RejectedImage("too_large", f"{size_bytes:,} bytes; at most {MAX_BYTES:,} are read")
