"""A stack's challenger and its model in use change places, in one update of its parameters.

The model in use becomes the challenger, so that a second promotion is the way back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from analytics.challenger.settings import with_own
from analytics.commands import how
from infra.aws.challenger import OF_AN_ENDPOINT, ensure_fits, ensure_possible, settings_for, settings_of
from infra.aws.changes import ChangeSet, DeployFailed, change_of_parameters
from infra.aws.deploy import endpoint_kind
from infra.stack import parameters_of
from ingest.aws import read_object
from workflow.classifier import IN_LAMBDA


class NothingToPromote(DeployFailed):
    """The stack has no challenger, or it cannot take over."""


def exchanged(parameters: Mapping[str, str], read: Callable[[str], bytes] | None = None) -> dict[str, str]:
    """Return a stack's parameters in which the challenger and the model in use have changed places.

    `read` is what `Policy.from_mapping` takes.

    Raises:
        NothingToPromote: there is no challenger.
        DeployFailed: its settings contradict each other, or those of the model in use are too long for a
            challenger.
    """
    if not parameters.get("ChallengerEndpointName"):
        on_aws, here = how("deploy", PARAMETERS="ChallengerEndpointName=…"), how("up", CHALLENGER="folder")
        raise NothingToPromote(f"there is no challenger: `{on_aws}` or `{here}` adds one")
    if parameters.get("ModelIn") == IN_LAMBDA:
        raise NothingToPromote(
            "the Lambdas have the model themselves (ModelIn=Lambda), so that no endpoint can take its place: "
            f"`{how('deploy', MODEL='folder')}` packs the challenger's"
        )
    ensure_possible(parameters, read)
    _ensure_told_apart(parameters, with_own(parameters, settings_of(parameters)))
    in_use = {name: parameters[name] for name in OF_AN_ENDPOINT if name in parameters}
    places = {
        "EndpointName": "ChallengerEndpointName",
        "ModelEndpointUrl": "ChallengerModelEndpointUrl",
    }
    after = {
        **with_own(in_use, settings_of(parameters)),
        **{name: parameters[other] for name, other in places.items()},
        **{other: parameters[name] for name, other in places.items()},
        "ChallengerSettings": settings_for(in_use),
    }
    ensure_fits({**parameters, **after})
    return after


def as_promoted(
    before: Mapping[str, str], given: Mapping[str, str], read: Callable[[str], bytes] | None = None
) -> dict[str, str]:
    """Return a new start's parameters in which the same two models have the places of the stack before.

    Args:
        before: the stack's parameters; empty for a first start.
        given: the parameters to start with, as if nothing had ever been promoted.
        read: what `Policy.from_mapping` takes.
    """
    if not given["ChallengerEndpointName"] or given["ModelIn"] == IN_LAMBDA:
        return dict(given)
    versions = [given["ModelVersion"], settings_of(given).get("ModelVersion")]
    was_promoted = before.get("EndpointName") == given["ChallengerEndpointName"]
    if not was_promoted or versions != [settings_of(before).get("ModelVersion"), before.get("ModelVersion")]:
        return dict(given)
    return {**given, **exchanged(given, read)}


def _ensure_told_apart(in_use: Mapping[str, str], challenger: Mapping[str, str]) -> None:
    """Check that no scores are read with the classes of the other model while the stack is updated.

    Raises:
        NothingToPromote: the classes differ, and a policy takes the answer of any model version.
    """
    if all(in_use.get(name) == challenger.get(name) for name in ("ClassNames", "ClassesFile")):
        return
    for whose, parameters in (("", in_use), ("ChallengerSettings with a ", challenger)):
        if not parameters.get("ModelVersion"):
            raise NothingToPromote(
                "the models have different classes, and during the update one could be read with the "
                f"classes of the other: deploy {whose}ModelVersion first, as the column model_version has it"
            )


def promotion(
    client: Callable[[str], Any], stack: Mapping[str, Any], endpoint: Mapping[str, str], at: datetime
) -> ChangeSet | None:
    """Compute the change that gives the images to the challenger.

    Args:
        client: returns the client of a service.
        stack: CloudFormation's description of the stack.
        endpoint: what `seen` says of the challenger's endpoint; empty on a laptop.
        at: now.

    Raises:
        NothingToPromote: there is no challenger.
        DeployFailed: its settings contradict each other, or CloudFormation refused them.
    """
    read = partial(read_object, s3=client("s3"))
    wanted = {**exchanged(parameters_of(stack), read), **endpoint}
    return change_of_parameters(client("cloudformation"), stack, wanted, f"promote-{at:%Y%m%d%H%M%S}")


def challenger_of(stack: Mapping[str, Any]) -> str:
    """Return the name of a stack's challenger; empty if there is none."""
    return parameters_of(stack).get("ChallengerEndpointName", "")


def seen(sagemaker: Any, endpoint: str) -> dict[str, str]:
    """Return `VariantName` and `EndpointKind` of an endpoint, for the alarms and for Classify's patience.

    Raises:
        NothingToPromote: it is not in service.
    """
    try:
        described = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        raise NothingToPromote(f"the endpoint {endpoint!r} cannot be seen: {error}") from error
    if described["EndpointStatus"] != "InService":
        raise NothingToPromote(f"the endpoint {endpoint!r} is {described['EndpointStatus']}, not InService")
    variant = described["ProductionVariants"][0]
    return {"VariantName": variant["VariantName"], "EndpointKind": endpoint_kind(variant)}
