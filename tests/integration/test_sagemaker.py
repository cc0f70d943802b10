"""What is asked of SageMaker, checked by botocore's own models and, as far as it goes, by moto.

The last tests need the `sagemaker` extra and are skipped without it.
"""

import importlib.util
import io
import json
import math
import random
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace

import boto3
import botocore.session
import numpy as np
import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from click.testing import CliRunner
from moto import mock_aws

from infra.aws.account import Account
from infra.cli.main import scones
from infra.operations.calibrate_endpoint import calibration
from infra.operations.endpoint_cost import hourly_cost, training_cost
from model.data.dataset import Dataset
from model.data.drawings import LABELS, draw
from model.files import DEFAULT_MODEL, read_card
from model.serving import sagemaker as on_aws
from model.serving import sagemaker_requests as requests
from model.serving.deployment import DeploymentError, delete, deploy, package, roll_back, smoke_test
from workflow.answers import Scores
from workflow.policy import Policy, decide

ROLE = "arn:aws:iam::123456789012:role/scones"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/scones:1"
OURS = requests.Deployment(
    endpoint="scones",
    role_arn=ROLE,
    image_uri=IMAGE,
    model_url="s3://models/v1/model.tar.gz",
    class_count=2,
    model_version="v1",
    capacity=requests.Serverless(),
)
REAL_TIME = requests.RealTime("ml.c5.large", 1, 4)
PLAN = requests.TrainingPlan(
    job_name="scones-20261124",
    role_arn=ROLE,
    image_uri="811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1",
    data_url="s3://data/training/abc",
    output_url="s3://data/models",
    class_count=5,
    train_images=800,
)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 13, tzinfo=UTC)


@cache
def service_model(name):
    return botocore.session.get_session().get_service_model(name)


def problems(service, operation, request):
    shape = service_model(service).operation_model(operation).input_shape
    return ParamValidator().validate(request, shape).generate_report()


def test_the_validator_itself_finds_a_misspelt_name():
    assert "ModelNam" in problems("sagemaker", "CreateModel", {"ModelNam": "x"})


@pytest.mark.parametrize("capacity", [requests.Serverless(), requests.Serverless(2048, 5, 2), REAL_TIME])
def test_every_request_is_valid_for_the_api(capacity):
    deployment = replace(OURS, capacity=capacity)
    name = deployment.name(NOON)
    bounds, policy = requests.scaling("scones", REAL_TIME)
    for service, operation, request in [
        ("sagemaker", "CreateTrainingJob", requests.training_job(PLAN)),
        ("sagemaker", "CreateModel", requests.model(deployment, name)),
        ("sagemaker", "CreateEndpointConfig", requests.endpoint_config(deployment, name)),
        ("application-autoscaling", "RegisterScalableTarget", bounds),
        ("application-autoscaling", "PutScalingPolicy", policy),
    ]:
        assert problems(service, operation, request) == ""


def test_the_longest_endpoint_name_makes_names_that_sagemaker_allows():
    deployment = replace(OURS, endpoint="e" * requests.ENDPOINT_NAME_MAX_CHARS)
    assert len(deployment.name(NOON)) <= 63
    assert requests.is_name_of(deployment.endpoint, deployment.name(NOON))
    assert not requests.is_name_of("scones", replace(OURS, endpoint="scones-2").name(NOON))
    assert not requests.is_name_of("scones", replace(OURS, endpoint="my-scones").name(NOON))


def test_the_training_job_counts_every_class_and_image():
    hyperparameters = requests.training_job(PLAN)["HyperParameters"]
    assert hyperparameters["num_classes"] == "5"
    assert hyperparameters["num_training_samples"] == "800"
    assert hyperparameters["image_shape"] == "3,32,32"
    assert all(isinstance(value, str) for value in hyperparameters.values())


def test_the_four_channels_are_side_by_side():
    channels = requests.training_job(PLAN)["InputDataConfig"]
    assert {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in channels
    } == {
        name: f"s3://data/training/abc/{name}/"
        for name in ("train", "validation", "train_lst", "validation_lst")
    }
    assert {channel["ContentType"] for channel in channels} == {"application/x-image"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": 18}, "18 layers"),
        ({"class_count": 1}, "1 class"),
        ({"train_images": 10}, "10 training images"),
        ({"epochs": 1}, "1 epochs"),
    ],
)
def test_a_job_that_the_algorithm_cannot_train_is_refused_before_it_costs_anything(change, said):
    with pytest.raises(ValueError, match=said):
        requests.training_job(replace(PLAN, **change))


