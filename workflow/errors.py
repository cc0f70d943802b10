"""The errors of the endpoint and its answers, which the state machine handles by name.

    Exception
    ├── EndpointBusy       the model is throttled, scaling or unreachable: the image waits for it
    ├── EndpointFault      the model answered with an error: retried twice, then `failed`
    ├── UnclearAnswer      its form has several meanings, or none: never retried, ends as `failed`
    ├── UnknownLabel       it names a class that the policy does not have: never retried, ends as `failed`
    ├── InvalidScores      not one finite probability per class: never retried, ends as `failed`
    └── WrongModel         another model answered than the policy is for: never retried, ends as `failed`

Renaming a class here changes the state machine: see `ingest.errors`.
"""


class EndpointBusy(Exception):
    """The endpoint is throttled, scaling or unreachable: the same request may succeed later."""


class EndpointFault(Exception):
    """The endpoint was reached and answered with an error."""


class UnclearAnswer(Exception):
    """The form of the endpoint's answer has several meanings, or none: a retry gets the same one."""


class UnknownLabel(Exception):
    """The endpoint's answer names a class that is not one of the policy's."""


class InvalidScores(Exception):
    """The endpoint's answer is not one finite probability for each class."""


class WrongModel(Exception):
    """Another model version answered than the one whose classes and thresholds the policy has."""
