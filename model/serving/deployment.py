"""Deploys a model to an endpoint, tests it, and rolls back if the test fails.

The order of the steps is here; `ControlPlane` does what each needs from AWS.
"""

import gzip
import io
import json
import math
import random
import tarfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ingest.errors import SconesError
from model.data.drawings import draw
from model.files import CARD_FILE, MODEL_FILE, read_card
from model.serving.sagemaker_requests import (
    LOG_DAYS,
    Deployment,
    RealTime,
    Request,
    Serverless,
    endpoint_config,
    is_name_of,
    log_group,
    model,
    scaling,
)

Say = Callable[[str], None]


class DeploymentError(SconesError):
    """A deployment that failed, in one sentence for people."""


class ControlPlane(Protocol):
    """Requests to AWS that a deployment needs."""

    def config_of(self, endpoint: str) -> str | None:
        """Return the configuration that an endpoint runs, or None if there is no such endpoint."""

    def is_serverless(self, config: str) -> bool:
        """Tell whether a configuration is of a serverless endpoint, and not of one on instances."""

    def configs(self, endpoint: str) -> list[str]:
        """Return the endpoint's configurations, newest first."""

    def create(self, model: Request, config: Request) -> None:
        """Register a model and an endpoint configuration."""

    def discard(self, name: str) -> None:
        """Delete the configuration and the model of this name."""

    def wait(self, endpoint: str) -> None:
        """Wait until the endpoint is in service.

        Raises:
            DeploymentError: it failed, or takes too long.
        """

    def switch(self, endpoint: str, config: str, *, exists: bool) -> None:
        """Create the endpoint or change its configuration, and wait until it is in service.

        Raises:
            DeploymentError: it does not come into service with that configuration.
        """

    def scale(self, endpoint: str, capacity: RealTime) -> None:
        """Let the number of instances follow the load."""

    def stop_scaling(self, endpoint: str) -> Callable[[], None]:
        """Stop autoscaling, and return a function that resumes it."""

    def bound_logs(self, endpoint: str) -> None:
        """Create the endpoint's log group, and let its lines expire; a retention that is set stays."""

    def delete_logs(self, endpoint: str) -> None:
        """Delete the endpoint's log group, if there is one."""

    def delete_endpoint(self, endpoint: str) -> None:
        """Delete it and wait until it is gone."""

    def invoke(self, endpoint: str, image: bytes) -> tuple[bytes, str]:
        """Return the body and the custom attributes of the answer to one PNG image."""


def of_weights(
    weights: Path,
    *,
    bucket: str,
    image_uri: str,
    endpoint: str,
    role_arn: str,
    capacity: Serverless | RealTime,
) -> Deployment:
    """Return the deployment of a model's folder in the project's own container; nothing is asked of AWS.

    Raises:
        UnusableModel: the folder has no card.
    """
    card = read_card(weights)
    return Deployment(
        endpoint=endpoint,
        role_arn=role_arn,
        image_uri=image_uri,
        model_url=f"s3://{bucket}/models/{card['model_version']}/model.tar.gz",
        class_count=len(card["classes"]),
        model_version=card["model_version"],
        capacity=capacity,
    )


def dry_run(deployment: Deployment, at: datetime) -> dict[str, Any]:
    """Return the requests of a deployment."""
    name = deployment.name(at)
    plan: dict[str, Any] = {
        "model": model(deployment, name),
        "endpoint_config": endpoint_config(deployment, name),
        "endpoint": {"EndpointName": deployment.endpoint, "EndpointConfigName": name},
        "log_group": {"logGroupName": log_group(deployment.endpoint), "retentionInDays": LOG_DAYS},
    }
    if isinstance(deployment.capacity, RealTime):
        plan["scaling"] = scaling(deployment.endpoint, deployment.capacity)
    return plan