def test_a_list_names_index_label_and_path():
    assert requests.lst_file([0, 1, 0], ["a/0.png", "b/1.png", "a/2.png"]) == (
        "0\t0\ta/0.png\n1\t1\tb/1.png\n2\t0\ta/2.png\n"
    )


@pytest.mark.parametrize("labels", [[1, 2], [0, 2], [8, 48]])
def test_labels_with_a_gap_are_refused(labels):
    with pytest.raises(ValueError, match="without a gap"):
        requests.lst_file(labels, ["a", "b"])


def test_the_cost_of_an_hour_is_the_price_times_what_runs():
    assert "US$ 0.10 to 0.41 an hour" in hourly_cost(REAL_TIME)
    assert "1.44 with all 20" in hourly_cost(requests.Serverless(1024, 20))
    assert "2 workers that are kept warm" in hourly_cost(requests.Serverless(1024, 20, 2))
    assert "unknown price" in hourly_cost(requests.RealTime("ml.x9.huge"))
    assert "US$ 0.74 an hour" in training_cost(PLAN)


def test_a_package_holds_the_model_at_its_root_and_is_the_same_each_time(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"network")
    (tmp_path / "card.json").write_text("{}", encoding="utf-8")
    packed = package(tmp_path)
    assert packed == package(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["model.onnx", "card.json"]
        packed_model = archive.extractfile("model.onnx")
        assert packed_model
        assert packed_model.read() == b"network"


def test_an_incomplete_model_is_not_packed(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"network")
    with pytest.raises(DeploymentError, match=r"card\.json"):
        package(tmp_path)


class FakePlane:
    """An AWS that does at once what it is asked, or refuses."""

    def __init__(self, answer=b"[0.5, 0.5]", attributes="model_version=v1"):
        self.endpoints, self.registered, self.scaled = {}, [], {}
        self.answer, self.attributes, self.broken = answer, attributes, set()
        self.pending = {}
        self.serverless = set()
        self.logs = set()

    def bound_logs(self, endpoint):
        self.logs.add(endpoint)

    def delete_logs(self, endpoint):
        assert endpoint not in self.endpoints, "SageMaker would make it anew"
        self.logs.discard(endpoint)

    def config_of(self, endpoint):
        return self.endpoints.get(endpoint)

    def is_serverless(self, config):
        return config in self.serverless

    def configs(self, endpoint):
        return sorted((n for n in self.registered if requests.is_name_of(endpoint, n)), reverse=True)

    def create(self, model, config):
        self.registered.append(config["EndpointConfigName"])
        if "ServerlessConfig" in config["ProductionVariants"][0]:
            self.serverless.add(config["EndpointConfigName"])

    def discard(self, name):
        assert name not in self.endpoints.values(), "in use"
        self.registered.remove(name)

    def wait(self, endpoint):
        self.endpoints.update(self.pending)

    def switch(self, endpoint, config, *, exists):
        assert exists == (endpoint in self.endpoints)
        if config in self.broken:
            raise DeploymentError("no capacity")
        if exists and config in self.serverless and self.endpoints[endpoint] not in self.serverless:
            raise DeploymentError("updating a real-time endpoint to serverless is not supported")
        self.endpoints[endpoint] = config

    def scale(self, endpoint, capacity):
        self.scaled[endpoint] = capacity

    def stop_scaling(self, endpoint):
        before = self.scaled.pop(endpoint, None)
        return lambda: before and self.scaled.update({endpoint: before})

    def delete_endpoint(self, endpoint):
        del self.endpoints[endpoint]

    def invoke(self, endpoint, image):
        assert image.startswith(b"\x89PNG")
        return self.answer, self.attributes


def quiet(line):
    pass


V2 = replace(OURS, model_url="s3://models/v2/model.tar.gz", model_version="v2")


def test_a_first_deployment_creates_the_endpoint():
    plane = FakePlane()
    name = deploy(plane, OURS, NOON, quiet)
    assert plane.endpoints == {"scones": name}
    assert plane.scaled == {}


def test_a_second_deployment_updates_the_endpoint_and_keeps_the_first_for_a_rollback():
    plane = FakePlane()
    first = deploy(plane, OURS, NOON, quiet)
    plane.attributes = "model_version=v2"
    second = deploy(plane, V2, LATER, quiet)
    assert plane.endpoints == {"scones": second}
    assert plane.configs("scones") == [second, first]
    assert roll_back(plane, "scones", quiet) == first
    assert plane.registered == [first]


def test_only_one_deployment_is_kept_for_a_rollback():
    plane = FakePlane()
    names = [
        deploy(plane, replace(OURS, capacity=requests.Serverless(1024, n)), NOON.replace(hour=n), quiet)
        for n in (1, 2, 3)
    ]
    assert plane.configs("scones") == [names[2], names[1]]


def test_the_same_deployment_again_changes_nothing():
    plane = FakePlane()
    assert deploy(plane, OURS, NOON, quiet) == deploy(plane, OURS, LATER, quiet)
    assert len(plane.registered) == 1


def test_an_interrupted_update_is_waited_for():
    plane = FakePlane()
    deploy(plane, OURS, NOON, quiet)
    begun = V2.name(LATER)
    plane.create({}, requests.endpoint_config(V2, begun))
    plane.pending, plane.attributes = {"scones": begun}, "model_version=v2"
    assert deploy(plane, V2, LATER.replace(hour=14), quiet) == begun
    assert plane.endpoints == {"scones": begun}


def test_a_first_deployment_that_answers_wrongly_leaves_nothing_behind():
    plane = FakePlane(answer=b"[0.2, 0.3, 0.5]")
    with pytest.raises(DeploymentError, match="not a list of 2"):
        deploy(plane, OURS, NOON, quiet)
    assert (plane.endpoints, plane.registered) == ({}, [])


def test_an_update_that_runs_another_model_is_rolled_back():
    plane = FakePlane()
    first = deploy(plane, OURS, NOON, quiet)
    with pytest.raises(DeploymentError, match="model_version=v1, not model_version=v2"):
        deploy(plane, V2, LATER, quiet)
    assert plane.endpoints == {"scones": first}
    assert plane.registered == [first]


def test_an_update_that_fails_is_rolled_back_with_its_scaling():
    plane = FakePlane()
    real_time = replace(OURS, capacity=REAL_TIME)
    first = deploy(plane, real_time, NOON, quiet)
    plane.broken.add(V2.name(LATER))
    with pytest.raises(DeploymentError, match="no capacity"):
        deploy(plane, V2, LATER, quiet)
    assert plane.endpoints == {"scones": first}
    assert plane.scaled == {"scones": REAL_TIME}


@pytest.mark.parametrize("step", ["create", "stop_scaling"])
def test_a_failure_before_the_endpoint_changes_leaves_nothing_behind(monkeypatch, step):
    plane = FakePlane()
    first = deploy(plane, OURS, NOON, quiet)

    def refused(*arguments):
        plane.registered.append(V2.name(LATER))
        raise DeploymentError("not allowed")

    monkeypatch.setattr(plane, step, refused)
    monkeypatch.setattr(plane, "discard", lambda name: setattr(plane, "registered", [first]))
    with pytest.raises(DeploymentError, match="not allowed"):
        deploy(plane, V2, LATER, quiet)
    assert plane.registered == [first]
    assert plane.endpoints == {"scones": first}


def test_an_update_to_serverless_ends_scaling():
    plane = FakePlane()
    deploy(plane, replace(OURS, capacity=REAL_TIME), NOON, quiet)
    deploy(plane, OURS, LATER, quiet)
    assert plane.scaled == {}


def test_a_rollback_from_instances_to_serverless_makes_the_endpoint_anew():
    plane = FakePlane()
    said: list[str] = []
    first = deploy(plane, OURS, NOON, quiet)
    deploy(plane, replace(OURS, capacity=REAL_TIME), LATER, quiet)
    assert roll_back(plane, "scones", said.append) == first
    assert plane.endpoints == {"scones": first}
    assert "redrive them afterwards" in "".join(said)


def test_a_failed_deployment_on_instances_puts_the_serverless_endpoint_back():
    plane = FakePlane()
    first = deploy(plane, OURS, NOON, quiet)
    with pytest.raises(DeploymentError, match="not model_version=v2"):
        deploy(plane, replace(V2, capacity=REAL_TIME), LATER, quiet)
    assert plane.endpoints == {"scones": first}
    assert plane.registered == [first]


def test_a_rollback_needs_a_previous_deployment():
    plane = FakePlane()
    with pytest.raises(DeploymentError, match="no endpoint scones"):
        roll_back(plane, "scones", quiet)
    deploy(plane, OURS, NOON, quiet)
    with pytest.raises(DeploymentError, match="none before it"):
        roll_back(plane, "scones", quiet)


def test_deleting_leaves_nothing_and_may_be_repeated():
    plane = FakePlane()
    deploy(plane, OURS, NOON, quiet)
    deploy(plane, replace(OURS, capacity=REAL_TIME), LATER, quiet)
    delete(plane, "scones", quiet)
    delete(plane, "scones", quiet)
    assert (plane.endpoints, plane.registered, plane.scaled, plane.logs) == ({}, [], {}, set())


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"{}", b"[1]", b'["a", "b"]', b"[0.9, 0.9]", b"[NaN, 1]", b"[-1, 2]", b"[[0.5, 0.5]]"],
)
def test_an_answer_without_one_probability_per_class_fails_the_smoke_test(answer):
    with pytest.raises(DeploymentError, match="scones answers"):
        smoke_test(FakePlane(answer), OURS)


