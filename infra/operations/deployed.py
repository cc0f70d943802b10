"""What a stack is deployed with."""

from functools import partial

from infra.stack import Stack, parameters_of
from ingest.aws import read_object
from workflow.policy import Policy


def deployed_parameters(stack: Stack) -> dict[str, str]:
    """Return the template's parameters of a stack."""
    (deployed,) = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"]
    return parameters_of(deployed)


def deployed_policy(stack: Stack) -> Policy:
    """Return what a stack decides by."""
    return Policy.from_mapping(deployed_parameters(stack), partial(read_object, s3=stack.client("s3")))
