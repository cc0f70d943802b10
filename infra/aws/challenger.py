"""The challenger of a stack: the parameters that belong to its endpoint."""

import json
from collections.abc import Callable, Mapping

from analytics.challenger.settings import with_own
from infra.aws.changes import DeployFailed
from ingest.model_input import ModelInput
from workflow.policy import CLASSES_MAX_BYTES, PARAMETERS, Policy

OF_AN_ENDPOINT = (
    *PARAMETERS,
    *("ImageSizePx", "ResizeMode", "JpegQuality", "EndpointContentType"),
    *("EndpointAccept", "EndpointKind", "VariantName"),
)
"""Parameters of the template that belong to the endpoint in use; the challenger's are in one."""


def settings_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the challenger's own parameters.

    Raises:
        DeployFailed: `ChallengerSettings` is not a JSON object of texts, or names another parameter.
    """
    try:
        own = json.loads(parameters.get("ChallengerSettings", "{}"))
    except ValueError as error:
        raise DeployFailed(f"ChallengerSettings is not JSON: {error}") from error
    if not isinstance(own, dict) or not all(isinstance(value, str) for value in own.values()):
        raise DeployFailed('ChallengerSettings must be a JSON object of texts, as in {"Threshold": "0.9"}')
    if unknown := own.keys() - set(OF_AN_ENDPOINT):
        raise DeployFailed(
            f"ChallengerSettings has {min(unknown)!r}, which is none of {', '.join(OF_AN_ENDPOINT)}"
        )
    return own


def settings_for(parameters_of_model: Mapping[str, str]) -> str:
    """Return `ChallengerSettings` with the parameters that a model's card determines."""
    return json.dumps(parameters_of_model, ensure_ascii=False, separators=(",", ":"))


def without_shared_classes(settings: str, in_use: Policy) -> str:
    """Return `ChallengerSettings` without what a file has of the model in use, where both have the same.

    Classes that are short enough for parameters stay: they then do not change with those of the model in use.
    """
    own = settings_of({"ChallengerSettings": settings})
    if in_use.classes_file() is None or not own.get("ClassNames"):
        return settings
    challenger = Policy.from_mapping(own)
    if challenger.classes != in_use.classes:
        return settings
    if challenger.class_thresholds == in_use.class_thresholds:
        own.pop("ClassThresholds", None)
    elif not challenger.class_thresholds:  # an empty parameter would take those of the file
        return settings
    return settings_for({name: own[name] for name in own if name not in ("ClassNames", "ClassesFile")})


def ensure_fits(parameters: Mapping[str, str]) -> None:
    """Check that the challenger's Lambda, if there is one, has room for what it decides by, and may read it.

    Raises:
        DeployFailed: it has not, or its classes are in a file that its role may not read.
    """
    if not parameters.get("ChallengerEndpointName"):
        return
    file = settings_of(parameters).get("ClassesFile")
    if file and file != parameters.get("ClassesFile"):
        raise DeployFailed(
            f"the challenger's classes would be in {file}, and its Lambda may only read the file of the "
            "model in use: the classes of a challenger that has others must be short enough for parameters"
        )
    names = ("ClassNames", "ClassThresholds", "ChallengerSettings")
    size_bytes = sum(len(parameters.get(name, "").encode()) for name in names)
    if size_bytes > CLASSES_MAX_BYTES:
        raise DeployFailed(
            f"{', '.join(names)} have {size_bytes:,} bytes, of at most {CLASSES_MAX_BYTES:,}: they are in "
            "the environment of the challenger's Lambda. Leave out of ChallengerSettings what is as for the "
            "model in use, such as the classes."
        )


def ensure_possible(parameters: Mapping[str, str], read: Callable[[str], bytes] | None = None) -> None:
    """Check the challenger of a stack's parameters, if there is one.

    `read` is what `Policy.from_mapping` takes.

    Raises:
        DeployFailed: it is the endpoint in use, or its settings contradict each other.
    """
    challenger = parameters.get("ChallengerEndpointName")
    if not challenger:
        return
    if challenger == parameters.get("EndpointName"):
        raise DeployFailed(f"ChallengerEndpointName: {challenger!r} is the endpoint in use")
    whole = with_own(parameters, settings_of(parameters))
    try:
        Policy.from_mapping(whole, read)
        ModelInput.from_mapping(whole)
    except (ValueError, KeyError) as error:
        raise DeployFailed(f"ChallengerSettings, with the parameters of the model in use: {error}") from error