def test_the_built_in_algorithm_need_not_name_its_version():
    smoke_test(FakePlane(attributes=""), replace(OURS, model_version=None))


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def sagemaker(aws, monkeypatch):
    """SageMaker as moto has it, with the update that moto lacks, and an endpoint that answers."""
    plane = on_aws.SageMaker.connect(boto3.Session())

    def update(EndpointName, EndpointConfigName):
        plane.control.delete_endpoint(EndpointName=EndpointName)
        plane.control.create_endpoint(EndpointName=EndpointName, EndpointConfigName=EndpointConfigName)

    monkeypatch.setattr(plane.control, "update_endpoint", update)
    monkeypatch.setattr(on_aws.SageMaker, "invoke", lambda *_: (b"[0.5, 0.5]", "model_version=v1"))
    monkeypatch.setattr(on_aws.SageMaker, "wait", lambda *_: None)
    return plane


def test_deploying_updating_rolling_back_and_deleting_on_moto(sagemaker):
    first = deploy(sagemaker, OURS, NOON, quiet)
    second = deploy(sagemaker, replace(OURS, capacity=REAL_TIME), LATER, quiet)
    assert sagemaker.config_of("scones") == second
    assert sagemaker.configs("scones") == [second, first]
    (target,) = sagemaker.autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)

    assert roll_back(sagemaker, "scones", quiet) == first
    targets = sagemaker.autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")
    assert targets["ScalableTargets"] == []

    delete(sagemaker, "scones", quiet)
    assert sagemaker.config_of("scones") is None
    assert sagemaker.configs("scones") == []
    assert sagemaker.control.list_models()["Models"] == []


