"""What a stack is deployed with."""

from collections.abc import Callable
from functools import partial
from typing import Any

from infra.stack import parameters_of
from ingest.aws import read_object
from workflow.policy import Policy

Client = Callable[[str], Any]
"""Returns a boto3 client of a service, where the stack is."""


def deployed_parameters(client: Client, stack_name: str) -> dict[str, str]:
    """Return the template's parameters of a stack."""
    (deployed,) = client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return parameters_of(deployed)


def deployed_policy(client: Client, stack_name: str) -> Policy:
    """Return what a stack decides by."""
    return policy_of(deployed_parameters(client, stack_name), client)


def policy_of(parameters: dict[str, str], client: Client) -> Policy:
    """Return the policy that a stack's parameters form, with the file of its classes if they name one.

    Raises:
        ValueError: they contradict each other.
    """
    return Policy.from_mapping(parameters, partial(read_object, s3=client("s3")))
