"""`scones image`: what CodeBuild gets, and that all that was created is named, bounded and deleted."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from infra.aws import image
from infra.aws.account import Account
from infra.aws.image import ImageNotBuilt, Workshop, source, tag_of
from infra.cli.main import scones
from infra.installation import PROJECT

ACCOUNT = "123456789012"
TAG = tag_of(source())
MANIFEST = json.dumps(
    {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}
)


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
    ):
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Workshop(Account.of(boto3.Session(region_name="eu-central-1")))


def nothing_said(text: str) -> None:
    """Say nothing."""


def build(workshop: Workshop) -> str:
    return workshop.build(source(), nothing_said, lambda seconds: None)


def push(workshop: Workshop) -> None:
    """Do what the build does at its end."""
    ecr = workshop.account.session.client("ecr")
    ecr.put_image(repositoryName=image.REPOSITORY, imageManifest=MANIFEST, imageTag=TAG)


def test_the_source_has_all_that_the_dockerfile_copies_and_is_the_same_each_time() -> None:
    assert source() == source()
    with zipfile.ZipFile(io.BytesIO(source())) as archive:
        names = set(archive.namelist())
        spec = json.loads(archive.read("buildspec.yml"))
    lines = (PROJECT / "model" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {path for line in lines if line.startswith("COPY ") for path in line.split()[1:-1]}
    assert names == {"buildspec.yml", "model/Dockerfile", *copied}
    assert not [name for name in names if name.startswith("model/weights")]
    commands = " ".join(command for phase in spec["phases"].values() for command in phase["commands"])
    assert "--provenance=false" in commands  # as the Dockerfile says
    assert set(re.findall(r"\$(\w+)", commands)) == {"REGISTRY", "IMAGE"}
    assert any(line.startswith("ARG BASE=") for line in lines)


def test_a_build_is_asked_for_with_its_source_and_its_image(workshop: Workshop) -> None:
    uri = build(workshop)
    assert uri == f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/scones-model:{TAG}"
    codebuild, s3 = (workshop.account.session.client(name) for name in ("codebuild", "s3"))
    (build_id,) = codebuild.list_builds_for_project(projectName=image.NAME)["ids"]
    assert codebuild.batch_get_builds(ids=[build_id])["builds"][0]["projectName"] == image.NAME
    stored = s3.get_object(Bucket=workshop.bucket, Key=f"image/{TAG}.zip")["Body"].read()
    assert stored == source()


def test_the_role_is_codebuild_s_and_may_do_no_more_than_this_build(workshop: Workshop) -> None:
    iam = workshop.account.session.client("iam")
    workshop._make_role()
    role = iam.get_role(RoleName=workshop.role_name)["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trust["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(f":project/{image.NAME}")
    policy = iam.get_role_policy(RoleName=workshop.role_name, PolicyName=image.NAME)["PolicyDocument"]
    for statement in policy["Statement"]:
        assert not [action for action in statement["Action"] if "*" in action]
        if statement["Action"] != ["ecr:GetAuthorizationToken"]:
            assert re.search(r"scones-(model|image|artifacts)", statement["Resource"])


def test_a_second_build_finds_what_is_there_and_deleting_leaves_nothing(workshop: Workshop) -> None:
    assert not workshop.has(TAG)  # no repository
    for _ in range(2):
        build(workshop)
    logs, session = workshop.account.session.client("logs"), workshop.account.session
    (group,) = logs.describe_log_groups(logGroupNamePrefix=image.LOG_GROUP)["logGroups"]
    assert group["retentionInDays"] == image.LOG_DAYS
    assert not workshop.has(TAG)  # no image
    push(workshop)
    assert workshop.has(TAG)
    for _ in range(2):  # what is gone already is no error
        workshop.delete()
    assert session.client("codebuild").list_projects()["projects"] == []
    assert session.client("ecr").describe_repositories()["repositories"] == []
    assert logs.describe_log_groups()["logGroups"] == []
    assert "Contents" not in session.client("s3").list_objects_v2(Bucket=workshop.bucket, Prefix="image/")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        session.client("iam").get_role(RoleName=workshop.role_name)


def with_builds(monkeypatch: pytest.MonkeyPatch, *builds: dict[str, Any]) -> None:
    """Let CodeBuild describe a build so, one description after the other."""
    left = iter(builds)
    client = Workshop._client

    def of(self: Workshop, service: str) -> Any:
        found = client(self, service)
        if service == "codebuild":
            found.batch_get_builds = lambda ids: {"builds": [next(left)]}
        return found

    monkeypatch.setattr(Workshop, "_client", of)


def test_a_build_that_fails_is_told_with_its_reason_and_its_log(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = {
        "buildStatus": "FAILED",
        "phases": [
            {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
            {
                "phaseType": "BUILD",
                "phaseStatus": "FAILED",
                "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1"}],
            },
        ],
        "logs": {"deepLink": "https://console.aws.amazon.com/log"},
    }
    with_builds(monkeypatch, {"buildStatus": "IN_PROGRESS", "currentPhase": "BUILD"}, failed)
    with pytest.raises(ImageNotBuilt, match=r"FAILED: BUILD: exit status 1\. The log: https://console"):
        build(workshop)


def test_a_role_that_is_too_new_is_waited_for(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Workshop._client
    waited: list[float] = []
    refused = {
        "Error": {"Code": "InvalidInputException", "Message": "not authorized to perform: sts:AssumeRole"}
    }

    def of(self: Workshop, service: str) -> Any:
        found = client(self, service)
        if service == "codebuild" and not waited:

            def refuse(**request: Any) -> None:
                raise found.exceptions.InvalidInputException(refused, "CreateProject")

            calls = iter([refuse, found.create_project])
            found.create_project = lambda **request: next(calls)(**request)
        return found

    monkeypatch.setattr(Workshop, "_client", of)
    workshop.build(source(), nothing_said, waited.append)
    assert waited == [image._POLL_S]


@pytest.mark.usefixtures("workshop")
def test_the_command_names_what_it_creates_and_the_cost_first_and_prints_the_uri(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda stack_name=None: workshop.account)
    done = CliRunner().invoke(scones, ["image", "--yes"], catch_exceptions=False)
    assert done.stdout.strip() == workshop.uri(TAG)
    for part in workshop.parts:
        assert part in done.stderr.replace("\n", " ")
    assert "US$ 0.02 a build" in done.stderr.replace("\n", " ")
    deleted = CliRunner().invoke(scones, ["image", "--delete", "--yes"], catch_exceptions=False)
    assert "Deleted." in deleted.output
    assert workshop.account.session.client("ecr").describe_repositories()["repositories"] == []


def test_an_endpoint_without_an_image_takes_the_one_that_codebuild_builds(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda stack_name=None: workshop.account)
    role = f"arn:aws:iam::{ACCOUNT}:role/sagemaker"
    plan = ["endpoint", "--role-arn", role, "--bucket", "models", "--dry-run"]
    done = CliRunner().invoke(scones, plan, catch_exceptions=False)
    assert json.loads(done.stdout)["model"]["PrimaryContainer"]["Image"] == workshop.uri(TAG)
    assert workshop.account.session.client("ecr").describe_repositories()["repositories"] == []