def test_an_endpoint_s_log_expires_and_goes_with_it_on_moto(sagemaker):
    def retention():
        name = "/aws/sagemaker/Endpoints/scones"
        found = sagemaker.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return {each["logGroupName"]: each.get("retentionInDays") for each in found}

    sagemaker.logs.create_log_group(logGroupName="/aws/sagemaker/Endpoints/scones-2")
    deploy(sagemaker, OURS, NOON, quiet)
    other = {"/aws/sagemaker/Endpoints/scones-2": None}
    assert retention() == {"/aws/sagemaker/Endpoints/scones": 30, **other}
    sagemaker.logs.put_retention_policy(logGroupName="/aws/sagemaker/Endpoints/scones", retentionInDays=7)
    deploy(sagemaker, OURS, LATER, quiet)
    assert retention() == {"/aws/sagemaker/Endpoints/scones": 7, **other}
    delete(sagemaker, "scones", quiet)
    delete(sagemaker, "scones", quiet)
    assert retention() == other


def test_scaling_that_was_stopped_resumes_as_it_was_on_moto(sagemaker):
    deploy(sagemaker, replace(OURS, capacity=REAL_TIME), NOON, quiet)
    policies = sagemaker.autoscaling.describe_scaling_policies
    before = policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    resume = sagemaker.stop_scaling("scones")
    resume()
    (policy,) = policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert (
        policy["TargetTrackingScalingPolicyConfiguration"]
        == (before[0]["TargetTrackingScalingPolicyConfiguration"])
    )


