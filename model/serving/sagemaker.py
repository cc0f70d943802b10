"""SageMaker through boto3 and its SDK.

Requests are sent with boto3 as `sagemaker_requests` builds them; the `sagemaker` SDK (an extra) finds the
built-in algorithm's image and waits, with progress and logs. Its resource classes create nothing here: as of
3.27 they misspell a serverless endpoint's memory.
"""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import boto3
import numpy as np
from botocore.exceptions import ClientError
from numpy.typing import NDArray
from PIL import Image

from ingest.upload import bucket_and_key
from model.data.dataset import Dataset, split
from model.data.load import Progress, Steps
from model.serving import sagemaker_requests as requests
from model.serving.deployment import DeploymentError

ALGORITHM = "image-classification"
WAIT_S = 1800
_UPLOADS_AT_ONCE = 16

Mask = NDArray[np.bool_]
"""`(n,)`: whether each image is chosen."""
_FOLDS, _SEED = 5, 0
"""One fold validates: the same images when training and when calibrating."""


@dataclass(frozen=True)
class SageMaker:
    """`deployment.ControlPlane`, on AWS."""

    control: Any
    runtime: Any
    autoscaling: Any
    logs: Any

    @classmethod
    def connect(cls, session: "boto3.Session") -> "SageMaker":
        """Return it with the credentials and in the region of a session."""
        names = ("sagemaker", "sagemaker-runtime", "application-autoscaling", "logs")
        return cls(*(session.client(name) for name in names))

    def config_of(self, endpoint: str) -> str | None:
        """Return the configuration that an endpoint runs, or None if there is no such endpoint."""
        described = _unless_missing(lambda: self.control.describe_endpoint(EndpointName=endpoint))
        return described["EndpointConfigName"] if described else None

    def is_serverless(self, config: str) -> bool:
        """Tell whether a configuration is of a serverless endpoint."""
        (variant,) = self.control.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        return "ServerlessConfig" in variant

    def configs(self, endpoint: str) -> list[str]:
        """Return the endpoint's configurations, newest first."""
        pages = self.control.get_paginator("list_endpoint_configs").paginate(NameContains=endpoint)
        names = [config["EndpointConfigName"] for page in pages for config in page["EndpointConfigs"]]
        # A name tells its time; the time of creation has whole seconds only on some stand-ins for AWS.
        return sorted((name for name in names if requests.is_name_of(endpoint, name)), reverse=True)

    def create(self, model: requests.Request, config: requests.Request) -> None:
        """Register a model and an endpoint configuration."""
        self.control.create_model(**model)
        self.control.create_endpoint_config(**config)

    def discard(self, name: str) -> None:
        """Delete the configuration and the model of this name."""
        _unless_missing(lambda: self.control.delete_endpoint_config(EndpointConfigName=name))
        _unless_missing(lambda: self.control.delete_model(ModelName=name))

    def wait(self, endpoint: str) -> None:
        """Show the endpoint's status until it is `InService`.

        Raises:
            DeploymentError: it failed, or takes longer than half an hour.
        """
        with _sdk(self.control.meta.region_name):
            from sagemaker.core.resources import Endpoint
            from sagemaker.core.utils.exceptions import FailedStatusError, TimeoutExceededError
        try:
            Endpoint(endpoint_name=endpoint).wait_for_status("InService", poll=10, timeout=WAIT_S)
        except (FailedStatusError, TimeoutExceededError) as error:
            raise DeploymentError(f"{endpoint}: {error}") from error

    def switch(self, endpoint: str, config: str, *, exists: bool) -> None:
        """Create the endpoint or change its configuration, and wait until it is in service.

        Raises:
            DeploymentError: it does not come into service with that configuration.
        """
        send = self.control.update_endpoint if exists else self.control.create_endpoint
        send(EndpointName=endpoint, EndpointConfigName=config)
        self.wait(endpoint)
        running = self.config_of(endpoint)
        if running != config:
            # SageMaker goes back by itself from an update that it cannot carry out.
            raise DeploymentError(f"{endpoint} was to run {config}, but SageMaker put {running} back")

    def scale(self, endpoint: str, capacity: requests.RealTime) -> None:
        """Let the number of instances follow the load."""
        bounds, policy = requests.scaling(endpoint, capacity)
        self.autoscaling.register_scalable_target(**bounds)
        self.autoscaling.put_scaling_policy(**policy)

    def stop_scaling(self, endpoint: str) -> Callable[[], None]:
        """Stop autoscaling, and return a function that resumes it."""
        variant = requests.scalable_variant(endpoint)
        one = {"ServiceNamespace": variant["ServiceNamespace"], "ResourceId": variant["ResourceId"]}
        policies = self.autoscaling.describe_scaling_policies(**one)["ScalingPolicies"]
        targets = self.autoscaling.describe_scalable_targets(
            ServiceNamespace=one["ServiceNamespace"], ResourceIds=[one["ResourceId"]]
        )["ScalableTargets"]
        for _ in targets:
            self.autoscaling.deregister_scalable_target(**variant)

        def resume() -> None:
            for target in targets:
                bounds = {name: target[name] for name in ("MinCapacity", "MaxCapacity")}
                self.autoscaling.register_scalable_target(**variant, **bounds)
            for policy in policies:
                names = ("PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration")
                self.autoscaling.put_scaling_policy(**variant, **{name: policy[name] for name in names})

        return resume

    def bound_logs(self, endpoint: str) -> None:
        """Create the endpoint's log group, and let its lines expire; a retention that is set stays."""
        name = requests.log_group(endpoint)
        with suppress(self.logs.exceptions.ResourceAlreadyExistsException):
            self.logs.create_log_group(logGroupName=name)
        found = self.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if any(each["logGroupName"] == name and "retentionInDays" not in each for each in found):
            self.logs.put_retention_policy(logGroupName=name, retentionInDays=requests.LOG_DAYS)

    def delete_logs(self, endpoint: str) -> None:
        """Delete the endpoint's log group, if there is one."""
        with suppress(self.logs.exceptions.ResourceNotFoundException):
            self.logs.delete_log_group(logGroupName=requests.log_group(endpoint))

    def delete_endpoint(self, endpoint: str) -> None:
        """Delete it and wait until it is gone."""
        self.control.delete_endpoint(EndpointName=endpoint)
        self.control.get_waiter("endpoint_deleted").wait(EndpointName=endpoint)

    def invoke(self, endpoint: str, image: bytes) -> tuple[bytes, str]:
        """Return the body and the custom attributes of the answer to one PNG image."""
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, ContentType="image/png", Body=image)
        return answer["Body"].read(), answer.get("CustomAttributes", "")


