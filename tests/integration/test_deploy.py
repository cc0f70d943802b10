"""What a deployment to AWS does besides CloudFormation, and what it gives the template."""

import re
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra.aws import deploy as module
from infra.aws.account import Account
from infra.aws.changes import DeployFailed
from infra.aws.deploy import (
    _ensure_known,
    make_artifacts_bucket,
    model_inside,
    parameters_of_model,
    plan_deployment,
    policy_of,
    stored_classes,
)
from model.files import DEFAULT_MODEL
from tests.builders import image_net_names
from tests.template import template
from workflow.policy import Policy


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_the_artifacts_bucket_is_made_once_in_any_region(fake_aws: None, region: str) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name=region)
        make_artifacts_bucket(s3, "scones-artifacts", region)
        make_artifacts_bucket(s3, "scones-artifacts", region)
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["scones-artifacts"]


def test_other_classes_want_thresholds_of_their_own() -> None:
    with pytest.raises(DeployFailed, match="'bicycle' is not one of poppy,tulip"):
        policy_of(
            {**parameters_of_model(), "ClassNames": "poppy,tulip", "ClassThresholds": "bicycle=0.9"}, None
        )
    policy_of({**parameters_of_model(), "ClassNames": "poppy,tulip", "ClassThresholds": ""}, None)


def many_classes(count: int) -> dict[str, str]:
    names = image_net_names(count)
    return Policy(tuple(names), 0.9, dict.fromkeys(names[:300], 0.8)).to_parameters()


def test_classes_that_are_too_long_for_parameters_are_a_file_named_by_its_content(fake_aws: None) -> None:
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        given = policy_of(many_classes(1_000), s3)
        stored = stored_classes(given, s3, "artifacts", "us-east-1", "mine")
        assert re.fullmatch(template()["Parameters"]["ClassesFile"]["AllowedPattern"], stored["ClassesFile"])
        assert stored["ClassesFile"].startswith("artifacts/policies/mine/")
        assert (stored["ClassNames"], stored["ClassThresholds"]) == ("", "")
        deployed = {**given.to_parameters(), **stored}
        assert policy_of(deployed, s3) == given
        changed = policy_of({**deployed, "ClassThresholds": f'"{given.classes[1]}"=0.5'}, s3)
        assert changed.class_thresholds == {given.classes[1]: 0.5}
        assert (
            stored_classes(changed, s3, "artifacts", "us-east-1", "mine")["ClassesFile"]
            not in stored.values()
        )
        bucket, _, key = stored["ClassesFile"].partition("/")
        s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        with pytest.raises(DeployFailed, match="not the one that its name is a hash of"):
            policy_of(deployed, s3)


def test_no_thresholds_at_all_are_not_those_of_a_file(
    fake_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the thresholds, the names may be short enough for a parameter."""
    wanted: dict[str, str] = {}
    monkeypatch.setattr("infra.aws.deploy.package.build", lambda *_, **__: Path("template.yaml"))
    monkeypatch.setattr(module, "_deploy_command", lambda *given: wanted.update(given[3]) or [])
    monkeypatch.setattr(module, "_change_set", lambda *_: None)

    def describe_endpoint(EndpointName: str) -> None:
        raise ClientError({"Error": {"Code": "ValidationException"}}, "DescribeEndpoint")

    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        many = policy_of({**parameters_of_model(), **many_classes(150)}, s3)
        present = {**many.to_parameters(), **stored_classes(many, s3, "artifacts", "us-east-1", "mine")}
        assert present["ClassesFile"]
        listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in present.items()]
        stack = {"StackName": "mine", "StackStatus": "UPDATE_COMPLETE", "Parameters": listed}
        clients = {
            "s3": s3,
            "cloudformation": SimpleNamespace(describe_stacks=lambda StackName: {"Stacks": [stack]}),
            "sagemaker": SimpleNamespace(describe_endpoint=describe_endpoint),
        }
        session = SimpleNamespace(region_name="us-east-1", client=clients.__getitem__)
        plan_deployment(Account(session, "123456789012", "arn"), "mine", {"ClassThresholds": ""})
        deployed = policy_of({**present, **wanted}, s3)
    assert (deployed.classes, deployed.class_thresholds) == (many.classes, {})


def test_a_few_classes_are_no_file() -> None:
    policy = policy_of(many_classes(20), None)
    assert stored_classes(policy, None, "artifacts", "us-east-1", "mine") == {}


def test_a_parameter_that_the_template_does_not_have_is_refused_before_aws_is_asked(fake_aws: None) -> None:
    account = Account(SimpleNamespace(region_name="us-east-1"), "123456789012", "arn")  # it has no client
    with pytest.raises(DeployFailed, match=r"no parameter 'EndpointNam'\. Perhaps EndpointName\?"):
        plan_deployment(account, "scones", {"EndpointNam": "mine"})


def test_a_challenger_s_folder_needs_the_name_of_its_endpoint(fake_aws: None) -> None:
    def describe_stacks(StackName: str) -> None:
        raise ClientError(
            {"Error": {"Code": "ValidationError", "Message": "no such stack"}}, "DescribeStacks"
        )

    no_stack = SimpleNamespace(describe_stacks=describe_stacks)  # and nothing else may be asked
    session = SimpleNamespace(region_name="us-east-1", client=lambda service: no_stack)
    with pytest.raises(DeployFailed, match=r'PARAMETERS="ChallengerEndpointName=…" names it'):
        plan_deployment(Account(session, "123456789012", "arn"), "scones", {}, challenger=DEFAULT_MODEL)


def test_the_model_in_the_lambdas_is_the_one_that_the_policy_is_for(tmp_path: Path) -> None:
    of_default = parameters_of_model()
    assert model_inside(of_default, None) is None
    in_lambda = {**of_default, "ModelIn": "Lambda"}
    assert model_inside(in_lambda, None) == model_inside(in_lambda, DEFAULT_MODEL) == DEFAULT_MODEL
    for other in ("flowers-2", ""):
        with pytest.raises(
            DeployFailed, match=f"are for the model '{other}', and .* `make deploy MODEL=folder`"
        ):
            model_inside({**in_lambda, "ModelVersion": other}, None)


def test_every_parameter_of_the_template_is_known() -> None:
    for name in template()["Parameters"]:
        _ensure_known({name: ""})


@pytest.mark.parametrize(
    ("variant", "kind"),
    [({}, "real-time"), ({"CurrentServerlessConfig": {"MemorySizeInMB": 1024}}, "serverless")],
)
def test_the_kind_and_the_variant_of_an_endpoint_are_looked_up(variant, kind):
    found = {"ProductionVariants": [{"VariantName": "mine", **variant}]}
    sagemaker = SimpleNamespace(describe_endpoint=lambda EndpointName: found)
    session = SimpleNamespace(client=lambda service: sagemaker)
    assert module._parameters_of_endpoint(session, "e") == {"VariantName": "mine", "EndpointKind": kind}
    found["ProductionVariants"] = []  # it is being created
    assert module._parameters_of_endpoint(session, "e") == {}