def test_a_rollback_by_sagemaker_itself_is_a_failed_deployment(sagemaker, monkeypatch):
    first = deploy(sagemaker, OURS, NOON, quiet)
    monkeypatch.setattr(sagemaker.control, "update_endpoint", lambda **_: None)
    with pytest.raises(DeploymentError, match=f"put {first} back"):
        deploy(sagemaker, V2, LATER, quiet)
    assert sagemaker.configs("scones") == [first]


def test_another_error_of_aws_is_not_mistaken_for_a_missing_endpoint(sagemaker, monkeypatch):
    def forbidden(**_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeEndpoint")

    monkeypatch.setattr(sagemaker.control, "describe_endpoint", forbidden)
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.config_of("scones")


def quiet_progress(done, total):
    pass


def drawn_dataset(count):
    rng = random.Random(1)
    labels = np.arange(count) % len(LABELS)
    pixels = np.stack([np.asarray(draw(LABELS[label], 32, 32, rng)) for label in labels])
    return Dataset(pixels, labels, LABELS, tuple(f"image {i}" for i in range(count)))


def test_uploaded_lists_name_every_uploaded_image_with_its_class(aws):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="data")
    validates = np.arange(30) < 10
    on_aws.upload(s3, "data", "training/x", drawn_dataset(30), validates, quiet_progress)
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="data")["Contents"]}
    listed = set()
    for channel, count in (("train", int((~validates).sum())), ("validation", int(validates.sum()))):
        key = f"training/x/{channel}_lst/{channel}.lst"
        lines = s3.get_object(Bucket="data", Key=key)["Body"].read().decode().splitlines()
        assert len(lines) == count
        for line in lines:
            _, label, path = line.split("\t")
            assert path.split("/")[0] == LABELS[int(label)]
            listed.add(f"training/x/{channel}/{path}")
        listed.add(key)
    assert keys == listed


def test_a_list_is_not_sorted_by_class_even_where_the_images_are(aws):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="data")
    images = drawn_dataset(40)
    by_class = images.take(np.argsort(images.labels, kind="stable"))
    on_aws.upload(s3, "data", "x", by_class, np.arange(40) % 5 == 0, quiet_progress)
    said = s3.get_object(Bucket="data", Key="x/train_lst/train.lst")["Body"].read().decode()
    labels = [int(line.split("\t")[1]) for line in said.splitlines()]
    assert labels != sorted(labels)


def test_with_a_fitted_temperature_the_confidence_of_decide_matches_its_accuracy():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 2))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random(4000) > chances[:, 0]).astype(np.int64)
    overconfident = np.exp(3 * logits) / np.exp(3 * logits).sum(axis=1, keepdims=True)

    said = calibration(overconfident, labels, ("a", "b"), 0.95)
    assert float(said["Temperature"]) == pytest.approx(3, rel=0.1)

    policy = Policy.from_mapping(said)
    confidence = [decide(Scores(scores), policy).confidence for scores in overconfident.tolist()]
    right = overconfident.argmax(axis=1) == labels
    assert math.fsum(confidence) / len(confidence) == pytest.approx(right.mean(), abs=0.02)


def run(*arguments):
    return CliRunner().invoke(scones, arguments)