def trained_by(
    session: "boto3.Session",
    training_job: str,
    endpoint: str,
    role_arn: str,
    capacity: requests.Serverless | requests.RealTime,
) -> requests.Deployment:
    """Return the deployment of a model that a job of the built-in algorithm trained.

    Raises:
        DeploymentError: the job is not done.
    """
    job = session.client("sagemaker").describe_training_job(TrainingJobName=training_job)
    if job["TrainingJobStatus"] != "Completed":
        raise DeploymentError(f"training job {training_job} is {job['TrainingJobStatus']}, not Completed")
    return requests.Deployment(
        endpoint=endpoint,
        role_arn=role_arn,
        image_uri=job["AlgorithmSpecification"]["TrainingImage"],
        model_url=job["ModelArtifacts"]["S3ModelArtifacts"],
        class_count=int(job["HyperParameters"]["num_classes"]),
        model_version=None,
        capacity=capacity,
    )


def put_object(session: "boto3.Session", url: str, content: bytes) -> None:
    """Write an object to `s3://bucket/key`."""
    bucket, key = bucket_and_key(url)
    session.client("s3").put_object(Bucket=bucket, Key=key, Body=content)


def built_in_image(region: str) -> str:
    """Return the image URI of the built-in Image Classification algorithm in a region."""
    with _sdk(region):
        from sagemaker.core import image_uris
    return str(image_uris.retrieve(ALGORITHM, region))


