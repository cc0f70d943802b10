"""The endpoint's container, built by AWS CodeBuild: no Docker is needed on this machine.

The source is a zip file of what `model/Dockerfile` copies, with a build specification. The image's tag is a
digest of that file: the same source is built once. The model is not in it; SageMaker mounts the model.

What is created has fixed names, one set per region: see `Workshop.parts`. `delete` removes all of it.
Sources: https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html,
https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.aws.account import Account
from infra.aws.deploy import artifacts_bucket, make_artifacts_bucket
from infra.installation import PROJECT
from ingest.errors import SconesError

REPOSITORY = "scones-model"
NAME = "scones-image"
"""Name of the CodeBuild project, and with the region of its role."""
LOG_GROUP = f"/aws/codebuild/{NAME}"
LOG_DAYS = 30
KEPT_IMAGES = 5
SOURCE_PREFIX = "image/"
"""Prefix of the source in the artifacts bucket."""

BASE_IMAGE = "public.ecr.aws/docker/library/python:3.13-slim"
"""The Dockerfile's base from AWS's own registry: Docker Hub limits what anonymous machines may pull."""
COST = (
    "about US$ 0.02 a build (0.005 a minute on CodeBuild's smallest Linux machine), and 0.02 a month for "
    "each image that ECR keeps (0.10 a GB); list prices of us-east-1, November 2026"
)

BUILD_MINUTES = 20
_POLL_S = 5.0
_ROLE_PATIENCE_S = 60.0
"""A new role is known to other services after some seconds."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

_BUILDSPEC = {
    "version": 0.2,
    "phases": {
        "pre_build": {
            "commands": [
                'aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY"',
            ]
        },
        "build": {
            "commands": [
                # Without --provenance=false the image gets a manifest that SageMaker refuses.
                f'docker build --platform linux/amd64 --provenance=false --build-arg "BASE={BASE_IMAGE}" '
                '-f model/Dockerfile -t "$IMAGE" .',
                'docker push "$IMAGE"',
            ]
        },
    },
}

Say = Callable[[str], None]


class ImageNotBuilt(SconesError):
    """CodeBuild did not build the image. The text has the reason."""


def source() -> bytes:
    """Return the zip file that CodeBuild builds from, the same bytes for the same sources."""
    files = {path: (PROJECT / path).read_bytes() for path in ["model/Dockerfile", *_copied()]}
    files["buildspec.yml"] = json.dumps(_BUILDSPEC, indent=1).encode()  # JSON is YAML
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(path, _ZIP_TIME), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def tag_of(zipped: bytes) -> str:
    """Return the tag of the image that a source becomes."""
    return hashlib.sha256(zipped).hexdigest()[:16]


def _copied() -> Iterator[str]:
    """Yield the files that the Dockerfile copies."""
    for line in Path(PROJECT, "model/Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY "):
            yield from line.split()[1:-1]