def test_a_dry_run_shows_requests_and_cost_and_asks_nothing_of_aws():
    common = ("--role-arn", ROLE, "--bucket", "models", "--image", IMAGE, "--dry-run")
    plan = json.loads(run("endpoint", *common).stdout)
    assert problems("sagemaker", "CreateModel", plan["model"]) == ""
    assert "US$ 0 an hour" in plan["cost"]
    assert "scaling" not in plan
    assert plan["log_group"] == {"logGroupName": "/aws/sagemaker/Endpoints/scones", "retentionInDays": 30}
    real_time = json.loads(run("endpoint", *common, "--instance-type", "ml.m5.large").stdout)
    assert "US$ 0.12 to 0.46 an hour" in real_time["cost"]
    assert len(real_time["scaling"]) == 2


def test_the_command_deploys_the_model_and_says_what_the_endpoint_runs(monkeypatch):
    card = read_card(DEFAULT_MODEL)
    version, classes = card["model_version"], len(card["classes"])
    scores = json.dumps([1 / classes] * classes).encode()
    plane = FakePlane(scores, f"model_version={version}")
    put = []

    def no_stack(**_):
        raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")

    clients = {
        "cloudformation": SimpleNamespace(describe_stacks=no_stack),
        "s3": SimpleNamespace(put_object=lambda **request: put.append(request["Key"])),
    }
    session = SimpleNamespace(region_name="eu-central-1", client=clients.__getitem__)
    account = Account(session, "123456789012", "arn")
    monkeypatch.setattr("infra.cli.systems.aws_account", lambda _=None: account)
    monkeypatch.setattr(on_aws.SageMaker, "connect", lambda _: plane)
    result = run("endpoint", "--role-arn", ROLE, "--bucket", "models", "--image", IMAGE, "--yes")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == plane.endpoints["scones"]
    assert put == [f"models/{version}/model.tar.gz"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--name", "my_endpoint", "letters, digits and hyphens"),
        ("--name", "-x", "letters, digits and hyphens"),
        ("--name", "x" * 40, "at most 39"),
        ("--memory-mb", "1500", "1500"),
        ("--instance-type", "c5.large", "begins with ml."),
        ("--role-arn", "", "role's ARN"),
        ("--bucket", "", "bucket's name"),
        ("--bucket", "s3://mine", "bucket's name"),
    ],
)
def test_the_plan_refuses_what_sagemaker_would_refuse(option, value, said):
    options = {"--role-arn": ROLE, "--bucket": "models", "--image": IMAGE, option: value}
    result = run("endpoint", "--dry-run", *(text for pair in options.items() for text in pair))
    assert result.exit_code == 2
    assert said in result.stderr


def test_only_one_source_of_the_model_is_named():
    both = ("--image", IMAGE, "--training-job", "x")
    result = run("endpoint", "--role-arn", ROLE, "--bucket", "models", *both)
    assert result.exit_code == 2
    assert "either --image" in result.stderr


def test_the_model_of_a_training_job_is_deployed_with_its_own_container(aws):
    boto3.client("sagemaker").create_training_job(**requests.training_job(PLAN))
    deployment = on_aws.trained_by(boto3.Session(), PLAN.job_name, "scones", ROLE, requests.Serverless())
    assert deployment.image_uri == PLAN.image_uri
    assert deployment.class_count == 5
    assert deployment.model_url.startswith("s3://data/models/")


needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec("sagemaker") is None, reason="needs the SDK: requirements/sagemaker.lock"
)


@needs_sdk
@pytest.mark.filterwarnings("default")
def test_the_built_in_algorithms_image_is_found():
    assert on_aws.built_in_image("us-east-1") == PLAN.image_uri


@needs_sdk
@pytest.mark.filterwarnings("default")
def test_the_sdk_waits_until_an_endpoint_is_in_service(aws, monkeypatch):
    from moto.sagemaker import models

    # moto describes what is not there as {}, which the SDK refuses to read; AWS leaves it out.
    whole = vars(models.FakeEndpoint)["response_object"].fget
    monkeypatch.setattr(
        models.FakeEndpoint,
        "response_object",
        property(lambda self: {key: value for key, value in whole(self).items() if value != {}}),
    )
    plane = on_aws.SageMaker.connect(boto3.Session())
    name = OURS.name(NOON)
    plane.create(requests.model(OURS, name), requests.endpoint_config(OURS, name))
    plane.switch("scones", name, exists=False)
    assert plane.config_of("scones") == name