def validation_fold(images: Dataset) -> Mask:
    """Return which images validate a training job and calibrate what it trained."""
    return np.equal(split(images, _FOLDS, _SEED), 0)


def plan_training(
    images: Dataset,
    *,
    job_name: str,
    role_arn: str,
    bucket: str,
    region: str,
    layers: int,
    epochs: int,
    instance_type: str,
) -> requests.TrainingPlan:
    """Return the plan of a training job of the built-in algorithm; nothing is asked of AWS."""
    return requests.TrainingPlan(
        job_name=job_name,
        role_arn=role_arn,
        image_uri=built_in_image(region),
        data_url=f"s3://{bucket}/training/{images.sha256()[:16]}",
        output_url=f"s3://{bucket}/models",
        class_count=len(images.classes),
        train_images=int((~validation_fold(images)).sum()),
        layers=layers,
        epochs=epochs,
        instance_type=instance_type,
    )


def train(session: "boto3.Session", plan: requests.TrainingPlan, images: Dataset, steps: Steps) -> None:
    """Upload images, train on those that do not validate, and show the algorithm's log until it ends.

    Raises:
        DeploymentError: the job failed.
    """
    bucket, prefix = bucket_and_key(plan.data_url)
    with steps("uploading") as progress:
        upload(session.client("s3"), bucket, prefix, images, validation_fold(images), progress)
    session.client("sagemaker").create_training_job(**requests.training_job(plan))
    with _sdk(session.region_name):
        from sagemaker.core.resources import TrainingJob
        from sagemaker.core.utils.exceptions import FailedStatusError
    try:
        TrainingJob(training_job_name=plan.job_name).wait(poll=15, logs=True)
    except FailedStatusError as error:
        raise DeploymentError(f"{plan.job_name}: {error}") from error


def upload(s3: Any, bucket: str, prefix: str, images: Dataset, validates: Mask, progress: Progress) -> None:
    """Upload images and `.lst` files for the four channels of the built-in algorithm."""
    objects: list[tuple[str, bytes]] = []
    for channel, chosen in (("train", ~validates), ("validation", validates)):
        # The images of a folder are sorted by class, and batches of one class teach nothing.
        part = images.take(np.random.default_rng(0).permutation(np.flatnonzero(chosen)))
        labels = [int(label) for label in part.labels]
        paths = [f"{images.classes[label]}/{i}.png" for i, label in enumerate(labels)]
        objects.append((f"{channel}_lst/{channel}.lst", requests.lst_file(labels, paths).encode()))
        for path, pixels in zip(paths, part.pixels, strict=True):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            objects.append((f"{channel}/{path}", buffer.getvalue()))

    def put(item: tuple[str, bytes]) -> None:
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{item[0]}", Body=item[1])

    with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
        for done, _ in enumerate(pool.map(put, objects), start=1):
            progress(done, len(objects))


@contextmanager
def _sdk(region: str) -> Iterator[None]:
    """Explain what to install if the SDK is missing: it has 1 GB, and nothing else needs it."""
    os.environ["AWS_DEFAULT_REGION"] = region  # the SDK makes clients of its own, and reads no AWS_REGION
    try:
        yield
    except ImportError as error:
        raise DeploymentError("this needs the SageMaker SDK: pip install 'sagemaker>=3.27'") from error


def _unless_missing(call: Callable[[], Any]) -> Any:
    """Return the result of a call, or None if the named resource does not exist."""
    try:
        return call()
    except ClientError as error:
        if "Could not find" in error.response["Error"].get("Message", ""):
            return None
        raise
