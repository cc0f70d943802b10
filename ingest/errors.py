"""The errors that the state machine catches by name.

Step Functions compares a Lambda error's class name with `ErrorEquals` as exact text: renaming a class here
changes the machine. A test holds the two together.

    Exception
    ├── RejectedImage      the image is at fault: never retried, ends as `rejected`
    ├── EndpointBusy       the model is throttled, scaling or out of reach: retried, then `failed`
    ├── EndpointFault      the model answered with an error: retried twice, then `failed`
    └── InvalidScores      not one finite probability per class: never retried, ends as `failed`
"""

REJECT_REASONS = frozenset(
    {
        "empty",
        "too_large",
        "too_many_pixels",
        "not_an_image",
        "unsupported_format",
        "corrupt",
        "object_gone",
    }
)


class RejectedImage(Exception):
    """An image that no retry can save, with one of `REJECT_REASONS` and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class EndpointBusy(Exception):
    """The endpoint is throttled, scaling or unreachable: the same request may succeed later."""


class EndpointFault(Exception):
    """The endpoint was reached and answered with an error."""


class InvalidScores(Exception):
    """The endpoint's answer is not one finite probability for each class."""
