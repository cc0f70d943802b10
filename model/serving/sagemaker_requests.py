"""SageMaker requests as plain dictionaries, and their prices. Nothing here calls AWS.

Requests are spelled as the API spells them, so that botocore's own models can check them.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

Request = dict[str, Any]

BUILT_IN_LAYERS = (20, 32, 44, 56, 110)
"""Depths of the built-in algorithm's networks for small images.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/IC-Hyperparameter.html"""
BUILT_IN_IMAGE_SIZE_PX = 32
MINI_BATCH_IMAGES = 32
VARIANT = "AllTraffic"
SERVERLESS_MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
"""Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html"""
LOG_DAYS = 30
"""Days for which an endpoint's log is kept. SageMaker itself would keep it for ever."""
MIN_EPOCHS = 4
"""Least epochs of the built-in algorithm: the learning rate falls after half and three quarters of them."""
ENDPOINT_NAME_MAX_CHARS = 39
"""SageMaker allows 63; a deployment's name adds a time and a hash."""


@dataclass(frozen=True)
class TrainingPlan:
    """One run of the built-in Image Classification algorithm."""

    job_name: str
    role_arn: str
    image_uri: str
    data_url: str
    """S3 prefix that holds `train/`, `validation/`, `train_lst/` and `validation_lst/`."""
    output_url: str
    class_count: int
    train_images: int
    layers: int = 20
    epochs: int = 60
    instance_type: str = "ml.g4dn.xlarge"
    timeout_s: int = 3600


@dataclass(frozen=True)
class Serverless:
    """A serverless endpoint: it costs nothing while it is idle; for small loads."""

    memory_mb: int = 1024
    concurrency: int = 5
    """Requests at once. Many accounts may have 10 in all their serverless endpoints together."""
    provisioned_concurrency: int = 0
    """Of these, how many workers are kept warm, at a price."""


@dataclass(frozen=True)
class RealTime:
    """An endpoint on instances, whose number follows the load."""

    instance_type: str = "ml.c5.large"
    instances_min: int = 1
    instances_max: int = 4
    target_images_per_minute: int = 6000
    """For each instance: a quarter of what one core was measured to serve."""


@dataclass(frozen=True)
class Deployment:
    """A model behind an endpoint."""

    endpoint: str
    role_arn: str
    image_uri: str
    model_url: str
    """`model.tar.gz` on S3."""
    class_count: int
    model_version: str | None
    """None for the built-in algorithm, which does not name it."""
    capacity: Serverless | RealTime

    @property
    def digest(self) -> str:
        """8 hex digits that identify the deployment."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]

    def name(self, at: datetime) -> str:
        """Return the name of the model and of the endpoint configuration: endpoint, time and hash."""
        return f"{self.endpoint}-{at:%Y%m%d%H%M%S}-{self.digest}"


def is_name_of(endpoint: str, name: str) -> bool:
    """Tell whether a model or a configuration belongs to this endpoint."""
    return re.fullmatch(re.escape(endpoint) + r"-\d{14}-[0-9a-f]{8}", name) is not None


def lst_file(labels: Sequence[int], paths: Sequence[str]) -> str:
    """Return the list of labels for the built-in algorithm: index, label and path in each line.

    Raises:
        ValueError: the labels are not 0, 1, … without a gap: there would be a class without images.
    """
    used = sorted(set(labels))
    if used != list(range(len(used))):
        raise ValueError(f"labels must be 0, 1, 2, … without a gap, got {used}")
    rows = enumerate(zip(labels, paths, strict=True))
    return "".join(f"{index}\t{label}\t{path}\n" for index, (label, path) in rows)


def training_job(plan: TrainingPlan) -> Request:
    """Return the request of a training job.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/image-classification.html

    Raises:
        ValueError: the layers are not supported for 32 px, or images, classes or epochs are too few.
    """
    if plan.layers not in BUILT_IN_LAYERS:
        raise ValueError(f"{plan.layers} layers; for 32 × 32 px it must be one of {BUILT_IN_LAYERS}")
    if plan.class_count < 2:
        raise ValueError(f"{plan.class_count} class; at least 2 are needed")
    if plan.train_images < MINI_BATCH_IMAGES:
        raise ValueError(f"{plan.train_images} training images; at least {MINI_BATCH_IMAGES} are needed")
    if plan.epochs < MIN_EPOCHS:
        raise ValueError(f"{plan.epochs} epochs; at least {MIN_EPOCHS} are needed")
    size_px = BUILT_IN_IMAGE_SIZE_PX
    hyperparameters = {
        "num_classes": plan.class_count,
        "num_training_samples": plan.train_images,
        "image_shape": f"3,{size_px},{size_px}",
        "num_layers": plan.layers,
        "use_pretrained_model": 0,  # its pretrained networks see 224 px
        "epochs": plan.epochs,
        "mini_batch_size": MINI_BATCH_IMAGES,
        "learning_rate": 0.05,
        "lr_scheduler_step": f"{plan.epochs // 2},{plan.epochs * 3 // 4}",
        "lr_scheduler_factor": 0.1,
        "optimizer": "sgd",
        "augmentation_type": "crop_color_transform",
    }
    return {
        "TrainingJobName": plan.job_name,
        "RoleArn": plan.role_arn,
        "AlgorithmSpecification": {"TrainingImage": plan.image_uri, "TrainingInputMode": "File"},
        "HyperParameters": {name: str(value) for name, value in hyperparameters.items()},
        "InputDataConfig": [
            _channel(name, plan.data_url) for name in ("train", "validation", "train_lst", "validation_lst")
        ],
        "OutputDataConfig": {"S3OutputPath": plan.output_url},
        "ResourceConfig": {"InstanceType": plan.instance_type, "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": plan.timeout_s},
    }


def _channel(name: str, data_url: str) -> Request:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"{data_url}/{name}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "ContentType": "application/x-image",
        "CompressionType": "None",
    }


def model(deployment: Deployment, name: str) -> Request:
    """Return the request that registers the container and the weights."""
    return {
        "ModelName": name,
        "ExecutionRoleArn": deployment.role_arn,
        "PrimaryContainer": {"Image": deployment.image_uri, "ModelDataUrl": deployment.model_url},
    }


def endpoint_config(deployment: Deployment, name: str) -> Request:
    """Return the request of an endpoint configuration."""
    variant: Request = {"VariantName": VARIANT, "ModelName": name}
    match deployment.capacity:
        case Serverless(memory_mb, concurrency, provisioned):
            variant["ServerlessConfig"] = {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency}
            if provisioned:
                variant["ServerlessConfig"]["ProvisionedConcurrency"] = provisioned
        case RealTime(instance_type, instances_min):
            variant |= {"InstanceType": instance_type, "InitialInstanceCount": instances_min}
    return {"EndpointConfigName": name, "ProductionVariants": [variant]}


def log_group(endpoint: str) -> str:
    """Return the name of the log group that SageMaker writes an endpoint's log to.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def scalable_variant(endpoint: str) -> Request:
    """Return the identity of an endpoint's instances in Application Auto Scaling."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def scaling(endpoint: str, capacity: RealTime) -> tuple[Request, Request]:
    """Return the two requests of autoscaling: the bounds and the target."""
    variant = scalable_variant(endpoint)
    bounds = {"MinCapacity": capacity.instances_min, "MaxCapacity": capacity.instances_max}
    target = {
        "TargetValue": float(capacity.target_images_per_minute),
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 300,
    }
    policy = {
        "PolicyName": f"{endpoint}-images-per-instance",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": target,
    }
    return variant | bounds, variant | policy