@dataclass(frozen=True)
class Workshop:
    """What builds images in one account and region."""

    account: Account
    _clients: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def parts(self) -> list[str]:
        """Return what is there after a build and was not before, by name."""
        return [
            f"ECR repository {REPOSITORY} (the {KEPT_IMAGES} newest images are kept)",
            f"CodeBuild project {NAME}",
            f"IAM role {self.role_name}",
            f"log group {LOG_GROUP} ({LOG_DAYS} days)",
            f"s3://{self.bucket}/{SOURCE_PREFIX} (the source)",
        ]

    @property
    def role_name(self) -> str:
        """Name of the role that CodeBuild works in. Roles are the account's, so the region is in the name."""
        return f"{NAME}-{self.account.region}"

    @property
    def bucket(self) -> str:
        """Name of the bucket that the source is in: the one of deployments."""
        return artifacts_bucket(self.account.account_id, self.account.region)

    @property
    def registry(self) -> str:
        """Host name of the account's registry."""
        end = "amazonaws.com.cn" if self._partition == "aws-cn" else "amazonaws.com"
        return f"{self.account.account_id}.dkr.ecr.{self.account.region}.{end}"

    def uri(self, tag: str) -> str:
        """Return the URI of an image, as `scones endpoint --image` takes it."""
        return f"{self.registry}/{REPOSITORY}:{tag}"

    def has(self, tag: str) -> bool:
        """Tell whether an image was built already."""
        try:
            self._client("ecr").describe_images(repositoryName=REPOSITORY, imageIds=[{"imageTag": tag}])
        except ClientError as error:
            if error.response["Error"]["Code"] in ("RepositoryNotFoundException", "ImageNotFoundException"):
                return False
            raise
        return True

    def build(self, zipped: bytes, say: Say, sleep: Callable[[float], None] = time.sleep) -> str:
        """Create what is missing, build the image, and return its URI.

        Raises:
            ImageNotBuilt: the build failed, or took too long.
        """
        uri = self.uri(tag_of(zipped))
        key = f"{SOURCE_PREFIX}{tag_of(zipped)}.zip"
        s3 = self._client("s3")
        make_artifacts_bucket(s3, self.bucket, self.account.region)
        s3.put_object(Bucket=self.bucket, Key=key, Body=zipped)
        self._make_repository()
        self._make_log_group()
        self._make_project(self._make_role(), sleep)
        started = self._client("codebuild").start_build(
            projectName=NAME,
            sourceLocationOverride=f"{self.bucket}/{key}",
            environmentVariablesOverride=[
                {"name": "REGISTRY", "value": self.registry, "type": "PLAINTEXT"},
                {"name": "IMAGE", "value": uri, "type": "PLAINTEXT"},
            ],
        )["build"]
        say(f"building {uri}: some minutes")
        self._wait(started["id"], say, sleep)
        return uri

    def delete(self) -> None:
        """Delete all that `build` created, images included; what is gone already is not an error."""
        iam, codebuild = self._client("iam"), self._client("codebuild")
        codebuild.delete_project(name=NAME)
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role_policy(RoleName=self.role_name, PolicyName=NAME)
        with suppress(iam.exceptions.NoSuchEntityException):
            iam.delete_role(RoleName=self.role_name)
        logs, ecr, s3 = self._client("logs"), self._client("ecr"), self._client("s3")
        with suppress(logs.exceptions.ResourceNotFoundException):
            logs.delete_log_group(logGroupName=LOG_GROUP)
        with suppress(ecr.exceptions.RepositoryNotFoundException):
            ecr.delete_repository(repositoryName=REPOSITORY, force=True)
        with suppress(s3.exceptions.NoSuchBucket):
            for page in s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=SOURCE_PREFIX
            ):
                for item in page.get("Contents", ()):
                    s3.delete_object(Bucket=self.bucket, Key=item["Key"])

    def _make_repository(self) -> None:
        ecr = self._client("ecr")
        with suppress(ecr.exceptions.RepositoryAlreadyExistsException):
            ecr.create_repository(
                repositoryName=REPOSITORY,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
            )
        rule = {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "any",
                "countType": "imageCountMoreThan",
                "countNumber": KEPT_IMAGES,
            },
            "action": {"type": "expire"},
        }
        ecr.put_lifecycle_policy(repositoryName=REPOSITORY, lifecyclePolicyText=json.dumps({"rules": [rule]}))

    def _make_log_group(self) -> None:
        logs = self._client("logs")
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=LOG_GROUP)
        logs.put_retention_policy(logGroupName=LOG_GROUP, retentionInDays=LOG_DAYS)

    def _make_role(self) -> str:
        """Create the role, or give it the present policy; return its ARN."""
        iam = self._client("iam")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(
                RoleName=self.role_name,
                Description="Builds the container of a Scones endpoint.",
                AssumeRolePolicyDocument=json.dumps(_policy([self._trust()])),
            )
        iam.put_role_policy(
            RoleName=self.role_name, PolicyName=NAME, PolicyDocument=json.dumps(_policy(self.statements()))
        )
        arn: str = iam.get_role(RoleName=self.role_name)["Role"]["Arn"]
        return arn

    def _trust(self) -> dict[str, Any]:
        return {
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnEquals": {"aws:SourceArn": self._arn("codebuild", f"project/{NAME}")}},
        }

    def statements(self) -> list[dict[str, Any]]:
        """Return what the role may do."""
        bucket = f"arn:{self._partition}:s3:::{self.bucket}"
        return [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"{bucket}/{SOURCE_PREFIX}*"},
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": bucket},
            {  # this action does not support resources
                "Effect": "Allow",
                "Action": ["ecr:GetAuthorizationToken"],
                "Resource": "*",
            },
            {
                "Effect": "Allow",
                "Action": [
                    "ecr:BatchCheckLayerAvailability",
                    "ecr:InitiateLayerUpload",
                    "ecr:UploadLayerPart",
                    "ecr:CompleteLayerUpload",
                    "ecr:BatchGetImage",
                    "ecr:PutImage",
                ],
                "Resource": self._arn("ecr", f"repository/{REPOSITORY}"),
            },
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": self._arn("logs", f"log-group:{LOG_GROUP}:*"),
            },
        ]

    def project(self, role_arn: str) -> dict[str, Any]:
        """Return the request that describes the CodeBuild project."""
        return {
            "name": NAME,
            "description": "Builds the container of a Scones endpoint.",
            "source": {"type": "S3", "location": f"{self.bucket}/{SOURCE_PREFIX}source.zip"},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "privilegedMode": True,  # Docker needs it
            },
            "serviceRole": role_arn,
            "timeoutInMinutes": BUILD_MINUTES,
            "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": LOG_GROUP}},
        }

    def _make_project(self, role_arn: str, sleep: Callable[[float], None]) -> None:
        codebuild = self._client("codebuild")
        codebuild.delete_project(name=NAME)  # an older version's; its builds stay
        waited_s = 0.0
        while True:
            try:
                codebuild.create_project(**self.project(role_arn))
            except codebuild.exceptions.InvalidInputException as error:
                if "AssumeRole" not in str(error) or waited_s >= _ROLE_PATIENCE_S:
                    raise
                sleep(_POLL_S)
                waited_s += _POLL_S
            else:
                return

    def _wait(self, build_id: str, say: Say, sleep: Callable[[float], None]) -> None:
        phase = ""
        for _ in range(int(2 * BUILD_MINUTES * 60 / _POLL_S)):
            (build,) = self._client("codebuild").batch_get_builds(ids=[build_id])["builds"]
            if build["buildStatus"] != "IN_PROGRESS":
                break
            if build.get("currentPhase", "") != phase:
                phase = build["currentPhase"]
                say(f"  {phase.lower().replace('_', ' ')}")
            sleep(_POLL_S)
        if build["buildStatus"] != "SUCCEEDED":
            raise ImageNotBuilt(
                f"the build is {build['buildStatus']}: {_why(build)}The log: {_log_of(build)}"
            )

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.account.session.client(service)
        return self._clients[service]

    def _arn(self, service: str, resource: str) -> str:
        account = self.account
        return f"arn:{self._partition}:{service}:{account.region}:{account.account_id}:{resource}"

    @property
    def _partition(self) -> str:
        return str(self.account.session.get_partition_for_region(self.account.region))


def _policy(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _why(build: dict[str, Any]) -> str:
    """Return what went wrong in which phase, as far as CodeBuild says so."""
    said = [
        f"{phase['phaseType']}: {context['message']}. "
        for phase in build.get("phases", ())
        if phase.get("phaseStatus") not in (None, "SUCCEEDED")
        for context in phase.get("contexts", ())
        if context.get("message")
    ]
    return "".join(said[:1])


def _log_of(build: dict[str, Any]) -> str:
    logs = build.get("logs", {})
    return str(logs.get("deepLink") or f"{LOG_GROUP}, stream {logs.get('streamName', 'unknown')}")