def package(weights: Path) -> bytes:
    """Return a model's `model.tar.gz`, the same bytes for the same model.

    Raises:
        DeploymentError: a file of it is missing.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in (MODEL_FILE, CARD_FILE):
            try:
                content = (weights / name).read_bytes()
            except OSError as error:
                raise DeploymentError(f"no model in {weights}: {error}") from error
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def deploy(plane: ControlPlane, deployment: Deployment, at: datetime, say: Say) -> str:
    """Create or update the endpoint, smoke-test it, and return the name of what it runs.

    The previous configuration is kept for a rollback; older ones are deleted. If the endpoint already runs
    exactly this deployment, it is only tested.

    Raises:
        DeploymentError: the endpoint does not run or does not answer as it should; it was rolled back.
    """
    endpoint = deployment.endpoint
    if plane.config_of(endpoint):
        plane.wait(endpoint)  # an interrupted deployment may still be under way
    plane.bound_logs(endpoint)  # a first deployment that fails leaves the log that tells why
    before = plane.config_of(endpoint)
    if before and before.endswith(f"-{deployment.digest}") and is_name_of(endpoint, before):
        say(f"{endpoint} runs {before} already: nothing to change")
        smoke_test(plane, deployment)
        return before
    name = deployment.name(at)
    say(f"creating {name}")
    try:
        plane.create(model(deployment, name), endpoint_config(deployment, name))
        resume_scaling = plane.stop_scaling(endpoint)
    except Exception:
        plane.discard(
            name
        )  # the model may exist without its configuration, by which everything else is found
        raise
    try:
        say(f"{'updating' if before else 'creating'} the endpoint {endpoint}: this takes minutes")
        _switch(plane, endpoint, name, say)
        smoke_test(plane, deployment)
        if isinstance(deployment.capacity, RealTime):
            plane.scale(endpoint, deployment.capacity)
    except Exception:
        say(f"it failed: {f'going back to {before}' if before else f'deleting {endpoint}'}")
        _restore(plane, endpoint, name, before, say)
        resume_scaling()
        raise
    for older in plane.configs(endpoint):
        if older not in (name, before):
            plane.discard(older)
    say(f"{endpoint} runs {name}")
    return name


def _switch(plane: ControlPlane, endpoint: str, config: str, say: Say) -> None:
    """Let an endpoint run a configuration, whatever it runs now.

    SageMaker makes a serverless endpoint real-time, but not the other way round.
    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-update.html
    """
    running = plane.config_of(endpoint)
    if running and plane.is_serverless(config) and not plane.is_serverless(running):
        say(
            f"SageMaker cannot make a real-time endpoint serverless: {endpoint} is deleted and created anew. "
            "Images that come meanwhile fail; redrive them afterwards"
        )
        plane.delete_endpoint(endpoint)
        running = None
    plane.switch(endpoint, config, exists=running is not None)


def _restore(plane: ControlPlane, endpoint: str, name: str, before: str | None, say: Say) -> None:
    running = plane.config_of(endpoint)
    if running is not None:
        plane.stop_scaling(endpoint)
    if before is not None and running != before:
        _switch(plane, endpoint, before, say)
    elif before is None and running is not None:
        plane.delete_endpoint(endpoint)
    plane.discard(name)


def roll_back(plane: ControlPlane, endpoint: str, say: Say) -> str:
    """Return to the previous configuration, delete the present one, and return the previous name.

    Autoscaling stays off: the number of instances is part of the configuration.

    Raises:
        DeploymentError: there is no such endpoint, or no previous configuration.
    """
    older, present = previous(plane, endpoint), plane.config_of(endpoint)
    assert present  # noqa: S101 - there is one before it
    say(f"going back from {present} to {older}")
    plane.stop_scaling(endpoint)
    _switch(plane, endpoint, older, say)
    plane.discard(present)
    return older


def previous(plane: ControlPlane, endpoint: str) -> str:
    """Return the configuration that a rollback returns to.

    Raises:
        DeploymentError: there is no such endpoint, or no previous configuration.
    """
    present, known = plane.config_of(endpoint), plane.configs(endpoint)
    if present is None:
        raise DeploymentError(f"there is no endpoint {endpoint}")
    older = known[known.index(present) + 1 :] if present in known else []
    if not older:
        raise DeploymentError(f"{endpoint} runs {present}, and there is none before it to roll back to")
    return older[0]


def delete(plane: ControlPlane, endpoint: str, say: Say) -> None:
    """Delete the endpoint, its log and everything that was deployed to it; nothing there is not an error."""
    if plane.config_of(endpoint) is not None:
        say(f"deleting the endpoint {endpoint}")
        plane.stop_scaling(endpoint)
        plane.delete_endpoint(endpoint)
    for name in plane.configs(endpoint):
        say(f"deleting {name}")
        plane.discard(name)
    plane.delete_logs(endpoint)


def smoke_test(plane: ControlPlane, deployment: Deployment) -> None:
    """Classify one drawing.

    Raises:
        DeploymentError: the answer is not one probability per class, or is another model's.
    """
    image = io.BytesIO()
    draw("bicycle", 32, 32, random.Random(0)).save(image, "PNG")
    body, attributes = plane.invoke(deployment.endpoint, image.getvalue())
    problem = _problem(body, deployment.class_count)
    if problem:
        raise DeploymentError(f"{deployment.endpoint} answers {body[:80]!r}: {problem}")
    expected = f"model_version={deployment.model_version}"
    if deployment.model_version is not None and attributes != expected:
        raise DeploymentError(f"{deployment.endpoint} runs {attributes or 'no version'}, not {expected}")


def _problem(body: bytes, class_count: int) -> str | None:
    try:
        scores = json.loads(body)
    except ValueError:
        return "no JSON"
    if not isinstance(scores, list) or len(scores) != class_count:
        return f"not a list of {class_count} probabilities"
    if not all(isinstance(score, float | int) and 0 <= score <= 1 for score in scores):
        return "not probabilities"
    if not math.isclose(math.fsum(scores), 1, abs_tol=0.01):
        return "they do not add up to 1"
    return None
