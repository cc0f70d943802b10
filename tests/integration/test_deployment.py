"""What a deployment asks, keeps, refuses and takes back, on AWS as fakes and moto play it."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError
from botocore.validate import ParamValidator
from moto import mock_aws

from infra.aws import release
from infra.aws.account import Account, NotAws, aws_session, region_name
from infra.aws.changes import ChangeSet, DeployFailed, change_of_parameters, why_it_failed
from infra.aws.deploy import (
    _changeable,
    delete_left_over,
    left_over,
    parameters_of_model,
    policy_of,
    stack_on_aws,
    wanted_parameters,
)
from infra.aws.incoming import UnusableBucket, announce_uploads, ensure_usable
from infra.aws.release import Served
from infra.aws.stage import Stage, WrongStage
from infra.aws.undeploy import CannotUndeploy, _delete_stack
from infra.stack import NotUp
from ingest.model_input import PIXELS_TYPE
from model.serving import deployment
from model.serving.deployment import DeploymentError
from model.serving.sagemaker_requests import Deployment, Serverless
from workflow.policy import PARAMETERS, Policy

ACCOUNT_ID, REGION = "123456789012", "eu-central-1"
AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def account(**clients: Any) -> Account:
    session = SimpleNamespace(region_name=REGION, client=clients.__getitem__)
    return Account(session, ACCOUNT_ID, "arn:aws:iam::123456789012:user/someone")


# ── account and region ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDFORMATION", "AWS_ENDPOINT_URL_S3"]
)
def test_requests_that_would_go_to_a_laptop_are_refused(name: str) -> None:
    with pytest.raises(NotAws, match=f"{name} is http://127.0.0.1:4566, which is not AWS: unset it"):
        aws_session({"AWS_REGION": REGION, name: "http://127.0.0.1:4566"})


def test_an_endpoint_within_a_vpc_is_aws() -> None:
    url = "https://vpce-1-2.sts.eu-central-1.vpce.amazonaws.com"
    assert aws_session({"AWS_REGION": REGION, "AWS_ENDPOINT_URL_STS": url}).region_name == REGION


def test_a_profile_that_leads_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://localhost:9000\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with pytest.raises(NotAws, match="the AWS profile's endpoint_url is http://localhost:9000"):
        region_name({"AWS_REGION": REGION})


# ── what is not given keeps its value ──────────────────────────────────────────────────────────────────────


PRESENT = {
    "ClassNames": "cat,dog",
    "Threshold": "0.9",
    "ClassThresholds": "cat=0.8",
    "ModelVersion": "pets-1",
    "Temperature": "1.7",
    "EndpointScores": "logits",
}


def test_an_update_without_a_model_leaves_the_policy_out() -> None:
    assert wanted_parameters({"NotificationEmail": "a@b"}, {}, {}) == {"NotificationEmail": "a@b"}


def test_a_threshold_alone_belongs_to_the_same_model() -> None:
    assert wanted_parameters({"Threshold": "0.7"}, {}, {}) == {"Threshold": "0.7"}


def test_a_model_brings_its_whole_policy() -> None:
    of_model = parameters_of_model()
    assert wanted_parameters({}, of_model, {}) == of_model
    assert of_model["ModelVersion"]
    assert of_model.keys() >= set(PARAMETERS)


def test_other_classes_are_those_of_an_unknown_version() -> None:
    given = {"ClassNames": "a,b", "Threshold": "0.5", "ClassThresholds": ""}
    assert wanted_parameters(given, {}, {}) == {
        **given,
        "EndpointAccept": "application/json",
        "EndpointContentType": "",
        "ClassesFile": "",
        "ModelVersion": "",
        "Temperature": "1",
        "EndpointScores": "probabilities",
    }
    assert wanted_parameters(given, parameters_of_model(), {})["ModelVersion"] == ""
    assert wanted_parameters({**given, "ModelVersion": "m"}, {}, {})["ModelVersion"] == "m"


def test_pixels_are_not_sent_in_a_size_that_was_given_by_hand() -> None:
    of_model, size = parameters_of_model(), {"ImageSizePx": "64"}
    assert of_model["EndpointContentType"] == PIXELS_TYPE
    assert wanted_parameters(size, of_model, {})["EndpointContentType"] == ""
    assert wanted_parameters(size, {}, of_model)["EndpointContentType"] == ""
    assert "EndpointContentType" not in wanted_parameters(
        size, {}, {**of_model, "EndpointContentType": "application/x-image"}
    )
    by_hand = {**size, "EndpointContentType": PIXELS_TYPE}
    assert wanted_parameters(by_hand, of_model, {})["EndpointContentType"] == PIXELS_TYPE


def test_what_is_given_must_go_with_what_is_kept() -> None:
    wanted = wanted_parameters({"ClassNames": "a,b"}, {}, {})
    with pytest.raises(DeployFailed, match="'cat' is not one of a,b"):
        policy_of({**PRESENT, **wanted}, None)


# ── stacks that cannot be updated ──────────────────────────────────────────────────────────────────────────


def event(name: str, status: str, reason: str = "") -> dict[str, str]:
    said = {"LogicalResourceId": name, "ResourceType": "AWS::Lambda::Function", "ResourceStatus": status}
    return {**said, "ResourceStatusReason": reason}


EVENTS = [  # the latest first, as CloudFormation gives them
    event("scones", "ROLLBACK_COMPLETE"),
    event("DecideFunction", "CREATE_FAILED", "Resource creation cancelled"),
    event(
        "ClassifyFunction", "CREATE_FAILED", "UnreservedConcurrentExecution below its minimum value of [10]"
    ),
    event("scones", "CREATE_IN_PROGRESS", "User Initiated"),
    event("Old", "UPDATE_FAILED", "of an earlier deployment"),
]


class CloudFormation:
    """CloudFormation with one stack, which may be deleted."""

    def __init__(self, status: str) -> None:
        self.status: str | None = status
        self.calls: list[str] = []
        self.parameters = [{"ParameterKey": "ClassThresholds", "ParameterValue": ""}]

    def describe_stacks(self, StackName: str) -> Any:
        if self.status is None:
            raise ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
        stack = {"StackName": "scones", "StackId": "arn", "StackStatus": self.status}
        return {"Stacks": [{**stack, "Parameters": self.parameters}]}

    def delete_stack(self, StackName: str) -> None:
        self.calls.append("delete_stack")
        self.status = None

    def get_waiter(self, name: str) -> Any:
        return SimpleNamespace(wait=lambda **_: self.calls.append(name))

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=lambda StackName: [{"StackEvents": EVENTS}])


def test_what_a_failed_creation_left_is_named_with_its_reason_and_not_deleted_by_a_plan() -> None:
    cloudformation = CloudFormation("ROLLBACK_COMPLETE")
    with pytest.raises(DeployFailed, match="until it is deleted") as refused:
        _changeable(account(cloudformation=cloudformation).session, "scones")
    said = str(refused.value)
    assert "ClassifyFunction (AWS::Lambda::Function): UnreservedConcurrentExecution below" in said
    assert "cancelled" not in said
    assert "an earlier deployment" not in said
    assert cloudformation.calls == []


def test_what_a_failed_creation_left_is_found_and_deleted() -> None:
    cloudformation = CloudFormation("ROLLBACK_COMPLETE")
    session = account(cloudformation=cloudformation).session
    left = left_over(session, "scones")
    assert left
    delete_left_over(session, left)
    assert cloudformation.calls == ["delete_stack", "stack_delete_complete"]
    assert left_over(session, "scones") is None
    assert left_over(account(cloudformation=CloudFormation("UPDATE_COMPLETE")).session, "scones") is None


def test_the_failed_stack_of_another_system_is_left_alone() -> None:
    cloudformation = CloudFormation("ROLLBACK_COMPLETE")
    cloudformation.parameters = []
    with pytest.raises(DeployFailed, match="left alone"):
        left_over(account(cloudformation=cloudformation).session, "scones")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("UPDATE_IN_PROGRESS", "being changed"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "undeploy"),
    ],
)
def test_a_stack_that_cannot_be_changed_now_is_left_alone(status: str, says: str) -> None:
    cloudformation = CloudFormation(status)
    with pytest.raises(DeployFailed, match=says):
        _changeable(account(cloudformation=cloudformation).session, "scones")
    assert cloudformation.calls == []


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_stack_that_is_there_is_updated(status: str) -> None:
    stack = _changeable(account(cloudformation=CloudFormation(status)).session, "scones")
    assert stack
    assert stack["StackStatus"] == status


def test_a_stack_whose_creation_failed_has_nothing_to_ask() -> None:
    """CloudFormation leaves out its outputs."""
    session = account(cloudformation=CloudFormation("ROLLBACK_COMPLETE")).session
    with pytest.raises(NotUp, match="is ROLLBACK_COMPLETE"):
        stack_on_aws(session, "scones")


def test_a_failure_without_events_is_said_to_have_no_reason() -> None:
    silent = SimpleNamespace(
        get_paginator=lambda _: SimpleNamespace(paginate=lambda StackName: [{"StackEvents": []}])
    )
    assert "gives no reason" in why_it_failed(silent, "scones")


def test_a_protected_stack_is_not_deleted() -> None:
    stack = {
        "StackName": "scones",
        "EnableTerminationProtection": True,
        "Parameters": [{"ParameterKey": "ClassThresholds", "ParameterValue": ""}],
    }
    with pytest.raises(CannotUndeploy, match="--no-enable-termination-protection --stack-name scones"):
        _delete_stack(account().session, stack, ACCOUNT_ID)


# ── change sets ────────────────────────────────────────────────────────────────────────────────────────────


class Changing:
    """CloudFormation with a stack of three parameters, and what becomes of its change sets."""

    def __init__(self, reason: str = "") -> None:
        self.reason, self.requests, self.calls = reason, list[dict[str, Any]](), list[str]()

    def create_change_set(self, **request: Any) -> dict[str, str]:
        self.requests.append(request)
        return {"Id": "arn:change"}

    def get_waiter(self, name: str) -> Any:
        def wait(**_: Any) -> None:
            if self.reason:
                raise WaiterError(name, "failed", {})

        return SimpleNamespace(wait=wait)

    def describe_change_set(self, ChangeSetName: str, NextToken: str = "") -> dict[str, Any]:
        page: dict[str, Any] = {"StackName": "scones", "StatusReason": self.reason}
        changed = {"Action": "Modify", "LogicalResourceId": f"R{NextToken}", "ResourceType": "T"}
        page["Changes"] = [{"ResourceChange": changed}]
        return page if NextToken else {**page, "NextToken": "2"}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE"}]}

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **_: self.calls.append(name)


STACK = {
    "StackName": "scones",
    "Tags": [{"Key": "team", "Value": "vision"}],
    "Parameters": [
        {"ParameterKey": n, "ParameterValue": v} for n, v in {**PRESENT, "EndpointName": "e"}.items()
    ],
}


def test_other_parameters_and_tags_stay_as_they_are() -> None:
    cloudformation = Changing()
    change = change_of_parameters(cloudformation, STACK, {"Threshold": "0.5"}, "name")
    assert change
    assert [each.resource for each in change.changes] == ["R", "R2"]
    (request,) = cloudformation.requests
    assert {"ParameterKey": "Threshold", "ParameterValue": "0.5"} in request["Parameters"]
    kept = [each["ParameterKey"] for each in request["Parameters"] if each.get("UsePreviousValue")]
    assert set(kept) == {*PRESENT, "EndpointName"} - {"Threshold"}
    assert request["Tags"] == STACK["Tags"]


def test_nothing_to_change_is_no_change() -> None:
    cloudformation = Changing("The submitted information didn't contain changes.")
    assert change_of_parameters(cloudformation, STACK, {"Threshold": "0.9"}, "name") is None
    assert cloudformation.calls == ["delete_change_set"]


def test_a_refused_change_is_said_in_cloudformation_s_words() -> None:
    with pytest.raises(DeployFailed, match="Parameter Threshold failed"):
        change_of_parameters(Changing("Parameter Threshold failed"), STACK, {"Threshold": "9"}, "name")


def test_a_stack_of_an_older_template_is_to_be_deployed_first() -> None:
    with pytest.raises(DeployFailed, match="older than EndpointAccept: deploy it first"):
        change_of_parameters(Changing(), STACK, {"EndpointAccept": "application/json"}, "name")


def test_a_stack_that_is_not_created_after_all_leaves_nothing() -> None:
    cloudformation = Changing()
    ChangeSet(cloudformation, "arn", "scones", True, ()).discard()
    assert cloudformation.calls == ["delete_change_set", "delete_stack"]


# ── stages ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stage_says_what_is_deployed_where(tmp_path: Path) -> None:
    file = tmp_path / "prod.toml"
    file.write_text(
        'stack = "scones-prod"\nregion = "eu-central-1"\naccount = "123456789012"\n'
        "termination_protection = true\n[parameters]\nThreshold = 0.9\n[tags]\nteam = 'vision'\n",
        encoding="utf-8",
    )
    stage = Stage.read(file)
    assert (stage.stack, stage.parameters, stage.tags) == (
        "scones-prod",
        {"Threshold": "0.9"},
        {"team": "vision"},
    )
    stage.check(account())
    with pytest.raises(WrongStage, match="the stage is in account 123456789012, and this is account 2"):
        stage.check(Account(SimpleNamespace(region_name=REGION), "2", "arn"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stack = 'Scones'", "stack = 'Scones' must be"),
        ("stak = 'x'", "a stage has no 'stak'"),
        ("account = 123456789012", "account = 123456789012 must be a text"),
        ("termination_protection = 'yes'", "must be true or false"),
        ("[parameters]\nSubnetIds = ['a']", "parameters.SubnetIds must be a text or a number"),
        ("parameters = 1", "must be a table"),
        ("stack =", "not TOML"),
    ],
)
def test_a_stage_that_cannot_be_read_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "stage.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WrongStage, match=says):
        Stage.read(file)


# ── an existing bucket ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def s3(fake_aws: None) -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="theirs")
        yield client


class Notifications:
    """S3's notifications of a bucket: one request replaces all of them. moto forgets those to EventBridge."""

    def __init__(self, **present: Any) -> None:
        self.present, self.requests = present, list[dict[str, Any]]()

    def get_bucket_notification_configuration(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        return {"ResponseMetadata": {}, **self.present}

    def put_bucket_notification_configuration(self, **request: Any) -> None:
        self.requests.append(request)
        self.present = request["NotificationConfiguration"]


def test_an_existing_bucket_keeps_its_notifications_beside_the_new_one() -> None:
    queues = [{"Id": "x", "QueueArn": "arn:aws:sqs:eu-central-1:1:q", "Events": ["s3:ObjectCreated:*"]}]
    bucket, said = Notifications(QueueConfigurations=queues), list[str]()
    for _ in range(2):
        announce_uploads(bucket, "theirs", ACCOUNT_ID, said.append)
    (request,) = bucket.requests  # the second time it is on already
    assert len(said) == 1
    assert bucket.present == {"QueueConfigurations": queues, "EventBridgeConfiguration": {}}
    model = boto3.client("s3", region_name=REGION).meta.service_model
    shape = model.operation_model("PutBucketNotificationConfiguration").input_shape
    assert ParamValidator().validate(request, shape).generate_report() == ""


@pytest.mark.parametrize(
    ("bucket", "says"),
    [
        ("ours", None),
        ("elsewhere", "the bucket is in eu-west-1, .* Deploy the stack to eu-west-1"),
        ("nowhere", "there is no such bucket"),
    ],
)
def test_an_existing_bucket_must_be_where_the_stack_is(fake_aws: None, bucket: str, says: str | None) -> None:
    with mock_aws():
        session = boto3.Session(region_name="eu-central-1")
        for name, region in {"ours": "eu-central-1", "elsewhere": "eu-west-1"}.items():
            boto3.client("s3", region_name=region).create_bucket(
                Bucket=name, CreateBucketConfiguration={"LocationConstraint": region}
            )
        account = Account.of(session)
        with nullcontext() if says is None else pytest.raises(UnusableBucket, match=says):
            ensure_usable(bucket, account)


# ── a model and its policy ─────────────────────────────────────────────────────────────────────────────────

V2 = Deployment("e", "arn:aws:iam::1:role/r", "image", "s3://m/v2", 2, "v2", Serverless())


class Change:
    """A change set of the policy, which may be refused."""

    stack_name = "scones"

    def __init__(self, done: list[str], error: Exception | None = None) -> None:
        self.done, self.error = done, error

    def execute(self) -> None:
        if self.error:
            raise self.error
        self.done.append("policy")

    def discard(self) -> None:
        self.done.append("discard")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is done to the endpoint, in its order; the endpoint runs e-1."""
    calls: list[str] = []

    def does(what: str, runs: str) -> Callable[..., str]:
        def do(*_: Any) -> str:
            calls.append(what)
            return runs

        return do

    monkeypatch.setattr(deployment, "deploy", does("endpoint", "e-2"))
    monkeypatch.setattr(deployment, "roll_back", does("endpoint back", "e-1"))
    monkeypatch.setattr(deployment, "previous", lambda *_: "e-1")
    return calls


class Plane:
    def config_of(self, endpoint: str) -> str:
        return "e-1"


def released(change: Any, served: Any = None) -> str:
    plane: Any = Plane()
    return release.release(plane, V2, served, change, AT, lambda _: None)


def test_the_endpoint_runs_the_model_before_the_stack_has_its_policy(done: list[str]) -> None:
    assert released(Change(done)) == "e-2"
    assert done == ["endpoint", "policy"]


@pytest.mark.parametrize("error", [DeployFailed("no"), ClientError({}, "ExecuteChangeSet")])
def test_a_policy_that_the_stack_refuses_takes_the_endpoint_back(done: list[str], error: Exception) -> None:
    with pytest.raises(type(error)):
        released(Change(done, error))
    assert done == ["endpoint", "endpoint back"]


def test_a_model_that_the_endpoint_refuses_leaves_the_policy(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise DeploymentError("no capacity")

    monkeypatch.setattr(deployment, "deploy", refuse)
    with pytest.raises(DeploymentError):
        released(Change(done))
    assert done == ["discard"]


def test_the_endpoint_s_error_is_shown_although_the_change_cannot_be_discarded(
    done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise DeploymentError("no capacity")

    def keep(_: Any) -> None:
        raise ClientError({}, "DeleteChangeSet")

    monkeypatch.setattr(deployment, "deploy", refuse)
    monkeypatch.setattr(Change, "discard", keep)
    with pytest.raises(DeploymentError, match="no capacity"):
        released(Change(done))


def test_a_policy_of_a_time_without_a_parameter_gets_its_default() -> None:
    cloudformation = Changing()
    remembered = {name: PRESENT[name] for name in ("ClassNames", "Threshold", "ClassThresholds")}
    assert Served(account(cloudformation=cloudformation, s3=None), STACK).change_to(remembered, AT)
    (request,) = cloudformation.requests
    given = {each["ParameterKey"]: each.get("ParameterValue") for each in request["Parameters"]}
    defaults = {"ModelVersion": "", "Temperature": "1", "EndpointScores": "probabilities"}
    assert given == {**remembered, **defaults, "EndpointName": None}


def test_a_released_model_of_many_classes_brings_a_file_and_a_rollback_names_the_earlier_one(s3: Any) -> None:
    names = [f"class number {number:04}" for number in range(1_000)]
    policy = Policy(tuple(names), 0.9, {names[0]: 0.5}, model_version="many-1")
    parameters = [{"ParameterKey": name, "ParameterValue": "1"} for name in (*PARAMETERS, "EndpointName")]
    cloudformation = Changing()
    here = account(s3=s3, cloudformation=cloudformation)
    here.session.region_name = "us-east-1"
    served = Served(here, {**STACK, "Parameters": parameters})
    served.change_to(policy.to_parameters(), AT)
    given = {
        each["ParameterKey"]: each.get("ParameterValue") for each in cloudformation.requests[0]["Parameters"]
    }
    assert (given["ClassNames"], given["ClassThresholds"], given["ModelVersion"]) == ("", "", "many-1")
    assert policy_of({name: given[name] for name in PARAMETERS}, s3) == policy
    served.change_to({name: given[name] for name in PARAMETERS}, AT)
    assert cloudformation.requests[1]["Parameters"] == cloudformation.requests[0]["Parameters"]


def test_a_policy_that_contradicts_itself_is_refused_before_cloudformation_is_asked() -> None:
    cloudformation = Changing()
    with pytest.raises(DeployFailed, match="'cat' is not one of a,b"):
        Served(account(cloudformation=cloudformation, s3=None), STACK).change_to(
            {**PRESENT, "ClassNames": "a,b"}, AT
        )
    assert cloudformation.requests == []


def test_a_rollback_gives_the_stack_the_policy_it_had_with_the_earlier_model(
    done: list[str], s3: Any
) -> None:
    cloudformation = Changing()
    here = account(s3=s3, cloudformation=cloudformation)
    here.session.region_name = "us-east-1"
    before = {**PRESENT, "EndpointKind": "serverless", "VariantName": "mine"}
    present = [{"ParameterKey": n, "ParameterValue": v} for n, v in before.items()]
    Served(here, {**STACK, "Parameters": present}).remember("e-1")
    parameters = [{"ParameterKey": n, "ParameterValue": "new"} for n in (*before, "EndpointName")]
    served = Served(here, {**STACK, "Parameters": parameters})
    plane: Any = Plane()
    assert release.roll_back(plane, "e", served, AT, done.append) == "e-1"
    (request,) = cloudformation.requests
    given = {each["ParameterKey"]: each.get("ParameterValue") for each in request["Parameters"]}
    assert given == {**before, "EndpointName": None}
    assert done[0] == "endpoint back"
    assert cloudformation.calls == ["execute_change_set"]


def test_without_a_remembered_policy_the_stack_keeps_its_own(done: list[str], s3: Any) -> None:
    served = Served(account(s3=s3), STACK)
    plane: Any = Plane()
    release.roll_back(plane, "e", served, AT, done.append)
    assert "not known" in done[-1]
